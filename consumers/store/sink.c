/* One batch, one transaction: rows, dead letters, offsets. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/testpoint.h"
#include "row/copy.h"
#include "store/sink_impl.h"


#define SINK_LATER  5000    /* ms a missing foreign key is waited for */

#define SINK_STAGE  100     /* batches behind one that was not plain */


static int sink_prepare_dead(sink_t *sink);
static void sink_next_target(sink_t *sink);
static bool sink_tombstones(const sink_t *sink);
static bool sink_not_plain(sink_t *sink, const pg_reply_t *reply);
static void sink_outcome(const sink_t *sink, outcome_t *outcome,
    const pg_reply_t *reply, const char *what);
static void sink_on_rows(void *data, const pg_reply_t *reply);
static void sink_on_dead(void *data, const pg_reply_t *reply);
static void sink_on_topic(void *data, const outcome_t *outcome);
static void sink_commit(sink_t *sink);
static void sink_on_commit(void *data, const pg_reply_t *reply);
static void sink_on_rolled_back(void *data, const pg_reply_t *reply);


sink_t *
sink_create(const conf_t *conf, offsets_t *offsets, const sink_end_t *end)
{
    size_t   i;
    sink_t  *sink;

    sink = calloc(1, sizeof(sink_t));
    if (sink == NULL) {
        return NULL;
    }

    sink->conf = conf;
    sink->offsets = offsets;
    sink->targets = calloc(conf->ntargets, sizeof(sink_target_t));

    if (sink->targets == NULL) {
        free(sink);
        return NULL;
    }

    if (end) {
        sink->end = *end;
    }

    for (i = 0; i < conf->ntargets; i++) {
        sink->targets[i].conf = conf->targets[i];
    }

    sink->ntargets = (unsigned) conf->ntargets;

    return sink;
}


void
sink_destroy(sink_t *sink)
{
    size_t  i;

    if (sink == NULL) {
        return;
    }

    for (i = 0; i < sink->ntargets; i++) {
        buf_free(&sink->targets[i].stage);
        buf_free(&sink->targets[i].copy);
        buf_free(&sink->targets[i].copy_binary);
        buf_free(&sink->targets[i].plain);
        buf_free(&sink->targets[i].plain_binary);
        buf_free(&sink->targets[i].apply);
        buf_free(&sink->targets[i].apply_delete);
    }

    buf_free(&sink->dead_sql);
    buf_free(&sink->dead_key);
    buf_free(&sink->sql);
    buf_free(&sink->chunk);
    free(sink->keys);
    free(sink->repeats);
    free(sink->targets);
    free(sink->todo);
    free(sink);
}


uint64_t
sink_copies(const sink_t *sink)
{
    return sink->copies;
}


void
sink_set_target(sink_t *sink, size_t target, const target_t *found,
    binary_t *binary)
{
    sink->targets[target].found = found;
    sink->targets[target].binary = binary;
}


void
sink_set_dead_topic(sink_t *sink, dead_topic_t *topic)
{
    sink->dead_topic = topic;
}


int
sink_prepare(sink_t *sink, PGconn *conn)
{
    unsigned  i;

    for (i = 0; i < sink->ntargets; i++) {
        if (sink_target_prepare(&sink->targets[i], conn, i) == -1) {
            return -1;
        }
    }

    /* another end of the transaction keeps no dead letters */

    if (sink->end.commit) {
        return 0;
    }

    return sink_prepare_dead(sink);
}


static int
sink_prepare_dead(sink_t *sink)
{
    size_t       i;
    const char  *key[3];

    sink->dead_sql.len = 0;
    buf_addf(&sink->dead_sql, "COPY sluice.dead_letters (cluster_id,"
             "group_id,topic,table_name,partition,\"offset\",\"timestamp\","
             "key,headers,value,sqlstate,reason%s) FROM STDIN",
             sink->conf->dead_store == CONF_STORE_REASON ? ",stripped" : "");

    key[0] = offsets_cluster(sink->offsets);
    key[1] = sink->conf->group;
    key[2] = sink->conf->topic;
    sink->dead_key.len = 0;

    for (i = 0; i < 3; i++) {
        if (copy_add_text(&sink->dead_key, key[i], strlen(key[i])) == -1) {
            return -1;
        }
        buf_add(&sink->dead_key, "\t", 1);
    }

    return buf_failed(&sink->dead_sql) || buf_failed(&sink->dead_key) ? -1
                                                                      : 0;
}


static double
sink_clock(void)
{
    return (double) clock_us() / 1e6;
}


const sink_times_t *
sink_times(const sink_t *sink)
{
    return &sink->times;
}


void
sink_store(sink_t *sink, pg_t *pg, batch_t *batch, sink_done_pt done,
    void *data)
{
    sink->pg = pg;
    sink->batch = batch;
    sink->done = done;
    sink->data = data;
    sink->careful = false;
    sink->looked = false;
    sink->not_plain = false;
    sink->hint = SIZE_MAX;
    sink->seen_tries = 0;
    sink->span.target = 0;

    batch_forget_faults(batch);
    testpoint("before-copy");

    sink->began = sink_clock();

    sink->sql.len = 0;
    sink_begin(sink);
    sink_seen(sink);
}


/* Looking for bad rows takes long: then it is asked whose they are. */

void
sink_begin(sink_t *sink)
{
    sql_begin(&sink->sql);

    if (sink->careful && sink->end.commit == NULL) {
        offsets_assert(sink->offsets, pg_conn(sink->pg), sink->batch,
                       &sink->sql);
    }
}


/* The way on once it is known which rows are a client's retries. */

void
sink_open(sink_t *sink)
{
    if (sink->careful) {
        sink_look_on(sink);
        return;
    }

    sink_next_target(sink);
}


/* The text so far is kept: it may hold the beginning of the transaction. */

static void
sink_next_target(sink_t *sink)
{
    size_t          n;
    sink_target_t  *target;

    n = sink->batch->nrows;

    while (sink->span.target < sink->ntargets
           && batch_line(sink->batch, sink->span.target, 0, n, 1) == n)
    {
        sink->span.target++;
    }

    if (sink->span.target == sink->ntargets) {
        sink_store_dead(sink);
        return;
    }

    sink->span.first = 0;
    sink->span.end = n;

    target = &sink->targets[sink->span.target];
    sink->plain = target->plain.len && target->stage_for == 0
                  && !sink->not_plain && !sink_tombstones(sink);

    if (!sink->plain) {
        target->stage_for -= target->stage_for != 0;
        sink_add(&sink->sql, &target->stage);
    }

    sink_copy_rows(sink, sink_on_rows);
}


/* Whether the span deletes. */

static bool
sink_tombstones(const sink_t *sink)
{
    size_t              i;
    const batch_row_t  *row;

    if (sink->targets[sink->span.target].apply_delete.len == 0) {
        return false;
    }

    for (i = sink->span.first; i < sink->span.end; i++) {
        row = &sink->batch->rows[i];

        if (row->tombstone && batch_is_stored(row, sink->span.target)) {
            return true;
        }
    }

    return false;
}


/* The span's rows into its table, in one string. */

void
sink_copy_rows(sink_t *sink, pg_done_pt done)
{
    sink_target_t  *target;

    target = &sink->targets[sink->span.target];

    /* text while a bad row is looked for: of it errors name the line */

    sink->binary = target->binary && !sink->careful;

    if (sink->plain) {
        sink_add(&sink->sql, sink->binary ? &target->plain_binary
                                          : &target->plain);

    } else {
        sink_add(&sink->sql, sink->binary ? &target->copy_binary
                                          : &target->copy);
        sink_add(&sink->sql, sink_tombstones(sink) ? &target->apply_delete
                                                   : &target->apply);
    }

    sink->copies++;
    sink_send(sink, sink->binary ? sink_binary_rows
                    : target->staged && !sink->plain ? sink_staged_rows
                                                     : sink_rows, done);
}


void
sink_send(sink_t *sink, pg_copy_pt copy, pg_done_pt done)
{
    sink->row = sink->span.first;
    sink->no_memory = false;

    if (buf_failed(&sink->sql)) {
        memset(&sink->sql, 0, sizeof(buf_t));
        sink_stop(sink, SQLSTATE_RECONNECT, "out of memory");
        return;
    }

    if (sink->careful) {
        pg_keep_failed(sink->pg);
    }

    pg_query(sink->pg, sink->sql.data, copy, done, sink);
}


/* Hands the batch back, once no transaction is open any more. */

void
sink_stop(sink_t *sink, sqlstate_action_t action, const char *reason)
{
    /* a time in which nothing could be stored is no time to wait for a row */

    if (action != SQLSTATE_RETRY) {
        sink->later_since = 0;
    }

    sink->outcome.action = action;
    snprintf(sink->outcome.reason, sizeof(sink->outcome.reason), "%s",
             reason);

    if (pg_state(sink->pg) == PG_IDLE
        && PQtransactionStatus(pg_conn(sink->pg)) != PQTRANS_IDLE)
    {
        pg_query(sink->pg, "ROLLBACK", NULL, sink_on_rolled_back, sink);
        return;
    }

    sink_on_rolled_back(sink, NULL);
}


static void
sink_on_rolled_back(void *data, const pg_reply_t *reply)
{
    sink_t   *sink = data;
    batch_t  *batch;

    if (reply && reply->lost) {
        sink->outcome.action = SQLSTATE_RECONNECT;
    }

    batch = sink->batch;
    sink->batch = NULL;
    sink->done(sink->data, batch, &sink->outcome);
}


/* What was sent for want of memory is refused, and no row's fault. */

static void
sink_outcome(const sink_t *sink, outcome_t *outcome, const pg_reply_t *reply,
    const char *what)
{
    sql_outcome(outcome, reply, what);

    if (sink->no_memory && outcome->action == SQLSTATE_ROW) {
        outcome->action = SQLSTATE_RETRY;
        snprintf(outcome->reason, sizeof(outcome->reason), "out of memory");
    }
}


/*
 * Returns 0 when all went well, 1 when rows are at fault, -1 when the batch
 * has ended.
 */

int
sink_failed(sink_t *sink, const pg_reply_t *reply, const char *what)
{
    int64_t    now;
    outcome_t  outcome;

    sink_outcome(sink, &outcome, reply, what);

    switch (outcome.action) {

    case SQLSTATE_OK:
        return 0;

    case SQLSTATE_ROW:
        return 1;

    case SQLSTATE_ROW_LATER:
        now = clock_ms();

        if (sink->later_since == 0) {
            sink->later_since = now;
        }

        if (now - sink->later_since >= SINK_LATER) {
            return 1;
        }

        outcome.action = SQLSTATE_RETRY;
        break;

    default:
        break;
    }

    sink_stop(sink, outcome.action, outcome.reason);

    return -1;
}


/*
 * A key is there already, or twice in the batch, or another daemon is about
 * to add it, or a row is bad: the batch again, by way of temporary tables, and
 * the next ones of that table, since what failed leaves dead rows behind.
 * What the server cannot do now is not tried again at once.
 */

static bool
sink_not_plain(sink_t *sink, const pg_reply_t *reply)
{
    outcome_t  outcome;

    sink_outcome(sink, &outcome, reply, "");

    if (outcome.action == SQLSTATE_OK || outcome.action == SQLSTATE_RECONNECT)
    {
        return false;
    }

    sink->targets[sink->span.target].stage_for = SINK_STAGE;

    /* no key was there, or its error had come first */

    if (outcome.action == SQLSTATE_ROW_LATER) {
        return false;
    }

    if (outcome.action == SQLSTATE_RETRY
        && strcmp(reply->sqlstate, "55P03") != 0
        && strncmp(reply->sqlstate, "40", 2) != 0)
    {
        return false;
    }

    sink->hint = sink_named(sink, reply);
    sink->hint_target = sink->span.target;
    memcpy(sink->hint_state, reply->sqlstate, sizeof(sink->hint_state));
    memcpy(sink->hint_constraint, reply->constraint,
           sizeof(sink->hint_constraint));

    sink->not_plain = true;
    sink->span.target = 0;
    sink->sql.len = 0;
    sink_begin(sink);
    sink_seen(sink);

    return true;
}


static void
sink_on_rows(void *data, const pg_reply_t *reply)
{
    sink_t  *sink = data;

    if (sink->plain && sink_not_plain(sink, reply)) {
        return;
    }

    switch (sink_failed(sink, reply, "could not store rows")) {

    case 0:
        testpoint("after-copy");
        sink->sql.len = 0;

        if (sink->plain) {
            buf_addf(&sink->sql, "SET LOCAL lock_timeout=%d;",
                     SQL_LOCK_TIMEOUT);
        }

        sink->span.target++;
        sink_next_target(sink);
        return;

    case 1:
        sink_look(sink, reply, false);
        return;

    default:
        return;
    }
}


void
sink_store_dead(sink_t *sink)
{
    sink_window_t  window;

    sink->times.copy = sink_clock() - sink->began;
    window = sink->window;

    if (sink->end.commit) {
        sink_commit(sink);
        return;
    }

    if (sink_window_add(&window, sink->batch, sink->conf->hold_above) == -1) {
        sink_stop(sink, SQLSTATE_HOLD, SINK_TOO_MANY);
        return;
    }

    if (sink->batch->dead == 0) {
        sink_commit(sink);
        return;
    }

    sink->span.first = 0;
    sink->span.end = sink->batch->nrows;
    sink->careful = false;

    buf_addf(&sink->sql, "%s", sink->dead_sql.data);
    sink_send(sink, sink_dead_letters, sink_on_dead);
}


static void
sink_on_dead(void *data, const pg_reply_t *reply)
{
    sink_t  *sink = data;

    switch (sink_failed(sink, reply, "could not store dead letters")) {

    case 0:
        sink->sql.len = 0;

        if (sink->dead_topic) {
            dead_topic_send(sink->dead_topic, sink->batch, sink_on_topic,
                            sink);
            return;
        }

        sink_commit(sink);
        return;

    case 1:
        sink_stop(sink, SQLSTATE_HOLD, reply->reason);
        return;

    default:
        return;
    }
}


/* The session stood idle meanwhile, so its end was told to nobody here. */

static void
sink_on_topic(void *data, const outcome_t *outcome)
{
    sink_t  *sink = data;

    if (pg_state(sink->pg) != PG_IDLE
        || PQtransactionStatus(pg_conn(sink->pg)) != PQTRANS_INTRANS)
    {
        sink_stop(sink, SQLSTATE_RECONNECT, "the session ended while dead "
                  "letters went to their topic");
        return;
    }

    if (outcome->action != SQLSTATE_OK) {
        sink_stop(sink, outcome->action, outcome->reason);
        return;
    }

    sink_commit(sink);
}


/* One string, so that no pause of this process parts UPDATE and COMMIT. */

static void
sink_commit(sink_t *sink)
{
    testpoint("before-commit");

    sink->began = sink_clock();

    sink->careful = false;

    if (sink->end.commit) {
        sink->end.commit(sink->end.data, pg_conn(sink->pg), sink->batch,
                         &sink->sql);
    } else {
        offsets_advance(sink->offsets, pg_conn(sink->pg), sink->batch,
                        &sink->sql);
    }

    sink_send(sink, NULL, sink_on_commit);

    testpoint("after-commit");
}


static void
sink_on_commit(void *data, const pg_reply_t *reply)
{
    sink_t  *sink = data;

    switch (sink_failed(sink, reply, "could not commit")) {

    case 0:
        sink->times.commit = sink_clock() - sink->began;
        (void) sink_window_add(&sink->window, sink->batch, 2);
        sink_stop(sink, SQLSTATE_OK, "");
        return;

    case 1:
        /* a constraint that is checked at the end of the transaction */
        if (sink->looked) {
            sink_stop(sink, SQLSTATE_HOLD, reply->reason);
            return;
        }
        sink_look(sink, reply, true);
        return;

    default:
        return;
    }
}
