/* The daemon's steps: find, connect, prepare, claim, read, store, leave. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/daemon_impl.h"
#include "kafka/message.h"


#define DAEMON_READ  512     /* records between two looks at everything else */
#define DAEMON_PROBE 3000    /* ms between two looks for Kafka */


static void daemon_step_topic(daemon_t *d, int64_t now);
static void daemon_step_stop(daemon_t *d, int64_t now);
static void daemon_check_source(daemon_t *d);
static void daemon_on_prepared(void *data, const outcome_t *outcome);
static bool daemon_at_end(daemon_t *d);
static void daemon_claim(daemon_t *d);
static void daemon_on_claimed(void *data, const outcome_t *outcome);
static void daemon_on_pruned(void *data, const outcome_t *outcome);
static void daemon_store(daemon_t *d);
static void daemon_on_stored(void *data, batch_t *batch,
    const outcome_t *outcome);
static int daemon_take(daemon_t *d, const rd_kafka_message_t *rkm,
    source_partition_t *p, int64_t now);


void
daemon_step(daemon_t *d, int64_t now)
{
    bool    recheck;
    size_t  n;

    daemon_check_source(d);

    if (d->done) {
        return;
    }

    if (d->stopping) {
        daemon_step_stop(d, now);
        return;
    }

    daemon_step_topic(d, now);

    if (d->source == NULL || now < d->trouble.until) {
        return;
    }

    if (pg_state(d->pg) == PG_CLOSED) {
        pg_connect(d->pg);
    }

    if (pg_state(d->pg) != PG_IDLE || d->work != DAEMON_IDLE) {
        return;
    }

    if (!d->prepared) {
        d->work = DAEMON_PREPARING;
        targets_prepare(d->targets, d->pg, daemon_on_prepared, d);
        return;
    }

    source_partitions(d->source, &n);

    if (!d->claimed) {
        if (n && !lookup_busy(d->lookup)) {
            daemon_claim(d);
        }
        return;
    }

    if (prune_due_in(d->prune, now) == 0) {
        d->work = DAEMON_PRUNING;
        prune_step(d->prune, d->pg, daemon_on_pruned, d);
        return;
    }

    if (d->options.until && daemon_at_end(d)) {
        d->ended = true;
        d->stopping = true;
        d->stop_deadline = now + d->conf->flush_timeout;
        return;
    }

    recheck = source_status(d->source)->recheck;

    if (d->storing || batch_is_due(d->filling, now)
        || (recheck && batch_records(d->filling)))
    {
        daemon_store(d);
        return;
    }

    if (recheck) {
        batch_reset(d->filling, d->generation);
        source_unassign(d->source);
        source_assign(d->source);
    }
}


/* Whether all that a replay is to store is committed. */

static bool
daemon_at_end(daemon_t *d)
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


static void
daemon_on_pruned(void *data, const outcome_t *outcome)
{
    daemon_t  *d = data;

    d->work = DAEMON_IDLE;

    if (outcome->action != SQLSTATE_OK) {
        daemon_fail(d, DAEMON_AT_STORE, outcome);
    }
}


/* What the source found while it was polled or read. */

static void
daemon_check_source(daemon_t *d)
{
    outcome_t         outcome;
    source_status_t  *status;

    if (d->source == NULL) {
        return;
    }

    status = source_status(d->source);

    if (status->fatal[0] && !d->done) {
        log_error("librdkafka gave up: %s", status->fatal);
        d->status = 1;
        d->done = true;
        return;
    }

    if (d->claimed && status->generation != d->generation) {
        d->claimed = false;
        batch_reset(d->filling, 0);
        if (d->work != DAEMON_STORING) {
            d->storing = NULL;
        }
    }

    /* a new assignment need not wait for what troubled the last one */

    if (d->trouble.action == SQLSTATE_FENCED
        && status->generation != d->generation)
    {
        memset(&d->trouble, 0, sizeof(daemon_trouble_t));
    }

    if (d->claimed && d->work == DAEMON_IDLE && status->fault[0]) {
        outcome.action = SQLSTATE_HOLD;
        snprintf(outcome.reason, sizeof(outcome.reason), "%s",
                 status->fault);
        status->fault[0] = '\0';
        daemon_fail(d, DAEMON_AT_STORE, &outcome);
        return;
    }

    if (d->claimed && d->work == DAEMON_IDLE && status->reassign) {
        outcome.action = SQLSTATE_RETRY;
        snprintf(outcome.reason, sizeof(outcome.reason),
                 "a partition of topic \"%s\" could not be read on",
                 d->conf->topic);
        status->reassign = false;
        daemon_forget(d);
        daemon_fail(d, DAEMON_AT_CLAIM, &outcome);
    }
}


static void
daemon_step_topic(daemon_t *d, int64_t now)
{
    size_t            n;
    source_status_t  *status;

    if (lookup_busy(d->lookup) || d->work == DAEMON_CLAIMING) {
        return;
    }

    if (d->source) {
        status = source_status(d->source);

        /* a claim asks the brokers anyway, and would wait for the answer */
        source_partitions(d->source, &n);

        if ((status->down || (status->doubt && (d->claimed || n == 0)))
            && now >= d->probe)
        {
            d->probe = now + DAEMON_PROBE;
            d->probing = lookup_start(d->lookup, source_handle(d->source),
                                      NULL, 0, false, -1) == 0;
            status->doubt = !d->probing;
        }
        return;
    }

    if (now < d->topic.until) {
        return;
    }

    if (lookup_start(d->lookup, NULL, NULL, 0, false, -1) == -1) {
        d->topic.until = now + daemon_backoff(&d->topic, 500, 3000);
    }
}


void
daemon_looked_up(daemon_t *d, const lookup_result_t *result)
{
    char  err[CONF_ERROR_MAX];

    if (d->work == DAEMON_CLAIMING && !d->probing) {
        offsets_looked_up(d->offsets, result);
        return;
    }

    if (d->source) {
        d->probing = false;
        if (result->unreached) {
            source_down(d->source, result->error);

        } else if (result->error[0] == '\0'
                   && source_status(d->source)->down)
        {
            source_status(d->source)->down = false;
            log_info("Kafka is back");
        }
        return;
    }

    if (result->error[0]) {
        if (strcmp(d->topic.reason, result->error) != 0) {
            log_error("could not find topic \"%s\", waiting: %s",
                      d->conf->topic, result->error);
            snprintf(d->topic.reason, sizeof(d->topic.reason), "%s",
                     result->error);
        }
        d->topic.until = clock_ms() + daemon_backoff(&d->topic, 250, 3000);
        return;
    }

    memset(&d->topic, 0, sizeof(daemon_trouble_t));
    log_info("topic \"%s\" has %d partitions in cluster %s", d->conf->topic,
             result->partitions, result->cluster);

    if (offsets_set_cluster(d->offsets, result->cluster) == -1
        || targets_set_cluster(d->targets, result->cluster) == -1)
    {
        return;
    }

    d->source = source_create(d->conf, result->partitions, err);
    if (d->source == NULL) {
        log_error("%s", err);
        d->status = 1;
        d->done = true;
    }
}


void
daemon_on_connected(void *data, const char *error, const char *sqlstate)
{
    daemon_t   *d = data;
    outcome_t   outcome;

    if (error == NULL) {
        d->prepared = false;
        daemon_recover(d, DAEMON_AT_CONNECT);
        return;
    }

    /* a wrong password is no outage: somebody has to mend it */
    outcome.action = sqlstate_action(sqlstate, NULL, NULL) == SQLSTATE_HOLD
                     ? SQLSTATE_HOLD : SQLSTATE_RECONNECT;
    snprintf(outcome.reason, sizeof(outcome.reason),
             "could not connect: %s", error);
    daemon_fail(d, DAEMON_AT_CONNECT, &outcome);
}


static void
daemon_on_prepared(void *data, const outcome_t *outcome)
{
    daemon_t   *d = data;
    outcome_t   failed;

    d->work = DAEMON_IDLE;

    if (outcome->action != SQLSTATE_OK) {
        daemon_fail(d, DAEMON_AT_PREPARE, outcome);
        return;
    }

    if (sink_prepare(d->sink, d->targets) == -1) {
        failed.action = SQLSTATE_RECONNECT;
        snprintf(failed.reason, sizeof(failed.reason), "out of memory");
        daemon_fail(d, DAEMON_AT_PREPARE, &failed);
        return;
    }

    d->prepared = true;
    daemon_recover(d, DAEMON_AT_PREPARE);
}


static void
daemon_claim(daemon_t *d)
{
    d->work = DAEMON_CLAIMING;
    d->generation = source_status(d->source)->generation;
    d->storing = NULL;
    batch_reset(d->filling, d->generation);

    offsets_claim(d->offsets, d->pg, d->lookup, d->source, daemon_on_claimed,
                  d);
}


static void
daemon_on_claimed(void *data, const outcome_t *outcome)
{
    size_t               i, n;
    daemon_t            *d = data;
    source_partition_t  *p;

    d->work = DAEMON_IDLE;

    if (outcome->action != SQLSTATE_OK) {
        daemon_fail(d, DAEMON_AT_CLAIM, outcome);
        return;
    }

    if (!d->prepared) {
        /* the session ended while Kafka was asked: what it said is old */
        return;
    }

    p = source_partitions(d->source, &n);

    for (i = 0; i < n; i++) {
        log_info("topic \"%s\", partition %d: at offset %lld, epoch %lld",
                 d->conf->topic, p[i].id, (long long) p[i].stored,
                 (long long) p[i].epoch);
    }

    source_assign(d->source);
    d->claimed = true;
    daemon_recover(d, DAEMON_AT_CLAIM);
}


bool
daemon_can_read(const daemon_t *d)
{
    return d->claimed && !d->stopping && batch_has_room(d->filling)
           && source_status(d->source)->generation == d->generation
           && !source_status(d->source)->reassign
           && !source_status(d->source)->recheck
           && source_status(d->source)->fault[0] == '\0';
}


void
daemon_read(daemon_t *d, int64_t now)
{
    int                  left, rc;
    source_partition_t  *p;
    rd_kafka_message_t  *rkm;

    for (left = DAEMON_READ; left && daemon_can_read(d); left--) {

        rkm = source_next(d->source, &p);
        if (rkm == NULL) {
            return;
        }

        rc = daemon_take(d, rkm, p, now);
        rd_kafka_message_destroy(rkm);

        if (rc == -1) {
            /* read again from what is stored */
            log_limited(&d->memory, "out of memory");
            source_status(d->source)->reassign = true;
            return;
        }
    }
}


static int
daemon_take(daemon_t *d, const rd_kafka_message_t *rkm,
    source_partition_t *p, int64_t now)
{
    batch_t         *batch;
    record_t   record;

    batch = d->filling;

    if (d->options.until
        && (p->id >= d->options.nuntil
            || rkm->offset >= d->options.until[p->id]))
    {
        p->past = true;
        return 0;
    }

    if (p->range == -1) {
        p->range = batch_range(batch, p->id, p->expected, p->epoch, p->run);
    }

    if (p->range == -1
        || message_record(rkm, &d->headers, &d->header_list, &record) == -1)
    {
        return -1;
    }

    if (targets_add(d->targets, batch, (unsigned) p->range, &record) == -1) {
        return -1;
    }

    if (batch_records(batch) == 1) {
        batch->first = now;
    }

    p->expected = record.offset + 1;

    return 0;
}


static void
daemon_store(daemon_t *d)
{
    size_t               i, n;
    source_partition_t  *p;

    if (d->storing == NULL) {
        d->storing = d->filling;
        d->filling = d->storing == &d->batches[0] ? &d->batches[1]
                                                  : &d->batches[0];
        batch_reset(d->filling, d->generation);
        d->filling->linger = batch_linger(d->conf->batch_linger,
                                          d->wrote / 8);

        p = source_partitions(d->source, &n);
        for (i = 0; i < n; i++) {
            p[i].range = -1;
        }
    }

    d->since = clock_ms();
    d->work = DAEMON_STORING;
    sink_store(d->sink, d->pg, d->storing, daemon_on_stored, d);
}


static void
daemon_on_stored(void *data, batch_t *batch, const outcome_t *outcome)
{
    size_t               i, j, n;
    daemon_t            *d = data;
    source_partition_t  *p;

    d->work = DAEMON_IDLE;

    if (outcome->action != SQLSTATE_OK) {
        daemon_fail(d, DAEMON_AT_STORE, outcome);

        /* the group took the partitions meanwhile */
        if (!d->claimed || batch->generation != d->generation) {
            d->storing = NULL;
        }
        return;
    }

    d->storing = NULL;
    d->wrote += clock_ms() - d->since - d->wrote / 8;
    daemon_count(d, batch);
    daemon_recover(d, DAEMON_AT_STORE);

    if (batch->generation != source_status(d->source)->generation) {
        return;
    }

    p = source_partitions(d->source, &n);

    for (i = 0; i < batch->nranges; i++) {
        for (j = 0; j < n; j++) {
            if (p[j].id == batch->ranges[i].partition) {
                p[j].stored = batch->ranges[i].next;
                p[j].has_last = true;
                p[j].last_timestamp = batch->ranges[i].last_timestamp;
                p[j].last_crc = batch_last_crc(batch, &batch->ranges[i]);
            }
        }
    }

    source_commit(d->source);
}


/*
 * What is in memory is committed if PostgreSQL takes it, then the group is
 * left.  Nothing waits for what does not go well: the offsets are safe.
 */

static void
daemon_step_stop(daemon_t *d, int64_t now)
{
    if (now >= d->stop_deadline) {
        log_warnx("left without a flush: the time for it is over");
        d->done = true;
        return;
    }

    if (d->work == DAEMON_STORING || d->work == DAEMON_PRUNING) {
        return;
    }

    if (!d->closing) {

        if (d->claimed && d->prepared && d->trouble.stage == DAEMON_FINE
            && pg_state(d->pg) == PG_IDLE && d->work == DAEMON_IDLE
            && (d->storing || batch_records(d->filling)))
        {
            daemon_store(d);
            return;
        }

        if (d->source == NULL) {
            d->done = true;
            return;
        }

        if (source_close(d->source) == -1) {
            d->done = true;
            return;
        }

        d->closing = true;
    }

    if (source_closed(d->source)) {
        d->done = true;
    }
}
