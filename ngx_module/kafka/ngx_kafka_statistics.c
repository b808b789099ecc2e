/*
 * What librdkafka's statistics tell (its STATISTICS.md): connections and
 * round trips of brokers.
 */

#include "kafka/ngx_kafka_impl.h"
#include "json/json.h"


static void ngx_kafka_statistics_up(ngx_kafka_client_t *client,
    const char *json, size_t len);
static void ngx_kafka_statistics_brokers(ngx_kafka_client_t *client,
    char *json, size_t len);
static ngx_int_t ngx_kafka_statistics_broker(ngx_kafka_client_t *client,
    json_doc_t *doc, uint32_t object);
static ngx_uint_t ngx_kafka_statistics_index(
    ngx_kafka_producer_counts_t *counts, ngx_int_t id, ngx_str_t *address);
static ngx_str_t ngx_kafka_statistics_text(json_doc_t *doc, uint32_t token);
static ngx_int_t ngx_kafka_statistics_number(json_doc_t *doc, uint32_t object,
    const char *name);
static ngx_kafka_broker_e ngx_kafka_statistics_state(json_doc_t *doc,
    uint32_t token);


void
ngx_kafka_statistics(ngx_kafka_client_t *client, char *json, size_t len)
{
    ngx_kafka_producer_t  *kp;

    kp = client->producer;

    ngx_kafka_statistics_up(client, json, len);

    if (client != kp->client) {
        client->ready = client->up
                        && memmem(json, len, "\"idemp_state\": \"Assigned\"",
                                  25) != NULL;
    }

    if (client == kp->client || client == kp->prompt.client) {
        ngx_kafka_statistics_brokers(client, json, len);
    }
}


/*
 * A connection that a broker closes for idleness is made again within a
 * second: only the third look without one means that brokers are down.  The
 * state is of brokers only: elsewhere it is "fetch_state" or in lower case.
 */
static void
ngx_kafka_statistics_up(ngx_kafka_client_t *client, const char *json,
    size_t len)
{
    ngx_uint_t  up;

    up = client->up;

    if (memmem(json, len, "\"state\":\"UP\"", 12) != NULL) {
        client->up = 1;
        client->seen_up = 1;
        client->missed = 0;

    } else if (client->missed < 2) {
        client->missed++;

    } else {
        client->up = 0;
    }

    if (client->up != up) {
        ngx_log_debug2(NGX_LOG_DEBUG_CORE, client->producer->log, 0,
                       "kafka client %p %s", client,
                       client->up ? "connected" : "disconnected");
    }
}


/*
 * Of a broker only what stands before its partitions is read: they, and the
 * topics that follow, may be megabytes, and more than the reader takes.
 * Brokers that are not there are not known.  The prompt client tells round
 * trips alone.
 */
static void
ngx_kafka_statistics_brokers(ngx_kafka_client_t *client, char *json,
    size_t len)
{
    char                       *p, *broker, *comma, *end;
    uint8_t                     seen[NGX_KAFKA_BROKERS_MAX] = { 0 };
    ngx_int_t                   n;
    ngx_uint_t                  i;
    json_doc_t                  doc;
    json_error_t                err;
    ngx_kafka_broker_gauges_t  *brokers;

    brokers = client->producer->conf->gauges->brokers;

    ngx_memzero(&doc, sizeof(json_doc_t));

    p = memmem(json, len, "\"brokers\":", 10);
    end = p ? memmem(p, json + len - p, "\"topics\":", 9) : NULL;

    while (end && (broker = memmem(p, end - p, "\"name\":", 7)) != NULL) {

        p = memmem(broker, end - broker, "\"toppars\":", 10);
        if (p == NULL) {
            break;
        }

        while (*broker != '{') {
            broker--;
        }

        for (comma = p; *comma != ','; comma--) { /* void */ }

        *comma = '}';

        if (json_parse(&doc, broker, comma + 1 - broker, &err) != 0) {
            continue;
        }

        n = ngx_kafka_statistics_broker(client, &doc, 0);

        if (n >= 0) {
            seen[n] = 1;
        }
    }

    json_doc_free(&doc);

    for (i = 0; i < NGX_KAFKA_BROKERS_MAX && !client->prompt; i++) {
        if (!seen[i]) {
            brokers[i].state = NGX_KAFKA_BROKER_UNKNOWN;
        }
    }
}


/* The index of a broker of the cluster, or -1. */
static ngx_int_t
ngx_kafka_statistics_broker(ngx_kafka_client_t *client, json_doc_t *doc,
    uint32_t object)
{
    uint32_t                    rtt, name, state;
    ngx_int_t                   id;
    ngx_str_t                   text;
    ngx_uint_t                  i;
    ngx_kafka_conf_t           *kcf;
    ngx_kafka_broker_gauges_t  *broker;

    kcf = client->producer->conf;

    /* bootstrap servers have no id, and are also there with theirs */

    id = ngx_kafka_statistics_number(doc, object, "nodeid");
    name = json_member(doc, object, "nodename", 8);
    state = json_member(doc, object, "state", 5);

    if (id < 0 || name == JSON_NONE || state == JSON_NONE) {
        return -1;
    }

    text = ngx_kafka_statistics_text(doc, name);
    i = ngx_kafka_statistics_index(kcf->counts, id, &text);

    if (i == NGX_KAFKA_BROKERS_MAX) {
        return -1;
    }

    broker = &kcf->gauges->brokers[i];

    if (!client->prompt) {
        broker->state = ngx_kafka_statistics_state(doc, state);
    }

    rtt = json_member(doc, object, "rtt", 3);

    /* without a request in the last period the one before still holds */

    if (ngx_kafka_statistics_number(doc, rtt, "cnt") > 0) {
        broker->rtt = ngx_max(ngx_kafka_statistics_number(doc, rtt, "avg"),
                              0);
        broker->rtt_p99 = ngx_max(ngx_kafka_statistics_number(doc, rtt,
                                                              "p99"), 0);
    }

    return i;
}


/* The index of an id, or a new one; NGX_KAFKA_BROKERS_MAX: no room. */
static ngx_uint_t
ngx_kafka_statistics_index(ngx_kafka_producer_counts_t *counts, ngx_int_t id,
    ngx_str_t *address)
{
    u_char               text[NGX_KAFKA_ADDRESS], *p, *last;
    ngx_uint_t           i;
    ngx_kafka_broker_t  *broker;

    last = ngx_cpystrn(text, address->data,
                       ngx_min(address->len + 1, NGX_KAFKA_ADDRESS));

    for (p = text; p < last; p++) {
        if (*p < 0x21 || *p > 0x7e || *p == '"' || *p == '\\') {
            *p = '?';
        }
    }

    ngx_shmtx_lock(&counts->lock->mutex);

    broker = counts->brokers;

    for (i = 0; i < counts->nbrokers && broker[i].id != id; i++) {
        /* void */
    }

    if (i < NGX_KAFKA_BROKERS_MAX) {
        broker[i].id = id;
        ngx_memcpy(broker[i].address, text, last - text + 1);
        counts->nbrokers = ngx_max(counts->nbrokers, i + 1);
    }

    ngx_shmtx_unlock(&counts->lock->mutex);

    return i;
}


static ngx_str_t
ngx_kafka_statistics_text(json_doc_t *doc, uint32_t token)
{
    ngx_str_t  text;

    text.data = (u_char *) doc->text + doc->tokens[token].start;
    text.len = doc->tokens[token].end - doc->tokens[token].start;

    return text;
}


/* A whole number that is not negative, or NGX_ERROR. */
static ngx_int_t
ngx_kafka_statistics_number(json_doc_t *doc, uint32_t object,
    const char *name)
{
    uint32_t   token;
    ngx_str_t  text;

    token = json_member(doc, object, name, ngx_strlen(name));

    if (token == JSON_NONE || doc->tokens[token].type != JSON_NUMBER) {
        return NGX_ERROR;
    }

    text = ngx_kafka_statistics_text(doc, token);

    return ngx_atoi(text.data, text.len);
}


/* "UP", "UPDATE", "DOWN", "INIT", or one of several steps between them. */
static ngx_kafka_broker_e
ngx_kafka_statistics_state(json_doc_t *doc, uint32_t token)
{
    return json_equals(doc, token, "UP", 2) ? NGX_KAFKA_BROKER_UP
           : json_equals(doc, token, "UPDATE", 6) ? NGX_KAFKA_BROKER_UP
           : json_equals(doc, token, "DOWN", 4) ? NGX_KAFKA_BROKER_DOWN
           : json_equals(doc, token, "INIT", 4) ? NGX_KAFKA_BROKER_UNUSED
           : NGX_KAFKA_BROKER_CONNECTING;
}
