/* A body's records: found in one pass, where they lie, each checked. */

#include "http/ngx_http_kafka_module.h"


/* a document's memory above it is not kept for the next request */
#define NGX_HTTP_KAFKA_WARM_TOKENS  65536

#define NGX_HTTP_KAFKA_FIRST        64    /* records of a fresh batch */


static ngx_int_t ngx_http_kafka_single(ngx_http_kafka_ctx_t *ctx,
    ngx_str_t *body, ngx_http_kafka_problem_t *problem);
static ngx_int_t ngx_http_kafka_guess(ngx_http_kafka_ctx_t *ctx,
    ngx_str_t *body, ngx_http_kafka_problem_t *problem);
static ngx_int_t ngx_http_kafka_ndjson(ngx_http_kafka_ctx_t *ctx,
    ngx_str_t *body, ngx_http_kafka_problem_t *problem);
static ngx_int_t ngx_http_kafka_array(ngx_http_kafka_ctx_t *ctx,
    ngx_str_t *body, ngx_http_kafka_problem_t *problem);
static ngx_int_t ngx_http_kafka_begin(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_problem_t *problem);
static ngx_uint_t ngx_http_kafka_reads_json(ngx_http_kafka_ctx_t *ctx);
static void ngx_http_kafka_text(ngx_str_t *value, uint32_t token);


/* of this worker; a warm one allocates nothing */
static json_doc_t  ngx_http_kafka_doc;


ngx_int_t
ngx_http_kafka_split(ngx_http_kafka_ctx_t *ctx, ngx_str_t *body,
    ngx_http_kafka_problem_t *problem)
{
    ngx_int_t  rc;

    if (ctx->format == NGX_HTTP_KAFKA_GUESS) {
        rc = ngx_http_kafka_guess(ctx, body, problem);

    } else if (!ctx->batch) {
        rc = ngx_http_kafka_single(ctx, body, problem);

    } else {
        rc = ngx_http_kafka_begin(ctx, problem);

        if (rc == NGX_OK) {
            rc = ctx->format == NGX_HTTP_KAFKA_NDJSON
                 ? ngx_http_kafka_ndjson(ctx, body, problem)
                 : ngx_http_kafka_array(ctx, body, problem);
        }
    }

    if (ngx_http_kafka_doc.size > NGX_HTTP_KAFKA_WARM_TOKENS) {
        json_doc_free(&ngx_http_kafka_doc);
    }

    if (rc != NGX_OK) {
        return NGX_DECLINED;
    }

    if (ctx->items.nelts == 0) {
        problem->code = NGX_HTTP_KAFKA_EMPTY;
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_single(ngx_http_kafka_ctx_t *ctx, ngx_str_t *body,
    ngx_http_kafka_problem_t *problem)
{
    json_error_t  err;

    ctx->items.elts = &ctx->item;
    ctx->items.size = sizeof(ngx_http_kafka_item_t);
    ctx->items.nalloc = 1;
    ctx->items.pool = ctx->request->pool;

    ctx->messages.elts = &ctx->message;
    ctx->messages.size = sizeof(ngx_kafka_message_t);
    ctx->messages.nalloc = 1;
    ctx->messages.pool = ctx->request->pool;

    if (!ngx_http_kafka_reads_json(ctx)) {
        return ngx_http_kafka_record(ctx, body, NULL, 0, problem);
    }

    if (body->len == 0) {
        problem->code = NGX_HTTP_KAFKA_EMPTY;
        return NGX_DECLINED;
    }

    if (json_parse(&ngx_http_kafka_doc, (char *) body->data, body->len, &err)
        != 0)
    {
        return ngx_http_kafka_record_bad(ctx, body,
                                         err.reason == json_no_memory
                                         ? NGX_HTTP_KAFKA_INTERNAL
                                         : NGX_HTTP_KAFKA_NOT_JSON, problem,
                                         "%s at byte %uz.", err.reason,
                                         err.offset);
    }

    return ngx_http_kafka_record(ctx, body, &ngx_http_kafka_doc, 0, problem);
}


/* Without a Content-Type: one JSON text, or else a line a record. */
static ngx_int_t
ngx_http_kafka_guess(ngx_http_kafka_ctx_t *ctx, ngx_str_t *body,
    ngx_http_kafka_problem_t *problem)
{
    u_char        *line;
    json_error_t   err;

    line = ngx_strlchr(body->data, body->data + body->len, '\n');

    if (line == NULL || body->len == 0
        || json_parse(&ngx_http_kafka_doc, (char *) body->data, body->len,
                      &err)
           == 0)
    {
        ctx->format = NGX_HTTP_KAFKA_JSON;
        return ngx_http_kafka_single(ctx, body, problem);
    }

    ctx->format = NGX_HTTP_KAFKA_NDJSON;
    ctx->batch = 1;

    if (ngx_http_kafka_begin(ctx, problem) != NGX_OK) {
        return NGX_DECLINED;
    }

    return ngx_http_kafka_ndjson(ctx, body, problem);
}


static ngx_int_t
ngx_http_kafka_ndjson(ngx_http_kafka_ctx_t *ctx, ngx_str_t *body,
    ngx_http_kafka_problem_t *problem)
{
    u_char        *p, *end, *last;
    ngx_int_t      rc;
    ngx_str_t      line;
    json_error_t   err;

    p = body->data;
    last = p + body->len;

    for ( /* void */ ; p < last; p = end + 1) {

        end = memchr(p, '\n', last - p);
        if (end == NULL) {
            end = last;
        }

        line.data = p;
        line.len = end - p;

        if (line.len && line.data[line.len - 1] == '\r') {
            line.len--;
        }

        if (line.len == 0) {
            continue;
        }

        if (json_parse(&ngx_http_kafka_doc, (char *) line.data, line.len,
                       &err)
            == 0)
        {
            rc = ngx_http_kafka_record(ctx, &line, &ngx_http_kafka_doc, 0,
                                       problem);

        } else {
            rc = ngx_http_kafka_record_bad(ctx, &line,
                                           err.reason == json_no_memory
                                           ? NGX_HTTP_KAFKA_INTERNAL
                                           : NGX_HTTP_KAFKA_NOT_JSON, problem,
                                           "%s at byte %uz of the line.",
                                           err.reason, err.offset);
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_array(ngx_http_kafka_ctx_t *ctx, ngx_str_t *body,
    ngx_http_kafka_problem_t *problem)
{
    uint32_t       token;
    ngx_str_t      value;
    json_doc_t    *doc;
    json_error_t   err;

    doc = &ngx_http_kafka_doc;

    if (body->len == 0) {
        problem->code = NGX_HTTP_KAFKA_EMPTY;
        return NGX_DECLINED;
    }

    if (json_parse(doc, (char *) body->data, body->len, &err) != 0) {
        problem->code = err.reason == json_no_memory ? NGX_HTTP_KAFKA_INTERNAL
                                                     : NGX_HTTP_KAFKA_NOT_JSON;
        ngx_http_kafka_detail(ctx->request, problem, "%s at byte %uz.",
                              err.reason, err.offset);
        return NGX_DECLINED;
    }

    if (doc->tokens[0].type != JSON_ARRAY) {
        problem->code = NGX_HTTP_KAFKA_NOT_JSON;
        ngx_http_kafka_detail(ctx->request, problem,
                              "The body is not a JSON array of records.");
        return NGX_DECLINED;
    }

    for (token = 1;
         token < doc->tokens[0].next;
         token = doc->tokens[token].next)
    {
        value = *body;
        ngx_http_kafka_text(&value, token);

        if (ngx_http_kafka_record(ctx, &value, doc, token, problem)
            != NGX_OK)
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_begin(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_problem_t *problem)
{
    if (ngx_array_init(&ctx->items, ctx->request->pool,
                       NGX_HTTP_KAFKA_FIRST, sizeof(ngx_http_kafka_item_t))
        != NGX_OK
        || ngx_array_init(&ctx->messages, ctx->request->pool,
                          NGX_HTTP_KAFKA_FIRST, sizeof(ngx_kafka_message_t))
           != NGX_OK)
    {
        problem->code = NGX_HTTP_KAFKA_INTERNAL;
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/* A raw body is read as JSON where its topic has something to ask of it. */
static ngx_uint_t
ngx_http_kafka_reads_json(ngx_http_kafka_ctx_t *ctx)
{
    ngx_http_kafka_loc_conf_t  *klcf;

    if (ctx->format == NGX_HTTP_KAFKA_JSON
        || ctx->format == NGX_HTTP_KAFKA_CE_JSON)
    {
        return 1;
    }

    klcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_kafka_module);

    return klcf->schema || ctx->topic->schema
           || ((klcf->key_field || ctx->topic->key)
               && ctx->common.key.data == NULL)
           || klcf->idempotency_field;
}


/* The bytes of a token, a string's with its quotes. */
static void
ngx_http_kafka_text(ngx_str_t *value, uint32_t token)
{
    json_token_t  *t;

    t = &ngx_http_kafka_doc.tokens[token];

    value->data += t->start - (t->type == JSON_STRING);
    value->len = t->end - t->start + 2 * (t->type == JSON_STRING);
}
