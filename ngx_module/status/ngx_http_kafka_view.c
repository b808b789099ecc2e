/* What the pages show: sums over living workers, at one moment. */

#include "status/ngx_http_kafka_status.h"


static ngx_int_t ngx_http_kafka_view_add(ngx_http_request_t *r,
    ngx_http_kafka_view_t *view, ngx_kafka_producer_counts_t *counts);
static ngx_array_t *ngx_http_kafka_view_topics(ngx_http_request_t *r,
    ngx_http_kafka_producer_view_t *producer);
static ngx_kafka_conf_t *ngx_http_kafka_view_conf(ngx_http_request_t *r,
    ngx_kafka_producer_counts_t *counts);
static void ngx_http_kafka_view_gauges(ngx_http_kafka_view_t *view);
static ngx_array_t *ngx_http_kafka_view_brokers(ngx_http_request_t *r,
    ngx_http_kafka_view_t *view, ngx_http_kafka_producer_view_t *producer);
static ngx_uint_t ngx_http_kafka_view_broker(ngx_http_kafka_view_t *view,
    ngx_http_kafka_producer_view_t *producer, ngx_uint_t i,
    ngx_http_kafka_broker_view_t *broker);
static void ngx_http_kafka_view_sum(ngx_http_kafka_topic_view_t *topic);


ngx_int_t
ngx_http_kafka_view(ngx_http_request_t *r, ngx_http_kafka_view_t *view)
{
    ngx_kafka_slot_t              *slot, **slotp;
    ngx_http_kafka_main_conf_t         *kmcf;
    ngx_kafka_producer_counts_t   *counts;

    kmcf = ngx_http_get_module_main_conf(r, ngx_http_kafka_module);

    ngx_memzero(view, sizeof(ngx_http_kafka_view_t));
    view->shared = ngx_kafka_counters_shared(kmcf->zone);

    if (ngx_array_init(&view->producers, r->pool, 4,
                       sizeof(ngx_http_kafka_producer_view_t))
        != NGX_OK
        || ngx_array_init(&view->slots, r->pool, 8,
                          sizeof(ngx_kafka_slot_t *))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (slot = view->shared->slots; slot; slot = slot->next) {

        if (!ngx_kafka_slot_alive(slot)) {
            continue;
        }

        slotp = ngx_array_push(&view->slots);
        if (slotp == NULL) {
            return NGX_ERROR;
        }

        *slotp = slot;
    }

    for (counts = view->shared->producers; counts; counts = counts->next) {
        if (ngx_http_kafka_view_add(r, view, counts) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    ngx_http_kafka_view_gauges(view);

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_view_add(ngx_http_request_t *r, ngx_http_kafka_view_t *view,
    ngx_kafka_producer_counts_t *counts)
{
    ngx_uint_t                       i;
    ngx_array_t                     *topics;
    ngx_http_kafka_topic_view_t     *topic;
    ngx_http_kafka_producer_view_t  *producer;

    producer = ngx_array_push(&view->producers);
    if (producer == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(producer, sizeof(ngx_http_kafka_producer_view_t));
    producer->counts = counts;
    producer->conf = ngx_http_kafka_view_conf(r, counts);

    topics = ngx_http_kafka_view_topics(r, producer);
    if (topics == NULL) {
        return NGX_ERROR;
    }

    producer->topics = topics;

    producer->brokers = ngx_http_kafka_view_brokers(r, view, producer);
    if (producer->brokers == NULL) {
        return NGX_ERROR;
    }

    topic = topics->elts;

    for (i = 0; i < topics->nelts; i++) {
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


static void
ngx_http_kafka_view_gauges(ngx_http_kafka_view_t *view)
{
    ngx_uint_t                        i, j, s;
    ngx_kafka_slot_t           **slot;
    ngx_kafka_gauges_t          *gauges;
    ngx_http_kafka_producer_view_t   *producer;

    slot = view->slots.elts;

    for (s = 0; s < view->slots.nelts; s++) {

        for (i = 0; i < slot[s]->n; i++) {
            gauges = &slot[s]->gauges[i];
            producer = view->producers.elts;

            for (j = 0; j < view->producers.nelts; j++) {
                if (producer[j].counts == gauges->producer) {
                    producer[j].workers++;
                    producer[j].up += gauges->up;
                    producer[j].records += gauges->records;
                    producer[j].bytes += gauges->bytes;
                    producer[j].in_flight += gauges->in_flight;
                }
            }

            view->records += gauges->records;
            view->bytes += gauges->bytes;
            view->in_flight += gauges->in_flight;
        }
    }
}


/* The topics that have something to show, or NULL without memory. */
static ngx_array_t *
ngx_http_kafka_view_topics(ngx_http_request_t *r,
    ngx_http_kafka_producer_view_t *producer)
{
    ngx_uint_t                      i;
    ngx_array_t                    *topics;
    ngx_kafka_conf_t               *kcf;
    ngx_kafka_topic_conf_t         *topic;
    ngx_http_kafka_topic_view_t    *view;
    ngx_kafka_topic_counts_t  *counts;

    topics = ngx_array_create(r->pool, 8,
                              sizeof(ngx_http_kafka_topic_view_t));
    if (topics == NULL) {
        return NULL;
    }

    kcf = producer->conf;

    for (counts = producer->counts->topics; /* void */ ;
         counts = counts->next)
    {
        if (counts == NULL) {
            counts = &producer->counts->other;
        }

        view = ngx_array_push(topics);
        if (view == NULL) {
            return NULL;
        }

        ngx_memzero(view, sizeof(ngx_http_kafka_topic_view_t));
        view->counts = *counts;
        ngx_http_kafka_view_sum(view);

        for (i = 0; kcf && i < kcf->topics.nelts; i++) {
            topic = kcf->topics.elts;

            if (topic[i].counts == counts
                && counts != &producer->counts->other)
            {
                view->state = &kcf->states[i];
            }
        }

        /* one of a former configuration, or of one that was refused */

        if (view->state == NULL
            && view->requests + view->kept + view->failed == 0)
        {
            topics->nelts--;
        }

        if (counts == &producer->counts->other) {
            break;
        }
    }

    return topics;
}


static void
ngx_http_kafka_view_sum(ngx_http_kafka_topic_view_t *topic)
{
    ngx_uint_t             i;
    ngx_kafka_topic_counts_t  *kafka;

    kafka = &topic->counts;

    for (i = 0; i < NGX_KAFKA_BUCKETS; i++) {
        topic->kept += kafka->kept[i];
    }

    topic->failed = kafka->not_kept + kafka->maybe_kept + kafka->refused;

    for (i = 0; i < NGX_HTTP_KAFKA_COUNTS; i++) {
        topic->requests += topic->counts.requests[i];
    }
}


static ngx_array_t *
ngx_http_kafka_view_brokers(ngx_http_request_t *r,
    ngx_http_kafka_view_t *view, ngx_http_kafka_producer_view_t *producer)
{
    ngx_uint_t                     i, n;
    ngx_array_t                   *brokers;
    ngx_kafka_producer_counts_t           *metrics;
    ngx_http_kafka_broker_view_t  *broker;

    metrics = producer->counts;

    brokers = ngx_array_create(r->pool, 4,
                               sizeof(ngx_http_kafka_broker_view_t));
    if (brokers == NULL) {
        return NULL;
    }

    ngx_shmtx_lock(&metrics->lock->mutex);
    n = metrics->nbrokers;
    ngx_shmtx_unlock(&metrics->lock->mutex);

    for (i = 0; i < n; i++) {

        broker = ngx_array_push(brokers);
        if (broker == NULL) {
            return NULL;
        }

        ngx_memzero(broker, sizeof(ngx_http_kafka_broker_view_t));

        if (ngx_http_kafka_view_broker(view, producer, i, broker) == 0) {
            brokers->nelts--;
            continue;
        }

        ngx_shmtx_lock(&metrics->lock->mutex);
        broker->broker = metrics->brokers[i];
        ngx_shmtx_unlock(&metrics->lock->mutex);
    }

    return brokers;
}


/* What living workers say of the i-th broker; how many there are. */
static ngx_uint_t
ngx_http_kafka_view_broker(ngx_http_kafka_view_t *view,
    ngx_http_kafka_producer_view_t *producer, ngx_uint_t i,
    ngx_http_kafka_broker_view_t *broker)
{
    ngx_uint_t                   j, s, known, rtts;
    ngx_atomic_uint_t            state;
    ngx_kafka_slot_t      **slot;
    ngx_kafka_broker_gauges_t   *gauges;

    slot = view->slots.elts;
    known = 0;
    rtts = 0;

    for (s = 0; s < view->slots.nelts; s++) {

        for (j = 0; j < slot[s]->n; j++) {
            gauges = &slot[s]->gauges[j].brokers[i];
            state = gauges->state;

            if (slot[s]->gauges[j].producer != producer->counts
                || state == NGX_KAFKA_BROKER_UNKNOWN)
            {
                continue;
            }

            known++;
            broker->states[state]++;

            if (gauges->rtt) {
                rtts++;
                broker->rtt += gauges->rtt;
                broker->rtt_p99 = ngx_max(broker->rtt_p99, gauges->rtt_p99);
            }
        }
    }

    broker->rtt = rtts ? broker->rtt / rtts : 0;

    return known;
}
