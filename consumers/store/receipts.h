/*
 * Receipts: tells a topic what became of the records of each committed batch,
 * and after a claim of those that were committed before.  Nothing waits for a
 * receipt: one that cannot be sent is dropped and counted.
 */

#ifndef SLUICE_RECEIPTS_H
#define SLUICE_RECEIPTS_H


#include "kafka/source.h"
#include "postgres/pg.h"
#include "postgres/sqlstate.h"
#include "store/batch.h"
#include "store/offsets.h"


typedef struct receipts_s  receipts_t;


typedef struct {
    uint64_t     sent;       /* all in-sync replicas have them */
    uint64_t     dropped;
    const char  *reason;     /* why the last one was dropped; "": it was not */
} receipts_figures_t;


/*
 * For the topic "receipts.topic" of "conf"; both must outlive it.  Returns NULL
 * when memory is short.  Freed by receipts_destroy(), which takes NULL.
 */
receipts_t *receipts_create(const conf_t *conf, const offsets_t *offsets);
void receipts_destroy(receipts_t *receipts);

/* Makes the producer, and the topic if it is absent, with so many replicas. */
void receipts_open(receipts_t *receipts, int replicas);

/* Sends the receipt of a batch.  Its COMMIT has succeeded. */
void receipts_send(receipts_t *receipts, const batch_t *batch);

/*
 * Behind a claim: looks up what became of the records stored last in each
 * partition of the source.  Calls "done" with SQLSTATE_OK or, if the session
 * was lost, with SQLSTATE_RECONNECT; any other error is no reason to stop.
 * "pg" must be idle.
 */
void receipts_look(receipts_t *receipts, pg_t *pg, source_t *source,
    outcome_pt done, void *data);

/*
 * Sends what was looked up of each partition whose last stored record was
 * compared: else the topic may have been created again.
 */
void receipts_tell(receipts_t *receipts, source_t *source);

/* Waits for the last ones to be sent, "ms" at most. */
void receipts_drain(receipts_t *receipts, int ms);

const receipts_figures_t *receipts_figures(const receipts_t *receipts);

/* Readable when receipts_poll() has something to do. */
int receipts_fd(const receipts_t *receipts);
void receipts_poll(receipts_t *receipts);


#endif
