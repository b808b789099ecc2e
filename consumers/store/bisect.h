/*
 * Finds the rows of a batch that are at fault: says which rows to try next
 * until every bad row is known.  Sends nothing.
 */

#ifndef SLUICE_BISECT_H
#define SLUICE_BISECT_H


#include "postgres/pg.h"
#include "store/batch.h"


#define BISECT_NONE  SIZE_MAX    /* no row */


typedef struct {
    batch_span_t  part;        /* the rows to try now; all before are done */
    unsigned      ntargets;
    unsigned      blamed;      /* target with a bad row, or "ntargets" */
    size_t        suspect;     /* a bad row is before it; 0: not known */
    size_t        sibling;     /* behind the part and before it, if the part
                                  goes well; 0: not known */
    size_t        step;        /* rows of a part, at most */
    size_t        last;        /* the bad row found last, or BISECT_NONE */
    unsigned      found;       /* bad rows */

    /* the row that a plain COPY's error named, or BISECT_NONE */
    size_t        hint;
    unsigned      hint_target;
    char          hint_state[6];
    char          hint_constraint[64];
} bisect_t;


/*
 * The row of "rows" that the reply names for certain, or BISECT_NONE.
 * "relation" is the table's name in the error context of a COPY.
 */
size_t bisect_named(const batch_t *batch, const batch_span_t *rows,
    const char *relation, const pg_reply_t *reply);

/* Keeps the row that the error of a plain COPY named, or BISECT_NONE. */
void bisect_hint(bisect_t *bisect, unsigned target, size_t row,
    const pg_reply_t *reply);

/*
 * Begins with the whole batch.  The error came at the COPY of "failed"; with
 * NULL at COMMIT, where it may be any row's.  "row" is the row that was named,
 * or BISECT_NONE.  "sure": a row of "failed" is at fault for certain.
 * Returns -1 when memory is short.
 */
int bisect_begin(bisect_t *bisect, batch_t *batch, unsigned ntargets,
    const batch_span_t *failed, size_t row, bool sure,
    const pg_reply_t *reply);

/* Takes the next rows to try into bisect->part; false: none are left. */
bool bisect_next(bisect_t *bisect, const batch_t *batch);

/* The rows of bisect->part were copied. */
void bisect_passed(bisect_t *bisect);

/*
 * The rows of bisect->part were not copied.  "row", unless it is BISECT_NONE,
 * is the one at fault and becomes a dead letter.  Returns -1 when memory is
 * short.
 */
int bisect_failed(bisect_t *bisect, batch_t *batch, size_t row,
    const pg_reply_t *reply);

/*
 * The line of a COPY that an error context names; 0 if it names none beyond
 * doubt, as a client's bytes may look like a name.  A line number with nothing
 * behind it is the last line read: only with "last", as for a constraint, is
 * that line at fault.
 */
uint64_t bisect_context_line(const char *relation, const char *context,
    bool last);


#endif
