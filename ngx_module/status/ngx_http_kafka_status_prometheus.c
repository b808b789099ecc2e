/* The status as Prometheus reads it: text format 0.0.4. */

#include "status/ngx_http_kafka_status.h"
#include "version.h"


typedef struct ngx_http_kafka_metric_s  ngx_http_kafka_metric_t;

typedef void (*ngx_http_kafka_sample_pt)(ngx_http_kafka_page_t *page,
    const ngx_http_kafka_metric_t *metric,
    ngx_http_kafka_producer_view_t *producer,
    ngx_http_kafka_topic_view_t *topic);

/* All samples of a metric stand together, so each is a walk of its own. */
struct ngx_http_kafka_metric_s {
    const char                *name;
    const char                *type;
    const char                *help;
    ngx_http_kafka_sample_pt   handler;
    ngx_uint_t                 topics;      /* called for each, not once */
    size_t                     offset;      /* of the value */
};


static void ngx_http_kafka_metric_head(ngx_http_kafka_page_t *page,
    const char *name, const char *type, const char *help);
static void ngx_http_kafka_metric_labels(ngx_http_kafka_page_t *page,
    const char *name, const char *suffix,
    ngx_http_kafka_producer_view_t *producer,
    ngx_http_kafka_topic_view_t *topic);
static void ngx_http_kafka_metric_walk(ngx_http_kafka_page_t *page,
    const ngx_http_kafka_metric_t *metric, ngx_http_kafka_view_t *view);

#define ngx_http_kafka_metric_handler(name)                                   \
    static void name(ngx_http_kafka_page_t *page,                             \
        const ngx_http_kafka_metric_t *metric,                                \
        ngx_http_kafka_producer_view_t *producer,                             \
        ngx_http_kafka_topic_view_t *topic)

ngx_http_kafka_metric_handler(ngx_http_kafka_metric_requests);
ngx_http_kafka_metric_handler(ngx_http_kafka_metric_records);
ngx_http_kafka_metric_handler(ngx_http_kafka_metric_topic);
ngx_http_kafka_metric_handler(ngx_http_kafka_metric_latency);
ngx_http_kafka_metric_handler(ngx_http_kafka_metric_gauge);
ngx_http_kafka_metric_handler(ngx_http_kafka_metric_queue);
ngx_http_kafka_metric_handler(ngx_http_kafka_metric_counter);
ngx_http_kafka_metric_handler(ngx_http_kafka_metric_rebuilds);
ngx_http_kafka_metric_handler(ngx_http_kafka_metric_connected);
ngx_http_kafka_metric_handler(ngx_http_kafka_metric_rtt);
ngx_http_kafka_metric_handler(ngx_http_kafka_metric_state);
ngx_http_kafka_metric_handler(ngx_http_kafka_metric_weak);


static const ngx_http_kafka_metric_t  ngx_http_kafka_metrics[] = {

    { "sluice_http_requests_total", "counter",
      "Requests answered, by the code that says how.",
      ngx_http_kafka_metric_requests, 1, 0 },

    { "sluice_http_requests_in_flight", "gauge",
      "Requests that wait for Kafka's acknowledgement.",
      ngx_http_kafka_metric_gauge, 0,
      offsetof(ngx_http_kafka_producer_view_t, in_flight) },

    { "sluice_http_records_total", "counter",
      "Records by what became of them.",
      ngx_http_kafka_metric_records, 1, 0 },

    { "sluice_http_record_bytes_total", "counter",
      "Bytes of kept records: keys, values and headers.",
      ngx_http_kafka_metric_topic, 1,
      offsetof(ngx_kafka_topic_counts_t, bytes) },

    { "sluice_http_records_dropped_total", "counter",
      "Records not or perhaps not kept whose report no request waited for.",
      ngx_http_kafka_metric_topic, 1,
      offsetof(ngx_kafka_topic_counts_t, dropped) },

    { "sluice_http_records_unreported_total", "counter",
      "Records whose worker ended before Kafka's report.",
      ngx_http_kafka_metric_counter, 0,
      offsetof(ngx_kafka_producer_counts_t, unreported) },

    { "sluice_http_ack_latency_seconds", "histogram",
      "From taking a record to its acknowledgement.",
      ngx_http_kafka_metric_latency, 1, 0 },

    { "sluice_http_queue_records", "gauge",
      "Records taken and not reported yet.",
      ngx_http_kafka_metric_gauge, 0,
      offsetof(ngx_http_kafka_producer_view_t, records) },

    { "sluice_http_queue_bytes", "gauge",
      "Bytes charged for them.",
      ngx_http_kafka_metric_gauge, 0,
      offsetof(ngx_http_kafka_producer_view_t, bytes) },

    { "sluice_http_queue_limit_bytes", "gauge",
      "Bytes at which all workers together refuse records.",
      ngx_http_kafka_metric_queue, 0, 0 },

    { "sluice_http_producer_connected_workers", "gauge",
      "Workers whose producer has a broker.",
      ngx_http_kafka_metric_gauge, 0,
      offsetof(ngx_http_kafka_producer_view_t, up) },

    { "sluice_http_producer_rebuilds_total", "counter",
      "Producers replaced while their worker ran.",
      ngx_http_kafka_metric_rebuilds, 0, 0 },

    { "sluice_http_producer_start_failures_total", "counter",
      "Producers that could not start.",
      ngx_http_kafka_metric_counter, 0,
      offsetof(ngx_kafka_producer_counts_t, start_failures) },

    { "sluice_http_broker_connected_workers", "gauge",
      "Workers that are connected to the broker.",
      ngx_http_kafka_metric_connected, 0, 0 },

    { "sluice_http_broker_rtt_seconds", "gauge",
      "Average round trip of recent requests to the broker.",
      ngx_http_kafka_metric_rtt, 0,
      offsetof(ngx_http_kafka_broker_view_t, rtt) },

    { "sluice_http_broker_rtt_p99_seconds", "gauge",
      "99th percentile of it, of the slowest worker.",
      ngx_http_kafka_metric_rtt, 0,
      offsetof(ngx_http_kafka_broker_view_t, rtt_p99) },

    { "sluice_http_topic_replication", "gauge",
      "Replicas of the partition that has the fewest.",
      ngx_http_kafka_metric_state, 1,
      offsetof(ngx_kafka_topic_state_t, replication) },

    { "sluice_http_topic_min_insync_replicas", "gauge",
      "The topic's min.insync.replicas.",
      ngx_http_kafka_metric_state, 1,
      offsetof(ngx_kafka_topic_state_t, in_sync) },

    { "sluice_http_topic_weak", "gauge",
      "1 where a 200 promises less than it says, see the error log.",
      ngx_http_kafka_metric_weak, 1, 0 },
};


ngx_int_t
ngx_http_kafka_status_prometheus(ngx_http_request_t *r,
    ngx_http_kafka_page_t *page)
{
    ngx_uint_t             i;
    ngx_http_kafka_view_t  view;

    if (ngx_http_kafka_view(r, &view) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_kafka_metric_head(page, "sluice_http_build_info", "gauge",
                               "What runs, and which version is installed.");
    ngx_http_kafka_print(page, "sluice_http_build_info{"
                         "version=\"" SLUICE_VERSION "\",installed=\"%s\","
                         "librdkafka=\"%s\",librdkafka_built=\"%d.%d.%d\","
                         "nginx=\"" NGINX_VERSION "\"} 1\n",
                         ngx_http_kafka_installed(r->connection->log),
                         rd_kafka_version_str(), RD_KAFKA_VERSION >> 24,
                         RD_KAFKA_VERSION >> 16 & 0xff,
                         RD_KAFKA_VERSION >> 8 & 0xff);

    ngx_http_kafka_metric_head(page, "sluice_http_start_time_seconds",
                               "gauge", "When the counters began.");
    ngx_http_kafka_print(page, "sluice_http_start_time_seconds %T\n",
                         view.shared->started);

    ngx_http_kafka_metric_head(page, "sluice_http_workers", "gauge",
                               "Workers that run, leaving ones too.");
    ngx_http_kafka_print(page, "sluice_http_workers %ui\n", view.slots.nelts);

    for (i = 0;
         i < sizeof(ngx_http_kafka_metrics) / sizeof(ngx_http_kafka_metrics[0]);
         i++)
    {
        ngx_http_kafka_metric_walk(page, &ngx_http_kafka_metrics[i], &view);
    }

    return NGX_OK;
}


static void
ngx_http_kafka_metric_walk(ngx_http_kafka_page_t *page,
    const ngx_http_kafka_metric_t *metric, ngx_http_kafka_view_t *view)
{
    ngx_uint_t                       i, j;
    ngx_http_kafka_topic_view_t     *topic;
    ngx_http_kafka_producer_view_t  *producer;

    ngx_http_kafka_metric_head(page, metric->name, metric->type,
                               metric->help);

    producer = view->producers.elts;

    for (i = 0; i < view->producers.nelts; i++) {

        if (!metric->topics) {
            metric->handler(page, metric, &producer[i], NULL);
            continue;
        }

        topic = producer[i].topics->elts;

        for (j = 0; j < producer[i].topics->nelts; j++) {
            metric->handler(page, metric, &producer[i], &topic[j]);
        }
    }
}


static void
ngx_http_kafka_metric_head(ngx_http_kafka_page_t *page, const char *name,
    const char *type, const char *help)
{
    ngx_http_kafka_print(page, "# HELP %s %s\n# TYPE %s %s\n", name, help,
                         name, type);
}


/* Leaves the braces open, for more labels. */
static void
ngx_http_kafka_metric_labels(ngx_http_kafka_page_t *page, const char *name,
    const char *suffix, ngx_http_kafka_producer_view_t *producer,
    ngx_http_kafka_topic_view_t *topic)
{
    ngx_http_kafka_print(page, "%s%s{producer=\"", name, suffix);
    ngx_http_kafka_print_label(page, &producer->counts->name);

    if (topic) {
        ngx_http_kafka_print(page, "\",topic=\"");
        ngx_http_kafka_print_label(page, &topic->counts.name);
    }

    ngx_http_kafka_print(page, "\"");
}


/* Codes that never came are left out, but for the good one. */
ngx_http_kafka_metric_handler(ngx_http_kafka_metric_requests)
{
    ngx_uint_t   i, status;
    const char  *code;

    for (i = 0; i < NGX_HTTP_KAFKA_COUNTS; i++) {

        if (topic->counts.requests[i] == 0
            && (i != NGX_HTTP_KAFKA_COUNT_KEPT || topic->state == NULL))
        {
            continue;
        }

        code = ngx_http_kafka_count_name(i, &status);

        ngx_http_kafka_metric_labels(page, metric->name, "", producer, topic);

        if (status) {
            ngx_http_kafka_print(page, ",status=\"%ui\"", status);
        }

        ngx_http_kafka_print(page, ",code=\"%s\"} %uA\n", code,
                             topic->counts.requests[i]);
    }
}


ngx_http_kafka_metric_handler(ngx_http_kafka_metric_records)
{
    ngx_uint_t             i;
    ngx_kafka_topic_counts_t  *kafka;

    kafka = &topic->counts;

    struct {
        const char         *result;
        ngx_atomic_uint_t   value;
    } results[] = {
        { "kept", topic->kept },
        { "not-kept", kafka->not_kept },
        { "maybe-kept", kafka->maybe_kept },
        { "refused", kafka->refused }
    };

    for (i = 0; i < 4; i++) {
        ngx_http_kafka_metric_labels(page, metric->name, "", producer, topic);
        ngx_http_kafka_print(page, ",result=\"%s\"} %uA\n", results[i].result,
                             results[i].value);
    }
}


ngx_http_kafka_metric_handler(ngx_http_kafka_metric_topic)
{
    ngx_atomic_t  *value;

    value = (ngx_atomic_t *) ((u_char *) &topic->counts
                              + metric->offset);

    ngx_http_kafka_metric_labels(page, metric->name, "", producer, topic);
    ngx_http_kafka_print(page, "} %uA\n", *value);
}


ngx_http_kafka_metric_handler(ngx_http_kafka_metric_latency)
{
    ngx_uint_t             i;
    ngx_atomic_uint_t      n;
    ngx_kafka_topic_counts_t  *kafka;

    kafka = &topic->counts;
    n = 0;

    for (i = 0; i < NGX_KAFKA_BUCKETS; i++) {

        n += kafka->kept[i];

        ngx_http_kafka_metric_labels(page, metric->name, "_bucket", producer,
                                     topic);

        ngx_http_kafka_print(page, ",le=\"%s\"} %uA\n",
                             i < NGX_KAFKA_BUCKETS - 1
                             ? ngx_kafka_latencies[i].seconds : "+Inf", n);
    }

    ngx_http_kafka_metric_labels(page, metric->name, "_sum", producer, topic);
    ngx_http_kafka_print(page, "} %uA.%03uA\n", kafka->latency / 1000,
                         kafka->latency % 1000);

    ngx_http_kafka_metric_labels(page, metric->name, "_count", producer,
                                 topic);
    ngx_http_kafka_print(page, "} %uA\n", n);
}


ngx_http_kafka_metric_handler(ngx_http_kafka_metric_gauge)
{
    ngx_uint_t  *value;

    value = (ngx_uint_t *) ((u_char *) producer + metric->offset);

    ngx_http_kafka_metric_labels(page, metric->name, "", producer, topic);
    ngx_http_kafka_print(page, "} %ui\n", *value);
}


ngx_http_kafka_metric_handler(ngx_http_kafka_metric_queue)
{
    if (producer->conf == NULL) {
        return;
    }

    ngx_http_kafka_metric_labels(page, metric->name, "", producer, topic);
    ngx_http_kafka_print(page, "} %uz\n",
                         producer->conf->queue * producer->workers);
}


ngx_http_kafka_metric_handler(ngx_http_kafka_metric_counter)
{
    ngx_atomic_t  *value;

    value = (ngx_atomic_t *) ((u_char *) producer->counts
                              + metric->offset);

    ngx_http_kafka_metric_labels(page, metric->name, "", producer, topic);
    ngx_http_kafka_print(page, "} %uA\n", *value);
}


ngx_http_kafka_metric_handler(ngx_http_kafka_metric_rebuilds)
{
    ngx_uint_t  i;

    static const char  *reasons[NGX_KAFKA_REBUILDS] = {
        "fatal", "timeout", "limit"
    };

    for (i = 0; i < NGX_KAFKA_REBUILDS; i++) {
        ngx_http_kafka_metric_labels(page, metric->name, "", producer, topic);
        ngx_http_kafka_print(page, ",reason=\"%s\"} %uA\n", reasons[i],
                             producer->counts->rebuilds[i]);
    }
}


ngx_http_kafka_metric_handler(ngx_http_kafka_metric_connected)
{
    ngx_uint_t                     i;
    ngx_http_kafka_broker_view_t  *broker;

    broker = producer->brokers->elts;

    for (i = 0; i < producer->brokers->nelts; i++) {
        ngx_http_kafka_metric_labels(page, metric->name, "", producer, topic);
        ngx_http_kafka_print(page, ",broker=\"%i\",address=\"%s\"} %ui\n",
                             broker[i].broker.id, broker[i].broker.address,
                             broker[i].states[NGX_KAFKA_BROKER_UP]);
    }
}


ngx_http_kafka_metric_handler(ngx_http_kafka_metric_rtt)
{
    ngx_uint_t                     i, *us;
    ngx_http_kafka_broker_view_t  *broker;

    broker = producer->brokers->elts;

    for (i = 0; i < producer->brokers->nelts; i++) {

        if (broker[i].rtt == 0) {
            /* not known yet */
            continue;
        }

        us = (ngx_uint_t *) ((u_char *) &broker[i] + metric->offset);

        ngx_http_kafka_metric_labels(page, metric->name, "", producer, topic);
        ngx_http_kafka_print(page,
                             ",broker=\"%i\",address=\"%s\"} %ui.%06ui\n",
                             broker[i].broker.id, broker[i].broker.address,
                             *us / 1000000, *us % 1000000);
    }
}


ngx_http_kafka_metric_handler(ngx_http_kafka_metric_state)
{
    ngx_atomic_t  *value;

    if (topic->state == NULL) {
        return;
    }

    value = (ngx_atomic_t *) ((u_char *) topic->state + metric->offset);

    if (*value) {
        ngx_http_kafka_metric_labels(page, metric->name, "", producer, topic);
        ngx_http_kafka_print(page, "} %uA\n", *value);
    }
}


ngx_http_kafka_metric_handler(ngx_http_kafka_metric_weak)
{
    if (topic->state && topic->state->replication) {
        ngx_http_kafka_metric_labels(page, metric->name, "", producer, topic);
        ngx_http_kafka_print(page, "} %d\n", topic->state->weak != 0);
    }
}
