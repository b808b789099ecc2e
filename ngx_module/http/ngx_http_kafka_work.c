/* Takes a request through its steps, and lets it wait for turns between. */

#include "http/ngx_http_kafka_work.h"
#include "http/ngx_http_kafka_body.h"
#include "http/ngx_http_kafka_memory.h"
#include "http/ngx_http_kafka_outcome.h"
#include "http/ngx_http_kafka_problem.h"
#include "http/ngx_http_kafka_reply.h"
#include "http/ngx_http_kafka_split.h"


static ngx_int_t ngx_http_kafka_work_on(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_work_fail(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_work_wait(ngx_http_kafka_ctx_t *ctx);
static void ngx_http_kafka_work_turn(void *data);
static void ngx_http_kafka_work_late(ngx_event_t *ev);
static void ngx_http_kafka_work_end(ngx_http_kafka_work_t *work);
static void ngx_http_kafka_work_left(ngx_http_kafka_ctx_t *ctx);
static void ngx_http_kafka_work_cleanup(void *data);
static void ngx_http_kafka_work_overdue(ngx_event_t *ev);


ngx_int_t
ngx_http_kafka_work(ngx_http_kafka_ctx_t *ctx,
    const ngx_http_kafka_step_pt *steps)
{
    ctx->work.step = steps;

    ngx_http_kafka_turn_begin();

    return ngx_http_kafka_work_on(ctx);
}


static ngx_int_t
ngx_http_kafka_work_on(ngx_http_kafka_ctx_t *ctx)
{
    ngx_int_t                      rc;
    const ngx_http_kafka_step_pt  *step;

    for (step = ctx->work.step; *step; step++) {

        rc = (*step)(ctx);

        if (rc == NGX_OK) {
            continue;
        }

        if (rc == NGX_AGAIN) {
            ctx->work.step = step;
            rc = ngx_http_kafka_work_wait(ctx);
        }

        return rc == NGX_AGAIN ? rc : ngx_http_kafka_work_fail(ctx);
    }

    /* the last report, the timer or the cleanup ends a suspended request */

    return ctx->suspended ? NGX_AGAIN
           : ctx->stream ? ctx->answer(ctx)
           : ngx_http_kafka_reply(ctx);
}


/* A body that is read in part ends before the answer is sent. */
static ngx_int_t
ngx_http_kafka_work_fail(ngx_http_kafka_ctx_t *ctx)
{
    ngx_http_kafka_body_end(ctx);
    ngx_http_kafka_split_end(ctx);

    return ctx->stream ? ctx->answer(ctx)
                       : ngx_http_kafka_reply_problem(ctx, NULL);
}


static ngx_int_t
ngx_http_kafka_work_wait(ngx_http_kafka_ctx_t *ctx)
{
    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ctx->request->connection->log, 0,
                   "kafka waits for its next turn, %ui records found, %ui "
                   "given", ctx->items.nelts, ctx->given);

    if (ctx->given) {
        /* its records are charged, and some may be kept */
        goto wait;
    }

    if (ngx_http_kafka_own(ctx) != NGX_OK) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    if (ngx_kafka_hold(ctx->conf->producer->producer, &ctx->held,
                       ngx_http_kafka_body_held(ctx)
                       + ngx_http_kafka_split_held(ctx))
        != NGX_OK)
    {
        return ngx_http_kafka_not_taken(ctx, NGX_KAFKA_QUEUE_FULL,
                                        RD_KAFKA_RESP_ERR_NO_ERROR);
    }

    if (!ngx_http_kafka_work_waited(ctx)) {

        ngx_http_kafka_work_may_wait(ctx, &ctx->work.cleanup,
                                     ngx_http_kafka_work_cleanup);

        ctx->work.timer.handler = ngx_http_kafka_work_late;
        ctx->work.timer.data = ctx;
        ctx->work.timer.log = ctx->request->connection->log;

        ctx->work.job.handler = ngx_http_kafka_work_turn;
        ctx->work.job.data = ctx;

        /* it also keeps an exiting worker until the request is answered */
        ngx_add_timer(&ctx->work.timer, ctx->conf->timeout);
    }

wait:

    ngx_http_kafka_turn_wait(&ctx->work.job);

    return NGX_AGAIN;
}


void
ngx_http_kafka_work_may_wait(ngx_http_kafka_ctx_t *ctx,
    ngx_http_cleanup_t *cln, ngx_http_cleanup_pt left)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    /* as ngx_http_cleanup_add() does, but for the memory */

    if (cln->handler == NULL) {
        cln->handler = left;
        cln->data = ctx;
        cln->next = r->main->cleanup;
        r->main->cleanup = cln;
    }

    if (ctx->stream) {
        /* it waits for more of the body, or for its client to read */
        return;
    }

    if (r == r->main) {
        r->read_event_handler = ngx_http_test_reading;
    }

    r->write_event_handler = ngx_http_request_empty_handler;
}


void
ngx_http_kafka_work_suspend(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_late_pt late)
{
    ngx_http_kafka_waiting_t  *w;

    w = &ctx->conf->waiting;

    if (w->late == NULL) {
        ngx_queue_init(&w->requests);
        w->late = late;
        w->timer.handler = ngx_http_kafka_work_overdue;
        w->timer.data = w;
        w->timer.log = ngx_cycle->log;
    }

    ctx->due = ngx_current_msec + ctx->conf->timeout;
    ngx_queue_insert_tail(&w->requests, &ctx->queue);

    /* it keeps an exiting worker until the request is answered */
    w->timer.cancelable = 0;

    if (!w->timer.timer_set) {
        ngx_add_timer(&w->timer, ctx->conf->timeout);
    }
}


void
ngx_http_kafka_work_resume(ngx_http_kafka_ctx_t *ctx)
{
    ngx_http_kafka_waiting_t  *w;

    w = &ctx->conf->waiting;

    ngx_queue_remove(&ctx->queue);
    w->timer.cancelable = ngx_queue_empty(&w->requests);
}


static void
ngx_http_kafka_work_overdue(ngx_event_t *ev)
{
    ngx_msec_int_t             wait;
    ngx_http_kafka_ctx_t      *ctx;
    ngx_http_kafka_waiting_t  *w;

    w = ev->data;

    while (!ngx_queue_empty(&w->requests)) {
        ctx = ngx_queue_data(ngx_queue_head(&w->requests),
                             ngx_http_kafka_ctx_t, queue);
        wait = (ngx_msec_int_t) (ctx->due - ngx_current_msec);

        if (wait > 0) {
            ngx_add_timer(ev, wait);
            break;
        }

        w->late(ctx);
    }
}


/* The request's turn has come. */
static void
ngx_http_kafka_work_turn(void *data)
{
    ngx_http_kafka_ctx_t *ctx = data;

    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    if (ngx_http_get_module_ctx(r, ngx_http_kafka_module) != ctx) {
        /* the client has left, and "post_action" uses the request */
        ngx_http_kafka_work_left(ctx);
        return;
    }

    rc = ngx_http_kafka_work_on(ctx);

    if (ctx->work.job.waiting) {
        return;
    }

    ngx_http_kafka_work_end(&ctx->work);

    if (rc != NGX_AGAIN) {
        ngx_http_finalize_request(r, rc);
    }

    ngx_http_run_posted_requests(c);
}


/* Its turns were too few within "kafka_timeout". */
static void
ngx_http_kafka_work_late(ngx_event_t *ev)
{
    ngx_int_t              rc;
    ngx_connection_t      *c;
    ngx_http_request_t    *r;
    ngx_http_kafka_ctx_t  *ctx;

    ctx = ev->data;
    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    if (ngx_http_get_module_ctx(r, ngx_http_kafka_module) != ctx) {
        ngx_http_kafka_work_left(ctx);
        return;
    }

    if (ctx->given) {
        /* some of its records may be kept: the others follow soon */
        ngx_add_timer(ev, ctx->conf->timeout);
        return;
    }

    ngx_http_kafka_work_end(&ctx->work);

    (void) ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_NOT_SENT,
                                 "Its records were not checked within "
                                 "\"kafka_timeout\".");

    rc = ngx_http_kafka_work_fail(ctx);

    if (rc != NGX_AGAIN || ctx->stream == NULL) {
        ngx_http_finalize_request(r, rc);
    }

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_kafka_work_end(ngx_http_kafka_work_t *work)
{
    ngx_http_kafka_turn_leave(&work->job);

    if (work->timer.timer_set) {
        ngx_del_timer(&work->timer);
    }
}


/* The request ends; if it still waits, its client has left. */
static void
ngx_http_kafka_work_cleanup(void *data)
{
    ngx_http_kafka_ctx_t *ctx = data;

    if (ctx->work.job.waiting) {
        ngx_http_kafka_work_left(ctx);
    }
}


static void
ngx_http_kafka_work_left(ngx_http_kafka_ctx_t *ctx)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, ctx->request->connection->log, 0,
                   "kafka client left before its records were produced");

    ngx_http_kafka_work_end(&ctx->work);
    ngx_http_kafka_unhold(ctx);
    ngx_http_kafka_count_left(ctx);
}
