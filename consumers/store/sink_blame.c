/*
 * Whose fault an error is that its SQLSTATE does not tell.  A try that fails
 * again and again is changed: a row is looked for that fails alone while its
 * neighbours go, or fewer records are read at a time, or the daemon holds.
 *
 * A row is at fault only if it failed alone with one SQLSTATE in three
 * transactions, one after the other, while another row of its table went.  An
 * error that comes and goes, as when a disk is full, would take another row
 * each time.
 */

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/sink_impl.h"


#define SINK_TRIES   3        /* the one after which a row is looked for */
#define SINK_PROOFS  3        /* searches in which a row has to fail */
#define SINK_LOOKS   7        /* tries, with a search in some of them */
#define SINK_VAIN    30000    /* ms until rows that all failed are searched
                                 again */


static bool sink_may_look(const sink_t *sink, const pg_reply_t *reply,
    sqlstate_action_t action);
static sqlstate_action_t sink_other_way(const sink_t *sink,
    const pg_reply_t *reply, sqlstate_action_t action);
static bool sink_may_look_for_size(const sink_t *sink);


void
sink_blame(sink_t *sink, const pg_reply_t *reply, outcome_t *outcome)
{
    /* a replay's end decides itself */

    if (reply->lost || sink->end.commit) {
        return;
    }

    if (sink_may_look(sink, reply, outcome->action)) {
        sink->doubt = true;
        sink->doubted = *outcome;
        outcome->action = SQLSTATE_ROW;
        return;
    }

    sink->failures++;
    outcome->action = sink_other_way(sink, reply, outcome->action);
}


static bool
sink_may_look(const sink_t *sink, const pg_reply_t *reply,
    sqlstate_action_t action)
{
    unsigned  tries;

    tries = sqlstate_tries(reply->sqlstate);

    if (!sqlstate_may_be_row(reply)
        || (tries && !sink_may_look_for_size(sink)))
    {
        return false;
    }

    switch (sink->state) {

    case SINK_LOOK:
        return true;

    case SINK_ROWS:
    case SINK_COMMIT:
        break;

    default:
        return false;
    }

    if (sink->looked || (sink->batch->nrows <= sink->vain_rows
                         && clock_ms() < sink->vain_until))
    {
        return false;
    }

    return action == SQLSTATE_HOLD
           || sink->failures + 1 >= (tries ? tries : SINK_TRIES);
}


/*
 * Where memory, locks or time end, the rows before may be the cause: the first
 * of two rows is looked at, before anything else is stored.
 */

static bool
sink_may_look_for_size(const sink_t *sink)
{
    unsigned  i;

    for (i = 0; sink->state == SINK_LOOK && i < sink->ntables; i++) {
        if (sink->tables[i].passed) {
            return false;
        }
    }

    return batch_records(sink->batch) <= 2;
}


/* "failures" counts the one under way. */

static sqlstate_action_t
sink_other_way(const sink_t *sink, const pg_reply_t *reply,
    sqlstate_action_t action)
{
    bool      many;
    unsigned  tries;

    many = batch_records(sink->batch) > 1;
    tries = sqlstate_tries(reply->sqlstate);

    if (!many || tries == 0) {
        tries = SINK_LOOKS;
    }

    if (action != SQLSTATE_RETRY || sink->failures < tries) {
        return action;
    }

    if (many) {
        return SQLSTATE_SMALLER;
    }

    return sqlstate_may_be_row(reply) ? SQLSTATE_HOLD : action;
}


void
sink_look_anew(sink_t *sink)
{
    unsigned  i;

    sink->nnow = 0;

    for (i = 0; i < sink->ntables; i++) {
        sink->tables[i].passed = false;
    }
}


bool
sink_suspect(sink_t *sink, size_t row, const pg_reply_t *reply)
{
    size_t                i;
    sink_suspect_t       *suspect;
    const batch_row_t    *r;
    const batch_range_t  *range;

    if (!sink->doubt) {
        return true;
    }

    if (sink->nnow == SINK_SUSPECTS
        || (sink->nnow == 2 && !sink->tables[sink->now[0].target].passed))
    {
        return false;
    }

    r = &sink->batch->rows[row];
    range = &sink->batch->ranges[r->range];

    suspect = &sink->now[sink->nnow++];
    suspect->partition = range->partition;
    suspect->topic = range->topic;
    suspect->offset = r->offset;
    suspect->target = r->target;
    memcpy(suspect->sqlstate, reply->sqlstate, sizeof(suspect->sqlstate));
    suspect->proofs = 1;

    for (i = 0; i < sink->nbefore; i++) {
        if (sink->before[i].partition == suspect->partition
            && sink->before[i].topic == suspect->topic
            && sink->before[i].offset == suspect->offset
            && strcmp(sink->before[i].sqlstate, suspect->sqlstate) == 0)
        {
            suspect->proofs = sink->before[i].proofs + 1;
        }
    }

    return true;
}


sink_state_t
sink_looked(sink_t *sink)
{
    size_t  i;
    bool    proved;

    proved = true;

    for (i = 0; i < sink->nnow; i++) {

        if (!sink->tables[sink->now[i].target].passed) {
            return sink_in_vain(sink);
        }

        proved &= sink->now[i].proofs >= SINK_PROOFS;
    }

    memcpy(sink->before, sink->now, sizeof(sink->now));
    sink->nbefore = sink->nnow;

    if (proved) {
        return SINK_DEAD;
    }

    log_debug("batch: %zu rows fail alone, which another try has to show",
              sink->nnow);
    sink->failures++;

    return sink_stop(sink, SQLSTATE_RETRY, sink->doubted.reason);
}


sink_state_t
sink_in_vain(sink_t *sink)
{
    size_t  i;

    sink->failures++;

    /* of fewer records, fewer are suspect */

    if (sink->nnow == SINK_SUSPECTS && batch_records(sink->batch) > 1) {
        return sink_stop(sink, SQLSTATE_SMALLER, sink->doubted.reason);
    }

    /* when the records are read again, lines may do what tuples cannot */

    for (i = 0; i < sink->nnow; i++) {
        targets_as_lines(sink->targets, sink->now[i].target);
    }

    sink->nbefore = 0;
    sink->vain_rows = sink->batch->nrows;
    sink->vain_until = clock_ms() + SINK_VAIN;

    return sink_stop(sink, SQLSTATE_HOLD, sink->doubted.reason);
}


void
sink_trust(sink_t *sink)
{
    sink->failures = 0;
    sink->nbefore = 0;
    sink->vain_rows = 0;
    sink->many.len = 0;
}


sink_state_t
sink_stop(sink_t *sink, sqlstate_action_t action, const char *reason)
{
    /* time in which nothing could be stored does not count as waiting */

    if (action != SQLSTATE_RETRY) {
        sink->later_since = 0;
    }

    sink->outcome.action = action;
    snprintf(sink->outcome.reason, sizeof(sink->outcome.reason), "%s",
             reason);

    return SINK_ROLLBACK;
}
