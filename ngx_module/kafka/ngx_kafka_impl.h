/*
 * A producer from the inside: its clients and its records.  Units of this
 * room stand here bottom up; each uses only what is above it in this file.
 */

#ifndef NGX_KAFKA_IMPL_H
#define NGX_KAFKA_IMPL_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <pthread.h>
#include "kafka/ngx_kafka_producer.h"


#define NGX_KAFKA_ERRSTR         512     /* bytes of a reason */

#define NGX_KAFKA_RECORD_COST    320     /* bytes: a message, its place in
                                            queues, the allocator's part */
#define NGX_KAFKA_HEADERS_COST   128     /* bytes, where there are any */
#define NGX_KAFKA_HEADER_COST    80      /* bytes, of each */
#define NGX_KAFKA_LEAVING        4       /* clients being destroyed at once */
#define NGX_KAFKA_RESTART_WAIT   1000    /* ms, between two tries to start */


typedef struct ngx_kafka_client_s  ngx_kafka_client_t;

/* A client that a thread starts. */
typedef struct ngx_kafka_birth_s  ngx_kafka_birth_t;

/* What reads the topic of receipts. */
typedef struct ngx_kafka_reader_s  ngx_kafka_reader_t;


/* What a client is for. */
typedef enum {
    NGX_KAFKA_CLIENT_ALL = 0,           /* records, in batches */
    NGX_KAFKA_CLIENT_ALONE,             /* a record a batch, one batch in
                                           flight a broker */
    NGX_KAFKA_CLIENT_PROMPT,            /* records that are sent at once */
    NGX_KAFKA_CLIENT_READER             /* a consumer: it reads receipts */
} ngx_kafka_client_e;


/* What a client calls, always on the worker's own thread. */
typedef struct {
    /* its queues hold something, or the worker begins to close */
    void                 (*wake)(ngx_kafka_client_t *client,
                               ngx_uint_t closing);
    /* the answer to an admin request, which the client destroys then */
    void                 (*event)(ngx_kafka_client_t *client,
                               rd_kafka_event_t *event);
    /* what became of a record */
    void                 (*report)(ngx_kafka_client_t *client,
                               const rd_kafka_message_t *rkm);
    /* librdkafka's statistics, JSON, which may be changed */
    void                 (*statistics)(ngx_kafka_client_t *client,
                               char *json, size_t len);
} ngx_kafka_client_calls_t;


/* How librdkafka spreads the records of a topic over its partitions. */
typedef struct {
    int32_t              (*partitioner)(const rd_kafka_topic_t *rkt,
                               const void *key, size_t len, int32_t n,
                               void *opaque, void *record);
    ngx_uint_t             any;         /* a record without a key: anywhere */
    int32_t                count;       /* partitions, 0: not known; atomic */
    int32_t                sticky;      /* where those go for "linger" ms */
    ngx_msec_t             since;
    ngx_msec_t             linger;
} ngx_kafka_spread_t;


/* What threads of ours may know of a client; the last one frees it. */
typedef struct {
    rd_kafka_t            *rk;
    pthread_t              thread;      /* while looking */
    ngx_uint_t             looking;     /* unsigned  looking:1; */
    ngx_uint_t             seen;        /* by the thread, set last */
    const struct rd_kafka_metadata  *metadata;  /* NULL: failed */
    char                  *cluster;     /* its id, a reader's; NULL: not
                                           known */
    rd_kafka_topic_t      *receipts;    /* that a reader reads, or NULL */
    int32_t                reading;     /* partitions of it */
    int64_t                since;       /* ms since 1970: to read from there */
    rd_kafka_topic_partition_list_t  *starts;   /* offsets of that time, NULL:
                                           not known yet */
    uint64_t               sent;        /* ms, when the last Produce request
                                           was; atomic, 0: none was */
    ngx_kafka_spread_t     spread[1];   /* of each topic */
} ngx_kafka_handle_t;


/* One rd_kafka_t. */
struct ngx_kafka_client_s {
    ngx_queue_t            queue;       /* producer->clients */
    ngx_kafka_producer_t  *producer;
    const ngx_kafka_client_calls_t  *calls;
    rd_kafka_t            *rk;          /* also handle->rk */
    ngx_kafka_handle_t    *handle;
    rd_kafka_queue_t      *main;
    rd_kafka_queue_t      *admin;
    ngx_connection_t      *connection;  /* of the eventfd or pipe */
    int                    writer;      /* what librdkafka writes to */
    rd_kafka_topic_t     **topics;      /* NULL until the topic exists */
    ngx_queue_t            records;     /* outstanding, oldest first */
    ngx_queue_t            stuck;       /* likewise, of stalled lanes */
    ngx_uint_t             n;           /* records in both */
    size_t                 batch;       /* bytes of its largest */
    ngx_msec_t             heard;       /* time of the last report */
    ngx_msec_t             deadline;    /* of a retiring client */
    time_t                 log_second;
    ngx_uint_t             log_warnings;    /* lines in that second */
    ngx_uint_t             log_notices;
    ngx_uint_t             log_held;
    ngx_uint_t             turn;        /* reports it may still take, 0: all */
    ngx_uint_t             missed;      /* statistics without a connection */
    unsigned               alone:1;     /* the side client: a record a batch */
    unsigned               prompt:1;    /* the one that does not linger */
    unsigned               reader:1;    /* no producer: in no list */
    unsigned               ready:1;     /* can produce at once */
    unsigned               fatal:1;     /* until a successor is there, what
                                           it would take is parked */
    unsigned               ending:1;    /* a successor is awaited: */
    ngx_kafka_rebuilt_e    reason;
    unsigned               retiring:1;
    unsigned               patient:1;   /* not purged while "records" go on */
    unsigned               purged:1;
    unsigned               seen_up:1;   /* was connected once */
    unsigned               up:1;        /* some broker is, by statistics */
    unsigned               asking:1;    /* a topic creation is under way */
    unsigned               describing:1;    /* a look at rules is */
};


struct ngx_kafka_record_s {
    ngx_queue_t            queue;
    ngx_kafka_producer_t  *producer;
    ngx_kafka_message_t    msg;         /* its bytes only while parked */
    void                  *copy;        /* of them, owned, or NULL */
    ngx_msec_t             taken;       /* when it was parked, or handed over
                                           to librdkafka */
    int32_t                partition;   /* -1: not known yet; atomic */
    unsigned               parked:1;
    unsigned               behind:1;    /* likewise, till the prompt client
                                           has room */
    unsigned               answered:1;  /* its client has 202 already */
    unsigned               apart:1;     /* in the side client: */
    unsigned               again:1;     /* refused once with its batch */
    ngx_uint_t             probe;       /* or asks for this lane, + 1 */
};


/* A partition as this worker's records find it. */
typedef struct {
    ngx_msec_t             heard;       /* last answer of a broker, 0: none */
    ngx_msec_t             wait;        /* until then none passes */
    ngx_uint_t             probes;      /* under way */
    int32_t                broker;      /* which kept the last, -1: none */
    unsigned               stalled:1;   /* silent, while others are not */
} ngx_kafka_lane_t;


/* Those of a topic. */
typedef struct {
    ngx_kafka_lane_t      *lane;        /* of partition n: n + 1; 0: of records
                                           whose partition is not known */
    uint32_t               nlanes;
    uint32_t               stalled;     /* how many are */
    ngx_uint_t             records;     /* outstanding and parked */
    int32_t                count;       /* partitions, 0: not known */
    size_t                 value_max;   /* bytes, by the two limits: */
    size_t                 limit;       /* of the topic */
    size_t                 largest;     /* of the client */
} ngx_kafka_lanes_t;


/* A client beside the one that gathers. */
typedef struct {
    ngx_kafka_client_t    *client;      /* NULL: there is none */
    ngx_kafka_birth_t     *birth;       /* of one, or NULL */
    ngx_msec_t             start;       /* when the next may be started */
} ngx_kafka_extra_t;


/* What waits for receipts, and what receipts said a moment ago. */
typedef struct {
    ngx_rbtree_t           shelves;     /* ngx_kafka_shelf_t */
    ngx_rbtree_node_t      sentinel;
    ngx_queue_t            answered;    /* waits, in the order of answers */
    ngx_queue_t            ranges;      /* remembered, oldest first */
    size_t                 bytes;       /* of those */
    ngx_uint_t             waits;       /* answered ones too */
    ngx_event_t            event;       /* the next turn of answers */
} ngx_kafka_stored_t;


struct ngx_kafka_producer_s {
    ngx_kafka_conf_t      *conf;
    ngx_log_t             *log;
    ngx_kafka_reader_t    *reader;      /* NULL: no location needs it */
    ngx_kafka_stored_t     stored;
    ngx_kafka_client_t    *client;      /* NULL while it cannot start */
    ngx_kafka_client_t    *next;        /* will follow it, or NULL */
    ngx_kafka_extra_t      side;        /* for what must go alone */
    ngx_kafka_extra_t      prompt;      /* for few records */
    ngx_kafka_birth_t     *birth;       /* of a successor, or NULL */
    ngx_queue_t            clients;     /* those, and retiring ones */
    ngx_kafka_lanes_t     *lanes;       /* of each topic */
    ngx_uint_t             stalls;      /* lanes that are stalled */
    ngx_uint_t             again;       /* records under way once more */
    ngx_queue_t            parked;      /* records that wait for a topic */
    ngx_queue_t            queue;       /* all producers of the worker */
    size_t                 charged;     /* bytes */
    size_t                 idle;        /* bytes of those, parked */
    size_t                 held;        /* bytes of bodies that are read */
    size_t                 limit;       /* bytes of the largest record */
    ngx_uint_t             records;     /* outstanding and parked */
    ngx_uint_t             answered;    /* of those: answered already */
    ngx_uint_t             behind;      /* and parked for the prompt client */
    ngx_msec_t             calm;        /* until then none goes by the prompt
                                           client */
    size_t                 sample;      /* bytes kept since "measured" */
    ngx_msec_t             measured;    /* when this window of the rate began:
                                           the last ended, or records began
                                           to wait */
    uint64_t               previous;    /* bytes/s of the last window, 0: not
                                           the brokers' */
    uint64_t               rate;        /* bytes/s that brokers keep, 0: not
                                           known */
    ngx_event_t            tick;
    ngx_event_t            drain;
    ngx_msec_t             drain_timeout;
    ngx_msec_t             acked;       /* when a record was kept, 0: none */
    ngx_msec_t             lively;      /* when the last silence ended */
    ngx_msec_t             probe;       /* when the next may pass */
    ngx_msec_t             start;       /* when to try again */
    ngx_msec_t             create;      /* likewise */
    ngx_msec_t             create_wait; /* back-off, ms */
    unsigned               down:1;      /* as last logged */
    unsigned               fresh:1;     /* a record was taken and kept within
                                           the window */
    unsigned               stalled:1;   /* taken, but not acknowledged */
    unsigned               drained:1;   /* drain timeout is over */
    unsigned               prompts:1;   /* "linger.ms" is not set */
};


/* ngx_kafka_look.c: metadata, by a call that blocks, from a thread */

/*
 * Begins to look: at the topic that a reader reads, and once for the offsets
 * to read from; else at all topics.
 */
void ngx_kafka_look(ngx_kafka_client_t *client);

/* Whether the thread is done; only then handle->metadata is set. */
#define ngx_kafka_looked(handle)                                              \
    ((handle)->looking && __atomic_load_n(&(handle)->seen, __ATOMIC_ACQUIRE))

/* Waits for the thread, if there is one, and frees the metadata. */
void ngx_kafka_look_end(ngx_kafka_handle_t *handle);


/* ngx_kafka_promise.c: what topics are like, and whether a 200 holds */

/* Asks for metadata that is not known, or old; takes what has come. */
void ngx_kafka_promise_serve(ngx_kafka_client_t *client);

/* Whether a topic is known to have fewer partitions than declared. */
ngx_uint_t ngx_kafka_promise_lacks(ngx_kafka_conf_t *kcf, ngx_uint_t topic);

/* Logs where a topic's configuration has become weaker than the promise. */
void ngx_kafka_promise_judge(ngx_kafka_producer_t *kp, ngx_uint_t topic);


/* ngx_kafka_destroy.c: rd_kafka_destroy(), which blocks, on a helper thread */

/* Takes the handle over.  It may be destroyed after this returned. */
void ngx_kafka_destroy(ngx_kafka_handle_t *handle, ngx_log_t *log);

/* Helper threads that are not done. */
ngx_uint_t ngx_kafka_destroying(void);

/* Waits, ms, until there is none, else makes the process end by _exit(). */
void ngx_kafka_destroy_wait(ngx_msec_t timeout);


/* ngx_kafka_client.c: one rd_kafka_t and its eventfd */

/*
 * Starts a client of the producer, with batches of at most "batch" bytes, 0:
 * librdkafka's own.  NULL: logged.
 */
ngx_kafka_client_t *ngx_kafka_client_start(ngx_kafka_producer_t *kp,
    const ngx_kafka_client_calls_t *calls, ngx_kafka_client_e kind,
    size_t batch);

/* Whether it has no outstanding record. */
#define ngx_kafka_client_idle(client)                                         \
    (ngx_queue_empty(&(client)->records) && ngx_queue_empty(&(client)->stuck))

/* How old, ms, the oldest record of a client's queue is; 0: it is empty. */
ngx_msec_t ngx_kafka_client_age(ngx_queue_t *records);

/*
 * The same in three steps: all but rd_kafka_new(), that call, which any thread
 * may make, and the rest.  make and take return NULL after a failure that is
 * logged; take frees the client and its configuration then.
 */
ngx_kafka_client_t *ngx_kafka_client_make(ngx_kafka_producer_t *kp,
    const ngx_kafka_client_calls_t *calls, ngx_kafka_client_e kind,
    size_t batch, rd_kafka_conf_t **conf);
rd_kafka_t *ngx_kafka_client_threads(rd_kafka_conf_t *conf,
    rd_kafka_type_t type, char *errstr, size_t size);
ngx_kafka_client_t *ngx_kafka_client_take(ngx_kafka_client_t *client,
    rd_kafka_conf_t *conf, rd_kafka_t *rk, const char *errstr);

/* Calls back for what waits in the client's queues. */
void ngx_kafka_client_poll(ngx_kafka_client_t *client);

/* The client is also woken by another queue; until that is destroyed. */
void ngx_kafka_client_watch(ngx_kafka_client_t *client,
    rd_kafka_queue_t *queue);

/* Wakes the client once more, in the next turn of the loop. */
#define ngx_kafka_client_again(client)                                        \
    ngx_post_event((client)->connection->read, &ngx_posted_next_events)

/* Gives the client to a helper thread that destroys it. */
void ngx_kafka_client_free(ngx_kafka_client_t *client);


/* ngx_kafka_birth.c: clients that a thread starts */

/*
 * Starts one on a thread: rd_kafka_new() may read CA certificates for tens of
 * milliseconds.  NULL: logged.
 */
ngx_kafka_birth_t *ngx_kafka_birth_begin(ngx_kafka_producer_t *kp,
    const ngx_kafka_client_calls_t *calls, ngx_kafka_client_e kind,
    size_t batch);

/*
 * The client that was begun, and *birth is NULL again; NULL: not yet, or none
 * was, or it failed, which is logged.  With "wait" it is never not yet.
 */
ngx_kafka_client_t *ngx_kafka_birth_take(ngx_kafka_birth_t **birth,
    ngx_uint_t wait);

/*
 * The extra client, which a thread starts if there is none, not more than one
 * a second.  NULL: not yet, or it could not be.  With "wait" it is never not
 * yet.
 */
ngx_kafka_client_t *ngx_kafka_birth_extra(ngx_kafka_producer_t *kp,
    ngx_kafka_extra_t *extra, ngx_kafka_client_e kind, ngx_uint_t wait);


/* ngx_kafka_statistics.c */

/* What librdkafka's statistics tell: connections, brokers. */
void ngx_kafka_statistics(ngx_kafka_client_t *client, char *json, size_t len);


/* ngx_kafka_spread.c: which partition librdkafka chooses, and who knows it */

/* Sets the partitioner of a topic, which tells the record its partition. */
void ngx_kafka_spread_set(ngx_kafka_client_t *client, ngx_uint_t topic,
    rd_kafka_topic_conf_t *tconf);

/* The partition of a record with this key, or -1: any, or not known. */
int32_t ngx_kafka_spread_find(ngx_kafka_client_t *client, ngx_uint_t topic,
    ngx_str_t *key);


/* ngx_kafka_topic.c: topics that exist, or are created */

/*
 * What creates a topic as it is declared, NULL: logged; and the request, which
 * takes "n" of those over.  The answer comes to the client's admin queue.
 */
rd_kafka_NewTopic_t *ngx_kafka_topic_new(ngx_kafka_client_t *client,
    ngx_kafka_topic_conf_t *topic);
void ngx_kafka_topics_request(ngx_kafka_client_t *client,
    rd_kafka_NewTopic_t **list, size_t n);

/* Logs why a topic was not created, with the way out. */
void ngx_kafka_topic_failed(ngx_kafka_client_t *client, ngx_str_t *name,
    const rd_kafka_topic_result_t *result);

/* Gives the client a handle of a topic that exists. */
ngx_int_t ngx_kafka_topic_use(ngx_kafka_client_t *client, ngx_uint_t topic);

/*
 * Asks for the creation of topics that do not exist.  Returns how many
 * handles were made of topics that do: their parked records can go.
 */
ngx_uint_t ngx_kafka_topics_serve(ngx_kafka_client_t *client);

/* NGX_OK when topics were created or refused: they can be served again. */
ngx_int_t ngx_kafka_topics_event(ngx_kafka_client_t *client,
    rd_kafka_event_t *event);
ngx_uint_t ngx_kafka_topics_waiting(ngx_kafka_client_t *client);


/* ngx_kafka_record.c: size and memory of records, what they are charged */

/* A record of the message, which is not charged yet; NULL without memory. */
ngx_kafka_record_t *ngx_kafka_record_get(ngx_kafka_producer_t *kp,
    ngx_kafka_message_t *msg);

/*
 * Bytes charged for a message above its own: what librdkafka holds beside key
 * and value, as measured with small records.
 */
#define ngx_kafka_record_overhead(msg)                                        \
    (NGX_KAFKA_RECORD_COST                                                    \
     + ((msg)->nheaders ? NGX_KAFKA_HEADERS_COST                              \
                          + (msg)->nheaders * NGX_KAFKA_HEADER_COST : 0))

/*
 * Whether a record fits alone into what its topic takes: max.message.bytes,
 * where it is known, and message.max.bytes.
 */
ngx_uint_t ngx_kafka_message_fits(ngx_kafka_producer_t *kp,
    const ngx_kafka_message_t *msg);

/* Copies what a record points to, which its request frees. */
ngx_int_t ngx_kafka_record_keep(ngx_kafka_record_t *rec, ngx_log_t *log);

/* A record that was admitted is taken: it counts until it is released. */
void ngx_kafka_record_charge(ngx_kafka_record_t *rec);

/* Removes a charged record from its queue, and frees it. */
void ngx_kafka_record_release(ngx_kafka_record_t *rec);

/* Frees one that was not charged. */
void ngx_kafka_record_free(ngx_kafka_record_t *rec);

/* Lets an exiting worker wait for outstanding records. */
void ngx_kafka_records_drain(ngx_kafka_producer_t *kp);


/* ngx_kafka_error.c: what an error of Kafka's says of a record */

typedef enum {
    NGX_KAFKA_ERROR_UNSURE = 0,     /* nothing: it may have been kept */
    NGX_KAFKA_ERROR_RECORD,         /* its batch was not kept: a record of it
                                       is at fault, this one or another */
    NGX_KAFKA_ERROR_BATCH,          /* its batch was not kept, and this record
                                       is not at fault: it may be sent again */
    NGX_KAFKA_ERROR_TOPIC           /* not kept: what is wrong is wrong with
                                       all records of the topic */
} ngx_kafka_error_e;

/* Any error: one that is not in the table is unsure. */
ngx_kafka_error_e ngx_kafka_error(rd_kafka_resp_err_t err);


/* ngx_kafka_rules.c: what topics take, as their configuration says */

/* The smallest known max.message.bytes of a block's topics, or 0. */
size_t ngx_kafka_rules_smallest(ngx_kafka_conf_t *kcf);

/* Asks for rules that are not known, old, or were found to be wrong. */
void ngx_kafka_rules_serve(ngx_kafka_client_t *client);
void ngx_kafka_rules_event(ngx_kafka_client_t *client,
    rd_kafka_event_t *event);

/* A broker refused a record, or its batch, that had been taken. */
void ngx_kafka_rules_refused(ngx_kafka_client_t *client, ngx_uint_t topic);

/*
 * What is wrong with a record whose batch a broker refused by "err": what the
 * rules say, and the error too if the record was "alone" in its batch.
 * NGX_KAFKA_NO_FAULT: nothing that is known, or that its client could mend.
 * Reads no bytes of the message.
 */
ngx_kafka_fault_e ngx_kafka_rules_fault(ngx_kafka_producer_t *kp,
    const ngx_kafka_message_t *msg, rd_kafka_resp_err_t err,
    ngx_uint_t alone);

/*
 * Whether a client makes larger batches than some topic takes, so that one
 * with smaller ones should be started now.
 */
ngx_uint_t ngx_kafka_rules_outgrown(ngx_kafka_client_t *client);


/* ngx_kafka_lane.c: partitions that do not acknowledge while others do */

/*
 * Where a record of a topic with stalled lanes goes: the partition of its key,
 * one that is not stalled if it may go anywhere, or -1 where librdkafka is to
 * choose.  The same within one turn of the loop.
 */
int32_t ngx_kafka_lane_choose(ngx_kafka_producer_t *kp,
    ngx_kafka_message_t *msg);

/* Whether records to this partition wait for it; with -1: of the topic. */
ngx_uint_t ngx_kafka_lane_stalled(ngx_kafka_producer_t *kp, ngx_uint_t topic,
    int32_t partition);

/* Whether such a record is refused: another one asks already. */
ngx_uint_t ngx_kafka_lane_closed(ngx_kafka_producer_t *kp,
    ngx_kafka_message_t *msg);

/* The record of a stalled lane is the one that asks. */
void ngx_kafka_lane_probe(ngx_kafka_record_t *rec);

/* A probe has ended. */
void ngx_kafka_lane_probed(ngx_kafka_record_t *rec);

/* A broker kept the record ("kept"), or said why not: the lane goes on. */
void ngx_kafka_lane_heard(ngx_kafka_record_t *rec,
    const rd_kafka_message_t *rkm, ngx_uint_t kept);

/* Whether the lane was heard in this turn, as most: reports come in batches. */
#define ngx_kafka_lane_fresh(lanes, partition)                                \
    ((ngx_uint_t) ((partition) + 1) < (lanes)->nlanes                         \
     && (lanes)->lane[(partition) + 1].heard == ngx_current_msec              \
     && (lanes)->stalled == 0)

/* Whether another broker kept this partition's last record than now answers. */
ngx_uint_t ngx_kafka_lane_moved(ngx_kafka_record_t *rec,
    const rd_kafka_message_t *rkm);

/* Whether some record was kept within half of "timeout". */
ngx_uint_t ngx_kafka_lanes_lively(ngx_kafka_producer_t *kp);

/*
 * Finds lanes that are silent while others are not, and moves records of
 * stalled lanes to client->stuck.
 */
void ngx_kafka_lanes_watch(ngx_kafka_client_t *client);


/* ngx_kafka_health.c: whether records are likely to be kept */

ngx_uint_t ngx_kafka_producer_down(ngx_kafka_producer_t *kp);

/* Whether records come faster than they are acknowledged. */
ngx_uint_t ngx_kafka_producer_overloaded(ngx_kafka_producer_t *kp);

/* Measures the rate by a record that was kept. */
void ngx_kafka_producer_measure(ngx_kafka_producer_t *kp,
    ngx_kafka_record_t *rec);

/*
 * Whether a record may pass though brokers are down: one each 200 ms, and one
 * of each topic that has none outstanding where others have.
 */
ngx_uint_t ngx_kafka_producer_probe(ngx_kafka_producer_t *kp,
    ngx_uint_t topic);

/* Logs a change between up and down. */
void ngx_kafka_producer_note(ngx_kafka_producer_t *kp);


/* ngx_kafka_report.c: what became of a record */

/* A delivery report of librdkafka. */
void ngx_kafka_report(ngx_kafka_client_t *client,
    const rd_kafka_message_t *rkm);

/* Counts and ends a record, calls its handler. */
void ngx_kafka_report_record(ngx_kafka_client_t *client,
    ngx_kafka_record_t *rec, ngx_kafka_report_t *report);

/* From now on no request hears of its records. */
void ngx_kafka_reports_silence(void);


/* ngx_kafka_side.c: the client of records that must go alone */

/*
 * Produces a record once more, alone, that a broker refused with its whole
 * batch.  NGX_OK: its report is still to come.  NGX_DECLINED: this one counts.
 */
ngx_int_t ngx_kafka_side_again(ngx_kafka_client_t *client,
    const rd_kafka_message_t *rkm);


/* ngx_kafka_prompt.c: the client of few records */

/*
 * The client that takes the "n" messages of a request: the prompt one, or the
 * one that gathers.
 */
ngx_kafka_client_t *ngx_kafka_prompt(ngx_kafka_producer_t *kp,
    ngx_kafka_message_t *msg, ngx_uint_t n);

/*
 * The prompt client if it sends at once, else NULL: it is not there yet, or a
 * broker is late with its records, for one partition or all.
 */
ngx_kafka_client_t *ngx_kafka_prompt_client(ngx_kafka_producer_t *kp);

/*
 * Whether records had better wait for reports of it.  librdkafka's thread
 * spins while five records of a partition are under way and more wait.
 */
#define ngx_kafka_prompt_full(prompt)  ((prompt)->n >= 5)


/* ngx_kafka_receipt.c: a receipt of the daemon, from JSON to ranges */

/* A run of offsets that are no rows. */
typedef struct {
    int64_t                offset;
    int64_t                end;         /* behind the last */
    uint32_t               text;        /* bytes into the range's texts: */
    uint8_t                sqlstate;    /* bytes of one, */
    uint8_t                reason;      /* and of the other */
    uint8_t                stored;      /* ngx_kafka_stored_e */
} ngx_kafka_exception_t;


typedef struct ngx_kafka_shelf_s  ngx_kafka_shelf_t;

/* What became of the records of one partition from "first" up to "next". */
typedef struct {
    ngx_queue_t            queue;       /* of all, or of those just read */
    ngx_queue_t            place;       /* of its shelf, while remembered */
    ngx_kafka_shelf_t     *shelf;
    ngx_uint_t             topic;
    int32_t                partition;
    int64_t                first;
    int64_t                next;
    int64_t                known;       /* from here on nothing is said */
    int64_t                oldest;      /* timestamps of its records, */
    int64_t                newest;      /* ms since 1970 */
    ngx_msec_t             arrived;
    size_t                 size;        /* bytes of it all */
    u_char                *texts;
    ngx_uint_t             n;
    ngx_kafka_exception_t  exceptions[1];   /* in order, apart */
} ngx_kafka_range_t;


/*
 * Adds the ranges of a receipt to a queue, each allocated for itself.
 * "cluster" is this cluster's id, or NULL.  NGX_DECLINED: it is of another
 * cluster, group or topic; NGX_ERROR: it cannot be read; both add none.  The
 * document is the caller's, for the next.
 */
ngx_int_t ngx_kafka_receipt_read(ngx_kafka_conf_t *kcf, const char *cluster,
    json_doc_t *doc, const char *text, size_t len, ngx_queue_t *ranges);

/* What a range says of an offset in it.  Texts stay the range's. */
void ngx_kafka_receipt_find(ngx_kafka_range_t *range, int64_t offset,
    ngx_kafka_receipt_t *receipt);


/* ngx_kafka_stored.c: records that wait for their receipt */

void ngx_kafka_stored_init(ngx_kafka_producer_t *kp);

/* Answers what waits for ranges that have just arrived; takes them over. */
void ngx_kafka_stored_take(ngx_kafka_producer_t *kp, ngx_queue_t *ranges);

/* Forgets ranges that are too old for a report, or "all". */
void ngx_kafka_stored_expire(ngx_kafka_producer_t *kp, ngx_uint_t all);


/* ngx_kafka_reader.c: reads the topic of receipts */

/* Sets kp->reader where a location needs it; NGX_ERROR without memory. */
ngx_int_t ngx_kafka_reader_start(ngx_kafka_producer_t *kp, ngx_pool_t *pool);

/* Starts its client, looks at the topic, reads; again and again. */
void ngx_kafka_reader_serve(ngx_kafka_producer_t *kp);

/* The end of the process. */
void ngx_kafka_reader_end(ngx_kafka_producer_t *kp);


/* ngx_kafka_produce.c: records taken, handed over, parked for their topic */

/*
 * Produces what was parked for topics that have a handle now, and for the
 * prompt client where that has room, or is not to be waited for.
 */
void ngx_kafka_produce_parked(ngx_kafka_producer_t *kp);

/* Ends parked records that are too old and have no request. */
void ngx_kafka_produce_expire(ngx_kafka_producer_t *kp);


#endif
