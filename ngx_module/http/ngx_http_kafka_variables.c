/* $kafka_*: what became of a request, for logs and maps. */

#include "http/ngx_http_kafka_variables.h"


static ngx_int_t ngx_http_kafka_variable_topic(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_kafka_variable_place(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_kafka_variable_status(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_kafka_variable_latency(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_kafka_variable_records(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_kafka_variable_error(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_http_kafka_ctx_t *ngx_http_kafka_find_ctx(ngx_http_request_t *r);
static void ngx_http_kafka_kept_ctx(void *data);
static ngx_int_t ngx_http_kafka_variable_text(ngx_http_variable_value_t *v,
    const char *text);
static ngx_int_t ngx_http_kafka_variable_number(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, const char *fmt, int64_t whole,
    int64_t thousandths);


/* data: 1 for the offset */
static ngx_http_variable_t  ngx_http_kafka_variables[] = {

    { ngx_string("kafka_topic"), NULL, ngx_http_kafka_variable_topic,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("kafka_partition"), NULL, ngx_http_kafka_variable_place,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("kafka_offset"), NULL, ngx_http_kafka_variable_place,
      1, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("kafka_status"), NULL, ngx_http_kafka_variable_status,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("kafka_latency"), NULL, ngx_http_kafka_variable_latency,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("kafka_records"), NULL, ngx_http_kafka_variable_records,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("kafka_error"), NULL, ngx_http_kafka_variable_error,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_kafka_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t         *var, *v;
    ngx_http_kafka_main_conf_t  *kmcf;

    static ngx_str_t  id = ngx_string("request_id");

    for (v = ngx_http_kafka_variables; v->name.len; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_kafka_module);

    kmcf->request_id = ngx_http_get_variable_index(cf, &id);

    return kmcf->request_id == NGX_ERROR ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_http_kafka_variable_topic(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_kafka_ctx_t  *ctx;

    (void) data;

    ctx = ngx_http_kafka_find_ctx(r);

    return ngx_http_kafka_variable_text(v, ctx && ctx->topic
                                           ? (char *) ctx->topic->name.data
                                           : NULL);
}


/* Of a single record that was kept. */
static ngx_int_t
ngx_http_kafka_variable_place(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_kafka_ctx_t  *ctx;

    ctx = ngx_http_kafka_find_ctx(r);

    if (ctx == NULL || ctx->batch
        || ctx->item.state != NGX_HTTP_KAFKA_KEPT)
    {
        return ngx_http_kafka_variable_text(v, NULL);
    }

    return ngx_http_kafka_variable_number(r, v, "%L", data
                                          ? ctx->item.offset
                                          : (int64_t) ctx->item.partition, 0);
}


/* What the answer says of "persisted". */
static ngx_int_t
ngx_http_kafka_variable_status(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    const char            *text;
    ngx_http_kafka_ctx_t  *ctx;

    (void) data;

    ctx = ngx_http_kafka_find_ctx(r);

    if (ctx == NULL) {
        text = NULL;

    } else if (ctx->problem.code != NGX_HTTP_KAFKA_NO_ERROR) {
        text = ngx_http_kafka_meaning(ctx->problem.code)->persisted;

    } else if (ctx->begun == 0 || ctx->suspended || ctx->waiting) {
        /* no answer yet, or the client left before it */
        text = NULL;

    } else {
        text = ctx->queued ? "queued" : ctx->invalid ? "partly" : "yes";
    }

    return ngx_http_kafka_variable_text(v, text);
}


/* Seconds from the producer to Kafka's word, as $upstream_response_time. */
static ngx_int_t
ngx_http_kafka_variable_latency(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_kafka_ctx_t  *ctx;

    (void) data;

    ctx = ngx_http_kafka_find_ctx(r);

    if (ctx == NULL || ctx->begun == 0 || ctx->queued || ctx->suspended) {
        return ngx_http_kafka_variable_text(v, NULL);
    }

    return ngx_http_kafka_variable_number(r, v, "%L.%03L",
                                          ctx->latency / 1000,
                                          ctx->latency % 1000);
}


static ngx_int_t
ngx_http_kafka_variable_records(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_kafka_ctx_t  *ctx;

    (void) data;

    ctx = ngx_http_kafka_find_ctx(r);

    if (ctx == NULL) {
        return ngx_http_kafka_variable_text(v, NULL);
    }

    return ngx_http_kafka_variable_number(r, v, "%L", ctx->items.nelts, 0);
}


static ngx_int_t
ngx_http_kafka_variable_error(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    const char            *text;
    ngx_http_kafka_ctx_t  *ctx;

    (void) data;

    ctx = ngx_http_kafka_find_ctx(r);
    text = NULL;

    if (ctx && ctx->problem.code != NGX_HTTP_KAFKA_NO_ERROR) {
        text = ngx_http_kafka_meaning(ctx->problem.code)->code;
    }

    return ngx_http_kafka_variable_text(v, text);
}


ngx_int_t
ngx_http_kafka_keep_ctx(ngx_http_kafka_ctx_t *ctx)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(ctx->request->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_kafka_kept_ctx;
    cln->data = ctx;

    return NGX_OK;
}


static ngx_http_kafka_ctx_t *
ngx_http_kafka_find_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t    *cln;
    ngx_http_kafka_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kafka_module);

    for (cln = r->internal ? r->pool->cleanup : NULL;
         ctx == NULL && cln;
         cln = cln->next)
    {
        if (cln->handler == ngx_http_kafka_kept_ctx) {
            ctx = cln->data;
        }
    }

    return ctx;
}


/* Only marks its place in the pool's list. */
static void
ngx_http_kafka_kept_ctx(void *data)
{
    (void) data;
}


/* NULL: "-" in a log. */
static ngx_int_t
ngx_http_kafka_variable_text(ngx_http_variable_value_t *v, const char *text)
{
    if (text == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->data = (u_char *) text;
    v->len = ngx_strlen(text);
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_variable_number(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, const char *fmt, int64_t whole,
    int64_t thousandths)
{
    u_char  *p;

    p = ngx_pnalloc(r->pool, 2 * NGX_INT64_LEN + 2);
    if (p == NULL) {
        return NGX_ERROR;
    }

    v->data = p;
    v->len = ngx_sprintf(p, fmt, whole, thousandths) - p;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}
