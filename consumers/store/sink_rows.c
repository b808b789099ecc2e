/*
 * The rows of a batch: table by table, each in one COPY, or in one for tuples
 * and one for lines.  If a row is at fault
 * the batch is stored part by part behind a savepoint, as bisect.c says, still
 * in one transaction and with deferred constraints checked at once.
 */

#include <string.h>

#include "base/log.h"
#include "postgres/sql.h"
#include "store/sink_impl.h"


#define SINK_SWEEP   64     /* bad rows between two sweeps */


static size_t sink_first(const sink_t *sink);
static bool sink_deletes(const sink_t *sink);
static int sink_know(sink_t *sink);
static sink_state_t sink_copy(sink_t *sink);
static bool sink_is_plain(sink_t *sink, const pg_reply_t *reply);
static bool sink_is_known(sink_t *sink, const pg_reply_t *reply);
static int sink_take_absent(sink_t *sink, const pg_reply_t *reply);
static void sink_sweep(sink_t *sink);


sink_state_t
sink_copy_table(sink_t *sink)
{
    sink_table_t  *table;

    sink->span.end = sink->batch->nrows;

    while (sink->span.target < sink->ntables
           && sink_first(sink) == sink->span.end)
    {
        sink->span.target++;
        sink->span.first = 0;
    }

    if (sink->span.target == sink->ntables) {
        return SINK_DEAD;
    }

    table = &sink->tables[sink->span.target];
    sink->known = false;

    if (sink->span.first) {
        /* more of the table, in the other format */

        if (!sink->plain && table->sql.staged) {
            buf_addf(&sink->sql, "TRUNCATE pg_temp.%s;", table->sql.relation);
        }

        return sink_copy(sink);
    }

    sink->plain = table->sql.sql[STATEMENT_PLAIN].len && table->stage_for == 0
                  && !sink->not_plain && !sink_deletes(sink);

    if (sink->plain) {
        return sink_copy(sink);
    }

    table->stage_for -= table->stage_for != 0;
    statements_add(&table->sql, STATEMENT_STAGE, &sink->sql);

    return sink_know(sink) == -1
           ? sink_stop(sink, SQLSTATE_RETRY, SINK_MEMORY) : sink_copy(sink);
}


/* Whether the keys of the table's rows may be known: all are ordered then. */

static int
sink_know(sink_t *sink)
{
    int            rc;
    sink_table_t  *table;

    table = &sink->tables[sink->span.target];

    if (table->sql.sql[STATEMENT_APPLY_KNOWN].len == 0 || sink->not_known
        || sink_deletes(sink))
    {
        return 0;
    }

    if (table->merge_for) {
        table->merge_for--;
        return 0;
    }

    rc = order_rows(&sink->order, &table->order, sink->batch,
                    sink_first(sink));
    sink->known = rc == 0;

    return rc == -1 ? -1 : 0;
}


/* The first row to be stored of the span, or its end. */

static size_t
sink_first(const sink_t *sink)
{
    size_t               row;
    const batch_row_t   *rows;
    const batch_span_t  *span;

    span = &sink->span;
    rows = sink->batch->rows;
    row = sink->tables[span->target].first;

    if (row < span->first) {
        row = span->first;
    }

    while (row < span->end && !batch_is_stored(&rows[row], span->target)) {
        row = rows[row].target == span->target ? rows[row].next : row + 1;
    }

    return row < span->end ? row : span->end;
}


/* Whether the span has a tombstone. */

static bool
sink_deletes(const sink_t *sink)
{
    size_t              i;
    const batch_row_t  *row;

    if (!sink->tables[sink->span.target].sql.gone) {
        return false;
    }

    for (i = sink_first(sink); i < sink->span.end; i = row->next) {
        row = &sink->batch->rows[i];

        if (row->tombstone && batch_is_stored(row, sink->span.target)) {
            return true;
        }
    }

    return false;
}


/* Copies the span into its table, in one string. */

static sink_state_t
sink_copy(sink_t *sink)
{
    sink_table_t  *table;

    table = &sink->tables[sink->span.target];

    sink->span.first = sink_first(sink);
    sink->span.end = batch_alike(sink->batch, sink->span.first,
                                 sink->span.end);
    sink->header = sink->batch->rows[sink->span.first].tuple;
    sink->staged = table->sql.staged && !sink->plain;

    if (sink->plain) {
        statements_add(&table->sql, sink->header
                       ? STATEMENT_PLAIN_TUPLES : STATEMENT_PLAIN,
                       &sink->sql);

    } else {
        statements_add(&table->sql, sink->header
                       ? STATEMENT_COPY_TUPLES : STATEMENT_COPY, &sink->sql);
        statements_add(&table->sql, STATEMENT_LOCK, &sink->sql);
        statements_add(&table->sql, sink->known ? STATEMENT_APPLY_KNOWN
                       : sink_deletes(sink) ? STATEMENT_APPLY_DELETE
                       : STATEMENT_APPLY, &sink->sql);
    }

    sink->figures.copies++;

    return sink_send(sink, true);
}


sink_state_t
sink_on_table(sink_t *sink, const pg_reply_t *reply)
{
    const char  *table;

    table = sink->conf->targets[sink->span.target]->table;

    if (sink_lacks(sink, reply)) {
        return SINK_PARTITIONS;
    }

    if (sink->plain && !sink_is_plain(sink, reply)) {
        log_debug("batch: rows of \"%s\" need a temporary table: %s (%s)",
                  table, reply->reason, reply->sqlstate);
        return SINK_BEGIN;
    }

    if (sink->known && !sink_is_known(sink, reply)) {
        log_debug("batch: rows of \"%s\" need a merge: %s (%s)", table,
                  reply->reason, reply->sqlstate);
        return SINK_BEGIN;
    }

    switch (sink_judge(sink, reply, "could not store rows")) {

    case SQLSTATE_OK:
        log_debug("batch: rows of \"%s\" copied%s", table,
                  sink->plain ? " plainly"
                  : sink->known ? ", in the order of their keys" : "");

        if (sink->plain) {
            buf_addf(&sink->sql, "SET LOCAL lock_timeout=%d;",
                     SQL_LOCK_TIMEOUT);
        }

        if (sink_take_absent(sink, reply) == -1) {
            return sink_stop(sink, SQLSTATE_RETRY, SINK_MEMORY);
        }

        sink->span.first = sink->span.end;
        return SINK_ROWS;

    case SQLSTATE_ROW:
        return sink_look(sink, reply, sink->span.target);

    default:
        return SINK_ROLLBACK;
    }
}


/*
 * A plain COPY fails if a key is in the table already or twice in the batch, if
 * another daemon is about to add a key, or if a row is bad.  The batch then
 * goes through temporary tables, and so do the next ones of that table, since
 * a failed COPY leaves dead tuples in it.  An error of the server itself is no
 * reason to try again at once.
 */

static bool
sink_is_plain(sink_t *sink, const pg_reply_t *reply)
{
    outcome_t  outcome;

    sink_outcome(sink, &outcome, reply, "");

    if (outcome.action == SQLSTATE_OK || outcome.action == SQLSTATE_RECONNECT)
    {
        return true;
    }

    sink->tables[sink->span.target].stage_for = SINK_DETOUR;

    /* a known key would have been an error first */

    if (outcome.action == SQLSTATE_ROW_LATER) {
        return true;
    }

    if (outcome.action == SQLSTATE_RETRY
        && strcmp(reply->sqlstate, "55P03") != 0
        && strncmp(reply->sqlstate, "40", 2) != 0)
    {
        return true;
    }

    sink->not_plain = true;

    return false;
}


/* What a table or a grant forbids is tried by the merge, which says its own. */

static bool
sink_is_known(sink_t *sink, const pg_reply_t *reply)
{
    outcome_t  outcome;

    sink_outcome(sink, &outcome, reply, "");

    if (outcome.action != SQLSTATE_HOLD) {
        return true;
    }

    sink->tables[sink->span.target].merge_for = SINK_DETOUR;
    sink->not_known = true;

    return false;
}


sink_state_t
sink_look(sink_t *sink, const pg_reply_t *reply, unsigned target)
{
    log_debug("batch: a row is at fault: %s (%s)", reply->reason,
              reply->sqlstate);

    sink->careful = true;
    sink->looked = true;
    sink->plain = false;
    sink->known = false;
    sink_look_anew(sink);

    bisect_begin(&sink->bisect, sink->batch, sink->ntables,
                 sink->doubt ? sink->ntables : target);

    return SINK_BEGIN;
}


/* Only where a row is at fault: all temporary tables, and a savepoint. */

sink_state_t
sink_stage(sink_t *sink)
{
    unsigned  i;

    if (!sink->careful) {
        return SINK_ROWS;
    }

    for (i = 0; i < sink->ntables; i++) {
        statements_add(&sink->tables[i].sql, STATEMENT_STAGE, &sink->sql);
    }

    buf_addf(&sink->sql, "SET CONSTRAINTS ALL IMMEDIATE;SAVEPOINT sluice%u;",
             ++sink->savepoint);

    return sink_send(sink, false);
}


/* No row is at fault here, and what fails from here on has a savepoint. */

sink_state_t
sink_on_stage(sink_t *sink, const pg_reply_t *reply)
{
    switch (sink_judge(sink, reply, "could not prepare to find bad rows")) {

    case SQLSTATE_OK:
        return SINK_LOOK;

    case SQLSTATE_ROW:
        return sink_stop(sink, SQLSTATE_HOLD, reply->reason);

    default:
        return SINK_ROLLBACK;
    }
}


sink_state_t
sink_copy_part(sink_t *sink)
{
    if (!bisect_next(&sink->bisect, sink->batch)) {
        return sink_looked(sink);
    }

    sink->span = sink->bisect.part;

    return sink_copy(sink);
}


sink_state_t
sink_on_part(sink_t *sink, const pg_reply_t *reply)
{
    size_t  row;

    if (sink_lacks(sink, reply)) {
        return SINK_PARTITIONS;
    }

    switch (sink_judge(sink, reply, "could not store rows")) {

    case SQLSTATE_OK:
        log_debug("batch: rows %zu to %zu copied", sink->span.first,
                  sink->span.end - 1);
        bisect_passed(&sink->bisect);
        sink->tables[sink->span.target].passed = true;

        if (sink_take_absent(sink, reply) == -1) {
            return sink_stop(sink, SQLSTATE_RETRY, SINK_MEMORY);
        }

        sink_sweep(sink);
        return SINK_LOOK;

    case SQLSTATE_ROW:
        break;

    default:
        return SINK_ROLLBACK;
    }

    log_debug("batch: rows %zu to %zu not copied: %s (%s)", sink->span.first,
              sink->span.end - 1, reply->reason, reply->sqlstate);
    buf_addf(&sink->sql, "ROLLBACK TO sluice%u;", sink->savepoint);

    if (sink->bisect.found % SINK_SWEEP == SINK_SWEEP - 1) {
        sink_sweep(sink);
    }

    if (bisect_failed(&sink->bisect, sink->batch, reply, &row) == -1) {
        return sink_stop(sink, SQLSTATE_RETRY, SINK_MEMORY);
    }

    if (row != BISECT_NONE && !sink_suspect(sink, row, reply)) {
        return sink_in_vain(sink);
    }

    if (row != BISECT_NONE && sink_too_many(sink)) {
        return sink_stop_many(sink);
    }

    return SINK_LOOK;
}


/* Mode "update": records without a row are left out, or dead letters. */

static int
sink_take_absent(sink_t *sink, const pg_reply_t *reply)
{
    int       row;
    size_t    place;
    batch_t  *batch;

    batch = sink->batch;

    if (!sink->tables[sink->span.target].sql.absent || reply->rows == NULL) {
        return 0;
    }

    for (row = 0; row < PQntuples(reply->rows); row++) {
        place = (size_t) sql_number(reply->rows, row, 0);

        if (place >= batch->nrows) {
            continue;
        }

        if (sink->conf->targets[sink->span.target]->absent
            == CONF_ABSENT_FILTER)
        {
            batch_absent(batch, place);

        } else if (batch_fault(batch, place, "02000", "no row of the table has "
                               "the record's key")
                   == -1)
        {
            return -1;
        }
    }

    log_debug("batch: %d records have no row to update",
              PQntuples(reply->rows));

    return 0;
}


/*
 * Empties the temporary table, also of what failed tries left in it.  In the
 * transaction that made the table this is done in place.  The new savepoint
 * has a name of its own: going back to it fails where the server did not come
 * so far, instead of taking back what the last part stored.
 */

static void
sink_sweep(sink_t *sink)
{
    const statements_t  *table;

    table = &sink->tables[sink->span.target].sql;

    buf_addf(&sink->sql, "RELEASE sluice%u;", sink->savepoint);

    if (table->staged) {
        buf_addf(&sink->sql, "TRUNCATE pg_temp.%s;", table->relation);
    }

    buf_addf(&sink->sql, "SAVEPOINT sluice%u;", ++sink->savepoint);
}
