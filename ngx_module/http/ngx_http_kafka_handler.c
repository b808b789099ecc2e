/* What happens to a request: checked, produced, suspended, answered. */

#include "http/ngx_http_kafka_handler.h"
#include "http/ngx_http_kafka_body.h"
#include "http/ngx_http_kafka_deliver.h"
#include "http/ngx_http_kafka_headers.h"
#include "http/ngx_http_kafka_memory.h"
#include "http/ngx_http_kafka_outcome.h"
#include "http/ngx_http_kafka_problem.h"
#include "http/ngx_http_kafka_reply.h"
#include "http/ngx_http_kafka_request.h"
#include "http/ngx_http_kafka_rest_list.h"
#include "http/ngx_http_kafka_split.h"
#include "http/ngx_http_kafka_stream.h"
#include "http/ngx_http_kafka_work.h"


static ngx_http_kafka_ctx_t *ngx_http_kafka_create_ctx(ngx_http_request_t *r);
static ngx_int_t ngx_http_kafka_options(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_check_method(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_check_length(ngx_http_kafka_ctx_t *ctx);
static void ngx_http_kafka_body_handler(ngx_http_request_t *r);


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
        || ngx_http_kafka_request_format(ctx) != NGX_OK)
    {
        return ngx_http_kafka_reply_problem(ctx, NULL);
    }

    ngx_http_kafka_request_prefer(ctx);

    if (ctx->conf->stream && ngx_http_kafka_request_streams(ctx)) {
        return ngx_http_kafka_stream(ctx);
    }

    if (ngx_http_kafka_check_length(ctx) != NGX_OK) {
        return ngx_http_kafka_reply_problem(ctx, NULL);
    }

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
