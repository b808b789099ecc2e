/*
 * The daemon's states: which one is due, and which function does its work.
 * The work itself is in work.c; read.c reads records.
 */

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/daemon_impl.h"


#define DAEMON_PROBE  3000    /* ms between two probes of Kafka */
#define DAEMON_LEAVE  50      /* ms between two checks: is the group left? */


static daemon_state_t daemon_next(const daemon_t *d, int64_t now);
static daemon_state_t daemon_next_of_claimed(const daemon_t *d, int64_t now);
static void daemon_enter(daemon_t *d, daemon_state_t state);
static void daemon_heed(daemon_t *d);
static void daemon_probe(daemon_t *d, int64_t now);
static bool daemon_at_end(const daemon_t *d);
static bool daemon_has_all(const daemon_t *d);
static void daemon_leave(daemon_t *d, int64_t now);


/* By daemon_state_t, for the log. */

static const char *const  daemon_states[] = {
    "idle", "finding the topic", "connecting", "preparing", "claiming",
    "looking up what was stored", "reading", "storing", "comparing",
    "pruning", "standing by", "waiting", "holding", "at the end", "leaving"
};


void
daemon_step(daemon_t *d, int64_t now)
{
    daemon_heed(d);

    if (d->done) {
        return;
    }

    if (d->claimed && d->receipts) {
        receipts_tell(d->receipts, d->source);
    }

    daemon_probe(d, now);
    daemon_enter(d, daemon_next(d, now));

    if (d->state == d->work) {
        /* the connection does it already */
        return;
    }

    switch (d->state) {

    case DAEMON_FINDING:
        daemon_find(d);
        break;

    case DAEMON_CONNECTING:
        daemon_connect(d);
        break;

    case DAEMON_PREPARING:
        daemon_prepare(d);
        break;

    case DAEMON_CLAIMING:
        daemon_claim(d);
        break;

    case DAEMON_LOOKING:
        daemon_look(d);
        break;

    case DAEMON_STORING:
        daemon_store(d);
        break;

    case DAEMON_COMPARING:
        daemon_compare(d);
        break;

    case DAEMON_PRUNING:
        daemon_prune(d);
        break;

    case DAEMON_ENDING:
        d->ended = true;
        daemon_stop(d, now);
        break;

    case DAEMON_LEAVING:
        daemon_leave(d, now);
        break;

    case DAEMON_READING:        /* daemon_read() does, between two steps */
        if (d->trouble.state == DAEMON_STORING && daemon_has_all(d)) {
            daemon_recover(d, DAEMON_STORING);
        }
        break;

    case DAEMON_STANDING_BY:
    case DAEMON_WAITING:
    case DAEMON_HOLDING:
    case DAEMON_IDLE:
        break;
    }
}


/* Chooses the state.  Changes nothing. */

static daemon_state_t
daemon_next(const daemon_t *d, int64_t now)
{
    size_t      n;
    pg_state_t  pg;

    pg = pg_state(d->pg);

    if (d->stopping) {
        if (now >= d->stop_deadline || d->closing) {
            return DAEMON_LEAVING;
        }

        if (d->work == DAEMON_STORING || d->work == DAEMON_PRUNING
            || d->work == DAEMON_LOOKING)
        {
            return d->work;
        }

        /* what is in memory is stored if nothing prevents it now; else it is
           read again by the next owner */
        return d->claimed && d->prepared && d->work == DAEMON_IDLE
               && d->trouble.state == DAEMON_IDLE && pg == PG_IDLE
               && (d->storing || batch_records(d->filling))
               ? DAEMON_STORING : DAEMON_LEAVING;
    }

    if (now < d->trouble.until) {
        return d->trouble.action == SQLSTATE_HOLD ? DAEMON_HOLDING
                                                  : DAEMON_WAITING;
    }

    if (d->source == NULL) {
        return DAEMON_FINDING;
    }

    if (pg == PG_CLOSED || pg == PG_CONNECTING) {
        return DAEMON_CONNECTING;
    }

    if (d->work != DAEMON_IDLE) {
        return d->work;
    }

    if (!d->prepared) {
        return DAEMON_PREPARING;
    }

    if (!d->claimed) {
        source_partitions(d->source, &n);
        return n && !lookup_busy(d->lookup) ? DAEMON_CLAIMING
                                            : DAEMON_STANDING_BY;
    }

    return daemon_next_of_claimed(d, now);
}


static daemon_state_t
daemon_next_of_claimed(const daemon_t *d, int64_t now)
{
    bool  recheck;

    if (!d->looked) {
        return DAEMON_LOOKING;
    }

    if (prune_due_in(d->prune, now) == 0) {
        return DAEMON_PRUNING;
    }

    if (d->options.until && daemon_at_end(d)) {
        return DAEMON_ENDING;
    }

    recheck = source_status(d->source)->recheck;

    if (d->storing || batch_is_due(d->filling, now)
        || (recheck && batch_records(d->filling)))
    {
        return DAEMON_STORING;
    }

    return recheck ? DAEMON_COMPARING : DAEMON_READING;
}


/* Nothing else changes the state. */

static void
daemon_enter(daemon_t *d, daemon_state_t state)
{
    if (state != d->state) {
        log_debug("daemon: %s", daemon_states[state]);
        d->state = state;
    }
}


int64_t
daemon_due_in(const daemon_t *d, int64_t now)
{
    int64_t  batch, prune;

    if (daemon_next(d, now) != d->state
        || (d->source && daemon_can_read(d)
            && (d->waiting || source_pending(d->source))))
    {
        return 0;
    }

    if (d->stopping) {
        return DAEMON_LEAVE;
    }

    if (d->trouble.until > now) {
        return d->trouble.until - now;
    }

    if (d->state != DAEMON_READING) {
        return -1;
    }

    batch = batch_due_in(d->filling, now);
    prune = prune_due_in(d->prune, now);

    return batch == -1 || (prune != -1 && prune < batch) ? prune : batch;
}


void
daemon_stop(daemon_t *d, int64_t now)
{
    d->stopping = true;
    d->stop_deadline = now + d->conf->flush_timeout;
}


/* Takes what the source found while it was polled or read. */

static void
daemon_heed(daemon_t *d)
{
    char              reason[SQL_REASON];
    source_status_t  *status;

    if (d->source == NULL) {
        return;
    }

    status = source_status(d->source);

    if (status->fatal[0] && !d->done) {
        log_error("fatal error of librdkafka: %s", status->fatal);
        d->status = 1;
        d->done = true;
        return;
    }

    if (status->generation != d->generation) {
        daemon_forgive(d);

        if (d->claimed) {
            d->claimed = false;
            daemon_refill(d, 0);
            if (d->work != DAEMON_STORING) {
                d->storing = NULL;
            }
        }
    }

    if (!d->claimed || d->work != DAEMON_IDLE) {
        return;
    }

    if (d->conf->several) {
        if (status->fault[0]) {
            daemon_hold_topic(d, status->faulty, status->fault);
            status->fault[0] = '\0';
            status->recheck = true;
        }

        daemon_heed_topics(d, clock_ms());
    }

    if (status->fault[0]) {
        daemon_fail(d, DAEMON_STORING, SQLSTATE_HOLD, status->fault);
        status->fault[0] = '\0';

    } else if (status->reassign) {
        snprintf(reason, sizeof(reason), "could not continue to read a "
                 "partition of topic \"%s\"", d->conf->topic);
        status->reassign = false;
        daemon_forget(d);
        daemon_fail(d, DAEMON_CLAIMING, SQLSTATE_RETRY, reason);
    }
}


/*
 * Asks whether a broker can be reached, if that is in doubt.  Not during a
 * claim: it asks the brokers itself, and would wait for this answer.
 */

static void
daemon_probe(daemon_t *d, int64_t now)
{
    size_t            n;
    source_status_t  *status;

    if (d->source == NULL || d->stopping || lookup_busy(d->lookup)
        || d->work == DAEMON_CLAIMING || now < d->probe)
    {
        return;
    }

    status = source_status(d->source);
    source_partitions(d->source, &n);

    if (status->down || (status->doubt && (d->claimed || n == 0))) {
        d->probe = now + DAEMON_PROBE;
        lookup_set_topic(d->lookup, d->conf->several ? NULL : d->conf->topic);
        d->probing = lookup_start(d->lookup, source_handle(d->source), NULL,
                                  0, false, -1) == 0;
        status->doubt = !d->probing;
    }
}


/* Whether a replay has committed all its records. */

static bool
daemon_at_end(const daemon_t *d)
{
    size_t               i, n;
    source_partition_t  *p;

    p = source_partitions(d->source, &n);

    if (d->storing || batch_records(d->filling)
        || n < (size_t) d->options.nuntil)
    {
        return false;
    }

    for (i = 0; i < n; i++) {
        if (p[i].id < d->options.nuntil && !p[i].past
            && p[i].expected < d->options.until[p[i].id]
            && p[i].eof < d->options.until[p[i].id])
        {
            return false;
        }
    }

    return true;
}


/*
 * Whether the logs are read to their ends and all is stored: what could not be
 * stored was put aside by an operator.
 */

static bool
daemon_has_all(const daemon_t *d)
{
    size_t               i, n;
    source_partition_t  *p;

    p = source_partitions(d->source, &n);

    if (d->storing || batch_records(d->filling)) {
        return false;
    }

    for (i = 0; i < n; i++) {
        if (!p[i].held && p[i].eof < p[i].expected) {
            return false;
        }
    }

    return true;
}


/* Leaves the group; later calls look whether that is done. */

static void
daemon_leave(daemon_t *d, int64_t now)
{
    if (now >= d->stop_deadline) {
        log_warnx("left the group without a flush: \"flush_timeout\" is "
                  "over");
        d->done = true;
        return;
    }

    if (d->source == NULL || (!d->closing && source_close(d->source) == -1)) {
        d->done = true;
        return;
    }

    d->closing = true;
    d->done = source_closed(d->source);
}
