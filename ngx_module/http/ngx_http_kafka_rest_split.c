/* Splits the body of a REST Proxy request into its records. */

#include "http/ngx_http_kafka_rest_split.h"
#include "http/ngx_http_kafka_records.h"
#include "http/ngx_http_kafka_rest_records.h"


static ngx_int_t ngx_http_kafka_document(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd);
static ngx_int_t ngx_http_kafka_documents(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd);


ngx_int_t
ngx_http_kafka_rest_split(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd)
{
    return ctx->format == NGX_HTTP_KAFKA_REST_V2
           ? ngx_http_kafka_document(ctx, rd)
           : ngx_http_kafka_documents(ctx, rd);
}


/* One JSON text that holds all records. */
static ngx_int_t
ngx_http_kafka_document(ngx_http_kafka_ctx_t *ctx, ngx_http_kafka_reader_t *rd)
{
    ngx_int_t     rc;
    json_error_t  err;

    if (rd->expect == NGX_HTTP_KAFKA_OPEN) {

        if (ctx->body.len == 0) {
            return NGX_OK;
        }

        rc = ngx_http_kafka_parse(rd, rd->p, ctx->body.len, 1, &err);

        if (rc != NGX_OK) {
            return rc == NGX_AGAIN ? rc
                                   : ngx_http_kafka_not_json(ctx, &err, "");
        }

        rd->expect = NGX_HTTP_KAFKA_ELEMENT;
    }

    return ngx_http_kafka_rest_records(ctx, &rd->doc, &rd->at, &rd->steps);
}


/* A JSON text for each record, one behind the other; a broken one is last. */
static ngx_int_t
ngx_http_kafka_documents(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd)
{
    ngx_int_t     rc;
    ngx_str_t     text;
    json_error_t  err;

    for ( ;; ) {

        if (ngx_http_kafka_turn_left <= 0) {
            return NGX_AGAIN;
        }

        if (!rd->parsing && !ngx_http_kafka_blanks(rd)) {
            continue;
        }

        if (rd->p == rd->last) {
            return NGX_OK;
        }

        text.data = rd->p;
        text.len = rd->last - rd->p;

        rc = ngx_http_kafka_parse(rd, text.data, text.len, 0, &err);

        if (rc == NGX_AGAIN) {
            return rc;
        }

        if (rc != NGX_OK) {
            err.offset += rd->p - ctx->body.data;
            rd->p = rd->last;
            ctx->rest->broken = 1;

            return ngx_http_kafka_record_broken(ctx, &text, &err, "");
        }

        rd->p += json_behind(&rd->parser);

        rc = ngx_http_kafka_rest_record(ctx, &rd->doc, &rd->steps);

        if (rc != NGX_OK) {
            return rc;
        }
    }
}
