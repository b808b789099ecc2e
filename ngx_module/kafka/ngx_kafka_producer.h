/*
 * A Kafka producer inside a worker's event loop; knows no HTTP.
 *
 * Room: producers of a worker, counters; knows no HTTP.
 */

#ifndef NGX_KAFKA_PRODUCER_H
#define NGX_KAFKA_PRODUCER_H


#include "kafka/ngx_kafka_conf.h"


typedef struct ngx_kafka_producer_s  ngx_kafka_producer_t;

/* A record the producer has taken; valid until its report or abandon. */
typedef struct ngx_kafka_record_s  ngx_kafka_record_t;


typedef enum {
    NGX_KAFKA_TAKEN = 0,
    NGX_KAFKA_TOO_LARGE,
    NGX_KAFKA_QUEUE_FULL,
    NGX_KAFKA_OVERLOADED,
    NGX_KAFKA_BROKERS_DOWN,
    NGX_KAFKA_PARTITION_DOWN,
    NGX_KAFKA_TOPIC_MISSING,
    NGX_KAFKA_PARTITION_MISSING,
    NGX_KAFKA_NOT_STARTED,
    NGX_KAFKA_REFUSED
} ngx_kafka_take_e;


typedef enum {
    NGX_KAFKA_KEPT = 0,
    NGX_KAFKA_NOT_KEPT,
    NGX_KAFKA_MAYBE_KEPT
} ngx_kafka_outcome_e;


/* What a topic does not take about a record; the same one never. */
typedef enum {
    NGX_KAFKA_NO_FAULT = 0,
    NGX_KAFKA_FAULT_SIZE,
    NGX_KAFKA_FAULT_KEY,                /* it has none */
    NGX_KAFKA_FAULT_TIME,               /* its timestamp is out of bounds */
    NGX_KAFKA_FAULT_OTHER               /* only the broker knows */
} ngx_kafka_fault_e;


typedef struct {
    ngx_kafka_outcome_e  outcome;
    rd_kafka_resp_err_t  error;
    ngx_kafka_fault_e    fault;         /* of a record that is not kept */
    int32_t              partition;     /* -1: not known */
    int64_t              offset;        /* -1: not known */
    int64_t              timestamp;     /* ms since 1970, -1: not known */
    ngx_msec_t           taken;         /* when it was handed over */
} ngx_kafka_report_t;


/* Called once, on the worker's own thread. */
typedef void (*ngx_kafka_report_pt)(void *data, ngx_kafka_report_t *report);


typedef struct {
    ngx_str_t            name;          /* NUL-terminated */
    ngx_str_t            value;         /* data is NULL: null */
} ngx_kafka_header_t;


/* What the database did with a record that is kept, by its receipt. */
typedef struct {
    ngx_kafka_stored_e   stored;
    ngx_str_t            sqlstate;      /* of a dead letter: may be empty, */
    ngx_str_t            reason;        /* valid during the call */
} ngx_kafka_receipt_t;

typedef void (*ngx_kafka_receipt_pt)(void *data,
    ngx_kafka_receipt_t *receipt);

/* A kept record whose receipt is waited for. */
typedef struct ngx_kafka_wait_s  ngx_kafka_wait_t;


#define NGX_KAFKA_BAD_TIMESTAMP  -1     /* the client's is none */

typedef struct {
    ngx_uint_t           topic;         /* index in the block */
    ngx_str_t            value;         /* data is NULL: null, a tombstone */
    ngx_str_t            key;           /* data is NULL: no key */
    ngx_kafka_header_t  *headers;
    ngx_uint_t           nheaders;
    int32_t              partition;     /* -1: by the key, or any */
    int64_t              timestamp;     /* ms since 1970, 0: now, or
                                           NGX_KAFKA_BAD_TIMESTAMP */
    ngx_kafka_report_pt  handler;       /* NULL: nobody waits */
    void                *data;

    size_t               charge;        /* bytes, set by ngx_kafka_admit() */

    /* set by ngx_kafka_produce() */
    ngx_kafka_record_t  *record;        /* NULL: librdkafka refused it */
    rd_kafka_resp_err_t  error;
} ngx_kafka_message_t;


/*
 * Starts the producer of a block in this worker; a failure is logged and
 * tried again.  "drain" bounds, in ms, how long an exiting worker waits for
 * outstanding records.  Returns NULL only when memory is short.
 */
ngx_kafka_producer_t *ngx_kafka_producer_start(ngx_cycle_t *cycle,
    ngx_kafka_conf_t *kcf, ngx_msec_t drain);

/* At the end of the process: a bounded flush of all, then leaves them. */
void ngx_kafka_producers_exit(void);

/*
 * Admits the "n" records of one request, all or none, each without a fault by
 * ngx_kafka_message_fault().  What they are charged, "admitted" bytes, is then
 * theirs until they are produced, or dismissed with what is left of it.
 */
ngx_kafka_take_e ngx_kafka_admit(ngx_kafka_producer_t *kp,
    ngx_kafka_message_t *msg, ngx_uint_t n, size_t *admitted);
void ngx_kafka_dismiss(ngx_kafka_producer_t *kp, size_t *admitted);

/*
 * Takes "n" of the admitted records.  Should librdkafka refuse some, which that
 * prevents, then those with a "record" are taken and the others are
 * not; unless it returns NGX_KAFKA_TAKEN, none is.  Bytes are copied.  While a
 * message with a handler waits for its topic they are not: they must live
 * until report or abandon.  No handler is called from here.
 */
ngx_kafka_take_e ngx_kafka_produce(ngx_kafka_producer_t *kp,
    ngx_kafka_message_t *msg, ngx_uint_t n, size_t *admitted);

/*
 * Nobody waits for the record any more: its handler will not be called.
 * Returns 1 when it may still be kept, 0 when it was never handed over.
 */
ngx_uint_t ngx_kafka_abandon(ngx_kafka_record_t *rec);

/*
 * Waits for the receipt of a record of "topic" that is kept by its report.
 * The handler is called once, on the worker's own thread and never from here;
 * the wait is then over.  NULL: too many wait, so nobody will know.
 */
ngx_kafka_wait_t *ngx_kafka_wait(ngx_kafka_producer_t *kp, ngx_uint_t topic,
    ngx_kafka_report_t *report, ngx_kafka_receipt_pt handler, void *data);

/*
 * Waits no longer: the handler will not be called.  With "pending" the record
 * counts as one whose receipt did not come in time.
 */
void ngx_kafka_wait_end(ngx_kafka_wait_t *wait, ngx_uint_t pending);

/*
 * Counts "bytes" in the queue that a request holds while it waits for its
 * turn, instead of *held.  NGX_BUSY, and nothing changes, where they do not
 * fit beside those of others.
 */
ngx_int_t ngx_kafka_hold(ngx_kafka_producer_t *kp, size_t *held,
    size_t bytes);

/* Bytes of key, value and headers. */
size_t ngx_kafka_message_size(const ngx_kafka_message_t *msg);

/* The largest value taken for a topic, without key and headers, in bytes. */
size_t ngx_kafka_value_max(ngx_kafka_producer_t *kp, ngx_uint_t topic);

/*
 * What is wrong with a record, as far as its topic's configuration is known.
 * A timestamp near a bound passes: the broker's clock decides.
 */
ngx_kafka_fault_e ngx_kafka_message_fault(ngx_kafka_producer_t *kp,
    const ngx_kafka_message_t *msg);

/*
 * The id of the cluster, as brokers have told it, in "buf" of "size" bytes: its
 * length, or 0 if it is not known yet or longer.  Never asks a broker.
 */
size_t ngx_kafka_cluster_id(ngx_kafka_producer_t *kp, u_char *buf,
    size_t size);

/*
 * Seconds until what waits has drained so far that records are likely taken
 * again, at the measured rate of acknowledgements: 1 to "timeout".
 */
ngx_uint_t ngx_kafka_retry_after(ngx_kafka_producer_t *kp);

/*
 * NULL when records are taken and likely kept, else a static reason for
 * people.
 */
const char *ngx_kafka_unready(ngx_kafka_producer_t *kp);

#define NGX_KAFKA_WEAK_TEXT  512        /* bytes */

/* Why a 200 for this topic promises less than it says, for people. */
u_char *ngx_kafka_promise_text(ngx_kafka_topic_state_t *state, u_char *buf,
    size_t size);


#endif
