/*
 * A row is at fault: the batch again, in one transaction still, behind a
 * savepoint for every span, with deferred constraints checked at once.  Where
 * PostgreSQL names the line that row is left out and the rest goes at once;
 * where it does not, halves: log2 n + 2 COPYs for one bad row among n.  Where
 * it named one as the batch was copied plainly, that one is tried alone.
 */

#include <stdlib.h>
#include <string.h>

#include "store/sink_impl.h"


#define SINK_SWEEP  64    /* bad rows between two sweeps */


static int sink_push_failed(sink_t *sink, const sink_span_t *span,
    const pg_reply_t *reply);
static void sink_next_span(sink_t *sink);
static void sink_on_span(void *data, const pg_reply_t *reply);
static void sink_sweep(sink_t *sink);
static int sink_push(sink_t *sink, const sink_span_t *span);
static int sink_halve(sink_t *sink, const sink_span_t *span);
static void sink_join(sink_t *sink);
static int sink_limit(sink_t *sink);
static int sink_split(sink_t *sink, const pg_reply_t *reply);
static int sink_found(sink_t *sink, size_t row, const pg_reply_t *reply);


void
sink_look(sink_t *sink, const pg_reply_t *reply, bool any)
{
    int          rc;
    bool         bad;
    size_t       row;
    unsigned     target, failed;
    sink_span_t  span;

    failed = sink->span.target;
    row = any ? SIZE_MAX : sink_named(sink, reply);

    /* what is no tuple, as COPY says then, may be a line that goes well */
    bad = !sink->binary || strstr(reply->context, "COPY ") == NULL;

    sink->careful = true;
    sink->plain = false;
    sink->looked = true;
    sink->ntodo = 0;
    sink->step = SIZE_MAX;
    sink->last_bad = SIZE_MAX;
    sink->found = 0;

    batch_forget_faults(sink->batch);
    memset(&span, 0, sizeof(sink_span_t));
    span.end = sink->batch->nrows;
    rc = 0;

    for (target = sink->ntargets; rc == 0 && target-- > 0; ) {
        span.target = target;
        span.bad = any ? sink->ntargets == 1
                       : target == failed && row == SIZE_MAX && bad;
        rc = target == failed && row == SIZE_MAX && !any
             ? sink_push_failed(sink, &span, reply)
             : sink_push(sink, &span);
    }

    if (rc == -1) {
        sink_stop(sink, SQLSTATE_RETRY, "out of memory");
        return;
    }

    if (row != SIZE_MAX && sink_found(sink, row, reply) == -1) {
        return;
    }

    sink->sql.len = 0;
    sink_begin(sink);
    sink_seen(sink);
}


/* Behind the transaction's beginning. */

void
sink_look_on(sink_t *sink)
{
    unsigned  i;

    for (i = 0; i < sink->ntargets; i++) {
        sink_add(&sink->sql, &sink->targets[i].stage);
    }

    buf_addf(&sink->sql, "SET CONSTRAINTS ALL IMMEDIATE;SAVEPOINT sluice;");
    sink_next_span(sink);
}


size_t
sink_named(const sink_t *sink, const pg_reply_t *reply)
{
    size_t                row;
    uint64_t              line;
    const sink_span_t    *span;
    const sink_target_t  *target;

    span = &sink->span;
    target = &sink->targets[span->target];
    line = sink_context_line(sink->plain ? target->conf->table_name
                                         : target->relation, reply->context,
                             reply->constraint[0] != '\0'
                             || strcmp(reply->sqlstate, "23502") == 0);
    row = line ? batch_line(sink->batch, span->target, span->first, span->end,
                            line)
               : span->end;

    if (row == span->end
        && batch_line(sink->batch, span->target, span->first, span->end, 2)
           == span->end)
    {
        row = batch_line(sink->batch, span->target, span->first, span->end,
                         1);
    }

    return row < span->end ? row : SIZE_MAX;
}


static int
sink_push(sink_t *sink, const sink_span_t *span)
{
    size_t        size;
    sink_span_t  *todo;

    if (batch_line(sink->batch, span->target, span->first, span->end, 1)
        == span->end)
    {
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

    sink->todo[sink->ntodo++] = *span;

    return 0;
}


/* The whole batch, in which a row is at fault for the first time. */

static int
sink_push_failed(sink_t *sink, const sink_span_t *span,
    const pg_reply_t *reply)
{
    size_t       i, bounds[4];
    sink_span_t  part;

    if (sink->hint == SIZE_MAX || sink->hint_target != span->target
        || strcmp(sink->hint_state, reply->sqlstate) != 0
        || strcmp(sink->hint_constraint, reply->constraint) != 0)
    {
        return sink_push(sink, span);
    }

    bounds[0] = span->first;
    bounds[1] = sink->hint;
    bounds[2] = sink->hint + 1;
    bounds[3] = span->end;
    part = *span;

    for (i = 3; i-- > 0; ) {
        part.first = bounds[i];
        part.end = bounds[i + 1];
        part.bad = i == 1;

        if (sink_push(sink, &part) == -1) {
            return -1;
        }
    }

    return 0;
}


/* A span with a bad row and more: its right half, and on top its left. */

static int
sink_halve(sink_t *sink, const sink_span_t *span)
{
    size_t       before, middle;
    sink_span_t  half;

    middle = span->first + (span->end - span->first) / 2;
    half = *span;
    half.first = middle;
    half.bad = false;
    half.sibling = true;
    before = sink->ntodo;

    if (sink_push(sink, &half) == -1) {
        return -1;
    }

    half.first = span->first;
    half.end = middle;
    half.sibling = false;
    half.bad = sink->ntodo == before;      /* nothing is in the other one */
    before = sink->ntodo;

    if (sink_push(sink, &half) == -1) {
        return -1;
    }

    if (sink->ntodo == before && before) {
        sink->todo[before - 1].sibling = false;
        sink->todo[before - 1].bad = true;
    }

    return 0;
}


/* What lies behind a span is stored with it, unless something is known. */

static void
sink_join(sink_t *sink)
{
    sink_span_t  *top;

    while (sink->ntodo && !sink->span.bad) {
        top = &sink->todo[sink->ntodo - 1];

        if (top->bad || top->sibling || top->first != sink->span.end
            || top->target != sink->span.target)
        {
            return;
        }

        sink->span.end = top->end;
        sink->ntodo--;
    }
}


/* Among many bad rows short spans, or each would be sent over and over. */

static int
sink_limit(sink_t *sink)
{
    sink_span_t  rest;

    if (sink->span.end - sink->span.first <= sink->step) {
        return 0;
    }

    rest = sink->span;
    rest.first = sink->span.first + sink->step;
    rest.bad = false;
    sink->span.end = rest.first;

    return sink_push(sink, &rest);
}


static void
sink_next_span(sink_t *sink)
{
    size_t  end;

    for ( ;; ) {

        if (sink->ntodo == 0) {
            sink_store_dead(sink);
            return;
        }

        sink->span = sink->todo[--sink->ntodo];
        sink->span.sibling = false;
        end = sink->span.end;
        sink_join(sink);

        if (sink->span.bad
            && batch_line(sink->batch, sink->span.target, sink->span.first,
                          end, 2) < end
            && sink->step >= end - sink->span.first)
        {
            if (sink_halve(sink, &sink->span) == -1) {
                sink_stop(sink, SQLSTATE_RETRY, "out of memory");
                return;
            }
            continue;
        }

        if (sink_limit(sink) == -1) {
            sink_stop(sink, SQLSTATE_RETRY, "out of memory");
            return;
        }

        if (batch_line(sink->batch, sink->span.target, sink->span.first,
                       sink->span.end, 1) < sink->span.end)
        {
            break;
        }
    }

    sink_copy_rows(sink, sink_on_span);
}


static void
sink_on_span(void *data, const pg_reply_t *reply)
{
    int      rc;
    size_t   i;
    sink_t  *sink = data;

    rc = sink_failed(sink, reply, "could not store rows");

    if (rc == -1) {
        return;
    }

    for (i = sink->ntodo; i-- > 0; ) {
        if (sink->todo[i].sibling) {
            /* the bad row is not in the left half; or nothing is known */
            sink->todo[i].sibling = false;
            sink->todo[i].bad = rc == 0 && i == sink->ntodo - 1;
        }
    }

    sink->sql.len = 0;

    if (rc == 1) {
        buf_addf(&sink->sql, "ROLLBACK TO sluice;");
        if (sink->found % SINK_SWEEP == SINK_SWEEP - 1) {
            sink_sweep(sink);
        }
        if (sink_split(sink, reply) == 0) {
            sink_next_span(sink);
        }
        return;
    }

    if (sink->step < SIZE_MAX / 2) {
        sink->step *= 2;
    }

    sink_sweep(sink);
    sink_next_span(sink);
}


/*
 * Empties the temporary table, of what failed tries left in it, too: in the
 * transaction that made it that is done in place.
 */

static void
sink_sweep(sink_t *sink)
{
    sink_target_t  *target;

    target = &sink->targets[sink->span.target];

    buf_addf(&sink->sql, "RELEASE sluice;");

    if (target->staged) {
        buf_addf(&sink->sql, "TRUNCATE pg_temp.%s;", target->relation);
    }

    buf_addf(&sink->sql, "SAVEPOINT sluice;");
}


static int
sink_split(sink_t *sink, const pg_reply_t *reply)
{
    size_t       row;
    sink_span_t  span;

    row = sink_named(sink, reply);
    span = sink->span;
    span.bad = row == SIZE_MAX;

    if (row == SIZE_MAX) {
        if (sink_halve(sink, &span) == -1) {
            sink_stop(sink, SQLSTATE_RETRY, "out of memory");
            return -1;
        }
        return 0;
    }

    if (sink_found(sink, row, reply) == -1) {
        return -1;
    }

    if (sink_push(sink, &span) == -1) {
        sink_stop(sink, SQLSTATE_RETRY, "out of memory");
        return -1;
    }

    return 0;
}


static int
sink_found(sink_t *sink, size_t row, const pg_reply_t *reply)
{
    size_t         apart;
    sink_window_t  window;

    if (batch_fault(sink->batch, row, reply->sqlstate, reply->reason) == -1) {
        sink_stop(sink, SQLSTATE_RETRY, "out of memory");
        return -1;
    }

    apart = sink->last_bad == SIZE_MAX || row < sink->last_bad
            ? row + 1 : row - sink->last_bad;
    sink->last_bad = row;

    if (++sink->found > 2) {
        sink->step = apart > 1 ? apart * 2 : 1;
    }

    if (sink->end.commit || sink->conf->hold_above >= 1) {
        return 0;
    }

    window = sink->window;

    if (sink_window_add(&window, sink->batch, sink->conf->hold_above) == -1) {
        sink_stop(sink, SQLSTATE_HOLD, SINK_TOO_MANY);
        return -1;
    }

    return 0;
}
