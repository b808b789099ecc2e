/* Gives a request's records to the producer, and waits for their reports. */

#include "http/ngx_http_kafka_deliver.h"
#include "http/ngx_http_kafka_dead_letter.h"
#include "http/ngx_http_kafka_headers.h"
#include "http/ngx_http_kafka_memory.h"
#include "http/ngx_http_kafka_outcome.h"
#include "http/ngx_http_kafka_reply.h"
#include "http/ngx_http_kafka_work.h"
#include "limit/ngx_http_kafka_limit.h"


#define NGX_HTTP_KAFKA_COST_GIVE  100     /* steps of the turn, of each */


static ngx_int_t ngx_http_kafka_charge(ngx_http_kafka_ctx_t *ctx,
    ngx_uint_t n, uint64_t bytes);
static ngx_int_t ngx_http_kafka_limit_each(ngx_http_kafka_ctx_t *ctx);
static ngx_kafka_take_e ngx_http_kafka_give(ngx_http_kafka_ctx_t *ctx);
static void ngx_http_kafka_suspend(ngx_http_kafka_ctx_t *ctx);
static void ngx_http_kafka_resume(ngx_http_kafka_ctx_t *ctx);
static void ngx_http_kafka_report(void *data, ngx_kafka_report_t *report);
static void ngx_http_kafka_ask(void *data, ngx_kafka_report_t *report);
static void ngx_http_kafka_receipt(void *data, ngx_kafka_receipt_t *receipt);
static void ngx_http_kafka_timeout(ngx_http_kafka_ctx_t *ctx);
static void ngx_http_kafka_finish(ngx_http_kafka_ctx_t *ctx);
static void ngx_http_kafka_cleanup(void *data);


ngx_int_t
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


ngx_int_t
ngx_http_kafka_check_limits(ngx_http_kafka_ctx_t *ctx)
{
    uint64_t              bytes;
    ngx_uint_t            i;
    ngx_kafka_message_t  *msg;

    if (ctx->conf->limits == NULL || ctx->ready == 0) {
        return NGX_OK;
    }

    if (ctx->stream) {
        return ngx_http_kafka_limit_each(ctx);
    }

    msg = ctx->messages.elts;
    bytes = 0;

    for (i = 0; i < ctx->ready; i++) {
        bytes += msg[i].value.len + msg[i].key.len;
    }

    return ngx_http_kafka_charge(ctx, ctx->ready, bytes);
}


/* A record over a limit is refused alone; those that are left are sent. */
static ngx_int_t
ngx_http_kafka_limit_each(ngx_http_kafka_ctx_t *ctx)
{
    ngx_uint_t              i, n;
    ngx_kafka_message_t    *msg;
    ngx_http_kafka_item_t  *item;

    msg = ctx->messages.elts;
    n = 0;

    for (i = 0; i < ctx->ready; i++) {

        if (ngx_http_kafka_charge(ctx, 1, msg[i].value.len + msg[i].key.len)
            == NGX_OK)
        {
            msg[n++] = msg[i];
            continue;
        }

        item = msg[i].data;
        item->problem = ngx_palloc(ctx->pool,
                                   sizeof(ngx_http_kafka_problem_t));
        if (item->problem == NULL) {
            return ngx_http_kafka_refuse(&ctx->problem,
                                         NGX_HTTP_KAFKA_INTERNAL);
        }

        *item->problem = ctx->problem;
        item->state = NGX_HTTP_KAFKA_FAILED;
        item->dead = 0;

        ctx->problem.code = NGX_HTTP_KAFKA_NO_ERROR;
        ctx->invalid++;
    }

    ctx->ready = n;

    return NGX_OK;
}


/* Charges "n" records to the limits; a stream's answer has its head already. */
static ngx_int_t
ngx_http_kafka_charge(ngx_http_kafka_ctx_t *ctx, ngx_uint_t n, uint64_t bytes)
{
    ngx_int_t                  rc;
    ngx_http_request_t        *r;
    ngx_http_kafka_verdict_t   verdict;

    r = ctx->request;

    rc = ngx_http_kafka_limit(r, ctx->conf->limits, n, bytes,
                              ctx->stream ? &ctx->charges : NULL, &verdict);

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


ngx_int_t
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
        ngx_http_kafka_count_left(ctx);
        return;
    }

    if (ctx->stream == NULL) {
        ngx_http_finalize_request(r, ngx_http_kafka_reply(ctx));

    } else {
        rc = ctx->answer(ctx);

        if (rc != NGX_AGAIN) {
            ngx_http_finalize_request(r, rc);
        }
    }

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
        ngx_http_kafka_count_left(ctx);
    }
}
