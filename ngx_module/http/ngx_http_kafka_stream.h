/*
 * A request whose records are produced while they come, and answered one line
 * each ("kafka_stream").
 */

#ifndef NGX_HTTP_KAFKA_STREAM_H
#define NGX_HTTP_KAFKA_STREAM_H


#include "http/ngx_http_kafka_module.h"


/* Begins one.  Returns what the handler of a request returns. */
ngx_int_t ngx_http_kafka_stream(ngx_http_kafka_ctx_t *ctx);


#endif
