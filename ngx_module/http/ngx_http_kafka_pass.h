/* "kafka_pass_headers": headers of a request that its records carry. */

#ifndef NGX_HTTP_KAFKA_PASS_H
#define NGX_HTTP_KAFKA_PASS_H


#include "http/ngx_http_kafka_module.h"


char *ngx_http_kafka_set_pass_headers(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * Adds the headers that are listed, in their order, each line of one that is
 * repeated, but none whose name "headers" has already.  NGX_DECLINED with a
 * problem where one cannot be kept, or all of them are too many.
 */
ngx_int_t ngx_http_kafka_pass_headers(ngx_http_kafka_ctx_t *ctx,
    ngx_array_t *headers);


#endif
