/* Creates clients of librdkafka, configured by the file and by the daemon. */

#ifndef SLUICE_CLIENT_H
#define SLUICE_CLIENT_H


#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

#include "conf/conf.h"


/*
 * The configuration of a consumer, or of a producer: the daemon's settings and
 * the file's.  The bound of what a consumer reads ahead
 * is divided by the topic's "partitions".  0: it reads no partition, and logs
 * nothing.  NULL with a text in "err" (CONF_ERROR_MAX bytes).
 */
rd_kafka_conf_t *client_conf(const conf_t *conf, rd_kafka_type_t type,
    int partitions, char *err);

/*
 * Creates a client, which then owns "rkconf".  NULL with a text in "err"; so
 * for a "rkconf" of NULL, with the text of client_conf().  The client's log is
 * served with its main queue: no callback runs on a thread of librdkafka's.
 */
rd_kafka_t *client_create(rd_kafka_type_t type, rd_kafka_conf_t *rkconf,
    char *err);

/* Writes to the eventfd "fd" when "queue" is no longer empty. */
void client_signal(rd_kafka_queue_t *queue, int fd);

/* Sets "changed", on a thread of librdkafka's, at each metadata response. */
void client_watch(rd_kafka_conf_t *rkconf, atomic_bool *changed);

/*
 * Checks by rd_kafka_new() whether the properties fit together; no broker is
 * asked.  Returns 0, or -1 with "file:line:column: ..." in "err".
 */
int client_prove(const conf_t *conf, char *err);


#endif
