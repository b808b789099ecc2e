/* One batch, one transaction: rows, dead letters, offsets. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "sink_impl.h"
#include "testpoint.h"


#define SINK_LATER     5000    /* ms a missing foreign key is waited for */
#define SINK_STEP_MIN  16      /* rows, among many bad ones */


static void sink_begin(sink_t *sink);
static void sink_on_rows(void *data, const pg_reply_t *reply);
static void sink_store_dead(sink_t *sink);
static void sink_on_dead(void *data, const pg_reply_t *reply);
static void sink_commit(sink_t *sink);
static void sink_on_commit(void *data, const pg_reply_t *reply);
static void sink_send(sink_t *sink, pg_copy_pt copy, pg_done_pt done);
static void sink_end(sink_t *sink, sqlstate_action_t action,
    const char *reason);
static void sink_on_rolled_back(void *data, const pg_reply_t *reply);
static int sink_failed(sink_t *sink, const pg_reply_t *reply,
    const char *what);
static void sink_look(sink_t *sink);
static void sink_next_span(sink_t *sink);
static void sink_on_span(void *data, const pg_reply_t *reply);
static int sink_push(sink_t *sink, size_t first, size_t end);
static int sink_found(sink_t *sink, size_t row, const pg_reply_t *reply);
static int sink_split(sink_t *sink, const pg_reply_t *reply);


sink_t *
sink_create(const conf_t *conf, offsets_t *offsets)
{
    sink_t  *sink;

    sink = calloc(1, sizeof(sink_t));
    if (sink == NULL) {
        return NULL;
    }

    sink->conf = conf;
    sink->offsets = offsets;
    sink->relation = conf->table_name;

    return sink;
}


void
sink_destroy(sink_t *sink)
{
    if (sink == NULL) {
        return;
    }

    buf_free(&sink->copy_sql);
    buf_free(&sink->dead_sql);
    buf_free(&sink->dead_key);
    buf_free(&sink->sql);
    buf_free(&sink->chunk);
    free(sink->todo);
    free(sink);
}


int
sink_prepare(sink_t *sink, PGconn *conn)
{
    size_t                i, n;
    buf_t                *sql;
    const char           *key[4];
    const conf_column_t  *column;

    sql = &sink->copy_sql;
    sql->len = 0;

    buf_addf(sql, "COPY ");
    sql_table(sql, conn, sink->conf);
    buf_addf(sql, " (");

    for (i = 0, n = 0; i < sink->conf->ncolumns; i++) {
        column = &sink->conf->columns[i];

        if (column->from == CONF_FROM_IDENTITY) {
            continue;
        }

        buf_addf(sql, n++ ? "," : "");
        sql_name(sql, conn, column->name);
    }

    buf_addf(sql, ") FROM STDIN");

    sink->dead_sql.len = 0;
    buf_addf(&sink->dead_sql, "COPY sluice.dead_letters (cluster_id,"
             "group_id,topic,table_name,partition,\"offset\",\"timestamp\","
             "key,headers,value,sqlstate,reason) FROM STDIN");

    key[0] = offsets_cluster(sink->offsets);
    key[1] = sink->conf->group;
    key[2] = sink->conf->topic;
    key[3] = sink->conf->table;
    sink->dead_key.len = 0;

    for (i = 0; i < 4; i++) {
        if (buf_add_copy(&sink->dead_key, key[i], strlen(key[i])) == -1) {
            return -1;
        }
        buf_add(&sink->dead_key, "\t", 1);
    }

    return buf_failed(sql) || buf_failed(&sink->dead_sql)
           || buf_failed(&sink->dead_key) ? -1 : 0;
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

    batch_forget_faults(batch);
    sink_begin(sink);
}


static void
sink_begin(sink_t *sink)
{
    testpoint("before-copy");

    sink->sql.len = 0;
    sql_begin(&sink->sql);

    if (sink->batch->dead == sink->batch->nrows) {
        sink_store_dead(sink);
        return;
    }

    sink->span.first = 0;
    sink->span.end = sink->batch->nrows;

    buf_addf(&sink->sql, "%s", sink->copy_sql.data);
    sink_send(sink, sink_rows, sink_on_rows);
}


static void
sink_send(sink_t *sink, pg_copy_pt copy, pg_done_pt done)
{
    sink->row = sink->span.first;

    if (buf_failed(&sink->sql)) {
        memset(&sink->sql, 0, sizeof(buf_t));
        sink_end(sink, SQLSTATE_RECONNECT, "out of memory");
        return;
    }

    if (sink->careful) {
        pg_keep_failed(sink->pg);
    }

    pg_query(sink->pg, sink->sql.data, copy, done, sink);
}


/* Hands the batch back, once no transaction is open any more. */

static void
sink_end(sink_t *sink, sqlstate_action_t action, const char *reason)
{
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


/*
 * Returns 0 when all went well, 1 when rows are at fault, -1 when the batch
 * has ended.
 */

static int
sink_failed(sink_t *sink, const pg_reply_t *reply, const char *what)
{
    int64_t    now;
    outcome_t  outcome;

    sql_outcome(&outcome, reply, what);

    switch (outcome.action) {

    case SQLSTATE_OK:
        return 0;

    case SQLSTATE_ROW:
        return 1;

    case SQLSTATE_ROW_LATER:
        now = log_clock();

        if (sink->later_since == 0) {
            sink->later_since = now;
        }

        if (sink->careful || now - sink->later_since >= SINK_LATER) {
            return 1;
        }

        outcome.action = SQLSTATE_RETRY;
        break;

    default:
        break;
    }

    sink_end(sink, outcome.action, outcome.reason);

    return -1;
}


static void
sink_on_rows(void *data, const pg_reply_t *reply)
{
    sink_t  *sink = data;

    switch (sink_failed(sink, reply, "could not store rows")) {

    case 0:
        testpoint("after-copy");
        sink->sql.len = 0;
        sink_store_dead(sink);
        return;

    case 1:
        sink_look(sink);
        return;

    default:
        return;
    }
}


/* The text so far is kept: it may hold the beginning of the transaction. */

static void
sink_store_dead(sink_t *sink)
{
    sink_window_t  window;

    window = sink->window;

    if (sink_window_add(&window, sink->batch, sink->conf->hold_above) == -1) {
        sink_end(sink, SQLSTATE_HOLD, "too many records are bad: more than "
                 "\"hold_above\" of the last 1000 would be dead letters");
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
        sink_commit(sink);
        return;

    case 1:
        sink_end(sink, SQLSTATE_HOLD, reply->reason);
        return;

    default:
        return;
    }
}


/* One string, so that no pause of this process parts UPDATE and COMMIT. */

static void
sink_commit(sink_t *sink)
{
    testpoint("before-commit");

    sink->careful = false;
    offsets_advance(sink->offsets, pg_conn(sink->pg), sink->batch,
                    &sink->sql);
    sink_send(sink, NULL, sink_on_commit);

    testpoint("after-commit");
}


static void
sink_on_commit(void *data, const pg_reply_t *reply)
{
    sink_t  *sink = data;

    switch (sink_failed(sink, reply, "could not commit")) {

    case 0:
        sink->later_since = 0;
        (void) sink_window_add(&sink->window, sink->batch, 2);
        sink_end(sink, SQLSTATE_OK, "");
        return;

    case 1:
        /* a constraint that is checked at the end of the transaction */
        if (sink->looked) {
            sink_end(sink, SQLSTATE_HOLD, reply->reason);
            return;
        }
        sink_look(sink);
        return;

    default:
        return;
    }
}


/*
 * A row is at fault: the batch again, in one transaction still, behind a
 * savepoint for every span, with deferred constraints checked at once.
 */

static void
sink_look(sink_t *sink)
{
    sink->careful = true;
    sink->looked = true;
    sink->ntodo = 0;
    sink->step = SIZE_MAX;
    sink->last_bad = SIZE_MAX;
    sink->found = 0;

    batch_forget_faults(sink->batch);

    if (sink_push(sink, 0, sink->batch->nrows) == -1) {
        sink_end(sink, SQLSTATE_RETRY, "out of memory");
        return;
    }

    sink->sql.len = 0;
    sql_begin(&sink->sql);
    offsets_assert(sink->offsets, pg_conn(sink->pg), sink->batch, &sink->sql);
    buf_addf(&sink->sql, "SET CONSTRAINTS ALL IMMEDIATE;SAVEPOINT sluice;");

    sink_next_span(sink);
}


static int
sink_push(sink_t *sink, size_t first, size_t end)
{
    size_t        size;
    sink_span_t  *todo;

    if (first >= end) {
        return 0;
    }

    if (sink->ntodo == sink->todo_size) {
        size = sink->todo_size ? sink->todo_size * 2 : 32;
        todo = realloc(sink->todo, size * sizeof(sink_span_t));
        if (todo == NULL) {
            return -1;
        }
        sink->todo = todo;
        sink->todo_size = size;
    }

    sink->todo[sink->ntodo].first = first;
    sink->todo[sink->ntodo++].end = end;

    return 0;
}


static void
sink_next_span(sink_t *sink)
{
    size_t  line;

    do {
        if (sink->ntodo == 0) {
            sink_store_dead(sink);
            return;
        }

        sink->span = sink->todo[--sink->ntodo];

        if (sink->span.end - sink->span.first > sink->step) {
            line = sink->span.first + sink->step;
            if (sink_push(sink, line, sink->span.end) == -1) {
                sink_end(sink, SQLSTATE_RETRY, "out of memory");
                return;
            }
            sink->span.end = line;
        }

    } while (batch_line(sink->batch, sink->span.first, sink->span.end, 1)
             == sink->span.end);

    buf_addf(&sink->sql, "%s", sink->copy_sql.data);
    sink_send(sink, sink_rows, sink_on_span);
}


static void
sink_on_span(void *data, const pg_reply_t *reply)
{
    sink_t  *sink = data;

    switch (sink_failed(sink, reply, "could not store rows")) {

    case 0:
        if (sink->step < SIZE_MAX / 2) {
            sink->step *= 2;
        }
        sink->sql.len = 0;
        buf_addf(&sink->sql, "RELEASE sluice;SAVEPOINT sluice;");
        sink_next_span(sink);
        return;

    case 1:
        sink->sql.len = 0;
        buf_addf(&sink->sql, "ROLLBACK TO sluice;");

        if (sink_split(sink, reply) == 0) {
            sink_next_span(sink);
        }
        return;

    default:
        return;
    }
}


/* The line COPY names is bad, all before it good; else halves. */

static int
sink_split(sink_t *sink, const pg_reply_t *reply)
{
    int       rc;
    size_t    row, first, end;
    uint64_t  line;

    first = sink->span.first;
    end = sink->span.end;
    line = sink_context_line(sink->relation, reply->context,
                             reply->constraint[0] != '\0');
    row = line ? batch_line(sink->batch, first, end, line) : end;

    if (row == end
        && batch_line(sink->batch, first, end, 2) == end)
    {
        row = batch_line(sink->batch, first, end, 1);
    }

    if (row < end) {
        rc = sink_push(sink, row + 1, end);
        if (rc == 0) {
            rc = sink_push(sink, first, row);
        }
        if (rc == 0) {
            return sink_found(sink, row, reply);
        }

    } else {
        rc = sink_push(sink, first + (end - first) / 2, end);
        if (rc == 0) {
            rc = sink_push(sink, first, first + (end - first) / 2);
        }
    }

    if (rc == -1) {
        sink_end(sink, SQLSTATE_RETRY, "out of memory");
    }

    return rc;
}


static int
sink_found(sink_t *sink, size_t row, const pg_reply_t *reply)
{
    size_t         apart;
    sink_window_t  window;

    if (batch_fault(sink->batch, row, reply->sqlstate, reply->reason) == -1) {
        sink_end(sink, SQLSTATE_RETRY, "out of memory");
        return -1;
    }

    /* among many bad rows short spans, or each would be sent over and over */

    apart = sink->last_bad == SIZE_MAX || row < sink->last_bad
            ? row + 1 : row - sink->last_bad;
    sink->last_bad = row;

    if (++sink->found > 2) {
        sink->step = apart * 4 > SINK_STEP_MIN ? apart * 4 : SINK_STEP_MIN;
    }

    window = sink->window;

    if (sink_window_add(&window, sink->batch, sink->conf->hold_above) == -1) {
        sink_end(sink, SQLSTATE_HOLD, "too many records are bad: more than "
                 "\"hold_above\" of the last 1000 would be dead letters");
        return -1;
    }

    return 0;
}
