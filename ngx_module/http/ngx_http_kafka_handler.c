/* What happens to a request: checked, produced, suspended, answered. */

#include "http/ngx_http_kafka_handler.h"
#include "http/ngx_http_kafka_body.h"
#include "http/ngx_http_kafka_dead_letter.h"
#include "http/ngx_http_kafka_headers.h"
#include "http/ngx_http_kafka_memory.h"
#include "http/ngx_http_kafka_outcome.h"
#include "http/ngx_http_kafka_problem.h"
#include "http/ngx_http_kafka_reply.h"
#include "http/ngx_http_kafka_request.h"
#include "http/ngx_http_kafka_rest_list.h"
#include "http/ngx_http_kafka_split.h"
#include "http/ngx_http_kafka_work.h"
#include "limit/ngx_http_kafka_limit.h"


#define NGX_HTTP_KAFKA_PART       1000    /* messages given at once */
#define NGX_HTTP_KAFKA_COST_GIVE  100     /* steps of the turn, of each */


static ngx_http_kafka_ctx_t *ngx_http_kafka_create_ctx(ngx_http_request_t *r);
static ngx_int_t ngx_http_kafka_options(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_check_method(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_check_length(ngx_http_kafka_ctx_t *ctx);
static void ngx_http_kafka_body_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_kafka_choose(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_check_limits(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_produce(ngx_http_kafka_ctx_t *ctx);
static ngx_kafka_take_e ngx_http_kafka_give(ngx_http_kafka_ctx_t *ctx);
static void ngx_http_kafka_suspend(ngx_http_kafka_ctx_t *ctx);
static void ngx_http_kafka_resume(ngx_http_kafka_ctx_t *ctx);
static void ngx_http_kafka_report(void *data, ngx_kafka_report_t *report);
static void ngx_http_kafka_ask(void *data, ngx_kafka_report_t *report);
static void ngx_http_kafka_receipt(void *data, ngx_kafka_receipt_t *receipt);
static void ngx_http_kafka_timeout(ngx_http_kafka_ctx_t *ctx);
static void ngx_http_kafka_finish(ngx_http_kafka_ctx_t *ctx);
static void ngx_http_kafka_cleanup(void *data);


/* What happens to a request whose body is there, in this order. */
static const ngx_http_kafka_step_pt  ngx_http_kafka_steps[] = {
    ngx_http_kafka_body,
    ngx_http_kafka_own_pool,
    ngx_http_kafka_request_common,
    ngx_http_kafka_split,
    ngx_http_kafka_choose,
    ngx_http_kafka_check_limits,
    ngx_http_kafka_produce,
    NULL
};


ngx_int_t
ngx_http_kafka_handler(ngx_http_request_t *r)
{
    ngx_int_t              rc;
    ngx_http_kafka_ctx_t  *ctx;

    ctx = ngx_http_kafka_create_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->method == NGX_HTTP_OPTIONS) {
        return ngx_http_kafka_options(ctx);
    }

    ngx_http_kafka_find_headers(r, ctx->named);

    /* these checks need no body, so they come before it is read */

    if (ngx_http_kafka_check_method(ctx) != NGX_OK) {
        return ngx_http_kafka_reply_problem(ctx, NULL);
    }

    if (ctx->rest && ctx->rest->call != NGX_HTTP_KAFKA_REST_PRODUCE) {
        return ngx_http_kafka_rest_list(ctx);
    }

    if (ngx_http_kafka_request_topic(ctx) != NGX_OK
        || ngx_http_kafka_body_coding(ctx) != NGX_OK
        || ngx_http_kafka_request_format(ctx) != NGX_OK
        || ngx_http_kafka_check_length(ctx) != NGX_OK)
    {
        return ngx_http_kafka_reply_problem(ctx, NULL);
    }

    ngx_http_kafka_request_prefer(ctx);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "kafka taken: topic \"%V\", format %ui",
                   &ctx->topic->name, ctx->format);

    r->request_body_in_single_buf = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_kafka_body_handler);

    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}


static void
ngx_http_kafka_body_handler(ngx_http_request_t *r)
{
    ngx_int_t              rc;
    ngx_http_kafka_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kafka_module);

    ctx->heavy = r->request_body
                 && ngx_http_kafka_body_heavy(r->request_body, r->pool);

    if (r == r->main) {
        /* all is read: an exiting worker need not wait for the client's end */
        r->lingering_close = 0;
    }

    rc = ngx_http_kafka_work(ctx, ngx_http_kafka_steps);

    if (rc != NGX_AGAIN) {
        ngx_http_finalize_request(r, rc);
    }
}


static ngx_http_kafka_ctx_t *
ngx_http_kafka_create_ctx(ngx_http_request_t *r)
{
    ngx_http_kafka_ctx_t  *ctx;

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_kafka_ctx_t));
    if (ctx == NULL) {
        return NULL;
    }

    ctx->request = r;
    ctx->conf = ngx_http_get_module_loc_conf(r, ngx_http_kafka_module);
    ctx->pool = r->pool;
    ctx->problem.pool = r->pool;
    ctx->problem.code = NGX_HTTP_KAFKA_NO_ERROR;

    if (r->internal) {
        ngx_http_kafka_forget_problem(r);
    }

    ngx_http_set_ctx(r, ctx, ngx_http_kafka_module);

    return ctx;
}


static ngx_int_t
ngx_http_kafka_options(ngx_http_kafka_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = ctx->request;

    ngx_http_kafka_end_expect(r);

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_kafka_allow(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    r->headers_out.status = NGX_HTTP_NO_CONTENT;
    r->header_only = 1;

    return ngx_http_send_header(r);
}


static ngx_int_t
ngx_http_kafka_check_method(ngx_http_kafka_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ctx->conf->format == NGX_HTTP_KAFKA_CONFLUENT) {

        if (ngx_http_kafka_rest_route(ctx) != NGX_OK) {
            return NGX_DECLINED;
        }

    } else {
        ctx->null = r->method == NGX_HTTP_DELETE && ctx->conf->deletes;

        if (!ctx->null && !(r->method & (NGX_HTTP_POST|NGX_HTTP_PUT))
            && !(ctx->conf->body && r->method == NGX_HTTP_GET))
        {
            return ngx_http_kafka_refuse(&ctx->problem,
                                         NGX_HTTP_KAFKA_METHOD);
        }
    }

    if (r->discard_body || r->request_body_no_buffering) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_BODY_GONE);
    }

    return NGX_OK;
}


/* Whether a body of the announced length can be taken now. */
static ngx_int_t
ngx_http_kafka_check_length(ngx_http_kafka_ctx_t *ctx)
{
    if (ctx->conf->producer->producer == NULL) {
        return ngx_http_kafka_refuse(&ctx->problem,
                                     NGX_HTTP_KAFKA_NOT_STARTED);
    }

    if ((ctx->conf->body == NULL || ctx->conf->body_sent)
        && ctx->request->headers_in.content_length_n
           > (off_t) ngx_http_kafka_body_max(ctx))
    {
        return ngx_http_kafka_too_large(ctx);
    }

    return NGX_OK;
}


/*
 * Moves the messages to be sent to the front, ctx->ready of them: none if a
 * record is bad and the client did not ask for lenient handling.
 */
static ngx_int_t
ngx_http_kafka_choose(ngx_http_kafka_ctx_t *ctx)
{
    ngx_uint_t              i, n;
    ngx_kafka_message_t    *msg;
    ngx_kafka_report_pt     handler;
    ngx_http_kafka_item_t  *item;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ctx->request->connection->log, 0,
                   "kafka records split: %ui, %ui bad",
                   ctx->items.nelts, ctx->invalid);

    if (ctx->invalid && ngx_http_kafka_dead_letters(ctx) != NGX_OK) {
        return NGX_DECLINED;
    }

    /* one record is sent or not: lenient handling is for batches */
    ctx->lenient &= ctx->batch
                    && !(ctx->format == NGX_HTTP_KAFKA_REST_V3
                         && ctx->items.nelts == 1);

    if (ctx->invalid && !ctx->lenient) {
        return NGX_OK;
    }

    item = ctx->items.elts;
    msg = ctx->messages.elts;
    n = 0;

    handler = ctx->queued ? NULL : ctx->stored ? ngx_http_kafka_ask
                                               : ngx_http_kafka_report;

    for (i = 0; i < ctx->items.nelts; i++) {

        if (item[i].state != NGX_HTTP_KAFKA_WAITING) {
            continue;
        }

        if (n != i) {
            msg[n] = msg[i];
        }

        msg[n].handler = handler;
        msg[n].data = &item[i];
        n++;
    }

    ctx->ready = n;

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_check_limits(ngx_http_kafka_ctx_t *ctx)
{
    uint64_t                   bytes;
    ngx_int_t                  rc;
    ngx_uint_t                 i;
    ngx_http_request_t        *r;
    ngx_kafka_message_t       *msg;
    ngx_http_kafka_verdict_t   verdict;

    if (ctx->conf->limits == NULL || ctx->ready == 0) {
        return NGX_OK;
    }

    r = ctx->request;
    msg = ctx->messages.elts;
    bytes = 0;

    for (i = 0; i < ctx->ready; i++) {
        bytes += msg[i].value.len + msg[i].key.len;
    }

    rc = ngx_http_kafka_limit(r, ctx->conf->limits, ctx->ready, bytes,
                              &verdict);

    if (verdict.policy.len
        && (ngx_http_kafka_header(r, "RateLimit-Policy", &verdict.policy)
            != NGX_OK
            || ngx_http_kafka_header(r, "RateLimit", &verdict.state)
               != NGX_OK))
    {
        rc = NGX_ERROR;
    }

    if (rc == NGX_OK) {
        return NGX_OK;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "kafka limited: %i, retry %ui s", rc, verdict.retry);

    switch (rc) {

    case NGX_BUSY:
        (void) ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_LIMITED);
        ctx->problem.retry = verdict.retry;
        return NGX_DECLINED;

    case NGX_DECLINED:
        return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_OVER_BURST,
                                     "The request has %uL %s; no more than "
                                     "%uL are taken at once.", verdict.amount,
                                     verdict.unit, verdict.burst);

    default:
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }
}


/* All are admitted before the first is given; many are given in turns. */
static ngx_int_t
ngx_http_kafka_produce(ngx_http_kafka_ctx_t *ctx)
{
    ngx_kafka_take_e       taken;
    ngx_kafka_message_t   *msg;
    ngx_kafka_producer_t  *kp;

    if (ctx->ready == 0) {
        /* nothing to send; each bad record has its problem */
        return NGX_OK;
    }

    kp = ctx->conf->producer->producer;
    msg = ctx->messages.elts;

    if (ctx->given == 0) {

        if (ctx->ready > NGX_HTTP_KAFKA_PART
            && !ngx_http_kafka_work_waited(ctx))
        {
            /* once a record is given, waiting must not fail */
            return NGX_AGAIN;
        }

        if (!ctx->queued || ctx->ready > NGX_HTTP_KAFKA_PART) {
            ngx_http_kafka_work_may_wait(ctx, &ctx->cleanup,
                                         ngx_http_kafka_cleanup);
        }

        /* what it holds ends when its records are charged */
        ngx_http_kafka_unhold(ctx);

        taken = ngx_kafka_admit(kp, msg, ctx->ready, &ctx->admitted);

        if (taken == NGX_KAFKA_TAKEN) {
            ctx->begun = ngx_current_msec;
            ctx->waiting = 1;
            taken = ngx_http_kafka_give(ctx);
        }

        if (taken != NGX_KAFKA_TAKEN) {
            ctx->waiting = 0;
            ngx_kafka_dismiss(kp, &ctx->admitted);
            return ngx_http_kafka_not_taken(ctx, taken, msg->error);
        }
    }

    while (ctx->given < ctx->ready) {

        if (ngx_http_kafka_turn_left <= 0) {
            return NGX_AGAIN;
        }

        (void) ngx_http_kafka_give(ctx);
    }

    ctx->waiting--;
    ngx_kafka_dismiss(kp, &ctx->admitted);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ctx->request->connection->log, 0,
                   "kafka produced: %ui records, %ui waited for",
                   ctx->ready, ctx->waiting);

    if (ctx->heavy) {
        ngx_http_kafka_free_messages(ctx);
    }

    if (ctx->waiting) {
        ngx_http_kafka_suspend(ctx);
    }

    return NGX_OK;
}


/* Gives the next messages to the producer; but NGX_KAFKA_TAKEN: none. */
static ngx_kafka_take_e
ngx_http_kafka_give(ngx_http_kafka_ctx_t *ctx)
{
    ngx_uint_t              i, n;
    ngx_kafka_take_e        taken;
    ngx_kafka_message_t    *msg;
    ngx_http_kafka_item_t  *item;

    msg = ctx->messages.elts;
    msg += ctx->given;
    n = ngx_min(ctx->ready - ctx->given, NGX_HTTP_KAFKA_PART);

    taken = ngx_kafka_produce(ctx->conf->producer->producer, msg, n,
                              &ctx->admitted);

    if (taken != NGX_KAFKA_TAKEN && ctx->given == 0) {
        return taken;
    }

    for (i = 0; i < n; i++) {
        item = msg[i].data;

        if (taken != NGX_KAFKA_TAKEN) {
            ngx_http_kafka_fail(item, NGX_HTTP_KAFKA_NOT_DELIVERED, "");

        } else if (msg[i].record == NULL) {
            ngx_http_kafka_fail(item, NGX_HTTP_KAFKA_NOT_DELIVERED,
                                rd_kafka_err2str(msg[i].error));

        } else if (ctx->queued) {
            item->state = NGX_HTTP_KAFKA_SENT;

        } else {
            item->record = msg[i].record;
            ctx->waiting++;
        }
    }

    ctx->given += n;
    ngx_http_kafka_turn_left -= n * NGX_HTTP_KAFKA_COST_GIVE;

    return NGX_KAFKA_TAKEN;
}


static void
ngx_http_kafka_suspend(ngx_http_kafka_ctx_t *ctx)
{
    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, ctx->request->connection->log, 0,
                   "kafka suspended for %M ms at most", ctx->conf->timeout);

    ctx->suspended = 1;

    ctx->conf->producer->gauges->in_flight++;
    ngx_http_kafka_work_suspend(ctx, ngx_http_kafka_timeout);
}


static void
ngx_http_kafka_resume(ngx_http_kafka_ctx_t *ctx)
{
    ctx->conf->producer->gauges->in_flight--;
    ngx_http_kafka_work_resume(ctx);

    ctx->suspended = 0;
    ctx->latency = ngx_current_msec - ctx->begun;
}


static void
ngx_http_kafka_report(void *data, ngx_kafka_report_t *report)
{
    ngx_http_kafka_item_t  *item = data;

    ngx_http_kafka_ctx_t  *ctx;

    ctx = item->ctx;
    item->record = NULL;
    ctx->waiting--;

    if (report->outcome == NGX_KAFKA_KEPT) {
        item->state = NGX_HTTP_KAFKA_KEPT;
        item->partition = report->partition;
        item->offset = report->offset;
        item->timestamp = report->timestamp;

    } else {
        ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ctx->request->connection->log, 0,
                       "kafka reported: outcome %ui, %s",
                       (ngx_uint_t) report->outcome,
                       rd_kafka_err2name(report->error));

        ngx_http_kafka_not_kept(item, report);
    }

    if (ctx->waiting == 0) {
        ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ctx->request->connection->log, 0,
                       "kafka reported: %ui records, the last at offset %L",
                       ctx->items.nelts, item->offset);

        ngx_http_kafka_finish(ctx);
    }
}


/*
 * The report of a record whose request also asks what the database did with
 * it.  Dead letters of the module are of another topic: none is read there.
 */
static void
ngx_http_kafka_ask(void *data, ngx_kafka_report_t *report)
{
    ngx_http_kafka_item_t  *item = data;

    ngx_http_kafka_ctx_t  *ctx;

    ctx = item->ctx;

    if (report->outcome == NGX_KAFKA_KEPT && !item->dead) {
        item->asked = 1;
        item->wait = ngx_kafka_wait(ctx->conf->producer->producer,
                                    ctx->topic_index, report,
                                    ngx_http_kafka_receipt, item);
    }

    if (item->wait) {
        /* one less, and one more */
        ctx->waiting++;
    }

    ngx_http_kafka_report(item, report);
}


static void
ngx_http_kafka_receipt(void *data, ngx_kafka_receipt_t *receipt)
{
    ngx_http_kafka_item_t  *item = data;

    ngx_http_kafka_ctx_t  *ctx;

    ctx = item->ctx;

    item->wait = NULL;
    item->stored = receipt->stored;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ctx->request->connection->log, 0,
                   "kafka receipt: offset %L, kind %ui", item->offset,
                   (ngx_uint_t) receipt->stored);

    if (receipt->stored == NGX_KAFKA_STORED_DEAD) {
        ngx_http_kafka_not_a_row(item, receipt);
    }

    if (--ctx->waiting == 0) {
        ngx_http_kafka_finish(ctx);
    }
}


static void
ngx_http_kafka_timeout(ngx_http_kafka_ctx_t *ctx)
{
    ngx_uint_t              i;
    ngx_kafka_record_t     *record;
    ngx_http_kafka_item_t  *item;

    item = ctx->items.elts;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, ctx->request->connection->log, 0,
                   "kafka timed out: %ui records unreported", ctx->waiting);

    for (i = 0; i < ctx->items.nelts; i++) {
        record = item[i].record;

        if (item[i].wait) {
            /* it is kept: it will be stored, nobody knows when */
            ngx_kafka_wait_end(item[i].wait, 1);
            item[i].wait = NULL;
        }

        if (record == NULL) {
            continue;
        }

        item[i].record = NULL;

        if (ngx_kafka_abandon(record)) {
            ngx_http_kafka_fail(&item[i], NGX_HTTP_KAFKA_NO_REPORT, "");

        } else {
            ngx_http_kafka_fail(&item[i], NGX_HTTP_KAFKA_NOT_SENT,
                                "Its topic is not created yet.");
        }
    }

    ctx->waiting = 0;
    ngx_http_kafka_finish(ctx);
}


/* Answers a suspended request when each record has its state. */
static void
ngx_http_kafka_finish(ngx_http_kafka_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);
    ngx_http_kafka_resume(ctx);

    if (ngx_http_get_module_ctx(r, ngx_http_kafka_module) != ctx) {
        /* the client has left, and "post_action" uses the request */
        ngx_http_kafka_count(ctx, NGX_HTTP_KAFKA_COUNT_LEFT);
        return;
    }

    rc = ngx_http_kafka_reply(ctx);

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


/* The request ends; if it still waits, its client has left. */
static void
ngx_http_kafka_cleanup(void *data)
{
    ngx_http_kafka_ctx_t  *ctx = data;

    ngx_uint_t              i;
    ngx_http_kafka_item_t  *item;

    ngx_kafka_dismiss(ctx->conf->producer->producer, &ctx->admitted);

    if (ctx->waiting == 0) {
        return;
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, ctx->request->connection->log, 0,
                   "kafka client left: %ui records unreported", ctx->waiting);

    item = ctx->items.elts;

    for (i = 0; i < ctx->items.nelts; i++) {
        if (item[i].record) {
            (void) ngx_kafka_abandon(item[i].record);
            item[i].record = NULL;
        }

        if (item[i].wait) {
            ngx_kafka_wait_end(item[i].wait, 0);
            item[i].wait = NULL;
        }
    }

    ctx->waiting = 0;

    if (ctx->suspended) {
        ngx_http_kafka_resume(ctx);
        ngx_http_kafka_count(ctx, NGX_HTTP_KAFKA_COUNT_LEFT);
    }
}
