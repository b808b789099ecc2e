/* Inside the connection: reading what PostgreSQL said. */

#ifndef SLUICE_PG_IMPL_H
#define SLUICE_PG_IMPL_H


#include "postgres/pg.h"


/* Takes a result over: its rows, or its error if that is the first one. */
void pg_take(pg_reply_t *reply, PGresult *res);

/*
 * Writes libpq's error about a connection as one line (PG_REASON bytes) and
 * the server's SQLSTATE (6 bytes), "" where the server did not answer.
 */
void pg_refusal(const char *error, char *reason, char *sqlstate);

/* Writes a server's text on one line; NULL is "". */
void pg_text(char *dst, size_t size, const char *src);


#endif
