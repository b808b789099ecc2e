/*
 * What a request holds beside nginx's own memory, and when it ends: as soon as
 * its records are handed over, the rest before its answer is sent.  A client
 * that does not read its answers holds no more than their texts.
 */

#ifndef NGX_HTTP_KAFKA_MEMORY_H
#define NGX_HTTP_KAFKA_MEMORY_H


#include "http/ngx_http_kafka_module.h"


/* Whether the configuration uses $request_body or $request_body_file. */
ngx_uint_t ngx_http_kafka_body_wanted(ngx_cycle_t *cycle);

/*
 * From now on ctx->copy is freed with the request, at the latest.  To be
 * called before ctx->copy is set; NGX_ERROR without memory.
 */
ngx_int_t ngx_http_kafka_own(ngx_http_kafka_ctx_t *ctx);

/*
 * Gives the records of a body a pool of their own, ctx->pool, where they may
 * need more than a block of the request's.  NGX_DECLINED with a problem
 * without memory.
 */
ngx_int_t ngx_http_kafka_own_pool(ngx_http_kafka_ctx_t *ctx);

/* The records are handed over: frees the messages and the copied body. */
void ngx_http_kafka_free_messages(ngx_http_kafka_ctx_t *ctx);

/* The answer is written: frees what is left of the records. */
void ngx_http_kafka_free_records(ngx_http_kafka_ctx_t *ctx);

/* Frees nginx's buffers and file of the body, unless others may want it. */
void ngx_http_kafka_free_body(ngx_http_kafka_ctx_t *ctx);

/*
 * Sends an answer with a copy of "body", which may be empty, when all else is
 * freed.  Returns what finalizes the request.
 */
ngx_int_t ngx_http_kafka_answer(ngx_http_kafka_ctx_t *ctx, ngx_uint_t status,
    ngx_str_t *type, ngx_str_t *body);


#endif
