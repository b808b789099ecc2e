/* What became of each record of a batch, in the order it was sent. */

#include "http/ngx_http_kafka_module.h"


/* bytes of a result beside its texts: fixed members and numbers */
#define NGX_HTTP_KAFKA_RESULT_MAX  384

/* of bad records, as many are named */
#define NGX_HTTP_KAFKA_NAMED_MAX   100


static size_t ngx_http_kafka_result_size(ngx_http_kafka_item_t *item);
static u_char *ngx_http_kafka_result(u_char *p, u_char *last,
    ngx_http_kafka_item_t *item);
static u_char *ngx_http_kafka_number(u_char *p, int64_t number);


ngx_str_t
ngx_http_kafka_results(ngx_http_kafka_ctx_t *ctx, ngx_uint_t invalid)
{
    u_char                 *p, *last;
    size_t                  size;
    ngx_str_t               out;
    ngx_uint_t              i, n, left;
    ngx_http_kafka_item_t  *item;

    item = ctx->items.elts;
    size = sizeof("\"results\":[]") - 1;

    for (i = 0; i < ctx->items.nelts; i++) {
        size += ngx_http_kafka_result_size(&item[i]);
    }

    out.len = 0;
    out.data = ngx_pnalloc(ctx->request->pool, size);
    if (out.data == NULL) {
        return out;
    }

    last = out.data + size;
    p = ngx_slprintf(out.data, last, "\"results\":[");

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

    out.len = p - out.data;

    return out;
}


static size_t
ngx_http_kafka_result_size(ngx_http_kafka_item_t *item)
{
    size_t                     len;
    ngx_http_kafka_problem_t  *problem;

    len = NGX_HTTP_KAFKA_RESULT_MAX;
    problem = item->problem;

    if (item->dead) {
        len += ngx_http_kafka_dead_letter(item->ctx)->len;
    }

    if (problem) {
        /* a byte takes six at most once it is escaped */
        len += 6 * problem->detail.len;
        len += problem->pointer ? 6 * ngx_strlen(problem->pointer) : 0;
        len += problem->keyword ? ngx_strlen(problem->keyword) : 0;
    }

    return len;
}


u_char *
ngx_http_kafka_place(u_char *p, ngx_http_kafka_item_t *item)
{
    ngx_http_kafka_add(p, ",\"partition\":");
    p = ngx_http_kafka_number(p, item->partition);

    ngx_http_kafka_add(p, ",\"offset\":");
    p = ngx_http_kafka_number(p, item->offset);

    ngx_http_kafka_add(p, ",\"timestamp\":");

    return ngx_http_kafka_number(p, item->timestamp);
}


/* ngx_sprintf() takes ten times as long, once for each record. */
static u_char *
ngx_http_kafka_number(u_char *p, int64_t number)
{
    u_char    buf[NGX_INT64_LEN], *digit;
    uint64_t  n;

    n = number < 0 ? 0 - (uint64_t) number : (uint64_t) number;

    if (number < 0) {
        *p++ = '-';
    }

    digit = buf + sizeof(buf);

    do {
        *--digit = (u_char) ('0' + n % 10);
        n /= 10;
    } while (n);

    return ngx_cpymem(p, digit, buf + sizeof(buf) - digit);
}


static u_char *
ngx_http_kafka_result(u_char *p, u_char *last, ngx_http_kafka_item_t *item)
{
    const ngx_http_kafka_meaning_t  *m;

    m = item->problem ? ngx_http_kafka_meaning(item->problem->code) : NULL;

    switch (item->state) {

    case NGX_HTTP_KAFKA_KEPT:
        ngx_http_kafka_add(p, "\"status\":200,\"persisted\":\"yes\"");
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
        p = ngx_slprintf(p, last, ",\"type\":\"urn:sluice:problem:%s\"",
                         m->code);
        p = ngx_http_kafka_members(p, last, item->problem);
    }

    return p;
}
