/*
 * Answers in REST Proxy's form.  Which status they have is decided where all
 * answers are.
 */

#include "http/ngx_http_kafka_rest_reply.h"
#include "http/ngx_http_kafka_json.h"


/* bytes of a report without its texts, and of an error */
#define NGX_HTTP_KAFKA_REPORT_MAX    384

/* of a record that is kept, but nobody knows whether it is a row */
#define NGX_HTTP_KAFKA_REST_PENDING  202


static ngx_uint_t ngx_http_kafka_rest_code(ngx_http_kafka_error_e code);
static size_t ngx_http_kafka_rest_size(ngx_http_kafka_problem_t *problem);
static u_char *ngx_http_kafka_rest_message(u_char *p, u_char *last,
    const char *name, ngx_http_kafka_problem_t *problem);
static u_char *ngx_http_kafka_report_v2(u_char *p, u_char *last,
    ngx_http_kafka_item_t *item);
static u_char *ngx_http_kafka_report_v3(u_char *p, u_char *last,
    ngx_http_kafka_item_t *item, ngx_str_t *names,
    ngx_http_kafka_shape_t *shape);
static u_char *ngx_http_kafka_report_shape(u_char *p, u_char *last,
    const char *name, ngx_uint_t type, uint32_t size);
static ngx_int_t ngx_http_kafka_rest_names(ngx_http_kafka_ctx_t *ctx,
    ngx_pool_t *pool, ngx_str_t *names);


ngx_str_t *
ngx_http_kafka_rest_media(ngx_http_kafka_ctx_t *ctx)
{
    static ngx_str_t  v2 = ngx_string("application/vnd.kafka.v2+json");
    static ngx_str_t  v3 = ngx_string("application/json");

    return ctx->rest->version == 2 ? &v2 : &v3;
}


/*
 * REST Proxy's number where it has one, else the status.  50003 says that the
 * record may be sent again.  What may be kept has a number of its own, which
 * no client of REST Proxy takes for that.
 */
static ngx_uint_t
ngx_http_kafka_rest_code(ngx_http_kafka_error_e code)
{
    ngx_uint_t  status;

    status = ngx_http_kafka_meaning(code)->status;

    switch (code) {

    case NGX_HTTP_KAFKA_NO_TOPIC:
        return 40401;

    case NGX_HTTP_KAFKA_NO_RECORDS:
        return 42206;

    case NGX_HTTP_KAFKA_SCHEMA:
        return 42207;

    default:
        return status == 503 ? 50003 : status == 504 ? 50401 : status;
    }
}


ngx_str_t
ngx_http_kafka_rest_reports(ngx_http_kafka_ctx_t *ctx, ngx_pool_t *pool,
    ngx_uint_t whole, ngx_uint_t invalid)
{
    u_char                  *p, *last;
    size_t                   size;
    ngx_str_t                out, names;
    ngx_uint_t               i, v2;
    ngx_http_kafka_item_t   *item;
    ngx_http_kafka_shape_t  *shape;

    out.len = 0;
    out.data = (u_char *) "";

    v2 = ctx->rest->version == 2;

    if (v2 && invalid) {
        return out;
    }

    item = ctx->items.elts;
    shape = ctx->rest->shapes.elts;
    size = NGX_HTTP_KAFKA_REPORT_MAX;

    ngx_str_null(&names);

    if (!v2 && ngx_http_kafka_rest_names(ctx, pool, &names) != NGX_OK) {
        out.data = NULL;
        return out;
    }

    for (i = 0; i < ctx->items.nelts; i++) {
        size += NGX_HTTP_KAFKA_REPORT_MAX + names.len
                + ngx_http_kafka_rest_size(item[i].problem);
    }

    out.data = ngx_pnalloc(pool, size);
    if (out.data == NULL) {
        return out;
    }

    p = out.data;
    last = p + size;

    if (v2) {
        p = ngx_slprintf(p, last, "%s\"offsets\":[", whole ? "{" : "");
    }

    for (i = 0; i < ctx->items.nelts; i++) {

        if (v2) {
            p = ngx_slprintf(p, last, "%s", i ? "," : "");
            p = ngx_http_kafka_report_v2(p, last, &item[i]);
            continue;
        }

        p = ngx_http_kafka_report_v3(p, last, &item[i], &names,
                                     i < ctx->rest->shapes.nelts ? &shape[i]
                                                                 : NULL);
    }

    if (v2) {
        p = ngx_slprintf(p, last, "]%s",
                         whole ? ",\"key_schema_id\":null,"
                                 "\"value_schema_id\":null}\n" : "");
    }

    out.len = p - out.data;

    return out;
}


static size_t
ngx_http_kafka_rest_size(ngx_http_kafka_problem_t *problem)
{
    size_t  size;

    if (problem == NULL) {
        return 0;
    }

    /* an escaped byte takes six at most */

    size = ngx_strlen(ngx_http_kafka_meaning(problem->code)->title)
           + 6 * problem->detail.len;

    size += problem->pointer ? 6 * ngx_strlen(problem->pointer) : 0;
    size += problem->letter ? 6 * (problem->letter->sqlstate.len
                                   + problem->letter->reason.len) : 0;

    return size;
}


/* Adds "name":"…": what a problem means, and its details. */
static u_char *
ngx_http_kafka_rest_message(u_char *p, u_char *last, const char *name,
    ngx_http_kafka_problem_t *problem)
{
    ngx_http_kafka_letter_t  *letter;

    p = ngx_slprintf(p, last, "\"%s\":\"%s", name,
                     ngx_http_kafka_meaning(problem->code)->title);

    if (problem->detail.len) {
        p = ngx_slprintf(p, last, ": ");
        p = ngx_http_kafka_escape(p, last, problem->detail.data,
                                  problem->detail.len);
    }

    if (problem->pointer) {
        p = ngx_slprintf(p, last, " at ");
        p = ngx_http_kafka_escape(p, last, (u_char *) problem->pointer,
                                  ngx_strlen(problem->pointer));
    }

    letter = problem->letter;

    if (letter) {
        p = ngx_slprintf(p, last, ": ");
        p = ngx_http_kafka_escape(p, last, letter->sqlstate.data,
                                  letter->sqlstate.len);
        p = ngx_slprintf(p, last, " ");
        p = ngx_http_kafka_escape(p, last, letter->reason.data,
                                  letter->reason.len);
    }

    return ngx_slprintf(p, last, "\"");
}


static u_char *
ngx_http_kafka_report_v2(u_char *p, u_char *last, ngx_http_kafka_item_t *item)
{
    if (item->problem == NULL) {
        return ngx_slprintf(p, last,
                            "{\"partition\":%D,\"offset\":%L,"
                            "\"error_code\":null,\"error\":null}",
                            item->partition, item->offset);
    }

    p = ngx_slprintf(p, last,
                     "{\"partition\":null,\"offset\":null,"
                     "\"error_code\":%ui,",
                     ngx_http_kafka_rest_code(item->problem->code));
    p = ngx_http_kafka_rest_message(p, last, "error", item->problem);

    return ngx_slprintf(p, last, "}");
}


static u_char *
ngx_http_kafka_report_v3(u_char *p, u_char *last, ngx_http_kafka_item_t *item,
    ngx_str_t *names, ngx_http_kafka_shape_t *shape)
{
    ngx_tm_t    tm;
    ngx_uint_t  code;

    if (item->problem) {
        p = ngx_slprintf(p, last, "{\"error_code\":%ui,",
                         ngx_http_kafka_rest_code(item->problem->code));
        p = ngx_http_kafka_rest_message(p, last, "message", item->problem);

        return ngx_slprintf(p, last, "}\n");
    }

    code = item->asked && item->stored == NGX_KAFKA_STORED_PENDING
           ? NGX_HTTP_KAFKA_REST_PENDING : NGX_HTTP_OK;

    p = ngx_slprintf(p, last,
                     "{\"error_code\":%ui,%V,\"partition_id\":%D,"
                     "\"offset\":%L", code, names, item->partition,
                     item->offset);

    if (item->timestamp >= 0) {
        ngx_gmtime((time_t) (item->timestamp / 1000), &tm);
        p = ngx_slprintf(p, last,
                         ",\"timestamp\":\"%4d-%02d-%02dT%02d:%02d:%02d."
                         "%03LZ\"", tm.ngx_tm_year, tm.ngx_tm_mon,
                         tm.ngx_tm_mday, tm.ngx_tm_hour, tm.ngx_tm_min,
                         tm.ngx_tm_sec, item->timestamp % 1000);
    }

    if (shape) {
        p = ngx_http_kafka_report_shape(p, last, "key", shape->key_type,
                                        shape->key_size);
        p = ngx_http_kafka_report_shape(p, last, "value", shape->value_type,
                                        shape->value_size);
    }

    return ngx_slprintf(p, last, "}\n");
}


static u_char *
ngx_http_kafka_report_shape(u_char *p, u_char *last, const char *name,
    ngx_uint_t type, uint32_t size)
{
    return type == NGX_HTTP_KAFKA_REST_NONE
           ? p
           : ngx_slprintf(p, last, ",\"%s\":{\"type\":\"%s\",\"size\":%uD}",
                          name, ngx_http_kafka_rest_types[type], size);
}


/* Cluster and topic, which all reports of v3 name. */
static ngx_int_t
ngx_http_kafka_rest_names(ngx_http_kafka_ctx_t *ctx, ngx_pool_t *pool,
    ngx_str_t *names)
{
    u_char     *p, *last;
    size_t      size;
    ngx_str_t  *cluster;

    cluster = &ctx->rest->cluster;
    size = sizeof("\"cluster_id\":\"\",\"topic_name\":\"\"")
           + 6 * (cluster->len + 1) + ctx->topic->name.len;

    p = ngx_pnalloc(pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    names->data = p;
    last = p + size;

    ngx_http_kafka_add(p, "\"cluster_id\":\"");
    p = ngx_http_kafka_escape(p, last, cluster->data, cluster->len);
    p = ngx_slprintf(p, last, "\",\"topic_name\":\"%V\"", &ctx->topic->name);

    names->len = p - names->data;

    return NGX_OK;
}


ngx_int_t
ngx_http_kafka_rest_error(ngx_http_kafka_ctx_t *ctx, ngx_str_t *results,
    ngx_str_t *json)
{
    u_char  *p, *last;
    size_t   size;

    size = NGX_HTTP_KAFKA_REPORT_MAX + (results ? results->len : 0)
           + ngx_http_kafka_rest_size(&ctx->problem);

    p = ngx_pnalloc(ctx->request->pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    json->data = p;
    last = p + size;

    if (results && ctx->rest->version == 3) {
        p = ngx_cpymem(p, results->data, results->len);
        json->len = p - json->data;
        return NGX_OK;
    }

    p = ngx_slprintf(p, last, "{\"error_code\":%ui,",
                     ngx_http_kafka_rest_code(ctx->problem.code));
    p = ngx_http_kafka_rest_message(p, last, "message", &ctx->problem);

    if (results && results->len) {
        p = ngx_slprintf(p, last, ",%V", results);
    }

    p = ngx_slprintf(p, last, "}\n");

    json->len = p - json->data;

    return NGX_OK;
}
