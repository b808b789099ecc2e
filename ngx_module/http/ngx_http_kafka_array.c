/*
 * Finds the records of a JSON array, with "kafka_batch_field" inside an
 * object.  What stands around the array is read value by value and left out.
 */

#include "http/ngx_http_kafka_array.h"
#include "http/ngx_http_kafka_records.h"


/* Events in a batch have no object around them. */
#define ngx_http_kafka_batch_field(ctx)                                       \
    ((ctx)->format == NGX_HTTP_KAFKA_ARRAY ? (ctx)->conf->batch_field : NULL)


static ngx_int_t ngx_http_kafka_array_at(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd);
static ngx_int_t ngx_http_kafka_array_open(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd, u_char c);
static ngx_int_t ngx_http_kafka_array_end(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd);
static ngx_int_t ngx_http_kafka_array_wrong(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd);
static ngx_int_t ngx_http_kafka_array_absent(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_element(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd);
static ngx_int_t ngx_http_kafka_member_name(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd);
static ngx_int_t ngx_http_kafka_member_value(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd);
static ngx_int_t ngx_http_kafka_beside(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd);
static ngx_int_t ngx_http_kafka_skip(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd);
static u_char *ngx_http_kafka_skip_to(ngx_http_kafka_reader_t *rd,
    u_char *stop);


/*
 * Each element is read by itself, so that the tokens of one are held, and the
 * record that is one too many ends it.
 */
ngx_int_t
ngx_http_kafka_array(ngx_http_kafka_ctx_t *ctx, ngx_http_kafka_reader_t *rd)
{
    ngx_int_t  rc;

    if (ctx->body.len == 0) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_EMPTY);
    }

    for ( ;; ) {

        if (ngx_http_kafka_turn_left <= 0) {
            return NGX_AGAIN;
        }

        if (!ngx_http_kafka_blanks(rd)) {
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
    u_char  c;

    c = rd->p < rd->last ? *rd->p : '\0';

    switch (rd->expect) {

    case NGX_HTTP_KAFKA_OPEN:
        return ngx_http_kafka_array_open(ctx, rd, c);

    case NGX_HTTP_KAFKA_FIRST_ELEMENT:
    case NGX_HTTP_KAFKA_COMMA:

        if (c == ']') {
            rd->found = 1;
            return ngx_http_kafka_array_end(ctx, rd);
        }

        if (rd->expect == NGX_HTTP_KAFKA_FIRST_ELEMENT) {
            return ngx_http_kafka_element(ctx, rd);
        }

        break;

    case NGX_HTTP_KAFKA_ELEMENT:
        return ngx_http_kafka_element(ctx, rd);

    case NGX_HTTP_KAFKA_FIRST_NAME:
    case NGX_HTTP_KAFKA_NEXT_MEMBER:

        if (c == '}') {
            rd->level--;
            return ngx_http_kafka_array_end(ctx, rd);
        }

        if (rd->expect == NGX_HTTP_KAFKA_FIRST_NAME) {
            return ngx_http_kafka_member_name(ctx, rd);
        }

        break;

    case NGX_HTTP_KAFKA_NAME:
        return ngx_http_kafka_member_name(ctx, rd);

    case NGX_HTTP_KAFKA_COLON:

        if (c == ':') {
            rd->expect = rd->ours ? NGX_HTTP_KAFKA_OPEN
                                  : NGX_HTTP_KAFKA_MEMBER;
            rd->p++;
            return NGX_OK;
        }

        break;

    case NGX_HTTP_KAFKA_MEMBER:
        return ngx_http_kafka_member_value(ctx, rd);

    default:
        break;
    }

    if (c == ',' && rd->expect == NGX_HTTP_KAFKA_COMMA) {
        rd->expect = NGX_HTTP_KAFKA_ELEMENT;

    } else if (c == ',' && rd->expect == NGX_HTTP_KAFKA_NEXT_MEMBER) {
        rd->expect = NGX_HTTP_KAFKA_NAME;

    } else {
        return ngx_http_kafka_array_wrong(ctx, rd);
    }

    rd->p++;

    return NGX_OK;
}


/* The array begins, or an object on the way to it. */
static ngx_int_t
ngx_http_kafka_array_open(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd, u_char c)
{
    json_pointer_t  *field;

    field = ngx_http_kafka_batch_field(ctx);

    if (field && rd->level < json_pointer_count(field)) {

        if (c != '{') {
            return ngx_http_kafka_array_absent(ctx);
        }

        rd->seen &= ~((uint64_t) 1 << rd->level++);
        rd->expect = NGX_HTTP_KAFKA_FIRST_NAME;

    } else if (c == '[') {
        rd->expect = NGX_HTTP_KAFKA_FIRST_ELEMENT;

    } else {
        return ngx_http_kafka_array_absent(ctx);
    }

    rd->p++;

    return NGX_OK;
}


/* Behind the array, or an object around it. */
static ngx_int_t
ngx_http_kafka_array_end(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd)
{
    rd->p++;

    if (rd->level) {
        rd->expect = NGX_HTTP_KAFKA_NEXT_MEMBER;
        return NGX_OK;
    }

    rd->expect = NGX_HTTP_KAFKA_CLOSED;

    return rd->found ? NGX_OK : ngx_http_kafka_array_absent(ctx);
}


static ngx_int_t
ngx_http_kafka_array_wrong(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd)
{
    json_error_t  err;

    err.reason = rd->expect == NGX_HTTP_KAFKA_CLOSED
                 ? "bytes behind the value"
                 : rd->p == rd->last ? "unexpected end of the text"
                                     : "unexpected character";
    err.offset = rd->p - ctx->body.data;

    return ngx_http_kafka_not_json(ctx, &err, "");
}


static ngx_int_t
ngx_http_kafka_array_absent(ngx_http_kafka_ctx_t *ctx)
{
    if (ngx_http_kafka_batch_field(ctx) == NULL) {
        return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_NOT_JSON,
                                     "The body is not a JSON array of "
                                     "records.");
    }

    (void) ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_NOT_JSON,
                                 "There is no JSON array of records at "
                                 "\"%V\".", &ctx->conf->batch_text);

    ctx->problem.pointer = (char *) ctx->conf->batch_text.data;

    return NGX_DECLINED;
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


/* A member's name; "seen" finds the one that would have two arrays. */
static ngx_int_t
ngx_http_kafka_member_name(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd)
{
    size_t         len;
    uint32_t       index;
    uint64_t       bit;
    ngx_int_t      rc;
    const char    *name;
    json_error_t   err;

    if (rd->p == rd->last || *rd->p != '"') {
        return ngx_http_kafka_array_wrong(ctx, rd);
    }

    rc = ngx_http_kafka_beside(ctx, rd);

    if (rc != NGX_OK) {
        return rc;
    }

    name = json_pointer_ref(ctx->conf->batch_field, rd->level - 1, &len,
                            &index);
    bit = (uint64_t) 1 << (rd->level - 1);
    rd->ours = json_equals(&rd->doc, 0, name, len) != 0;

    if (rd->ours && (rd->seen & bit)) {
        err.reason = "duplicate member";
        err.offset = rd->p - ctx->body.data;
        return ngx_http_kafka_not_json(ctx, &err, "");
    }

    if (rd->ours) {
        rd->seen |= bit;
    }

    rd->p += json_behind(&rd->parser);
    rd->expect = NGX_HTTP_KAFKA_COLON;

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_member_value(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd)
{
    ngx_int_t  rc;

    rc = ngx_http_kafka_beside(ctx, rd);

    if (rc == NGX_OK) {
        rd->p += json_behind(&rd->parser);
        rd->expect = NGX_HTTP_KAFKA_NEXT_MEMBER;
    }

    return rc;
}


/* Reads a value beside the array, of a record's size at most. */
static ngx_int_t
ngx_http_kafka_beside(ngx_http_kafka_ctx_t *ctx, ngx_http_kafka_reader_t *rd)
{
    size_t        len;
    ngx_int_t     rc;
    json_error_t  err;

    len = ngx_min((size_t) (rd->last - rd->p),
                  rd->max + NGX_HTTP_KAFKA_BEYOND);

    rc = ngx_http_kafka_parse(rd, rd->p, len, 0, &err);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (err.offset > rd->max && rd->p + len < rd->last) {
        return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_LARGE,
                                     "A value beside \"%V\" is larger than "
                                     "%uz bytes.", &ctx->conf->batch_text,
                                     rd->max);
    }

    err.offset += rd->p - ctx->body.data;

    return ngx_http_kafka_not_json(ctx, &err, "");
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
