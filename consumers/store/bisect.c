/*
 * Finds the rows of a batch that are at fault.  If PostgreSQL names the line,
 * its row is left out and all others are tried again.  If not, the rows are
 * halved: one bad row among n takes log2 n + 2 COPYs.  A row that the error of
 * a plain COPY named is tried alone first.
 */

#include <stdlib.h>
#include <string.h>

#include "store/bisect.h"


static int bisect_push(bisect_t *bisect, const batch_t *batch,
    const bisect_part_t *part);
static int bisect_push_hinted(bisect_t *bisect, const batch_t *batch,
    const bisect_part_t *whole);
static bool bisect_is_hinted(const bisect_t *bisect, unsigned target,
    const pg_reply_t *reply);
static int bisect_halve(bisect_t *bisect, const batch_t *batch);
static void bisect_join(bisect_t *bisect);
static int bisect_limit(bisect_t *bisect, const batch_t *batch);
static void bisect_siblings(bisect_t *bisect, bool passed);
static int bisect_found(bisect_t *bisect, batch_t *batch, size_t row,
    const pg_reply_t *reply);


void
bisect_free(bisect_t *bisect)
{
    free(bisect->todo);
}


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
    int            rc;
    bool           blamed;
    unsigned       target;
    bisect_part_t  part;

    bisect->ntodo = 0;
    bisect->step = SIZE_MAX;
    bisect->last = BISECT_NONE;
    bisect->found = 0;

    batch_forget_faults(batch);
    memset(&part, 0, sizeof(bisect_part_t));
    part.rows.end = batch->nrows;

    for (target = ntargets; target-- > 0; ) {
        blamed = failed ? failed->target == target && row == BISECT_NONE
                        : ntargets == 1;
        part.rows.target = target;
        part.bad = blamed && sure;

        rc = failed && blamed && bisect_is_hinted(bisect, target, reply)
             ? bisect_push_hinted(bisect, batch, &part)
             : bisect_push(bisect, batch, &part);
        if (rc == -1) {
            return -1;
        }
    }

    return row == BISECT_NONE ? 0 : bisect_found(bisect, batch, row, reply);
}


/* Parts without a row to be stored are left out. */

static int
bisect_push(bisect_t *bisect, const batch_t *batch, const bisect_part_t *part)
{
    size_t          size;
    bisect_part_t  *todo;

    if (batch_line(batch, &part->rows, 1) == part->rows.end) {
        return 0;
    }

    if (bisect->ntodo == bisect->size) {
        size = bisect->size ? bisect->size * 2 : 32;
        todo = realloc(bisect->todo, size * sizeof(bisect_part_t));
        if (todo == NULL) {
            return -1;
        }
        bisect->todo = todo;
        bisect->size = size;
    }

    bisect->todo[bisect->ntodo++] = *part;

    return 0;
}


/* The named row alone, and the rows before and behind it. */

static int
bisect_push_hinted(bisect_t *bisect, const batch_t *batch,
    const bisect_part_t *whole)
{
    bisect_part_t  before, alone, behind;

    before = alone = behind = *whole;
    before.bad = behind.bad = false;
    alone.bad = true;
    before.rows.end = alone.rows.first = bisect->hint;
    alone.rows.end = behind.rows.first = bisect->hint + 1;

    if (bisect_push(bisect, batch, &behind) == -1
        || bisect_push(bisect, batch, &alone) == -1)
    {
        return -1;
    }

    return bisect_push(bisect, batch, &before);
}


/* The right half of a part with a bad row, and on top its left half. */

static int
bisect_halve(bisect_t *bisect, const batch_t *batch)
{
    size_t         middle;
    bisect_part_t  left, right;

    left = right = bisect->part;
    middle = left.rows.first + (left.rows.end - left.rows.first) / 2;
    left.rows.end = right.rows.first = middle;

    /* the bad row is here if the other half has none to be stored */
    left.bad = batch_line(batch, &right.rows, 1) == right.rows.end;
    right.bad = batch_line(batch, &left.rows, 1) == left.rows.end;
    left.sibling = false;
    right.sibling = !right.bad;

    return bisect_push(bisect, batch, &right) == -1
           || bisect_push(bisect, batch, &left) == -1 ? -1 : 0;
}


/* Parts of which nothing is known are tried with the one before them. */

static void
bisect_join(bisect_t *bisect)
{
    bisect_part_t  *top, *part;

    part = &bisect->part;

    while (bisect->ntodo && !part->bad) {
        top = &bisect->todo[bisect->ntodo - 1];

        if (top->bad || top->sibling || top->rows.first != part->rows.end
            || top->rows.target != part->rows.target)
        {
            return;
        }

        part->rows.end = top->rows.end;
        bisect->ntodo--;
    }
}


/*
 * Parts are short among many bad rows: else each row would be sent over and
 * over.
 */

static int
bisect_limit(bisect_t *bisect, const batch_t *batch)
{
    bisect_part_t  rest;

    if (bisect->part.rows.end - bisect->part.rows.first <= bisect->step) {
        return 0;
    }

    rest = bisect->part;
    rest.rows.first += bisect->step;
    rest.bad = false;
    bisect->part.rows.end = rest.rows.first;

    return bisect_push(bisect, batch, &rest);
}


int
bisect_next(bisect_t *bisect, const batch_t *batch)
{
    batch_span_t  *rows;

    rows = &bisect->part.rows;

    while (bisect->ntodo) {
        bisect->part = bisect->todo[--bisect->ntodo];
        bisect->part.sibling = false;

        if (bisect->part.bad && bisect->step >= rows->end - rows->first
            && batch_line(batch, rows, 2) < rows->end)
        {
            if (bisect_halve(bisect, batch) == -1) {
                return -1;
            }
            continue;
        }

        bisect_join(bisect);

        if (bisect_limit(bisect, batch) == -1) {
            return -1;
        }

        if (batch_line(batch, rows, 1) < rows->end) {
            return 1;
        }
    }

    return 0;
}


/*
 * The left half is known: if it went well, the bad row is in the right one;
 * else nothing is known of that.
 */

static void
bisect_siblings(bisect_t *bisect, bool passed)
{
    size_t  i;

    for (i = 0; i < bisect->ntodo; i++) {
        if (bisect->todo[i].sibling) {
            bisect->todo[i].sibling = false;
            bisect->todo[i].bad = passed && i == bisect->ntodo - 1;
        }
    }
}


void
bisect_passed(bisect_t *bisect)
{
    bisect_siblings(bisect, true);

    if (bisect->step < SIZE_MAX / 2) {
        bisect->step *= 2;
    }
}


int
bisect_failed(bisect_t *bisect, batch_t *batch, size_t row,
    const pg_reply_t *reply)
{
    bisect_siblings(bisect, false);

    if (row == BISECT_NONE) {
        return bisect_halve(bisect, batch);
    }

    bisect->part.bad = false;

    if (bisect_found(bisect, batch, row, reply) == -1) {
        return -1;
    }

    return bisect_push(bisect, batch, &bisect->part);
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
