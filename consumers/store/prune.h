/* Deletes expired keys and dead letters in steps. */

#ifndef SLUICE_PRUNE_H
#define SLUICE_PRUNE_H


#include "conf/conf.h"
#include "postgres/pg.h"
#include "store/offsets.h"


typedef struct prune_s  prune_t;


/* Both must outlive it.  Returns NULL when memory is short. */
prune_t *prune_create(const conf_t *conf, const offsets_t *offsets);
void prune_destroy(prune_t *prune);

/*
 * ms until the next step is due, -1: never, as nothing expires; "now" in ms of
 * the monotonic clock.
 */
int64_t prune_due_in(const prune_t *prune, int64_t now);

/*
 * One step, in a transaction of its own.  Calls "done" with SQLSTATE_OK, or
 * with SQLSTATE_RECONNECT where the session ended.  "pg" must be idle.
 */
void prune_step(prune_t *prune, pg_t *pg, outcome_pt done, void *data);


#endif
