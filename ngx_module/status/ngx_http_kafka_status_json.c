/* The status as JSON. */

#include "status/ngx_http_kafka_status.h"
#include "version.h"


static void ngx_http_kafka_json_producer(ngx_http_kafka_text_t *text,
    ngx_http_kafka_producer_view_t *producer);
static void ngx_http_kafka_json_receipts(ngx_http_kafka_text_t *text,
    ngx_http_kafka_producer_view_t *producer);
static void ngx_http_kafka_json_stored(ngx_http_kafka_text_t *text,
    ngx_kafka_topic_counts_t *counts);
static void ngx_http_kafka_json_brokers(ngx_http_kafka_text_t *text,
    ngx_array_t *brokers);
static void ngx_http_kafka_json_topic(ngx_http_kafka_text_t *text,
    ngx_http_kafka_producer_view_t *producer,
    ngx_http_kafka_topic_view_t *topic);
static void ngx_http_kafka_json_state(ngx_http_kafka_text_t *text,
    ngx_kafka_topic_state_t *state);
static void ngx_http_kafka_json_workers(ngx_http_kafka_text_t *text,
    ngx_array_t *workers);


ngx_int_t
ngx_http_kafka_print_status(ngx_http_request_t *r, ngx_http_kafka_text_t *text)
{
    ngx_uint_t                       i;
    ngx_http_kafka_view_t            view;
    ngx_http_kafka_producer_view_t  *producer;

    if (ngx_http_kafka_view(r, &view) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_kafka_print(text,
                         "{\"version\":\"" SLUICE_VERSION "\","
                         "\"installed\":\"%s\","
                         "\"librdkafka\":\"%s\","
                         "\"librdkafka_built\":\"%s\","
                         "\"nginx\":\"" NGINX_VERSION "\","
                         "\"time\":%T.%03M,\"since\":%T,"
                         "\"workers\":%ui,"
                         "\"requests\":%ui,"
                         "\"acked\":%ui,"
                         "\"failed\":%ui,"
                         "\"queued\":%ui,"
                         "\"queued_bytes\":%ui,"
                         "\"in_flight\":%ui,"
                         "\"latencies\":[",
                         view.installed, rd_kafka_version_str(), view.built,
                         ngx_time(), ngx_timeofday()->msec, view.started,
                         view.workers.nelts, view.requests, view.kept,
                         view.failed, view.records, view.bytes,
                         view.in_flight);

    for (i = 0; i < NGX_KAFKA_BUCKETS - 1; i++) {
        ngx_http_kafka_print(text, "%s%s", i ? "," : "",
                             ngx_kafka_latencies[i].seconds);
    }

    ngx_http_kafka_print(text, "],\"producers\":[");

    producer = view.producers.elts;

    for (i = 0; i < view.producers.nelts; i++) {
        ngx_http_kafka_print(text, i ? "," : "");
        ngx_http_kafka_json_producer(text, &producer[i]);
    }

    ngx_http_kafka_print(text, "],\"processes\":[");
    ngx_http_kafka_json_workers(text, &view.workers);
    ngx_http_kafka_print(text, "]}\n");

    return NGX_HTTP_OK;
}


static void
ngx_http_kafka_json_producer(ngx_http_kafka_text_t *text,
    ngx_http_kafka_producer_view_t *producer)
{
    ngx_uint_t                    i;
    ngx_http_kafka_topic_view_t  *topic;
    ngx_kafka_producer_counts_t  *counts;

    counts = producer->counts;

    ngx_http_kafka_print(text, "{\"name\":\"");
    ngx_http_kafka_print_json(text, &counts->name);
    ngx_http_kafka_print(text,
                         "\",\"workers\":%ui,\"connected\":%ui,"
                         "\"queued\":%ui,\"queued_bytes\":%ui,"
                         "\"queue\":%uz,\"in_flight\":%ui,"
                         "\"prompt\":{\"ready\":%ui,\"records\":%uA},"
                         "\"unreported\":%uA,\"start_failures\":%uA,"
                         "\"rebuilds\":{\"fatal\":%uA,\"timeout\":%uA,"
                         "\"limit\":%uA}",
                         producer->workers, producer->up, producer->records,
                         producer->bytes,
                         producer->conf ? producer->conf->queue : (size_t) 0,
                         producer->in_flight, producer->prompt,
                         counts->prompt, counts->unreported,
                         counts->start_failures,
                         counts->rebuilds[NGX_KAFKA_REBUILT_FATAL],
                         counts->rebuilds[NGX_KAFKA_REBUILT_TIMEOUT],
                         counts->rebuilds[NGX_KAFKA_REBUILT_LIMIT]);

    if (producer->conf && producer->conf->receipts) {
        ngx_http_kafka_json_receipts(text, producer);
    }

    ngx_http_kafka_print(text, ",\"brokers\":[");
    ngx_http_kafka_json_brokers(text, &producer->brokers);
    ngx_http_kafka_print(text, "],\"topics\":[");

    topic = producer->topics.elts;

    for (i = 0; i < producer->topics.nelts; i++) {
        ngx_http_kafka_print(text, i ? "," : "");
        ngx_http_kafka_json_topic(text, producer, &topic[i]);
    }

    ngx_http_kafka_print(text, "]}");
}


static void
ngx_http_kafka_json_receipts(ngx_http_kafka_text_t *text,
    ngx_http_kafka_producer_view_t *producer)
{
    ngx_atomic_t  *receipts;

    receipts = producer->counts->receipts;

    ngx_http_kafka_print(text,
                         ",\"receipts\":{\"topic\":\"%V\",\"reading\":%ui,"
                         "\"waiting\":%ui,\"read\":%uA,\"other\":%uA,"
                         "\"unreadable\":%uA,\"forgotten\":%uA}",
                         &producer->conf->receipts->topic.name,
                         producer->reading, producer->waits,
                         receipts[NGX_KAFKA_RECEIPT_READ],
                         receipts[NGX_KAFKA_RECEIPT_OTHER],
                         receipts[NGX_KAFKA_RECEIPT_UNREADABLE],
                         receipts[NGX_KAFKA_RECEIPT_FORGOTTEN]);
}


static void
ngx_http_kafka_json_brokers(ngx_http_kafka_text_t *text, ngx_array_t *brokers)
{
    char                          *comma;
    ngx_uint_t                     i;
    ngx_http_kafka_broker_view_t  *broker;

    broker = brokers->elts;
    comma = "";

    for (i = 0; i < brokers->nelts; i++) {

        if (broker[i].known == 0) {
            continue;
        }

        ngx_http_kafka_print(text,
                             "%s{\"id\":%i,\"address\":\"%s\",\"up\":%ui,"
                             "\"connecting\":%ui,\"down\":%ui,\"unused\":%ui,"
                             "\"rtt\":%ui.%06ui,\"rtt_p99\":%ui.%06ui}",
                             comma, broker[i].name.id, broker[i].name.address,
                             broker[i].states[NGX_KAFKA_BROKER_UP],
                             broker[i].states[NGX_KAFKA_BROKER_CONNECTING],
                             broker[i].states[NGX_KAFKA_BROKER_DOWN],
                             broker[i].states[NGX_KAFKA_BROKER_UNUSED],
                             broker[i].rtt / 1000000, broker[i].rtt % 1000000,
                             broker[i].rtt_p99 / 1000000,
                             broker[i].rtt_p99 % 1000000);
        comma = ",";
    }
}


static void
ngx_http_kafka_json_topic(ngx_http_kafka_text_t *text,
    ngx_http_kafka_producer_view_t *producer,
    ngx_http_kafka_topic_view_t *topic)
{
    char                      *comma;
    ngx_uint_t                 i, status;
    ngx_kafka_topic_counts_t  *counts;

    counts = &topic->counts;

    ngx_http_kafka_print(text, "{\"name\":\"");
    ngx_http_kafka_print_json(text, &counts->name);
    ngx_http_kafka_print(text, "\",\"requests\":{");

    comma = "";

    for (i = 0; i < NGX_HTTP_KAFKA_COUNTS; i++) {
        if (counts->requests[i]) {
            ngx_http_kafka_print(text, "%s\"%s\":%uA", comma,
                                 ngx_http_kafka_count_name(i, &status),
                                 counts->requests[i]);
            comma = ",";
        }
    }

    ngx_http_kafka_print(text,
                         "},\"kept\":%ui,\"not_kept\":%uA,\"maybe_kept\":%uA,"
                         "\"refused\":%uA,\"dropped\":%uA,\"bytes\":%uA,"
                         "\"latency\":{\"sum\":%uA.%03uA,\"counts\":[",
                         topic->kept, counts->not_kept, counts->maybe_kept,
                         counts->refused, counts->dropped, counts->bytes,
                         counts->latency / 1000, counts->latency % 1000);

    for (i = 0; i < NGX_KAFKA_BUCKETS; i++) {
        ngx_http_kafka_print(text, "%s%uA", i ? "," : "", counts->kept[i]);
    }

    ngx_http_kafka_print(text, "]}");

    if (producer->conf && producer->conf->receipts) {
        ngx_http_kafka_json_stored(text, counts);
    }

    if (topic->state) {
        ngx_http_kafka_json_state(text, topic->state);
    }

    ngx_http_kafka_print(text, "}");
}


static void
ngx_http_kafka_json_stored(ngx_http_kafka_text_t *text,
    ngx_kafka_topic_counts_t *counts)
{
    ngx_uint_t  i;

    ngx_http_kafka_print(text, ",\"stored\":{\"row\":%uA,\"filtered\":%uA,"
                         "\"duplicate\":%uA,\"dead_letter\":%uA,"
                         "\"pending\":%uA,"
                         "\"latency\":{\"sum\":%uA.%03uA,\"counts\":[",
                         counts->stored[NGX_KAFKA_STORED_ROW],
                         counts->stored[NGX_KAFKA_STORED_FILTERED],
                         counts->stored[NGX_KAFKA_STORED_DUPLICATE],
                         counts->stored[NGX_KAFKA_STORED_DEAD],
                         counts->stored[NGX_KAFKA_STORED_PENDING],
                         counts->stored_latency / 1000,
                         counts->stored_latency % 1000);

    for (i = 0; i < NGX_KAFKA_BUCKETS; i++) {
        ngx_http_kafka_print(text, "%s%uA", i ? "," : "",
                             counts->stored_times[i]);
    }

    ngx_http_kafka_print(text, "]}}");
}


static void
ngx_http_kafka_json_state(ngx_http_kafka_text_t *text,
    ngx_kafka_topic_state_t *state)
{
    u_char     buf[NGX_KAFKA_WEAK_TEXT];
    ngx_str_t  reasons;

    ngx_http_kafka_print(text, ",\"max_message_bytes\":%uA,"
                         "\"replication\":%uA,\"min_insync_replicas\":%uA",
                         state->limit, state->replication, state->in_sync);

    if (state->in_sync) {
        ngx_http_kafka_print(text, ",\"unclean_elections\":%s",
                             state->unclean ? "true" : "false");
    }

    if (state->weak) {
        reasons.data = buf;
        reasons.len = ngx_kafka_promise_text(state, buf, sizeof(buf)) - buf;

        ngx_http_kafka_print(text, ",\"warning\":\"");
        ngx_http_kafka_print_json(text, &reasons);
        ngx_http_kafka_print(text, "\"");
    }
}


static void
ngx_http_kafka_json_workers(ngx_http_kafka_text_t *text, ngx_array_t *workers)
{
    ngx_uint_t                     i;
    ngx_http_kafka_worker_view_t  *worker;

    worker = workers->elts;

    for (i = 0; i < workers->nelts; i++) {
        ngx_http_kafka_print(text,
                             "%s{\"pid\":%P,\"since\":%T,\"leaving\":%s,"
                             "\"connected\":%ui,\"queued\":%ui,"
                             "\"queued_bytes\":%ui,\"in_flight\":%ui}",
                             i ? "," : "", worker[i].pid, worker[i].started,
                             worker[i].leaving ? "true" : "false",
                             worker[i].up, worker[i].records, worker[i].bytes,
                             worker[i].in_flight);
    }
}
