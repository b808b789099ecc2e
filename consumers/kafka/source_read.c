/* Reads the topic's records in order, none below the next offset. */

#include <stdio.h>

#include "base/clock.h"
#include "kafka/message.h"
#include "kafka/source_impl.h"


#define SOURCE_TURN       128    /* records of one partition, then the next */

/* bounds of what is read between two calls of source_wake() */
#define SOURCE_WAKE_MSGS   4096
#define SOURCE_WAKE_BYTES  (1024 * 1024)


static bool source_is_silent(source_t *source, source_partition_t *p);
static void source_wake(source_t *source);
static bool source_accept(source_t *source, source_partition_t *p,
    const rd_kafka_message_t *rkm);
static bool source_verify(source_t *source, source_partition_t *p,
    const rd_kafka_message_t *rkm);


rd_kafka_message_t *
source_next(source_t *source, source_partition_t **partition)
{
    size_t               tried;
    source_partition_t  *p;
    rd_kafka_message_t  *rkm;

    tried = 0;

    while (tried < source->npartitions) {

        p = &source->partitions[source->turn];

        if (!p->ready || source->turn_left == 0) {
            tried = p->ready ? 0 : tried + 1;
            source->turn = (source->turn + 1) % source->npartitions;
            source->turn_left = SOURCE_TURN;
            continue;
        }

        rkm = rd_kafka_consume_queue(p->queue, 0);

        if (rkm == NULL) {
            p->ready = false;

            if (source_is_silent(source, p)) {
                source->status.recheck = true;
                return NULL;
            }

            continue;
        }

        source->turn_left--;
        source->read_bytes += rkm->len;
        p->silent = 0;
        tried = 0;

        if (++source->read_msgs >= SOURCE_WAKE_MSGS
            || source->read_bytes >= SOURCE_WAKE_BYTES)
        {
            source_wake(source);
        }

        if (source_accept(source, p, rkm)) {
            *partition = p;
            return rkm;
        }

        rd_kafka_message_destroy(rkm);

        if (source->status.reassign || source->status.recheck
            || source->status.fault[0])
        {
            return NULL;
        }
    }

    return NULL;
}


/*
 * Within a fetch, each assignment brings a record or the partition's end.
 * librdkafka may lose an assignment without an error, so the wait is bounded.
 */

static bool
source_is_silent(source_t *source, source_partition_t *p)
{
    int64_t  now;

    if (p->silent == 0) {
        return false;
    }

    now = clock_ms();

    if (source->status.down) {
        p->silent = now;
        return false;
    }

    if (now - p->silent < source->patience) {
        return false;
    }

    log_warnx("topic \"%s\", partition %d: Kafka has sent nothing for %lld s, "
              "not even the end of the log: assigning it again",
              source_topic(source, p), p->id,
              (long long) (now - p->silent) / 1000);

    /* all partitions are assigned again: the others may only be slow */
    source->patience *= 2;
    source->status.doubt = true;

    return true;
}


/*
 * A broker's thread that found all its queues full sleeps for up to a second,
 * even if they are read meanwhile (fetch.queue.backoff.ms came with librdkafka
 * 2.2).  Setting the credentials that the client already has wakes it.
 */

static void
source_wake(source_t *source)
{
    const char        *user, *password;
    rd_kafka_error_t  *error;

    source->read_msgs = 0;
    source->read_bytes = 0;

    user = conf_property(source->conf, "sasl.username");
    password = conf_property(source->conf, "sasl.password");

    error = rd_kafka_sasl_set_credentials(source->rk, user ? user : "",
                                          password ? password : "");
    rd_kafka_error_destroy(error);
}


bool
source_pending(const source_t *source)
{
    size_t  i;

    for (i = 0; i < source->npartitions; i++) {
        if (source->partitions[i].ready) {
            return true;
        }
    }

    return false;
}


static bool
source_accept(source_t *source, source_partition_t *p,
    const rd_kafka_message_t *rkm)
{
    if (rkm->err) {
        source_message_error(source, p, rkm);
        return false;
    }

    if (p->verify && !source_verify(source, p, rkm)) {
        return false;
    }

    /*
     * librdkafka goes on to read a topic that was deleted and created again,
     * but asks for metadata first
     */
    if (atomic_load(&source->changed)) {
        source->status.recheck = true;
        return false;
    }

    if (rkm->offset < p->expected) {
        source->status.dropped++;
        log_limited(&source->drops, "topic \"%s\", partition %d: dropped a "
                    "record at offset %lld, as the next offset is %lld",
                    source_topic(source, p), p->id, (long long) rkm->offset,
                    (long long) p->expected);
        return false;
    }

    if (rkm->offset > p->expected) {
        source->status.gaps++;
    }

    return true;
}


/* True for a record to store, false for one that was stored before. */

static bool
source_verify(source_t *source, source_partition_t *p,
    const rd_kafka_message_t *rkm)
{
    int64_t  timestamp;

    if (rkm->offset < p->back) {
        return true;
    }

    timestamp = rd_kafka_message_timestamp(rkm, NULL);

    if (rkm->offset < p->expected && timestamp >= 0) {
        p->newest = timestamp > p->newest ? timestamp : p->newest;
        p->oldest = p->oldest == -1 || timestamp < p->oldest ? timestamp
                                                             : p->oldest;
    }

    if (rkm->offset < p->expected - 1) {
        return false;
    }

    p->verify = false;

    if (rkm->offset >= p->expected) {
        log_info("topic \"%s\", partition %d: the record before offset %lld "
                 "is gone, so it could not be compared with the one stored "
                 "last", source_topic(source, p), p->id,
                 (long long) p->expected);
        return true;
    }

    p->same = message_is(rkm, p->last_timestamp, p->last_crc);

    if (!p->same) {
        source->status.faulty = p->topic;
        snprintf(source->status.fault, SOURCE_REASON,
                 "topic \"%s\", partition %d: the record at offset %lld is "
                 "not the one that was stored, so the topic was created "
                 "again; its offsets %lld to %lld would be skipped "
                 "(\"offsets reset\" sets where to continue)",
                 source_topic(source, p), p->id, (long long) rkm->offset,
                 (long long) p->begin, (long long) p->stored - 1);
    }

    return false;
}
