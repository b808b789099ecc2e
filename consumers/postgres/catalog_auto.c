/* "columns": "auto": the table's columns, each from the field of its name. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "conf/types.h"
#include "postgres/catalog_impl.h"


static int catalog_auto_column(conf_column_t *column, const char *name,
    bool rest);


static int
catalog_auto_column(conf_column_t *column, const char *name, bool rest)
{
    char        *p;
    const char  *reason;

    memset(column, 0, sizeof(conf_column_t));

    column->from = rest ? CONF_FROM_REST : CONF_FROM_PATH;
    column->name = strdup(name);
    column->path = rest ? NULL : malloc(strlen(name) * 2 + 2);

    if (column->name == NULL || (column->path == NULL && !rest)) {
        return -1;
    }

    if (rest) {
        return 0;
    }

    /* RFC 6901, section 3 */

    p = column->path;
    *p++ = '/';

    for ( /* void */ ; *name; name++) {
        if (*name == '~' || *name == '/') {
            *p++ = '~';
            *p++ = *name == '~' ? '0' : '1';
        } else {
            *p++ = *name;
        }
    }

    *p = '\0';

    column->pointer = json_pointer_compile(column->path, strlen(column->path),
                                           &reason);

    return column->pointer ? 0 : -1;
}


/*
 * A column that PostgreSQL fills, or whose default is no constant, is left
 * to the table: COPY cannot ask for a default in some rows only.
 */

int
catalog_auto(conf_t *conf, const PGresult *res)
{
    int             row, rows;
    char            class;
    size_t          i;
    const char     *name;
    conf_column_t  *columns;

    for (i = 0; i < conf->ncolumns; i++) {
        conf_column_release(&conf->columns[i]);
    }

    conf->ncolumns = 0;
    rows = PQntuples(res);

    columns = realloc(conf->columns,
                      ((size_t) rows + 1) * sizeof(conf_column_t));
    if (columns == NULL) {
        return -1;
    }

    conf->columns = columns;

    for (row = 0; row < rows; row++) {
        name = PQgetvalue(res, row, CATALOG_NAME);
        class = PQgetvalue(res, row, CATALOG_DEFAULT)[0];

        if (PQgetvalue(res, row, CATALOG_FILLED)[0] == 't' || class == 'v') {
            if (class == 'v') {
                log_info("column \"%s\" of table \"%s\" is left to the "
                         "table's default", name, conf->table);
            }
            continue;
        }

        if (catalog_auto_column(&columns[conf->ncolumns++], name,
                                conf->rest && strcmp(conf->rest, name) == 0)
            == -1)
        {
            return -1;
        }
    }

    return 0;
}


/* Asks for the constants, as JSON, by one row of as many columns. */

void
catalog_auto_query(buf_t *sql, const PGresult *res)
{
    int          row;
    type_kind_t  kind;
    const char  *expr;

    for (row = 0; row < PQntuples(res); row++) {

        if (PQgetvalue(res, row, CATALOG_DEFAULT)[0] != 'c'
            || PQgetvalue(res, row, CATALOG_FILLED)[0] == 't')
        {
            continue;
        }

        /* the catalogue's own text of the table owner's expression */

        expr = PQgetvalue(res, row, CATALOG_EXPRESSION);
        kind = type_kind(PQgetvalue(res, row, CATALOG_TYPE));

        buf_addf(sql, sql->len ? "," : "SELECT ");
        buf_addf(sql, kind == TYPE_JSON ? "(%s)::text"
                 : kind == TYPE_BYTEA
                 ? "to_json(translate(encode(%s,'base64'),E'\\n',''))::text"
                 : "to_json((%s)::text)::text", expr);
        buf_addf(sql, " AS ");
        buf_addf(sql, "c%d", row);
    }
}


int
catalog_auto_defaults(conf_t *conf, const PGresult *columns,
    const PGresult *values)
{
    int          row, at;
    size_t       i;
    const char  *name;

    for (row = 0, at = 0; row < PQntuples(columns); row++) {

        if (PQgetvalue(columns, row, CATALOG_DEFAULT)[0] != 'c'
            || PQgetvalue(columns, row, CATALOG_FILLED)[0] == 't')
        {
            continue;
        }

        name = PQgetvalue(columns, row, CATALOG_NAME);

        for (i = 0; i < conf->ncolumns; i++) {
            if (conf->columns[i].from == CONF_FROM_PATH
                && strcmp(conf->columns[i].name, name) == 0
                && !PQgetisnull(values, 0, at))
            {
                free(conf->columns[i].fallback);
                conf->columns[i].fallback = strdup(PQgetvalue(values, 0, at));
                if (conf->columns[i].fallback == NULL) {
                    return -1;
                }
            }
        }

        at++;
    }

    return 0;
}
