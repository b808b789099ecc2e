/* Brokers as librdkafka's statistics show them. */

#include "kafka/ngx_kafka_client.h"
#include "json/json.h"


static ngx_int_t ngx_kafka_metrics_broker(ngx_kafka_producer_counts_t *counts,
    json_doc_t *doc, uint32_t token, ngx_kafka_gauges_t *gauges);
static ngx_uint_t ngx_kafka_metrics_slot(ngx_kafka_producer_counts_t *counts,
    ngx_int_t id, ngx_str_t *address);
static ngx_int_t ngx_kafka_metrics_number(json_doc_t *doc, uint32_t object,
    const char *name);
static ngx_uint_t ngx_kafka_metrics_state(ngx_str_t *name);


/*
 * Only the part about brokers is read: what follows, a line a partition, may
 * be megabytes.
 */
void
ngx_kafka_metrics_brokers(ngx_kafka_producer_counts_t *counts,
    ngx_kafka_gauges_t *gauges, const char *json, size_t len)
{
    uint8_t       seen[NGX_KAFKA_BROKERS_MAX] = { 0 };
    uint32_t      member;
    ngx_int_t     n;
    ngx_uint_t    i;
    json_doc_t    doc;
    const char   *start, *end;
    json_error_t  err;

    start = memmem(json, len, "\"brokers\":", 10);
    end = NULL;

    if (start) {
        start += 10;
        end = memmem(start, json + len - start, "\"topics\":", 9);
    }

    ngx_memzero(&doc, sizeof(json_doc_t));

    if (end) {
        while (end > start && *end != '}') {
            end--;
        }

        if (json_parse(&doc, start, end + 1 - start, &err) == 0
            && doc.tokens[0].type == JSON_OBJECT)
        {
            for (member = 1;
                 member < doc.tokens[0].next;
                 member = doc.tokens[member + 1].next)
            {
                n = ngx_kafka_metrics_broker(counts, &doc, member + 1,
                                             gauges);
                if (n >= 0) {
                    seen[n] = 1;
                }
            }
        }
    }

    json_doc_free(&doc);

    for (i = 0; i < NGX_KAFKA_BROKERS_MAX; i++) {
        if (!seen[i]) {
            gauges->brokers[i].state = NGX_KAFKA_BROKER_UNKNOWN;
        }
    }
}


/* The index of a broker of the cluster, or -1. */
static ngx_int_t
ngx_kafka_metrics_broker(ngx_kafka_producer_counts_t *counts, json_doc_t *doc,
    uint32_t token, ngx_kafka_gauges_t *gauges)
{
    uint32_t                    rtt, name, state;
    ngx_int_t                   id;
    ngx_str_t                   text;
    ngx_uint_t                  i;
    ngx_kafka_broker_gauges_t  *broker;

    /* bootstrap servers have no id, and are also there with theirs */

    id = ngx_kafka_metrics_number(doc, token, "nodeid");
    name = json_member(doc, token, "nodename", 8);
    state = json_member(doc, token, "state", 5);

    if (id < 0 || name == JSON_NONE || state == JSON_NONE) {
        return -1;
    }

    text.data = (u_char *) doc->text + doc->tokens[name].start;
    text.len = doc->tokens[name].end - doc->tokens[name].start;

    i = ngx_kafka_metrics_slot(counts, id, &text);

    if (i == NGX_KAFKA_BROKERS_MAX) {
        return -1;
    }

    broker = &gauges->brokers[i];

    text.data = (u_char *) doc->text + doc->tokens[state].start;
    text.len = doc->tokens[state].end - doc->tokens[state].start;

    broker->state = ngx_kafka_metrics_state(&text);

    rtt = json_member(doc, token, "rtt", 3);

    /* without a request in the last period the one before still holds */

    if (rtt != JSON_NONE && ngx_kafka_metrics_number(doc, rtt, "cnt") > 0) {
        broker->rtt = ngx_max(ngx_kafka_metrics_number(doc, rtt, "avg"), 0);
        broker->rtt_p99 = ngx_max(ngx_kafka_metrics_number(doc, rtt, "p99"),
                                  0);
    }

    return i;
}


/* The index of an id, made where it is new; NGX_KAFKA_BROKERS_MAX: no room. */
static ngx_uint_t
ngx_kafka_metrics_slot(ngx_kafka_producer_counts_t *counts, ngx_int_t id,
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


/* A whole number that is not negative, or NGX_ERROR. */
static ngx_int_t
ngx_kafka_metrics_number(json_doc_t *doc, uint32_t object, const char *name)
{
    uint32_t  token;

    token = json_member(doc, object, name, ngx_strlen(name));

    if (token == JSON_NONE || doc->tokens[token].type != JSON_NUMBER) {
        return NGX_ERROR;
    }

    return ngx_atoi((u_char *) doc->text + doc->tokens[token].start,
                    doc->tokens[token].end - doc->tokens[token].start);
}


static ngx_uint_t
ngx_kafka_metrics_state(ngx_str_t *name)
{
    ngx_uint_t  i;

    static struct {
        ngx_str_t           name;
        ngx_kafka_broker_e  state;
    } states[] = {
        { ngx_string("UP"), NGX_KAFKA_BROKER_UP },
        { ngx_string("UPDATE"), NGX_KAFKA_BROKER_UP },
        { ngx_string("DOWN"), NGX_KAFKA_BROKER_DOWN },
        { ngx_string("INIT"), NGX_KAFKA_BROKER_UNUSED }
    };

    for (i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        if (states[i].name.len == name->len
            && ngx_strncmp(states[i].name.data, name->data, name->len) == 0)
        {
            return states[i].state;
        }
    }

    return NGX_KAFKA_BROKER_CONNECTING;
}
