/*
 * The topics as a member of the group reads them: assignments, records in
 * order.
 *
 * Room: the Kafka client: group, partitions, records, look-ups.
 */

#ifndef SLUICE_SOURCE_H
#define SLUICE_SOURCE_H


#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"


#define SOURCE_REASON  512
#define SOURCE_BACK    256


typedef struct source_s  source_t;


/* One assigned partition. */
typedef struct {
    int32_t            id;
    uint16_t           topic;       /* by the configuration's order */
    bool               held;        /* not read: its topic has a fault */
    rd_kafka_queue_t  *queue;
    bool               ready;       /* its queue may hold something */

    /* from PostgreSQL, when it was claimed */
    int64_t            stored;      /* next_offset, kept up with commits */
    int64_t            told;        /* next_offset as committed to Kafka */
    int64_t            epoch;
    int64_t            run;         /* first offset of the run that ends at
                                       "stored", or "stored" */
    bool               has_last;    /* the record before "stored" is known */
    int64_t            last_timestamp;
    uint32_t           last_crc;

    int64_t            begin;       /* first offset of the log */
    int64_t            end;         /* offset behind it, as of the claim */
    int64_t            expected;    /* the next offset to read */
    int64_t            eof;         /* where the log's end was read, or -1 */
    bool               past;        /* a replay's end was read */
    bool               verify;      /* the record before "stored" comes first
                                       and is compared */
    bool               same;        /* it was, and is the one that was stored */
    int64_t            back;        /* where reading began: at that record, or
                                       before it for a receipt */
    int64_t            oldest;      /* least and greatest timestamp of what was
                                       read from there to "stored"; -1: none */
    int64_t            newest;
    int64_t            silent;      /* clock_ms() of an assignment without an
                                       event so far; 0: one came */
    int                range;       /* in the batch being filled, or -1 */
} source_partition_t;


/* What the loop reads after source_poll() and source_next(). */
typedef struct {
    uint64_t   generation;          /* counts assignments and revocations */
    bool       reassign;            /* a partition failed: claim all again */
    bool       recheck;             /* store what was read, then call
                                       source_assign() */
    bool       down;                /* no broker can be reached */
    bool       doubt;               /* a broker cannot be reached; perhaps
                                       none can */
    char       fault[SOURCE_REASON];    /* why a topic cannot be read: it is
                                           not the one that was stored; or "" */
    uint16_t   faulty;              /* that topic */
    uint64_t   dropped;             /* records below "expected" */
    uint64_t   gaps;
    uint64_t   rebalances;
    char       fatal[SOURCE_REASON];    /* why the client cannot go on, or
                                           "" */
} source_status_t;


/*
 * Joins the group.  "conf" must outlive the source; see client_conf() for
 * "partitions".  NULL with a text in "err" (CONF_ERROR_MAX bytes).
 */
source_t *source_create(const conf_t *conf, int partitions, char *err);
void source_destroy(source_t *source);

/* Both stay the source's. */
rd_kafka_t *source_handle(source_t *source);
source_status_t *source_status(source_t *source);

/* Notes that no broker can be reached, and logs it the first time. */
void source_down(source_t *source, const char *reason);

/* Readable when a queue has an event. */
int source_fd(const source_t *source);

/* Serves the main queue: rebalances, errors, the log. */
void source_poll(source_t *source);

/*
 * The partitions of this member, or those of a topic, in the order of topics
 * and numbers; none between revocation and assignment.
 */
source_partition_t *source_partitions(source_t *source, size_t *n);
source_partition_t *source_topic_partitions(source_t *source, size_t topic,
    size_t *n);

/* From the next source_assign() on a topic is not read, or is read again. */
void source_hold(source_t *source, size_t topic, bool held);

/*
 * Begins to read each partition at its "stored" offset, or one record before
 * it, which is compared; with receipts up to SOURCE_BACK records before it, for
 * their timestamps.  Drops what was read ahead.  To be called after a
 * claim, and after "recheck": the topic may have been created again.
 */
void source_assign(source_t *source);
/* Stops reading until source_assign(); the membership stays. */
void source_unassign(source_t *source);

/*
 * The next record in order, to be destroyed by the caller, with its
 * partition, whose "expected" is the caller's to advance; NULL: none now.
 */
rd_kafka_message_t *source_next(source_t *source,
    source_partition_t **partition);

/* Whether a queue may hold more for source_next(). */
bool source_pending(const source_t *source);

/*
 * Commits the "stored" offsets to Kafka where they have changed.  Sluice never
 * reads them back; operators' tools do.
 */
void source_commit(source_t *source);

/*
 * Leaves the group; source_closed() once that is done.  Returns -1 when there
 * is no group to leave.
 */
int source_close(source_t *source);
bool source_closed(source_t *source);


#endif
