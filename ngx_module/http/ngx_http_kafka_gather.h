/* The records of a stream: from nginx's buffers to the body of a part. */

#ifndef NGX_HTTP_KAFKA_GATHER_H
#define NGX_HTTP_KAFKA_GATHER_H


#include "http/ngx_http_kafka_cut.h"
#include "http/ngx_http_kafka_module.h"


/* Zeroed before it begins. */
typedef struct {
    ngx_http_kafka_cut_t   cut;
    u_char                *text;        /* by malloc(): records, the last one
                                           in part; NULL: none */
    size_t                 len;         /* bytes of it */
    size_t                 size;
    size_t                 whole;       /* bytes of whole records in it */
    size_t                 line;        /* bytes of the record behind them */
    size_t                 max;         /* of it */
    size_t                 held;        /* bytes, counted in the queue */
    ngx_uint_t             found;       /* whole records */
    ngx_uint_t             most;        /* of them in a part */
    ngx_uint_t             broken;      /* no record follows;
                                           unsigned  broken:1; */
} ngx_http_kafka_gather_t;


/* "most" and kafka_max_records bound a part. */
void ngx_http_kafka_gather_begin(ngx_http_kafka_gather_t *g,
    ngx_http_kafka_ctx_t *ctx, ngx_uint_t most);

/*
 * Takes what nginx has read, as far as it fits in a part: g->found records are
 * whole.  NGX_DECLINED: a problem of the record that comes next.
 */
ngx_int_t ngx_http_kafka_gather(ngx_http_kafka_gather_t *g,
    ngx_http_kafka_ctx_t *ctx);

/*
 * The body has ended: whether there is one more record.  The last line needs
 * no end; a text without one is broken.
 */
ngx_uint_t ngx_http_kafka_gather_last(ngx_http_kafka_gather_t *g);

/*
 * Makes ctx->body of the whole records, which are found no longer; the rest is
 * of the next part.  NGX_ERROR without memory.
 */
ngx_int_t ngx_http_kafka_gather_body(ngx_http_kafka_gather_t *g,
    ngx_http_kafka_ctx_t *ctx);

/* Frees what was not made a body. */
void ngx_http_kafka_gather_end(ngx_http_kafka_gather_t *g,
    ngx_http_kafka_ctx_t *ctx);


#endif
