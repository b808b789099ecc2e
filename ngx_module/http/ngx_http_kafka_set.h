/* Setters of directives; compilers of JSON Pointers and schemas. */

#ifndef NGX_HTTP_KAFKA_SET_H
#define NGX_HTTP_KAFKA_SET_H


#include "http/ngx_http_kafka_module.h"


char *ngx_http_kafka_set_topic(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_kafka_set_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


/* Also notes whether the value needs the request's body, and warns. */
char *ngx_http_kafka_set_body(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* Sets a JSON Pointer at cmd->offset. */
char *ngx_http_kafka_set_field(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_kafka_set_header(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_kafka_set_batch_field(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* Checks what "kafka_problem_base" has set. */
char *ngx_http_kafka_check_base(ngx_conf_t *cf, void *post, void *data);

char *ngx_http_kafka_set_invalid(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_kafka_set_schema(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* Sets a flag, or with cmd->post an enum, at cmd->offset, and its place. */
char *ngx_http_kafka_set_null(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_kafka_set_stream(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_kafka_set_ack(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* "[status] [body]", as nginx's "return" takes them. */
char *ngx_http_kafka_set_response(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_kafka_set_decode(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_kafka_set_inflate(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* Sets a time of 1 ms or more at cmd->offset, and its place behind it. */
char *ngx_http_kafka_set_msec(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* Compiles a JSON Pointer that lives as long as the configuration. */
char *ngx_http_kafka_open_pointer(ngx_conf_t *cf, ngx_str_t *text,
    json_pointer_t **pointer);

/* Compiles a schema file; it lives as long as the configuration. */
char *ngx_http_kafka_open_schema(ngx_conf_t *cf, ngx_str_t *file,
    schema_t **schema);


#endif
