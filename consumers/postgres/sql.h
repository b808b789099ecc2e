/* Builds SQL from names and values, each quoted. */

#ifndef SLUICE_SQL_H
#define SLUICE_SQL_H


#include <libpq-fe.h>
#include <stdint.h>

#include "base/buf.h"
#include "conf/conf.h"


#define SQL_LOCK_TIMEOUT  15000    /* ms */

/*
 * An operator of PostgreSQL's own.  Everything in a text that runs by the
 * role's search_path has its schema: a name without one may find an object of
 * any role that can create objects in a schema there.  IN, BETWEEN, NULLIF and
 * CASE with an operand find their operators by search_path, so they stand in no
 * such text.
 */
#define SQL_OP(op)  " OPERATOR(pg_catalog." op ") "

/* Where nothing is found by a name without a schema but PostgreSQL's own. */
#define SQL_PATH  "search_path=pg_catalog,pg_temp;"


/*
 * Appends "fmt" with %s, %I (a name) and %L (a literal) as PostgreSQL's
 * format() has them; of a conf_t, %T is its table, and %O an expression of the
 * table's OID or null: a name without a schema is looked for as search_path has
 * it, but never in schema sluice.
 */
void sql_format(buf_t *sql, const char *fmt, ...);

/*
 * Appends DO with the block of PL/pgSQL, which is freed.  Where memory was
 * short the block is empty: a syntax error, so what follows is not done.
 */
void sql_do(buf_t *sql, buf_t *block);

/*
 * Opens a transaction: READ COMMITTED, bounded in time on the server.  The
 * longest wait for a lock must outlast the removal of a blocking backend.  The
 * settings by which PostgreSQL reads a text are those of Sluice, whatever the
 * role or the database has.
 */
void sql_begin(buf_t *sql);

/*
 * For a table that is created: takes schema sluice out of the transaction's
 * search_path, where the role's name or a setting has it, and has the types'
 * names mean PostgreSQL's own.
 */
void sql_path(buf_t *sql);

/* The number in a column of a result's row. */
int64_t sql_number(const PGresult *res, int row, int column);


#endif
