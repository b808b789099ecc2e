/* What the sink's states share: BEGIN, sending a query, judging its reply. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/testpoint.h"
#include "base/text.h"
#include "postgres/sql.h"
#include "row/tuple.h"
#include "store/sink_impl.h"


#define SINK_LATER  5000                 /* ms, for a missing foreign key */

#define SINK_TRIM   (4 * 1024 * 1024)    /* bytes a chunk may keep */


static size_t sink_chunk(void *data, const char **chunk);
static size_t sink_as_they_are(sink_t *sink, const char **chunk);
static int sink_staged(sink_t *sink, buf_t *out);
static int sink_ordered(sink_t *sink, buf_t *out);
static int sink_staged_row(const sink_t *sink, size_t i, int64_t place,
    buf_t *out);
static void sink_outside(const sink_t *sink, outcome_t *outcome,
    const pg_reply_t *reply);


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
    sink->row = sink->known ? 0 : sink->span.first;
    sink->no_memory = false;

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
 * The next bytes of the state's COPY.  Where memory is short, a text is sent
 * that PostgreSQL refuses, as it is neither a tuple nor a line of a table with
 * a number: nothing is stored.
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
        if (sink->header) {
            sink->header = false;
            *chunk = TUPLES_HEADER;
            return TUPLES_HEADER_LEN;
        }

        if (!sink->staged) {
            len = sink_as_they_are(sink, chunk);
            testpoint_copy(sink->row);
            return len;
        }

        rc = sink->known ? sink_ordered(sink, out) : sink_staged(sink, out);
        testpoint_copy(sink->row);
        break;
    }

    if (rc != 0) {
        sink->no_memory = true;
        buf_free(out);
        *chunk = SINK_MEMORY "\n";
        return strlen(*chunk);
    }

    /* one huge record may have grown it far beyond its bound */

    if (out->size > SINK_TRIM && out->len == 0) {
        buf_free(out);
    }

    *chunk = out->data;

    return out->len;
}


/* The next rows without a gap; a row that is not sent makes one. */

static size_t
sink_as_they_are(sink_t *sink, const char **chunk)
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


/* Rows for a temporary table. */

static int
sink_staged(sink_t *sink, buf_t *out)
{
    size_t              place;
    const batch_row_t  *row;

    while (sink->row < sink->span.end && out->len < BATCH_CHUNK) {
        place = sink->row;
        row = &sink->batch->rows[place];
        sink->row = row->next;

        if (batch_is_stored(row, sink->span.target)
            && sink_staged_row(sink, place, (int64_t) place, out) == -1)
        {
            return -1;
        }
    }

    return 0;
}


/*
 * The same in the order of their keys, in which sink->row is a place.  What is
 * not its key's last is sent too: PostgreSQL has to judge its values.
 */

static int
sink_ordered(sink_t *sink, buf_t *out)
{
    bool    last;
    size_t  row;

    while (sink->row < sink->order.n && out->len < BATCH_CHUNK) {
        row = order_row(&sink->order, sink->row++, &last);

        if (sink_staged_row(sink, row, last ? 0 : STATEMENTS_PASSED, out)
            == -1)
        {
            return -1;
        }
    }

    return 0;
}


/* A row with its place, and with its kind where there are tombstones. */

static int
sink_staged_row(const sink_t *sink, size_t i, int64_t place, buf_t *out)
{
    char               *p;
    size_t              len;
    const bool          gone = sink->tables[sink->span.target].sql.gone;
    uint16_t            fields;
    const char         *text;
    const batch_row_t  *row;

    row = &sink->batch->rows[i];
    text = sink->batch->text.data + row->text;
    len = row->text_len;

    if (buf_reserve(out, 32 + len) == -1) {
        return -1;
    }

    p = out->data + out->len;

    if (row->tuple) {
        /* more fields, an integer and a boolean */
        memcpy(&fields, text, 2);
        binary_put_int(p, be16toh(fields) + 1U + gone, 2);
        binary_put_int(p + 2, 4, 4);
        binary_put_int(p + 6, (uint64_t) place, 4);
        p += 10;

        if (gone) {
            binary_put_int(p, 1, 4);
            p[4] = row->tombstone;
            p += 5;
        }

        text += 2;
        len -= 2;

    } else {
        p = text_put_int(p, place);
        *p++ = '\t';

        if (gone) {
            *p++ = row->tombstone ? 't' : 'f';
            *p++ = '\t';
        }
    }

    memcpy(p, text, len);
    out->len = (size_t) (p - out->data) + len;

    return 0;
}


/* What it means that a row has no partition and gets none. */

static void
sink_outside(const sink_t *sink, outcome_t *outcome, const pg_reply_t *reply)
{
    size_t         len;
    const conf_t  *conf;

    if (!sqlstate_no_partition(reply->sqlstate, reply->constraint)
        || sink->span.target >= sink->ntables)
    {
        return;
    }

    conf = sink->conf->targets[sink->span.target];

    if (conf->partition_by == CONF_PERIOD_NONE) {
        return;
    }

    if (conf->partition_outside == CONF_OUTSIDE_DEAD) {
        outcome->action = SQLSTATE_ROW;
        return;
    }

    len = strlen(outcome->reason);
    snprintf(outcome->reason + len, sizeof(outcome->reason) - len, ": its time "
             "is outside of \"partitions.behind\" and \"partitions.ahead\"");
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

    sink_outside(sink, outcome, reply);
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
    const batch_range_t   *range;
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

        range = &batch->ranges[row->range];
        buf_addf(text, n++ ? ";" : ", for example");

        if (sink->conf->several) {
            buf_addf(text, " topic \"%s\",",
                     conf_topic(sink->conf, range->topic));
        }

        buf_addf(text, " partition %" PRId32 ", offset %" PRId64
                 ": %.*s (%s)", range->partition, row->offset, len,
                 fault->reason, fault->sqlstate);
    }

    if (buf_failed(text)) {
        buf_free(text);
        return sink_stop(sink, SQLSTATE_RETRY, SINK_MEMORY);
    }

    return sink_stop(sink, SQLSTATE_HOLD, text->data);
}
