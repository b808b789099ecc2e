/* Answers a request by what became of its records. */

#include "http/ngx_http_kafka_reply.h"
#include "http/ngx_http_kafka_dead_letter.h"
#include "http/ngx_http_kafka_headers.h"
#include "http/ngx_http_kafka_json.h"
#include "http/ngx_http_kafka_memory.h"
#include "http/ngx_http_kafka_outcome.h"
#include "http/ngx_http_kafka_problem.h"
#include "http/ngx_http_kafka_rest_reply.h"


#define NGX_HTTP_KAFKA_MULTI_STATUS  207     /* RFC 4918, section 13 */

/* bytes of the answer to a single record without its topic */
#define NGX_HTTP_KAFKA_KEPT_MAX      192

/* bytes of a result without its problem, and of one without texts */
#define NGX_HTTP_KAFKA_RESULT_MAX    160
#define NGX_HTTP_KAFKA_PROBLEM_MAX   384

/* bytes of Preference-Applied */
#define NGX_HTTP_KAFKA_APPLIED_MAX   48

/* bytes of a letter's place without its topic and texts */
#define NGX_HTTP_KAFKA_LETTER_MAX    192

/* bad records that an answer names */
#define NGX_HTTP_KAFKA_NAMED_MAX     100


static ngx_int_t ngx_http_kafka_reply_kept(ngx_http_kafka_ctx_t *ctx,
    ngx_uint_t status);
static ngx_int_t ngx_http_kafka_reply_batch(ngx_http_kafka_ctx_t *ctx,
    ngx_uint_t status);
static ngx_int_t ngx_http_kafka_reply_invalid(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_problem_t *first);
static ngx_int_t ngx_http_kafka_reply_refused(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_problem_t *letter, ngx_uint_t refused);
static ngx_int_t ngx_http_kafka_reply_failed(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_problem_t *first, ngx_uint_t possibly);
static ngx_int_t ngx_http_kafka_reply_results(ngx_http_kafka_ctx_t *ctx,
    ngx_uint_t invalid);
static ngx_int_t ngx_http_kafka_success(ngx_http_kafka_ctx_t *ctx,
    ngx_uint_t status, ngx_str_t *body);
static ngx_str_t ngx_http_kafka_results(ngx_http_kafka_ctx_t *ctx,
    ngx_pool_t *pool, ngx_str_t *topic, ngx_uint_t invalid);
static ngx_inline size_t ngx_http_kafka_result_size(
    ngx_http_kafka_item_t *item);
static ngx_inline u_char *ngx_http_kafka_result(u_char *p, u_char *last,
    ngx_http_kafka_item_t *item);
static ngx_uint_t ngx_http_kafka_pending(ngx_http_kafka_item_t *item);
static u_char *ngx_http_kafka_place(u_char *p, ngx_http_kafka_item_t *item);
static u_char *ngx_http_kafka_number(u_char *p, int64_t number);


static ngx_str_t  ngx_http_kafka_json_type = ngx_string("application/json");


ngx_int_t
ngx_http_kafka_reply(ngx_http_kafka_ctx_t *ctx)
{
    ngx_uint_t                 i, kept, sent, maybe, pending, refused;
    ngx_http_kafka_item_t     *item;
    ngx_http_kafka_problem_t  *first, *letter;

    item = ctx->items.elts;
    kept = 0;
    sent = 0;
    maybe = 0;
    pending = 0;
    refused = 0;
    first = NULL;
    letter = NULL;

    for (i = 0; i < ctx->items.nelts; i++) {

        switch (item[i].state) {

        case NGX_HTTP_KAFKA_KEPT:
            kept++;
            pending += ngx_http_kafka_pending(&item[i]);
            break;

        case NGX_HTTP_KAFKA_SENT:
            sent++;
            break;

        case NGX_HTTP_KAFKA_WAITING:
            /* good, but not sent: another record is bad */
            break;

        default:
            if (item[i].problem->letter) {
                letter = letter ? letter : item[i].problem;
                refused++;
                break;
            }

            first = first ? first : item[i].problem;
            maybe += item[i].problem->code == NGX_HTTP_KAFKA_MAYBE_DELIVERED
                     || item[i].problem->code == NGX_HTTP_KAFKA_NO_REPORT;
            break;
        }
    }

    if (ngx_http_kafka_preferences(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (first == NULL && refused == 0 && !(ctx->lenient && pending)) {
        return ngx_http_kafka_reply_kept(ctx, kept && !pending
                                              ? NGX_HTTP_OK
                                              : NGX_HTTP_ACCEPTED);
    }

    if (kept + sent + refused == 0 && ctx->invalid) {
        return ngx_http_kafka_reply_invalid(ctx, first);
    }

    if (ctx->lenient && kept + sent + refused) {
        return ngx_http_kafka_reply_kept(ctx, NGX_HTTP_KAFKA_MULTI_STATUS);
    }

    if (first == NULL) {
        return ngx_http_kafka_reply_refused(ctx, letter, refused);
    }

    return ngx_http_kafka_reply_failed(ctx, first,
                                       kept + sent + maybe + refused);
}


static ngx_int_t
ngx_http_kafka_reply_kept(ngx_http_kafka_ctx_t *ctx, ngx_uint_t status)
{
    u_char                 *p;
    ngx_str_t               body, *topic;
    ngx_http_kafka_item_t  *item;

    if (ctx->batch) {
        return ngx_http_kafka_reply_batch(ctx, status);
    }

    item = ctx->items.elts;
    topic = item->dead ? ngx_http_kafka_dead_letter(ctx) : &ctx->topic->name;

    /* a topic's name needs no escaping */

    body.data = ngx_pnalloc(ctx->request->pool,
                            NGX_HTTP_KAFKA_KEPT_MAX + topic->len);
    if (body.data == NULL) {
        return NGX_ERROR;
    }

    p = body.data;

    ngx_http_kafka_add(p, "{\"topic\":\"");
    p = ngx_cpymem(p, topic->data, topic->len);
    *p++ = '"';

    if (ctx->queued) {
        ngx_http_kafka_add(p, ",\"queued\":true");

    } else {
        p = ngx_http_kafka_place(p, item);
    }

    if (ngx_http_kafka_pending(item)) {
        ngx_http_kafka_add(p, ",\"persisted\":\"yes\"");
    }

    if (item->dead) {
        p = ngx_sprintf(p, ",\"dead_letter\":\"%s\"",
                        ngx_http_kafka_meaning(item->problem->code)->code);
    }

    ngx_http_kafka_add(p, "}\n");

    body.len = p - body.data;

    return ngx_http_kafka_success(ctx, status, &body);
}


static ngx_int_t
ngx_http_kafka_reply_batch(ngx_http_kafka_ctx_t *ctx, ngx_uint_t status)
{
    ngx_str_t  body;

    body = ngx_http_kafka_results(ctx, ctx->request->pool, &ctx->topic->name,
                                  0);

    return body.data ? ngx_http_kafka_success(ctx, status, &body) : NGX_ERROR;
}


/* Nothing was sent; the first bad record gives the status. */
static ngx_int_t
ngx_http_kafka_reply_invalid(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_problem_t *first)
{
    ngx_uint_t              i;
    ngx_http_kafka_item_t  *item;

    static ngx_str_t  none = ngx_null_string;

    if (!ctx->batch) {
        ctx->problem = *first;
        return ngx_http_kafka_reply_problem(ctx, NULL);
    }

    item = ctx->items.elts;

    for (i = 0; item[i].state != NGX_HTTP_KAFKA_FAILED; i++) { /* void */ }

    (void) ngx_http_kafka_detail(&ctx->problem, first->code,
                                 "%ui of %ui records are bad, the first at "
                                 "index %ui; none was kept.%s%V",
                                 ctx->invalid, ctx->items.nelts, i,
                                 ctx->rest && first->detail.len ? " " : "",
                                 ctx->rest ? &first->detail : &none);

    return ngx_http_kafka_reply_results(ctx, 1);
}


/* All is kept, but not all became rows. */
static ngx_int_t
ngx_http_kafka_reply_refused(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_problem_t *letter, ngx_uint_t refused)
{
    if (!ctx->batch) {
        ctx->problem = *letter;
        return ngx_http_kafka_reply_problem(ctx, NULL);
    }

    (void) ngx_http_kafka_detail(&ctx->problem, letter->code,
                                 "The database refused %ui of the %ui "
                                 "records; %s says which.", refused,
                                 ctx->items.nelts,
                                 ctx->rest ? "offsets" : "results");

    return ngx_http_kafka_reply_results(ctx, 0);
}


static ngx_int_t
ngx_http_kafka_reply_failed(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_problem_t *first, ngx_uint_t possibly)
{
    if (!ctx->batch) {
        ctx->problem = *first;
        return ngx_http_kafka_reply_problem(ctx, NULL);
    }

    (void) ngx_http_kafka_detail(&ctx->problem,
                                 possibly ? NGX_HTTP_KAFKA_MAYBE_DELIVERED
                                          : first->code,
                                 "Not all of the %ui records were kept; "
                                 "%s says which.", ctx->items.nelts,
                                 ctx->rest ? "offsets" : "results");

    return ngx_http_kafka_reply_results(ctx, 0);
}


/* The problem of a batch, with results[]. */
static ngx_int_t
ngx_http_kafka_reply_results(ngx_http_kafka_ctx_t *ctx, ngx_uint_t invalid)
{
    ngx_str_t  results;

    results = ngx_http_kafka_results(ctx, ctx->pool, NULL, invalid);

    return results.data ? ngx_http_kafka_reply_problem(ctx, &results)
                        : NGX_ERROR;
}


ngx_int_t
ngx_http_kafka_preferences(ngx_http_kafka_ctx_t *ctx)
{
    u_char       *p;
    ngx_str_t     value;
    ngx_uint_t    lenient;
    const char   *wish;

    static const char  *wishes[] = {
        [NGX_HTTP_KAFKA_DELIVERED] = "ack=delivered",
        [NGX_HTTP_KAFKA_QUEUED] = "ack=queued",
        [NGX_HTTP_KAFKA_CLIENT] = NULL,
        [NGX_HTTP_KAFKA_STORED] = "ack=stored"
    };

    wish = ctx->async ? "respond-async" : wishes[ctx->wish];

    /* a format that implies it needs no word */
    lenient = ctx->lenient && ctx->format != NGX_HTTP_KAFKA_REST_V3;

    if (wish == NULL && !lenient) {
        return NGX_OK;
    }

    p = ngx_pnalloc(ctx->request->pool, NGX_HTTP_KAFKA_APPLIED_MAX);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;
    value.len = ngx_sprintf(p, "%s%s%s", lenient ? "handling=lenient" : "",
                            lenient && wish ? ", " : "",
                            wish ? wish : "")
                - p;

    return ngx_http_kafka_header(ctx->request, "Preference-Applied", &value);
}


static ngx_int_t
ngx_http_kafka_success(ngx_http_kafka_ctx_t *ctx, ngx_uint_t status,
    ngx_str_t *body)
{
    ngx_str_t                  fixed, *type;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;
    ngx_http_complex_value_t  *response;

    r = ctx->request;

    /* only results[] tells what became of each */
    response = status == NGX_HTTP_KAFKA_MULTI_STATUS ? NULL
                                                     : ctx->conf->response;

    ngx_http_kafka_count(ctx,
                         status == NGX_HTTP_KAFKA_MULTI_STATUS
                         ? NGX_HTTP_KAFKA_COUNT_PARTLY
                         : status == NGX_HTTP_OK
                         ? ctx->stored ? NGX_HTTP_KAFKA_COUNT_STORED
                                       : NGX_HTTP_KAFKA_COUNT_KEPT
                         : ctx->stored ? NGX_HTTP_KAFKA_COUNT_PENDING
                                       : NGX_HTTP_KAFKA_COUNT_QUEUED);

    if (response && ngx_http_complex_value(r, response, &fixed) != NGX_OK) {
        return NGX_ERROR;
    }

    /* a 202 promises less, so it stays one */

    if (status == NGX_HTTP_OK && ctx->conf->response_status) {
        status = ctx->conf->response_status;
    }

    if (status == NGX_HTTP_NO_CONTENT) {
        body->len = 0;
    }

    if (ctx->heavy) {
        ngx_http_kafka_free_all(ctx);
    }

    if (ctx->rest) {
        /* its reports say what its status cannot */
        return ngx_http_kafka_send(r, status == NGX_HTTP_KAFKA_MULTI_STATUS
                                      ? NGX_HTTP_OK : status,
                                   ngx_http_kafka_rest_media(ctx), body);
    }

    if (response == NULL) {
        return ngx_http_kafka_send(r, status, &ngx_http_kafka_json_type, body);
    }

    /* "default_type" may say another one; nginx's own default is text/plain */

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    type = &clcf->default_type;

    if (type->len == sizeof("text/plain") - 1
        && ngx_strncmp(type->data, "text/plain", type->len) == 0)
    {
        type = &ngx_http_kafka_json_type;
    }

    return ngx_http_kafka_send(r, status, type, &fixed);
}


/*
 * "results":[…]: one a record, or with "invalid" the bad records only, with
 * their index.  With a topic it is the whole body.  In "pool"; data is NULL
 * when out of memory.
 */
static ngx_str_t
ngx_http_kafka_results(ngx_http_kafka_ctx_t *ctx, ngx_pool_t *pool,
    ngx_str_t *topic, ngx_uint_t invalid)
{
    u_char                 *p, *last;
    size_t                  size;
    ngx_str_t               out;
    ngx_uint_t              i, n, left;
    ngx_http_kafka_item_t  *item;

    if (ctx->rest) {
        return ngx_http_kafka_rest_reports(ctx, pool, topic != NULL, invalid);
    }

    item = ctx->items.elts;
    size = sizeof("{\"topic\":\"\",\"results\":[]}\n") - 1
           + (topic ? topic->len : 0);

    for (i = 0; i < ctx->items.nelts; i++) {
        size += ngx_http_kafka_result_size(&item[i]);
    }

    out.len = 0;
    out.data = ngx_pnalloc(pool, size);
    if (out.data == NULL) {
        return out;
    }

    p = out.data;
    last = p + size;

    if (topic) {
        p = ngx_slprintf(p, last, "{\"topic\":\"%V\",", topic);
    }

    ngx_http_kafka_add(p, "\"results\":[");

    n = 0;
    left = invalid ? NGX_HTTP_KAFKA_NAMED_MAX : ctx->items.nelts;

    for (i = 0; i < ctx->items.nelts && left; i++) {

        if (invalid && item[i].state != NGX_HTTP_KAFKA_FAILED) {
            continue;
        }

        if (n++) {
            *p++ = ',';
        }

        *p++ = '{';

        if (invalid) {
            p = ngx_slprintf(p, last, "\"index\":%ui,", i);
        }

        p = ngx_http_kafka_result(p, last, &item[i]);
        *p++ = '}';
        left--;
    }

    *p++ = ']';

    if (topic) {
        ngx_http_kafka_add(p, "}\n");
    }

    out.len = p - out.data;

    return out;
}


ngx_str_t
ngx_http_kafka_reply_lines(ngx_http_kafka_ctx_t *ctx, ngx_uint_t numbered)
{
    u_char                 *p, *last;
    size_t                  size;
    ngx_str_t               out;
    ngx_uint_t              i;
    ngx_http_kafka_item_t  *item;

    if (ctx->rest) {
        return ngx_http_kafka_rest_reports(ctx, ctx->pool, 1, 0);
    }

    item = ctx->items.elts;
    size = 0;

    for (i = 0; i < ctx->items.nelts; i++) {
        size += sizeof("{\"index\":,}\n") + NGX_INT_T_LEN
                + ngx_http_kafka_result_size(&item[i]);
    }

    out.len = 0;
    out.data = ngx_pnalloc(ctx->pool, size);
    if (out.data == NULL) {
        return out;
    }

    p = out.data;
    last = p + size;

    for (i = 0; i < ctx->items.nelts; i++) {
        *p++ = '{';

        if (numbered) {
            p = ngx_slprintf(p, last, "\"index\":%ui,", ctx->first + i);
        }

        p = ngx_http_kafka_result(p, last, &item[i]);
        ngx_http_kafka_add(p, "}\n");
    }

    out.len = p - out.data;

    return out;
}


static ngx_inline size_t
ngx_http_kafka_result_size(ngx_http_kafka_item_t *item)
{
    size_t                     len;
    ngx_http_kafka_problem_t  *problem;

    problem = item->problem;
    len = problem ? NGX_HTTP_KAFKA_PROBLEM_MAX : NGX_HTTP_KAFKA_RESULT_MAX;

    if (item->dead) {
        len += ngx_http_kafka_dead_letter(item->ctx)->len;
    }

    if (problem) {
        len += item->ctx->conf->problem_base.len;
        /* an escaped byte takes six at most */
        len += 6 * problem->detail.len;
        len += problem->pointer ? 6 * ngx_strlen(problem->pointer) : 0;
        len += problem->keyword ? ngx_strlen(problem->keyword) : 0;

        if (problem->letter) {
            len += NGX_HTTP_KAFKA_LETTER_MAX + problem->letter->topic->len
                   + 6 * (problem->letter->sqlstate.len
                          + problem->letter->reason.len);
        }
    }

    return len;
}


/* Whether the record is kept, and nobody knows what became of it. */
static ngx_uint_t
ngx_http_kafka_pending(ngx_http_kafka_item_t *item)
{
    return item->asked && item->stored == NGX_KAFKA_STORED_PENDING;
}


/* Adds where a kept record is, and is stored, in 130 bytes at most. */
static u_char *
ngx_http_kafka_place(u_char *p, ngx_http_kafka_item_t *item)
{
    ngx_http_kafka_add(p, ",\"partition\":");
    p = ngx_http_kafka_number(p, item->partition);

    ngx_http_kafka_add(p, ",\"offset\":");
    p = ngx_http_kafka_number(p, item->offset);

    ngx_http_kafka_add(p, ",\"timestamp\":");
    p = ngx_http_kafka_number(p, item->timestamp);

    if (!item->asked) {
        return p;
    }

    return ngx_sprintf(p, ",\"stored\":\"%s\"",
                       ngx_http_kafka_stored(item->stored));
}


/*
 * ngx_sprintf() takes twenty times as long.  All of NGX_INT64_LEN bytes are
 * written, which takes an instruction or two.
 */
static u_char *
ngx_http_kafka_number(u_char *p, int64_t number)
{
    u_char    buf[2 * NGX_INT64_LEN], *digit, *end;
    uint64_t  n;

    static const char  pairs[] =
        "00010203040506070809101112131415161718192021222324"
        "25262728293031323334353637383940414243444546474849"
        "50515253545556575859606162636465666768697071727374"
        "75767778798081828384858687888990919293949596979899";

    n = number < 0 ? 0 - (uint64_t) number : (uint64_t) number;

    if (number < 0) {
        *p++ = '-';
    }

    end = buf + NGX_INT64_LEN;
    digit = end;

    while (n >= 10) {
        digit -= 2;
        ngx_memcpy(digit, &pairs[n % 100 * 2], 2);
        n /= 100;
    }

    if (n || digit == end) {
        *--digit = (u_char) ('0' + n);
    }

    ngx_memcpy(p, digit, NGX_INT64_LEN);

    return p + (end - digit);
}


static ngx_inline u_char *
ngx_http_kafka_result(u_char *p, u_char *last, ngx_http_kafka_item_t *item)
{
    const ngx_http_kafka_meaning_t  *m;

    m = item->problem ? ngx_http_kafka_meaning(item->problem->code) : NULL;

    switch (item->state) {

    case NGX_HTTP_KAFKA_KEPT:
        if (ngx_http_kafka_pending(item)) {
            ngx_http_kafka_add(p, "\"status\":202,\"persisted\":\"yes\"");

        } else {
            ngx_http_kafka_add(p, "\"status\":200,\"persisted\":\"yes\"");
        }

        p = ngx_http_kafka_place(p, item);
        break;

    case NGX_HTTP_KAFKA_SENT:
        p = ngx_slprintf(p, last, "\"status\":202,\"persisted\":\"possibly\"");
        break;

    default:
        p = ngx_slprintf(p, last, "\"status\":%ui,\"persisted\":\"%s\"",
                         m->status, m->persisted);
        break;
    }

    if (item->dead) {
        p = ngx_slprintf(p, last, ",\"topic\":\"%V\"",
                         ngx_http_kafka_dead_letter(item->ctx));
    }

    if (m) {
        *p++ = ',';
        p = ngx_http_kafka_problem_type(p, last,
                                        &item->ctx->conf->problem_base,
                                        item->problem->code);
        p = ngx_http_kafka_problem_members(p, last, item->problem);
    }

    return p;
}
