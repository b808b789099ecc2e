/* Inside the connection: results and errors of libpq become a reply. */

#ifndef SLUICE_PG_IMPL_H
#define SLUICE_PG_IMPL_H


#include "postgres/pg.h"


/* Takes a result over: its rows, or its error if that is the first one. */
void pg_take(pg_reply_t *reply, PGresult *res);

/*
 * Writes libpq's error about a connection as one line (PG_REASON bytes), and
 * the SQLSTATE (6 bytes) of the last host that answered; "": none did.
 */
void pg_refusal(const char *error, char *reason, char *sqlstate);

/* Writes a server's text on one line, without LOCATION; NULL is "". */
void pg_text(char *dst, size_t size, const char *src);


#endif
