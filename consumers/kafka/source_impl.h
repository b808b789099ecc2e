/* Inside the source: what membership and reading share. */

#ifndef SLUICE_SOURCE_IMPL_H
#define SLUICE_SOURCE_IMPL_H


#include <stdatomic.h>

#include "base/log.h"
#include "kafka/source.h"


struct source_s {
    const conf_t        *conf;
    rd_kafka_t          *rk;
    rd_kafka_queue_t    *main;
    int                  fd;
    source_partition_t  *partitions;
    size_t               npartitions;
    size_t               turn;          /* the partition being read */
    unsigned             turn_left;
    unsigned             read_msgs;     /* since source_wake() */
    size_t               read_bytes;
    int64_t              looked;        /* ms, the last look at all queues */
    int64_t              patience;      /* ms for a partition's first event */
    int64_t              committing;    /* clock_ms() of the commit on the way
                                           to Kafka, or 0 */
    source_status_t      status;
    atomic_bool          changed;       /* metadata came since the last
                                           assignment */
    log_limit_t          drops;
    log_limit_t          errors;
};


static inline const char *
source_topic(const source_t *source, const source_partition_t *p)
{
    return conf_topic(source->conf, p->topic);
}


/* librdkafka's error_cb; "opaque" is the source. */
void source_on_error(rd_kafka_t *rk, int err, const char *reason,
    void *opaque);

/* Takes an error that came as a message; "p" is NULL for the main queue's. */
void source_message_error(source_t *source, source_partition_t *p,
    const rd_kafka_message_t *rkm);


#endif
