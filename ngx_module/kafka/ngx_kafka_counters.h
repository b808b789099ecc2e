/*
 * Counters and gauges of producers, in memory that all workers share and
 * that outlives reloads.  Knows no HTTP and no librdkafka.
 */

#ifndef NGX_KAFKA_COUNTERS_H
#define NGX_KAFKA_COUNTERS_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <pthread.h>


#define NGX_KAFKA_BUCKETS       14      /* of ngx_kafka_latencies[] */
#define NGX_KAFKA_REQUESTS      48      /* kinds of answers told apart */
#define NGX_KAFKA_BROKERS_MAX   64      /* brokers told apart, a producer */
#define NGX_KAFKA_ADDRESS       80      /* bytes, with NUL; longer ones cut */


/* What the database did with a record, by its receipt. */
typedef enum {
    NGX_KAFKA_STORED_PENDING = 0,       /* nobody knows */
    NGX_KAFKA_STORED_ROW,
    NGX_KAFKA_STORED_FILTERED,
    NGX_KAFKA_STORED_DUPLICATE,
    NGX_KAFKA_STORED_DEAD,              /* a dead letter */
    NGX_KAFKA_STORED_KINDS
} ngx_kafka_stored_e;


/* Of one topic; workers only ever add. */
typedef struct ngx_kafka_topic_counts_s  ngx_kafka_topic_counts_t;

struct ngx_kafka_topic_counts_s {
    ngx_atomic_t               kept[NGX_KAFKA_BUCKETS];     /* by latency */
    ngx_atomic_t               latency;     /* of kept records, ms, summed */
    ngx_atomic_t               bytes;       /* of kept records: key, value,
                                               headers */
    ngx_atomic_t               not_kept;
    ngx_atomic_t               maybe_kept;
    ngx_atomic_t               refused;     /* never taken */
    ngx_atomic_t               dropped;     /* not or maybe kept, and no
                                               request waited */
    ngx_atomic_t               stored[NGX_KAFKA_STORED_KINDS];  /* records
                                               whose receipt was asked for */
    ngx_atomic_t               stored_times[NGX_KAFKA_BUCKETS]; /* those with a
                                               receipt, by latency */
    ngx_atomic_t               stored_latency;  /* of them, ms, summed */
    ngx_atomic_t               requests[NGX_KAFKA_REQUESTS];    /* by a number
                                               of the caller's */
    ngx_kafka_topic_counts_t  *next;
    ngx_str_t                  name;
};


typedef enum {
    NGX_KAFKA_REBUILT_FATAL = 0,        /* librdkafka gave up */
    NGX_KAFKA_REBUILT_TIMEOUT,          /* records were too old */
    NGX_KAFKA_REBUILT_LIMIT,            /* for smaller batches */
    NGX_KAFKA_REBUILDS
} ngx_kafka_rebuilt_e;


/* Receipts read by all workers, by what became of them. */
typedef enum {
    NGX_KAFKA_RECEIPT_READ = 0,
    NGX_KAFKA_RECEIPT_OTHER,            /* of another cluster, group, topic */
    NGX_KAFKA_RECEIPT_UNREADABLE,
    NGX_KAFKA_RECEIPT_FORGOTTEN,        /* a range of one, for want of room */
    NGX_KAFKA_RECEIPTS
} ngx_kafka_receipt_e;


typedef struct {
    ngx_int_t                  id;
    u_char                     address[NGX_KAFKA_ADDRESS];  /* host:port */
} ngx_kafka_broker_t;


/* Of one kafka_producer block, over all workers. */
typedef struct ngx_kafka_producer_counts_s  ngx_kafka_producer_counts_t;

struct ngx_kafka_producer_counts_s {
    ngx_atomic_t               rebuilds[NGX_KAFKA_REBUILDS];
    ngx_atomic_t               start_failures;
    ngx_atomic_t               unreported;  /* records whose worker ended */
    ngx_atomic_t               prompt;      /* records that client took */
    ngx_atomic_t               receipts[NGX_KAFKA_RECEIPTS];
    ngx_kafka_topic_counts_t   other;       /* of no declared topic */
    ngx_kafka_topic_counts_t  *topics;      /* all that were ever declared */
    ngx_kafka_producer_counts_t *next;
    ngx_str_t                  name;

    /* learned from librdkafka; only ever appended to, with the lock held */
    ngx_slab_pool_t           *lock;
    ngx_uint_t                 nbrokers;
    ngx_kafka_broker_t         brokers[NGX_KAFKA_BROKERS_MAX];
};


typedef enum {
    NGX_KAFKA_BROKER_UNKNOWN = 0,       /* to this worker */
    NGX_KAFKA_BROKER_UNUSED,            /* nothing was to be sent there yet */
    NGX_KAFKA_BROKER_DOWN,
    NGX_KAFKA_BROKER_CONNECTING,
    NGX_KAFKA_BROKER_UP,
    NGX_KAFKA_BROKER_STATES
} ngx_kafka_broker_e;


/* One worker's view of the broker of the same index. */
typedef struct {
    ngx_atomic_t               state;       /* ngx_kafka_broker_e */
    ngx_atomic_t               rtt;         /* us, average, 0: not known */
    ngx_atomic_t               rtt_p99;     /* us */
} ngx_kafka_broker_gauges_t;


/* Of a producer in one worker, which alone writes them. */
typedef struct {
    ngx_kafka_producer_counts_t *producer;
    ngx_atomic_t               records;     /* taken and not reported yet */
    ngx_atomic_t               bytes;       /* their charge */
    ngx_atomic_t               in_flight;   /* requests that wait for them */
    ngx_atomic_t               waits;       /* records that wait for their
                                               receipt */
    ngx_atomic_t               reading;     /* receipts, of all partitions */
    ngx_atomic_t               up;          /* some broker is */
    ngx_atomic_t               prompt;      /* so is its prompt client */
    ngx_atomic_t               leaving;     /* the worker is */
    ngx_kafka_broker_gauges_t  brokers[NGX_KAFKA_BROKERS_MAX];
} ngx_kafka_gauges_t;


/*
 * One worker's gauges.  The worker holds the mutex for all its life and the
 * kernel gives the mutex up when the worker dies, however it dies: a process
 * id would not do, as it may be given to another process meanwhile.
 */
typedef struct ngx_kafka_slot_s  ngx_kafka_slot_t;

struct ngx_kafka_slot_s {
    pthread_mutex_t            worker;      /* robust */
    ngx_pid_t                  pid;         /* 0: of no worker */
    time_t                     started;     /* s since 1970 */
    ngx_kafka_slot_t          *next;
    ngx_uint_t                 room;        /* gauges allocated */
    ngx_uint_t                 n;           /* in use */
    ngx_kafka_gauges_t         gauges[1];
};


/* Lists only grow, at their head or tail, so that nobody locks to read. */
typedef struct {
    time_t                     started;     /* s since 1970 */
    ngx_kafka_producer_counts_t *producers;
    ngx_kafka_slot_t          *slots;
} ngx_kafka_shared_t;


/* The upper bound of each bucket but the last, which has none. */
typedef struct {
    ngx_msec_t                 ms;
    const char                *seconds;
} ngx_kafka_latency_t;

extern const ngx_kafka_latency_t  ngx_kafka_latencies[NGX_KAFKA_BUCKETS - 1];


/*
 * Adds the zone.  When it is there, "counts" of each of the "producers"
 * (ngx_kafka_conf_t *) and of its topics are set: found again by name, or
 * new.  "tag" is the module's.  Returns NULL when the zone cannot be added.
 */
ngx_shm_zone_t *ngx_kafka_counters_zone(ngx_conf_t *cf,
    ngx_array_t *producers, void *tag);

/*
 * Gives each producer its gauges of this worker.  NGX_ERROR only without
 * memory.
 */
ngx_int_t ngx_kafka_counters_enter(ngx_shm_zone_t *zone);

/* The worker ends: its gauges count no longer. */
void ngx_kafka_counters_leave(void);

ngx_kafka_shared_t *ngx_kafka_counters_shared(ngx_shm_zone_t *zone);

/*
 * Whether the worker of a slot runs.  Of a dead one the records without a
 * report become "unreported", once.
 */
ngx_uint_t ngx_kafka_slot_alive(ngx_kafka_slot_t *slot);

/* A record of "bytes" was acknowledged "ms" after it was taken. */
void ngx_kafka_count_kept(ngx_kafka_topic_counts_t *counts, size_t bytes,
    ngx_msec_t ms);

/* A record's receipt came "ms" after it was taken. */
void ngx_kafka_count_stored(ngx_kafka_topic_counts_t *counts,
    ngx_kafka_stored_e stored, ngx_msec_t ms);


#endif
