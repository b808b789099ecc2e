/*
 * One batch, one transaction: rows, dead letters, offsets.
 *
 * Room: what is stored: batches, tables, offsets, the transaction.
 */

#ifndef SLUICE_SINK_H
#define SLUICE_SINK_H


#include "conf/conf.h"
#include "postgres/pg.h"
#include "store/batch.h"
#include "store/dead_topic.h"
#include "store/offsets.h"
#include "store/targets.h"


typedef struct sink_s  sink_t;


typedef struct {
    uint64_t  copies;    /* COPYs of rows so far, also in failed tries */

    /* seconds that the last stored batch took: */
    double    copy;      /* from BEGIN until its rows were copied */
    double    commit;    /* its last query, which has COMMIT */
} sink_figures_t;


/*
 * The end of a transaction without offsets: "commit" appends it, COMMIT too.
 * Dead letters, retries and "hold_above" are then the caller's.
 */
typedef struct {
    void  (*commit)(void *data, const batch_t *batch, buf_t *sql);
    void   *data;
} sink_end_t;


/*
 * Dead letters go to "dead_topic" as well, before the commit; NULL: they do
 * not.  "end" is copied, or NULL; the others must outlive the sink.  Returns
 * NULL when memory is short.  Freed by sink_destroy(), which takes NULL.
 */
sink_t *sink_create(const conf_t *conf, offsets_t *offsets,
    dead_topic_t *dead_topic, const sink_end_t *end);
void sink_destroy(sink_t *sink);

/*
 * Writes the statements for the tables as they were found.  "targets" must
 * stay as it is until the next call.  Returns -1 when memory is short.
 */
int sink_prepare(sink_t *sink, targets_t *targets);

/*
 * Stores a batch with at least one record and calls "done" once; the batch
 * must stay until then.  SQLSTATE_OK: it is committed.  SQLSTATE_RECONNECT:
 * only the stored offsets tell whether it is.  Else nothing of it is.  "pg"
 * must be idle.
 */
void sink_store(sink_t *sink, pg_t *pg, batch_t *batch, outcome_pt done,
    void *data);

const sink_figures_t *sink_figures(const sink_t *sink);


#endif
