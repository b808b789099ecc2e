/* The handler of locations with "kafka_pass". */

#ifndef NGX_HTTP_KAFKA_HANDLER_H
#define NGX_HTTP_KAFKA_HANDLER_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


ngx_int_t ngx_http_kafka_handler(ngx_http_request_t *r);


#endif
