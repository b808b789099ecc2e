/* What the catalogue says of one table: its columns, their types. */

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "conf/types.h"
#include "postgres/ddl.h"
#include "postgres/sql.h"
#include "postgres/target_impl.h"


static int target_room(target_t *target, const PGresult *rows);
static int target_find(target_t *target, char *reason, size_t size);
static int target_rest(const target_t *target, char *reason, size_t size);
static int target_key(const target_t *target, char *reason, size_t size);
static int target_auto(target_t *target);
static void target_auto_free(target_t *target);
static int target_auto_path(conf_column_t *column);


void
target_init(target_t *target, const conf_t *conf)
{
    memset(target, 0, sizeof(target_t));
    target->conf = conf;
    target->columns = conf->columns;
}


void
target_free(target_t *target)
{
    target_auto_free(target);
    free(target->types);
    free(target->table_types);
    free(target->oids);
    free(target->receives);
    free(target->elements);
    free(target->bases);
    free(target->defaults);
    PQclear(target->rows);
    target_init(target, target->conf);
}


int
target_take(target_t *target, const PGresult *rows, char *reason,
    size_t size)
{
    size_t         i;
    const conf_t  *conf;

    conf = target->conf;
    target_free(target);

    if (target_room(target, rows) == -1) {
        snprintf(reason, size, "out of memory");
        return -1;
    }

    if (target_find(target, reason, size) == -1) {
        return -1;
    }

    if (PQntuples(rows) == 0) {
        snprintf(reason, size, "table \"%s\" does not exist", conf->table);
        return -1;
    }

    if (target_rest(target, reason, size) == -1
        || target_key(target, reason, size) == -1)
    {
        return -1;
    }

    for (i = 0; i < target->ncolumns; i++) {
        if (target->table_types[i] == NULL) {
            snprintf(reason, size, "table \"%s\" has no column \"%s\", "
                     "which \"evolve\": \"add\" would add", conf->table,
                     target->columns[i].name);
            return -1;
        }
    }

    return 0;
}


/* Keeps the rows and makes room for what they say of each column. */

static int
target_room(target_t *target, const PGresult *rows)
{
    size_t  n;

    target->rows = PQcopyResult(rows, PG_COPYRES_ATTRS | PG_COPYRES_TUPLES);
    if (target->rows == NULL) {
        goto failed;
    }

    target->ncolumns = target->conf->ncolumns;

    if (target->conf->columns_auto && target_auto(target) == -1) {
        goto failed;
    }

    n = target->ncolumns + 1;
    target->types = calloc(n, sizeof(char *));
    target->table_types = calloc(n, sizeof(char *));
    target->oids = calloc(n, sizeof(uint32_t));
    target->receives = calloc(n, sizeof(char *));
    target->elements = calloc(n, sizeof(uint32_t));
    target->bases = calloc(n, sizeof(char *));
    target->defaults = calloc(n, sizeof(char *));

    if (target->types && target->table_types && target->oids
        && target->receives && target->elements && target->bases
        && target->defaults)
    {
        return 0;
    }

failed:

    target_free(target);

    return -1;
}


/*
 * Whether a record may leave the column as it is.  Debezium's do so with values
 * that PostgreSQL keeps out of line, which a type of fixed size never is.
 */

static bool
target_keeps(const target_t *target, size_t i, const char *fallback)
{
    type_kind_t           kind;
    const conf_column_t  *column = &target->columns[i];

    if (column->on_missing == CONF_ON_KEEP || column->on_null == CONF_ON_KEEP)
    {
        return true;
    }

    kind = type_kind(target->table_types[i]);

    return target->conf->format == CONF_FORMAT_DEBEZIUM
           && column->from == CONF_FROM_PATH && *fallback
           && conf_may_keep(target->conf, column->name)
           && (kind < TYPE_BOOLEAN || kind > TYPE_TIME
               || kind == TYPE_NUMERIC)
           && strcmp(target->table_types[i], "uuid") != 0;
}


/* Finds each column in the table; -1 where one is not the daemon's to fill. */

static int
target_find(target_t *target, char *reason, size_t size)
{
    int                   rc, row;
    size_t                i;
    const PGresult       *rows;
    const conf_column_t  *column;

    rc = 0;
    rows = target->rows;
    target->by_insert = PQntuples(rows)
                        && target_is(rows, 0, TARGET_BY_INSERT);
    target->plain = !target->by_insert && target_is_plain(target);
    target->known = target->plain && target_is_known(target);
    target->unlogged = PQntuples(rows) && target_is(rows, 0, TARGET_UNLOGGED);
    target->version = PQntuples(rows) ? PQgetvalue(rows, 0, TARGET_VERSION)
                                      : "0";
    target->name = PQntuples(rows) ? PQgetvalue(rows, 0, TARGET_PLACE) : "";
    target->range = PQntuples(rows) && !PQgetisnull(rows, 0, TARGET_RANGE)
                    ? PQgetvalue(rows, 0, TARGET_RANGE) : NULL;

    for (i = 0; i < target->ncolumns; i++) {
        column = &target->columns[i];
        row = target_row(rows, column->name);

        if (row == -1) {
            target->types[i] = column->type ? column->type : ddl_type(column);
            continue;
        }

        target->table_types[i] = PQgetvalue(rows, row, TARGET_TYPE);
        target->types[i] = column->type && type_is_known(column->type)
                           ? column->type : target->table_types[i];
        target->oids[i] = (uint32_t) sql_number(rows, row, TARGET_TYPE_OID);
        target->receives[i] = PQgetvalue(rows, row, TARGET_RECEIVE);
        target->elements[i] = (uint32_t) sql_number(rows, row,
                                                    TARGET_ELEMENT);

        target->bases[i] = PQgetvalue(rows, row, TARGET_BASE);

        if (target_keeps(target, i, PQgetvalue(rows, row, TARGET_NEW))) {
            target->nkeeps++;
            target->defaults[i] = PQgetvalue(rows, row, TARGET_NEW);
        }

        if (rc == 0 && target->defaults[i] && *target->defaults[i] == '\0') {
            snprintf(reason, size, "column \"%s\" of \"%s\" cannot \"keep\" "
                     "what is there: only PostgreSQL knows what a new row gets "
                     "in an identity column, a view or a foreign table",
                     column->name, target->conf->table);
            rc = -1;
        }

        if (rc == 0 && column->from != CONF_FROM_IDENTITY
            && target_is(rows, row, TARGET_FILLED))
        {
            snprintf(reason, size, "column \"%s\" of table \"%s\" is filled "
                     "by PostgreSQL", column->name, target->conf->table);
            rc = -1;
        }
    }

    return rc;
}


/* With "auto" only the table can tell which columns there are. */

static int
target_rest(const target_t *target, char *reason, size_t size)
{
    const conf_t  *conf;

    conf = target->conf;

    if (!conf->columns_auto) {
        return 0;
    }

    if (target->ncolumns == 0) {
        snprintf(reason, size, "table \"%s\" has no column that \"auto\" "
                 "could fill", conf->table);
        return -1;
    }

    if (conf->rest && !target_fills(target, conf->rest)) {
        snprintf(reason, size, "table \"%s\" has no column \"%s\" for the "
                 "rest", conf->table, conf->rest);
        return -1;
    }

    return 0;
}


static int
target_key(const target_t *target, char *reason, size_t size)
{
    size_t         i;
    const char    *name;
    const conf_t  *conf;

    conf = target->conf;

    for (i = 0; i <= conf->key.n; i++) {
        name = i < conf->key.n ? conf->key.names[i] : conf->newer;

        if (name && !target_fills(target, name)) {
            snprintf(reason, size, "\"%s\" names column \"%s\", which is not "
                     "filled from the record in table \"%s\"",
                     i < conf->key.n ? "key" : "newer", name, conf->table);
            return -1;
        }
    }

    if (conf->mode != CONF_MODE_UPDATE
        && target_is(target->rows, 0, TARGET_DEFERRABLE))
    {
        snprintf(reason, size, "the unique constraint of \"key\" in table "
                 "\"%s\" is deferrable, and ON CONFLICT cannot use such a one",
                 conf->table);
        return -1;
    }

    return 0;
}


/*
 * "columns": "auto": each column is taken from the field of its name.  A
 * column that PostgreSQL fills, or whose default is no constant, is left
 * to the table: COPY cannot ask for a default in some rows only.
 */

static int
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

        if (PQgetisnull(target->rows, row, TARGET_NAME)) {
            /* the table has no columns */
            continue;
        }

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

        if (column->from == CONF_FROM_REST) {
            continue;
        }

        if (conf->on_missing == CONF_ON_REJECT
            ? class == '\0' : conf_may_keep(conf, name))
        {
            column->on_missing = conf->on_missing;
        }

        if (target_auto_path(column) == -1) {
            return -1;
        }
    }

    return 0;
}


static void
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


void
target_compare(buf_t *sql, const target_t *target, const char *column,
    const char *left, const char *right, bool later)
{
    int              row;
    const char      *op, *cast;
    const PGresult  *rows;

    rows = target->rows;
    row = target_row(rows, column);
    op = later ? SQL_OP(">=") : SQL_OP("=");
    cast = "";

    if (row != -1 && !PQgetisnull(rows, row, TARGET_SAME)) {
        op = PQgetvalue(rows, row, later ? TARGET_LATER : TARGET_SAME);
        cast = PQgetvalue(rows, row, TARGET_CAST);
    }

    sql_format(sql, "%s.%I%s%s%s.%I%s", left, column, cast, op, right, column,
               cast);
}


/* The row of a column whose default is a constant, or -1. */

static int
target_constant(const target_t *target, size_t i)
{
    int                   row;
    const conf_column_t  *column;

    column = &target->columns[i];
    row = target_row(target->rows, column->name);

    return column->from == CONF_FROM_PATH && column->on_missing == CONF_ON_UNSET
           && PQgetvalue(target->rows, row, TARGET_DEFAULT)[0] == 'c'
           ? row : -1;
}


/* One row with a field for each constant, as JSON. */

void
target_defaults_query(buf_t *sql, const target_t *target)
{
    int          row;
    size_t       i, len;
    type_kind_t  kind;

    len = sql->len;

    for (i = 0; i < target->ncolumns; i++) {
        row = target_constant(target, i);

        if (row == -1) {
            continue;
        }

        kind = type_kind(target->table_types[i]);
        buf_addf(sql, sql->len > len ? "," : "SELECT ");

        /* the catalogue's own text of the table owner's expression */
        buf_addf(sql, kind == TYPE_JSON ? "(%s)::text"
                 : kind == TYPE_BYTEA
                 ? "to_json(translate(encode(%s,'base64'),E'\\n',''))::text"
                 : "to_json((%s)::text)::text",
                 PQgetvalue(target->rows, row, TARGET_EXPRESSION));
        buf_addf(sql, " AS c%zu", i);
    }
}


int
target_defaults_take(target_t *target, const PGresult *values)
{
    int     at;
    size_t  i;

    for (i = 0, at = 0; i < target->ncolumns; i++) {

        if (target_constant(target, i) == -1) {
            continue;
        }

        if (!PQgetisnull(values, 0, at)) {
            target->own[i].fallback = strdup(PQgetvalue(values, 0, at));
            if (target->own[i].fallback == NULL) {
                return -1;
            }
        }

        at++;
    }

    return 0;
}
