/* The body of a request, in one piece and decoded. */

#ifndef NGX_HTTP_KAFKA_BODY_H
#define NGX_HTTP_KAFKA_BODY_H


#include "http/ngx_http_kafka_module.h"


/* NGX_DECLINED where the Content-Encoding is none that is decoded. */
ngx_int_t ngx_http_kafka_body_coding(ngx_http_kafka_ctx_t *ctx);

/*
 * The most bytes a body may have: those of one record, or of all that the
 * queue can hold.
 */
size_t ngx_http_kafka_body_max(ngx_http_kafka_ctx_t *ctx);

/*
 * The body, or what "kafka_body" gives instead, as contiguous bytes of the
 * request's pool or buffers.  Neither encoded nor decoded is it longer than
 * ngx_http_kafka_body_max(); decoding takes that much memory and the
 * decoder's window, whatever the body says.
 */
ngx_int_t ngx_http_kafka_body(ngx_http_kafka_ctx_t *ctx, ngx_str_t *body);


#endif
