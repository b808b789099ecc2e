/* The body of a request, in one piece and decoded. */

#ifndef NGX_HTTP_KAFKA_BODY_H
#define NGX_HTTP_KAFKA_BODY_H


#include "http/ngx_http_kafka_module.h"


/* Finds the body's coding, ctx->coding; refuses one that is not decoded. */
ngx_int_t ngx_http_kafka_body_coding(ngx_http_kafka_ctx_t *ctx);

/*
 * The most bytes that a body may have: the size of one record, or for a batch
 * what the queue can hold.
 */
size_t ngx_http_kafka_body_max(ngx_http_kafka_ctx_t *ctx);

/*
 * Gives the body, or the value of "kafka_body", as contiguous bytes that live
 * until ctx->copy is freed: ctx->body.  A body longer than
 * ngx_http_kafka_body_max() is refused, encoded or decoded, and one that
 * decodes to more than "kafka_inflate_limit"; decoding never takes more memory
 * than that and the decoder's window.  NGX_AGAIN: call again in a later turn.
 */
ngx_int_t ngx_http_kafka_body(ngx_http_kafka_ctx_t *ctx);

/* Frees what a body that is read in part takes, before it is whole. */
void ngx_http_kafka_body_end(ngx_http_kafka_ctx_t *ctx);

/* Bytes of memory that a body of more than one turn takes. */
size_t ngx_http_kafka_body_held(ngx_http_kafka_ctx_t *ctx);


#endif
