/* What producers count, in memory shared by all workers; knows no HTTP. */

#ifndef NGX_KAFKA_METRICS_H
#define NGX_KAFKA_METRICS_H


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_KAFKA_BUCKETS       14      /* of ngx_kafka_latencies[] */
#define NGX_KAFKA_BROKERS_MAX   64      /* told apart, a producer */
#define NGX_KAFKA_ADDRESS       80      /* bytes, with NUL; longer ones cut */


typedef enum {
    NGX_KAFKA_REBUILT_FATAL = 0,        /* librdkafka gave up */
    NGX_KAFKA_REBUILT_TIMEOUT,          /* records were too old */
    NGX_KAFKA_REBUILT_LIMIT,            /* for smaller batches */
    NGX_KAFKA_REBUILDS
} ngx_kafka_rebuilt_e;


/* Of a topic's records; all workers only ever add. */
typedef struct {
    ngx_atomic_t               kept[NGX_KAFKA_BUCKETS];     /* by latency */
    ngx_atomic_t               latency;     /* of kept ones, ms, summed */
    ngx_atomic_t               bytes;       /* of kept ones: key, value,
                                               headers */
    ngx_atomic_t               not_kept;
    ngx_atomic_t               maybe_kept;
    ngx_atomic_t               refused;     /* never taken */
    ngx_atomic_t               dropped;     /* of the not and maybe kept:
                                               nobody waited */
} ngx_kafka_counters_t;


typedef struct {
    ngx_int_t                  id;
    u_char                     address[NGX_KAFKA_ADDRESS];  /* host:port */
} ngx_kafka_broker_t;


/* Of a producer, over all workers. */
typedef struct {
    ngx_atomic_t               rebuilds[NGX_KAFKA_REBUILDS];
    ngx_atomic_t               start_failures;
    ngx_atomic_t               unreported;  /* records whose worker ended */

    /* learned from librdkafka; only ever appended to, with the lock held */
    ngx_slab_pool_t           *lock;
    ngx_uint_t                 nbrokers;
    ngx_kafka_broker_t         brokers[NGX_KAFKA_BROKERS_MAX];
} ngx_kafka_metrics_t;


typedef enum {
    NGX_KAFKA_BROKER_UNKNOWN = 0,       /* to this worker */
    NGX_KAFKA_BROKER_UNUSED,            /* nothing was to be sent there yet */
    NGX_KAFKA_BROKER_DOWN,
    NGX_KAFKA_BROKER_CONNECTING,
    NGX_KAFKA_BROKER_UP
} ngx_kafka_broker_e;


/* One worker's view of the broker of the same index. */
typedef struct {
    ngx_atomic_t               state;       /* ngx_kafka_broker_e */
    ngx_atomic_t               rtt;         /* us, average, 0: not known */
    ngx_atomic_t               rtt_p99;     /* us */
} ngx_kafka_broker_gauges_t;


/* Of a producer in one worker, which alone writes them. */
typedef struct {
    ngx_atomic_t               records;     /* taken and not reported yet */
    ngx_atomic_t               bytes;       /* their charge */
    ngx_atomic_t               up;          /* some broker is */
    ngx_atomic_t               leaving;     /* the worker is */
    ngx_kafka_broker_gauges_t  brokers[NGX_KAFKA_BROKERS_MAX];
} ngx_kafka_gauges_t;


/* The upper bound of each bucket but the last, which has none. */
typedef struct {
    ngx_msec_t                 ms;
    const char                *seconds;
} ngx_kafka_latency_t;

extern const ngx_kafka_latency_t  ngx_kafka_latencies[NGX_KAFKA_BUCKETS - 1];


/* A record of "bytes" was acknowledged "ms" after it was taken. */
void ngx_kafka_count_kept(ngx_kafka_counters_t *counters, size_t bytes,
    ngx_msec_t ms);

/*
 * Takes the brokers' state and RTT from librdkafka's statistics, a JSON text
 * of "len" bytes; what cannot be read leaves them unknown.
 */
void ngx_kafka_metrics_brokers(ngx_kafka_metrics_t *metrics,
    ngx_kafka_gauges_t *gauges, const char *json, size_t len);


#endif
