/* Builds SQL from names and values, each quoted. */

#ifndef SLUICE_SQL_H
#define SLUICE_SQL_H


#include <libpq-fe.h>
#include <stdint.h>

#include "base/buf.h"
#include "conf/conf.h"


#define SQL_LOCK_TIMEOUT  15000    /* ms */

/*
 * search_path as SET takes it, without schema sluice, where the role's name or
 * a setting has it: no table of an unqualified name is one of Sluice's own.
 */
#define SQL_PATH                                                              \
    "(SELECT coalesce(string_agg(quote_ident(s), ',' ORDER BY n),"            \
    " 'pg_catalog') FROM unnest(current_schemas(false)) WITH ORDINALITY"      \
    " u(s, n) WHERE s <> 'sluice')"


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
 * role or the database has.  "path" is SQL_PATH's value, NULL if the session
 * has it.
 */
void sql_begin(buf_t *sql, const char *path);

/* The number in a column of a result's row. */
int64_t sql_number(const PGresult *res, int row, int column);


#endif
