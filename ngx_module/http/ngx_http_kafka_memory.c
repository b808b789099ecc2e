/* Memory of a request's records and its body, freed before the answer goes. */

#include "http/ngx_http_kafka_memory.h"
#include "http/ngx_http_kafka_headers.h"


#define NGX_HTTP_KAFKA_POOL  4096       /* bytes of a block */


static void ngx_http_kafka_memory_cleanup(void *data);
static void ngx_http_kafka_free_body(ngx_http_kafka_ctx_t *ctx);
static ngx_uint_t ngx_http_kafka_body_shared(ngx_http_kafka_ctx_t *ctx);


ngx_uint_t
ngx_http_kafka_body_wanted(ngx_cycle_t *cycle)
{
    ngx_uint_t                  i;
    ngx_http_variable_t        *v;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_core_module);
    v = cmcf->variables.elts;

    for (i = 0; i < cmcf->variables.nelts; i++) {
        if (ngx_http_kafka_is(&v[i].name, "request_body")
            || ngx_http_kafka_is(&v[i].name, "request_body_file"))
        {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_http_kafka_own(ngx_http_kafka_ctx_t *ctx)
{
    ngx_pool_cleanup_t  *cln;

    if (ctx->owns) {
        return NGX_OK;
    }

    cln = ngx_pool_cleanup_add(ctx->request->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_kafka_memory_cleanup;
    cln->data = ctx;

    ctx->owns = 1;
    ctx->heavy = 1;

    return NGX_OK;
}


ngx_int_t
ngx_http_kafka_own_pool(ngx_http_kafka_ctx_t *ctx)
{
    ngx_str_t   *body;
    ngx_pool_t  *pool;

    body = &ctx->body;

    if (!ctx->batch && body->len < NGX_HTTP_KAFKA_POOL
        && (ctx->format != NGX_HTTP_KAFKA_GUESS || body->len == 0
            || memchr(body->data, '\n', body->len) == NULL))
    {
        return NGX_OK;
    }

    pool = ngx_http_kafka_own(ctx) == NGX_OK
           ? ngx_create_pool(NGX_HTTP_KAFKA_POOL,
                             ctx->request->connection->log)
           : NULL;

    if (pool == NULL) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    ctx->pool = pool;
    ctx->problem.pool = pool;
    ctx->own_pool = 1;

    return NGX_OK;
}


void
ngx_http_kafka_free_messages(ngx_http_kafka_ctx_t *ctx)
{
    if (ctx->copy) {
        ngx_free(ctx->copy);
        ctx->copy = NULL;
    }

    if (ctx->own_pool) {
        (void) ngx_pfree(ctx->pool, ctx->messages.elts);
        ctx->messages.elts = NULL;
        ctx->messages.nelts = 0;
    }

    if (!ctx->conf->intercept_errors) {
        ngx_http_kafka_free_body(ctx);
    }
}


void
ngx_http_kafka_free_records(ngx_http_kafka_ctx_t *ctx)
{
    ngx_pool_t  *pool;

    ngx_http_kafka_unhold(ctx);

    if (ctx->copy) {
        ngx_free(ctx->copy);
        ctx->copy = NULL;
    }

    if (!ctx->own_pool) {
        return;
    }

    pool = ctx->pool;
    ctx->pool = ctx->request->pool;     /* NULL while the request ends */
    ctx->own_pool = 0;

    /* their number is logged; of a single record more is */

    ctx->items.elts = NULL;
    ctx->messages.elts = NULL;
    ctx->item.problem = NULL;

    ctx->problem.pool = ctx->pool;
    ngx_str_null(&ctx->problem.detail);
    ctx->problem.pointer = NULL;
    ctx->problem.letter = NULL;

    ngx_destroy_pool(pool);
}


static void
ngx_http_kafka_memory_cleanup(void *data)
{
    ngx_http_kafka_free_records(data);
}


void
ngx_http_kafka_free_all(ngx_http_kafka_ctx_t *ctx)
{
    ngx_http_kafka_free_records(ctx);
    ngx_http_kafka_free_body(ctx);
}


static void
ngx_http_kafka_free_body(ngx_http_kafka_ctx_t *ctx)
{
    ngx_http_request_t       *r;
    ngx_http_request_body_t  *rb;

    r = ctx->request;
    rb = r->request_body;

    if (rb == NULL || ctx->stream || !ngx_http_kafka_body_heavy(rb, r->pool)
        || ngx_http_kafka_body_shared(ctx))
    {
        return;
    }

    if (rb->buf) {
        (void) ngx_pfree(r->pool, rb->buf->start);
        rb->buf = NULL;
    }

    if (rb->temp_file) {
        ngx_pool_run_cleanup_file(r->pool, rb->temp_file->file.fd);
        rb->temp_file = NULL;
    }

    rb->bufs = NULL;
}


/* Others: a main request, mirrors, post_action, $request_body. */
static ngx_uint_t
ngx_http_kafka_body_shared(ngx_http_kafka_ctx_t *ctx)
{
    ngx_http_request_t          *r;
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_kafka_main_conf_t  *kmcf;

    r = ctx->request;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    kmcf = ngx_http_get_module_main_conf(r, ngx_http_kafka_module);

    return r != r->main || r->preserve_body || clcf->post_action.data
           || kmcf->wants_body;
}


ngx_int_t
ngx_http_kafka_keep_text(ngx_http_kafka_ctx_t *ctx, ngx_str_t *text)
{
    u_char      *p;
    ngx_pool_t  *pool;

    pool = ctx->request->pool;

    p = ngx_pnalloc(pool, text->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, text->data, text->len);

    /* where it lay was taken large enough for the longest */
    (void) ngx_pfree(pool, text->data);

    text->data = p;

    return NGX_OK;
}
