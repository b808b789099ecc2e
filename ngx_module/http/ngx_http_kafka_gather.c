/* Gathers whole records from a body that comes in pieces. */

#include "http/ngx_http_kafka_gather.h"
#include "http/ngx_http_kafka_memory.h"


#define NGX_HTTP_KAFKA_TEXT  4096       /* bytes, the least allocated */

/* an envelope of REST Proxy: base64, key and headers beside the value */
#define ngx_http_kafka_envelope(max)  (2 * (max) + 65536)


static ngx_int_t ngx_http_kafka_gather_keep(ngx_http_kafka_gather_t *g,
    ngx_http_kafka_ctx_t *ctx, u_char *p, size_t len, ngx_uint_t ends);
static ngx_int_t ngx_http_kafka_gather_room(ngx_http_kafka_gather_t *g,
    ngx_http_kafka_ctx_t *ctx, size_t size);


void
ngx_http_kafka_gather_begin(ngx_http_kafka_gather_t *g,
    ngx_http_kafka_ctx_t *ctx, ngx_uint_t most)
{
    g->max = ngx_kafka_value_max(ctx->conf->producer->producer,
                                 ctx->topic_index);
    g->most = ngx_min((ngx_uint_t) ctx->conf->max_records, most);

    if (ctx->rest) {
        g->cut.texts = 1;
        g->max = ngx_http_kafka_envelope(g->max);
    }
}


ngx_int_t
ngx_http_kafka_gather(ngx_http_kafka_gather_t *g, ngx_http_kafka_ctx_t *ctx)
{
    u_char                *p;
    ngx_int_t              rc;
    ngx_buf_t             *b;
    ngx_chain_t           *cl, **bufs;
    ngx_http_request_t    *r;
    ngx_http_kafka_cut_e   cut;

    r = ctx->request;

    if (r->request_body == NULL) {
        return NGX_OK;
    }

    bufs = &r->request_body->bufs;

    while ((cl = *bufs) && g->found < g->most && !g->broken) {
        b = cl->buf;

        if (b->pos == b->last) {
            *bufs = cl->next;
            ngx_free_chain(r->pool, cl);
            continue;
        }

        p = b->pos;
        cut = ngx_http_kafka_cut(&g->cut, &p, b->last);

        if (cut == NGX_HTTP_KAFKA_CUT_BROKEN) {
            p = b->last;
            g->broken = 1;
        }

        if (cut == NGX_HTTP_KAFKA_CUT_BLANK) {
            g->len -= g->line;
            g->line = 0;
            b->pos = p;
            continue;
        }

        rc = ngx_http_kafka_gather_keep(g, ctx, b->pos, p - b->pos,
                                        cut != NGX_HTTP_KAFKA_CUT_MORE);

        if (rc != NGX_OK) {
            return rc;
        }

        b->pos = p;

        if (cut != NGX_HTTP_KAFKA_CUT_MORE) {
            g->found++;
            g->whole = g->len;
            g->line = 0;
        }
    }

    return NGX_OK;
}


/*
 * Of a line that is too large one byte more than fits is kept: it is refused
 * for that.  A text cannot be cut off, so nothing behind it is read.
 */
static ngx_int_t
ngx_http_kafka_gather_keep(ngx_http_kafka_gather_t *g,
    ngx_http_kafka_ctx_t *ctx, u_char *p, size_t len, ngx_uint_t ends)
{
    ngx_uint_t  cut;

    /* CR and LF do not count */
    cut = g->line + len > g->max + 2;

    if (cut && g->cut.texts) {
        return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_LARGE,
                                     "Record %ui is larger than %uz bytes.",
                                     ctx->first + g->found, g->max);
    }

    if (cut) {
        len = g->max + 1 > g->line ? g->max + 1 - g->line : 0;
    }

    if (ngx_http_kafka_gather_room(g, ctx, g->len + len + 1) != NGX_OK) {
        return NGX_DECLINED;
    }

    ngx_memcpy(g->text + g->len, p, len);
    g->len += len;
    g->line += len;

    if (cut && ends) {
        g->text[g->len++] = '\n';
    }

    return NGX_OK;
}


/* Makes room for "size" bytes of text, which count in the queue. */
static ngx_int_t
ngx_http_kafka_gather_room(ngx_http_kafka_gather_t *g,
    ngx_http_kafka_ctx_t *ctx, size_t size)
{
    u_char  *p;

    if (size <= g->size) {
        return NGX_OK;
    }

    size = ngx_max(size, ngx_max(2 * g->size, NGX_HTTP_KAFKA_TEXT));

    if (ngx_kafka_hold(ctx->conf->producer->producer, &g->held, size)
        != NGX_OK)
    {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_QUEUE_FULL);
    }

    p = ngx_alloc(size, ctx->request->connection->log);
    if (p == NULL) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    if (g->text) {
        ngx_memcpy(p, g->text, g->len);
        ngx_free(g->text);
    }

    g->text = p;
    g->size = size;

    return NGX_OK;
}


ngx_int_t
ngx_http_kafka_gather_body(ngx_http_kafka_gather_t *g,
    ngx_http_kafka_ctx_t *ctx)
{
    size_t   rest;
    u_char  *text;

    ctx->copy = g->text;
    ctx->body.data = g->text;
    ctx->body.len = g->whole;

    if (ctx->conf->strip_bom && ctx->first == 0 && ctx->body.len >= 3
        && ngx_memcmp(ctx->body.data, "\xef\xbb\xbf", 3) == 0)
    {
        ctx->body.data += 3;
        ctx->body.len -= 3;
    }

    text = g->text + g->whole;
    rest = g->len - g->whole;

    g->text = NULL;
    g->len = 0;
    g->size = 0;
    g->whole = 0;
    g->found = 0;
    (void) ngx_kafka_hold(ctx->conf->producer->producer, &g->held, 0);

    if (rest == 0) {
        return NGX_OK;
    }

    if (ngx_http_kafka_gather_room(g, ctx, rest) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memcpy(g->text, text, rest);
    g->len = rest;

    return NGX_OK;
}


ngx_uint_t
ngx_http_kafka_gather_last(ngx_http_kafka_gather_t *g)
{
    if (!ngx_http_kafka_cut_open(&g->cut)) {
        return 0;
    }

    g->whole = g->len;
    g->found = 1;

    return 1;
}


void
ngx_http_kafka_gather_end(ngx_http_kafka_gather_t *g,
    ngx_http_kafka_ctx_t *ctx)
{
    (void) ngx_kafka_hold(ctx->conf->producer->producer, &g->held, 0);

    if (g->text) {
        ngx_free(g->text);
        g->text = NULL;
    }
}
