/* What the sink's states share: BEGIN, sending a query, judging its reply. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/testpoint.h"
#include "base/text.h"
#include "postgres/sql.h"
#include "store/sink_impl.h"


#define SINK_LATER  5000                 /* ms, for a missing foreign key */

#define SINK_TRIM   (4 * 1024 * 1024)    /* bytes a chunk may keep */


static size_t sink_chunk(void *data, const char **chunk);
static size_t sink_lines(sink_t *sink, const char **chunk);
static int sink_tuples(sink_t *sink, buf_t *out);
static int sink_staged_line(const sink_t *sink, size_t place,
    const batch_row_t *row, buf_t *out);


/*
 * The search for bad rows takes long: it begins only if the claims stand.  So
 * does another try: the record that failed may have been put aside meanwhile.
 */

void
sink_open(sink_t *sink)
{
    sql_begin(&sink->sql);

    if ((sink->careful || sink->failures) && sink->end.commit == NULL) {
        offsets_assert(sink->offsets, sink->batch, &sink->sql);
    }
}


sink_state_t
sink_send(sink_t *sink, bool copy)
{
    sink->row = sink->span.first;
    sink->no_memory = false;
    sink->no_tuple = false;

    if (buf_failed(&sink->sql)) {
        memset(&sink->sql, 0, sizeof(buf_t));
        return sink_stop(sink, SQLSTATE_RECONNECT, SINK_MEMORY);
    }

    if (sink->careful) {
        pg_keep_failed(sink->pg);
    }

    pg_query(sink->pg, sink->sql.data, copy ? sink_chunk : NULL, sink->reply,
             sink);

    return SINK_WAIT;
}


/*
 * The next bytes of the state's COPY.  Where memory is short, or where a line
 * becomes no tuple, a text is sent that PostgreSQL refuses, as it is neither a
 * tuple nor a line of a table with a number: nothing is stored.
 */

static size_t
sink_chunk(void *data, const char **chunk)
{
    int      rc;
    size_t   len;
    buf_t   *out;
    sink_t  *sink = data;

    out = &sink->chunk;
    out->len = 0;

    switch (sink->state) {

    case SINK_KEYS:
        rc = seen_chunk(&sink->seen, sink->batch, out);
        break;

    case SINK_DEAD:
        rc = dead_table_chunk(&sink->dead, sink->batch, &sink->row, out);
        break;

    default:
        if (sink->tuples == NULL && !sink->staged) {
            len = sink_lines(sink, chunk);
            testpoint_copy(sink->row);
            return len;
        }

        rc = sink_tuples(sink, out);
        testpoint_copy(sink->row);
        break;
    }

    if (rc != 0) {
        sink->no_memory = rc == -1;
        sink->no_tuple = rc == 1;
        buf_free(out);
        *chunk = rc == -1 ? SINK_MEMORY "\n" : "a line is no tuple\n";
        return strlen(*chunk);
    }

    /* one huge record may have grown it far beyond its bound */

    if (out->size > SINK_TRIM && out->len == 0) {
        buf_free(out);
    }

    *chunk = out->data;

    return out->len;
}


/* The next lines without a gap; a line that is not sent makes one. */

static size_t
sink_lines(sink_t *sink, const char **chunk)
{
    size_t              i, len, text;
    const batch_t      *batch;
    const batch_row_t  *row;

    batch = sink->batch;
    len = 0;
    text = 0;

    for (i = sink->row; i < sink->span.end; i = row->next) {
        row = &batch->rows[i];

        if (!batch_is_stored(row, sink->span.target)) {
            continue;
        }

        if (len && (row->text != text + len || len >= BATCH_CHUNK)) {
            break;
        }

        if (len == 0) {
            text = row->text;
            *chunk = batch->text.data + text;
        }

        len += row->text_len;
    }

    sink->row = i;

    return len;
}


/* Tuples of the binary format, or lines for a temporary table. */

static int
sink_tuples(sink_t *sink, buf_t *out)
{
    int                 rc;
    bool                gone, tombstone;
    size_t              place;
    const char         *line;
    const batch_row_t  *row;

    gone = sink->tables[sink->span.target].sql.gone;

    if (sink->tuples && sink->row == sink->span.first) {
        buf_add(out, TUPLES_HEADER, TUPLES_HEADER_LEN);
    }

    while (sink->row < sink->span.end && !buf_failed(out)
           && out->len < BATCH_CHUNK)
    {
        place = sink->row;
        row = &sink->batch->rows[place];
        sink->row = row->next;

        if (!batch_is_stored(row, sink->span.target)) {
            continue;
        }

        line = sink->batch->text.data + row->text;
        tombstone = row->tombstone;

        if (sink->tuples == NULL) {
            rc = sink_staged_line(sink, place, row, out);

        } else if (sink->staged) {
            rc = tuples_add_staged(sink->tuples, (int32_t) place,
                                   gone ? &tombstone : NULL, line,
                                   row->text_len, out);
        } else {
            rc = tuples_add(sink->tuples, line, row->text_len, out);
        }

        if (rc != 0) {
            return rc;
        }
    }

    return buf_failed(out) ? -1 : 0;
}


/* A line behind the row's place and its kind. */

static int
sink_staged_line(const sink_t *sink, size_t place, const batch_row_t *row,
    buf_t *out)
{
    char  *p;

    if (buf_reserve(out, 32 + row->text_len) == -1) {
        return -1;
    }

    p = text_put_int(out->data + out->len, (int64_t) place);
    *p++ = '\t';

    if (sink->tables[sink->span.target].sql.gone) {
        *p++ = row->tombstone ? 't' : 'f';
        *p++ = '\t';
    }

    memcpy(p, sink->batch->text.data + row->text, row->text_len);
    out->len = (size_t) (p - out->data) + row->text_len;

    return 0;
}


/* The text that was sent because memory was short is no row's fault. */

void
sink_outcome(const sink_t *sink, outcome_t *outcome, const pg_reply_t *reply,
    const char *what)
{
    sqlstate_outcome(outcome, reply, what);

    if (sink->no_memory && outcome->action == SQLSTATE_ROW) {
        outcome->action = SQLSTATE_RETRY;
        snprintf(outcome->reason, sizeof(outcome->reason), SINK_MEMORY);
    }
}


sqlstate_action_t
sink_judge(sink_t *sink, const pg_reply_t *reply, const char *what)
{
    int64_t    now;
    outcome_t  outcome;

    sink_outcome(sink, &outcome, reply, what);
    sink->doubt = false;

    if (outcome.action == SQLSTATE_OK || outcome.action == SQLSTATE_ROW) {
        return outcome.action;
    }

    if (outcome.action == SQLSTATE_ROW_LATER) {
        now = clock_ms();

        if (sink->later_since == 0) {
            sink->later_since = now;
        }

        if (now - sink->later_since >= SINK_LATER) {
            return SQLSTATE_ROW;
        }

        outcome.action = SQLSTATE_RETRY;

    } else if (outcome.action != SQLSTATE_FENCED) {
        sink_blame(sink, reply, &outcome);

        if (outcome.action == SQLSTATE_ROW) {
            return SQLSTATE_ROW;
        }
    }

    (void) sink_stop(sink, outcome.action, outcome.reason);

    return outcome.action;
}


bool
sink_too_many(const sink_t *sink)
{
    dead_window_t  window;

    if (sink->end.commit || sink->conf->hold_above >= 1) {
        return false;
    }

    window = sink->window;

    return dead_window_add(&window, sink->batch, sink->conf->hold_above)
           == -1;
}


sink_state_t
sink_stop_many(sink_t *sink)
{
    int                    len;
    size_t                 i, n;
    buf_t                 *text;
    const batch_t         *batch;
    const batch_row_t     *row;
    const record_fault_t  *fault;

    batch = sink->batch;
    text = &sink->many;

    if (text->len && sink->many_of == batch->generation) {
        return sink_stop(sink, SQLSTATE_HOLD, text->data);
    }

    text->len = 0;
    sink->many_of = batch->generation;
    buf_addf(text, "too many records are bad: more than \"hold_above\" of the "
             "last 1000 would be dead letters");

    for (i = 0, n = 0; i < batch->nrows && n < SINK_EXAMPLES; i++) {
        row = &batch->rows[i];

        if (row->fault == 0) {
            continue;
        }

        fault = &batch->faults[row->fault - 1];
        len = (int) strnlen(fault->reason, SINK_EXAMPLE);

        /* whole code points only */
        while (len && ((unsigned char) fault->reason[len] & 0xc0) == 0x80) {
            len--;
        }

        buf_addf(text, "%s partition %" PRId32 ", offset %" PRId64
                 ": %.*s (%s)", n++ ? ";" : ", for example",
                 batch->ranges[row->range].partition, row->offset, len,
                 fault->reason, fault->sqlstate);
    }

    if (buf_failed(text)) {
        buf_free(text);
        return sink_stop(sink, SQLSTATE_RETRY, SINK_MEMORY);
    }

    return sink_stop(sink, SQLSTATE_HOLD, text->data);
}
