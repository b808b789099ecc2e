/* The figures that health and metrics show. */

#include <stdlib.h>

#include "base/clock.h"
#include "base/testpoint.h"
#include "daemon/daemon_impl.h"


#define FIGURES_SLOW   10000    /* ms without an answer or a commit */
#define FIGURES_STUCK  30000


static void daemon_count_topics(daemon_t *d, const batch_t *batch);


void
daemon_count(daemon_t *d, const batch_t *batch)
{
    size_t              i;
    int64_t             now;
    metrics_t          *m;
    const batch_row_t  *row;

    m = &d->metrics;
    now = clock_wall();

    for (i = 0; i < batch->nrows; i++) {
        row = &batch->rows[i];

        m->bytes += row->key_len == BATCH_NULL ? 0 : row->key_len;
        m->bytes += row->value_len == BATCH_NULL ? 0 : row->value_len;

        if (row->timestamp >= 0) {
            metrics_observe(m, METRICS_LATENCY, now > row->timestamp
                            ? (double) (now - row->timestamp) / 1000 : 0);
        }
    }

    m->rows += batch_stored(batch);
    m->duplicates += batch->duplicates;
    m->dead_letters += batch->dead;
    m->filtered += batch->filtered + batch->absent;
    m->batches++;
    m->last_commit = now;

    metrics_observe(m, METRICS_BATCH_ROWS, (double) batch->nrows);
    metrics_observe(m, METRICS_COMMIT, sink_figures(d->sink)->commit);

    if (batch->dead < batch->nrows) {
        metrics_observe(m, METRICS_COPY, sink_figures(d->sink)->copy);
    }

    daemon_count_topics(d, batch);

    if (d->trace) {
        trace_batch(d->trace, batch, now - (clock_ms() - batch->first), now);
    }
}


/* Each topic's share of what was counted. */

static void
daemon_count_topics(daemon_t *d, const batch_t *batch)
{
    size_t                i;
    metrics_topic_t      *topics, *topic;
    const batch_row_t    *row, *first;
    const batch_range_t  *range;

    topics = daemon_topics(d);
    if (topics == NULL) {
        return;
    }

    for (i = 0; i < batch->nranges; i++) {
        range = &batch->ranges[i];
        topic = &topics[range->topic];
        topic->rows += (uint64_t) (range->records - range->dead
                                   - range->filtered - range->duplicates);
        topic->dead_letters += (uint64_t) range->dead;
        topic->filtered += (uint64_t) range->filtered;
        topic->duplicates += (uint64_t) range->duplicates;
    }

    for (i = 0; i < batch->nrows; i++) {
        row = &batch->rows[i];
        first = row - row->nth;
        topic = &topics[batch->ranges[row->range].topic];
        topic->bytes += row->key_len == BATCH_NULL ? 0 : row->key_len;
        topic->bytes += row->value_len == BATCH_NULL ? 0 : row->value_len;

        /* the ranges count records */
        topic->rows += row->nth && first->fault == 0 && !first->duplicate
                       && !first->absent;
    }
}


static const char *
daemon_state(const daemon_t *d)
{
    if (d->stopping) {
        return "stopping";
    }

    if (d->trouble.action == SQLSTATE_HOLD) {
        return "held";
    }

    if (d->source == NULL) {
        return "looking for the topic";
    }

    if (pg_state(d->pg) != PG_IDLE && pg_state(d->pg) != PG_BUSY) {
        return "waiting for PostgreSQL";
    }

    return d->claimed ? "running" : "waiting for partitions";
}


/* ms for which PostgreSQL, which is there, has not taken what is due. */

static int64_t
daemon_stands(const daemon_t *d)
{
    int64_t  now, stands, busy;

    now = clock_ms();
    stands = d->trouble.state == DAEMON_STORING ? now - d->trouble.since : 0;
    busy = pg_busy_since(d->pg);

    return busy && now - busy > stands ? now - busy : stands;
}


/* What the schema registry says, and whether a record waits for it. */

static bool
daemon_registry(const daemon_t *d, metrics_t *m)
{
    const schemas_figures_t  *figures;

    figures = d->registry ? registry_figures(d->registry) : NULL;

    if (figures == NULL) {
        return false;
    }

    m->registry_requests = figures->requests;
    m->registry_failures = figures->failures;
    m->registry_schemas = figures->schemas;

    if (figures->reason[0] == '\0' || m->reason[0]) {
        return false;
    }

    m->reason = figures->reason;
    m->held |= figures->held;
    m->state = figures->held ? "held" : "waiting for the schema registry";

    return true;
}


static int64_t
daemon_lag(daemon_t *d, const source_partition_t *p)
{
    int64_t  low, high;

    if (rd_kafka_get_watermark_offsets(source_handle(d->source),
                                       conf_topic(d->conf, p->topic), p->id,
                                       &low, &high)
        != RD_KAFKA_RESP_ERR_NO_ERROR || high < 0)
    {
        high = p->end;
    }

    /* the offsets that are left may all be transaction markers */
    if (p->expected == p->stored && p->eof >= high) {
        return 0;
    }

    return high > p->stored ? high - p->stored : 0;
}


static void
daemon_partitions(daemon_t *d, const source_partition_t *p, size_t n)
{
    size_t                i;
    metrics_t            *m;
    metrics_partition_t  *partitions;

    m = &d->metrics;

    if (n > d->metrics_size) {
        partitions = realloc(m->partitions, n * sizeof(metrics_partition_t));
        if (partitions == NULL) {
            return;
        }
        m->partitions = partitions;
        d->metrics_size = n;
    }

    for (i = 0; d->claimed && i < n; i++) {
        m->partitions[i].topic = conf_topic(d->conf, p[i].topic);
        m->partitions[i].partition = p[i].id;
        m->partitions[i].lag = daemon_lag(d, &p[i]);
        m->partitions[i].next_offset = p[i].stored;
        m->partitions[i].epoch = p[i].epoch;
        m->lag += m->partitions[i].lag;
        m->npartitions++;
    }
}


const metrics_t *
daemon_metrics(void *data)
{
    bool                  waits;
    size_t                n;
    int64_t               stands;
    daemon_t             *d = data;
    const char           *topics;
    metrics_t            *m;
    source_status_t      *status;
    source_partition_t   *p;

    m = &d->metrics;
    stands = testpoint_lasted(daemon_stands(d));
    topics = daemon_topics_reason(d);
    m->held = d->trouble.action == SQLSTATE_HOLD || stands > FIGURES_STUCK
              || topics;
    m->postgres_up = pg_state(d->pg) == PG_IDLE || pg_state(d->pg) == PG_BUSY;
    m->state = daemon_state(d);
    m->reason = d->trouble.reason[0] || stands <= FIGURES_SLOW
                ? d->trouble.reason
                : "PostgreSQL has not answered for more than 10 s: it may "
                  "wait for a lock, or for a synchronous standby";
    waits = daemon_registry(d, m);
    if (m->reason[0] == '\0' && d->conf->several) {
        topics = topics ? topics : daemon_topics_left(d);
        m->reason = topics ? topics : "";
    }
    m->terminated = unblock_count(d->unblock);
    m->copies = sink_figures(d->sink)->copies;

    if (d->receipts) {
        m->receipts_sent = receipts_figures(d->receipts)->sent;
        m->receipts_dropped = receipts_figures(d->receipts)->dropped;
        m->receipts = receipts_figures(d->receipts)->reason;
    }

    m->npartitions = 0;
    m->lag = 0;
    m->kafka_up = false;
    m->ready = false;

    if (d->source == NULL) {
        return m;
    }

    status = source_status(d->source);
    m->kafka_up = !status->down;
    m->gaps = status->gaps;
    m->dropped = status->dropped;
    m->rebalances = status->rebalances;

    p = source_partitions(d->source, &n);

    /* a daemon that the group gave no partition stands by, ready too */
    m->ready = m->kafka_up && m->postgres_up && d->prepared && !d->stopping
               && d->trouble.state == DAEMON_IDLE && stands <= FIGURES_SLOW
               && !waits
               && !m->held
               && (d->claimed || (n == 0 && status->rebalances));

    daemon_partitions(d, p, n);

    return m;
}
