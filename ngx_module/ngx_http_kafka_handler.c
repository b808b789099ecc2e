/* The way of a request: checked, produced, suspended, answered. */

#include "ngx_http_kafka_module.h"
#include "json.h"


/* a document's memory above it is not kept for the next request */
#define NGX_HTTP_KAFKA_WARM_TOKENS  65536


typedef struct {
    ngx_http_request_t     *request;
    ngx_kafka_topic_conf_t *topic;
    ngx_kafka_record_t     *record;     /* NULL: not suspended */
    ngx_event_t             timer;
} ngx_http_kafka_ctx_t;


static void ngx_http_kafka_body_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_kafka_early(ngx_http_request_t *r,
    ngx_http_kafka_problem_t *problem);
static ngx_int_t ngx_http_kafka_find_topic(ngx_http_request_t *r,
    ngx_http_kafka_problem_t *problem);
static ngx_int_t ngx_http_kafka_take(ngx_http_request_t *r,
    ngx_http_kafka_problem_t *problem);
static ngx_int_t ngx_http_kafka_check(ngx_http_request_t *r,
    ngx_kafka_topic_conf_t *topic, ngx_str_t *body,
    ngx_http_kafka_problem_t *problem);
static ngx_int_t ngx_http_kafka_refuse(ngx_http_request_t *r,
    ngx_kafka_take_e rc, ngx_http_kafka_problem_t *problem);
static ngx_int_t ngx_http_kafka_suspend(ngx_http_request_t *r,
    ngx_http_kafka_ctx_t *ctx);
static ngx_uint_t ngx_http_kafka_resume(ngx_http_kafka_ctx_t *ctx,
    ngx_uint_t abandon);
static void ngx_http_kafka_report(void *data, ngx_kafka_report_t *report);
static void ngx_http_kafka_timeout(ngx_event_t *ev);
static void ngx_http_kafka_cleanup(void *data);


/* of this worker; a warm one allocates nothing */
static json_doc_t  ngx_http_kafka_doc;


ngx_int_t
ngx_http_kafka_handler(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_http_kafka_ctx_t     *ctx;
    ngx_http_kafka_problem_t  problem;

    ngx_memzero(&problem, sizeof(ngx_http_kafka_problem_t));

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_kafka_ctx_t));
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->request = r;
    ngx_http_set_ctx(r, ctx, ngx_http_kafka_module);

    /* what needs no body is answered before one is read */

    if (ngx_http_kafka_early(r, &problem) != NGX_OK) {
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
ngx_http_kafka_early(ngx_http_request_t *r, ngx_http_kafka_problem_t *problem)
{
    ngx_http_kafka_loc_conf_t  *klcf;

    if (!(r->method & NGX_HTTP_POST)) {
        problem->code = NGX_HTTP_KAFKA_METHOD;
        return NGX_DECLINED;
    }

    if (r->discard_body || r->request_body_no_buffering) {
        problem->code = NGX_HTTP_KAFKA_BODY_GONE;
        return NGX_DECLINED;
    }

    if (ngx_http_kafka_find_topic(r, problem) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (ngx_http_kafka_coding(r) == NGX_HTTP_KAFKA_UNKNOWN) {
        problem->code = NGX_HTTP_KAFKA_ENCODING;
        return NGX_DECLINED;
    }

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_kafka_module);

    if (klcf->producer->producer == NULL) {
        problem->code = NGX_HTTP_KAFKA_NOT_STARTED;
        return NGX_DECLINED;
    }

    if (r->headers_in.content_length_n
        > (off_t) ngx_kafka_limit(klcf->producer->producer))
    {
        problem->code = NGX_HTTP_KAFKA_LARGE;
        ngx_http_kafka_detail(r, problem,
                              "The record is larger than %uz bytes.",
                              ngx_kafka_limit(klcf->producer->producer));
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_find_topic(ngx_http_request_t *r,
    ngx_http_kafka_problem_t *problem)
{
    ngx_int_t                   i;
    ngx_str_t                   name;
    ngx_http_kafka_ctx_t       *ctx;
    ngx_kafka_topic_conf_t     *topic;
    ngx_http_kafka_loc_conf_t  *klcf;

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_kafka_module);
    ctx = ngx_http_get_module_ctx(r, ngx_http_kafka_module);
    topic = klcf->producer->topics.elts;

    i = klcf->topic_index;

    if (i == NGX_ERROR) {

        if (ngx_http_complex_value(r, klcf->topic, &name) != NGX_OK) {
            problem->code = NGX_HTTP_KAFKA_INTERNAL;
            return NGX_ERROR;
        }

        i = ngx_kafka_conf_topic(klcf->producer, &name);
    }

    if (i == NGX_ERROR) {
        problem->code = NGX_HTTP_KAFKA_NO_TOPIC;
        name.len = ngx_min(name.len, 250);
        ngx_http_kafka_detail(r, problem, "The topic \"%V\" is not declared.",
                              &name);
        return NGX_DECLINED;
    }

    ctx->topic = &topic[i];

    return NGX_OK;
}


static void
ngx_http_kafka_body_handler(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_http_kafka_problem_t  problem;

    ngx_memzero(&problem, sizeof(ngx_http_kafka_problem_t));

    /* all is read: an exiting worker need not wait for the client to close */
    r->main->lingering_close = 0;

    rc = ngx_http_kafka_take(r, &problem);

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
ngx_http_kafka_take(ngx_http_request_t *r, ngx_http_kafka_problem_t *problem)
{
    ngx_str_t                   body, key;
    ngx_uint_t                  queued;
    ngx_kafka_take_e            taken;
    ngx_kafka_record_t         *record;
    ngx_kafka_message_t         msg;
    ngx_kafka_producer_t       *kp;
    ngx_http_kafka_ctx_t        *ctx;
    ngx_http_kafka_loc_conf_t   *klcf;
    ngx_http_kafka_main_conf_t  *kmcf;

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_kafka_module);
    ctx = ngx_http_get_module_ctx(r, ngx_http_kafka_module);
    kp = klcf->producer->producer;

    if (ngx_http_kafka_body(r, ngx_kafka_limit(kp), &body, problem)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    ngx_str_null(&key);

    if (klcf->key && ngx_http_complex_value(r, klcf->key, &key) != NGX_OK) {
        problem->code = NGX_HTTP_KAFKA_INTERNAL;
        return NGX_DECLINED;
    }

    if ((klcf->format == NGX_HTTP_KAFKA_JSON || ctx->topic->schema)
        && ngx_http_kafka_check(r, ctx->topic, &body, problem) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (ngx_http_kafka_limit(r, 1, body.len + key.len, problem) != NGX_OK) {
        return NGX_DECLINED;
    }

    queued = klcf->ack == NGX_HTTP_KAFKA_QUEUED;

    msg.topic = ctx->topic
                - (ngx_kafka_topic_conf_t *) klcf->producer->topics.elts;
    /* librdkafka takes a NULL value for a tombstone, an empty one not */
    msg.value = body.data ? (void *) body.data : "";
    msg.len = body.len;
    msg.key = key.data;
    msg.key_len = key.len;
    msg.handler = queued ? NULL : ngx_http_kafka_report;
    msg.data = ctx;

    if (!queued && ngx_http_kafka_suspend(r, ctx) != NGX_OK) {
        problem->code = NGX_HTTP_KAFKA_INTERNAL;
        return NGX_DECLINED;
    }

    taken = ngx_kafka_produce(kp, &msg, &record);

    if (taken != NGX_KAFKA_TAKEN) {
        return ngx_http_kafka_refuse(r, taken, problem);
    }

    if (queued) {
        return ngx_http_kafka_reply_queued(r, &ctx->topic->name);
    }

    ctx->record = record;

    kmcf = ngx_http_get_module_main_conf(r, ngx_http_kafka_module);
    (void) ngx_atomic_fetch_add(&kmcf->slot->in_flight, 1);

    ngx_add_timer(&ctx->timer, klcf->timeout);

    return NGX_AGAIN;
}


static ngx_int_t
ngx_http_kafka_check(ngx_http_request_t *r, ngx_kafka_topic_conf_t *topic,
    ngx_str_t *body, ngx_http_kafka_problem_t *problem)
{
    int                         rc;
    schema_t                   *schema;
    json_error_t                err;
    schema_violation_t         *violation;
    ngx_http_kafka_loc_conf_t  *klcf;

    if (body->len == 0) {
        problem->code = NGX_HTTP_KAFKA_EMPTY;
        return NGX_DECLINED;
    }

    rc = json_parse(&ngx_http_kafka_doc, (char *) body->data, body->len, &err);

    if (rc != 0) {
        problem->code = err.reason == json_no_memory ? NGX_HTTP_KAFKA_INTERNAL
                                                     : NGX_HTTP_KAFKA_NOT_JSON;
        ngx_http_kafka_detail(r, problem, "%s at byte %uz.", err.reason,
                              err.offset);
        goto failed;
    }

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_kafka_module);
    schema = klcf->schema ? klcf->schema : topic->schema;

    if (schema == NULL) {
        goto done;
    }

    violation = ngx_palloc(r->pool, sizeof(schema_violation_t));
    if (violation == NULL) {
        problem->code = NGX_HTTP_KAFKA_INTERNAL;
        goto failed;
    }

    if (schema_check(schema, &ngx_http_kafka_doc, 0, violation) == 0) {
        goto done;
    }

    problem->code = NGX_HTTP_KAFKA_SCHEMA;
    problem->detail.data = (u_char *) violation->reason;
    problem->detail.len = ngx_strlen(violation->reason);
    problem->pointer = violation->pointer;
    problem->keyword = violation->keyword;

failed:

    rc = -1;

done:

    if (ngx_http_kafka_doc.size > NGX_HTTP_KAFKA_WARM_TOKENS) {
        json_doc_free(&ngx_http_kafka_doc);
    }

    return rc == 0 ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_kafka_refuse(ngx_http_request_t *r, ngx_kafka_take_e rc,
    ngx_http_kafka_problem_t *problem)
{
    ngx_http_kafka_loc_conf_t  *klcf;

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_kafka_module);

    switch (rc) {

    case NGX_KAFKA_TOO_LARGE:
        problem->code = NGX_HTTP_KAFKA_LARGE;
        ngx_http_kafka_detail(r, problem,
                              "Key and value do not fit into the %uz bytes "
                              "of the largest record.",
                              ngx_kafka_limit(klcf->producer->producer));
        break;

    case NGX_KAFKA_QUEUE_FULL:
        problem->code = NGX_HTTP_KAFKA_QUEUE_FULL;
        break;

    case NGX_KAFKA_BROKERS_DOWN:
        problem->code = NGX_HTTP_KAFKA_BROKERS_DOWN;
        break;

    case NGX_KAFKA_TOPIC_MISSING:
        problem->code = NGX_HTTP_KAFKA_TOPIC_MISSING;
        break;

    case NGX_KAFKA_NOT_STARTED:
        problem->code = NGX_HTTP_KAFKA_NOT_STARTED;
        break;

    default:
        problem->code = NGX_HTTP_KAFKA_NOT_DELIVERED;
        ngx_http_kafka_detail(r, problem, "%s",
                              rd_kafka_err2str(rd_kafka_last_error()));
        break;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_kafka_suspend(ngx_http_request_t *r, ngx_http_kafka_ctx_t *ctx)
{
    ngx_http_cleanup_t  *cln;

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


/* Returns 0 when the record was never handed over. */
static ngx_uint_t
ngx_http_kafka_resume(ngx_http_kafka_ctx_t *ctx, ngx_uint_t abandon)
{
    ngx_uint_t                   handed;
    ngx_http_kafka_main_conf_t  *kmcf;

    kmcf = ngx_http_get_module_main_conf(ctx->request, ngx_http_kafka_module);

    (void) ngx_atomic_fetch_add(&kmcf->slot->in_flight, -1);

    if (ctx->timer.timer_set) {
        ngx_del_timer(&ctx->timer);
    }

    handed = abandon ? ngx_kafka_abandon(ctx->record) : 1;
    ctx->record = NULL;

    return handed;
}


static void
ngx_http_kafka_report(void *data, ngx_kafka_report_t *report)
{
    ngx_http_kafka_ctx_t  *ctx = data;

    ngx_int_t                 rc;
    ngx_connection_t         *c;
    ngx_http_request_t       *r;
    ngx_http_kafka_problem_t  problem;

    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    (void) ngx_http_kafka_resume(ctx, 0);

    if (report->outcome == NGX_KAFKA_KEPT) {
        rc = ngx_http_kafka_reply_kept(r, &ctx->topic->name, report);

    } else {
        ngx_memzero(&problem, sizeof(ngx_http_kafka_problem_t));

        problem.code = report->outcome == NGX_KAFKA_MAYBE_KEPT
                       ? NGX_HTTP_KAFKA_MAYBE_DELIVERED
                       : NGX_HTTP_KAFKA_NOT_DELIVERED;

        if (report->outcome == NGX_KAFKA_NOT_KEPT
            && (report->error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC
                || report->error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART))
        {
            problem.code = NGX_HTTP_KAFKA_TOPIC_MISSING;
        }

        ngx_http_kafka_detail(r, &problem, "%s",
                              rd_kafka_err2str(report->error));

        rc = ngx_http_kafka_reply_problem(r, &problem);
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_kafka_timeout(ngx_event_t *ev)
{
    ngx_int_t                  rc;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_kafka_ctx_t      *ctx;
    ngx_http_kafka_problem_t   problem;

    ctx = ev->data;
    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_memzero(&problem, sizeof(ngx_http_kafka_problem_t));

    if (ngx_http_kafka_resume(ctx, 1)) {
        problem.code = NGX_HTTP_KAFKA_NO_REPORT;

    } else {
        problem.code = NGX_HTTP_KAFKA_NOT_SENT;
        ngx_str_set(&problem.detail, "Its topic is not created yet.");
    }

    rc = ngx_http_kafka_reply_problem(r, &problem);

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


/* Also when the client leaves; its record goes on without it. */
static void
ngx_http_kafka_cleanup(void *data)
{
    ngx_http_kafka_ctx_t  *ctx = data;

    ngx_http_kafka_main_conf_t  *kmcf;

    if (ctx->record == NULL) {
        return;
    }

    (void) ngx_http_kafka_resume(ctx, 1);

    kmcf = ngx_http_get_module_main_conf(ctx->request, ngx_http_kafka_module);

    (void) ngx_atomic_fetch_add(&kmcf->counters->requests, 1);
}


void
ngx_http_kafka_detail(ngx_http_request_t *r,
    ngx_http_kafka_problem_t *problem, const char *fmt, ...)
{
    u_char   buf[512], *p;
    va_list  args;

    va_start(args, fmt);
    p = ngx_vslprintf(buf, buf + sizeof(buf), fmt, args);
    va_end(args);

    problem->detail.len = p - buf;
    problem->detail.data = ngx_pnalloc(r->pool, problem->detail.len);

    if (problem->detail.data == NULL) {
        problem->detail.len = 0;
        return;
    }

    ngx_memcpy(problem->detail.data, buf, problem->detail.len);
}
