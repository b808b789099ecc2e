/*
 * A backend left behind by a daemon that is gone or stopped may hold a row or
 * a key: it is ended, from a connection of its own.
 */

#ifndef SLUICE_UNBLOCK_H
#define SLUICE_UNBLOCK_H


#include <stdbool.h>
#include <stdint.h>

#include "postgres/pg.h"
#include "store/offsets.h"


typedef struct unblock_s  unblock_t;


/* "name" is this daemon's application_name: sluice:GROUP-AND-TOPIC:DAEMON. */
unblock_t *unblock_create(const conf_t *conf, offsets_t *offsets,
    const char *name);
void unblock_destroy(unblock_t *unblock);

/*
 * Looks at how long the main connection has waited ("since", 0: it does
 * not); "claiming" when it waits for the offsets.  Returns ms until the next
 * call is due, -1 for none.
 */
int64_t unblock_tick(unblock_t *unblock, int64_t now, int64_t since,
    bool claiming);

/* Its connection, for poll(). */
pg_t *unblock_pg(unblock_t *unblock);

uint64_t unblock_count(const unblock_t *unblock);


#endif
