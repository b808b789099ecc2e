/* Splits a body into its records. */

#ifndef NGX_HTTP_KAFKA_SPLIT_H
#define NGX_HTTP_KAFKA_SPLIT_H


#include "http/ngx_http_kafka_module.h"


/*
 * Makes an item and a message of each record of ctx->body; they point into it.
 * A bad record has its problem and is counted in ctx->invalid; a problem of
 * the whole body is ctx->problem: also that there are too many records, or
 * that their checks cost too many steps.  NGX_AGAIN: call again in a later
 * turn.
 */
ngx_int_t ngx_http_kafka_split(ngx_http_kafka_ctx_t *ctx);

/* Frees the reader of a body that is split in part. */
void ngx_http_kafka_split_end(ngx_http_kafka_ctx_t *ctx);

/* Bytes of memory that records and the reader take, where it is not done. */
size_t ngx_http_kafka_split_held(ngx_http_kafka_ctx_t *ctx);


#endif
