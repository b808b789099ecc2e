/* What the states do: find, connect, prepare, claim, compare, store, prune. */

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/daemon_impl.h"


#define DAEMON_GROW  32    /* batches, before they may be larger again */


static void daemon_found(daemon_t *d, const lookup_result_t *result);
static void daemon_on_prepared(void *data, const outcome_t *outcome);
static void daemon_on_claimed(void *data, const outcome_t *outcome);
static void daemon_on_looked(void *data, const outcome_t *outcome);
static void daemon_on_stored(void *data, const outcome_t *outcome);
static void daemon_resize(daemon_t *d, size_t records);
static void daemon_on_pruned(void *data, const outcome_t *outcome);


void
daemon_find(daemon_t *d)
{
    if (!lookup_busy(d->lookup)
        && lookup_start(d->lookup, NULL, NULL, 0, false, -1) == -1)
    {
        daemon_fail(d, DAEMON_FINDING, SQLSTATE_RETRY,
                    "could not start a thread");
    }
}


void
daemon_looked_up(daemon_t *d, const lookup_result_t *result)
{
    if (d->work == DAEMON_CLAIMING && !d->probing) {
        offsets_looked_up(d->offsets, result);
        return;
    }

    if (d->source == NULL) {
        daemon_found(d, result);
        return;
    }

    d->probing = false;

    if (result->unreached) {
        source_down(d->source, result->error);

    } else if (result->error[0] == '\0' && source_status(d->source)->down) {
        source_status(d->source)->down = false;
        log_info("Kafka can be reached again");
    }
}


static void
daemon_found(daemon_t *d, const lookup_result_t *result)
{
    int   partitions;
    char  err[CONF_ERROR_MAX];

    if (result->error[0]) {
        daemon_fail(d, DAEMON_FINDING, SQLSTATE_RETRY, result->error);
        return;
    }

    partitions = result->partitions;

    if (d->conf->several) {
        partitions = daemon_choose(d, result);
        if (partitions == -1) {
            return;
        }

    } else {
        log_info("topic \"%s\" has %d partitions in cluster %s",
                 d->conf->topic, partitions, result->cluster);
    }

    daemon_recover(d, DAEMON_FINDING);

    if (offsets_set_cluster(d->offsets, result->cluster) == -1) {
        return;
    }

    if (d->receipts) {
        receipts_open(d->receipts, result->replicas);
    }

    d->source = source_create(d->conf, partitions, err);
    if (d->source == NULL) {
        log_error("%s", err);
        d->status = 1;
        d->done = true;
    }
}


void
daemon_connect(daemon_t *d)
{
    if (pg_state(d->pg) == PG_CLOSED) {
        pg_connect(d->pg);
    }
}


void
daemon_on_connected(void *data, const char *error, const char *sqlstate)
{
    char       reason[SQL_REASON];
    daemon_t  *d = data;

    if (error == NULL) {
        d->prepared = false;
        daemon_recover(d, DAEMON_CONNECTING);
        return;
    }

    /* a wrong password is no outage: a person has to mend it */
    snprintf(reason, sizeof(reason), "could not connect: %s", error);
    daemon_fail(d, DAEMON_CONNECTING,
                sqlstate_action(sqlstate, NULL, NULL) == SQLSTATE_HOLD
                ? SQLSTATE_HOLD : SQLSTATE_RECONNECT, reason);
}


void
daemon_prepare(daemon_t *d)
{
    d->work = DAEMON_PREPARING;
    targets_prepare(d->targets, d->pg, daemon_on_prepared, d);
}


static void
daemon_on_prepared(void *data, const outcome_t *outcome)
{
    daemon_t  *d = data;

    d->work = DAEMON_IDLE;

    if (outcome->action != SQLSTATE_OK) {
        daemon_fail(d, DAEMON_PREPARING, outcome->action, outcome->reason);
        return;
    }

    if (sink_prepare(d->sink, d->targets) == -1) {
        daemon_fail(d, DAEMON_PREPARING, SQLSTATE_RECONNECT, "out of memory");
        return;
    }

    d->prepared = true;
    daemon_recover(d, DAEMON_PREPARING);
}


void
daemon_claim(daemon_t *d)
{
    size_t  i;

    d->work = DAEMON_CLAIMING;
    d->generation = source_status(d->source)->generation;
    d->storing = NULL;
    daemon_refill(d, d->generation);

    for (i = 0; i < conf_topics(d->conf); i++) {
        source_hold(d->source, i, false);
    }

    offsets_on_hold(d->offsets, daemon_hold_topic);
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
        daemon_fail(d, DAEMON_CLAIMING, outcome->action, outcome->reason);
        return;
    }

    if (!d->prepared) {
        /* the session ended while Kafka was asked: the answer is old */
        return;
    }

    for (i = 0; i < conf_topics(d->conf); i++) {
        if (targets_set_table(d->targets, i, offsets_cluster(d->offsets),
                              offsets_table(d->offsets, i))
            == -1)
        {
            daemon_fail(d, DAEMON_CLAIMING, SQLSTATE_RETRY, "out of memory");
            return;
        }
    }

    p = source_partitions(d->source, &n);

    for (i = 0; i < n; i++) {
        log_info("topic \"%s\", partition %d: at offset %lld, epoch %lld",
                 conf_topic(d->conf, p[i].topic), p[i].id,
                 (long long) p[i].stored, (long long) p[i].epoch);
    }

    source_assign(d->source);
    d->claimed = true;
    d->looked = d->receipts == NULL;
    daemon_recover(d, DAEMON_CLAIMING);
}


/* Records are read meanwhile. */

void
daemon_look(daemon_t *d)
{
    d->work = DAEMON_LOOKING;
    d->looked = true;
    receipts_look(d->receipts, d->pg, d->source, daemon_on_looked, d);
}


static void
daemon_on_looked(void *data, const outcome_t *outcome)
{
    daemon_t  *d = data;

    d->work = DAEMON_IDLE;

    if (outcome->action != SQLSTATE_OK) {
        daemon_fail(d, DAEMON_LOOKING, outcome->action, outcome->reason);
    }
}


/* The topic may have been created again: its last stored record is compared. */

void
daemon_compare(daemon_t *d)
{
    daemon_refill(d, d->generation);
    source_unassign(d->source);
    source_assign(d->source);
}


void
daemon_store(daemon_t *d)
{
    size_t               i, n;
    source_partition_t  *p;

    if (d->storing == NULL && targets_news(d->targets)) {
        /* fields become columns, and the records are read again */
        daemon_forget(d);
        d->prepared = false;
        return;
    }

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
daemon_on_stored(void *data, const outcome_t *outcome)
{
    size_t               i, j, n;
    daemon_t            *d = data;
    const batch_t       *batch;
    source_partition_t  *p;

    batch = d->storing;
    d->work = DAEMON_IDLE;

    if (outcome->action != SQLSTATE_OK) {
        if (outcome->action == SQLSTATE_SMALLER) {
            daemon_resize(d, batch_records(batch) / 2);

        } else if (outcome->action == SQLSTATE_HOLD) {
            /* a row is known to be at fault by its neighbours */
            daemon_resize(d, d->filling->max_rows * 2);
        }

        daemon_fail(d, DAEMON_STORING, outcome->action, outcome->reason);

        /* the group revoked the partitions meanwhile */
        if (!d->claimed || batch->generation != d->generation) {
            d->storing = NULL;
        }
        return;
    }

    if (d->receipts) {
        receipts_send(d->receipts, batch);
    }

    d->storing = NULL;
    d->wrote += clock_ms() - d->since - d->wrote / 8;
    daemon_count(d, batch);

    if ((int64_t) d->filling->max_rows < d->conf->batch_rows
        && ++d->growing == DAEMON_GROW)
    {
        daemon_resize(d, d->filling->max_rows * 2);
    }

    daemon_recover(d, DAEMON_STORING);

    if (batch->generation != source_status(d->source)->generation) {
        return;
    }

    p = source_partitions(d->source, &n);

    for (i = 0; i < batch->nranges; i++) {
        for (j = 0; j < n; j++) {
            if (p[j].id == batch->ranges[i].partition
                && p[j].topic == batch->ranges[i].topic)
            {
                p[j].stored = batch->ranges[i].next;
                p[j].has_last = true;
                p[j].last_timestamp = batch->ranges[i].last_timestamp;
                p[j].last_crc = batch_last_crc(batch, &batch->ranges[i]);
            }
        }
    }

    source_commit(d->source);
}


/* From the next batches on: 1 to "batch.rows" records. */

static void
daemon_resize(daemon_t *d, size_t records)
{
    if (records > (size_t) d->conf->batch_rows) {
        records = (size_t) d->conf->batch_rows;
    }

    d->growing = 0;
    d->batches[0].max_rows = records ? records : 1;
    d->batches[1].max_rows = d->batches[0].max_rows;
}


void
daemon_prune(daemon_t *d)
{
    d->work = DAEMON_PRUNING;
    prune_step(d->prune, d->pg, daemon_on_pruned, d);
}


static void
daemon_on_pruned(void *data, const outcome_t *outcome)
{
    daemon_t  *d = data;

    d->work = DAEMON_IDLE;

    if (outcome->action != SQLSTATE_OK) {
        daemon_fail(d, DAEMON_STORING, outcome->action, outcome->reason);
    }
}
