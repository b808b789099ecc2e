/* What kafka_status shows: sums over living workers, at one moment. */

#include "status/ngx_http_kafka_status.h"


static ngx_int_t ngx_http_kafka_view_producer(ngx_http_request_t *r,
    ngx_http_kafka_view_t *view, ngx_kafka_producer_counts_t *counts);
static ngx_kafka_conf_t *ngx_http_kafka_view_conf(ngx_http_request_t *r,
    ngx_kafka_producer_counts_t *counts);
static ngx_int_t ngx_http_kafka_view_brokers(ngx_pool_t *pool,
    ngx_http_kafka_producer_view_t *producer);
static ngx_int_t ngx_http_kafka_view_topic(
    ngx_http_kafka_producer_view_t *producer,
    ngx_kafka_topic_counts_t *counts);
static void ngx_http_kafka_view_sum(ngx_http_kafka_topic_view_t *topic);
static ngx_int_t ngx_http_kafka_view_worker(ngx_http_kafka_view_t *view,
    ngx_kafka_slot_t *slot);
static void ngx_http_kafka_view_gauges(
    ngx_http_kafka_producer_view_t *producer, ngx_kafka_gauges_t *gauges);


ngx_int_t
ngx_http_kafka_view(ngx_http_request_t *r, ngx_http_kafka_view_t *view)
{
    ngx_kafka_slot_t             *slot;
    ngx_kafka_shared_t           *shared;
    ngx_http_kafka_main_conf_t   *kmcf;
    ngx_kafka_producer_counts_t  *counts;

    kmcf = ngx_http_get_module_main_conf(r, ngx_http_kafka_module);
    shared = ngx_kafka_counters_shared(kmcf->zone);

    ngx_memzero(view, sizeof(ngx_http_kafka_view_t));

    if (ngx_array_init(&view->producers, r->pool, 4,
                       sizeof(ngx_http_kafka_producer_view_t))
        != NGX_OK
        || ngx_array_init(&view->workers, r->pool, 8,
                          sizeof(ngx_http_kafka_worker_view_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    view->started = shared->started;
    view->installed = ngx_http_kafka_installed(r->connection->log);
    (void) ngx_snprintf(view->built, sizeof(view->built), "%d.%d.%d%Z",
                        RD_KAFKA_VERSION >> 24, RD_KAFKA_VERSION >> 16 & 0xff,
                        RD_KAFKA_VERSION >> 8 & 0xff);

    for (counts = shared->producers; counts; counts = counts->next) {
        if (ngx_http_kafka_view_producer(r, view, counts) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    for (slot = shared->slots; slot; slot = slot->next) {
        if (ngx_kafka_slot_alive(slot)
            && ngx_http_kafka_view_worker(view, slot) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_view_producer(ngx_http_request_t *r,
    ngx_http_kafka_view_t *view, ngx_kafka_producer_counts_t *counts)
{
    ngx_uint_t                       i;
    ngx_kafka_topic_counts_t        *one;
    ngx_http_kafka_topic_view_t     *topic;
    ngx_http_kafka_producer_view_t  *producer;

    producer = ngx_array_push(&view->producers);
    if (producer == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(producer, sizeof(ngx_http_kafka_producer_view_t));
    producer->counts = counts;
    producer->conf = ngx_http_kafka_view_conf(r, counts);

    if (ngx_array_init(&producer->topics, r->pool, 8,
                       sizeof(ngx_http_kafka_topic_view_t))
        != NGX_OK
        || ngx_http_kafka_view_brokers(r->pool, producer) != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (one = counts->topics; one; one = one->next) {
        if (ngx_http_kafka_view_topic(producer, one) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (ngx_http_kafka_view_topic(producer, &counts->other) != NGX_OK) {
        return NGX_ERROR;
    }

    topic = producer->topics.elts;

    for (i = 0; i < producer->topics.nelts; i++) {
        view->requests += topic[i].requests;
        view->kept += topic[i].kept;
        view->failed += topic[i].failed;
    }

    view->failed += counts->unreported;

    return NGX_OK;
}


/* What this worker's configuration says of a producer, if it still does. */
static ngx_kafka_conf_t *
ngx_http_kafka_view_conf(ngx_http_request_t *r,
    ngx_kafka_producer_counts_t *counts)
{
    ngx_uint_t                    i;
    ngx_kafka_conf_t            **kcfp;
    ngx_http_kafka_main_conf_t   *kmcf;

    kmcf = ngx_http_get_module_main_conf(r, ngx_http_kafka_module);
    kcfp = kmcf->producers.elts;

    for (i = 0; i < kmcf->producers.nelts; i++) {
        if (kcfp[i]->counts == counts) {
            return kcfp[i];
        }
    }

    return NULL;
}


/* All that any worker ever knew, by their index in shared memory. */
static ngx_int_t
ngx_http_kafka_view_brokers(ngx_pool_t *pool,
    ngx_http_kafka_producer_view_t *producer)
{
    ngx_uint_t                     i;
    ngx_kafka_producer_counts_t   *counts;
    ngx_http_kafka_broker_view_t  *broker;

    counts = producer->counts;

    if (ngx_array_init(&producer->brokers, pool, NGX_KAFKA_BROKERS_MAX,
                       sizeof(ngx_http_kafka_broker_view_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    broker = producer->brokers.elts;
    ngx_memzero(broker, NGX_KAFKA_BROKERS_MAX
                        * sizeof(ngx_http_kafka_broker_view_t));

    ngx_shmtx_lock(&counts->lock->mutex);

    for (i = 0; i < counts->nbrokers; i++) {
        broker[i].name = counts->brokers[i];
    }

    producer->brokers.nelts = counts->nbrokers;

    ngx_shmtx_unlock(&counts->lock->mutex);

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_view_topic(ngx_http_kafka_producer_view_t *producer,
    ngx_kafka_topic_counts_t *counts)
{
    ngx_uint_t                    i;
    ngx_kafka_conf_t             *kcf;
    ngx_kafka_topic_conf_t       *topic;
    ngx_http_kafka_topic_view_t  *view;

    kcf = producer->conf;

    view = ngx_array_push(&producer->topics);
    if (view == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(view, sizeof(ngx_http_kafka_topic_view_t));
    view->counts = *counts;
    ngx_http_kafka_view_sum(view);

    for (i = 0; kcf && i < kcf->topics.nelts; i++) {
        topic = kcf->topics.elts;

        if (topic[i].counts == counts && counts != &producer->counts->other) {
            view->state = &kcf->states[i];
        }
    }

    /* one of a former configuration, or of one that was refused */

    if (view->state == NULL
        && view->requests + view->kept + view->failed == 0)
    {
        producer->topics.nelts--;
    }

    return NGX_OK;
}


static void
ngx_http_kafka_view_sum(ngx_http_kafka_topic_view_t *topic)
{
    ngx_uint_t                 i;
    ngx_kafka_topic_counts_t  *counts;

    counts = &topic->counts;

    for (i = 0; i < NGX_KAFKA_BUCKETS; i++) {
        topic->kept += counts->kept[i];
    }

    topic->failed = counts->not_kept + counts->maybe_kept + counts->refused;

    for (i = 0; i < NGX_HTTP_KAFKA_COUNTS; i++) {
        topic->requests += counts->requests[i];
    }
}


static ngx_int_t
ngx_http_kafka_view_worker(ngx_http_kafka_view_t *view,
    ngx_kafka_slot_t *slot)
{
    ngx_uint_t                       i, j;
    ngx_kafka_gauges_t              *gauges;
    ngx_http_kafka_worker_view_t    *worker;
    ngx_http_kafka_producer_view_t  *producer;

    worker = ngx_array_push(&view->workers);
    if (worker == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(worker, sizeof(ngx_http_kafka_worker_view_t));
    worker->pid = slot->pid;
    worker->started = slot->started;

    producer = view->producers.elts;

    for (i = 0; i < slot->n; i++) {
        gauges = &slot->gauges[i];

        worker->leaving |= gauges->leaving;
        worker->up += gauges->up;
        worker->records += gauges->records;
        worker->bytes += gauges->bytes;
        worker->in_flight += gauges->in_flight;

        for (j = 0; j < view->producers.nelts; j++) {
            if (producer[j].counts == gauges->producer) {
                ngx_http_kafka_view_gauges(&producer[j], gauges);
            }
        }
    }

    view->records += worker->records;
    view->bytes += worker->bytes;
    view->in_flight += worker->in_flight;

    return NGX_OK;
}


static void
ngx_http_kafka_view_gauges(ngx_http_kafka_producer_view_t *producer,
    ngx_kafka_gauges_t *gauges)
{
    ngx_uint_t                     i;
    ngx_atomic_uint_t              state;
    ngx_http_kafka_broker_view_t  *broker;

    producer->workers++;
    producer->up += gauges->up;
    producer->prompt += gauges->prompt;
    producer->reading += gauges->reading;
    producer->waits += gauges->waits;
    producer->records += gauges->records;
    producer->bytes += gauges->bytes;
    producer->in_flight += gauges->in_flight;

    broker = producer->brokers.elts;

    for (i = 0; i < producer->brokers.nelts; i++) {
        state = gauges->brokers[i].state;

        if (state == NGX_KAFKA_BROKER_UNKNOWN) {
            continue;
        }

        broker[i].known++;
        broker[i].states[state]++;

        if (gauges->brokers[i].rtt) {
            /* the average goes on */
            broker[i].rtt = (broker[i].rtt * broker[i].rtts
                             + gauges->brokers[i].rtt)
                            / (broker[i].rtts + 1);
            broker[i].rtts++;
            broker[i].rtt_p99 = ngx_max(broker[i].rtt_p99,
                                        gauges->brokers[i].rtt_p99);
        }
    }
}
