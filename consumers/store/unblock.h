/*
 * Ends backends that block this daemon: a daemon of the same group that is
 * gone or stopped may have left one that locks a row or a key.
 */

#ifndef SLUICE_UNBLOCK_H
#define SLUICE_UNBLOCK_H


#include <stdbool.h>
#include <stdint.h>

#include "postgres/pg.h"
#include "store/offsets.h"


typedef struct unblock_s  unblock_t;


/*
 * "name" is this daemon's application_name: sluice:GROUP-AND-TOPIC:DAEMON.
 * All three must outlive it.  Returns NULL when memory is short.
 */
unblock_t *unblock_create(const conf_t *conf, offsets_t *offsets,
    const char *name);
void unblock_destroy(unblock_t *unblock);

/*
 * Looks for a blocking backend if the main connection waits for long; "since"
 * says since when (0: it does not).  "claiming": it waits for the offsets.
 * Returns ms until the next call is due, -1 for none.  Times are ms of the
 * monotonic clock.
 */
int64_t unblock_tick(unblock_t *unblock, int64_t now, int64_t since,
    bool claiming);

/* Its own connection, for poll(). */
pg_t *unblock_pg(unblock_t *unblock);

/* Backends ended so far. */
uint64_t unblock_count(const unblock_t *unblock);


#endif
