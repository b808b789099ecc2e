/* librdkafka as the daemon needs it, and a record out of its message. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/testpoint.h"
#include "conf/properties.h"
#include "kafka/source_impl.h"
#include "record/headers.h"


/* Read ahead over all partitions: bytes of records, and how many of them. */
#define SOURCE_AHEAD_KB    (16 * 1024)
#define SOURCE_AHEAD_MSGS  32768

#define SOURCE_METADATA    3    /* the protocol's key of this request */


typedef struct {
    const char  *name;
    const char  *value;
} source_setting_t;


/* Before the file's, which may change them. */
static const source_setting_t  source_presets[] = {
    { "client.id",                "sluice-consumer" },
    /* a fetch is unpacked at once, to many times its size: small ones */
    { "fetch.max.bytes",          "262144" },
    { "fetch.message.max.bytes",  "65536" },
    /* a fetch of partitions that have nothing new keeps all others waiting */
    { "fetch.wait.max.ms",        "50" },
    { "message.max.bytes",        "262144" },    /* bounds the first below */
    { "reconnect.backoff.max.ms", "1000" },
    { "session.timeout.ms",       "10000" },
    /* a broker is asked for one fetch at a time: an answer that never comes
       keeps all its partitions waiting */
    { "socket.timeout.ms",        "15000" },
    { "socket.keepalive.enable",  "true" },
    { "socket.nagle.disable",     "true" }
};


/* Behind the file's: what a dead letter in the topic promises, and bounds. */
static const source_setting_t  source_producer[] = {
    { "acks",                         "all" },
    { "allow.auto.create.topics",     "false" },
    { "batch.size",                   "65536" },
    { "enable.idempotence",           "true" },
    { "linger.ms",                    "5" },
    { "log.queue",                    "true" },
    { "max.in.flight.requests.per.connection", "1" },
    /* the broker says what is too large */
    { "message.max.bytes",            "1000000000" },
    { "message.timeout.ms",           "10000" },
    { "queue.buffering.max.kbytes",   "65536" },
    { "queue.buffering.max.messages", "10000" },
    { "retries",                      "2147483647" },
    { "topic.metadata.propagation.max.ms", "0" }
};


static int source_try(rd_kafka_type_t type, rd_kafka_conf_t *rkconf,
    char *err);


static int
source_set(rd_kafka_conf_t *rkconf, const char *name, const char *value,
    char *err)
{
    char  text[256];

    if (rd_kafka_conf_set(rkconf, name, value, text, sizeof(text))
        == RD_KAFKA_CONF_OK)
    {
        return 0;
    }

    snprintf(err, CONF_ERROR_MAX, "property \"%s\": %s", name, text);

    return -1;
}


static int
source_set_all(rd_kafka_conf_t *rkconf, const source_setting_t *settings,
    size_t n, char *err)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (source_set(rkconf, settings[i].name, settings[i].value, err)
            == -1)
        {
            return -1;
        }
    }

    return 0;
}


/* The presets, then the file's. */

static int
source_set_file(rd_kafka_conf_t *rkconf, const conf_t *conf, char *err)
{
    size_t  i;

    if (source_set_all(rkconf, source_presets,
                       sizeof(source_presets) / sizeof(source_setting_t), err)
        == -1)
    {
        return -1;
    }

    for (i = 0; i < conf->nproperties; i++) {
        if (source_set(rkconf, conf->properties[i].name,
                       conf->properties[i].value, err) == -1)
        {
            return -1;
        }
    }

    return 0;
}


rd_kafka_conf_t *
source_conf(const conf_t *conf, int partitions, char *err)
{
    char              text[32];
    int               n;
    size_t            i;
    rd_kafka_conf_t  *rkconf;

    rkconf = rd_kafka_conf_new();

    if (source_set_file(rkconf, conf, err) == -1) {
        goto failed;
    }

    for (i = 0; conf_owned[i].name; i++) {
        if (conf_owned[i].value
            && source_set(rkconf, conf_owned[i].name, conf_owned[i].value,
                          err) == -1)
        {
            goto failed;
        }
    }

    if (source_set(rkconf, "group.id", testpoint_group(conf->group), err)
        == -1)
    {
        goto failed;
    }

    /* librdkafka bounds each partition's queue, not their sum */

    n = SOURCE_AHEAD_KB / partitions;
    snprintf(text, sizeof(text), "%d", n > 64 ? n : 64);
    if (source_set(rkconf, "queued.max.messages.kbytes", text, err) == -1) {
        goto failed;
    }

    n = SOURCE_AHEAD_MSGS / partitions;
    snprintf(text, sizeof(text), "%d", n > 64 ? n : 64);
    if (source_set(rkconf, "queued.min.messages", text, err) == -1) {
        goto failed;
    }

    return rkconf;

failed:

    rd_kafka_conf_destroy(rkconf);

    return NULL;
}


static rd_kafka_resp_err_t
source_on_response(rd_kafka_t *rk, int fd, const char *broker, int32_t id,
    int16_t key, int16_t version, int32_t correlation, size_t size,
    int64_t rtt, rd_kafka_resp_err_t err, void *data)
{
    atomic_bool  *changed = data;

    (void) rk;
    (void) fd;
    (void) broker;
    (void) id;
    (void) version;
    (void) correlation;
    (void) size;
    (void) rtt;
    (void) err;

    if (key == SOURCE_METADATA) {
        atomic_store(changed, true);
    }

    return RD_KAFKA_RESP_ERR_NO_ERROR;
}


static rd_kafka_resp_err_t
source_on_new(rd_kafka_t *rk, const rd_kafka_conf_t *rkconf, void *data,
    char *err, size_t size)
{
    (void) rkconf;
    (void) err;
    (void) size;

    return rd_kafka_interceptor_add_on_response_received(rk, "sluice",
                                                 source_on_response, data);
}


void
source_watch(rd_kafka_conf_t *rkconf, atomic_bool *changed)
{
    rd_kafka_conf_interceptor_add_on_new(rkconf, "sluice", source_on_new,
                                         changed);
}


rd_kafka_conf_t *
source_producer_conf(const conf_t *conf, char *err)
{
    rd_kafka_conf_t  *rkconf;

    rkconf = rd_kafka_conf_new();

    if (source_set_file(rkconf, conf, err) == -1
        || source_set_all(rkconf, source_producer,
                          sizeof(source_producer) / sizeof(source_setting_t),
                          err)
           == -1)
    {
        rd_kafka_conf_destroy(rkconf);
        return NULL;
    }

    return rkconf;
}


/* The headers of a message as a list, and as JSON text if it has any. */

static int
source_headers(const rd_kafka_message_t *rkm, buf_t *text, buf_t *list)
{
    size_t               i;
    record_header_t      header;
    rd_kafka_headers_t  *headers;

    text->len = 0;
    list->len = 0;

    if (rd_kafka_message_headers(rkm, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
    {
        return 0;
    }

    for (i = 0; rd_kafka_header_get_all(headers, i, &header.name,
                                        (const void **) &header.value,
                                        &header.len)
                == RD_KAFKA_RESP_ERR_NO_ERROR;
         i++)
    {
        buf_add(list, (const char *) &header, sizeof(record_header_t));
    }

    if (buf_failed(list)) {
        return -1;
    }

    return headers_write(text, (const record_header_t *) (const void *)
                         list->data, i);
}


int
source_record(const rd_kafka_message_t *rkm, buf_t *headers, buf_t *list,
    record_t *record)
{
    if (source_headers(rkm, headers, list) == -1) {
        buf_free(headers);
        buf_free(list);
        return -1;
    }

    record->topic = rd_kafka_topic_name(rkm->rkt);
    record->key = rkm->key;
    record->key_len = rkm->key ? rkm->key_len : 0;
    record->value = rkm->payload;
    record->value_len = rkm->payload ? rkm->len : 0;
    record->headers = headers->len ? headers->data : NULL;
    record->headers_len = headers->len;
    record->retry = NULL;
    record->offset = rkm->offset;
    record->timestamp = rd_kafka_message_timestamp(rkm, NULL);
    record->partition = rkm->partition;
    record->header = (const record_header_t *) (const void *) list->data;
    record->nheaders = list->len / sizeof(record_header_t);

    return 0;
}


int
source_prove(const conf_t *conf, char *err)
{
    char  text[CONF_ERROR_MAX];

    if (source_try(RD_KAFKA_CONSUMER, source_conf(conf, 1, text), text) == 0
        && (conf->dead_topic == NULL
            || source_try(RD_KAFKA_PRODUCER,
                          source_producer_conf(conf, text), text)
               == 0))
    {
        return 0;
    }

    snprintf(err, CONF_ERROR_MAX, "%.200s:%u:%u: \"kafka\": %.250s",
             conf->file, conf->kafka_line, conf->kafka_column, text);

    return -1;
}


/* Takes "rkconf"; NULL is why it could not be made, in "err" already. */

static int
source_try(rd_kafka_type_t type, rd_kafka_conf_t *rkconf, char *err)
{
    rd_kafka_t  *rk;

    if (rkconf == NULL) {
        return -1;
    }

    (void) rd_kafka_conf_set(rkconf, "bootstrap.servers", "", NULL, 0);

    rk = rd_kafka_new(type, rkconf, err, CONF_ERROR_MAX);
    if (rk == NULL) {
        rd_kafka_conf_destroy(rkconf);
        return -1;
    }

    rd_kafka_destroy(rk);

    return 0;
}
