/* The status as Prometheus reads it: text format 0.0.4. */

#include "status/ngx_http_kafka_status.h"
#include "version.h"


typedef struct ngx_http_kafka_metric_s  ngx_http_kafka_metric_t;

typedef void (*ngx_http_kafka_samples_pt)(ngx_http_kafka_text_t *text,
    const ngx_http_kafka_metric_t *metric,
    ngx_http_kafka_producer_view_t *producer,
    ngx_http_kafka_topic_view_t *topic);

/* Where the value of a metric is. */
typedef enum {
    NGX_HTTP_KAFKA_OF_PRODUCER = 0,     /* …_producer_view_t */
    NGX_HTTP_KAFKA_OF_COUNTS,           /* ngx_kafka_producer_counts_t */
    NGX_HTTP_KAFKA_OF_BROKER,           /* …_broker_view_t */
    NGX_HTTP_KAFKA_OF_TOPIC,            /* …_topic_view_t */
    NGX_HTTP_KAFKA_OF_STATE             /* ngx_kafka_topic_state_t; 0: not
                                           known */
} ngx_http_kafka_of_e;

/* All samples of a name stand together, so its rows follow each other. */
struct ngx_http_kafka_metric_s {
    const char                *name;
    const char                *type;
    const char                *help;
    const char                *label;       /* of the row, or NULL */
    ngx_http_kafka_of_e        of;
    size_t                     offset;      /* of the value */
    ngx_http_kafka_samples_pt  handler;     /* NULL: prints the value */
};


static void ngx_http_kafka_metric_head(ngx_http_kafka_text_t *text,
    const char *name, const char *type, const char *help);
static void ngx_http_kafka_metric_walk(ngx_http_kafka_text_t *text,
    const ngx_http_kafka_metric_t *metric, ngx_http_kafka_view_t *view);
static void ngx_http_kafka_metric_labels(ngx_http_kafka_text_t *text,
    const ngx_http_kafka_metric_t *metric, const char *suffix,
    ngx_http_kafka_producer_view_t *producer,
    ngx_http_kafka_topic_view_t *topic);
static void ngx_http_kafka_metric_value(ngx_http_kafka_text_t *text,
    const ngx_http_kafka_metric_t *metric,
    ngx_http_kafka_producer_view_t *producer,
    ngx_http_kafka_topic_view_t *topic);

#define ngx_http_kafka_metric_handler(name)                                   \
    static void name(ngx_http_kafka_text_t *text,                             \
        const ngx_http_kafka_metric_t *metric,                                \
        ngx_http_kafka_producer_view_t *producer,                             \
        ngx_http_kafka_topic_view_t *topic)

static void ngx_http_kafka_metric_histogram(ngx_http_kafka_text_t *text,
    const ngx_http_kafka_metric_t *metric,
    ngx_http_kafka_producer_view_t *producer,
    ngx_http_kafka_topic_view_t *topic, ngx_atomic_t *buckets,
    ngx_atomic_uint_t sum);
ngx_http_kafka_metric_handler(ngx_http_kafka_metric_requests);
ngx_http_kafka_metric_handler(ngx_http_kafka_metric_latency);
ngx_http_kafka_metric_handler(ngx_http_kafka_metric_stored_latency);
ngx_http_kafka_metric_handler(ngx_http_kafka_metric_receipts);
ngx_http_kafka_metric_handler(ngx_http_kafka_metric_weak);
ngx_http_kafka_metric_handler(ngx_http_kafka_metric_queue);
ngx_http_kafka_metric_handler(ngx_http_kafka_metric_brokers);


#define ngx_http_kafka_of_producer(field)                                     \
    NGX_HTTP_KAFKA_OF_PRODUCER, offsetof(ngx_http_kafka_producer_view_t, field)
#define ngx_http_kafka_of_counts(field)                                       \
    NGX_HTTP_KAFKA_OF_COUNTS, offsetof(ngx_kafka_producer_counts_t, field)
#define ngx_http_kafka_of_broker(field)                                       \
    NGX_HTTP_KAFKA_OF_BROKER, offsetof(ngx_http_kafka_broker_view_t, field)
#define ngx_http_kafka_of_topic(field)                                        \
    NGX_HTTP_KAFKA_OF_TOPIC, offsetof(ngx_http_kafka_topic_view_t, field)
#define ngx_http_kafka_of_state(field)                                        \
    NGX_HTTP_KAFKA_OF_STATE, offsetof(ngx_kafka_topic_state_t, field)

#define NGX_HTTP_KAFKA_RECORDS                                                \
    "sluice_http_records_total", "counter",                                   \
    "Records by what became of them."
#define NGX_HTTP_KAFKA_STORED_RECORDS                                         \
    "sluice_http_records_stored_total", "counter",                            \
    "Kept records whose receipt was asked for, by what it said."
#define NGX_HTTP_KAFKA_RECEIPTS                                               \
    "sluice_http_receipts_total", "counter",                                  \
    "Receipts read, by what became of them."
#define NGX_HTTP_KAFKA_REBUILDS                                               \
    "sluice_http_producer_rebuilds_total", "counter",                         \
    "Producers replaced while their worker ran."


static const ngx_http_kafka_metric_t  ngx_http_kafka_metrics[] = {

    { "sluice_http_requests_total", "counter",
      "Requests answered, by the code that says how.",
      NULL, NGX_HTTP_KAFKA_OF_TOPIC, 0, ngx_http_kafka_metric_requests },

    { "sluice_http_requests_in_flight", "gauge",
      "Requests that wait for Kafka's acknowledgement.",
      NULL, ngx_http_kafka_of_producer(in_flight), NULL },

    { NGX_HTTP_KAFKA_RECORDS, "result=\"kept\"",
      ngx_http_kafka_of_topic(kept), NULL },
    { NGX_HTTP_KAFKA_RECORDS, "result=\"not-kept\"",
      ngx_http_kafka_of_topic(counts.not_kept), NULL },
    { NGX_HTTP_KAFKA_RECORDS, "result=\"maybe-kept\"",
      ngx_http_kafka_of_topic(counts.maybe_kept), NULL },
    { NGX_HTTP_KAFKA_RECORDS, "result=\"refused\"",
      ngx_http_kafka_of_topic(counts.refused), NULL },

    { "sluice_http_record_bytes_total", "counter",
      "Bytes of kept records: keys, values and headers.",
      NULL, ngx_http_kafka_of_topic(counts.bytes), NULL },

    { "sluice_http_records_dropped_total", "counter",
      "Records not or perhaps not kept whose report no request waited for.",
      NULL, ngx_http_kafka_of_topic(counts.dropped), NULL },

    { "sluice_http_records_unreported_total", "counter",
      "Records whose worker ended before Kafka's report.",
      NULL, ngx_http_kafka_of_counts(unreported), NULL },

    { "sluice_http_ack_latency_seconds", "histogram",
      "From taking a record to its acknowledgement.",
      NULL, NGX_HTTP_KAFKA_OF_TOPIC, 0, ngx_http_kafka_metric_latency },

    { NGX_HTTP_KAFKA_STORED_RECORDS, "stored=\"row\"",
      ngx_http_kafka_of_topic(counts.stored[NGX_KAFKA_STORED_ROW]),
      ngx_http_kafka_metric_receipts },
    { NGX_HTTP_KAFKA_STORED_RECORDS, "stored=\"filtered\"",
      ngx_http_kafka_of_topic(counts.stored[NGX_KAFKA_STORED_FILTERED]),
      ngx_http_kafka_metric_receipts },
    { NGX_HTTP_KAFKA_STORED_RECORDS, "stored=\"duplicate\"",
      ngx_http_kafka_of_topic(counts.stored[NGX_KAFKA_STORED_DUPLICATE]),
      ngx_http_kafka_metric_receipts },
    { NGX_HTTP_KAFKA_STORED_RECORDS, "stored=\"dead-letter\"",
      ngx_http_kafka_of_topic(counts.stored[NGX_KAFKA_STORED_DEAD]),
      ngx_http_kafka_metric_receipts },
    { NGX_HTTP_KAFKA_STORED_RECORDS, "stored=\"pending\"",
      ngx_http_kafka_of_topic(counts.stored[NGX_KAFKA_STORED_PENDING]),
      ngx_http_kafka_metric_receipts },

    { "sluice_http_stored_latency_seconds", "histogram",
      "From taking a record to its receipt.",
      NULL, NGX_HTTP_KAFKA_OF_TOPIC, 0, ngx_http_kafka_metric_stored_latency },

    { NGX_HTTP_KAFKA_RECEIPTS, "result=\"read\"",
      ngx_http_kafka_of_counts(receipts[NGX_KAFKA_RECEIPT_READ]),
      ngx_http_kafka_metric_receipts },
    { NGX_HTTP_KAFKA_RECEIPTS, "result=\"other\"",
      ngx_http_kafka_of_counts(receipts[NGX_KAFKA_RECEIPT_OTHER]),
      ngx_http_kafka_metric_receipts },
    { NGX_HTTP_KAFKA_RECEIPTS, "result=\"unreadable\"",
      ngx_http_kafka_of_counts(receipts[NGX_KAFKA_RECEIPT_UNREADABLE]),
      ngx_http_kafka_metric_receipts },

    { "sluice_http_receipts_forgotten_total", "counter",
      "Ranges of receipts that found no room to be remembered.",
      NULL, ngx_http_kafka_of_counts(receipts[NGX_KAFKA_RECEIPT_FORGOTTEN]),
      ngx_http_kafka_metric_receipts },

    { "sluice_http_receipts_reading_workers", "gauge",
      "Workers that read receipts and have reached their end.",
      NULL, ngx_http_kafka_of_producer(reading),
      ngx_http_kafka_metric_receipts },

    { "sluice_http_receipts_waiting_records", "gauge",
      "Kept records that wait for their receipt.",
      NULL, ngx_http_kafka_of_producer(waits),
      ngx_http_kafka_metric_receipts },

    { "sluice_http_queue_records", "gauge",
      "Records taken and not reported yet.",
      NULL, ngx_http_kafka_of_producer(records), NULL },

    { "sluice_http_queue_bytes", "gauge",
      "Bytes charged for them.",
      NULL, ngx_http_kafka_of_producer(bytes), NULL },

    { "sluice_http_queue_limit_bytes", "gauge",
      "Bytes at which all workers together refuse records.",
      NULL, NGX_HTTP_KAFKA_OF_PRODUCER, 0, ngx_http_kafka_metric_queue },

    { "sluice_http_producer_connected_workers", "gauge",
      "Workers whose producer has a broker.",
      NULL, ngx_http_kafka_of_producer(up), NULL },

    { NGX_HTTP_KAFKA_REBUILDS, "reason=\"fatal\"",
      ngx_http_kafka_of_counts(rebuilds[NGX_KAFKA_REBUILT_FATAL]), NULL },
    { NGX_HTTP_KAFKA_REBUILDS, "reason=\"timeout\"",
      ngx_http_kafka_of_counts(rebuilds[NGX_KAFKA_REBUILT_TIMEOUT]), NULL },
    { NGX_HTTP_KAFKA_REBUILDS, "reason=\"limit\"",
      ngx_http_kafka_of_counts(rebuilds[NGX_KAFKA_REBUILT_LIMIT]), NULL },

    { "sluice_http_producer_prompt_workers", "gauge",
      "Workers whose producer can send few records at once.",
      NULL, ngx_http_kafka_of_producer(prompt), NULL },

    { "sluice_http_producer_prompt_records_total", "counter",
      "Records sent at once, as few were under way.",
      NULL, ngx_http_kafka_of_counts(prompt), NULL },

    { "sluice_http_producer_start_failures_total", "counter",
      "Producers that could not start.",
      NULL, ngx_http_kafka_of_counts(start_failures), NULL },

    { "sluice_http_broker_connected_workers", "gauge",
      "Workers that are connected to the broker.",
      NULL, ngx_http_kafka_of_broker(states[NGX_KAFKA_BROKER_UP]),
      ngx_http_kafka_metric_brokers },

    { "sluice_http_broker_rtt_seconds", "gauge",
      "Average round trip of recent requests to the broker.",
      NULL, ngx_http_kafka_of_broker(rtt), ngx_http_kafka_metric_brokers },

    { "sluice_http_broker_rtt_p99_seconds", "gauge",
      "99th percentile of it, of the slowest worker.",
      NULL, ngx_http_kafka_of_broker(rtt_p99), ngx_http_kafka_metric_brokers },

    { "sluice_http_topic_replication", "gauge",
      "Replicas of the partition that has the fewest.",
      NULL, ngx_http_kafka_of_state(replication), NULL },

    { "sluice_http_topic_min_insync_replicas", "gauge",
      "The topic's min.insync.replicas.",
      NULL, ngx_http_kafka_of_state(in_sync), NULL },

    { "sluice_http_topic_weak", "gauge",
      "1 where a 200 promises less than it says, see the error log.",
      NULL, ngx_http_kafka_of_state(weak), ngx_http_kafka_metric_weak }
};


ngx_int_t
ngx_http_kafka_print_metrics(ngx_http_request_t *r, ngx_http_kafka_text_t *text)
{
    size_t                 i;
    ngx_http_kafka_view_t  view;

    if (ngx_http_kafka_view(r, &view) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_kafka_metric_head(text, "sluice_http_build_info", "gauge",
                               "What runs, and which version is installed.");
    ngx_http_kafka_print(text, "sluice_http_build_info{"
                         "version=\"" SLUICE_VERSION "\",installed=\"%s\","
                         "librdkafka=\"%s\",librdkafka_built=\"%s\","
                         "nginx=\"" NGINX_VERSION "\"} 1\n",
                         view.installed, rd_kafka_version_str(), view.built);

    ngx_http_kafka_metric_head(text, "sluice_http_start_time_seconds",
                               "gauge", "When the counters began.");
    ngx_http_kafka_print(text, "sluice_http_start_time_seconds %T\n",
                         view.started);

    ngx_http_kafka_metric_head(text, "sluice_http_workers", "gauge",
                               "Workers that run, leaving ones too.");
    ngx_http_kafka_print(text, "sluice_http_workers %ui\n",
                         view.workers.nelts);

    for (i = 0;
         i < sizeof(ngx_http_kafka_metrics) / sizeof(ngx_http_kafka_metrics[0]);
         i++)
    {
        ngx_http_kafka_metric_walk(text, &ngx_http_kafka_metrics[i], &view);
    }

    return NGX_HTTP_OK;
}


static void
ngx_http_kafka_metric_head(ngx_http_kafka_text_t *text, const char *name,
    const char *type, const char *help)
{
    ngx_http_kafka_print(text, "# HELP %s %s\n# TYPE %s %s\n", name, help,
                         name, type);
}


static void
ngx_http_kafka_metric_walk(ngx_http_kafka_text_t *text,
    const ngx_http_kafka_metric_t *metric, ngx_http_kafka_view_t *view)
{
    ngx_uint_t                       i, j;
    ngx_http_kafka_samples_pt        handler;
    ngx_http_kafka_topic_view_t     *topic;
    ngx_http_kafka_producer_view_t  *producer;

    if (metric == ngx_http_kafka_metrics
        || ngx_strcmp(metric->name, metric[-1].name) != 0)
    {
        ngx_http_kafka_metric_head(text, metric->name, metric->type,
                                   metric->help);
    }

    handler = metric->handler ? metric->handler : ngx_http_kafka_metric_value;
    producer = view->producers.elts;

    for (i = 0; i < view->producers.nelts; i++) {

        if (metric->of < NGX_HTTP_KAFKA_OF_TOPIC) {
            handler(text, metric, &producer[i], NULL);
            continue;
        }

        topic = producer[i].topics.elts;

        for (j = 0; j < producer[i].topics.nelts; j++) {
            if (metric->of == NGX_HTTP_KAFKA_OF_TOPIC || topic[j].state) {
                handler(text, metric, &producer[i], &topic[j]);
            }
        }
    }
}


/* Leaves the braces open, for more labels. */
static void
ngx_http_kafka_metric_labels(ngx_http_kafka_text_t *text,
    const ngx_http_kafka_metric_t *metric, const char *suffix,
    ngx_http_kafka_producer_view_t *producer,
    ngx_http_kafka_topic_view_t *topic)
{
    ngx_http_kafka_print(text, "%s%s{producer=\"", metric->name, suffix);
    ngx_http_kafka_print_label(text, &producer->counts->name);

    if (topic) {
        ngx_http_kafka_print(text, "\",topic=\"");
        ngx_http_kafka_print_label(text, &topic->counts.name);
    }

    ngx_http_kafka_print(text, metric->label ? "\",%s" : "\"", metric->label);
}


ngx_http_kafka_metric_handler(ngx_http_kafka_metric_value)
{
    void        *values;
    ngx_uint_t   value;

    values = metric->of == NGX_HTTP_KAFKA_OF_PRODUCER ? (void *) producer
             : metric->of == NGX_HTTP_KAFKA_OF_COUNTS
             ? (void *) producer->counts
             : metric->of == NGX_HTTP_KAFKA_OF_TOPIC ? (void *) topic
             : (void *) topic->state;

    /* an atomic counter is as wide */
    value = *(ngx_uint_t *) ((u_char *) values + metric->offset);

    if (value || metric->of != NGX_HTTP_KAFKA_OF_STATE) {
        ngx_http_kafka_metric_labels(text, metric, "", producer, topic);
        ngx_http_kafka_print(text, "} %ui\n", value);
    }
}


ngx_http_kafka_metric_handler(ngx_http_kafka_metric_weak)
{
    if (topic->state->replication) {
        ngx_http_kafka_metric_labels(text, metric, "", producer, topic);
        ngx_http_kafka_print(text, "} %d\n", topic->state->weak != 0);
    }
}


ngx_http_kafka_metric_handler(ngx_http_kafka_metric_queue)
{
    if (producer->conf) {
        ngx_http_kafka_metric_labels(text, metric, "", producer, topic);
        ngx_http_kafka_print(text, "} %uz\n",
                             producer->conf->queue * producer->workers);
    }
}


/* All codes of a topic that is configured, of others those that came. */
ngx_http_kafka_metric_handler(ngx_http_kafka_metric_requests)
{
    ngx_uint_t   i, status;
    const char  *code;

    for (i = 0; i < NGX_HTTP_KAFKA_COUNTS; i++) {

        if (topic->counts.requests[i] == 0 && topic->state == NULL) {
            continue;
        }

        code = ngx_http_kafka_count_name(i, &status);

        ngx_http_kafka_metric_labels(text, metric, "", producer, topic);

        if (status) {
            ngx_http_kafka_print(text, ",status=\"%ui\"", status);
        }

        ngx_http_kafka_print(text, ",code=\"%s\"} %uA\n", code,
                             topic->counts.requests[i]);
    }
}


ngx_http_kafka_metric_handler(ngx_http_kafka_metric_latency)
{
    ngx_http_kafka_metric_histogram(text, metric, producer, topic,
                                    topic->counts.kept,
                                    topic->counts.latency);
}


ngx_http_kafka_metric_handler(ngx_http_kafka_metric_stored_latency)
{
    if (producer->conf && producer->conf->receipts) {
        ngx_http_kafka_metric_histogram(text, metric, producer, topic,
                                        topic->counts.stored_times,
                                        topic->counts.stored_latency);
    }
}


/* Where receipts are read. */
ngx_http_kafka_metric_handler(ngx_http_kafka_metric_receipts)
{
    if (producer->conf && producer->conf->receipts) {
        ngx_http_kafka_metric_value(text, metric, producer, topic);
    }
}


static void
ngx_http_kafka_metric_histogram(ngx_http_kafka_text_t *text,
    const ngx_http_kafka_metric_t *metric,
    ngx_http_kafka_producer_view_t *producer,
    ngx_http_kafka_topic_view_t *topic, ngx_atomic_t *buckets,
    ngx_atomic_uint_t sum)
{
    ngx_uint_t         i;
    ngx_atomic_uint_t  n;

    n = 0;

    for (i = 0; i < NGX_KAFKA_BUCKETS; i++) {

        n += buckets[i];

        ngx_http_kafka_metric_labels(text, metric, "_bucket", producer, topic);

        ngx_http_kafka_print(text, ",le=\"%s\"} %uA\n",
                             i < NGX_KAFKA_BUCKETS - 1
                             ? ngx_kafka_latencies[i].seconds : "+Inf", n);
    }

    ngx_http_kafka_metric_labels(text, metric, "_sum", producer, topic);
    ngx_http_kafka_print(text, "} %uA.%03uA\n", sum / 1000, sum % 1000);

    ngx_http_kafka_metric_labels(text, metric, "_count", producer, topic);
    ngx_http_kafka_print(text, "} %uA\n", n);
}


/* A number of workers, or a time in seconds that is left out while 0. */
ngx_http_kafka_metric_handler(ngx_http_kafka_metric_brokers)
{
    ngx_uint_t                     i, seconds, value;
    ngx_http_kafka_broker_view_t  *broker;

    broker = producer->brokers.elts;
    seconds = metric->offset >= offsetof(ngx_http_kafka_broker_view_t, rtt);

    for (i = 0; i < producer->brokers.nelts; i++) {

        if (broker[i].known == 0 || (seconds && broker[i].rtt == 0)) {
            continue;
        }

        value = *(ngx_uint_t *) ((u_char *) &broker[i] + metric->offset);

        ngx_http_kafka_metric_labels(text, metric, "", producer, topic);
        ngx_http_kafka_print(text, ",broker=\"%i\",address=\"%s\"} ",
                             broker[i].name.id, broker[i].name.address);
        ngx_http_kafka_print(text, seconds ? "%ui.%06ui\n" : "%ui\n",
                             seconds ? value / 1000000 : value,
                             value % 1000000);
    }
}
