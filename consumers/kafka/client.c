/* Creates clients of librdkafka, configured by the file and by the daemon. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/testpoint.h"
#include "conf/properties.h"
#include "kafka/client.h"


/* Bounds of what is read ahead, over all partitions: KiB, and records. */
#define CLIENT_AHEAD_KB    (16 * 1024)
#define CLIENT_AHEAD_MSGS  32768

#define CLIENT_METADATA    3    /* the protocol's key of this request */


typedef struct {
    const char  *name;
    const char  *value;
} client_setting_t;


/* Set before the file's properties, which may change them. */
static const client_setting_t  client_presets[] = {
    { "client.id",                "sluice-consumer" },
    /* a fetch is unpacked at once, to many times its size: keep it small */
    { "fetch.max.bytes",          "262144" },
    { "fetch.message.max.bytes",  "65536" },
    /* a fetch of partitions that have nothing new keeps all others waiting */
    { "fetch.wait.max.ms",        "50" },
    { "message.max.bytes",        "262144" },    /* at most fetch.max.bytes */
    { "reconnect.backoff.max.ms", "1000" },
    { "session.timeout.ms",       "10000" },
    /* a broker gets one fetch at a time: all its partitions wait for an
       answer that never comes */
    { "socket.timeout.ms",        "15000" },
    { "socket.keepalive.enable",  "true" },
    { "socket.nagle.disable",     "true" },
    /* partitions that were added are seen then, and read */
    { "topic.metadata.refresh.interval.ms", "20000" },
    { NULL, NULL }
};


/* Set after the file's: durability of what is produced, and bounds. */
static const client_setting_t  client_producer[] = {
    { "acks",                         "all" },
    { "allow.auto.create.topics",     "false" },
    { "batch.size",                   "65536" },
    { "enable.idempotence",           "true" },
    { "linger.ms",                    "5" },
    { "log.queue",                    "true" },
    { "max.in.flight.requests.per.connection", "1" },
    /* the broker decides what is too large */
    { "message.max.bytes",            "1000000000" },
    { "message.timeout.ms",           "10000" },
    { "queue.buffering.max.kbytes",   "65536" },
    { "queue.buffering.max.messages", "10000" },
    { "retries",                      "2147483647" },
    { "topic.metadata.propagation.max.ms", "0" },
    { NULL, NULL }
};


static int client_try(const conf_t *conf, rd_kafka_type_t type, char *err);


static int
client_set(rd_kafka_conf_t *rkconf, const char *name, const char *value,
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


/* A value from a file as the file has it now; it shows in no message. */

static int
client_set_secret(rd_kafka_conf_t *rkconf, const conf_property_t *property,
    char *err)
{
    int   rc;
    char  *value;

    value = conf_secret(property->file, err);
    if (value == NULL) {
        return -1;
    }

    rc = client_set(rkconf, property->name, value, err);
    free(value);

    if (rc == -1) {
        snprintf(err, CONF_ERROR_MAX, "property \"%s\": its value is invalid",
                 property->name);
    }

    return rc;
}


static int
client_set_all(rd_kafka_conf_t *rkconf, const client_setting_t *settings,
    char *err)
{
    for ( /* void */ ; settings->name; settings++) {
        if (client_set(rkconf, settings->name, settings->value, err) == -1) {
            return -1;
        }
    }

    return 0;
}


/* Sets the presets, then the file's properties. */

static int
client_set_file(rd_kafka_conf_t *rkconf, const conf_t *conf, char *err)
{
    size_t                  i;
    const conf_property_t  *property;

    if (client_set_all(rkconf, client_presets, err) == -1) {
        return -1;
    }

    for (i = 0; i < conf->nproperties; i++) {
        property = &conf->properties[i];

        if (property->file
            ? client_set_secret(rkconf, property, err) == -1
            : client_set(rkconf, property->name, property->value, err) == -1)
        {
            return -1;
        }
    }

    return 0;
}


/* librdkafka bounds what is read ahead of each partition, not of all. */

static int
client_set_share(rd_kafka_conf_t *rkconf, const char *name, int share,
    char *err)
{
    char  text[32];

    snprintf(text, sizeof(text), "%d", share > 64 ? share : 64);

    return client_set(rkconf, name, text, err);
}


/* Sets the consumer's properties that the daemon owns. */

static int
client_set_owned(rd_kafka_conf_t *rkconf, const conf_t *conf, int partitions,
    char *err)
{
    const conf_owned_t  *owned;

    for (owned = conf_owned; owned->name; owned++) {
        if (owned->value
            && client_set(rkconf, owned->name, owned->value, err) == -1)
        {
            return -1;
        }
    }

    if (client_set(rkconf, "group.id", testpoint_group(conf->group), err)
        == -1)
    {
        return -1;
    }

    if (partitions == 0) {
        return client_set(rkconf, "log_level", "0", err);
    }

    if (client_set_share(rkconf, "queued.max.messages.kbytes",
                         CLIENT_AHEAD_KB / partitions, err) == -1)
    {
        return -1;
    }

    return client_set_share(rkconf, "queued.min.messages",
                            CLIENT_AHEAD_MSGS / partitions, err);
}


rd_kafka_conf_t *
client_conf(const conf_t *conf, rd_kafka_type_t type, int partitions,
    char *err)
{
    rd_kafka_conf_t  *rkconf;

    rkconf = rd_kafka_conf_new();

    if (client_set_file(rkconf, conf, err) == 0
        && (type == RD_KAFKA_PRODUCER
            ? client_set_all(rkconf, client_producer, err)
            : client_set_owned(rkconf, conf, partitions, err))
           == 0)
    {
        return rkconf;
    }

    rd_kafka_conf_destroy(rkconf);

    return NULL;
}


/*
 * Only debug lines: errors, which a callback logs, and a producer's warnings
 * about the consumer's properties in the file.
 */

static void
client_log(const rd_kafka_t *rk, int level, const char *fac, const char *buf)
{
    static log_limit_t  limit;

    if (rk == NULL || level > 4
        || strcmp(fac, "FAIL") == 0 || strcmp(fac, "ERROR") == 0
        || (strcmp(fac, "CONFWARN") == 0
            && rd_kafka_type(rk) == RD_KAFKA_PRODUCER))
    {
        log_debug("librdkafka: %s: %s", fac, buf);

    } else {
        log_limited(&limit, "librdkafka: %s: %s", fac, buf);
    }
}


rd_kafka_t *
client_create(rd_kafka_type_t type, rd_kafka_conf_t *rkconf, char *err)
{
    rd_kafka_t  *rk;

    if (rkconf == NULL) {
        return NULL;
    }

    rd_kafka_conf_set_log_cb(rkconf, client_log);

    rk = rd_kafka_new(type, rkconf, err, CONF_ERROR_MAX);
    if (rk == NULL) {
        rd_kafka_conf_destroy(rkconf);
        return NULL;
    }

    rd_kafka_set_log_queue(rk, NULL);

    return rk;
}


void
client_signal(rd_kafka_queue_t *queue, int fd)
{
    rd_kafka_queue_io_event_enable(queue, fd, &(uint64_t) { 1 },
                                   sizeof(uint64_t));
}


static rd_kafka_resp_err_t
client_on_response(rd_kafka_t *rk, int fd, const char *broker, int32_t id,
    int16_t key, int16_t version, int32_t correlation, size_t size,
    int64_t rtt, rd_kafka_resp_err_t err, void *data)
{
    atomic_bool  *changed = data;

    if (key == CLIENT_METADATA) {
        atomic_store(changed, true);
    }

    return RD_KAFKA_RESP_ERR_NO_ERROR;
}


static rd_kafka_resp_err_t
client_on_new(rd_kafka_t *rk, const rd_kafka_conf_t *rkconf, void *data,
    char *err, size_t size)
{
    return rd_kafka_interceptor_add_on_response_received(rk, "sluice",
                                                  client_on_response, data);
}


void
client_watch(rd_kafka_conf_t *rkconf, atomic_bool *changed)
{
    rd_kafka_conf_interceptor_add_on_new(rkconf, "sluice", client_on_new,
                                         changed);
}


int
client_prove(const conf_t *conf, char *err)
{
    char  text[CONF_ERROR_MAX];

    if (client_try(conf, RD_KAFKA_CONSUMER, text) == 0
        && ((conf->dead_topic == NULL && conf->receipts_topic == NULL)
            || client_try(conf, RD_KAFKA_PRODUCER, text) == 0))
    {
        return 0;
    }

    snprintf(err, CONF_ERROR_MAX, "%.200s:%u:%u: \"kafka\": %.250s",
             conf->file, conf->kafka_line, conf->kafka_column, text);

    return -1;
}


static int
client_try(const conf_t *conf, rd_kafka_type_t type, char *err)
{
    rd_kafka_t       *rk;
    rd_kafka_conf_t  *rkconf;

    rkconf = client_conf(conf, type, 0, err);
    if (rkconf) {
        (void) rd_kafka_conf_set(rkconf, "bootstrap.servers", "", NULL, 0);
    }

    rk = client_create(type, rkconf, err);
    if (rk == NULL) {
        return -1;
    }

    rd_kafka_destroy(rk);

    return 0;
}
