/* Builds SQL from names and values, each quoted. */

#ifndef SLUICE_SQL_H
#define SLUICE_SQL_H


#include <libpq-fe.h>
#include <stdint.h>

#include "base/buf.h"
#include "conf/conf.h"


#define SQL_LOCK_TIMEOUT  15000    /* ms */


/*
 * Appends "fmt" with %s, %I (a name) and %L (a literal) as PostgreSQL's
 * format() has them; of a conf_t, %T is its table, and %R the same as the
 * literal that to_regclass() takes.
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
 * Takes schema sluice out of search_path, where the role's name or a setting
 * has it: no table of an unqualified name is one of Sluice's own.  In the
 * transaction alone if "local", else in the session.
 */
void sql_pin(buf_t *sql, bool local);

/* The number in a column of a result's row. */
int64_t sql_number(const PGresult *res, int row, int column);


#endif
