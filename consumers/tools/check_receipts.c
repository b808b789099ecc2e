/*
 * --check: whether "receipts.topic" exists or may be created, and whether it
 * may be produced to.
 */

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "kafka/producer.h"
#include "store/receipt.h"
#include "tools/check_receipts.h"


/* What the brokers answer; each is asked one thing at a time. */
typedef struct {
    bool                 done;
    rd_kafka_resp_err_t  err;
    char                 reason[256];
} check_answer_t;


static int check_topic(tool_t *tool, producer_t *producer,
    check_answer_t *answer);
static void check_wait(const tool_t *tool, producer_t *producer,
    check_answer_t *answer);
static void check_on_made(void *data, rd_kafka_resp_err_t err,
    const char *reason);
static void check_on_report(void *data, uintptr_t mark,
    rd_kafka_resp_err_t err);


int
check_receipts(tool_t *tool)
{
    int              rc;
    char             err[CONF_ERROR_MAX];
    producer_t      *producer;
    check_answer_t   answer;

    rc = -1;
    snprintf(err, sizeof(err), "out of memory");
    producer = producer_create(tool->conf, tool->conf->receipts_topic, NULL,
                               check_on_report, &answer);

    if (producer == NULL || producer_open(producer, err) == -1) {
        tool_failed(tool, "could not make a producer: %s", err);
    } else {
        rc = check_topic(tool, producer, &answer);
    }

    producer_destroy(producer);

    return rc;
}


/* Whether it could be made, or takes a receipt, which tells of no record. */

static int
check_topic(tool_t *tool, producer_t *producer, check_answer_t *answer)
{
    int                  rc;
    char                 unmade[sizeof(answer->reason)];
    receipt_t            receipt = { 0 };
    const char          *topic;
    producer_message_t   message = { 0 };

    topic = tool->conf->receipts_topic;

    memset(answer, 0, sizeof(check_answer_t));
    producer_make(producer, tool->log->replicas, NULL, true, check_on_made);
    check_wait(tool, producer, answer);

    if (answer->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        printf("receipts       topic \"%s\" would be created\n", topic);
        return 0;
    }

    memcpy(unmade, answer->reason, sizeof(unmade));
    receipt_begin(&receipt, tool->conf, tool->log->cluster,
                  tool->conf->table);
    rc = receipt_end(&receipt);

    message.value = receipt.text.data;
    message.value_len = receipt.text.len;

    memset(answer, 0, sizeof(check_answer_t));
    answer->err = rc == -1 ? RD_KAFKA_RESP_ERR__FAIL
                           : producer_send(producer, &message);

    if (answer->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        check_wait(tool, producer, answer);
    }

    buf_free(&receipt.text);

    if (answer->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        printf("receipts       topic \"%s\" took an empty one\n", topic);
        return 0;
    }

    return tool_failed(tool, "topic \"%s\" takes no receipt: %s; it could not "
                       "be created either: %s", topic,
                       rd_kafka_err2str(answer->err), unmade);
}


static void
check_wait(const tool_t *tool, producer_t *producer, check_answer_t *answer)
{
    int64_t        end;
    struct pollfd  fd;

    end = clock_ms() + tool->patience;
    fd.fd = producer_fd(producer);
    fd.events = POLLIN;

    while (!answer->done && clock_ms() < end) {
        (void) poll(&fd, 1, 1000);
        producer_poll(producer);
    }

    if (!answer->done) {
        answer->err = RD_KAFKA_RESP_ERR__TIMED_OUT;
        snprintf(answer->reason, sizeof(answer->reason),
                 "no answer in time");
    }
}


static void
check_on_made(void *data, rd_kafka_resp_err_t err, const char *reason)
{
    check_answer_t  *answer = data;

    answer->done = true;
    answer->err = err;
    snprintf(answer->reason, sizeof(answer->reason), "%s", reason);
}


static void
check_on_report(void *data, uintptr_t mark, rd_kafka_resp_err_t err)
{
    check_answer_t  *answer = data;

    answer->done = true;
    answer->err = err;
}
