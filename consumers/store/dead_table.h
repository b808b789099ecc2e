/* Writes dead letters for the COPY into sluice.dead_letters. */

#ifndef SLUICE_DEAD_TABLE_H
#define SLUICE_DEAD_TABLE_H


#include "conf/conf.h"
#include "store/batch.h"


#define DEAD_WINDOW  1000    /* records "hold_above" looks back at */


typedef struct {
    const conf_t  *conf;
    buf_t          sql;      /* the COPY */
    buf_t          key;      /* the fields that are the same in all */
    buf_t          list;     /* a record's headers, */
    buf_t          headers;  /* and the same as JSON */
} dead_table_t;


/* Which of the last records were bad. */
typedef struct {
    uint8_t   bad[DEAD_WINDOW];
    unsigned  next;
    unsigned  count;
} dead_window_t;


/* "conf" must outlive it.  Returns -1 when memory is short. */
int dead_table_prepare(dead_table_t *dead, const conf_t *conf,
    const char *cluster);
void dead_table_free(dead_table_t *dead);

/*
 * Appends the next dead letters of the batch to "out", from "row" on, and sets
 * "row" behind them; appends nothing at the end.  Returns -1 when memory is
 * short.
 */
int dead_table_chunk(dead_table_t *dead, const batch_t *batch, size_t *row,
    buf_t *out);

/*
 * Adds the records of the batch.  Returns -1 if a larger share of the window
 * than "limit" is bad.
 */
int dead_window_add(dead_window_t *window, const batch_t *batch,
    double limit);


#endif
