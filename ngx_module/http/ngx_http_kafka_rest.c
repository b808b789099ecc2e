/*
 * Paths and media types of REST Proxy's API (Confluent's documentation of v2,
 * its published OpenAPI document of v3).
 */

#include "http/ngx_http_kafka_rest.h"
#include "http/ngx_http_kafka_headers.h"


#define NGX_HTTP_KAFKA_REST_GET   (NGX_HTTP_GET|NGX_HTTP_HEAD)
#define NGX_HTTP_KAFKA_REST_BOTH  (NGX_HTTP_KAFKA_REST_GET|NGX_HTTP_POST)


/* C, T and P in a path stand for a cluster, a topic and a partition. */
typedef struct {
    const char                  *path;
    ngx_uint_t                   version;
    ngx_uint_t                   methods;
    ngx_http_kafka_rest_call_e   call;      /* unless it is a POST */
} ngx_http_kafka_route_t;


static ngx_uint_t ngx_http_kafka_rest_begin(ngx_str_t *uri, ngx_str_t *base);
static ngx_uint_t ngx_http_kafka_rest_match(ngx_http_kafka_rest_t *rest,
    const char *path, ngx_str_t *uri);
static ngx_uint_t ngx_http_kafka_rest_next(ngx_str_t *path,
    ngx_str_t *segment);


static const ngx_http_kafka_route_t  ngx_http_kafka_routes[] = {

    { "topics", 2,
      NGX_HTTP_KAFKA_REST_GET, NGX_HTTP_KAFKA_REST_TOPICS },
    { "topics/T", 2,
      NGX_HTTP_KAFKA_REST_BOTH, NGX_HTTP_KAFKA_REST_TOPIC },
    { "topics/T/partitions", 2,
      NGX_HTTP_KAFKA_REST_GET, NGX_HTTP_KAFKA_REST_PARTITIONS },
    { "topics/T/partitions/P", 2,
      NGX_HTTP_KAFKA_REST_BOTH, NGX_HTTP_KAFKA_REST_PARTITION },

    { "v3/clusters", 3,
      NGX_HTTP_KAFKA_REST_GET, NGX_HTTP_KAFKA_REST_CLUSTERS },
    { "v3/clusters/C", 3,
      NGX_HTTP_KAFKA_REST_GET, NGX_HTTP_KAFKA_REST_CLUSTER },
    { "v3/clusters/C/topics", 3,
      NGX_HTTP_KAFKA_REST_GET, NGX_HTTP_KAFKA_REST_TOPICS },
    { "v3/clusters/C/topics/T", 3,
      NGX_HTTP_KAFKA_REST_GET, NGX_HTTP_KAFKA_REST_TOPIC },
    { "v3/clusters/C/topics/T/partitions", 3,
      NGX_HTTP_KAFKA_REST_GET, NGX_HTTP_KAFKA_REST_PARTITIONS },
    { "v3/clusters/C/topics/T/partitions/P", 3,
      NGX_HTTP_KAFKA_REST_GET, NGX_HTTP_KAFKA_REST_PARTITION },
    { "v3/clusters/C/topics/T/records", 3,
      NGX_HTTP_POST, NGX_HTTP_KAFKA_REST_PRODUCE },

    { NULL, 0, 0, 0 }
};


ngx_int_t
ngx_http_kafka_rest_route(ngx_http_kafka_ctx_t *ctx)
{
    ngx_str_t                      uri;
    ngx_http_request_t            *r;
    ngx_http_kafka_rest_t         *rest;
    const ngx_http_kafka_route_t  *route;

    r = ctx->request;

    rest = ngx_pcalloc(r->pool, sizeof(ngx_http_kafka_rest_t));
    if (rest == NULL) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    ctx->rest = rest;

    uri = r->uri;
    rest->version = ngx_http_kafka_rest_begin(&uri, &rest->base);

    for (route = ngx_http_kafka_routes; route->path; route++) {
        if (route->version == rest->version
            && ngx_http_kafka_rest_match(rest, route->path, &uri))
        {
            break;
        }
    }

    rest->methods = route->path ? route->methods : NGX_HTTP_KAFKA_REST_BOTH;

    if (route->path == NULL || rest->cluster.len > NGX_HTTP_KAFKA_REST_ID_MAX)
    {
        return ngx_http_kafka_refuse(&ctx->problem,
                                     NGX_HTTP_KAFKA_NO_RESOURCE);
    }

    rest->call = r->method == NGX_HTTP_POST ? NGX_HTTP_KAFKA_REST_PRODUCE
                                            : route->call;

    return r->method & rest->methods
           ? NGX_OK
           : ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_METHOD);
}


ngx_str_t *
ngx_http_kafka_rest_allow(ngx_http_kafka_rest_t *rest)
{
    static ngx_str_t  get = ngx_string("GET, HEAD, OPTIONS");
    static ngx_str_t  post = ngx_string("POST, OPTIONS");
    static ngx_str_t  both = ngx_string("GET, HEAD, POST, OPTIONS");

    return rest == NULL || rest->methods == NGX_HTTP_KAFKA_REST_BOTH
           ? &both : rest->methods == NGX_HTTP_POST ? &post : &get;
}


/*
 * The API begins at the first segment that is its own, so that a location may
 * have a prefix: the version, or 0.
 */
static ngx_uint_t
ngx_http_kafka_rest_begin(ngx_str_t *uri, ngx_str_t *base)
{
    ngx_str_t  path, segment;

    path = *uri;
    base->data = uri->data;

    if (path.len > 1 && path.data[path.len - 1] == '/') {
        path.len--;
    }

    for ( ;; ) {
        base->len = path.data - base->data;
        *uri = path;

        if (!ngx_http_kafka_rest_next(&path, &segment)) {
            return 0;
        }

        if (segment.len == 6 && ngx_memcmp(segment.data, "topics", 6) == 0) {
            return 2;
        }

        if (segment.len == 2 && ngx_memcmp(segment.data, "v3", 2) == 0) {
            return 3;
        }
    }
}


static ngx_uint_t
ngx_http_kafka_rest_match(ngx_http_kafka_rest_t *rest, const char *path,
    ngx_str_t *uri)
{
    size_t      len;
    ngx_str_t   left, segment;

    left = *uri;

    for ( ;; ) {

        if (!ngx_http_kafka_rest_next(&left, &segment)) {
            return 0;
        }

        len = strcspn(path, "/");

        if (len == 1 && segment.len == 0) {
            return 0;
        }

        if (len == 1 && *path == 'C') {
            rest->cluster = segment;

        } else if (len == 1 && *path == 'T') {
            rest->topic = segment;

        } else if (len == 1) {
            rest->partition = segment;

        } else if (len != segment.len
                   || ngx_memcmp(path, segment.data, len) != 0)
        {
            return 0;
        }

        if (path[len] == '\0') {
            return left.len == 0;
        }

        path += len + 1;
    }
}


/* Takes "/segment" off a path; 0 at its end. */
static ngx_uint_t
ngx_http_kafka_rest_next(ngx_str_t *path, ngx_str_t *segment)
{
    if (path->len == 0 || *path->data != '/') {
        return 0;
    }

    path->data++;
    path->len--;

    segment->data = path->data;

    while (path->len && *path->data != '/') {
        path->data++;
        path->len--;
    }

    segment->len = path->data - segment->data;

    return 1;
}


ngx_int_t
ngx_http_kafka_rest_format(ngx_http_kafka_ctx_t *ctx)
{
    ngx_str_t               type;
    ngx_table_elt_t        *h;
    ngx_http_kafka_rest_t  *rest;

    rest = ctx->rest;
    h = ctx->request->headers_in.content_type;

    ngx_str_null(&type);

    if (h) {
        type = h->value;
        ngx_http_kafka_cut_parameters(&type);
    }

    ctx->batch = 1;

    if (rest->version == 3) {
        ctx->format = NGX_HTTP_KAFKA_REST_V3;

        /* each document has a report of its own */
        ctx->lenient = 1;

        if (type.len == 0 || ngx_http_kafka_is(&type, "application/json")) {
            return NGX_OK;
        }

        return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_TYPE,
                                     "Send application/json.");
    }

    ctx->format = NGX_HTTP_KAFKA_REST_V2;

    if (ngx_http_kafka_is(&type, "application/vnd.kafka.json.v2+json")) {
        rest->type = NGX_HTTP_KAFKA_REST_JSON;
        return NGX_OK;
    }

    if (ngx_http_kafka_is(&type, "application/vnd.kafka.binary.v2+json")) {
        rest->type = NGX_HTTP_KAFKA_REST_BINARY;
        return NGX_OK;
    }

    return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_TYPE,
                                 "Send application/vnd.kafka.json.v2+json or "
                                 "application/vnd.kafka.binary.v2+json.");
}
