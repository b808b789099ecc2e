/*
 * Prepares one table on a connection: creates schema "sluice", creates the
 * table if the configuration asks for it, and looks its columns up.
 */

#ifndef SLUICE_CATALOG_H
#define SLUICE_CATALOG_H


#include "postgres/pg.h"
#include "postgres/sqlstate.h"
#include "postgres/target.h"


typedef struct catalog_s  catalog_t;


/* "conf" must outlive it.  Returns NULL when memory is short. */
catalog_t *catalog_create(const conf_t *conf);
void catalog_destroy(catalog_t *catalog);

/*
 * Creates what is missing, looks the table up and calls "done" once:
 * SQLSTATE_OK when the table is ready, never SQLSTATE_ROW or
 * SQLSTATE_ROW_LATER.  "pg" must be idle, and is the catalogue's until then.
 */
void catalog_prepare(catalog_t *catalog, pg_t *pg, outcome_pt done,
    void *data);

/*
 * Notes a field that "evolve" makes a column of, in the next preparation.
 * "data" is the catalogue.
 */
void catalog_add_news(void *data, const char *name, size_t len,
    json_type_t type);

/* How many of them there are. */
size_t catalog_news(const catalog_t *catalog);

/* The table as it was found.  Each catalog_prepare() replaces it. */
const target_t *catalog_target(const catalog_t *catalog);


#endif
