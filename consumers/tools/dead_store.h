/*
 * Stores records for "dead-letters" by the daemon's own code for rows, modes
 * and the search for bad rows.  The end of the transaction is the caller's.
 */

#ifndef SLUICE_DEAD_STORE_H
#define SLUICE_DEAD_STORE_H


#include "store/sink.h"
#include "store/targets.h"


typedef struct {
    targets_t  *targets;
    sink_t     *sink;
    pg_t       *pg;
    batch_t     batch;      /* filled by the caller */

    bool        waiting;    /* "outcome" has not come yet */
    outcome_t   outcome;
} dead_store_t;


/*
 * Connects, looks the tables up, and makes the batch, of at most so many rows
 * and bytes.  Returns 0, or -1 after an error line.  dead_store_close() is due
 * in both cases; "store" is zeroed before.
 */
int dead_store_open(dead_store_t *store, const conf_t *conf,
    const sink_end_t *end, size_t rows, size_t bytes);
void dead_store_close(dead_store_t *store);

/* Once more, where records had fields that become columns: they are to be
   taken again.  Returns as above. */
int dead_store_prepare(dead_store_t *store);

/*
 * Waits for the schemas of a record, before targets_add().  Returns 0, or -1
 * after an error line.
 */
int dead_store_ready(dead_store_t *store, const record_t *record);

/*
 * Stores the batch.  What a daemon would try again is tried again.  Returns 0,
 * or -1 after an error line.
 */
int dead_store_run(dead_store_t *store);


#endif
