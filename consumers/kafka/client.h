/* Clients of librdkafka as the file and the daemon configure them. */

#ifndef SLUICE_CLIENT_H
#define SLUICE_CLIENT_H


#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

#include "conf/conf.h"


/*
 * The configuration of a consumer, or of the producer for dead letters: the
 * daemon's own settings and the file's.  What a consumer reads ahead is shared
 * by the topic's "partitions"; with 0 it only asks, and logs nothing.  NULL
 * with a text in "err" (CONF_ERROR_MAX bytes).
 */
rd_kafka_conf_t *client_conf(const conf_t *conf, rd_kafka_type_t type,
    int partitions, char *err);

/*
 * Makes a client and takes "rkconf" over, NULL too: "err" then has its text
 * already.  The client's log is served with its main queue, so no callback
 * runs on a thread of librdkafka's.  NULL with a text in "err".
 */
rd_kafka_t *client_create(rd_kafka_type_t type, rd_kafka_conf_t *rkconf,
    char *err);

/* Writes to the eventfd "fd" when "queue" is no longer empty. */
void client_signal(rd_kafka_queue_t *queue, int fd);

/* Sets "changed", on a thread of librdkafka's, when metadata comes. */
void client_watch(rd_kafka_conf_t *rkconf, atomic_bool *changed);

/*
 * Whether the properties fit together, which rd_kafka_new() alone knows; no
 * broker is asked.  Returns 0, or -1 with "file:line:column: ..." in "err".
 */
int client_prove(const conf_t *conf, char *err);


#endif
