/* Sluice's own tables, and what the catalogue says of the target. */

#ifndef SLUICE_CATALOG_H
#define SLUICE_CATALOG_H


#include "conf/conf.h"
#include "postgres/pg.h"
#include "postgres/sql.h"


typedef struct catalog_s  catalog_t;

typedef void (*catalog_done_pt)(void *data, const outcome_t *outcome);


/* With "columns": "auto" it fills those of "conf" each time it prepares. */
catalog_t *catalog_create(conf_t *conf);
void catalog_destroy(catalog_t *catalog);

/*
 * Makes what is missing, reads the target's columns and calls "done" once.
 * "pg" must be idle.
 */
void catalog_prepare(catalog_t *catalog, pg_t *pg, catalog_done_pt done,
    void *data);

/*
 * One type a column of the configuration, as written there or as the table
 * has it.  Valid until the next catalog_prepare().
 */
const char *const *catalog_types(const catalog_t *catalog);

/*
 * The same as the table has them, NULL where it lacks the column, and their
 * oids in pg_type.
 */
const char *const *catalog_table_types(const catalog_t *catalog);
const uint32_t *catalog_type_oids(const catalog_t *catalog);

/* The query for the target's columns. */
void catalog_query(buf_t *sql, PGconn *conn, const conf_t *conf);

/* Takes that query's result; returns -1 with a reason if it does not fit. */
int catalog_take(catalog_t *catalog, const PGresult *res, char *reason,
    size_t size);


#endif
