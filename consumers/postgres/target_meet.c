/* How rows meet rows of their table: which ways around a merge do the same. */

#include <string.h>

#include "postgres/sql.h"
#include "postgres/target_impl.h"


int
target_row(const PGresult *rows, const char *name)
{
    int  row;

    for (row = PQntuples(rows) - 1; row >= 0; row--) {
        if (strcmp(PQgetvalue(rows, row, TARGET_NAME), name) == 0) {
            break;
        }
    }

    return row;
}


bool
target_fills(const target_t *target, const char *name)
{
    size_t  i;

    for (i = 0; i < target->ncolumns; i++) {
        if (strcmp(target->columns[i].name, name) == 0) {
            return true;
        }
    }

    return false;
}


/* A null key matches no row, so each record with one would add a row. */

bool
target_is_plain(const target_t *target)
{
    int              row;
    size_t           n;
    const PGresult  *rows;

    n = target->conf->key.n;
    rows = target->rows;

    for (row = 0; row < PQntuples(rows); row++) {
        if (!target_is(rows, row, TARGET_PLAIN)) {
            return false;
        }

        n -= target_is(rows, row, TARGET_NOT_NULL)
             && conf_is_key(&target->conf->key,
                            PQgetvalue(rows, row, TARGET_NAME));
    }

    return n == 0 && target->conf->key.n;
}


/*
 * Whether an UPDATE of rows whose keys are there does the same as a merge, and
 * whether the daemon can tell equal keys by their bytes: those of numbers,
 * times, uuid, bytea and text, but where a length or a precision cuts them.  A
 * merge first makes the row that it would insert: it asks for each column that
 * cannot be null, and for each that a CHECK or a domain names.
 */

bool
target_is_known(const target_t *target)
{
    int              row;
    bool             filled;
    const char      *name;
    const PGresult  *rows;

    rows = target->rows;

    for (row = 0; row < PQntuples(rows); row++) {
        name = PQgetvalue(rows, row, TARGET_NAME);
        filled = target_fills(target, name);

        if (!target_is(rows, row, TARGET_ORDINARY)
            || (conf_is_key(&target->conf->key, name)
                && !target_is(rows, row, TARGET_BYTES)))
        {
            return false;
        }

        if (!filled && (target_is(rows, row, TARGET_CHECKED)
                        || (target_is(rows, row, TARGET_NOT_NULL)
                            && !target_is(rows, row, TARGET_FILLED)
                            && PQgetvalue(rows, row, TARGET_DEFAULT)[0]
                               == '\0')))
        {
            return false;
        }
    }

    return true;
}


const char *
target_shape(const target_t *target, const char *column)
{
    return PQgetvalue(target->rows, target_row(target->rows, column),
                      TARGET_SHAPE);
}


bool
target_is_text(const target_t *target, const char *column)
{
    const char  *receive;

    if (!target->known) {
        return false;
    }

    receive = PQgetvalue(target->rows, target_row(target->rows, column),
                         TARGET_RECEIVE);

    return strcmp(receive, "textrecv") == 0
           || strcmp(receive, "varcharrecv") == 0;
}
