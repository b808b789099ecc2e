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
} bisect_t;


/*
 * Begins with the whole batch.  A row of table "blamed" is at fault; with
 * "ntargets" it may be any table's, or none.
 */
void bisect_begin(bisect_t *bisect, batch_t *batch, unsigned ntargets,
    unsigned blamed);

/* Takes the next rows to try into bisect->part; false: none are left. */
bool bisect_next(bisect_t *bisect, const batch_t *batch);

/* The rows of bisect->part were copied. */
void bisect_passed(bisect_t *bisect);

/*
 * The rows of bisect->part were not copied.  If it is one row, that row is at
 * fault, becomes a dead letter and is put into "row"; else "row" is
 * BISECT_NONE.  Returns -1 when memory is short.
 */
int bisect_failed(bisect_t *bisect, batch_t *batch, const pg_reply_t *reply,
    size_t *row);


#endif
