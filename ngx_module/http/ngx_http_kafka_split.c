/*
 * Finds the records of a body in one pass, without a copy.  A long body is
 * split in several turns of the loop.
 */

#include "http/ngx_http_kafka_split.h"
#include "http/ngx_http_kafka_events.h"
#include "http/ngx_http_kafka_records.h"


/* tokens whose memory is kept for the next request */
#define NGX_HTTP_KAFKA_WARM_TOKENS  65536

/* steps that the checks of a request may take, and more for each byte */
#define NGX_HTTP_KAFKA_STEPS        1000000
#define NGX_HTTP_KAFKA_STEPS_BYTE   16

/* steps of the turn for a token; bytes read for one step */
#define NGX_HTTP_KAFKA_COST_TOKEN   2
#define NGX_HTTP_KAFKA_COST_BYTES   8

/* bytes behind the largest record that show that a value is larger */
#define NGX_HTTP_KAFKA_BEYOND       16


#define ngx_http_kafka_is_space(c)                                            \
    ((c) == ' ' || (c) == '\t' || (c) == '\n' || (c) == '\r')


/* What an array goes on with. */
typedef enum {
    NGX_HTTP_KAFKA_OPEN = 0,
    NGX_HTTP_KAFKA_FIRST_ELEMENT,         /* or the end */
    NGX_HTTP_KAFKA_ELEMENT,
    NGX_HTTP_KAFKA_COMMA,                 /* or the end */
    NGX_HTTP_KAFKA_CLOSED
} ngx_http_kafka_expect_e;


/* Where the reading of records is; goes on in the loop's next turn. */
struct ngx_http_kafka_reader_s {
    json_doc_t               doc;
    json_parser_t            parser;
    u_char                  *p;           /* where the body goes on */
    u_char                  *last;        /* its end */
    size_t                   max;         /* bytes of the largest record */
    int64_t                  steps;       /* left for the request */
    ngx_http_kafka_expect_e  expect;
    u_char                  *skip;        /* in a value too large, or NULL */
    ngx_uint_t               depth;       /* of it there */
    unsigned                 parsing:1;   /* a text is read in part */
    unsigned                 quoted:1;    /* of the skipped value: a string */
    unsigned                 escaped:1;   /* behind a backslash */
};


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
static ngx_int_t ngx_http_kafka_array(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd);
static ngx_int_t ngx_http_kafka_array_at(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd);
static ngx_int_t ngx_http_kafka_element(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd);
static ngx_int_t ngx_http_kafka_skip(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd);
static u_char *ngx_http_kafka_skip_to(ngx_http_kafka_reader_t *rd,
    u_char *stop);
static ngx_int_t ngx_http_kafka_text(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd, ngx_str_t *text, const char *where);
static ngx_int_t ngx_http_kafka_parse(ngx_http_kafka_reader_t *rd,
    u_char *text, size_t len, int alone, json_error_t *err);


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
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_EMPTY);
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
    rd->skip = NULL;
    rd->parsing = 0;

    ctx->reader = rd;

    return rd;
}


/* Other requests read before this one goes on. */
static ngx_int_t
ngx_http_kafka_reader_keep(ngx_http_kafka_ctx_t *ctx)
{
    ngx_pool_t               *pool;
    ngx_pool_cleanup_t       *cln;
    ngx_http_kafka_reader_t  *rd;

    if (ctx->reader != &ngx_http_kafka_reader) {
        return NGX_AGAIN;
    }

    pool = ctx->request->pool;

    rd = ngx_palloc(pool, sizeof(ngx_http_kafka_reader_t));
    cln = ngx_pool_cleanup_add(pool, 0);

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

    return ngx_http_kafka_array(ctx, rd);
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


/*
 * Each element is read by itself, so that the tokens of one are held, and the
 * record that is one too many ends it.
 */
static ngx_int_t
ngx_http_kafka_array(ngx_http_kafka_ctx_t *ctx, ngx_http_kafka_reader_t *rd)
{
    u_char     *stop;
    ngx_int_t   rc;

    if (ctx->body.len == 0) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_EMPTY);
    }

    for ( ;; ) {

        if (ngx_http_kafka_turn_left <= 0) {
            return NGX_AGAIN;
        }

        /* blanks may be as many as bytes */

        stop = rd->p + ngx_min(rd->last - rd->p, ngx_http_kafka_turn_left);

        while (rd->p < stop && ngx_http_kafka_is_space(*rd->p)) {
            ngx_http_kafka_turn_left--;
            rd->p++;
        }

        if (rd->p == stop && stop < rd->last) {
            continue;
        }

        if (rd->p == rd->last && rd->expect == NGX_HTTP_KAFKA_CLOSED) {
            return NGX_OK;
        }

        rc = ngx_http_kafka_array_at(ctx, rd);

        if (rc != NGX_OK) {
            return rc;
        }
    }
}


/* What stands at rd->p, behind blanks. */
static ngx_int_t
ngx_http_kafka_array_at(ngx_http_kafka_ctx_t *ctx, ngx_http_kafka_reader_t *rd)
{
    u_char        c;
    json_error_t  err;

    c = rd->p < rd->last ? *rd->p : '\0';

    switch (rd->expect) {

    case NGX_HTTP_KAFKA_OPEN:

        if (c != '[') {
            return ngx_http_kafka_detail(&ctx->problem,
                                         NGX_HTTP_KAFKA_NOT_JSON,
                                         "The body is not a JSON array of "
                                         "records.");
        }

        rd->expect = NGX_HTTP_KAFKA_FIRST_ELEMENT;
        rd->p++;
        return NGX_OK;

    case NGX_HTTP_KAFKA_FIRST_ELEMENT:
    case NGX_HTTP_KAFKA_COMMA:

        if (c == ']') {
            rd->expect = NGX_HTTP_KAFKA_CLOSED;
            rd->p++;
            return NGX_OK;
        }

        if (rd->expect == NGX_HTTP_KAFKA_FIRST_ELEMENT) {
            break;
        }

        if (c == ',') {
            rd->expect = NGX_HTTP_KAFKA_ELEMENT;
            rd->p++;
            return NGX_OK;
        }

        /* fall through */

    case NGX_HTTP_KAFKA_CLOSED:

        err.reason = rd->expect == NGX_HTTP_KAFKA_CLOSED
                     ? "bytes behind the value"
                     : rd->p == rd->last ? "unexpected end of the text"
                                         : "unexpected character";
        err.offset = rd->p - ctx->body.data;

        return ngx_http_kafka_not_json(ctx, &err, "");

    default:
        break;
    }

    return ngx_http_kafka_element(ctx, rd);
}


static ngx_int_t
ngx_http_kafka_element(ngx_http_kafka_ctx_t *ctx, ngx_http_kafka_reader_t *rd)
{
    size_t        len;
    ngx_int_t     rc;
    ngx_str_t     value;
    json_error_t  err;

    if (rd->skip) {
        return ngx_http_kafka_skip(ctx, rd);
    }

    len = ngx_min((size_t) (rd->last - rd->p),
                  rd->max + NGX_HTTP_KAFKA_BEYOND);

    rc = ngx_http_kafka_parse(rd, rd->p, len, 0, &err);

    if (rc == NGX_AGAIN) {
        return rc;
    }

    value.data = rd->p;
    value.len = rc == NGX_OK ? json_behind(&rd->parser) : err.offset;

    if (value.len > rd->max && rd->p + len < rd->last) {
        rd->skip = rd->p;
        rd->depth = 0;
        rd->quoted = 0;
        rd->escaped = 0;
        return NGX_OK;
    }

    if (rc != NGX_OK) {
        err.offset += rd->p - ctx->body.data;
        return ngx_http_kafka_not_json(ctx, &err, "");
    }

    rc = ngx_http_kafka_record(ctx, &value, &rd->doc, &rd->steps);

    rd->p += value.len;
    rd->expect = NGX_HTTP_KAFKA_COMMA;

    return rc;
}


/*
 * An element that is too large is refused, so only its end is looked for, and
 * no tokens are held.
 */
static ngx_int_t
ngx_http_kafka_skip(ngx_http_kafka_ctx_t *ctx, ngx_http_kafka_reader_t *rd)
{
    u_char        *end, *stop;
    ngx_str_t      value;
    json_error_t   err;

    stop = rd->skip + ngx_min(rd->last - rd->skip, ngx_http_kafka_turn_left);
    ngx_http_kafka_turn_left -= stop - rd->skip;

    end = ngx_http_kafka_skip_to(rd, stop);

    if (end == NULL && stop < rd->last) {
        return NGX_AGAIN;
    }

    if (end == NULL) {
        err.reason = "unexpected end of the text";
        err.offset = ctx->body.len;
        return ngx_http_kafka_not_json(ctx, &err, "");
    }

    value.data = rd->p;
    value.len = end - rd->p;

    rd->p = end;
    rd->skip = NULL;
    rd->expect = NGX_HTTP_KAFKA_COMMA;

    return ngx_http_kafka_record_large(ctx, &value);
}


/* The end of the value, or NULL: not before "stop". */
static u_char *
ngx_http_kafka_skip_to(ngx_http_kafka_reader_t *rd, u_char *stop)
{
    u_char  *p;

    for (p = rd->skip; p < stop; p++) {

        if (rd->escaped) {
            rd->escaped = 0;

        } else if (rd->quoted) {
            rd->escaped = *p == '\\';
            rd->quoted = *p != '"';

            if (*p == '"' && rd->depth == 0) {
                return p + 1;
            }

        } else if (*p == '"') {
            rd->quoted = 1;

        } else if (*p == '[' || *p == '{') {
            rd->depth++;

        } else if (rd->depth == 0
                   && (*p == ',' || *p == ']' || *p == '}'
                       || ngx_http_kafka_is_space(*p)))
        {
            return p;

        } else if ((*p == ']' || *p == '}') && --rd->depth == 0) {
            return p + 1;
        }
    }

    rd->skip = stop;

    return NULL;
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


/* NGX_OK; NGX_DECLINED with the error; NGX_AGAIN: the turn is over. */
static ngx_int_t
ngx_http_kafka_parse(ngx_http_kafka_reader_t *rd, u_char *text, size_t len,
    int alone, json_error_t *err)
{
    int  rc;

    if (!rd->parsing) {
        json_begin(&rd->parser, &rd->doc, (char *) text, len, alone);
    }

    rc = json_read(&rd->parser, &rd->doc, ngx_http_kafka_turn_left, err);

    if (rc == JSON_MORE) {
        rd->parsing = 1;
        ngx_http_kafka_turn_left = 0;
        return NGX_AGAIN;
    }

    /* an element's text goes on behind it */
    len = rc == JSON_READ ? json_behind(&rd->parser) : err->offset;

    rd->parsing = 0;
    ngx_http_kafka_turn_left -= len / NGX_HTTP_KAFKA_COST_BYTES
                                + rd->doc.count * NGX_HTTP_KAFKA_COST_TOKEN;

    return rc == JSON_READ ? NGX_OK : NGX_DECLINED;
}
