/*
 * Which rows of a batch are at fault: what to try next until every bad row is
 * known.  Decides only; the sink sends.
 */

#ifndef SLUICE_BISECT_H
#define SLUICE_BISECT_H


#include "postgres/pg.h"
#include "store/batch.h"


#define BISECT_NONE  SIZE_MAX    /* no row */


/* Rows that are tried together. */
typedef struct {
    batch_span_t  rows;
    bool          bad;        /* a row at fault is known to be in it */
    bool          sibling;    /* is so if the part above it goes well */
} bisect_part_t;


typedef struct {
    bisect_part_t  *todo;     /* a stack, the leftmost rows on top */
    size_t          ntodo;
    size_t          size;
    bisect_part_t   part;     /* tried now */
    size_t          step;     /* rows to try at once */
    size_t          last;     /* the bad row found last, or BISECT_NONE */
    unsigned        found;    /* bad rows */

    /* the row that a plain COPY's error named, or BISECT_NONE */
    size_t          hint;
    unsigned        hint_target;
    char            hint_state[6];
    char            hint_constraint[64];
} bisect_t;


void bisect_free(bisect_t *bisect);

/*
 * The row of "rows" that an error names beyond doubt, or BISECT_NONE.
 * "relation" is the table of the COPY, as its error context has it.
 */
size_t bisect_named(const batch_t *batch, const batch_span_t *rows,
    const char *relation, const pg_reply_t *reply);

/* Keeps the row of a target that a plain COPY's error named. */
void bisect_hint(bisect_t *bisect, unsigned target, size_t row,
    const pg_reply_t *reply);

/*
 * Begins with the whole batch, after an error at the COPY of "failed"; NULL:
 * at COMMIT, which may be any row's.  "row" is the one named, or BISECT_NONE,
 * "sure" whether a row of "failed" is at fault beyond doubt.  Returns -1 when
 * memory is short.
 */
int bisect_begin(bisect_t *bisect, batch_t *batch, unsigned ntargets,
    const batch_span_t *failed, size_t row, bool sure,
    const pg_reply_t *reply);

/*
 * Takes the next rows to try into bisect->part.  Returns 1; 0 when none are
 * left; -1 when memory is short.
 */
int bisect_next(bisect_t *bisect, const batch_t *batch);

/* They went well. */
void bisect_passed(bisect_t *bisect);

/*
 * They did not; "row" is the one named, which becomes a dead letter, or
 * BISECT_NONE.  Returns -1 when memory is short.
 */
int bisect_failed(bisect_t *bisect, batch_t *batch, size_t row,
    const pg_reply_t *reply);

/*
 * The line of a COPY that an error context reports, 0 if it names none beyond
 * doubt: a client's bytes may look like one.  A line number with nothing
 * behind it is the last line read; with "last" that is the one at fault, as it
 * is for a constraint.
 */
uint64_t bisect_context_line(const char *relation, const char *context,
    bool last);


#endif
