/* Answers a request that has a problem, or leaves it to an error_page. */

#include "http/ngx_http_kafka_problem.h"
#include "http/ngx_http_kafka_headers.h"
#include "http/ngx_http_kafka_memory.h"
#include "http/ngx_http_kafka_rest_reply.h"
#include "http/ngx_http_kafka_variables.h"


static ngx_int_t ngx_http_kafka_problem_id(ngx_http_request_t *r,
    ngx_str_t *id);
static ngx_int_t ngx_http_kafka_problem_headers(ngx_http_kafka_ctx_t *ctx);
static ngx_uint_t ngx_http_kafka_intercepted(ngx_http_kafka_ctx_t *ctx,
    ngx_uint_t status);


/* of ngx_http_kafka_header(), where an answer is a problem's */
static ngx_str_t  ngx_http_kafka_problem_names[] = {
    ngx_string("Accept-Encoding"),
    ngx_string("Allow"),
    ngx_string("Preference-Applied"),
    ngx_string("RateLimit"),
    ngx_string("RateLimit-Policy"),
    ngx_string("Retry-After"),
    ngx_null_string
};

static ngx_str_t  ngx_http_kafka_problem_media =
    ngx_string("application/problem+json");


ngx_int_t
ngx_http_kafka_reply_problem(ngx_http_kafka_ctx_t *ctx, ngx_str_t *results)
{
    ngx_str_t            body, id;
    ngx_uint_t           status;
    ngx_http_request_t  *r;

    r = ctx->request;
    status = ngx_http_kafka_meaning(ctx->problem.code)->status;

    ngx_http_kafka_count(ctx, ctx->problem.code);

    if (ngx_http_kafka_problem_id(r, &id) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_kafka_log_problem(r->connection->log, &ctx->problem, &id);

    if (ngx_http_kafka_problem_headers(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_kafka_intercepted(ctx, status)) {

        if (status < 500) {
            ngx_http_kafka_end_expect(r);
        }

        ngx_http_kafka_free_records(ctx);
        return ngx_http_kafka_keep_ctx(ctx) == NGX_OK ? (ngx_int_t) status
                                                      : NGX_ERROR;
    }

    if ((ctx->rest ? ngx_http_kafka_rest_error(ctx, results, &body)
                   : ngx_http_kafka_problem_json(r->pool, &ctx->problem,
                                                 &ctx->conf->problem_base,
                                                 &id, results, &body))
        != NGX_OK
        || ngx_http_kafka_keep_text(ctx, &body) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_kafka_free_all(ctx);

    return ngx_http_kafka_send(r, status,
                               ctx->rest ? ngx_http_kafka_rest_media(ctx)
                                         : &ngx_http_kafka_problem_media,
                               &body);
}


void
ngx_http_kafka_forget_problem(ngx_http_request_t *r)
{
    ngx_str_t              *name;
    ngx_table_elt_t        *h;
    ngx_http_kafka_walk_t   walk;

    if (ngx_http_kafka_find_ctx(r) == NULL) {
        return;
    }

    for (name = ngx_http_kafka_problem_names; name->len; name++) {
        walk.part = &r->headers_out.headers.part;
        walk.i = 0;

        while ((h = ngx_http_kafka_next_header(&walk, name))) {
            /* nginx leaves it out */
            h->hash = 0;
        }
    }
}


/* $request_id, which the answer and the error log share. */
static ngx_int_t
ngx_http_kafka_problem_id(ngx_http_request_t *r, ngx_str_t *id)
{
    ngx_http_variable_value_t  *vv;

    static ngx_str_t  name = ngx_string("request_id");

    vv = ngx_http_get_variable(r, &name, ngx_hash_key(name.data, name.len));

    if (vv == NULL || vv->not_found) {
        return NGX_ERROR;
    }

    id->data = vv->data;
    id->len = vv->len;

    return NGX_OK;
}


/* Headers that say what a client may do instead, or when. */
static ngx_int_t
ngx_http_kafka_problem_headers(ngx_http_kafka_ctx_t *ctx)
{
    ngx_str_t           value;
    ngx_uint_t          retry;
    ngx_http_request_t *r;

    r = ctx->request;

    switch (ctx->problem.code) {

    case NGX_HTTP_KAFKA_METHOD:
        return ngx_http_kafka_allow(ctx);

    case NGX_HTTP_KAFKA_ENCODING:
        /* RFC 9110, section 12.5.3 */
        value.data = (u_char *) inflate_codings;
        value.len = ngx_strlen(inflate_codings);
        return ngx_http_kafka_header(r, "Accept-Encoding", &value);

    default:
        break;
    }

    retry = ctx->problem.retry
            ? ctx->problem.retry
            : ngx_http_kafka_meaning(ctx->problem.code)->retry;

    if (retry == 0) {
        return NGX_OK;
    }

    value.data = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    value.len = ngx_sprintf(value.data, "%ui", retry) - value.data;

    return ngx_http_kafka_header(r, "Retry-After", &value);
}


ngx_int_t
ngx_http_kafka_allow(ngx_http_kafka_ctx_t *ctx)
{
    ngx_http_kafka_loc_conf_t  *klcf;

    static ngx_str_t  allowed[2][2] = {
        { ngx_string("POST, PUT, OPTIONS"),
          ngx_string("POST, PUT, DELETE, OPTIONS") },
        { ngx_string("GET, POST, PUT, OPTIONS"),
          ngx_string("GET, POST, PUT, DELETE, OPTIONS") }
    };

    klcf = ctx->conf;

    if (ctx->conf->format == NGX_HTTP_KAFKA_CONFLUENT) {
        return ngx_http_kafka_header(ctx->request, "Allow",
                                     ngx_http_kafka_rest_allow(ctx->rest));
    }

    return ngx_http_kafka_header(ctx->request, "Allow",
                                 &allowed[klcf->body != NULL][klcf->deletes]);
}


/* Like proxy_intercept_errors: only if error_page names the status. */
static ngx_uint_t
ngx_http_kafka_intercepted(ngx_http_kafka_ctx_t *ctx, ngx_uint_t status)
{
    ngx_uint_t                 i;
    ngx_http_err_page_t       *page;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_core_module);

    if (!ctx->conf->intercept_errors || clcf->error_pages == NULL) {
        return 0;
    }

    page = clcf->error_pages->elts;

    for (i = 0; i < clcf->error_pages->nelts; i++) {
        if (page[i].status == (ngx_int_t) status) {
            return 1;
        }
    }

    return 0;
}
