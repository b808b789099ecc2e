/* $kafka_*: what became of a request, for logs and maps. */

#include "http/ngx_http_kafka_variables.h"
#include "http/ngx_http_kafka_outcome.h"
#include "http/ngx_http_kafka_values.h"


/* bytes of a value: a topic's name is the longest */
#define NGX_HTTP_KAFKA_VAR_MAX  256


enum {
    NGX_HTTP_KAFKA_VAR_TOPIC = 0,
    NGX_HTTP_KAFKA_VAR_PARTITION,
    NGX_HTTP_KAFKA_VAR_OFFSET,
    NGX_HTTP_KAFKA_VAR_PERSISTED,
    NGX_HTTP_KAFKA_VAR_STORED,
    NGX_HTTP_KAFKA_VAR_LATENCY,
    NGX_HTTP_KAFKA_VAR_RECORDS,
    NGX_HTTP_KAFKA_VAR_ERROR
};


static ngx_int_t ngx_http_kafka_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static u_char *ngx_http_kafka_variable_text(ngx_http_kafka_ctx_t *ctx,
    ngx_uint_t variable, u_char *p);
static const char *ngx_http_kafka_persisted(ngx_http_kafka_ctx_t *ctx);
static void ngx_http_kafka_kept_ctx(void *data);


static ngx_http_variable_t  ngx_http_kafka_variables[] = {

    { ngx_string("kafka_topic"), NULL, ngx_http_kafka_variable,
      NGX_HTTP_KAFKA_VAR_TOPIC, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("kafka_partition"), NULL, ngx_http_kafka_variable,
      NGX_HTTP_KAFKA_VAR_PARTITION, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("kafka_offset"), NULL, ngx_http_kafka_variable,
      NGX_HTTP_KAFKA_VAR_OFFSET, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("kafka_persisted"), NULL, ngx_http_kafka_variable,
      NGX_HTTP_KAFKA_VAR_PERSISTED, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    /* the old name */
    { ngx_string("kafka_status"), NULL, ngx_http_kafka_variable,
      NGX_HTTP_KAFKA_VAR_PERSISTED, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("kafka_stored"), NULL, ngx_http_kafka_variable,
      NGX_HTTP_KAFKA_VAR_STORED, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("kafka_latency"), NULL, ngx_http_kafka_variable,
      NGX_HTTP_KAFKA_VAR_LATENCY, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("kafka_records"), NULL, ngx_http_kafka_variable,
      NGX_HTTP_KAFKA_VAR_RECORDS, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("kafka_error"), NULL, ngx_http_kafka_variable,
      NGX_HTTP_KAFKA_VAR_ERROR, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("kafka_arg_"), NULL, ngx_http_kafka_arg, 0,
      NGX_HTTP_VAR_NOCACHEABLE|NGX_HTTP_VAR_PREFIX, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_kafka_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_kafka_variables; v->name.len; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


void
ngx_http_kafka_warn_variables(ngx_conf_t *cf)
{
    ngx_uint_t                  i;
    ngx_http_variable_t        *v;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    v = cmcf->variables.elts;

    for (i = 0; i < cmcf->variables.nelts; i++) {
        if (v[i].name.len == sizeof("kafka_status") - 1
            && ngx_memcmp(v[i].name.data, "kafka_status", v[i].name.len) == 0)
        {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "the variable \"$kafka_status\" is called "
                               "\"$kafka_persisted\" now: the next version "
                               "has no \"$kafka_status\"");
        }
    }
}


static ngx_int_t
ngx_http_kafka_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    u_char                *last, buf[NGX_HTTP_KAFKA_VAR_MAX];
    ngx_http_kafka_ctx_t  *ctx;

    ctx = ngx_http_kafka_find_ctx(r);
    last = ctx ? ngx_http_kafka_variable_text(ctx, data, buf) : buf;

    if (last == buf) {
        /* "-" in a log */
        v->not_found = 1;
        return NGX_OK;
    }

    v->len = last - buf;

    v->data = ngx_pnalloc(r->pool, v->len);
    if (v->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(v->data, buf, v->len);

    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


/* Writes the value of a variable, or nothing. */
static u_char *
ngx_http_kafka_variable_text(ngx_http_kafka_ctx_t *ctx, ngx_uint_t variable,
    u_char *p)
{
    ngx_uint_t  kept;

    /* of a single record that was kept */
    kept = !ctx->batch && ctx->item.state == NGX_HTTP_KAFKA_KEPT;

    switch (variable) {

    case NGX_HTTP_KAFKA_VAR_TOPIC:
        return ctx->topic ? ngx_sprintf(p, "%V", &ctx->topic->name) : p;

    case NGX_HTTP_KAFKA_VAR_PARTITION:
        return kept ? ngx_sprintf(p, "%D", ctx->item.partition) : p;

    case NGX_HTTP_KAFKA_VAR_OFFSET:
        return kept ? ngx_sprintf(p, "%L", ctx->item.offset) : p;

    case NGX_HTTP_KAFKA_VAR_PERSISTED:
        return ngx_sprintf(p, "%s", ngx_http_kafka_persisted(ctx));

    case NGX_HTTP_KAFKA_VAR_STORED:
        return ctx->batch || !ctx->item.asked || ctx->suspended
               ? p : ngx_sprintf(p, "%s",
                                 ngx_http_kafka_stored(ctx->item.stored));

    case NGX_HTTP_KAFKA_VAR_LATENCY:
        /* in seconds, like $upstream_response_time */
        return ctx->begun == 0 || ctx->queued || ctx->suspended
               ? p : ngx_sprintf(p, "%M.%03M", ctx->latency / 1000,
                                 ctx->latency % 1000);

    case NGX_HTTP_KAFKA_VAR_RECORDS:
        return ngx_sprintf(p, "%ui", ctx->items.nelts);

    default: /* NGX_HTTP_KAFKA_VAR_ERROR */
        return ctx->problem.code == NGX_HTTP_KAFKA_NO_ERROR
               ? p : ngx_sprintf(p, "%s",
                           ngx_http_kafka_meaning(ctx->problem.code)->code);
    }
}


/* The answer's "persisted"; empty if there was no answer. */
static const char *
ngx_http_kafka_persisted(ngx_http_kafka_ctx_t *ctx)
{
    if (ctx->problem.code != NGX_HTTP_KAFKA_NO_ERROR) {
        return ngx_http_kafka_meaning(ctx->problem.code)->persisted;
    }

    if (ctx->begun == 0 || ctx->suspended || ctx->waiting) {
        /* no answer yet, or the client left before it */
        return "";
    }

    return ctx->queued ? "queued" : ctx->invalid ? "partly" : "yes";
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


ngx_http_kafka_ctx_t *
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


/* Does nothing: its address marks a context in the pool's list. */
static void
ngx_http_kafka_kept_ctx(void *data)
{
}
