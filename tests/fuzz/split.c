/*
 * libFuzzer target of the splitters of bodies into records.  Input: the
 * format (lowest 3 bits of byte 0), whether each record needs a key, whether
 * an array is at "/a/b", whether the format is one of REST Proxy's instead (the
 * next bits), then the body.
 */

#include <ctype.h>

#include "fuzz.h"
#include "http/ngx_http_kafka_cut.h"
#include "http/ngx_http_kafka_rest.h"
#include "http/ngx_http_kafka_split.h"


#define MAX_RECORDS  64
#define MAX_PIECES   512       /* bytes of a body that is cut everywhere */
#define LIMIT        4096      /* bytes of the largest record */


/* What the splitters need of nginx and of the module. */

ngx_int_t  ngx_http_kafka_turn_left;


void *
ngx_pnalloc(ngx_pool_t *pool, size_t size)
{
    ngx_pool_large_t  *large;

    large = malloc(sizeof(ngx_pool_large_t));
    large->alloc = malloc(size + (size == 0));
    large->next = pool->large;
    pool->large = large;

    return large->alloc;
}


void *
ngx_palloc(ngx_pool_t *pool, size_t size)
{
    return ngx_pnalloc(pool, size);
}


void *
ngx_array_push(ngx_array_t *a)
{
    void  *elts;

    if (a->nelts == a->nalloc) {
        elts = ngx_pnalloc(a->pool, 2 * a->nalloc * a->size);
        memcpy(elts, a->elts, a->nelts * a->size);
        a->elts = elts;
        a->nalloc *= 2;
    }

    return (u_char *) a->elts + a->nelts++ * a->size;
}


ngx_pool_cleanup_t *
ngx_pool_cleanup_add(ngx_pool_t *pool, size_t size)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_palloc(pool, sizeof(ngx_pool_cleanup_t));
    cln->next = pool->cleanup;
    pool->cleanup = cln;

    return cln;
}


u_char *
ngx_vslprintf(u_char *buf, u_char *last, const char *fmt, va_list args)
{
    for ( /* void */ ; *fmt && buf < last; fmt++) {
        *buf++ = (u_char) *fmt;
    }

    return buf;
}


u_char * ngx_cdecl
ngx_sprintf(u_char *buf, const char *fmt, ...)
{
    return ngx_vslprintf(buf, buf + strlen(fmt), fmt, NULL);
}


ngx_int_t
ngx_strncasecmp(u_char *s1, u_char *s2, size_t n)
{
    return strncasecmp((char *) s1, (char *) s2, n);
}


ngx_int_t
ngx_atoi(u_char *line, size_t n)
{
    ngx_int_t  value;

    value = 0;

    for (size_t i = 0; i < n; i++) {
        if (line[i] < '0' || line[i] > '9' || i > 17) {
            return NGX_ERROR;
        }

        value = value * 10 + line[i] - '0';
    }

    return n ? value : NGX_ERROR;
}


ngx_int_t
ngx_hextoi(u_char *line, size_t n)
{
    ngx_int_t  value;

    value = 0;

    for (size_t i = 0; i < n; i++) {
        value = value * 16 + json_hex(line[i]);
    }

    return value;
}


/* An alphabet of its own: what is decoded matters less than its length. */

ngx_int_t
ngx_decode_base64(ngx_str_t *dst, ngx_str_t *src)
{
    dst->len = 0;

    for (size_t i = 0; i < src->len; i++) {
        if (!isalnum(src->data[i])) {
            return NGX_ERROR;
        }

        if (i % 4) {
            dst->data[dst->len++] = src->data[i];
        }
    }

    return src->len % 4 == 1 ? NGX_ERROR : NGX_OK;
}


size_t
ngx_kafka_value_max(ngx_kafka_producer_t *kp, ngx_uint_t topic)
{
    return LIMIT;
}


ngx_kafka_fault_e
ngx_kafka_message_fault(ngx_kafka_producer_t *kp,
    const ngx_kafka_message_t *msg)
{
    return msg->value.len + msg->key.len <= LIMIT ? NGX_KAFKA_NO_FAULT
                                                  : NGX_KAFKA_FAULT_SIZE;
}


/* A batch's records lie in the body, one behind the other. */

static void
check_places(ngx_http_kafka_ctx_t *ctx, ngx_str_t *body)
{
    u_char               *last;
    ngx_uint_t            i;
    ngx_kafka_message_t  *msg;

    msg = ctx->messages.elts;
    last = body->data;

    for (i = 0; i < ctx->messages.nelts; i++) {
        demand(msg[i].value.len == 0
               || (msg[i].value.data >= last
                   && msg[i].value.data + msg[i].value.len
                      <= body->data + body->len),
               "a record is a part of the body, behind the one before");
        last = msg[i].value.data + msg[i].value.len;
    }
}


/* Each record by itself is what the splitter says of it. */

static void
check_records(ngx_http_kafka_ctx_t *ctx, ngx_uint_t key)
{
    char                   *text;
    json_error_t            err;
    ngx_uint_t              i, bad, is_json, reads;
    ngx_kafka_message_t    *msg;
    ngx_http_kafka_item_t  *item;

    static json_doc_t  doc;

    item = ctx->items.elts;
    msg = ctx->messages.elts;
    bad = 0;

    reads = key || (ctx->format != NGX_HTTP_KAFKA_RAW
                    && ctx->format != NGX_HTTP_KAFKA_CE_BINARY);

    for (i = 0; i < ctx->items.nelts; i++) {
        bad += item[i].problem != NULL;

        if (!reads) {
            continue;
        }

        text = copy((char *) msg[i].value.data, msg[i].value.len, "", "");
        is_json = json_parse(&doc, text, msg[i].value.len, &err) == 0;

        demand(is_json || item[i].problem, "what is taken is JSON");
        demand(!is_json || item[i].problem == NULL
               || item[i].problem->code != NGX_HTTP_KAFKA_NOT_JSON,
               "what is JSON is not called another thing");
        free(text);
    }

    demand(bad == ctx->invalid, "the bad ones are counted");
    demand(ctx->items.nelts == ctx->messages.nelts, "a message a record");
}


/* The same found in another way: a record a line that is not empty. */

static void
check_lines(ngx_http_kafka_ctx_t *ctx, ngx_str_t *body)
{
    size_t      len;
    u_char     *p, *end, *last;
    ngx_uint_t  n;

    n = 0;
    p = body->data;
    last = p + body->len;

    while (p < last) {
        end = memchr(p, '\n', last - p);
        end = end ? end : last;
        len = end - p;
        n += len > 1 || (len == 1 && *p != '\r');
        p = end + 1;
    }

    demand(n == ctx->items.nelts, "a record a line");
}


/* The values of an array, with all that lies between them. */

static void
check_array(ngx_http_kafka_ctx_t *ctx, ngx_str_t *body)
{
    u_char               *p, *end;
    ngx_uint_t            i, commas;
    ngx_kafka_message_t  *msg;

    msg = ctx->messages.elts;
    p = memchr(body->data, '[', body->len);
    p++;

    for (i = 0; i <= ctx->messages.nelts; i++) {
        end = i < ctx->messages.nelts ? msg[i].value.data
                                      : body->data + body->len;

        for (commas = 0; p < end; p++) {
            commas += *p == ',';
            demand(strchr(" \t\r\n,]", *p) != NULL, "no byte is left out");
        }

        demand(commas == (i > 0 && i < ctx->messages.nelts), "one comma");

        p = i < ctx->messages.nelts ? end + msg[i].value.len : end;
    }
}


/* The body as a whole, where it fits the reader: the same elements. */

static void
check_field(ngx_http_kafka_ctx_t *ctx, ngx_str_t *body)
{
    uint32_t              array, t;
    ngx_uint_t            i;
    json_error_t          err;
    ngx_kafka_message_t  *msg;

    static json_doc_t  doc;

    if (json_parse(&doc, (char *) body->data, body->len, &err) != 0) {
        /* a name is there twice beside the array, or a limit is reached */
        return;
    }

    msg = ctx->messages.elts;
    array = json_find(&doc, 0, ctx->conf->batch_field);
    demand(array != JSON_NONE && doc.tokens[array].type == JSON_ARRAY,
           "there is an array");

    t = array + 1;

    for (i = 0; i < ctx->messages.nelts; i++) {
        demand(t < doc.tokens[array].next
               && msg[i].value.data
                  == body->data + doc.tokens[t].start
                     - (doc.tokens[t].type == JSON_STRING),
               "an element is a record");
        t = doc.tokens[t].next;
    }

    demand(t == doc.tokens[array].next, "all elements are records");
}


/* What is taken out of envelopes: the bytes can be read, keys are short. */

static void
check_envelopes(ngx_http_kafka_ctx_t *ctx)
{
    ngx_uint_t              i, j;
    ngx_kafka_message_t    *msg;
    ngx_http_kafka_item_t  *item;

    volatile uint8_t        sum;

    item = ctx->items.elts;
    msg = ctx->messages.elts;
    sum = 0;

    for (i = 0; i < ctx->messages.nelts; i++) {

        for (j = 0; j < msg[i].value.len; j++) {
            sum ^= msg[i].value.data[j];
        }

        for (j = 0; j < msg[i].key.len; j++) {
            sum ^= msg[i].key.data[j];
        }

        demand(item[i].problem || msg[i].value.data || msg[i].key.data,
               "a record without a value has a key");
        demand(item[i].problem || msg[i].timestamp >= 0,
               "a time is none or good");
        demand(msg[i].key.len <= ctx->body.len, "a key does not grow");
    }

    (void) sum;

    demand(ctx->items.nelts == ctx->messages.nelts, "a message a record");
}


static void
set_rest(ngx_http_kafka_ctx_t *ctx, ngx_http_kafka_rest_t *rest,
    ngx_uint_t kind)
{
    static const ngx_uint_t  types[] = {
        NGX_HTTP_KAFKA_REST_JSON, NGX_HTTP_KAFKA_REST_BINARY,
        NGX_HTTP_KAFKA_REST_NONE, NGX_HTTP_KAFKA_REST_NONE
    };

    memset(rest, 0, sizeof(*rest));

    rest->type = types[kind];
    rest->version = kind < 2 ? 2 : 3;

    ctx->rest = rest;
    ctx->format = kind < 2 ? NGX_HTTP_KAFKA_REST_V2 : NGX_HTTP_KAFKA_REST_V3;
    ctx->batch = 1;
}


static void
free_pool(ngx_pool_t *pool)
{
    ngx_pool_large_t    *large, *next;
    ngx_pool_cleanup_t  *cln;

    for (cln = pool->cleanup; cln; cln = cln->next) {
        cln->handler(cln->data);
    }

    for (large = pool->large; large; large = next) {
        next = large->next;
        free(large->alloc);
        free(large);
    }
}


/* What a format's own splitter has to have found. */

static void
check_split(ngx_http_kafka_ctx_t *ctx, ngx_str_t *body)
{
    if (ctx->format == NGX_HTTP_KAFKA_NDJSON) {
        check_lines(ctx, body);
    }

    if (ctx->format == NGX_HTTP_KAFKA_ARRAY && ctx->conf->batch_field) {
        check_field(ctx, body);

    } else if (ctx->format == NGX_HTTP_KAFKA_ARRAY
               || ctx->format == NGX_HTTP_KAFKA_CE_BATCH)
    {
        check_array(ctx, body);
    }
}


/* In turns of all lengths, the shortest of which do nothing. */

static ngx_int_t
split(ngx_http_kafka_ctx_t *ctx)
{
    ngx_int_t  rc, turn;

    turn = 3 * ctx->body.len % 64;

    do {
        turn = (turn * 5 + 7) % 64;
        ngx_http_kafka_turn_left = turn;
        rc = ngx_http_kafka_split(ctx);
    } while (rc == NGX_AGAIN);

    demand(ctx->reader == NULL, "nothing is read any more");

    return rc;
}


static void
check_outcome(ngx_http_kafka_ctx_t *ctx, ngx_int_t rc)
{
    demand(ctx->items.nelts <= MAX_RECORDS, "the number is bounded");

    if (rc == NGX_OK) {
        demand(ctx->items.nelts > 0, "there is a record");

        if (ctx->rest) {
            check_envelopes(ctx);

        } else {
            check_places(ctx, &ctx->body);
            check_records(ctx, ctx->conf->key_field != NULL);
            check_split(ctx, &ctx->body);
        }

    } else {
        demand(ctx->problem.code == NGX_HTTP_KAFKA_EMPTY
               || ctx->problem.code == NGX_HTTP_KAFKA_NO_RECORDS
               || ctx->problem.code == NGX_HTTP_KAFKA_MANY
               || ctx->problem.code == NGX_HTTP_KAFKA_NOT_JSON
               || (ctx->problem.code == NGX_HTTP_KAFKA_LARGE
                   && ctx->conf->batch_field),
               "a refusal has its reason");
    }
}


/*
 * A stream's records end where they end in the whole body, wherever a piece of
 * it ends: "at", or nowhere.  Sets the ends, and returns their number.
 */

static ngx_uint_t
cut(ngx_str_t *body, ngx_uint_t texts, size_t at, size_t *ends)
{
    u_char                *p, *last, *before;
    ngx_uint_t             n;
    ngx_http_kafka_cut_e   rc;
    ngx_http_kafka_cut_t   state;

    memset(&state, 0, sizeof(state));
    state.texts = texts;

    p = body->data;
    last = body->data + at;
    n = 0;

    while (p < body->data + body->len) {

        if (p == last) {
            last = body->data + body->len;
        }

        before = p;
        rc = ngx_http_kafka_cut(&state, &p, last);

        if (rc == NGX_HTTP_KAFKA_CUT_BROKEN) {
            demand(p == before, "it stops before what is broken");
            break;
        }

        demand(p > before && p <= last, "each call takes something");
        demand(rc != NGX_HTTP_KAFKA_CUT_MORE || p == last,
               "a record goes on to the end of the piece");

        if (rc == NGX_HTTP_KAFKA_CUT_RECORD) {
            ends[n++] = p - body->data;
        }
    }

    ends[n] = p - body->data;

    return n + ngx_http_kafka_cut_open(&state);
}


static void
check_pieces(ngx_http_kafka_ctx_t *ctx, ngx_str_t *body)
{
    size_t      at;
    ngx_uint_t  n, texts;

    static size_t  whole[MAX_PIECES + 1], pieces[MAX_PIECES + 1];

    for (texts = 0; texts < 2 && body->len <= MAX_PIECES; texts++) {
        n = cut(body, texts, body->len, whole);

        demand(texts || ctx->format != NGX_HTTP_KAFKA_NDJSON
               || ctx->items.nelts == MAX_RECORDS || n == ctx->items.nelts,
               "a stream has the same lines");

        for (at = 0; at < body->len; at++) {
            memset(pieces, 0, sizeof(pieces));
            demand(cut(body, texts, at, pieces) == n
                   && memcmp(whole, pieces, n * sizeof(size_t)) == 0,
                   "the pieces have the records of the whole");
        }
    }
}


static json_pointer_t *
pointer(const char *text)
{
    const char      *reason;
    json_pointer_t  *compiled;

    compiled = json_pointer_compile(text, strlen(text), &reason);
    demand(compiled != NULL, "a pointer is compiled");

    return compiled;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ngx_int_t                   rc;
    ngx_str_t                   body;
    ngx_pool_t                  pool;
    ngx_kafka_conf_t            producer;
    ngx_http_request_t          r;
    ngx_kafka_topic_conf_t      topic;
    ngx_http_kafka_ctx_t        ctx;
    ngx_http_kafka_loc_conf_t   klcf;

    ngx_http_kafka_rest_t       rest;

    static json_pointer_t      *key, *batch;     /* compiled once */
    static const ngx_uint_t     formats[] = {
        NGX_HTTP_KAFKA_RAW, NGX_HTTP_KAFKA_JSON, NGX_HTTP_KAFKA_NDJSON,
        NGX_HTTP_KAFKA_ARRAY, NGX_HTTP_KAFKA_GUESS, NGX_HTTP_KAFKA_CE_BINARY,
        NGX_HTTP_KAFKA_CE_JSON, NGX_HTTP_KAFKA_CE_BATCH
    };

    if (size == 0) {
        return 0;
    }

    if (key == NULL) {
        key = pointer("/k");
        batch = pointer("/a/b");
    }

    memset(&pool, 0, sizeof(pool));
    memset(&producer, 0, sizeof(producer));
    memset(&r, 0, sizeof(r));
    memset(&topic, 0, sizeof(topic));
    memset(&ctx, 0, sizeof(ctx));
    memset(&klcf, 0, sizeof(klcf));

    klcf.producer = &producer;
    klcf.max_records = MAX_RECORDS;
    klcf.key_field = data[0] & 8 ? key : NULL;
    klcf.batch_field = data[0] & 16 ? batch : NULL;
    ngx_str_set(&klcf.batch_text, "/a/b");
    r.pool = &pool;

    ctx.request = &r;
    ctx.conf = &klcf;
    ctx.pool = &pool;
    ctx.problem.pool = &pool;
    ctx.problem.code = NGX_HTTP_KAFKA_NO_ERROR;
    ctx.topic = &topic;
    ctx.format = formats[data[0] & 7];
    ctx.batch = ctx.format == NGX_HTTP_KAFKA_NDJSON
                || ctx.format == NGX_HTTP_KAFKA_ARRAY
                || ctx.format == NGX_HTTP_KAFKA_CE_BATCH;

    if (data[0] & 32) {
        set_rest(&ctx, &rest, data[0] & 3);
    }

    body.len = size - 1;
    body.data = (u_char *) copy((const char *) data + 1, body.len, "", "");

    ctx.body = body;
    rc = split(&ctx);

    check_outcome(&ctx, rc);
    check_pieces(&ctx, &body);

    free_pool(&pool);
    free(body.data);

    return 0;
}
