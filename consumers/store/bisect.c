/*
 * Finds the rows of a batch that are at fault.  If PostgreSQL names the line,
 * its row is left out and all others are tried again.  If not, the rows are
 * halved: one bad row among n takes log2 n + 2 COPYs.  A row that the error of
 * a plain COPY named is tried alone first.
 */

#include <stdlib.h>
#include <string.h>

#include "store/bisect.h"


static bool bisect_is_hinted(const bisect_t *bisect, unsigned target,
    const pg_reply_t *reply);
static size_t bisect_unknown(const bisect_t *bisect, const batch_t *batch);
static bool bisect_halve(bisect_t *bisect, const batch_t *batch);
static int bisect_found(bisect_t *bisect, batch_t *batch, size_t row,
    const pg_reply_t *reply);


size_t
bisect_named(const batch_t *batch, const batch_span_t *rows,
    const char *relation, const pg_reply_t *reply)
{
    size_t    row;
    uint64_t  line;

    line = bisect_context_line(relation, reply->context,
                               reply->constraint[0] != '\0'
                               || strcmp(reply->sqlstate, "23502") == 0);
    row = line ? batch_line(batch, rows, line) : rows->end;

    /* the only row needs no name */

    if (row == rows->end && batch_line(batch, rows, 2) == rows->end) {
        row = batch_line(batch, rows, 1);
    }

    return row < rows->end ? row : BISECT_NONE;
}


void
bisect_hint(bisect_t *bisect, unsigned target, size_t row,
    const pg_reply_t *reply)
{
    bisect->hint = row;
    bisect->hint_target = target;
    memcpy(bisect->hint_state, reply->sqlstate, sizeof(bisect->hint_state));
    memcpy(bisect->hint_constraint, reply->constraint,
           sizeof(bisect->hint_constraint));
}


/* Whether the error is the one that named the row. */

static bool
bisect_is_hinted(const bisect_t *bisect, unsigned target,
    const pg_reply_t *reply)
{
    return bisect->hint != BISECT_NONE && bisect->hint_target == target
           && strcmp(bisect->hint_state, reply->sqlstate) == 0
           && strcmp(bisect->hint_constraint, reply->constraint) == 0;
}


int
bisect_begin(bisect_t *bisect, batch_t *batch, unsigned ntargets,
    const batch_span_t *failed, size_t row, bool sure,
    const pg_reply_t *reply)
{
    memset(&bisect->part, 0, sizeof(batch_span_t));
    bisect->ntargets = ntargets;
    bisect->blamed = ntargets;
    bisect->sibling = 0;
    bisect->step = SIZE_MAX;
    bisect->last = BISECT_NONE;
    bisect->found = 0;

    batch_forget_faults(batch);

    if (row != BISECT_NONE || failed == NULL
        || !bisect_is_hinted(bisect, failed->target, reply))
    {
        bisect->hint = BISECT_NONE;

        if (row == BISECT_NONE && sure) {
            bisect->blamed = failed ? failed->target
                             : ntargets == 1 ? 0 : ntargets;
        }
    }

    bisect->suspect = bisect->blamed == 0 ? batch->nrows : 0;

    return row == BISECT_NONE ? 0 : bisect_found(bisect, batch, row, reply);
}


bool
bisect_next(bisect_t *bisect, const batch_t *batch)
{
    batch_span_t  *part;

    part = &bisect->part;

    while (part->target < bisect->ntargets) {

        if (part->first == batch->nrows) {
            part->target++;
            part->first = 0;
            bisect->suspect = part->target == bisect->blamed ? batch->nrows
                                                             : 0;
            continue;
        }

        part->end = bisect->suspect ? bisect->suspect
                                    : bisect_unknown(bisect, batch);

        /* short parts among many bad rows: else all are sent over and over */

        if (part->end - part->first > bisect->step) {
            part->end = part->first + bisect->step;
            bisect->suspect = 0;
        }

        if (batch_line(batch, part, 1) == part->end) {
            part->first = part->end;
            continue;
        }

        if (bisect->suspect == 0 || batch_line(batch, part, 2) == part->end
            || bisect_halve(bisect, batch))
        {
            bisect->suspect = 0;
            return true;
        }
    }

    return false;
}


/* Where the rows end of which nothing is known; a hinted row stands alone. */

static size_t
bisect_unknown(const bisect_t *bisect, const batch_t *batch)
{
    const batch_span_t  *part;

    part = &bisect->part;

    if (bisect->hint == BISECT_NONE || bisect->hint_target != part->target
        || part->first > bisect->hint)
    {
        return batch->nrows;
    }

    return part->first < bisect->hint ? bisect->hint : bisect->hint + 1;
}


/*
 * The part becomes its left half.  Returns false if one half has no rows to be
 * stored: the bad row is in the other one, which is suspect.
 */

static bool
bisect_halve(bisect_t *bisect, const batch_t *batch)
{
    batch_span_t  *part, left, right;

    part = &bisect->part;
    left = right = *part;
    left.end = right.first = part->first + (part->end - part->first) / 2;

    if (batch_line(batch, &left, 1) == left.end) {
        part->first = right.first;
        return false;
    }

    if (batch_line(batch, &right, 1) == right.end) {
        bisect->suspect = left.end;
        return false;
    }

    part->end = left.end;
    bisect->sibling = right.end;

    return true;
}


void
bisect_passed(bisect_t *bisect)
{
    bisect->part.first = bisect->part.end;
    bisect->suspect = bisect->sibling;
    bisect->sibling = 0;

    if (bisect->step < SIZE_MAX / 2) {
        bisect->step *= 2;
    }
}


int
bisect_failed(bisect_t *bisect, batch_t *batch, size_t row,
    const pg_reply_t *reply)
{
    batch_span_t  *part;

    part = &bisect->part;
    bisect->suspect = row == BISECT_NONE ? part->end : 0;
    bisect->sibling = 0;

    if (row != BISECT_NONE && bisect_found(bisect, batch, row, reply) == -1) {
        return -1;
    }

    if (batch_line(batch, part, 1) == part->end) {
        part->first = part->end;
    }

    return 0;
}


static int
bisect_found(bisect_t *bisect, batch_t *batch, size_t row,
    const pg_reply_t *reply)
{
    size_t  apart;

    if (batch_fault(batch, row, reply->sqlstate, reply->reason) == -1) {
        return -1;
    }

    apart = bisect->last == BISECT_NONE || row < bisect->last
            ? row + 1 : row - bisect->last;
    bisect->last = row;

    if (++bisect->found > 2) {
        bisect->step = apart > 1 ? apart * 2 : 1;
    }

    return 0;
}


uint64_t
bisect_context_line(const char *relation, const char *context, bool last)
{
    char        *end;
    size_t       len;
    uint64_t     line, found;
    const char  *p;

    len = strlen(relation);
    found = 0;

    for (p = context; p; p = strchr(p, '\n'), p = p ? p + 1 : NULL) {

        if (strncmp(p, "COPY ", 5) != 0
            || strncmp(p + 5, relation, len) != 0
            || strncmp(p + 5 + len, ", line ", 7) != 0)
        {
            continue;
        }

        line = strtoull(p + 5 + len + 7, &end, 10);

        if (line == 0 || (*end != ',' && *end != ':'
                          && (!last || (*end != '\n' && *end != '\0'))))
        {
            continue;
        }

        if (found && found != line) {
            return 0;
        }

        found = line;
    }

    return found;
}
