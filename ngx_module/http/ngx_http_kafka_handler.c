/* The way of a request: checked, produced, suspended, answered. */

#include "http/ngx_http_kafka_module.h"


static void ngx_http_kafka_body_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_kafka_early(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_problem_t *problem);
static ngx_int_t ngx_http_kafka_find_topic(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_problem_t *problem);
static size_t ngx_http_kafka_body_limit(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_take(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_problem_t *problem);
static ngx_int_t ngx_http_kafka_read_body(ngx_http_kafka_ctx_t *ctx,
    ngx_str_t *body, ngx_http_kafka_problem_t *problem);
static ngx_int_t ngx_http_kafka_produce(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_problem_t *problem);
static ngx_uint_t ngx_http_kafka_ready(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_refuse(ngx_http_kafka_ctx_t *ctx,
    ngx_kafka_take_e rc, rd_kafka_resp_err_t err,
    ngx_http_kafka_problem_t *problem);
static ngx_int_t ngx_http_kafka_suspend(ngx_http_kafka_ctx_t *ctx);
static void ngx_http_kafka_resume(ngx_http_kafka_ctx_t *ctx);
static ngx_uint_t ngx_http_kafka_has_left(ngx_http_kafka_ctx_t *ctx);
static void ngx_http_kafka_report(void *data, ngx_kafka_report_t *report);
static ngx_http_kafka_error_e ngx_http_kafka_no_partition(
    ngx_http_kafka_ctx_t *ctx);
static void ngx_http_kafka_fail(ngx_http_kafka_item_t *item,
    ngx_http_kafka_error_e code, const char *detail);
static void ngx_http_kafka_timeout(ngx_event_t *ev);
static void ngx_http_kafka_cleanup(void *data);


ngx_int_t
ngx_http_kafka_handler(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_http_kafka_ctx_t      *ctx;
    ngx_http_kafka_problem_t   problem;

    ngx_memzero(&problem, sizeof(ngx_http_kafka_problem_t));

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_kafka_ctx_t));
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->request = r;
    ctx->error = NGX_HTTP_KAFKA_NO_ERROR;
    ngx_http_set_ctx(r, ctx, ngx_http_kafka_module);

    if (r->method == NGX_HTTP_OPTIONS) {
        return ngx_http_kafka_reply_options(r);
    }

    /* what needs no body is answered before one is read */

    if (ngx_http_kafka_early(ctx, &problem) != NGX_OK) {
        return ngx_http_kafka_reply_problem(r, &problem);
    }

    r->request_body_in_single_buf = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_kafka_body_handler);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    return NGX_DONE;
}


static ngx_int_t
ngx_http_kafka_early(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_problem_t *problem)
{
    ngx_http_request_t         *r;
    ngx_http_kafka_loc_conf_t  *klcf;

    r = ctx->request;
    klcf = ngx_http_get_module_loc_conf(r, ngx_http_kafka_module);

    if (!(r->method & (NGX_HTTP_POST|NGX_HTTP_PUT))
        && !(klcf->body && r->method == NGX_HTTP_GET))
    {
        problem->code = NGX_HTTP_KAFKA_METHOD;
        return NGX_DECLINED;
    }

    if (r->discard_body || r->request_body_no_buffering) {
        problem->code = NGX_HTTP_KAFKA_BODY_GONE;
        return NGX_DECLINED;
    }

    if (ngx_http_kafka_find_topic(ctx, problem) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (ngx_http_kafka_coding(r) == NGX_HTTP_KAFKA_UNKNOWN) {
        problem->code = NGX_HTTP_KAFKA_ENCODING;
        return NGX_DECLINED;
    }

    if (ngx_http_kafka_request_format(ctx, problem) != NGX_OK) {
        return NGX_DECLINED;
    }

    ngx_http_kafka_request_prefer(ctx);

    ctx->queued = klcf->ack == NGX_HTTP_KAFKA_QUEUED
                  || (klcf->ack == NGX_HTTP_KAFKA_CLIENT && ctx->async);

    if (klcf->producer->producer == NULL) {
        problem->code = NGX_HTTP_KAFKA_NOT_STARTED;
        return NGX_DECLINED;
    }

    if (klcf->body == NULL
        && r->headers_in.content_length_n
           > (off_t) ngx_http_kafka_body_limit(ctx))
    {
        return ngx_http_kafka_refuse(ctx, NGX_KAFKA_TOO_LARGE, 0, problem);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_find_topic(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_problem_t *problem)
{
    ngx_int_t                   i;
    ngx_str_t                   name;
    ngx_kafka_topic_conf_t     *topic;
    ngx_http_kafka_loc_conf_t  *klcf;

    klcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_kafka_module);
    topic = klcf->producer->topics.elts;

    i = klcf->topic_index;

    if (i == NGX_ERROR) {

        if (ngx_http_complex_value(ctx->request, klcf->topic, &name)
            != NGX_OK)
        {
            problem->code = NGX_HTTP_KAFKA_INTERNAL;
            return NGX_ERROR;
        }

        i = ngx_kafka_conf_topic(klcf->producer, &name);
    }

    if (i == NGX_ERROR) {
        problem->code = NGX_HTTP_KAFKA_NO_TOPIC;
        name.len = ngx_min(name.len, 250);
        ngx_http_kafka_detail(ctx->request, problem,
                              "The topic \"%V\" is not declared.", &name);
        return NGX_DECLINED;
    }

    ctx->topic_index = i;
    ctx->topic = &topic[i];

    return NGX_OK;
}


/* Bytes of a body: of one record, or of all that the queue can hold. */
static size_t
ngx_http_kafka_body_limit(ngx_http_kafka_ctx_t *ctx)
{
    ngx_http_kafka_loc_conf_t  *klcf;

    klcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_kafka_module);

    return ctx->batch || ctx->format == NGX_HTTP_KAFKA_GUESS
           ? ngx_kafka_room(klcf->producer->producer)
           : ngx_kafka_limit(klcf->producer->producer, ctx->topic_index);
}


static void
ngx_http_kafka_body_handler(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_http_kafka_ctx_t      *ctx;
    ngx_http_kafka_problem_t   problem;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kafka_module);
    ngx_memzero(&problem, sizeof(ngx_http_kafka_problem_t));

    /* all is read: an exiting worker need not wait for the client to close */
    r->main->lingering_close = 0;

    rc = ngx_http_kafka_take(ctx, &problem);

    switch (rc) {

    case NGX_AGAIN:
        /* suspended: its timer, report or cleanup goes on */
        return;

    case NGX_DECLINED:
        rc = ngx_http_kafka_reply_problem(r, &problem);
        break;

    default:
        break;
    }

    ngx_http_finalize_request(r, rc);
}


/*
 * NGX_AGAIN: suspended; NGX_DECLINED: a problem; else what finalizes the
 * request.
 */
static ngx_int_t
ngx_http_kafka_take(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_problem_t *problem)
{
    ngx_int_t  rc;
    ngx_str_t  body;

    rc = ngx_http_kafka_read_body(ctx, &body, problem);

    if (rc == NGX_OK) {
        rc = ngx_http_kafka_request_common(ctx, problem);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_kafka_split(ctx, &body, problem);
    }

    if (rc == NGX_OK && ctx->invalid) {
        rc = ngx_http_kafka_record_sort(ctx);
    }

    if (rc == NGX_ERROR) {
        problem->code = NGX_HTTP_KAFKA_INTERNAL;
        return NGX_DECLINED;
    }

    if (rc != NGX_OK) {
        return rc;
    }

    ctx->lenient &= ctx->batch;

    if (ctx->invalid
        && (!ctx->lenient || ctx->invalid == ctx->items.nelts))
    {
        return ngx_http_kafka_reply(ctx);
    }

    return ngx_http_kafka_produce(ctx, problem);
}


static ngx_int_t
ngx_http_kafka_read_body(ngx_http_kafka_ctx_t *ctx, ngx_str_t *body,
    ngx_http_kafka_problem_t *problem)
{
    ngx_http_request_t         *r;
    ngx_http_kafka_loc_conf_t  *klcf;

    r = ctx->request;
    klcf = ngx_http_get_module_loc_conf(r, ngx_http_kafka_module);

    if (klcf->body) {
        return ngx_http_complex_value(r, klcf->body, body);
    }

    return ngx_http_kafka_body(r, ngx_http_kafka_body_limit(ctx), body,
                               problem);
}


static ngx_int_t
ngx_http_kafka_produce(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_problem_t *problem)
{
    uint64_t                    bytes;
    ngx_uint_t                  i, n;
    ngx_kafka_take_e            taken;
    ngx_kafka_message_t        *msg;
    ngx_http_kafka_item_t      *item;
    ngx_http_kafka_loc_conf_t  *klcf;

    klcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_kafka_module);

    n = ngx_http_kafka_ready(ctx);
    msg = ctx->messages.elts;
    bytes = 0;

    for (i = 0; i < n; i++) {
        bytes += msg[i].value.len + msg[i].key.len;
    }

    if (ngx_http_kafka_limit(ctx->request, n, bytes, problem) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (!ctx->queued && ngx_http_kafka_suspend(ctx) != NGX_OK) {
        problem->code = NGX_HTTP_KAFKA_INTERNAL;
        return NGX_DECLINED;
    }

    ctx->begun = ngx_current_msec;

    taken = ngx_kafka_produce(klcf->producer->producer, msg, n);

    if (taken != NGX_KAFKA_TAKEN) {
        return ngx_http_kafka_refuse(ctx, taken, msg->error, problem);
    }

    for (i = 0; i < n; i++) {
        item = msg[i].data;

        if (msg[i].record == NULL) {
            ngx_http_kafka_fail(item, NGX_HTTP_KAFKA_NOT_DELIVERED,
                                rd_kafka_err2str(msg[i].error));

        } else if (ctx->queued) {
            item->state = NGX_HTTP_KAFKA_SENT;

        } else {
            item->record = msg[i].record;
            ctx->waiting++;
        }
    }

    if (ctx->queued) {
        return ngx_http_kafka_reply(ctx);
    }

    ctx->suspended = 1;

    ctx->gauges = klcf->producer->gauges;
    ctx->gauges->in_flight++;

    ngx_add_timer(&ctx->timer, klcf->timeout);

    return NGX_AGAIN;
}


/* Moves the messages to be sent to the front, each with its item. */
static ngx_uint_t
ngx_http_kafka_ready(ngx_http_kafka_ctx_t *ctx)
{
    ngx_uint_t              i, n;
    ngx_kafka_message_t    *msg;
    ngx_http_kafka_item_t  *item;

    item = ctx->items.elts;
    msg = ctx->messages.elts;
    n = 0;

    for (i = 0; i < ctx->items.nelts; i++) {

        if (item[i].state != NGX_HTTP_KAFKA_WAITING) {
            continue;
        }

        if (n != i) {
            msg[n] = msg[i];
        }

        msg[n].handler = ctx->queued ? NULL : ngx_http_kafka_report;
        msg[n].data = &item[i];
        n++;
    }

    return n;
}


static ngx_int_t
ngx_http_kafka_refuse(ngx_http_kafka_ctx_t *ctx, ngx_kafka_take_e rc,
    rd_kafka_resp_err_t err, ngx_http_kafka_problem_t *problem)
{
    ngx_http_kafka_loc_conf_t  *klcf;

    klcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_kafka_module);

    switch (rc) {

    case NGX_KAFKA_TOO_LARGE:
        problem->code = NGX_HTTP_KAFKA_LARGE;
        ngx_http_kafka_detail(ctx->request, problem,
                              "The body does not fit into the %uz bytes that "
                              "are taken.", ngx_http_kafka_body_limit(ctx));
        break;

    case NGX_KAFKA_QUEUE_FULL:
        problem->code = NGX_HTTP_KAFKA_QUEUE_FULL;
        problem->retry = ngx_kafka_retry_after(klcf->producer->producer);
        break;

    case NGX_KAFKA_OVERLOADED:
        problem->code = NGX_HTTP_KAFKA_OVERLOADED;
        problem->retry = ngx_kafka_retry_after(klcf->producer->producer);
        break;

    case NGX_KAFKA_BROKERS_DOWN:
        problem->code = NGX_HTTP_KAFKA_BROKERS_DOWN;
        break;

    case NGX_KAFKA_TOPIC_MISSING:
        problem->code = NGX_HTTP_KAFKA_TOPIC_MISSING;
        break;

    case NGX_KAFKA_PARTITION_MISSING:
        problem->code = ngx_http_kafka_no_partition(ctx);
        break;

    case NGX_KAFKA_NOT_STARTED:
        problem->code = NGX_HTTP_KAFKA_NOT_STARTED;
        break;

    default:
        problem->code = NGX_HTTP_KAFKA_NOT_DELIVERED;
        ngx_http_kafka_detail(ctx->request, problem, "%s",
                              rd_kafka_err2str(err));
        break;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_kafka_suspend(ngx_http_kafka_ctx_t *ctx)
{
    ngx_http_cleanup_t  *cln;
    ngx_http_request_t  *r;

    r = ctx->request;

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_kafka_cleanup;
    cln->data = ctx;

    ctx->timer.handler = ngx_http_kafka_timeout;
    ctx->timer.data = ctx;
    ctx->timer.log = r->connection->log;

    if (r == r->main) {
        r->read_event_handler = ngx_http_test_reading;
    }

    r->write_event_handler = ngx_http_request_empty_handler;

    return NGX_OK;
}


static void
ngx_http_kafka_resume(ngx_http_kafka_ctx_t *ctx)
{
    ctx->gauges->in_flight--;

    if (ctx->timer.timer_set) {
        ngx_del_timer(&ctx->timer);
    }

    ctx->suspended = 0;
    ctx->latency = ngx_current_msec - ctx->begun;
}


/* Its client is gone, and the request has gone on to "post_action". */
static ngx_uint_t
ngx_http_kafka_has_left(ngx_http_kafka_ctx_t *ctx)
{
    return ngx_http_get_module_ctx(ctx->request, ngx_http_kafka_module)
           != ctx;
}


static void
ngx_http_kafka_report(void *data, ngx_kafka_report_t *report)
{
    ngx_http_kafka_item_t  *item = data;

    ngx_int_t                rc;
    ngx_connection_t        *c;
    ngx_http_request_t      *r;
    ngx_http_kafka_ctx_t    *ctx;
    ngx_http_kafka_error_e   code;

    ctx = item->ctx;
    item->record = NULL;
    ctx->waiting--;

    if (report->outcome == NGX_KAFKA_KEPT) {
        item->state = NGX_HTTP_KAFKA_KEPT;
        item->partition = report->partition;
        item->offset = report->offset;
        item->timestamp = report->timestamp;

    } else {
        code = report->outcome == NGX_KAFKA_MAYBE_KEPT
               ? NGX_HTTP_KAFKA_MAYBE_DELIVERED
               : NGX_HTTP_KAFKA_NOT_DELIVERED;

        if (report->outcome == NGX_KAFKA_NOT_KEPT) {

            switch (report->error) {

            case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
            case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
                code = NGX_HTTP_KAFKA_TOPIC_MISSING;
                break;

            case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
                code = ngx_http_kafka_no_partition(ctx);
                break;

            default:
                break;
            }
        }

        ngx_http_kafka_fail(item, code, rd_kafka_err2str(report->error));
    }

    if (ctx->waiting) {
        return;
    }

    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_http_kafka_resume(ctx);

    if (ngx_http_kafka_has_left(ctx)) {
        return;
    }

    rc = ngx_http_kafka_reply(ctx);

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


/*
 * Of a topic that was deleted librdkafka 2.8 says that the partition is
 * unknown, which no client has chosen.
 */

static ngx_http_kafka_error_e
ngx_http_kafka_no_partition(ngx_http_kafka_ctx_t *ctx)
{
    return ctx->common.partition == RD_KAFKA_PARTITION_UA
           ? NGX_HTTP_KAFKA_TOPIC_MISSING
           : NGX_HTTP_KAFKA_BAD_PARTITION;
}


/* "detail" is static. */
static void
ngx_http_kafka_fail(ngx_http_kafka_item_t *item, ngx_http_kafka_error_e code,
    const char *detail)
{
    ngx_http_kafka_problem_t  *problem;

    static ngx_http_kafka_problem_t  without_memory = {
        NGX_HTTP_KAFKA_MAYBE_DELIVERED, ngx_null_string, NULL, NULL, 0
    };

    item->state = NGX_HTTP_KAFKA_FAILED;

    problem = ngx_pcalloc(item->ctx->request->pool,
                          sizeof(ngx_http_kafka_problem_t));
    if (problem == NULL) {
        item->problem = &without_memory;
        return;
    }

    problem->code = code;
    problem->detail.data = (u_char *) detail;
    problem->detail.len = ngx_strlen(detail);

    item->problem = problem;
}


static void
ngx_http_kafka_timeout(ngx_event_t *ev)
{
    ngx_int_t               rc;
    ngx_uint_t              i;
    ngx_connection_t       *c;
    ngx_http_request_t     *r;
    ngx_kafka_record_t     *record;
    ngx_http_kafka_ctx_t   *ctx;
    ngx_http_kafka_item_t  *item;

    ctx = ev->data;
    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    item = ctx->items.elts;

    for (i = 0; i < ctx->items.nelts; i++) {
        record = item[i].record;

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
    ngx_http_kafka_resume(ctx);

    if (ngx_http_kafka_has_left(ctx)) {
        return;
    }

    rc = ngx_http_kafka_reply(ctx);

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


/* Also when the client leaves; its records go on without it. */
static void
ngx_http_kafka_cleanup(void *data)
{
    ngx_http_kafka_ctx_t  *ctx = data;

    ngx_uint_t              i;
    ngx_http_kafka_item_t  *item;

    if (!ctx->suspended) {
        return;
    }

    item = ctx->items.elts;

    for (i = 0; i < ctx->items.nelts; i++) {
        if (item[i].record) {
            (void) ngx_kafka_abandon(item[i].record);
            item[i].record = NULL;
        }
    }

    ngx_http_kafka_resume(ctx);
    ngx_http_kafka_count(ctx, NGX_HTTP_KAFKA_COUNT_LEFT);
}
