/* Metrics and health over HTTP, served by the daemon's loop. */

#ifndef SLUICE_METRICS_H
#define SLUICE_METRICS_H


#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "conf/conf.h"


#define METRICS_BOUNDS   12
#define METRICS_CLASSES  9


typedef struct {
    const char  *topic;
    int32_t      partition;
    int64_t      lag;         /* records not yet committed in PostgreSQL */
    int64_t      next_offset;
    int64_t      epoch;
} metrics_partition_t;


/* One of several topics: its share of the counters of metrics_t. */
typedef struct {
    const char  *name;
    uint64_t     rows;
    uint64_t     bytes;
    uint64_t     dead_letters;
    uint64_t     filtered;
    uint64_t     duplicates;
    int64_t      lag;
    char        *reason;      /* why it is not read, or was not a moment ago;
                                 NULL: it is */
} metrics_topic_t;


typedef enum {
    METRICS_BATCH_ROWS = 0,
    METRICS_COMMIT,
    METRICS_COPY,
    METRICS_LATENCY,
    METRICS_HISTOGRAMS
} metrics_histogram_e;


typedef struct {
    uint64_t  counts[METRICS_BOUNDS + 1];    /* by bound; above the last */
    double    sum;
} metrics_histogram_t;


typedef struct {
    uint64_t              rows;
    uint64_t              batches;
    uint64_t              bytes;          /* of keys and values */
    uint64_t              copies;
    uint64_t              dead_letters;
    uint64_t              filtered;       /* left out by "where" */
    uint64_t              duplicates;
    uint64_t              gaps;
    uint64_t              dropped;
    uint64_t              fenced;
    uint64_t              retries[METRICS_CLASSES];
    uint64_t              reconnects;
    uint64_t              rebalances;
    uint64_t              registry_requests;
    uint64_t              registry_failures;
    uint64_t              registry_schemas;    /* in memory */
    uint64_t              receipts_sent;
    uint64_t              receipts_dropped;
    uint64_t              terminated;     /* backends that blocked this one */
    metrics_histogram_t   histograms[METRICS_HISTOGRAMS];
    int64_t               last_commit;    /* ms since 1970 */
    int64_t               start;          /* likewise, of this run */
    bool                  held;
    bool                  live;           /* a restart would not help */
    bool                  ready;
    bool                  reload_refused; /* the last one */
    bool                  kafka_up;
    bool                  postgres_up;
    const char           *state;
    const char           *reason;         /* of the trouble; "": none */
    const char           *receipts;       /* why they are dropped; "": they
                                             are not; NULL: none are sent */
    int64_t               lag;            /* of all partitions */
    metrics_partition_t  *partitions;
    size_t                npartitions;
    metrics_topic_t      *topics;         /* NULL: there is one alone */
    size_t                ntopics;
} metrics_t;


typedef struct metrics_http_s  metrics_http_t;

/* Called for every request: the figures as they are now. */
typedef const metrics_t *(*metrics_get_pt)(void *data);


/* Returns NULL with a text in "err" (CONF_ERROR_MAX bytes). */
metrics_http_t *metrics_listen(const conf_t *conf, metrics_get_pt get,
    void *data, char *err);
void metrics_close(metrics_http_t *http);

int metrics_fd(const metrics_http_t *http);
/* ms until metrics_serve() is due without an event, -1: never. */
int metrics_timeout(metrics_http_t *http);
void metrics_serve(metrics_http_t *http);

/* Counts a value, in the unit of its name. */
void metrics_observe(metrics_t *m, metrics_histogram_e which, double value);

/* Counts a failed attempt by its SQLSTATE; "": it had none. */
void metrics_retry(metrics_t *m, const char *sqlstate);

/* Append the bodies of /metrics, and of /healthz, /livez and /readyz. */
void metrics_prometheus(const metrics_t *m, const char *topic, buf_t *out);
void metrics_health(const metrics_t *m, buf_t *out);


#endif
