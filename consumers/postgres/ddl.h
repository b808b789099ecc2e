/* The DDL and the grants that a configuration asks for. */

#ifndef SLUICE_DDL_H
#define SLUICE_DDL_H


#include "postgres/sql.h"


#define DDL_VERSION  3    /* of the schema "sluice" */


/*
 * The statements that make schema "sluice", or bring it from the version
 * before to this one; in a transaction of their own.  A constant.
 */
const char *ddl_own_tables(void);

/* The type of a column that names none, in a table that is yet to be made. */
const char *ddl_type(const conf_column_t *column);

/* CREATE TABLE IF NOT EXISTS for the target. */
void ddl_table(buf_t *sql, const conf_t *conf);

/* ALTER TABLE that adds a column of the configuration to the target. */
void ddl_add_column(buf_t *sql, const conf_t *conf,
    const conf_column_t *column);

/*
 * What an administrator runs for a daemon that may do no DDL: schema "sluice",
 * the targets where "create_table" and "evolve" ask for it, and the grants for
 * "role" (NULL: none).  May be run again.
 */
void ddl_script(buf_t *sql, const conf_t *conf, const char *role);

/*
 * "search_path TO ...;", for a SET before it: the role's default, so that a
 * table's name without a schema means what it means to the daemon.
 */
void ddl_search_path(buf_t *sql, const char *role);


#endif
