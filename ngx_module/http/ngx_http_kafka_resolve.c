/* Checks that directives fit together; adds the shared zones. */

#include "http/ngx_http_kafka_resolve.h"
#include "http/ngx_http_kafka_block.h"
#include "http/ngx_http_kafka_values.h"
#include "http/ngx_http_kafka_variables.h"
#include "limit/ngx_http_kafka_limit.h"


#define NGX_HTTP_KAFKA_MARGIN      1000             /* ms, between time-outs */


static ngx_int_t ngx_http_kafka_resolve(ngx_conf_t *cf,
    ngx_http_kafka_main_conf_t *kmcf, ngx_http_kafka_loc_conf_t *klcf);
static ngx_int_t ngx_http_kafka_resolve_rest(ngx_conf_t *cf,
    ngx_http_kafka_loc_conf_t *klcf);
static ngx_int_t ngx_http_kafka_resolve_topic(ngx_conf_t *cf,
    ngx_kafka_conf_t *kcf, ngx_str_t *name, const char *of,
    ngx_kafka_place_t *place, ngx_int_t *index);
static ngx_int_t ngx_http_kafka_resolve_ack(ngx_conf_t *cf,
    ngx_http_kafka_loc_conf_t *klcf);
static ngx_int_t ngx_http_kafka_resolve_null(ngx_conf_t *cf,
    ngx_http_kafka_loc_conf_t *klcf);
static ngx_int_t ngx_http_kafka_resolve_stream(ngx_conf_t *cf,
    ngx_http_kafka_loc_conf_t *klcf);
static ngx_int_t ngx_http_kafka_resolve_raw(ngx_conf_t *cf,
    ngx_http_kafka_loc_conf_t *klcf);
static ngx_int_t ngx_http_kafka_resolve_times(ngx_conf_t *cf,
    ngx_http_kafka_main_conf_t *kmcf, ngx_http_kafka_loc_conf_t *klcf);
static ngx_int_t ngx_http_kafka_add_topic_zone(ngx_conf_t *cf,
    ngx_http_kafka_main_conf_t *kmcf);
static ngx_int_t ngx_http_kafka_topic_zone(ngx_shm_zone_t *zone, void *data);
static ngx_int_t ngx_kafka_check_drain(ngx_cycle_t *cycle,
    ngx_http_kafka_main_conf_t *kmcf);


ngx_int_t
ngx_http_kafka_postconfiguration(ngx_conf_t *cf)
{
    ngx_uint_t                    i;
    ngx_http_kafka_loc_conf_t   **klcfp;
    ngx_http_kafka_main_conf_t   *kmcf;

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_kafka_module);

    if (ngx_http_kafka_resolve_values(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_kafka_warn_variables(cf);

    klcfp = kmcf->locations.elts;

    for (i = 0; i < kmcf->locations.nelts; i++) {
        if (ngx_http_kafka_resolve(cf, kmcf, klcfp[i]) != NGX_OK
            || ngx_http_kafka_resolve_times(cf, kmcf, klcfp[i]) != NGX_OK
            || ngx_http_kafka_resolve_ack(cf, klcfp[i]) != NGX_OK
            || ngx_http_kafka_resolve_null(cf, klcfp[i]) != NGX_OK
            || ngx_http_kafka_resolve_stream(cf, klcfp[i]) != NGX_OK
            || ngx_http_kafka_limit_check(cf, klcfp[i]->limits) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    kmcf->zone = ngx_kafka_counters_zone(cf, &kmcf->producers,
                                         &ngx_http_kafka_module);
    if (kmcf->zone == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_kafka_add_topic_zone(cf, kmcf);
}


static ngx_int_t
ngx_http_kafka_resolve(ngx_conf_t *cf, ngx_http_kafka_main_conf_t *kmcf,
    ngx_http_kafka_loc_conf_t *klcf)
{
    klcf->producer = ngx_http_kafka_find_producer(kmcf, &klcf->pass);

    if (klcf->producer == NULL) {
        return ngx_kafka_conf_error(cf->log, &klcf->pass_place, "unknown "
                                    "kafka_producer \"%V\" in \"kafka_pass\"",
                                    &klcf->pass);
    }

    if (klcf->format == NGX_HTTP_KAFKA_CONFLUENT
        && ngx_http_kafka_resolve_rest(cf, klcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (klcf->topic == NULL && klcf->format != NGX_HTTP_KAFKA_CONFLUENT) {
        return ngx_kafka_conf_error(cf->log, &klcf->pass_place, "no "
                                    "\"kafka_topic\" for \"kafka_pass\"");
    }

    klcf->topic_index = NGX_ERROR;

    if (klcf->topic && klcf->topic->lengths == NULL
        && ngx_http_kafka_resolve_topic(cf, klcf->producer,
                                        &klcf->topic->value, "",
                                        &klcf->topic_place,
                                        &klcf->topic_index)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (klcf->dead_letter.len
        && ngx_http_kafka_resolve_topic(cf, klcf->producer,
                                        &klcf->dead_letter,
                                        " of \"kafka_invalid\"",
                                        &klcf->dead_place, &klcf->dead_index)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (klcf->inflate_place.line
        && klcf->inflate_limit > klcf->producer->queue)
    {
        return ngx_kafka_conf_error(cf->log, &klcf->inflate_place,
                                    "\"kafka_inflate_limit\" of %uz bytes must "
                                    "not be larger than \"queue\" of "
                                    "kafka_producer \"%V\", %uz bytes",
                                    klcf->inflate_limit, &klcf->producer->name,
                                    klcf->producer->queue);
    }

    if (klcf->batch_place.line && klcf->format != NGX_HTTP_KAFKA_ARRAY) {
        return ngx_kafka_conf_error(cf->log, &klcf->batch_place,
                                    "\"kafka_batch_field\" needs "
                                    "\"kafka_format array\"");
    }

    return klcf->format == NGX_HTTP_KAFKA_RAW
           ? ngx_http_kafka_resolve_raw(cf, klcf) : NGX_OK;
}


/* What a request of REST Proxy's format says is not said by directives. */
static ngx_int_t
ngx_http_kafka_resolve_rest(ngx_conf_t *cf, ngx_http_kafka_loc_conf_t *klcf)
{
    ngx_uint_t  i;

    const struct {
        ngx_uint_t   given;
        const char  *directive;
        const char  *reason;
    } others[] = {
        { klcf->topic != NULL, "kafka_topic", "the path names the topic" },
        { klcf->key != NULL, "kafka_key", "records have their own keys" },
        { klcf->partition != NULL, "kafka_partition",
          "records have their own partitions" },
        { klcf->timestamp != NULL, "kafka_timestamp",
          "records have their own timestamps" },
        { klcf->body != NULL, "kafka_body",
          "records have their own values" },
        { klcf->response || klcf->response_status, "kafka_response",
          "the answer has a report for each record" },
        { klcf->dead_letter.len != 0, "kafka_invalid dead_letter",
          "the answer has no place for another topic" },
        { klcf->ack == NGX_HTTP_KAFKA_QUEUED
          || klcf->ack == NGX_HTTP_KAFKA_CLIENT,
          klcf->ack == NGX_HTTP_KAFKA_QUEUED ? "kafka_ack queued"
                                             : "kafka_ack client",
          "the answer has each record's offset" }
    };

    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {

        if (others[i].given) {
            return ngx_kafka_conf_error(cf->log, &klcf->pass_place, "\"%s\" "
                                        "cannot be used with \"kafka_format "
                                        "confluent\": %s", others[i].directive,
                                        others[i].reason);
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_resolve_topic(ngx_conf_t *cf, ngx_kafka_conf_t *kcf,
    ngx_str_t *name, const char *of, ngx_kafka_place_t *place,
    ngx_int_t *index)
{
    *index = ngx_kafka_conf_topic(kcf, name);

    if (*index == NGX_ERROR) {
        return ngx_kafka_conf_error(cf->log, place, "topic \"%V\"%s is not "
                                    "declared in kafka_producer \"%V\", add "
                                    "\"topic %V;\" there", name, of, &kcf->name,
                                    name);
    }

    return NGX_OK;
}


/* Whether receipts are to be read, and how long one may be waited for. */
static ngx_int_t
ngx_http_kafka_resolve_ack(ngx_conf_t *cf, ngx_http_kafka_loc_conf_t *klcf)
{
    ngx_kafka_receipts_conf_t  *receipts;

    receipts = klcf->producer->receipts;

    if (klcf->ack == NGX_HTTP_KAFKA_STORED && receipts == NULL) {
        return ngx_kafka_conf_error(cf->log, &klcf->ack_place, "\"kafka_ack "
                                    "stored\" needs receipts, add "
                                    "\"kafka_receipts TOPIC group=NAME;\" to "
                                    "kafka_producer \"%V\"",
                                    &klcf->producer->name);
    }

    if (receipts && (klcf->ack == NGX_HTTP_KAFKA_STORED
                     || klcf->ack == NGX_HTTP_KAFKA_CLIENT))
    {
        receipts->used = 1;
        receipts->longest = ngx_max(receipts->longest, klcf->timeout);
    }

    return NGX_OK;
}


/* The key of a null value stands in no body, but may in an event's headers. */
static ngx_int_t
ngx_http_kafka_resolve_null(ngx_conf_t *cf, ngx_http_kafka_loc_conf_t *klcf)
{
    if ((!klcf->deletes && klcf->empty != NGX_HTTP_KAFKA_EMPTY_NULL)
        || klcf->key || klcf->format == NGX_HTTP_KAFKA_CONFLUENT
        || klcf->format == NGX_HTTP_KAFKA_CLOUDEVENTS
        || klcf->format == NGX_HTTP_KAFKA_AUTO)
    {
        return NGX_OK;
    }

    return ngx_kafka_conf_error(cf->log, &klcf->null_place, "\"%s\" needs "
                                "\"kafka_key\": a record without a value has "
                                "no field for a key", klcf->deletes
                                ? "kafka_delete" : "kafka_empty null");
}


/* Where it is inherited, requests that cannot be streamed are read whole. */
static ngx_int_t
ngx_http_kafka_resolve_stream(ngx_conf_t *cf, ngx_http_kafka_loc_conf_t *klcf)
{
    if (!klcf->stream || klcf->stream_place.line == 0) {
        return NGX_OK;
    }

    if (klcf->body) {
        return ngx_kafka_conf_error(cf->log, &klcf->stream_place,
                                    "\"kafka_stream\" cannot be used with "
                                    "\"kafka_body\", which makes one record");
    }

    if (klcf->format != NGX_HTTP_KAFKA_NDJSON
        && klcf->format != NGX_HTTP_KAFKA_AUTO
        && klcf->format != NGX_HTTP_KAFKA_CONFLUENT)
    {
        return ngx_kafka_conf_error(cf->log, &klcf->stream_place,
                                    "\"kafka_stream\" needs \"kafka_format\" "
                                    "ndjson, auto or confluent");
    }

    return NGX_OK;
}


/* Raw bodies: what is for JSON is not inherited, and refused if given. */
static ngx_int_t
ngx_http_kafka_resolve_raw(ngx_conf_t *cf, ngx_http_kafka_loc_conf_t *klcf)
{
    if (klcf->schema_place.line == 0) {
        klcf->schema = NULL;
    }

    if (klcf->field_place.line == 0) {
        klcf->key_field = NULL;
        klcf->idempotency_field = NULL;
    }

    if (klcf->schema) {
        return ngx_kafka_conf_error(cf->log, &klcf->schema_place,
                                    "\"kafka_schema\" needs another "
                                    "\"kafka_format\" than raw, as json");
    }

    if (klcf->key_field || klcf->idempotency_field) {
        return ngx_kafka_conf_error(cf->log, &klcf->field_place,
                                    "\"kafka_key_field\" and "
                                    "\"kafka_idempotency_field\" need another "
                                    "\"kafka_format\" than raw, as json");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_resolve_times(ngx_conf_t *cf, ngx_http_kafka_main_conf_t *kmcf,
    ngx_http_kafka_loc_conf_t *klcf)
{
    if (klcf->timeout == NGX_CONF_UNSET_MSEC) {
        klcf->timeout = klcf->producer->timeout + NGX_HTTP_KAFKA_MARGIN;
        klcf->timeout_place = klcf->producer->place;
    }

    if (klcf->timeout <= klcf->producer->timeout) {
        return ngx_kafka_conf_error(cf->log, &klcf->timeout_place,
                                    "\"kafka_timeout\" of %Mms must be longer "
                                    "than \"timeout\" of kafka_producer "
                                    "\"%V\", %Mms", klcf->timeout,
                                    &klcf->producer->name,
                                    klcf->producer->timeout);
    }

    if (klcf->timeout > kmcf->longest) {
        kmcf->longest = klcf->timeout;
        kmcf->longest_place = klcf->timeout_place;
    }

    if (kmcf->drain_place.line && kmcf->drain_timeout <= klcf->timeout) {
        return ngx_kafka_conf_error(cf->log, &kmcf->drain_place,
                                    "\"kafka_drain_timeout\" of %Mms must be "
                                    "longer than \"kafka_timeout\", %Mms at "
                                    "%V:%ui", kmcf->drain_timeout,
                                    klcf->timeout, &klcf->timeout_place.file,
                                    klcf->timeout_place.line);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_add_topic_zone(ngx_conf_t *cf, ngx_http_kafka_main_conf_t *kmcf)
{
    size_t               n;
    ngx_str_t            name;
    ngx_uint_t           i;
    ngx_shm_zone_t      *zone;
    ngx_kafka_conf_t   **kcfp;

    kcfp = kmcf->producers.elts;
    n = 0;

    for (i = 0; i < kmcf->producers.nelts; i++) {
        n += kcfp[i]->topics.nelts;
    }

    if (n == 0) {
        return NGX_OK;
    }

    ngx_str_set(&name, "sluice_topics");

    zone = ngx_shared_memory_add(cf, &name, 8 * ngx_pagesize
                                 + n * sizeof(ngx_kafka_topic_state_t) * 2,
                                 &ngx_http_kafka_module);
    if (zone == NULL) {
        return NGX_ERROR;
    }

    /* a topic may have been deleted: each configuration asks again */
    zone->noreuse = 1;
    zone->init = ngx_http_kafka_topic_zone;
    zone->data = kmcf;

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_topic_zone(ngx_shm_zone_t *zone, void *data)
{
    ngx_uint_t                    i;
    ngx_slab_pool_t              *shpool;
    ngx_kafka_conf_t            **kcfp;
    ngx_http_kafka_main_conf_t   *kmcf;

    kmcf = zone->data;
    kcfp = kmcf->producers.elts;
    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    for (i = 0; i < kmcf->producers.nelts; i++) {

        if (kcfp[i]->topics.nelts == 0) {
            continue;
        }

        kcfp[i]->states = ngx_slab_calloc(shpool, kcfp[i]->topics.nelts
                                          * sizeof(ngx_kafka_topic_state_t));
        if (kcfp[i]->states == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


char *
ngx_kafka_init_conf(ngx_cycle_t *cycle, void *conf)
{
    ngx_http_kafka_main_conf_t  *kmcf;

    kmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_kafka_module);

    if (kmcf == NULL || kmcf->producers.nelts == 0
        || ngx_process == NGX_PROCESS_SIGNALLER)
    {
        return NGX_CONF_OK;
    }

    if (ngx_kafka_check_drain(cycle, kmcf) != NGX_OK
        || ngx_kafka_conf_prove(cycle, kmcf->producers.elts,
                                kmcf->producers.nelts)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* timeout < kafka_timeout < kafka_drain_timeout <= worker_shutdown_timeout */
static ngx_int_t
ngx_kafka_check_drain(ngx_cycle_t *cycle, ngx_http_kafka_main_conf_t *kmcf)
{
    ngx_msec_t          shutdown;
    ngx_uint_t          i;
    ngx_core_conf_t    *ccf;
    ngx_kafka_conf_t  **kcfp;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);
    kcfp = kmcf->producers.elts;

    for (i = 0; i < kmcf->producers.nelts; i++) {
        if (kcfp[i]->timeout + NGX_HTTP_KAFKA_MARGIN > kmcf->longest) {
            kmcf->longest = kcfp[i]->timeout + NGX_HTTP_KAFKA_MARGIN;
            kmcf->longest_place = kcfp[i]->place;
        }
    }

    shutdown = ccf->shutdown_timeout;

    if (kmcf->drain_timeout == NGX_CONF_UNSET_MSEC) {
        kmcf->drain_timeout = kmcf->longest + NGX_HTTP_KAFKA_MARGIN;
        kmcf->drain_place = kmcf->longest_place;

        if (shutdown && kmcf->drain_timeout > shutdown
            && shutdown > kmcf->longest)
        {
            kmcf->drain_timeout = shutdown;
        }
    }

    if (shutdown && kmcf->drain_timeout > shutdown) {
        return ngx_kafka_conf_error(cycle->log, &kmcf->drain_place,
                                    "\"worker_shutdown_timeout\" of %Mms must "
                                    "not be shorter than "
                                    "\"kafka_drain_timeout\", %Mms", shutdown,
                                    kmcf->drain_timeout);
    }

    return NGX_OK;
}
