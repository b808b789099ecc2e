/*
 * Takes a stream through its parts, one after the other: the records that are
 * whole are cut off the body, go through the steps of any other request, and
 * are answered; when the client has taken the answer the next part begins.
 *
 * So a client's records keep their order, whichever client of librdkafka takes
 * them, and the memory of a stream is that of one part.
 */

#include "http/ngx_http_kafka_stream.h"
#include "http/ngx_http_kafka_deliver.h"
#include "http/ngx_http_kafka_gather.h"
#include "http/ngx_http_kafka_headers.h"
#include "http/ngx_http_kafka_memory.h"
#include "http/ngx_http_kafka_problem.h"
#include "http/ngx_http_kafka_records.h"
#include "http/ngx_http_kafka_reply.h"
#include "http/ngx_http_kafka_request.h"
#include "http/ngx_http_kafka_rest_reply.h"
#include "http/ngx_http_kafka_split.h"
#include "http/ngx_http_kafka_work.h"


#define NGX_HTTP_KAFKA_TICK    1000     /* ms, until an exit is seen */


typedef enum {
    NGX_HTTP_KAFKA_STREAM_READ = 0,     /* the body goes on */
    NGX_HTTP_KAFKA_STREAM_WORK,         /* a part is checked, or under way */
    NGX_HTTP_KAFKA_STREAM_SEND          /* its answer is sent */
} ngx_http_kafka_stream_e;


struct ngx_http_kafka_stream_s {
    ngx_http_kafka_gather_t  gather;
    ngx_http_kafka_stream_e  state;
    ngx_uint_t               found;     /* records of the part */
    ngx_uint_t               kept;      /* records of all parts that ended so */
    ngx_uint_t               failed;
    ngx_buf_t                buf;       /* the part's answer */
    ngx_chain_t              out;
    ngx_chain_t             *next;      /* &out: not given to nginx yet */
    ngx_event_t              tick;
    ngx_http_cleanup_t       cleanup;
    unsigned                 running:1; /* ngx_http_kafka_stream_go() is */
    unsigned                 last:1;    /* no part follows */
    unsigned                 refused:1; /* the last line is of no record */
    unsigned                 ended:1;
};


static void ngx_http_kafka_stream_begin(ngx_http_request_t *r);
static ngx_int_t ngx_http_kafka_stream_head(ngx_http_kafka_ctx_t *ctx);
static void ngx_http_kafka_stream_event(ngx_http_request_t *r,
    ngx_event_t *ev, ngx_http_kafka_stream_e state);
static void ngx_http_kafka_stream_readable(ngx_http_request_t *r);
static void ngx_http_kafka_stream_writable(ngx_http_request_t *r);
static void ngx_http_kafka_stream_tick(ngx_event_t *ev);
static ngx_int_t ngx_http_kafka_stream_go(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_stream_next(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_stream_read(ngx_http_kafka_ctx_t *ctx);
static void ngx_http_kafka_stream_reset(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_stream_answer(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_stream_blame(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_stream_refuse(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_stream_lines(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_stream_send(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_stream_end(ngx_http_kafka_ctx_t *ctx);
static void ngx_http_kafka_stream_cleanup(void *data);


/* What happens to a part, in this order. */
static const ngx_http_kafka_step_pt  ngx_http_kafka_stream_steps[] = {
    ngx_http_kafka_own_pool,
    ngx_http_kafka_split,
    ngx_http_kafka_choose,
    ngx_http_kafka_check_limits,
    ngx_http_kafka_produce,
    NULL
};


ngx_int_t
ngx_http_kafka_stream(ngx_http_kafka_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_http_request_t       *r;
    ngx_http_kafka_stream_t  *s;

    r = ctx->request;

    if (ngx_http_kafka_request_common(ctx) != NGX_OK) {
        return ngx_http_kafka_reply_problem(ctx, NULL);
    }

    s = ngx_pcalloc(r->pool, sizeof(ngx_http_kafka_stream_t));

    if (s == NULL || ngx_http_kafka_own(ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_kafka_gather_begin(&s->gather, ctx, NGX_HTTP_KAFKA_PART);

    s->tick.handler = ngx_http_kafka_stream_tick;
    s->tick.data = ctx;
    s->tick.log = r->connection->log;
    s->tick.cancelable = 1;

    ctx->stream = s;
    ctx->answer = ngx_http_kafka_stream_answer;

    r->request_body_no_buffering = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_kafka_stream_begin);

    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}


/* The body has begun, or is there already. */
static void
ngx_http_kafka_stream_begin(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_http_kafka_ctx_t     *ctx;
    ngx_http_kafka_stream_t  *s;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kafka_module);
    s = ctx->stream;

    r->read_event_handler = ngx_http_kafka_stream_readable;
    r->write_event_handler = ngx_http_kafka_stream_writable;

    ngx_http_kafka_work_may_wait(ctx, &s->cleanup,
                                 ngx_http_kafka_stream_cleanup);

    rc = ngx_http_kafka_stream_head(ctx);

    if (rc == NGX_OK) {
        ngx_add_timer(&s->tick, NGX_HTTP_KAFKA_TICK);
        rc = ngx_http_kafka_stream_go(ctx);
    }

    if (rc != NGX_AGAIN) {
        ngx_http_finalize_request(r, rc);
    }
}


/* The head goes before the first report: some clients wait for it. */
static ngx_int_t
ngx_http_kafka_stream_head(ngx_http_kafka_ctx_t *ctx)
{
    ngx_int_t                  rc;
    ngx_str_t                 *type;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    static ngx_str_t  ndjson = ngx_string("application/x-ndjson");

    r = ctx->request;
    c = r->connection;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    type = ctx->rest ? ngx_http_kafka_rest_media(ctx) : &ndjson;

    /* a line of its own must not wait for the acknowledgement of the last */

    if ((clcf->tcp_nodelay && ngx_tcp_nodelay(c) != NGX_OK)
        || ngx_http_kafka_preferences(ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    r->err_status = 0;
    r->disable_not_modified = 1;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;
    r->headers_out.content_type_lowcase = NULL;
    ngx_http_clear_content_length(r);

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return NGX_ERROR;
    }

    ctx->stream->state = NGX_HTTP_KAFKA_STREAM_SEND;

    return ngx_http_send_special(r, NGX_HTTP_FLUSH) == NGX_ERROR
           ? NGX_ERROR : NGX_OK;
}


static void
ngx_http_kafka_stream_readable(ngx_http_request_t *r)
{
    ngx_http_kafka_stream_event(r, r->connection->read,
                                NGX_HTTP_KAFKA_STREAM_READ);
}


static void
ngx_http_kafka_stream_writable(ngx_http_request_t *r)
{
    ngx_http_kafka_stream_event(r, r->connection->write,
                                NGX_HTTP_KAFKA_STREAM_SEND);
}


/* What the stream waits for in "state" is there, or too late. */
static void
ngx_http_kafka_stream_event(ngx_http_request_t *r, ngx_event_t *ev,
    ngx_http_kafka_stream_e state)
{
    ngx_int_t              rc;
    ngx_connection_t      *c;
    ngx_http_kafka_ctx_t  *ctx;

    c = r->connection;
    ctx = ngx_http_get_module_ctx(r, ngx_http_kafka_module);

    if (c->error) {
        rc = NGX_HTTP_CLIENT_CLOSED_REQUEST;

    } else if (ctx->stream->state != state) {

        if (state == NGX_HTTP_KAFKA_STREAM_READ) {
            ngx_http_block_reading(r);
        }

        return;

    } else if (ev->timedout && ev == c->write) {
        c->timedout = 1;
        rc = NGX_HTTP_REQUEST_TIME_OUT;

    } else {
        rc = ngx_http_kafka_stream_go(ctx);
    }

    if (rc != NGX_AGAIN) {
        ngx_http_finalize_request(r, rc);
    }
}


/* An exiting worker takes no more records: the stream ends behind one. */
static void
ngx_http_kafka_stream_tick(ngx_event_t *ev)
{
    ngx_int_t              rc;
    ngx_connection_t      *c;
    ngx_http_request_t    *r;
    ngx_http_kafka_ctx_t  *ctx;

    ctx = ev->data;
    r = ctx->request;
    c = r->connection;

    if (ngx_http_get_module_ctx(r, ngx_http_kafka_module) != ctx) {
        /* the client has left, and "post_action" uses the request */
        return;
    }

    if (!ngx_exiting || ctx->stream->state != NGX_HTTP_KAFKA_STREAM_READ) {
        ngx_add_timer(ev, NGX_HTTP_KAFKA_TICK);
        return;
    }

    ngx_http_set_log_request(c->log, r);

    rc = ngx_http_kafka_stream_go(ctx);

    if (rc != NGX_AGAIN) {
        ngx_http_finalize_request(r, rc);
    }

    ngx_http_run_posted_requests(c);
}


/* Goes on until the stream has to wait; else returns what finalizes it. */
static ngx_int_t
ngx_http_kafka_stream_go(ngx_http_kafka_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_http_kafka_stream_t  *s;

    s = ctx->stream;
    s->running = 1;

    ngx_http_kafka_turn_begin();

    do {
        rc = s->state == NGX_HTTP_KAFKA_STREAM_SEND
             ? ngx_http_kafka_stream_send(ctx)
             : ngx_http_kafka_stream_next(ctx);

    } while (rc == NGX_OK);

    s->running = 0;

    /* a last part that is sent */

    return rc == NGX_DONE ? ngx_http_kafka_stream_end(ctx) : rc;
}


/* Begins the next part.  NGX_OK: its answer is there. */
static ngx_int_t
ngx_http_kafka_stream_next(ngx_http_kafka_ctx_t *ctx)
{
    ngx_int_t                  rc;
    ngx_event_t               *rev;
    ngx_http_request_t        *r;
    ngx_http_kafka_stream_t   *s;
    ngx_http_core_loc_conf_t  *clcf;

    r = ctx->request;
    s = ctx->stream;
    rev = r->connection->read;

    rc = ngx_http_kafka_stream_read(ctx);

    if (rc == NGX_AGAIN) {

        if (!rev->timer_set) {
            clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
            ngx_add_timer(rev, clcf->client_body_timeout);
        }

        return rc;
    }

    if (rev->timer_set) {
        ngx_del_timer(rev);
    }

    if (rc == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE) {
        rc = ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_LARGE,
                                   "The body is larger than "
                                   "\"client_max_body_size\".");
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_kafka_stream_refuse(ctx);
    }

    if (rc != NGX_OK) {
        return rc > NGX_OK ? NGX_ERROR : rc;
    }

    s->found = s->gather.found;
    s->last |= s->gather.broken;

    ngx_http_kafka_stream_reset(ctx);

    if (ngx_http_kafka_gather_body(&s->gather, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    s->state = NGX_HTTP_KAFKA_STREAM_WORK;
    rc = ngx_http_kafka_work(ctx, ngx_http_kafka_stream_steps);

    return rc == NGX_AGAIN && s->state == NGX_HTTP_KAFKA_STREAM_SEND ? NGX_OK
                                                                     : rc;
}


/*
 * NGX_OK: there is a part; NGX_DONE: the body has ended; NGX_DECLINED: a
 * problem of the rest.  Others are nginx's.
 */
static ngx_int_t
ngx_http_kafka_stream_read(ngx_http_kafka_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_http_request_t       *r;
    ngx_http_kafka_stream_t  *s;

    r = ctx->request;
    s = ctx->stream;

    for ( ;; ) {
        rc = ngx_http_kafka_gather(&s->gather, ctx);

        if (rc != NGX_OK || s->gather.found) {
            return rc;
        }

        if (!r->reading_body) {
            break;
        }

        if (ngx_exiting) {
            return ngx_http_kafka_detail(&ctx->problem,
                                         NGX_HTTP_KAFKA_NOT_SENT,
                                         "This worker leaves: send the "
                                         "records behind the last report in "
                                         "a new request.");
        }

        rc = ngx_http_read_unbuffered_request_body(r);

        if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
            return rc;
        }

        if (r->reading_body && r->request_body->bufs == NULL) {
            return NGX_AGAIN;
        }
    }

    s->last = 1;

    return ngx_http_kafka_gather_last(&s->gather) ? NGX_OK : NGX_DONE;
}


static void
ngx_http_kafka_stream_reset(ngx_http_kafka_ctx_t *ctx)
{
    ngx_memzero(&ctx->items, sizeof(ngx_array_t));
    ngx_memzero(&ctx->messages, sizeof(ngx_array_t));
    ngx_memzero(&ctx->problem, sizeof(ngx_http_kafka_problem_t));

    ctx->problem.pool = ctx->pool;
    ctx->problem.code = NGX_HTTP_KAFKA_NO_ERROR;

    if (ctx->rest) {
        ngx_memzero(&ctx->rest->shapes, sizeof(ngx_array_t));
        ctx->rest->chosen = 0;
    }

    ctx->lenient = 1;
    ctx->invalid = 0;
    ctx->ready = 0;
    ctx->given = 0;

    /* the time of its turns begins again */
    ctx->work.timer.data = NULL;
}


/* Each record of the part has its state, or ctx->problem is of all. */
static ngx_int_t
ngx_http_kafka_stream_answer(ngx_http_kafka_ctx_t *ctx)
{
    ngx_uint_t                i;
    ngx_http_kafka_item_t    *item;
    ngx_http_kafka_stream_t  *s;

    s = ctx->stream;

    ngx_http_kafka_unhold(ctx);

    if (ctx->problem.code != NGX_HTTP_KAFKA_NO_ERROR
        && ngx_http_kafka_stream_blame(ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    item = ctx->items.elts;

    for (i = 0; i < ctx->items.nelts; i++) {
        s->kept += item[i].state != NGX_HTTP_KAFKA_FAILED;
        s->failed += item[i].state == NGX_HTTP_KAFKA_FAILED;
    }

    s->last |= ctx->rest && ctx->rest->broken;

    if (ngx_http_kafka_stream_lines(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    return s->running ? NGX_AGAIN : ngx_http_kafka_stream_go(ctx);
}


/* Records that were not sent have the problem; those not read, too. */
static ngx_int_t
ngx_http_kafka_stream_blame(ngx_http_kafka_ctx_t *ctx)
{
    ngx_uint_t              i;
    ngx_http_kafka_item_t  *item;

    if (ctx->items.elts == NULL
        && ngx_array_init(&ctx->items, ctx->pool, ctx->stream->found,
                          sizeof(ngx_http_kafka_item_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    while (ctx->items.nelts < ctx->stream->found) {

        item = ngx_array_push(&ctx->items);
        if (item == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(item, sizeof(ngx_http_kafka_item_t));
        item->ctx = ctx;
    }

    item = ctx->items.elts;

    for (i = 0; i < ctx->items.nelts; i++) {

        if (item[i].state == NGX_HTTP_KAFKA_WAITING) {
            item[i].state = NGX_HTTP_KAFKA_FAILED;
            item[i].dead = 0;
            item[i].problem = &ctx->problem;
        }
    }

    return NGX_OK;
}


/* Nothing more is taken: the last line says why. */
static ngx_int_t
ngx_http_kafka_stream_refuse(ngx_http_kafka_ctx_t *ctx)
{
    ngx_http_kafka_item_t    *item;
    ngx_http_kafka_problem_t  problem;

    problem = ctx->problem;

    ngx_http_kafka_stream_reset(ctx);
    ngx_http_kafka_record_alone(ctx);

    ctx->problem = problem;
    ctx->items.nelts = 1;

    item = &ctx->item;
    ngx_memzero(item, sizeof(ngx_http_kafka_item_t));

    item->ctx = ctx;
    item->state = NGX_HTTP_KAFKA_FAILED;
    item->problem = &ctx->problem;

    ctx->stream->last = 1;
    ctx->stream->refused = 1;

    return ngx_http_kafka_stream_lines(ctx);
}


static ngx_int_t
ngx_http_kafka_stream_lines(ngx_http_kafka_ctx_t *ctx)
{
    ngx_str_t                 text;
    ngx_http_kafka_stream_t  *s;

    s = ctx->stream;
    text = ngx_http_kafka_reply_lines(ctx, !s->refused);

    if (text.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&s->buf, sizeof(ngx_buf_t));

    s->buf.pos = text.data;
    s->buf.last = text.data + text.len;
    s->buf.memory = 1;
    s->buf.flush = 1;

    s->out.buf = &s->buf;
    s->out.next = NULL;
    s->next = &s->out;

    s->state = NGX_HTTP_KAFKA_STREAM_SEND;

    if (!s->refused) {
        ctx->first += ctx->items.nelts;
    }

    return NGX_OK;
}


/* NGX_OK: the client has the answer, so its memory ends. */
static ngx_int_t
ngx_http_kafka_stream_send(ngx_http_kafka_ctx_t *ctx)
{
    ngx_chain_t               *out;
    ngx_event_t               *wev;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_kafka_stream_t   *s;
    ngx_http_core_loc_conf_t  *clcf;

    r = ctx->request;
    c = r->connection;
    wev = c->write;
    s = ctx->stream;

    out = s->next;
    s->next = NULL;

    if (ngx_http_output_filter(r, out) == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (r->buffered || c->buffered) {
        clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

        if (!wev->delayed) {
            ngx_add_timer(wev, clcf->send_timeout);
        }

        return ngx_handle_write_event(wev, clcf->send_lowat) == NGX_OK
               ? NGX_AGAIN : NGX_ERROR;
    }

    if (wev->timer_set) {
        ngx_del_timer(wev);
    }

    if (s->last) {
        return NGX_DONE;
    }

    ngx_http_kafka_free_records(ctx);
    s->state = NGX_HTTP_KAFKA_STREAM_READ;

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_stream_end(ngx_http_kafka_ctx_t *ctx)
{
    ngx_http_kafka_stream_t  *s;

    s = ctx->stream;
    s->ended = 1;

    if (!s->refused) {
        /* it was of some records, whose lines say so */
        ctx->problem.code = NGX_HTTP_KAFKA_NO_ERROR;
    }

    ngx_http_kafka_count(ctx,
                         s->refused ? ctx->problem.code
                         : s->failed ? NGX_HTTP_KAFKA_COUNT_PARTLY
                         : ctx->queued ? NGX_HTTP_KAFKA_COUNT_QUEUED
                         : ctx->stored ? NGX_HTTP_KAFKA_COUNT_STORED
                                       : NGX_HTTP_KAFKA_COUNT_KEPT);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ctx->request->connection->log, 0,
                   "kafka stream ended: %ui records kept, %ui not", s->kept,
                   s->failed);

    return ngx_http_send_special(ctx->request, NGX_HTTP_LAST) == NGX_ERROR
           ? NGX_ERROR : NGX_OK;
}


/* The request ends; records under way are left to the producer. */
static void
ngx_http_kafka_stream_cleanup(void *data)
{
    ngx_http_kafka_ctx_t *ctx = data;

    ngx_http_kafka_stream_t  *s;

    s = ctx->stream;

    if (s->tick.timer_set) {
        ngx_del_timer(&s->tick);
    }

    ngx_http_kafka_gather_end(&s->gather, ctx);

    /* for a log */
    ctx->items.nelts = ctx->first;
    ctx->invalid = s->failed;

    if (!s->ended) {
        ngx_http_kafka_count(ctx, NGX_HTTP_KAFKA_COUNT_LEFT);
    }
}
