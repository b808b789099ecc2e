/*
 * Finds the rows of a batch that are at fault.  The rows are halved: one bad
 * row among n takes log2 n + 2 COPYs.  A row is at fault only if it was tried
 * alone.
 */

#include <string.h>

#include "store/bisect.h"


static bool bisect_halve(bisect_t *bisect, const batch_t *batch);


void
bisect_begin(bisect_t *bisect, batch_t *batch, unsigned ntargets,
    unsigned blamed)
{
    memset(bisect, 0, sizeof(bisect_t));
    bisect->ntargets = ntargets;
    bisect->blamed = blamed;
    bisect->suspect = blamed == 0 ? batch->nrows : 0;
    bisect->step = SIZE_MAX;
    bisect->last = BISECT_NONE;

    batch_forget_faults(batch);
}


bool
bisect_next(bisect_t *bisect, const batch_t *batch)
{
    size_t         end;
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

        part->end = bisect->suspect ? bisect->suspect : batch->nrows;

        /* short parts among many bad rows: else all are sent over and over */

        end = part->end - part->first > bisect->step
              ? batch_first(batch, part->first + bisect->step) : part->end;

        if (end < part->end) {
            part->end = end;
            bisect->suspect = 0;
        }

        if (batch_line(batch, part, 1) == part->end) {
            part->first = part->end;
            continue;
        }

        if (bisect->suspect == 0) {
            part->end = batch_alike(batch, batch_line(batch, part, 1),
                                    part->end);
            return true;
        }

        if (batch_line(batch, part, 2) == part->end
            || bisect_halve(bisect, batch))
        {
            bisect->suspect = 0;
            return true;
        }
    }

    return false;
}


/*
 * The part becomes its left half, or its rows of one format.  Returns false if
 * one half has no rows to be stored: the bad row is in the other one, which is
 * suspect.
 */

static bool
bisect_halve(bisect_t *bisect, const batch_t *batch)
{
    size_t         half;
    batch_span_t  *part, left, right;

    part = &bisect->part;
    left = right = *part;
    left.end = right.first = batch_alike(batch, batch_line(batch, part, 1),
                                         part->end);

    if (left.end == part->end) {
        half = part->first + (part->end - part->first) / 2;
        left.end = batch_first(batch, half);

        /* not within a record, of which there are two */
        if (left.end >= part->end) {
            left.end = half - batch->rows[half].nth;
        }

        right.first = left.end;
    }

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
bisect_failed(bisect_t *bisect, batch_t *batch, const pg_reply_t *reply,
    size_t *row)
{
    size_t         apart;
    batch_span_t  *part;

    part = &bisect->part;
    *row = BISECT_NONE;
    bisect->sibling = 0;

    if (batch_line(batch, part, 2) < part->end) {
        bisect->suspect = part->end;
        return 0;
    }

    *row = batch_line(batch, part, 1);

    if (batch_fault(batch, *row, reply->sqlstate, reply->reason) == -1) {
        return -1;
    }

    apart = bisect->last == BISECT_NONE || *row < bisect->last
            ? *row + 1 : *row - bisect->last;
    bisect->last = *row;
    bisect->suspect = 0;
    part->first = part->end;

    if (++bisect->found > 2) {
        bisect->step = apart > 1 ? apart * 2 : 1;
    }

    return 0;
}
