/*
 * One batch, one transaction: its states in their order.  A state sends a
 * query string and takes the reply, which leads to the next state.  The states
 * of rows are in sink_rows.c, those of idempotency keys in sink_seen.c;
 * sink_blame.c says what is tried another way.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/testpoint.h"
#include "postgres/sql.h"
#include "store/sink_impl.h"


static void sink_name_tables(const sink_t *sink, const char *from, char *to);
static sink_state_t sink_begin(sink_t *sink);
static sink_state_t sink_copy_dead(sink_t *sink);
static void sink_list(sink_t *sink);
static void sink_doubt(sink_t *sink);
static sink_state_t sink_on_dead(sink_t *sink, const pg_reply_t *reply);
static sink_state_t sink_produce_dead(sink_t *sink);
static void sink_on_topic(void *data, const outcome_t *outcome);
static sink_state_t sink_commit(sink_t *sink);
static sink_state_t sink_on_commit(sink_t *sink, const pg_reply_t *reply);
static sink_state_t sink_roll_back(sink_t *sink);
static sink_state_t sink_on_rolled_back(sink_t *sink,
    const pg_reply_t *reply);
static sink_state_t sink_hand_back(sink_t *sink);


/*
 * The transaction.  Statements of a state that takes no reply are sent with
 * the next query, so BEGIN and the first COPY are one string.
 */
static const struct {
    sink_state_t  (*send)(sink_t *sink);
    sink_state_t  (*reply)(sink_t *sink, const pg_reply_t *reply);
} sink_states[] = {
    /* BEGIN */
    [SINK_BEGIN]    = { sink_begin,        NULL },

    /* SELECT: which idempotency keys are known; COPY sluice.seen: the others */
    [SINK_SEEN]     = { sink_ask,          sink_on_seen },
    [SINK_KEYS]     = { sink_add_keys,     sink_on_keys },

    /* COPY the rows, table by table; with a row at fault part by part */
    [SINK_STAGE]    = { sink_stage,        sink_on_stage },
    [SINK_ROWS]     = { sink_copy_table,   sink_on_table },
    [SINK_LOOK]     = { sink_copy_part,    sink_on_part },

    /* COPY sluice.dead_letters, and the same into a topic */
    [SINK_DEAD]     = { sink_copy_dead,    sink_on_dead },
    [SINK_TOPIC]    = { sink_produce_dead, NULL },

    /* UPDATE sluice.offsets; COMMIT */
    [SINK_COMMIT]   = { sink_commit,       sink_on_commit },

    /* unless it was committed */
    [SINK_ROLLBACK] = { sink_roll_back,    sink_on_rolled_back },
    [SINK_DONE]     = { sink_hand_back,    NULL },

    /* DDL, before BEGIN, of a partition that a row lacks or will need */
    [SINK_PARTITIONS] = { sink_make_partitions, sink_on_partitions }
};


static void
sink_step(sink_t *sink, sink_state_t next)
{
    while (next != SINK_WAIT) {
        sink->state = next;
        next = sink_states[next].send(sink);
    }
}


static void
sink_on_reply(void *data, const pg_reply_t *reply)
{
    sink_t      *sink = data;
    pg_reply_t   told;

    if (strstr(reply->reason, STATEMENTS_STAGE)) {
        told = *reply;
        sink_name_tables(sink, reply->reason, told.reason);
        reply = &told;
    }

    sink->sql.len = 0;
    sink_step(sink, sink_states[sink->state].reply(sink, reply));
}


/* Names the tables instead of the temporary ones; "to" has PG_REASON bytes. */

static void
sink_name_tables(const sink_t *sink, const char *from, char *to)
{
    char           *end;
    size_t          before, len;
    const char     *p;
    unsigned long   number;

    for (len = 0; (p = strstr(from, STATEMENTS_STAGE)) != NULL; from = end) {
        number = strtoul(p + sizeof(STATEMENTS_STAGE) - 1, &end, 10);
        before = (size_t) (p - from);

        len += (size_t) snprintf(to + len, PG_REASON - len, "%.*s%s",
                                 (int) before, from, number < sink->ntables
                                 ? sink->conf->targets[number]->table_name
                                 : "");
        if (len >= PG_REASON) {
            return;
        }
    }

    snprintf(to + len, PG_REASON - len, "%s", from);
}


sink_t *
sink_create(const conf_t *conf, offsets_t *offsets, dead_topic_t *dead_topic,
    const sink_end_t *end)
{
    sink_t  *sink;

    sink = calloc(1, sizeof(sink_t));
    if (sink == NULL) {
        return NULL;
    }

    sink->conf = conf;
    sink->offsets = offsets;
    sink->dead_topic = dead_topic;
    sink->reply = sink_on_reply;
    sink->seen.window = conf->dedupe_window;
    sink->tables = calloc(conf->ntargets, sizeof(sink_table_t));

    if (sink->tables == NULL) {
        free(sink);
        return NULL;
    }

    if (end) {
        sink->end = *end;
    }

    sink->ntables = (unsigned) conf->ntargets;

    return sink;
}


void
sink_destroy(sink_t *sink)
{
    size_t  i;

    if (sink == NULL) {
        return;
    }

    for (i = 0; i < sink->ntables; i++) {
        statements_free(&sink->tables[i].sql);
        order_plan_free(&sink->tables[i].order);
    }

    dead_table_free(&sink->dead);
    seen_free(&sink->seen);
    buf_free(&sink->sql);
    buf_free(&sink->chunk);
    order_free(&sink->order);
    buf_free(&sink->many);
    free(sink->tables);
    free(sink);
}


const sink_figures_t *
sink_figures(const sink_t *sink)
{
    return &sink->figures;
}


int
sink_prepare(sink_t *sink, targets_t *targets)
{
    unsigned  i;

    sink->targets = targets;

    for (i = 0; i < sink->ntables; i++) {
        if (statements_prepare(&sink->tables[i].sql,
                               targets_found(targets, i),
                               targets_tuples(targets, i), i)
            == -1
            || order_plan(&sink->tables[i].order, targets_found(targets, i))
               == -1)
        {
            return -1;
        }
    }

    /* with an end of its own the caller wants no dead letters */

    return sink->end.commit ? 0
           : dead_table_prepare(&sink->dead, sink->conf,
                                offsets_cluster(sink->offsets));
}


static double
sink_clock(void)
{
    return (double) clock_us() / 1e6;
}


void
sink_store(sink_t *sink, pg_t *pg, batch_t *batch, outcome_pt done,
    void *data)
{
    sink->pg = pg;
    sink->batch = batch;
    sink->done = done;
    sink->data = data;
    sink->may_part = true;
    sink_list(sink);
    log_debug("batch: taken, with %zu rows (%zu cannot be stored) and %zu "
              "records left out", batch->nrows, batch->dead,
              batch->filtered);

    testpoint("before-copy");

    sink->began = sink_clock();
    sink->lacks = false;
    sink->parted = 0;
    sink_step(sink, sink_parts_due(sink) ? SINK_PARTITIONS
                                         : sink_anew(sink));
}


/* Links the rows of each table: no table's rows are looked for among all. */

static void
sink_list(sink_t *sink)
{
    size_t         i;
    batch_row_t   *row;
    sink_table_t  *table;

    for (i = 0; i < sink->ntables; i++) {
        sink->tables[i].first = sink->batch->nrows;
    }

    for (i = sink->batch->nrows; i--; ) {
        row = &sink->batch->rows[i];

        if (row->target < sink->ntables) {
            table = &sink->tables[row->target];
            row->next = (uint32_t) table->first;
            table->first = i;
        }
    }
}


static sink_state_t
sink_begin(sink_t *sink)
{
    log_debug("batch: transaction begun%s",
              sink->careful ? " again, to find bad rows" : "");

    sink->span.target = 0;
    sink->span.first = 0;
    sink->sql.len = 0;

    if (PQtransactionStatus(pg_conn(sink->pg)) == PQTRANS_INERROR) {
        buf_addf(&sink->sql, "ROLLBACK;");
    }

    sink_open(sink);

    return SINK_SEEN;
}


static sink_state_t
sink_copy_dead(sink_t *sink)
{
    testpoint("after-copy");

    sink->figures.copy = sink_clock() - sink->began;

    if (sink->end.commit) {
        return SINK_COMMIT;
    }

    if (sink_too_many(sink)) {
        return sink_stop_many(sink);
    }

    if (sink->batch->dead == 0) {
        return SINK_COMMIT;
    }

    sink->span.first = 0;
    sink->careful = false;
    sink_doubt(sink);
    buf_add(&sink->sql, sink->dead.sql.data, sink->dead.sql.len);

    return sink_send(sink, true);
}


/*
 * A record that could not become a row may be able to by now: its table is
 * compared with what was found.
 */

static void
sink_doubt(sink_t *sink)
{
    size_t               row;
    unsigned             i;
    const batch_t       *batch = sink->batch;
    const sink_table_t  *table;

    for (i = 0; i < sink->ntables; i++) {
        table = &sink->tables[i];
        row = table->first;

        while (row < batch->nrows && batch->rows[row].text_len) {
            row = batch->rows[row].next;
        }

        if (row < batch->nrows) {
            statements_add(&table->sql, STATEMENT_SAME, &sink->sql);
        }
    }
}


static sink_state_t
sink_on_dead(sink_t *sink, const pg_reply_t *reply)
{
    switch (sink_judge(sink, reply, "could not store dead letters")) {

    case SQLSTATE_OK:
        log_debug("batch: %zu dead letters stored", sink->batch->dead);
        return SINK_TOPIC;

    case SQLSTATE_ROW:
        return sink_stop(sink, SQLSTATE_HOLD, reply->reason);

    default:
        return SINK_ROLLBACK;
    }
}


static sink_state_t
sink_produce_dead(sink_t *sink)
{
    if (sink->dead_topic == NULL) {
        return SINK_COMMIT;
    }

    dead_topic_send(sink->dead_topic, sink->batch, sink_on_topic, sink);

    return SINK_WAIT;
}


/* The session was idle meanwhile: nothing has called the sink if it ended. */

static void
sink_on_topic(void *data, const outcome_t *outcome)
{
    sink_t        *sink = data;
    sink_state_t   next;

    if (pg_state(sink->pg) != PG_IDLE
        || PQtransactionStatus(pg_conn(sink->pg)) != PQTRANS_INTRANS)
    {
        next = sink_stop(sink, SQLSTATE_RECONNECT, "the session ended while "
                         "dead letters went to their topic");

    } else if (outcome->action != SQLSTATE_OK) {
        next = sink_stop(sink, outcome->action, outcome->reason);

    } else {
        log_debug("batch: %zu dead letters are in topic \"%s\"",
                  sink->batch->dead, sink->conf->dead_topic);
        next = SINK_COMMIT;
    }

    sink_step(sink, next);
}


/* One string: no pause of this process comes between UPDATE and COMMIT. */

static sink_state_t
sink_commit(sink_t *sink)
{
    sink_state_t  next;

    testpoint("before-commit");

    sink->began = sink_clock();
    sink->careful = false;

    if (sink->end.commit) {
        sink->end.commit(sink->end.data, sink->batch, &sink->sql);
    } else {
        offsets_advance(sink->offsets, sink->batch, &sink->sql);
    }

    log_debug("batch: offsets of %zu partitions move, COMMIT is sent",
              sink->batch->nranges);
    next = sink_send(sink, false);

    testpoint("after-commit");

    return next;
}


static sink_state_t
sink_on_commit(sink_t *sink, const pg_reply_t *reply)
{
    switch (sink_judge(sink, reply, "could not commit")) {

    case SQLSTATE_OK:
        sink->figures.commit = sink_clock() - sink->began;
        (void) dead_window_add(&sink->window, sink->batch, 2);
        sink_trust(sink);
        return sink_stop(sink, SQLSTATE_OK, "");

    case SQLSTATE_ROW:
        /* a constraint that is checked at the end of the transaction */
        return sink->looked ? sink_stop(sink, SQLSTATE_HOLD, reply->reason)
                            : sink_look(sink, reply, sink->ntables == 1
                                        ? 0 : sink->ntables);

    default:
        return SINK_ROLLBACK;
    }
}


static sink_state_t
sink_roll_back(sink_t *sink)
{
    if (pg_state(sink->pg) != PG_IDLE
        || PQtransactionStatus(pg_conn(sink->pg)) == PQTRANS_IDLE)
    {
        return SINK_DONE;
    }

    pg_query(sink->pg, "ROLLBACK", NULL, sink->reply, sink);

    return SINK_WAIT;
}


static sink_state_t
sink_on_rolled_back(sink_t *sink, const pg_reply_t *reply)
{
    if (reply->lost) {
        sink->outcome.action = SQLSTATE_RECONNECT;
    }

    return SINK_DONE;
}


static sink_state_t
sink_hand_back(sink_t *sink)
{
    const outcome_t  *outcome;

    outcome = &sink->outcome;

    if (outcome->action == SQLSTATE_OK) {
        log_debug("batch: committed");
    } else {
        log_debug("batch: %s: %s", outcome->action == SQLSTATE_RECONNECT
                  ? "given up with its session" : "rolled back",
                  outcome->reason);
    }

    sink->batch = NULL;
    sink->done(sink->data, outcome);

    return SINK_WAIT;
}
