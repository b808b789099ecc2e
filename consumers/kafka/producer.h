/*
 * A producer whose delivery reports the daemon's loop takes, and the making of
 * its topic.  Nothing here waits for a broker.
 */

#ifndef SLUICE_PRODUCER_H
#define SLUICE_PRODUCER_H


#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"


typedef struct producer_s  producer_t;


/*
 * Called once for each message: 0, or why it is not known to be in the topic.
 * "mark" is the one of producer_send().
 */
typedef void (*producer_report_pt)(void *data, uintptr_t mark,
    rd_kafka_resp_err_t err);

/* Called once for producer_make(); "reason" is the broker's, "" for 0. */
typedef void (*producer_made_pt)(void *data, rd_kafka_resp_err_t err,
    const char *reason);

/* One message; a NULL key or value is null. */
typedef struct {
    const void          *key;
    size_t               key_len;
    const void          *value;
    size_t               value_len;
    rd_kafka_headers_t  *headers;    /* or NULL */
    uintptr_t            mark;
} producer_message_t;


/*
 * A producer for one topic; no broker is asked.  "settings" are properties of
 * librdkafka, names and values in turn, NULL at their end, which come after
 * those of client_conf(); NULL: none.  All but "data" must outlive it.  Returns
 * NULL when memory is short.  producer_destroy() takes NULL and drops what was
 * not sent.
 */
producer_t *producer_create(const conf_t *conf, const char *topic,
    const char *const *settings, producer_report_pt report, void *data);
void producer_destroy(producer_t *producer);

/*
 * Makes the client of librdkafka, unless there is one.  Returns -1 with a text
 * in "err" (CONF_ERROR_MAX bytes).
 */
int producer_open(producer_t *producer, char *err);

/*
 * Drops the client if a fatal error made it useless, with all that it holds;
 * each of these messages is reported.  producer_open() makes another.
 */
void producer_renew(producer_t *producer);

/*
 * Takes a message, whose key and value are copied, into an open producer.  0:
 * it will be reported and the headers are the producer's; else it is not, and
 * the headers stay the caller's.
 */
rd_kafka_resp_err_t producer_send(producer_t *producer,
    const producer_message_t *message);

/* Messages that are not reported yet. */
int producer_queued(const producer_t *producer);

/* Waits "ms" at most until they all are. */
void producer_flush(producer_t *producer, int ms);

/*
 * Asks an open producer's brokers to create the topic with one partition.
 * "config" are the topic's, as "settings" above.  "try": they only say whether
 * they would.
 */
void producer_make(producer_t *producer, int replicas,
    const char *const *config, bool try, producer_made_pt made);

/* Readable when producer_poll() has something to do. */
int producer_fd(const producer_t *producer);
void producer_poll(producer_t *producer);


#endif
