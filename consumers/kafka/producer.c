/*
 * A producer whose delivery reports the daemon's loop takes, and the making of
 * its topic.  Nothing here waits for a broker.
 */

#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "kafka/client.h"
#include "kafka/producer.h"


#define PRODUCER_MAKE  10000    /* ms for the brokers to make a topic */


struct producer_s {
    const conf_t        *conf;
    const char          *topic;
    const char *const   *settings;
    producer_report_pt   report;
    void                *data;
    int                  fd;
    rd_kafka_t          *rk;       /* NULL: not open */
    rd_kafka_queue_t    *made;     /* where the answers of producer_make()
                                      come; NULL: none is awaited */
    producer_made_pt     on_made;
};


static int producer_set(rd_kafka_conf_t *rkconf, const char *const *settings,
    char *err);
static void producer_close(producer_t *producer);
static void producer_close_made(producer_t *producer);
static void producer_poll_made(producer_t *producer);
static void producer_report(rd_kafka_t *rk, const rd_kafka_message_t *rkm,
    void *opaque);
static void producer_error(rd_kafka_t *rk, int err, const char *reason,
    void *opaque);


producer_t *
producer_create(const conf_t *conf, const char *topic,
    const char *const *settings, producer_report_pt report, void *data)
{
    producer_t  *producer;

    producer = calloc(1, sizeof(producer_t));
    if (producer == NULL) {
        return NULL;
    }

    producer->conf = conf;
    producer->topic = topic;
    producer->settings = settings;
    producer->report = report;
    producer->data = data;
    producer->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    if (producer->fd == -1) {
        free(producer);
        return NULL;
    }

    return producer;
}


void
producer_destroy(producer_t *producer)
{
    if (producer == NULL) {
        return;
    }

    producer_close(producer);
    close(producer->fd);
    free(producer);
}


int
producer_open(producer_t *producer, char *err)
{
    rd_kafka_conf_t   *rkconf;
    rd_kafka_queue_t  *queue;

    if (producer->rk) {
        return 0;
    }

    rkconf = client_conf(producer->conf, RD_KAFKA_PRODUCER, 0, err);

    if (rkconf && producer_set(rkconf, producer->settings, err) == -1) {
        rd_kafka_conf_destroy(rkconf);
        return -1;
    }

    if (rkconf) {
        rd_kafka_conf_set_dr_msg_cb(rkconf, producer_report);
        rd_kafka_conf_set_error_cb(rkconf, producer_error);
        rd_kafka_conf_set_opaque(rkconf, producer);
    }

    producer->rk = client_create(RD_KAFKA_PRODUCER, rkconf, err);
    if (producer->rk == NULL) {
        return -1;
    }

    queue = rd_kafka_queue_get_main(producer->rk);
    client_signal(queue, producer->fd);
    rd_kafka_queue_destroy(queue);

    return 0;
}


static int
producer_set(rd_kafka_conf_t *rkconf, const char *const *settings, char *err)
{
    char  text[256];

    for ( /* void */ ; settings && settings[0]; settings += 2) {
        if (rd_kafka_conf_set(rkconf, settings[0], settings[1], text,
                              sizeof(text))
            != RD_KAFKA_CONF_OK)
        {
            snprintf(err, CONF_ERROR_MAX, "property \"%s\": %s", settings[0],
                     text);
            return -1;
        }
    }

    return 0;
}


static void
producer_close(producer_t *producer)
{
    if (producer->rk == NULL) {
        return;
    }

    (void) rd_kafka_purge(producer->rk, RD_KAFKA_PURGE_F_QUEUE
                                        | RD_KAFKA_PURGE_F_INFLIGHT);
    (void) rd_kafka_poll(producer->rk, 0);
    producer_close_made(producer);
    rd_kafka_destroy(producer->rk);
    producer->rk = NULL;
}


void
producer_renew(producer_t *producer)
{
    if (producer->rk && rd_kafka_fatal_error(producer->rk, NULL, 0)) {
        producer_close(producer);
    }
}


rd_kafka_resp_err_t
producer_send(producer_t *producer, const producer_message_t *message)
{
    return rd_kafka_producev(producer->rk,
                             RD_KAFKA_V_TOPIC(producer->topic),
                             RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                             RD_KAFKA_V_KEY(message->key, message->key_len),
                             RD_KAFKA_V_VALUE((void *) (uintptr_t)
                                              message->value,
                                              message->value_len),
                             RD_KAFKA_V_HEADERS(message->headers),
                             RD_KAFKA_V_OPAQUE((void *) message->mark),
                             RD_KAFKA_V_END);
}


int
producer_queued(const producer_t *producer)
{
    return producer->rk ? rd_kafka_outq_len(producer->rk) : 0;
}


void
producer_flush(producer_t *producer, int ms)
{
    if (producer->rk) {
        (void) rd_kafka_flush(producer->rk, ms);
    }
}


void
producer_make(producer_t *producer, int replicas, const char *const *config,
    bool try, producer_made_pt made)
{
    char                     text[256];
    rd_kafka_NewTopic_t     *topic;
    rd_kafka_AdminOptions_t *options;

    topic = rd_kafka_NewTopic_new(producer->topic, 1, replicas, text,
                                  sizeof(text));
    if (topic == NULL) {
        made(producer->data, RD_KAFKA_RESP_ERR__INVALID_ARG, text);
        return;
    }

    for ( /* void */ ; config && config[0]; config += 2) {
        (void) rd_kafka_NewTopic_set_config(topic, config[0], config[1]);
    }

    options = rd_kafka_AdminOptions_new(producer->rk,
                                        RD_KAFKA_ADMIN_OP_CREATETOPICS);
    (void) rd_kafka_AdminOptions_set_request_timeout(options, PRODUCER_MAKE,
                                                     text, sizeof(text));
    (void) rd_kafka_AdminOptions_set_validate_only(options, try, text,
                                                   sizeof(text));

    producer_close_made(producer);
    producer->on_made = made;
    producer->made = rd_kafka_queue_new(producer->rk);
    client_signal(producer->made, producer->fd);

    rd_kafka_CreateTopics(producer->rk, &topic, 1, options, producer->made);

    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_NewTopic_destroy(topic);
}


/* An answer that is still to come is dropped. */

static void
producer_close_made(producer_t *producer)
{
    if (producer->made) {
        rd_kafka_queue_io_event_enable(producer->made, -1, NULL, 0);
        rd_kafka_queue_destroy(producer->made);
        producer->made = NULL;
    }
}


int
producer_fd(const producer_t *producer)
{
    return producer->fd;
}


void
producer_poll(producer_t *producer)
{
    ssize_t   n;
    uint64_t  events;

    n = read(producer->fd, &events, sizeof(events));
    (void) n;

    if (producer->rk == NULL) {
        return;
    }

    (void) rd_kafka_poll(producer->rk, 0);

    if (producer->made) {
        producer_poll_made(producer);
    }
}


static void
producer_poll_made(producer_t *producer)
{
    size_t                              n;
    const char                         *reason;
    rd_kafka_event_t                   *event;
    rd_kafka_resp_err_t                 err;
    const rd_kafka_topic_result_t     **topics;
    const rd_kafka_CreateTopics_result_t  *result;

    event = rd_kafka_queue_poll(producer->made, 0);

    result = rd_kafka_event_CreateTopics_result(event);
    if (result == NULL) {
        rd_kafka_event_destroy(event);
        return;
    }

    err = rd_kafka_event_error(event);
    reason = rd_kafka_event_error_string(event);
    topics = rd_kafka_CreateTopics_result_topics(result, &n);

    if (err == RD_KAFKA_RESP_ERR_NO_ERROR && n) {
        err = rd_kafka_topic_result_error(topics[0]);
        reason = rd_kafka_topic_result_error_string(topics[0]);
    }

    producer_close_made(producer);
    producer->on_made(producer->data, err, err == RD_KAFKA_RESP_ERR_NO_ERROR
                      ? "" : reason ? reason : rd_kafka_err2str(err));
    rd_kafka_event_destroy(event);
}


static void
producer_report(rd_kafka_t *rk, const rd_kafka_message_t *rkm, void *opaque)
{
    producer_t  *producer = opaque;

    producer->report(producer->data, (uintptr_t) rkm->_private, rkm->err);
}


/* Only for debugging: reports, and the consumer's errors, say what matters. */

static void
producer_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    const producer_t  *producer = opaque;

    log_debug("producer of topic \"%s\": %s", producer->topic, reason);
}
