/*
 * Finds the records of a body in one pass, without a copy.  A long body is
 * split in several turns of the loop.
 */

#include "http/ngx_http_kafka_split.h"
#include "http/ngx_http_kafka_array.h"
#include "http/ngx_http_kafka_events.h"
#include "http/ngx_http_kafka_reader.h"
#include "http/ngx_http_kafka_records.h"
#include "http/ngx_http_kafka_rest_split.h"


/* tokens whose memory is kept for the next request */
#define NGX_HTTP_KAFKA_WARM_TOKENS  65536

/* steps that the checks of a request may take, and more for each byte */
#define NGX_HTTP_KAFKA_STEPS        1000000
#define NGX_HTTP_KAFKA_STEPS_BYTE   16


static ngx_http_kafka_reader_t *ngx_http_kafka_reader_begin(
    ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_reader_keep(ngx_http_kafka_ctx_t *ctx);
static void ngx_http_kafka_reader_cleanup(void *data);
static ngx_int_t ngx_http_kafka_split_by(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd);
static ngx_int_t ngx_http_kafka_single(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd);
static ngx_int_t ngx_http_kafka_guess(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd);
static ngx_int_t ngx_http_kafka_ndjson(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd);
static ngx_int_t ngx_http_kafka_text(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd, ngx_str_t *text, const char *where);

/* of this worker; reused, so that it rarely allocates */
static ngx_http_kafka_reader_t  ngx_http_kafka_reader;


ngx_int_t
ngx_http_kafka_split(ngx_http_kafka_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_http_kafka_reader_t  *rd;

    rd = ctx->reader ? ctx->reader : ngx_http_kafka_reader_begin(ctx);

    rc = ngx_http_kafka_turn_left > 0 ? ngx_http_kafka_split_by(ctx, rd)
                                      : NGX_AGAIN;

    if (rc == NGX_AGAIN) {
        return ngx_http_kafka_reader_keep(ctx);
    }

    ngx_http_kafka_split_end(ctx);

    if (rc == NGX_OK && ctx->items.nelts == 0) {
        return ngx_http_kafka_refuse(&ctx->problem,
                                     ctx->rest ? NGX_HTTP_KAFKA_NO_RECORDS
                                               : NGX_HTTP_KAFKA_EMPTY);
    }

    return rc;
}


static ngx_http_kafka_reader_t *
ngx_http_kafka_reader_begin(ngx_http_kafka_ctx_t *ctx)
{
    ngx_http_kafka_reader_t  *rd;

    rd = &ngx_http_kafka_reader;

    rd->p = ctx->body.data;
    rd->last = rd->p + ctx->body.len;
    rd->max = NGX_MAX_SIZE_T_VALUE;

    if (ctx->batch || ctx->format == NGX_HTTP_KAFKA_GUESS) {
        /* a body that is one record has been measured */
        rd->max = ngx_kafka_value_max(ctx->conf->producer->producer,
                                      ctx->topic_index);
    }

    rd->steps = NGX_HTTP_KAFKA_STEPS
                + NGX_HTTP_KAFKA_STEPS_BYTE * (int64_t) ctx->body.len;
    rd->expect = NGX_HTTP_KAFKA_OPEN;
    rd->at = 0;
    rd->level = 0;
    rd->seen = 0;
    rd->found = 0;
    rd->skip = NULL;
    rd->parsing = 0;

    ctx->reader = rd;

    return rd;
}


/* Other requests read before this one goes on. */
static ngx_int_t
ngx_http_kafka_reader_keep(ngx_http_kafka_ctx_t *ctx)
{
    ngx_pool_cleanup_t       *cln;
    ngx_http_kafka_reader_t  *rd;

    if (ctx->reader != &ngx_http_kafka_reader) {
        return NGX_AGAIN;
    }

    rd = ngx_palloc(ctx->pool, sizeof(ngx_http_kafka_reader_t));
    cln = ngx_pool_cleanup_add(ctx->pool, 0);

    if (rd == NULL || cln == NULL) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    *rd = ngx_http_kafka_reader;
    ngx_memzero(&ngx_http_kafka_reader.doc, sizeof(json_doc_t));

    cln->handler = ngx_http_kafka_reader_cleanup;
    cln->data = rd;
    ctx->reader = rd;

    return NGX_AGAIN;
}


size_t
ngx_http_kafka_split_held(ngx_http_kafka_ctx_t *ctx)
{
    size_t  size;

    size = ctx->items.nalloc * (sizeof(ngx_http_kafka_item_t)
                                + sizeof(ngx_kafka_message_t));

    return ctx->reader ? size + ctx->reader->doc.size * sizeof(json_token_t)
                       : size;
}


void
ngx_http_kafka_split_end(ngx_http_kafka_ctx_t *ctx)
{
    json_doc_t  *doc;

    if (ctx->reader == NULL) {
        return;
    }

    doc = &ctx->reader->doc;

    if (ctx->reader != &ngx_http_kafka_reader
        || doc->size > NGX_HTTP_KAFKA_WARM_TOKENS)
    {
        json_doc_free(doc);
    }

    ctx->reader = NULL;
}


static void
ngx_http_kafka_reader_cleanup(void *data)
{
    ngx_http_kafka_reader_t  *rd = data;

    json_doc_free(&rd->doc);
}


static ngx_int_t
ngx_http_kafka_split_by(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd)
{
    if (ctx->format == NGX_HTTP_KAFKA_GUESS) {
        return ngx_http_kafka_guess(ctx, rd);
    }

    if (!ctx->batch) {
        return ngx_http_kafka_single(ctx, rd);
    }

    if (ctx->format == NGX_HTTP_KAFKA_NDJSON) {
        return ngx_http_kafka_ndjson(ctx, rd);
    }

    return ctx->rest ? ngx_http_kafka_rest_split(ctx, rd)
                     : ngx_http_kafka_array(ctx, rd);
}


static ngx_int_t
ngx_http_kafka_single(ngx_http_kafka_ctx_t *ctx, ngx_http_kafka_reader_t *rd)
{
    ngx_http_kafka_record_alone(ctx);

    if (ctx->null || (ctx->body.len == 0
                      && ctx->conf->empty == NGX_HTTP_KAFKA_EMPTY_NULL
                      && !ngx_http_kafka_is_event(ctx)))
    {
        return ngx_http_kafka_record_null(ctx);
    }

    if (!ngx_http_kafka_reads_json(ctx)) {
        return ngx_http_kafka_record(ctx, &ctx->body, NULL, NULL);
    }

    if (ctx->body.len == 0) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_EMPTY);
    }

    return ngx_http_kafka_text(ctx, rd, &ctx->body, "");
}


/* Without a Content-Type: one JSON text, or else one record a line. */
static ngx_int_t
ngx_http_kafka_guess(ngx_http_kafka_ctx_t *ctx, ngx_http_kafka_reader_t *rd)
{
    size_t        len;
    u_char       *p;
    ngx_int_t     rc;
    json_error_t  err;

    len = ctx->body.len;

    if (!rd->parsing && (len == 0 || memchr(rd->p, '\n', len) == NULL)) {
        ctx->format = NGX_HTTP_KAFKA_JSON;
        return ngx_http_kafka_single(ctx, rd);
    }

    /* a longer text is no record */
    len = ngx_min(len, rd->max + NGX_HTTP_KAFKA_BEYOND);

    rc = ngx_http_kafka_parse(rd, rd->p, len, 0, &err);

    if (rc == NGX_AGAIN) {
        return rc;
    }

    if (rc == NGX_OK && ctx->body.len <= rd->max) {

        for (p = rd->p + json_behind(&rd->parser);
             p < rd->last && ngx_http_kafka_is_space(*p);
             p++)
        {
            /* void */
        }

        if (p == rd->last) {
            ctx->format = NGX_HTTP_KAFKA_JSON;
            ngx_http_kafka_record_alone(ctx);
            return ngx_http_kafka_record(ctx, &ctx->body, &rd->doc,
                                         &rd->steps);
        }
    }

    if (rc != NGX_OK && err.offset > rd->max) {
        ctx->format = NGX_HTTP_KAFKA_JSON;
        ngx_http_kafka_record_alone(ctx);
        return ngx_http_kafka_record_large(ctx, &ctx->body);
    }

    ctx->format = NGX_HTTP_KAFKA_NDJSON;
    ctx->batch = 1;

    return ngx_http_kafka_ndjson(ctx, rd);
}


static ngx_int_t
ngx_http_kafka_ndjson(ngx_http_kafka_ctx_t *ctx, ngx_http_kafka_reader_t *rd)
{
    u_char     *end;
    ngx_int_t   rc;
    ngx_str_t   line;

    while (rd->p < rd->last) {

        if (ngx_http_kafka_turn_left <= 0) {
            return NGX_AGAIN;
        }

        end = memchr(rd->p, '\n', rd->last - rd->p);
        if (end == NULL) {
            end = rd->last;
        }

        line.data = rd->p;
        line.len = end - rd->p;

        if (line.len && line.data[line.len - 1] == '\r') {
            line.len--;
        }

        if (line.len) {
            rc = ngx_http_kafka_text(ctx, rd, &line, " of the line");

            if (rc != NGX_OK) {
                return rc;
            }
        }

        rd->p = end + 1;
        ngx_http_kafka_turn_left -= 2;
    }

    return NGX_OK;
}


/* A record whose value is a JSON text of its own. */
static ngx_int_t
ngx_http_kafka_text(ngx_http_kafka_ctx_t *ctx, ngx_http_kafka_reader_t *rd,
    ngx_str_t *text, const char *where)
{
    ngx_int_t     rc;
    json_error_t  err;

    if (text->len > rd->max) {
        return ngx_http_kafka_record_large(ctx, text);
    }

    rc = ngx_http_kafka_parse(rd, text->data, text->len, 1, &err);

    if (rc == NGX_OK) {
        return ngx_http_kafka_record(ctx, text, &rd->doc, &rd->steps);
    }

    return rc == NGX_AGAIN
           ? rc : ngx_http_kafka_record_broken(ctx, text, &err, where);
}
