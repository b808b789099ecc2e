/*
 * Values that a client sent, fit for a record: $kafka_arg_NAME is an argument,
 * percent-decoded; $kafka_json_NAME is the variable $NAME, escaped for a JSON
 * string, where $kafka_json_arg_NAME is percent-decoded first.
 */

#ifndef NGX_HTTP_KAFKA_VALUES_H
#define NGX_HTTP_KAFKA_VALUES_H


#include "http/ngx_http_kafka_module.h"


/* The get_handler of $kafka_arg_NAME; "data" is the whole name. */
ngx_int_t ngx_http_kafka_arg(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);

/*
 * Defines each $kafka_json_NAME that the configuration uses, and finds the
 * indices of those of the body.  Called when all of it is read.
 */
ngx_int_t ngx_http_kafka_resolve_values(ngx_conf_t *cf);

/* Whether the variable of that name holds a client's bytes as they came. */
ngx_uint_t ngx_http_kafka_foreign(ngx_str_t *name);


#endif
