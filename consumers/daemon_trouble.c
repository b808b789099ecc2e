/* Troubles: said once, waited for, ended; and what health tells of them. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon_impl.h"
#include "log.h"


#define DAEMON_RETRY_LEAST  100      /* ms */
#define DAEMON_RETRY_MOST   3000
#define DAEMON_HOLD_LEAST   1000
#define DAEMON_HOLD_MOST    5000
#define DAEMON_FENCED       3500     /* beyond a heartbeat: am I still in? */


static const char *daemon_state(const daemon_t *d);


/* Doubles from "least" to "most", with a quarter of it left to chance. */

int64_t
daemon_backoff(daemon_trouble_t *trouble, int64_t least, int64_t most)
{
    int64_t  wait;

    wait = least << (trouble->tries < 16 ? trouble->tries : 16);
    trouble->tries++;

    if (wait > most) {
        wait = most;
    }

    return wait - random() % (wait / 4 + 1);
}


/*
 * Takes what was read and not stored: the offsets in PostgreSQL say where to
 * go on.
 */

void
daemon_forget(daemon_t *d)
{
    if (d->claimed && d->source) {
        source_unassign(d->source);
    }

    d->claimed = false;
    batch_reset(d->filling, 0);

    if (d->storing && d->work != DAEMON_STORING) {
        d->storing = NULL;
    }
}


void
daemon_fail(daemon_t *d, daemon_stage_t stage, const outcome_t *outcome)
{
    bool               told;
    int64_t            now, wait;
    daemon_trouble_t  *t;

    t = &d->trouble;
    now = log_clock();
    told = t->stage != DAEMON_FINE && t->action == outcome->action
           && (outcome->action == SQLSTATE_RECONNECT
               || (t->stage == stage
                   && strcmp(t->reason, outcome->reason) == 0));

    if (!told) {
        t->tries = 0;
        t->stage = stage;
        t->action = outcome->action;
        snprintf(t->reason, sizeof(t->reason), "%s", outcome->reason);
    }

    switch (outcome->action) {

    case SQLSTATE_FENCED:
        d->metrics.fenced++;
        daemon_forget(d);
        wait = stage == DAEMON_AT_CLAIM ? 0 : DAEMON_FENCED;
        if (stage == DAEMON_AT_STORE) {
            log_warnx("another daemon took over: %s", outcome->reason);
        }
        break;

    case SQLSTATE_HOLD:
        daemon_forget(d);
        d->prepared = false;
        wait = daemon_backoff(t, DAEMON_HOLD_LEAST, DAEMON_HOLD_MOST);
        if (!told) {
            log_error("holding, nothing is skipped: %s", outcome->reason);
        }
        break;

    case SQLSTATE_RECONNECT:
        daemon_forget(d);
        d->prepared = false;
        pg_close(d->pg);
        wait = daemon_backoff(t, DAEMON_RETRY_LEAST, DAEMON_RETRY_MOST);
        if (stage != DAEMON_AT_CONNECT) {
            d->metrics.reconnects++;
            t->stage = DAEMON_AT_PREPARE;
        }
        if (!told) {
            log_error("PostgreSQL is away, waiting: %s", outcome->reason);
        }
        break;

    default:
        d->metrics.retries++;
        wait = daemon_backoff(t, DAEMON_RETRY_LEAST, DAEMON_RETRY_MOST);
        if (!told) {
            log_warnx("trying again: %s", outcome->reason);
        }
        break;
    }

    t->until = now + wait;
}


/* What is further on than where the trouble was went well. */

void
daemon_recover(daemon_t *d, daemon_stage_t stage)
{
    if (d->trouble.stage == DAEMON_FINE || stage < d->trouble.stage) {
        return;
    }

    if (d->trouble.action != SQLSTATE_FENCED) {
        log_info("going on: what was in the way is gone (%s)",
                 d->trouble.reason);
    }

    memset(&d->trouble, 0, sizeof(daemon_trouble_t));
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


static int64_t
daemon_lag(daemon_t *d, const source_partition_t *p)
{
    int64_t  low, high;

    if (rd_kafka_get_watermark_offsets(source_handle(d->source),
                                       d->conf->topic, p->id, &low, &high)
        != RD_KAFKA_RESP_ERR_NO_ERROR || high < 0)
    {
        high = p->end;
    }

    /* what is left may be nothing but transaction markers */
    if (p->expected == p->stored && p->eof >= high) {
        return 0;
    }

    return high > p->stored ? high - p->stored : 0;
}


const metrics_t *
daemon_metrics(void *data)
{
    size_t                i, n;
    daemon_t             *d = data;
    metrics_t            *m;
    source_status_t      *status;
    source_partition_t   *p;
    metrics_partition_t  *partitions;

    m = &d->metrics;
    m->held = d->trouble.action == SQLSTATE_HOLD;
    m->postgres_up = pg_state(d->pg) == PG_IDLE || pg_state(d->pg) == PG_BUSY;
    m->state = daemon_state(d);
    m->reason = d->trouble.stage ? d->trouble.reason : d->topic.reason;
    m->terminated = unblock_count(d->unblock);
    m->copies = sink_copies(d->sink);
    m->npartitions = 0;
    m->kafka_up = false;

    if (d->source == NULL) {
        return m;
    }

    status = source_status(d->source);
    m->kafka_up = !status->down;
    m->gaps = status->gaps;
    m->dropped = status->dropped;
    m->rebalances = status->rebalances;

    p = source_partitions(d->source, &n);

    if (n > d->metrics_size) {
        partitions = realloc(m->partitions, n * sizeof(metrics_partition_t));
        if (partitions == NULL) {
            return m;
        }
        m->partitions = partitions;
        d->metrics_size = n;
    }

    for (i = 0; d->claimed && i < n; i++) {
        m->partitions[i].partition = p[i].id;
        m->partitions[i].lag = daemon_lag(d, &p[i]);
        m->partitions[i].next_offset = p[i].stored;
        m->npartitions++;
    }

    return m;
}
