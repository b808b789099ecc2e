/* Results and errors of libpq become a reply. */

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
    reply->in_copy = s && strchr(s, '\n') == NULL;
}


/*
 * Of each host that answered, libpq's text holds "FATAL:  28P01: reason" and
 * "LOCATION:  function, file" on a line of its own.  The last SQLSTATE counts:
 * libpq tries another host only if one cannot take connections yet.
 */

void
pg_refusal(const char *error, char *reason, char *sqlstate)
{
    int          i;
    const char  *p;

    sqlstate[0] = '\0';

    for (p = strstr(error, ":  "); p; p = strstr(p, ":  ")) {
        p += 3;

        for (i = 0; i < 5 && (isupper((unsigned char) p[i])
                              || isdigit((unsigned char) p[i])); i++)
        {
            /* void */
        }

        if (i == 5 && p[5] == ':') {
            memcpy(sqlstate, p, 5);
            sqlstate[5] = '\0';
        }
    }

    pg_text(reason, PG_REASON, error);
}


/* A text on one line: libpq's has several, the places in its source too. */

void
pg_text(char *dst, size_t size, const char *src)
{
    size_t  n;

    for (n = 0; src && *src && n < size - 1; src++) {
        if (strncmp(src, "\nLOCATION:", sizeof("\nLOCATION:") - 1) == 0) {
            src += strcspn(src + 1, "\n");

        } else if (*src != '\n' && *src != '\t') {
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
