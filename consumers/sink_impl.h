/* Inside the sink: what its transaction and its byte streams share. */

#ifndef SLUICE_SINK_IMPL_H
#define SLUICE_SINK_IMPL_H


#include "sink.h"


#define SINK_WINDOW  1000    /* records "hold_above" looks back at */


/* Rows [first, end) that are copied together. */
typedef struct {
    size_t  first;
    size_t  end;
} sink_span_t;


/* Which of the last accounted records were bad. */
typedef struct {
    uint8_t   bad[SINK_WINDOW];
    unsigned  next;
    unsigned  count;
} sink_window_t;


struct sink_s {
    const conf_t   *conf;
    offsets_t      *offsets;

    pg_t           *pg;
    batch_t        *batch;
    sink_done_pt    done;
    void           *data;
    outcome_t       outcome;

    char           *relation;      /* as COPY's error context names it */
    buf_t           copy_sql;
    buf_t           dead_sql;
    buf_t           dead_key;      /* the constant fields of a dead letter */
    buf_t           sql;

    /* the COPY under way */
    sink_span_t     span;
    size_t          row;           /* the next one to send */
    buf_t           chunk;

    /* looking for bad rows */
    bool            careful;
    bool            looked;        /* once for this batch already */
    sink_span_t    *todo;          /* a stack, the leftmost rows on top */
    size_t          ntodo;
    size_t          todo_size;
    size_t          step;          /* rows to try at once */
    size_t          last_bad;      /* row, or SIZE_MAX */
    unsigned        found;

    int64_t         later_since;   /* ms, of the first "row later" */
    sink_window_t   window;
};


/* The streams of the two COPYs. */
size_t sink_rows(void *data, const char **chunk);
size_t sink_dead_letters(void *data, const char **chunk);

/*
 * The line of the COPY that the error context reports, 0 if it names none
 * beyond doubt: a client's bytes may look like one.  With nothing behind the
 * number it is the last line read, which is the one at fault only where
 * "last" says so: for a constraint.
 */
uint64_t sink_context_line(const char *relation, const char *context,
    bool last);

/*
 * Accounts the batch in "window"; returns -1 once more than "limit" of the
 * last records are bad.
 */
int sink_window_add(sink_window_t *window, const batch_t *batch,
    double limit);


#endif
