/* What PostgreSQL said: results and errors as a reply. */

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "postgres/pg_impl.h"


static void pg_take_error(pg_reply_t *reply, const PGresult *res);


void
pg_take(pg_reply_t *reply, PGresult *res)
{
    switch (PQresultStatus(res)) {

    case PGRES_TUPLES_OK:
        PQclear(reply->rows);
        reply->rows = res;
        return;

    case PGRES_FATAL_ERROR:
    case PGRES_BAD_RESPONSE:
        /* the first error is the cause */
        if (reply->sqlstate[0] == '\0') {
            pg_take_error(reply, res);
        }
        break;

    default:
        break;
    }

    PQclear(res);
}


static void
pg_take_error(pg_reply_t *reply, const PGresult *res)
{
    char        *end;
    const char  *s;

    s = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    snprintf(reply->sqlstate, sizeof(reply->sqlstate), "%s",
             s ? s : "08006");

    s = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
    pg_text(reply->reason, sizeof(reply->reason),
            s ? s : PQresultErrorMessage(res));
    pg_text(reply->constraint, sizeof(reply->constraint),
            PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME));
    pg_text(reply->function, sizeof(reply->function),
            PQresultErrorField(res, PG_DIAG_SOURCE_FUNCTION));

    s = PQresultErrorField(res, PG_DIAG_CONTEXT);

    /* whole lines only: half a number names another line */

    if (s && (size_t) snprintf(reply->context, sizeof(reply->context), "%s",
                               s)
             >= sizeof(reply->context))
    {
        end = strrchr(reply->context, '\n');
        *(end ? end : reply->context) = '\0';
    }
}


/*
 * libpq's text is "...: FATAL:  28P01: reason\nLOCATION:  file", with a line
 * for each host: the last host's counts.
 */

void
pg_refusal(const char *error, char *reason, char *sqlstate)
{
    int          i;
    char        *at;
    const char  *p;

    pg_text(reason, PG_REASON, error);

    at = strstr(reason, " LOCATION: ");
    if (at) {
        *at = '\0';
    }

    sqlstate[0] = '\0';

    for (p = strstr(reason, ":  "); p; p = strstr(p, ":  ")) {
        p += 3;
        for (i = 0; i < 5 && isalnum((unsigned char) p[i]); i++) {
            sqlstate[i] = p[i];
        }
        sqlstate[i == 5 && p[5] == ':' ? 5 : 0] = '\0';
    }
}


/* A server's text on one line: libpq's own has several, indented. */

void
pg_text(char *dst, size_t size, const char *src)
{
    size_t  n;

    for (n = 0; src && *src && n < size - 1; src++) {
        if (*src != '\n' && *src != '\t') {
            dst[n++] = *src;

        } else if (n && dst[n - 1] != ' ') {
            dst[n++] = ' ';
        }
    }

    while (n && dst[n - 1] == ' ') {
        n--;
    }

    dst[n] = '\0';
}
