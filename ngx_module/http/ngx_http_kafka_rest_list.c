/*
 * Clusters, topics and partitions as REST Proxy shows them.  No broker is
 * asked for them here: metadata came before, or the answer is 503.
 */

#include "http/ngx_http_kafka_rest_list.h"
#include "http/ngx_http_kafka_headers.h"
#include "http/ngx_http_kafka_json.h"
#include "http/ngx_http_kafka_problem.h"
#include "http/ngx_http_kafka_request.h"
#include "http/ngx_http_kafka_rest_reply.h"


#define NGX_HTTP_KAFKA_LIST_HOST  255       /* bytes of a Host in links */
#define NGX_HTTP_KAFKA_LIST_MAX   512       /* bytes of a thing less names */


/* What the answer is written to; "root" is its links' beginning. */
typedef struct {
    ngx_http_kafka_ctx_t  *ctx;
    u_char                *p;
    u_char                *last;
    ngx_str_t              root;            /* …/v3/clusters */
    ngx_str_t              id;              /* of the cluster, escaped */
} ngx_http_kafka_list_t;


static ngx_int_t ngx_http_kafka_list_check(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_list_cluster(ngx_http_kafka_ctx_t *ctx,
    ngx_str_t *id);
static ngx_int_t ngx_http_kafka_list_begin(ngx_http_kafka_list_t *list,
    ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_list_root(ngx_http_kafka_list_t *list);
static size_t ngx_http_kafka_list_size(ngx_http_kafka_list_t *list);
static void ngx_http_kafka_list_v2(ngx_http_kafka_list_t *list);
static void ngx_http_kafka_list_v3(ngx_http_kafka_list_t *list);
static void ngx_http_kafka_list_topics(ngx_http_kafka_list_t *list);
static void ngx_http_kafka_list_partitions(ngx_http_kafka_list_t *list);
static void ngx_http_kafka_list_partition(ngx_http_kafka_list_t *list,
    ngx_uint_t n);
static void ngx_http_kafka_list_one_cluster(ngx_http_kafka_list_t *list);
static void ngx_http_kafka_list_topic(ngx_http_kafka_list_t *list,
    ngx_uint_t topic);
static void ngx_http_kafka_list_head(ngx_http_kafka_list_t *list,
    const char *kind, const char *path);
static void ngx_http_kafka_list_link(ngx_http_kafka_list_t *list,
    const char *name, ngx_str_t *topic, const char *path);


#define ngx_http_kafka_list_add(list, ...)                                    \
    (list)->p = ngx_slprintf((list)->p, (list)->last, __VA_ARGS__)


ngx_int_t
ngx_http_kafka_rest_list(ngx_http_kafka_ctx_t *ctx)
{
    ngx_str_t              body;
    ngx_http_kafka_list_t  list;

    if (ngx_http_kafka_list_check(ctx) != NGX_OK
        || ngx_http_kafka_list_begin(&list, ctx) != NGX_OK)
    {
        return ngx_http_kafka_reply_problem(ctx, NULL);
    }

    body.data = list.p;

    if (ctx->rest->version == 2) {
        ngx_http_kafka_list_v2(&list);

    } else {
        ngx_http_kafka_list_v3(&list);
    }

    ngx_http_kafka_list_add(&list, "\n");

    body.len = list.p - body.data;

    return ngx_http_kafka_send(ctx->request, NGX_HTTP_OK,
                               ngx_http_kafka_rest_media(ctx), &body);
}


/* Whether there is such a thing, and whether something is known of it. */
static ngx_int_t
ngx_http_kafka_list_check(ngx_http_kafka_ctx_t *ctx)
{
    ngx_int_t                 n;
    ngx_kafka_topic_state_t  *state;

    if (ctx->conf->producer->producer == NULL) {
        return ngx_http_kafka_refuse(&ctx->problem,
                                     NGX_HTTP_KAFKA_NOT_STARTED);
    }

    if (ctx->rest->topic.data == NULL) {
        return NGX_OK;
    }

    if (ngx_http_kafka_request_topic(ctx) != NGX_OK) {
        return NGX_DECLINED;
    }

    state = &ctx->conf->producer->states[ctx->topic_index];

    if (state->partitions == 0) {
        return ngx_http_kafka_detail(&ctx->problem,
                                     NGX_HTTP_KAFKA_TOPIC_MISSING,
                                     "Its partitions are not known yet.");
    }

    if (ctx->rest->partition.data == NULL) {
        return NGX_OK;
    }

    n = ngx_atoi(ctx->rest->partition.data, ctx->rest->partition.len);

    return n != NGX_ERROR && n < (ngx_int_t) state->partitions
           ? NGX_OK
           : ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_NO_RESOURCE);
}


/* The cluster's own id; a client that names another one is told. */
static ngx_int_t
ngx_http_kafka_list_cluster(ngx_http_kafka_ctx_t *ctx, ngx_str_t *id)
{
    ngx_str_t  *asked;

    id->data = ngx_pnalloc(ctx->request->pool, NGX_HTTP_KAFKA_REST_ID_MAX);
    if (id->data == NULL) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    id->len = ngx_kafka_cluster_id(ctx->conf->producer->producer, id->data,
                                   NGX_HTTP_KAFKA_REST_ID_MAX);

    if (id->len == 0) {
        return ngx_http_kafka_detail(&ctx->problem,
                                     NGX_HTTP_KAFKA_BROKERS_DOWN,
                                     "The cluster's id is not known yet.");
    }

    asked = &ctx->rest->cluster;

    if (asked->data && (asked->len != id->len
                        || ngx_memcmp(asked->data, id->data, id->len) != 0))
    {
        return ngx_http_kafka_detail(&ctx->problem,
                                     NGX_HTTP_KAFKA_NO_RESOURCE,
                                     "The cluster \"%V\" is another one.",
                                     asked);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_list_begin(ngx_http_kafka_list_t *list,
    ngx_http_kafka_ctx_t *ctx)
{
    size_t     size;
    u_char    *p;
    ngx_str_t  id;

    ngx_memzero(list, sizeof(ngx_http_kafka_list_t));

    ngx_str_null(&id);
    list->ctx = ctx;

    if (ctx->rest->version == 3) {

        if (ngx_http_kafka_list_cluster(ctx, &id) != NGX_OK) {
            return NGX_DECLINED;
        }

        size = 6 * (id.len + 1);
        p = ngx_pnalloc(ctx->request->pool, size);

        if (p == NULL || ngx_http_kafka_list_root(list) != NGX_OK) {
            goto failed;
        }

        list->id.data = p;
        list->id.len = ngx_http_kafka_escape(p, p + size, id.data, id.len) - p;
    }

    size = ngx_http_kafka_list_size(list);

    list->p = ngx_pnalloc(ctx->request->pool, size);

    if (list->p == NULL) {
        goto failed;
    }

    list->last = list->p + size;

    return NGX_OK;

failed:

    return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
}


/* Links begin with what the client called: scheme, host and prefix. */
static ngx_int_t
ngx_http_kafka_list_root(ngx_http_kafka_list_t *list)
{
    u_char              *p, *last;
    size_t               size;
    ngx_str_t            host, *base;
    const char          *scheme;
    ngx_http_request_t  *r;

    r = list->ctx->request;
    base = &list->ctx->rest->base;
    host = r->headers_in.server;

    if (r->headers_in.host
        && r->headers_in.host->value.len <= NGX_HTTP_KAFKA_LIST_HOST)
    {
        host = r->headers_in.host->value;
    }

    scheme = "http";

#if (NGX_HTTP_SSL)
    if (r->connection->ssl) {
        scheme = "https";
    }
#endif

    size = sizeof("https:///v3/clusters") + 6 * (host.len + base->len + 2);

    p = ngx_pnalloc(r->pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    list->root.data = p;
    last = p + size;

    p = ngx_slprintf(p, last, "%s://", scheme);
    p = ngx_http_kafka_escape(p, last, host.data, host.len);
    p = ngx_http_kafka_escape(p, last, base->data, base->len);
    p = ngx_slprintf(p, last, "/v3/clusters");

    list->root.len = p - list->root.data;

    return NGX_OK;
}


/* Bytes that the answer takes at most. */
static size_t
ngx_http_kafka_list_size(ngx_http_kafka_list_t *list)
{
    size_t                   names;
    ngx_uint_t               i, n;
    ngx_kafka_conf_t        *kcf;
    ngx_kafka_topic_conf_t  *topic;

    kcf = list->ctx->conf->producer;
    topic = kcf->topics.elts;
    names = 0;

    for (i = 0; i < kcf->topics.nelts; i++) {
        names = ngx_max(names, topic[i].name.len);
    }

    switch (list->ctx->rest->call) {

    case NGX_HTTP_KAFKA_REST_TOPICS:
        n = kcf->topics.nelts;
        break;

    case NGX_HTTP_KAFKA_REST_TOPIC:
    case NGX_HTTP_KAFKA_REST_PARTITIONS:
        n = kcf->states[list->ctx->topic_index].partitions;
        break;

    default:
        n = 1;
        break;
    }

    /* seven links at most, and the names beside them */

    return (n + 1) * (NGX_HTTP_KAFKA_LIST_MAX
                      + 9 * (list->root.len + list->id.len + names));
}


static void
ngx_http_kafka_list_v2(ngx_http_kafka_list_t *list)
{
    ngx_uint_t               i;
    ngx_kafka_conf_t        *kcf;
    ngx_kafka_topic_conf_t  *topic;

    kcf = list->ctx->conf->producer;
    topic = kcf->topics.elts;

    switch (list->ctx->rest->call) {

    case NGX_HTTP_KAFKA_REST_TOPICS:

        for (i = 0; i < kcf->topics.nelts; i++) {
            ngx_http_kafka_list_add(list, "%s\"%V\"", i ? "," : "[",
                                    &topic[i].name);
        }

        ngx_http_kafka_list_add(list, "%s]", i ? "" : "[");
        break;

    case NGX_HTTP_KAFKA_REST_TOPIC:
        ngx_http_kafka_list_add(list, "{\"name\":\"%V\",\"configs\":{},"
                                      "\"partitions\":",
                                &list->ctx->topic->name);
        ngx_http_kafka_list_partitions(list);
        ngx_http_kafka_list_add(list, "}");
        break;

    case NGX_HTTP_KAFKA_REST_PARTITIONS:
        ngx_http_kafka_list_partitions(list);
        break;

    default: /* NGX_HTTP_KAFKA_REST_PARTITION */
        ngx_http_kafka_list_partition(list,
                            ngx_atoi(list->ctx->rest->partition.data,
                                     list->ctx->rest->partition.len));
        break;
    }
}


static void
ngx_http_kafka_list_v3(ngx_http_kafka_list_t *list)
{
    switch (list->ctx->rest->call) {

    case NGX_HTTP_KAFKA_REST_CLUSTERS:
        ngx_http_kafka_list_add(list, "{\"kind\":\"KafkaClusterList\","
                                      "\"metadata\":{\"self\":\"%V\","
                                      "\"next\":null},\"data\":[",
                                &list->root);
        ngx_http_kafka_list_one_cluster(list);
        ngx_http_kafka_list_add(list, "]}");
        break;

    case NGX_HTTP_KAFKA_REST_CLUSTER:
        ngx_http_kafka_list_one_cluster(list);
        break;

    case NGX_HTTP_KAFKA_REST_TOPICS:
        ngx_http_kafka_list_topics(list);
        break;

    case NGX_HTTP_KAFKA_REST_TOPIC:
        ngx_http_kafka_list_topic(list, list->ctx->topic_index);
        break;

    case NGX_HTTP_KAFKA_REST_PARTITIONS:
        ngx_http_kafka_list_head(list, "KafkaPartitionList", "/partitions");
        ngx_http_kafka_list_partitions(list);
        ngx_http_kafka_list_add(list, "}");
        break;

    default: /* NGX_HTTP_KAFKA_REST_PARTITION */
        ngx_http_kafka_list_partition(list,
                            ngx_atoi(list->ctx->rest->partition.data,
                                     list->ctx->rest->partition.len));
        break;
    }
}


static void
ngx_http_kafka_list_topics(ngx_http_kafka_list_t *list)
{
    ngx_uint_t  i;

    ngx_http_kafka_list_head(list, "KafkaTopicList", "");
    ngx_http_kafka_list_add(list, "[");

    for (i = 0; i < list->ctx->conf->producer->topics.nelts; i++) {
        ngx_http_kafka_list_add(list, "%s", i ? "," : "");
        ngx_http_kafka_list_topic(list, i);
    }

    ngx_http_kafka_list_add(list, "]}");
}


static void
ngx_http_kafka_list_partitions(ngx_http_kafka_list_t *list)
{
    ngx_uint_t                i;
    ngx_kafka_topic_state_t  *state;

    state = &list->ctx->conf->producer->states[list->ctx->topic_index];

    ngx_http_kafka_list_add(list, "[");

    /* another worker may have seen more meanwhile: "last" holds */

    for (i = 0; i < state->partitions; i++) {
        ngx_http_kafka_list_add(list, "%s", i ? "," : "");
        ngx_http_kafka_list_partition(list, i);
    }

    ngx_http_kafka_list_add(list, "]");
}


/* A partition's leader and replicas are not kept. */
static void
ngx_http_kafka_list_partition(ngx_http_kafka_list_t *list, ngx_uint_t n)
{
    u_char      path[sizeof("/partitions//reassignment") + NGX_INT_T_LEN];
    ngx_str_t  *topic;

    topic = &list->ctx->topic->name;

    if (list->ctx->rest->version == 2) {
        ngx_http_kafka_list_add(list, "{\"partition\":%ui,\"leader\":-1,"
                                      "\"replicas\":[]}", n);
        return;
    }

    ngx_http_kafka_list_add(list, "{\"kind\":\"KafkaPartition\","
                                  "\"metadata\":{\"self\":\"%V/%V/topics/%V"
                                  "/partitions/%ui\",\"resource_name\":"
                                  "\"crn:///kafka=%V/topic=%V/partition=%ui\""
                                  "},\"cluster_id\":\"%V\",\"topic_name\":"
                                  "\"%V\",\"partition_id\":%ui",
                            &list->root, &list->id, topic, n, &list->id,
                            topic, n, &list->id, topic, n);

    (void) ngx_sprintf(path, "/partitions/%ui/replicas%Z", n);
    ngx_http_kafka_list_link(list, "replicas", topic, (char *) path);

    (void) ngx_sprintf(path, "/partitions/%ui/reassignment%Z", n);
    ngx_http_kafka_list_link(list, "reassignment", topic, (char *) path);

    ngx_http_kafka_list_add(list, "}");
}


static void
ngx_http_kafka_list_one_cluster(ngx_http_kafka_list_t *list)
{
    ngx_http_kafka_list_add(list, "{\"kind\":\"KafkaCluster\",\"metadata\":"
                                  "{\"self\":\"%V/%V\",\"resource_name\":"
                                  "\"crn:///kafka=%V\"},\"cluster_id\":"
                                  "\"%V\"",
                            &list->root, &list->id, &list->id, &list->id);

    ngx_http_kafka_list_link(list, "acls", NULL, "/acls");
    ngx_http_kafka_list_link(list, "brokers", NULL, "/brokers");
    ngx_http_kafka_list_link(list, "broker_configs", NULL, "/broker-configs");
    ngx_http_kafka_list_link(list, "consumer_groups", NULL,
                             "/consumer-groups");
    ngx_http_kafka_list_link(list, "topics", NULL, "/topics");
    ngx_http_kafka_list_link(list, "partition_reassignments", NULL,
                             "/topics/-/partitions/-/reassignment");

    ngx_http_kafka_list_add(list, "}");
}


static void
ngx_http_kafka_list_topic(ngx_http_kafka_list_t *list, ngx_uint_t topic)
{
    ngx_str_t                *name;
    ngx_kafka_conf_t         *kcf;
    ngx_kafka_topic_state_t  *state;

    kcf = list->ctx->conf->producer;
    name = &((ngx_kafka_topic_conf_t *) kcf->topics.elts)[topic].name;
    state = &kcf->states[topic];

    ngx_http_kafka_list_add(list, "{\"kind\":\"KafkaTopic\",\"metadata\":"
                                  "{\"self\":\"%V/%V/topics/%V\","
                                  "\"resource_name\":\"crn:///kafka=%V"
                                  "/topic=%V\"},\"cluster_id\":\"%V\","
                                  "\"topic_name\":\"%V\",\"is_internal\":"
                                  "false,\"replication_factor\":%uA,"
                                  "\"partitions_count\":%uD",
                            &list->root, &list->id, name, &list->id, name,
                            &list->id, name, state->replication,
                            state->partitions);

    ngx_http_kafka_list_link(list, "partitions", name, "/partitions");
    ngx_http_kafka_list_link(list, "configs", name, "/configs");
    ngx_http_kafka_list_link(list, "partition_reassignments", name,
                             "/partitions/-/reassignment");

    ngx_http_kafka_list_add(list, "}");
}


/* The head of a list of topics, or of what a topic has. */
static void
ngx_http_kafka_list_head(ngx_http_kafka_list_t *list, const char *kind,
    const char *path)
{
    ngx_str_t  *topic;

    topic = list->ctx->topic ? &list->ctx->topic->name : NULL;

    ngx_http_kafka_list_add(list, "{\"kind\":\"%s\",\"metadata\":{\"self\":"
                                  "\"%V/%V/topics", kind, &list->root,
                            &list->id);

    if (topic) {
        ngx_http_kafka_list_add(list, "/%V", topic);
    }

    ngx_http_kafka_list_add(list, "%s\",\"next\":null},\"data\":", path);
}


static void
ngx_http_kafka_list_link(ngx_http_kafka_list_t *list, const char *name,
    ngx_str_t *topic, const char *path)
{
    ngx_http_kafka_list_add(list, ",\"%s\":{\"related\":\"%V/%V", name,
                            &list->root, &list->id);

    if (topic) {
        ngx_http_kafka_list_add(list, "/topics/%V", topic);
    }

    ngx_http_kafka_list_add(list, "%s\"}", path);
}
