/*
 * One table is made ready on a connection: schema "sluice", then the target
 * is made where the configuration says so, and looked up.
 */

#ifndef SLUICE_CATALOG_H
#define SLUICE_CATALOG_H


#include "postgres/pg.h"
#include "postgres/sqlstate.h"
#include "postgres/target.h"


typedef struct catalog_s  catalog_t;

/*
 * SQLSTATE_OK: the table is ready, and catalog_target() tells of it.  Never
 * SQLSTATE_ROW or SQLSTATE_ROW_LATER.
 */
typedef void (*catalog_done_pt)(void *data, const outcome_t *outcome);


/* "conf" must outlive it.  Returns NULL when memory is short. */
catalog_t *catalog_create(const conf_t *conf);
void catalog_destroy(catalog_t *catalog);

/*
 * Makes what is missing, looks the table up and calls "done" once.  "pg" must
 * be idle, and is not to be used until then.
 */
void catalog_prepare(catalog_t *catalog, pg_t *pg, catalog_done_pt done,
    void *data);

/* What was found.  Each catalog_prepare() replaces the contents. */
const target_t *catalog_target(const catalog_t *catalog);


#endif
