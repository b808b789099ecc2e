/* What is over goes: retries' keys and dead letters, in bounded steps. */

#ifndef SLUICE_PRUNE_H
#define SLUICE_PRUNE_H


#include "conf/conf.h"
#include "postgres/pg.h"
#include "store/offsets.h"


typedef struct prune_s  prune_t;

typedef void (*prune_done_pt)(void *data, const outcome_t *outcome);


prune_t *prune_create(const conf_t *conf, const offsets_t *offsets);
void prune_destroy(prune_t *prune);

/* Whether a step is due; "now" in ms of the monotonic clock. */
bool prune_is_due(const prune_t *prune, int64_t now);

/* ms until it is, -1: never. */
int64_t prune_due_in(const prune_t *prune, int64_t now);

/* One step, in a transaction of its own; "pg" must be idle. */
void prune_step(prune_t *prune, pg_t *pg, prune_done_pt done, void *data);


#endif
