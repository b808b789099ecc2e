/* The status as JSON. */

#include "status/ngx_http_kafka_status.h"
#include "version.h"


static void ngx_http_kafka_json_producer(ngx_http_kafka_page_t *page,
    ngx_http_kafka_producer_view_t *producer);
static void ngx_http_kafka_json_broker(ngx_http_kafka_page_t *page,
    ngx_http_kafka_broker_view_t *broker);
static void ngx_http_kafka_json_topic(ngx_http_kafka_page_t *page,
    ngx_http_kafka_topic_view_t *topic);
static void ngx_http_kafka_json_state(ngx_http_kafka_page_t *page,
    ngx_kafka_topic_state_t *state);
static void ngx_http_kafka_json_processes(ngx_http_kafka_page_t *page,
    ngx_http_kafka_view_t *view);


ngx_int_t
ngx_http_kafka_status_json(ngx_http_request_t *r, ngx_http_kafka_page_t *page)
{
    ngx_uint_t                       i;
    ngx_http_kafka_view_t            view;
    ngx_http_kafka_producer_view_t  *producer;

    if (ngx_http_kafka_view(r, &view) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_kafka_print(page,
                         "{\"version\":\"" SLUICE_VERSION "\","
                         "\"installed\":\"%s\","
                         "\"librdkafka\":\"%s\","
                         "\"librdkafka_built\":\"%d.%d.%d\","
                         "\"nginx\":\"" NGINX_VERSION "\","
                         "\"time\":%T.%03M,\"since\":%T,"
                         "\"workers\":%ui,"
                         "\"requests\":%ui,"
                         "\"acked\":%ui,"
                         "\"failed\":%ui,",
                         ngx_http_kafka_installed(r->connection->log),
                         rd_kafka_version_str(),
                         RD_KAFKA_VERSION >> 24,
                         RD_KAFKA_VERSION >> 16 & 0xff,
                         RD_KAFKA_VERSION >> 8 & 0xff,
                         ngx_time(), ngx_timeofday()->msec,
                         view.shared->started, view.slots.nelts, view.requests,
                         view.kept, view.failed);

    ngx_http_kafka_print(page,
                         "\"queued\":%ui,"
                         "\"queued_bytes\":%ui,"
                         "\"in_flight\":%ui,"
                         "\"latencies\":[",
                         view.records, view.bytes, view.in_flight);

    for (i = 0; i < NGX_KAFKA_BUCKETS - 1; i++) {
        ngx_http_kafka_print(page, "%s%s", i ? "," : "",
                             ngx_kafka_latencies[i].seconds);
    }

    ngx_http_kafka_print(page, "],\"producers\":[");

    producer = view.producers.elts;

    for (i = 0; i < view.producers.nelts; i++) {
        ngx_http_kafka_print(page, "%s", i ? "," : "");
        ngx_http_kafka_json_producer(page, &producer[i]);
    }

    ngx_http_kafka_print(page, "],\"processes\":[");
    ngx_http_kafka_json_processes(page, &view);
    ngx_http_kafka_print(page, "]}\n");

    return NGX_OK;
}


static void
ngx_http_kafka_json_producer(ngx_http_kafka_page_t *page,
    ngx_http_kafka_producer_view_t *producer)
{
    ngx_uint_t                     i;
    ngx_kafka_producer_counts_t           *metrics;
    ngx_http_kafka_topic_view_t   *topic;
    ngx_http_kafka_broker_view_t  *broker;

    metrics = producer->counts;

    ngx_http_kafka_print(page, "{\"name\":\"");
    ngx_http_kafka_print_json(page, &producer->counts->name);
    ngx_http_kafka_print(page,
                         "\",\"workers\":%ui,\"connected\":%ui,"
                         "\"queued\":%ui,\"queued_bytes\":%ui,"
                         "\"queue\":%uz,\"in_flight\":%ui,"
                         "\"unreported\":%uA,\"start_failures\":%uA,"
                         "\"rebuilds\":{\"fatal\":%uA,\"timeout\":%uA,"
                         "\"limit\":%uA},\"brokers\":[",
                         producer->workers, producer->up, producer->records,
                         producer->bytes,
                         producer->conf ? producer->conf->queue : (size_t) 0,
                         producer->in_flight, metrics->unreported,
                         metrics->start_failures,
                         metrics->rebuilds[NGX_KAFKA_REBUILT_FATAL],
                         metrics->rebuilds[NGX_KAFKA_REBUILT_TIMEOUT],
                         metrics->rebuilds[NGX_KAFKA_REBUILT_LIMIT]);

    broker = producer->brokers->elts;

    for (i = 0; i < producer->brokers->nelts; i++) {
        ngx_http_kafka_print(page, "%s", i ? "," : "");
        ngx_http_kafka_json_broker(page, &broker[i]);
    }

    ngx_http_kafka_print(page, "],\"topics\":[");

    topic = producer->topics->elts;

    for (i = 0; i < producer->topics->nelts; i++) {
        ngx_http_kafka_print(page, "%s", i ? "," : "");
        ngx_http_kafka_json_topic(page, &topic[i]);
    }

    ngx_http_kafka_print(page, "]}");
}


static void
ngx_http_kafka_json_broker(ngx_http_kafka_page_t *page,
    ngx_http_kafka_broker_view_t *broker)
{
    ngx_http_kafka_print(page,
                         "{\"id\":%i,\"address\":\"%s\",\"up\":%ui,"
                         "\"connecting\":%ui,\"down\":%ui,\"unused\":%ui,"
                         "\"rtt\":%ui.%06ui,\"rtt_p99\":%ui.%06ui}",
                         broker->broker.id, broker->broker.address,
                         broker->states[NGX_KAFKA_BROKER_UP],
                         broker->states[NGX_KAFKA_BROKER_CONNECTING],
                         broker->states[NGX_KAFKA_BROKER_DOWN],
                         broker->states[NGX_KAFKA_BROKER_UNUSED],
                         broker->rtt / 1000000, broker->rtt % 1000000,
                         broker->rtt_p99 / 1000000,
                         broker->rtt_p99 % 1000000);
}


static void
ngx_http_kafka_json_topic(ngx_http_kafka_page_t *page,
    ngx_http_kafka_topic_view_t *topic)
{
    char                  *comma;
    ngx_uint_t             i, status;
    const char            *name;
    ngx_kafka_topic_counts_t  *kafka;

    kafka = &topic->counts;

    ngx_http_kafka_print(page, "{\"name\":\"");
    ngx_http_kafka_print_json(page, &topic->counts.name);
    ngx_http_kafka_print(page, "\",\"requests\":{");

    comma = "";

    for (i = 0; i < NGX_HTTP_KAFKA_COUNTS; i++) {
        if (topic->counts.requests[i]) {
            name = ngx_http_kafka_count_name(i, &status);
            ngx_http_kafka_print(page, "%s\"%s\":%uA", comma, name,
                                 topic->counts.requests[i]);
            comma = ",";
        }
    }

    ngx_http_kafka_print(page,
                         "},\"kept\":%ui,\"not_kept\":%uA,\"maybe_kept\":%uA,"
                         "\"refused\":%uA,\"dropped\":%uA,\"bytes\":%uA,"
                         "\"latency\":{\"sum\":%uA.%03uA,\"counts\":[",
                         topic->kept, kafka->not_kept, kafka->maybe_kept,
                         kafka->refused, kafka->dropped, kafka->bytes,
                         kafka->latency / 1000, kafka->latency % 1000);

    for (i = 0; i < NGX_KAFKA_BUCKETS; i++) {
        ngx_http_kafka_print(page, "%s%uA", i ? "," : "", kafka->kept[i]);
    }

    ngx_http_kafka_print(page, "]}");

    if (topic->state) {
        ngx_http_kafka_json_state(page, topic->state);
    }

    ngx_http_kafka_print(page, "}");
}


static void
ngx_http_kafka_json_state(ngx_http_kafka_page_t *page,
    ngx_kafka_topic_state_t *state)
{
    u_char     reasons[NGX_KAFKA_WEAK_TEXT];
    ngx_str_t  text;

    ngx_http_kafka_print(page, ",\"max_message_bytes\":%uA,"
                         "\"replication\":%uA,\"min_insync_replicas\":%uA",
                         state->limit, state->replication, state->in_sync);

    if (state->in_sync) {
        ngx_http_kafka_print(page, ",\"unclean_elections\":%s",
                             state->unclean ? "true" : "false");
    }

    if (state->weak) {
        text.data = reasons;
        text.len = ngx_kafka_promise_text(state, reasons, sizeof(reasons))
                   - reasons;

        ngx_http_kafka_print(page, ",\"warning\":\"");
        ngx_http_kafka_print_json(page, &text);
        ngx_http_kafka_print(page, "\"");
    }
}


static void
ngx_http_kafka_json_processes(ngx_http_kafka_page_t *page,
    ngx_http_kafka_view_t *view)
{
    ngx_uint_t               i, s, records, bytes, in_flight, leaving, up;
    ngx_kafka_slot_t  **slot;

    slot = view->slots.elts;

    for (s = 0; s < view->slots.nelts; s++) {

        records = 0;
        bytes = 0;
        in_flight = 0;
        leaving = 0;
        up = 0;

        for (i = 0; i < slot[s]->n; i++) {
            records += slot[s]->gauges[i].records;
            bytes += slot[s]->gauges[i].bytes;
            in_flight += slot[s]->gauges[i].in_flight;
            leaving |= slot[s]->gauges[i].leaving;
            up += slot[s]->gauges[i].up;
        }

        ngx_http_kafka_print(page,
                             "%s{\"pid\":%P,\"since\":%T,\"leaving\":%s,"
                             "\"connected\":%ui,\"queued\":%ui,"
                             "\"queued_bytes\":%ui,\"in_flight\":%ui}",
                             s ? "," : "", slot[s]->pid, slot[s]->started,
                             leaving ? "true" : "false", up, records, bytes,
                             in_flight);
    }
}
