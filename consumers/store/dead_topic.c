/*
 * Produces dead letters to a topic, in addition to the table: all replicas
 * have them before the transaction commits.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "kafka/producer.h"
#include "record/headers.h"
#include "store/dead_topic.h"


/*
 * ms for a batch.  The transaction is open meanwhile, so it is less than
 * idle_in_transaction_session_timeout.
 */
#define DEAD_TOPIC_WAIT  10000


struct dead_topic_s {
    const conf_t        *conf;
    producer_t          *producer;    /* opened by the first dead letter */
    buf_t                list;        /* a record's headers */

    const batch_t       *batch;       /* under way, or NULL */
    outcome_pt           done;
    void                *data;
    uintptr_t            round;       /* in its reports; late ones differ */
    size_t               row;         /* the next one to produce */
    size_t               left;        /* produced, not yet reported */
    int64_t              deadline;
    outcome_t            outcome;     /* its first failure */
};


static void dead_topic_step(dead_topic_t *topic, int64_t now);
static rd_kafka_resp_err_t dead_topic_produce(dead_topic_t *topic,
    const batch_row_t *row);
static rd_kafka_headers_t *dead_topic_headers(dead_topic_t *topic,
    const record_t *record, const record_fault_t *fault);
static void dead_topic_fail(dead_topic_t *topic, rd_kafka_resp_err_t err);
static void dead_topic_end(dead_topic_t *topic);
static void dead_topic_report(void *data, uintptr_t round,
    rd_kafka_resp_err_t err);


dead_topic_t *
dead_topic_create(const conf_t *conf)
{
    dead_topic_t  *topic;

    topic = calloc(1, sizeof(dead_topic_t));
    if (topic == NULL) {
        return NULL;
    }

    topic->conf = conf;
    topic->producer = producer_create(conf, conf->dead_topic, NULL,
                                      dead_topic_report, topic);
    if (topic->producer == NULL) {
        free(topic);
        return NULL;
    }

    return topic;
}


void
dead_topic_destroy(dead_topic_t *topic)
{
    if (topic == NULL) {
        return;
    }

    topic->batch = NULL;
    producer_destroy(topic->producer);
    buf_free(&topic->list);
    free(topic);
}


int
dead_topic_fd(const dead_topic_t *topic)
{
    return producer_fd(topic->producer);
}


int64_t
dead_topic_deadline(const dead_topic_t *topic)
{
    return topic->batch ? topic->deadline : 0;
}


void
dead_topic_send(dead_topic_t *topic, const batch_t *batch,
    outcome_pt done, void *data)
{
    char     err[CONF_ERROR_MAX];
    int64_t  now;

    now = clock_ms();

    topic->batch = batch;
    topic->done = done;
    topic->data = data;
    topic->round++;
    topic->row = 0;
    topic->left = 0;
    topic->deadline = now + DEAD_TOPIC_WAIT;
    topic->outcome.action = SQLSTATE_OK;
    topic->outcome.reason[0] = '\0';

    if (producer_open(topic->producer, err) == -1) {
        topic->outcome.action = SQLSTATE_RETRY;
        snprintf(topic->outcome.reason, SQL_REASON,
                 "could not make a producer: %s", err);
        dead_topic_end(topic);
        return;
    }

    dead_topic_step(topic, now);
}


void
dead_topic_poll(dead_topic_t *topic, int64_t now)
{
    producer_poll(topic->producer);
    dead_topic_step(topic, now);
}


/* Produces as many as the producer's queue takes; reports make room. */

static void
dead_topic_step(dead_topic_t *topic, int64_t now)
{
    const batch_t        *batch;
    rd_kafka_resp_err_t   err;

    batch = topic->batch;

    if (batch == NULL) {
        return;
    }

    while (topic->outcome.action == SQLSTATE_OK && topic->row < batch->nrows)
    {
        if (batch->rows[topic->row].fault) {

            err = dead_topic_produce(topic, &batch->rows[topic->row]);

            if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL
                && producer_queued(topic->producer))
            {
                break;
            }

            if (err) {
                dead_topic_fail(topic, err);
                break;
            }

            topic->left++;
        }

        topic->row++;
    }

    if (topic->outcome.action == SQLSTATE_OK && now >= topic->deadline) {
        dead_topic_fail(topic, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT);
    }

    if (topic->outcome.action != SQLSTATE_OK
        || (topic->row == batch->nrows && topic->left == 0))
    {
        dead_topic_end(topic);
    }
}


static rd_kafka_resp_err_t
dead_topic_produce(dead_topic_t *topic, const batch_row_t *row)
{
    record_t             record;
    producer_message_t   message;
    rd_kafka_resp_err_t  err;

    batch_record(topic->batch, row, &record);
    record.topic = conf_topic(topic->conf,
                              topic->batch->ranges[row->range].topic);

    if (topic->conf->dead_store == CONF_STORE_REASON) {
        record.key = NULL;
        record.key_len = 0;
        record.value = NULL;
        record.value_len = 0;
        record.headers = NULL;
    }

    message.key = record.key;
    message.key_len = record.key_len;
    message.value = record.value;
    message.value_len = record.value_len;
    message.mark = topic->round;
    message.headers = dead_topic_headers(topic, &record,
                                    &topic->batch->faults[row->fault - 1]);
    if (message.headers == NULL) {
        return RD_KAFKA_RESP_ERR__QUEUE_FULL;
    }

    err = producer_send(topic->producer, &message);

    if (err) {
        rd_kafka_headers_destroy(message.headers);
    }

    return err;
}


/* The record's own headers, then where it was and why it is dead. */

static rd_kafka_headers_t *
dead_topic_headers(dead_topic_t *topic, const record_t *record,
    const record_fault_t *fault)
{
    char                   partition[16], offset[24], timestamp[24];
    size_t                 i, n;
    rd_kafka_headers_t    *headers;
    const record_header_t *own;

    if (headers_unpack(&topic->list, record->headers, record->headers_len)
        == -1)
    {
        return NULL;
    }

    own = (const record_header_t *) (const void *) topic->list.data;
    n = topic->list.len / sizeof(record_header_t);
    headers = rd_kafka_headers_new(n + 6);

    for (i = 0; i < n; i++) {
        rd_kafka_header_add(headers, own[i].name, -1, own[i].value,
                            (ssize_t) own[i].len);
    }

    snprintf(partition, sizeof(partition), "%" PRId32, record->partition);
    snprintf(offset, sizeof(offset), "%" PRId64, record->offset);
    snprintf(timestamp, sizeof(timestamp), "%" PRId64, record->timestamp);

    rd_kafka_header_add(headers, "sluice-topic", -1, record->topic, -1);
    rd_kafka_header_add(headers, "sluice-partition", -1, partition, -1);
    rd_kafka_header_add(headers, "sluice-offset", -1, offset, -1);

    if (record->timestamp >= 0) {
        rd_kafka_header_add(headers, "sluice-timestamp", -1, timestamp, -1);
    }

    rd_kafka_header_add(headers, "sluice-sqlstate", -1, fault->sqlstate, -1);
    rd_kafka_header_add(headers, "sluice-reason", -1, fault->reason, -1);

    return headers;
}


/* The first failure.  Some end by themselves, the others hold. */

static void
dead_topic_fail(dead_topic_t *topic, rd_kafka_resp_err_t err)
{
    outcome_t   *outcome;
    const char  *name;

    outcome = &topic->outcome;
    name = topic->conf->dead_topic;

    if (outcome->action != SQLSTATE_OK) {
        return;
    }

    outcome->action = SQLSTATE_HOLD;

    switch (err) {

    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        snprintf(outcome->reason, SQL_REASON, "topic \"%s\" of "
                 "\"dead_letters.topic\" does not exist", name);
        return;

    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
        snprintf(outcome->reason, SQL_REASON, "a dead letter is too large "
                 "for topic \"%s\"", name);
        return;

    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
        break;

    default:
        outcome->action = SQLSTATE_RETRY;
        break;
    }

    snprintf(outcome->reason, SQL_REASON, "could not produce dead letters to "
             "topic \"%s\": %s", name, rd_kafka_err2str(err));
}


static void
dead_topic_end(dead_topic_t *topic)
{
    topic->batch = NULL;
    topic->round++;

    /* no request is under way: a broker's answer made the client useless */
    producer_renew(topic->producer);

    topic->done(topic->data, &topic->outcome);
}


static void
dead_topic_report(void *data, uintptr_t round, rd_kafka_resp_err_t err)
{
    dead_topic_t  *topic = data;

    if (topic->batch == NULL || round != topic->round) {
        return;
    }

    topic->left--;

    if (err) {
        dead_topic_fail(topic, err);
    }
}
