/* Figures and health over HTTP, from within the loop. */

#ifndef SLUICE_METRICS_H
#define SLUICE_METRICS_H


#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "conf.h"


typedef struct {
    int32_t  partition;
    int64_t  lag;           /* records not yet committed in PostgreSQL */
    int64_t  next_offset;
} metrics_partition_t;


typedef struct {
    uint64_t              rows;
    uint64_t              batches;
    uint64_t              copies;
    uint64_t              dead_letters;
    uint64_t              filtered;       /* left out by "where" */
    uint64_t              duplicates;
    uint64_t              gaps;
    uint64_t              dropped;
    uint64_t              fenced;
    uint64_t              retries;
    uint64_t              reconnects;
    uint64_t              rebalances;
    uint64_t              terminated;     /* backends that blocked */
    bool                  held;
    bool                  kafka_up;
    bool                  postgres_up;
    const char           *state;
    const char           *reason;         /* "" when all is well */
    metrics_partition_t  *partitions;
    size_t                npartitions;
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

/* The two bodies. */
void metrics_prometheus(const metrics_t *m, const char *topic, buf_t *out);
void metrics_health(const metrics_t *m, buf_t *out);


#endif
