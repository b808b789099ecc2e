/*
 * Receipts: tells a topic what became of the records of each committed batch.
 * receipts_look.c makes good what a claim finds committed.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/receipts_impl.h"


#define RECEIPTS_AGAIN  10000    /* ms between two tries to make the topic */
#define RECEIPTS_WELL   1000     /* ms without a dropped one */


static void receipts_produce(receipts_t *receipts, const char *text,
    size_t len);
static void receipts_make(receipts_t *receipts);
static void receipts_on_made(void *data, rd_kafka_resp_err_t err,
    const char *reason);
static void receipts_on_report(void *data, uintptr_t mark,
    rd_kafka_resp_err_t err);
static void receipts_fail(receipts_t *receipts, rd_kafka_resp_err_t err);


/*
 * A receipt is of use while its request waits, so it leaves at once and is
 * dropped early.  A topic that is being made may not be known for a while.
 */
static const char *const  receipts_settings[] = {
    "linger.ms",                         "0",
    "queue.buffering.max.kbytes",        "8192",
    "queue.buffering.max.messages",      "1000",
    "topic.metadata.propagation.max.ms", "5000",
    NULL
};

/* Old ones are of no use either; a segment that is open is not deleted. */
static const char *const  receipts_topic[] = {
    "retention.ms", "600000",
    "segment.ms",   "600000",
    NULL
};


receipts_t *
receipts_create(const conf_t *conf, const offsets_t *offsets)
{
    receipts_t  *receipts;

    receipts = calloc(1, sizeof(receipts_t));
    if (receipts == NULL) {
        return NULL;
    }

    receipts->conf = conf;
    receipts->offsets = offsets;
    receipts->figures.reason = receipts->reason;
    receipts->producer = producer_create(conf, conf->receipts_topic,
                                         receipts_settings,
                                         receipts_on_report, receipts);

    if (receipts->producer == NULL) {
        receipts_destroy(receipts);
        return NULL;
    }

    return receipts;
}


void
receipts_destroy(receipts_t *receipts)
{
    size_t  i;

    if (receipts == NULL) {
        return;
    }

    producer_destroy(receipts->producer);

    for (i = 0; i < receipts->nowed; i++) {
        free(receipts->owed[i].list);
        free(receipts->owed[i].faults);
    }

    buf_free(&receipts->key);
    buf_free(&receipts->sql);
    buf_free(&receipts->receipt.text);
    free(receipts->owed);
    free(receipts);
}


void
receipts_open(receipts_t *receipts, int replicas)
{
    char  err[CONF_ERROR_MAX];

    receipts->replicas = replicas;

    if (producer_open(receipts->producer, err) == 0) {
        receipts_make(receipts);
    }
}


static void
receipts_make(receipts_t *receipts)
{
    int64_t  now;

    now = clock_ms();

    if (now < receipts->make) {
        return;
    }

    receipts->make = now + RECEIPTS_AGAIN;
    producer_make(receipts->producer, receipts->replicas, receipts_topic,
                  false, receipts_on_made);
}


/* Without the right to make a topic it may be there all the same. */

static void
receipts_on_made(void *data, rd_kafka_resp_err_t err, const char *reason)
{
    receipts_t  *receipts = data;

    receipts->unmade[0] = '\0';

    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        log_info("topic \"%s\" was created for receipts",
                 receipts->conf->receipts_topic);

    } else if (err != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
        snprintf(receipts->unmade, sizeof(receipts->unmade), "%s", reason);
    }
}


void
receipts_send(receipts_t *receipts, const batch_t *batch)
{
    ssize_t                     count;
    size_t                      i, n, share, topic;
    receipt_range_t             range;
    receipt_exception_t        *list;
    const receipt_exception_t  *e;

    count = receipt_exceptions(batch, &list);

    if (count == -1) {
        receipts_drop(receipts, "out of memory");
        return;
    }

    n = (size_t) count;
    e = list;
    receipts->receipt.partitions = 0;

    for (i = 0; i < batch->nranges; i++) {
        topic = batch->ranges[i].topic;

        if (topic != receipts->topic) {
            receipts_flush(receipts);
        }

        if (receipts->receipt.partitions == 0) {
            receipts_begin(receipts, topic);
        }

        receipt_range(&range, batch, (uint32_t) i, &e, &n);
        share = receipts->receipt.left / (batch->nranges - i);
        receipt_add(&receipts->receipt, &range, share);

        if (receipts->receipt.text.len >= RECEIPT_FULL) {
            receipts_flush(receipts);
        }
    }

    receipts_flush(receipts);
    free(list);
}


void
receipts_begin(receipts_t *receipts, size_t topic)
{
    const conf_t  *conf;

    conf = conf_of_topic(receipts->conf, topic);
    receipts->topic = topic;
    receipts->key.len = 0;
    buf_addf(&receipts->key, "%s/%s", conf->group, conf->topic);
    receipt_begin(&receipts->receipt, conf, offsets_cluster(receipts->offsets),
                  offsets_table(receipts->offsets, topic));
}


/* Sends the receipt that was begun. */

void
receipts_flush(receipts_t *receipts)
{
    receipt_t  *receipt;

    receipt = &receipts->receipt;

    if (receipt->partitions == 0) {
        return;
    }

    receipt->partitions = 0;

    if (receipt_end(receipt) == -1 || buf_failed(&receipts->key)) {
        receipts_drop(receipts, "out of memory");
    } else {
        receipts_produce(receipts, receipt->text.data, receipt->text.len);
    }
}


static void
receipts_produce(receipts_t *receipts, const char *text, size_t len)
{
    char                 err[CONF_ERROR_MAX];
    producer_message_t   message = { 0 };
    rd_kafka_resp_err_t  code;

    producer_renew(receipts->producer);

    if (producer_open(receipts->producer, err) == -1) {
        receipts_drop(receipts, "could not make a producer: %s", err);
        return;
    }

    message.key = receipts->key.data;
    message.key_len = receipts->key.len;
    message.value = text;
    message.value_len = len;

    code = producer_send(receipts->producer, &message);

    if (code) {
        receipts_fail(receipts, code);
    }
}


static void
receipts_on_report(void *data, uintptr_t mark, rd_kafka_resp_err_t err)
{
    receipts_t  *receipts = data;

    if (err) {
        receipts_fail(receipts, err);
        return;
    }

    receipts->figures.sent++;

    if (receipts->reason[0]
        && clock_ms() - receipts->failed >= RECEIPTS_WELL)
    {
        receipts->reason[0] = '\0';
        log_info("receipts are sent again");
    }
}


static void
receipts_fail(receipts_t *receipts, rd_kafka_resp_err_t err)
{
    const char  *topic;

    topic = receipts->conf->receipts_topic;

    switch (err) {

    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        receipts_drop(receipts, "topic \"%s\" of \"receipts.topic\" does not "
                      "exist%s%s", topic, receipts->unmade[0]
                      ? " and could not be created: " : "",
                      receipts->unmade);
        receipts_make(receipts);
        return;

    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        receipts_drop(receipts, "a receipt is too large for topic \"%s\"",
                      topic);
        return;

    default:
        receipts_drop(receipts, "could not produce to topic \"%s\": %s",
                      topic, rd_kafka_err2str(err));
    }
}


void
receipts_drop(receipts_t *receipts, const char *fmt, ...)
{
    char     reason[sizeof(receipts->reason)];
    va_list  args;

    va_start(args, fmt);
    vsnprintf(reason, sizeof(reason), fmt, args);
    va_end(args);

    receipts->figures.dropped++;
    receipts->failed = clock_ms();

    if (strcmp(reason, receipts->reason) != 0) {
        memcpy(receipts->reason, reason, sizeof(reason));
        log_limited(&receipts->limit, "receipts are dropped, records are "
                    "stored: %s", reason);
    }
}


void
receipts_drain(receipts_t *receipts, int ms)
{
    producer_flush(receipts->producer, ms);
}


const receipts_figures_t *
receipts_figures(const receipts_t *receipts)
{
    return &receipts->figures;
}


int
receipts_fd(const receipts_t *receipts)
{
    return producer_fd(receipts->producer);
}


void
receipts_poll(receipts_t *receipts)
{
    producer_poll(receipts->producer);
}
