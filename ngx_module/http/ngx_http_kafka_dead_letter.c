/* Dead letters: bad records as they came, with the reason as headers. */

#include "http/ngx_http_kafka_dead_letter.h"
#include "http/ngx_http_kafka_headers.h"


#define NGX_HTTP_KAFKA_REASONS  5       /* headers of a dead letter */


static ngx_int_t ngx_http_kafka_bury(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_problem_t *problem, ngx_kafka_message_t *msg);
static ngx_kafka_header_t *ngx_http_kafka_reason(ngx_kafka_header_t *h,
    const char *name, u_char *value, size_t len);


ngx_int_t
ngx_http_kafka_dead_letters(ngx_http_kafka_ctx_t *ctx)
{
    ngx_uint_t              i;
    ngx_kafka_message_t    *msg, dead;
    ngx_kafka_producer_t   *kp;
    ngx_http_kafka_item_t  *item;

    if (ctx->conf->dead_letter.len == 0) {
        return NGX_OK;
    }

    kp = ctx->conf->producer->producer;
    item = ctx->items.elts;
    msg = ctx->messages.elts;

    for (i = 0; i < ctx->items.nelts; i++) {

        if (item[i].problem == NULL
            || item[i].problem->code == NGX_HTTP_KAFKA_LARGE)
        {
            continue;
        }

        dead = msg[i];

        if (ngx_http_kafka_bury(ctx, item[i].problem, &dead) != NGX_OK) {
            return NGX_DECLINED;
        }

        if (ngx_kafka_message_fault(kp, &dead) == NGX_KAFKA_FAULT_TIME) {
            dead.timestamp = 0;
        }

        if (ngx_kafka_message_fault(kp, &dead) != NGX_KAFKA_NO_FAULT) {
            /* that topic does not take it either: it stays refused */
            continue;
        }

        msg[i] = dead;
        item[i].dead = 1;
        item[i].state = NGX_HTTP_KAFKA_WAITING;
        ctx->invalid--;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_bury(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_problem_t *problem, ngx_kafka_message_t *msg)
{
    const char          *code;
    ngx_kafka_header_t  *h;

    h = ngx_http_kafka_more_headers(ctx->pool, msg,
                                    NGX_HTTP_KAFKA_REASONS);
    if (h == NULL) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    code = ngx_http_kafka_meaning(problem->code)->code;

    h = ngx_http_kafka_reason(h, "sluice-topic", ctx->topic->name.data,
                              ctx->topic->name.len);
    h = ngx_http_kafka_reason(h, "sluice-error", (u_char *) code,
                              ngx_strlen(code));
    h = ngx_http_kafka_reason(h, "sluice-detail", problem->detail.data,
                              problem->detail.len);

    if (problem->pointer) {
        h = ngx_http_kafka_reason(h, "sluice-pointer",
                                  (u_char *) problem->pointer,
                                  ngx_strlen(problem->pointer));
    }

    if (problem->keyword) {
        h = ngx_http_kafka_reason(h, "sluice-keyword",
                                  (u_char *) problem->keyword,
                                  ngx_strlen(problem->keyword));
    }

    msg->nheaders = h - msg->headers;
    msg->topic = ctx->conf->dead_index;
    msg->partition = RD_KAFKA_PARTITION_UA;

    return NGX_OK;
}


static ngx_kafka_header_t *
ngx_http_kafka_reason(ngx_kafka_header_t *h, const char *name, u_char *value,
    size_t len)
{
    h->name.data = (u_char *) name;
    h->name.len = ngx_strlen(name);
    h->value.data = value;
    h->value.len = len;

    return h + 1;
}


ngx_str_t *
ngx_http_kafka_dead_letter(ngx_http_kafka_ctx_t *ctx)
{
    ngx_kafka_topic_conf_t  *topic;

    topic = ctx->conf->producer->topics.elts;

    return &topic[ctx->conf->dead_index].name;
}
