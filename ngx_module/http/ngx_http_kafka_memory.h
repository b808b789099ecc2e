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
 * ctx->heavy: whether a request has what is worth freeing before it ends.  A
 * body that came with the head lies there, a small buffer in a pool's block.
 */
#define ngx_http_kafka_body_heavy(rb, pool)                                   \
    ((rb)->temp_file                                                          \
     || ((rb)->buf && (rb)->buf->end - (rb)->buf->start                       \
                      > (ssize_t) (pool)->max))

/* The request does not wait for its turn any more, or its answer is there. */
#define ngx_http_kafka_unhold(ctx)                                            \
    if ((ctx)->held) {                                                        \
        (void) ngx_kafka_hold((ctx)->conf->producer->producer, &(ctx)->held,  \
                              0);                                             \
    }

/*
 * From now on ctx->copy is freed with the request, at the latest.  To be
 * called before it is set; NGX_ERROR without memory.
 */
ngx_int_t ngx_http_kafka_own(ngx_http_kafka_ctx_t *ctx);

/*
 * Gives the records of a body a pool of their own, ctx->pool, if they may need
 * more than a block of the request's.  NGX_DECLINED with a problem without
 * memory.
 */
ngx_int_t ngx_http_kafka_own_pool(ngx_http_kafka_ctx_t *ctx);

/*
 * The records are handed over: frees the messages and the body, but not what
 * an error_page may still want.
 */
void ngx_http_kafka_free_messages(ngx_http_kafka_ctx_t *ctx);

/* The answer is written: frees what is left of the records. */
void ngx_http_kafka_free_records(ngx_http_kafka_ctx_t *ctx);

/* And nginx's buffer and file of the body, unless others may want it. */
void ngx_http_kafka_free_all(ngx_http_kafka_ctx_t *ctx);

/*
 * Copies the text of an answer to the request's pool, in its exact size: a
 * client may not read it for long.  NGX_ERROR without memory.
 */
ngx_int_t ngx_http_kafka_keep_text(ngx_http_kafka_ctx_t *ctx,
    ngx_str_t *text);


#endif
