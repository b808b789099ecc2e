/* The DDL and the grants that a configuration needs. */

#ifndef SLUICE_DDL_H
#define SLUICE_DDL_H


#include "postgres/sql.h"


#define DDL_VERSION  5    /* of the schema "sluice" */

/* The version since which keys in sluice.seen keep their order. */
#define DDL_ORDERED_KEYS  5


/*
 * The statements that create schema "sluice", or upgrade it from version N-1,
 * in a transaction of their own.  A constant.
 */
const char *ddl_own_tables(void);

/* What these begin and end with. */
#define DDL_BEGIN   "BEGIN;\n"
#define DDL_COMMIT  "COMMIT;\n"

/* The type of a column that names none, in a table to be created. */
const char *ddl_type(const conf_column_t *column);

/*
 * What comes before the statements below, in their transaction, with the
 * search_path that finds the types: an error unless each type that the
 * configuration names is there, and its owner is no stranger to "role" (NULL:
 * the current one).
 */
void ddl_types(buf_t *sql, const conf_t *conf, const char *role);

/* CREATE TABLE IF NOT EXISTS for the target. */
void ddl_table(buf_t *sql, const conf_t *conf);

/* ALTER TABLE that adds a column to the table "name", quoted. */
void ddl_add_column(buf_t *sql, const char *name, const conf_column_t *column);

/*
 * What an administrator runs for a daemon without the right to DDL: schema
 * "sluice", the tables where "create_table" and "evolve" ask for them, and the
 * grants for "role" (NULL: none).  It can be run again.
 */
void ddl_script(buf_t *sql, const conf_t *conf, const char *role);

/*
 * Appends "search_path TO ...;", which follows SET: the role's default, so
 * that a table's name without a schema means the table that the daemon finds.
 */
void ddl_search_path(buf_t *sql, const char *role);


#endif
