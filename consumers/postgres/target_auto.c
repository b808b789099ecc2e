/* "columns": "auto": the table's columns, each from the field of its name. */

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "conf/types.h"
#include "postgres/target_impl.h"


static int target_auto_path(conf_column_t *column);
static bool target_has_constant(const target_t *target, int row);


/*
 * A column that PostgreSQL fills, or whose default is no constant, is left
 * to the table: COPY cannot ask for a default in some rows only.
 */

int
target_auto(target_t *target)
{
    int             row, rows;
    char            class;
    char           *name;
    const conf_t   *conf;
    conf_column_t  *column;

    conf = target->conf;
    rows = PQntuples(target->rows);

    target->ncolumns = 0;
    target->own = calloc((size_t) rows + 1, sizeof(conf_column_t));
    if (target->own == NULL) {
        return -1;
    }

    target->columns = target->own;

    for (row = 0; row < rows; row++) {
        name = PQgetvalue(target->rows, row, TARGET_NAME);
        class = PQgetvalue(target->rows, row, TARGET_DEFAULT)[0];

        if (class == 'v') {
            log_info("column \"%s\" of table \"%s\" is left to the table's "
                     "default", name, conf->table);
            continue;
        }

        if (target_is(target->rows, row, TARGET_FILLED)) {
            continue;
        }

        column = &target->own[target->ncolumns++];
        column->name = name;
        column->from = conf->rest && strcmp(conf->rest, name) == 0
                       ? CONF_FROM_REST : CONF_FROM_PATH;

        if (column->from == CONF_FROM_PATH && target_auto_path(column) == -1)
        {
            return -1;
        }
    }

    return 0;
}


void
target_auto_free(target_t *target)
{
    size_t  i;

    for (i = 0; target->own && i < target->ncolumns; i++) {
        free(target->own[i].path);
        free(target->own[i].fallback);
        json_pointer_free(target->own[i].pointer);
    }

    free(target->own);
}


/* The path of a column: the member of the column's name. */

static int
target_auto_path(conf_column_t *column)
{
    size_t       len;
    const char  *reason;

    len = strlen(column->name);

    column->path = malloc(len * 2 + 2);
    if (column->path == NULL) {
        return -1;
    }

    column->path[0] = '/';
    *json_pointer_escape(column->path + 1, column->name, len) = '\0';

    column->pointer = json_pointer_compile(column->path, strlen(column->path),
                                           &reason);

    return column->pointer ? 0 : -1;
}


static bool
target_has_constant(const target_t *target, int row)
{
    return PQgetvalue(target->rows, row, TARGET_DEFAULT)[0] == 'c'
           && !target_is(target->rows, row, TARGET_FILLED);
}


/* One row with a constant a field, each as JSON. */

void
target_defaults_query(buf_t *sql, const target_t *target)
{
    int          row;
    type_kind_t  kind;

    for (row = 0; row < PQntuples(target->rows); row++) {

        if (!target_has_constant(target, row)) {
            continue;
        }

        kind = type_kind(PQgetvalue(target->rows, row, TARGET_TYPE));
        buf_addf(sql, sql->len ? "," : "SELECT ");

        /* the catalogue's own text of the table owner's expression */
        buf_addf(sql, kind == TYPE_JSON ? "(%s)::text"
                 : kind == TYPE_BYTEA
                 ? "to_json(translate(encode(%s,'base64'),E'\\n',''))::text"
                 : "to_json((%s)::text)::text",
                 PQgetvalue(target->rows, row, TARGET_EXPRESSION));
        buf_addf(sql, " AS c%d", row);
    }
}


int
target_defaults_take(target_t *target, const PGresult *values)
{
    int             row, at;
    size_t          i;
    const char     *name;
    conf_column_t  *column;

    for (row = 0, at = 0; row < PQntuples(target->rows); row++) {

        if (!target_has_constant(target, row)) {
            continue;
        }

        name = PQgetvalue(target->rows, row, TARGET_NAME);

        for (i = 0; i < target->ncolumns; i++) {
            column = &target->own[i];

            if (column->from != CONF_FROM_PATH
                || strcmp(column->name, name) != 0
                || PQgetisnull(values, 0, at))
            {
                continue;
            }

            column->fallback = strdup(PQgetvalue(values, 0, at));
            if (column->fallback == NULL) {
                return -1;
            }
        }

        at++;
    }

    return 0;
}
