/* What the catalogue says of one table: its columns, their types. */

#include <stdio.h>
#include <stdlib.h>

#include "postgres/ddl.h"
#include "postgres/sql.h"
#include "postgres/target_impl.h"


static int target_room(target_t *target, const PGresult *rows);
static int target_find(target_t *target, char *reason, size_t size);
static int target_rest(const target_t *target, char *reason, size_t size);
static bool target_is_plain(const target_t *target);


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
    PQclear(target->rows);
    target_init(target, target->conf);
}


/* The base type of a domain, or of a domain of a domain, as "name". */

static void
target_base_query(buf_t *sql, const char *type, const char *name)
{
    sql_format(sql, " CROSS JOIN LATERAL (WITH RECURSIVE r(oid, mod, n) AS ("
               "SELECT %s, 0 UNION ALL SELECT u.typbasetype, u.typtypmod,"
               " r.n + 1 FROM r JOIN pg_catalog.pg_type u ON u.oid = r.oid"
               " WHERE u.typtype = 'd') SELECT r.oid, r.mod FROM r"
               " ORDER BY r.n DESC LIMIT 1) %s", type, name);
}


/*
 * TARGET_PLAIN: whether copying rows of new keys into a table does the same as
 * merging them.  Neither the table nor a partition has a trigger, the table
 * has no rule and no unique key that is checked later.  A merge, for keys that
 * exist, needs the right to make a temporary table.
 */

void
target_query(buf_t *sql, const conf_t *conf)
{
    sql_format(sql, "SELECT a.attname, CASE WHEN e.typtype = 'd'"
               " THEN format_type(f.oid, f.mod) || '[]'"
               " ELSE format_type(b.oid, b.mod) END,"
               " a.attgenerated <> '' OR a.attidentity = 'a',"
               " CASE WHEN a.attidentity <> '' THEN 'v'"
               " WHEN d.adbin IS NULL THEN ''"
               " WHEN d.adbin::text ~ '{(SQLVALUEFUNCTION|NEXTVALUEEXPR|"
               "COERCEVIAIO) ' OR EXISTS (SELECT FROM regexp_matches("
               "d.adbin::text, ':(?:op)?funcid ([0-9]+)', 'g') m"
               " JOIN pg_catalog.pg_proc p ON p.oid = m[1]::oid"
               " WHERE p.provolatile <> 'i') THEN 'v' ELSE 'c' END,"
               " pg_get_expr(d.adbin, d.adrelid),"
               " row_security_active(a.attrelid) OR EXISTS (SELECT FROM"
               " pg_catalog.pg_class c WHERE c.oid = a.attrelid"
               " AND c.relkind = 'v'), a.atttypid, a.attnotnull,"
               " (SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_trigger"
               " WHERE NOT tgisinternal AND tgrelid IN (WITH RECURSIVE r(oid)"
               " AS (SELECT t::oid UNION SELECT inhrelid FROM r"
               " JOIN pg_catalog.pg_inherits ON inhparent = r.oid)"
               " SELECT r.oid FROM r))"
               " AND NOT EXISTS (SELECT FROM pg_catalog.pg_rewrite"
               " WHERE ev_class = t)"
               " AND NOT EXISTS (SELECT FROM pg_catalog.pg_index"
               " WHERE indrelid = t AND indisunique AND NOT indimmediate)"
               " AND has_database_privilege(current_database(), 'TEMPORARY')"
               " FROM to_regclass(%R) t)"
               " FROM pg_catalog.pg_attribute a", conf);
    target_base_query(sql, "a.atttypid, a.atttypmod", "b");
    sql_format(sql, " JOIN pg_catalog.pg_type t ON t.oid = b.oid"
               " LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem"
               " AND e.typarray = t.oid");
    target_base_query(sql, "e.oid, -1", "f");
    sql_format(sql, " LEFT JOIN pg_catalog.pg_attrdef d"
               " ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
               " WHERE a.attnum > 0 AND NOT a.attisdropped"
               " AND a.attrelid = to_regclass(%R) ORDER BY a.attnum", conf);
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

    if (target_rest(target, reason, size) == -1) {
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

    if (target->types && target->table_types && target->oids) {
        return 0;
    }

failed:

    target_free(target);

    return -1;
}


/* Finds each column in the table; -1 where one is not the daemon's to fill. */

static int
target_find(target_t *target, char *reason, size_t size)
{
    int                   rc, row, rows;
    size_t                i;
    const char           *type;
    const PGresult       *res;
    const conf_column_t  *column;

    rc = 0;
    res = target->rows;
    rows = PQntuples(res);
    target->by_insert = rows && target_is(res, 0, TARGET_BY_INSERT);
    target->plain = !target->by_insert && target_is_plain(target);

    for (i = 0; i < target->ncolumns; i++) {
        column = &target->columns[i];

        for (row = 0; row < rows; row++) {
            if (strcmp(PQgetvalue(res, row, TARGET_NAME), column->name) == 0)
            {
                break;
            }
        }

        type = NULL;

        if (row < rows) {
            type = PQgetvalue(res, row, TARGET_TYPE);
            target->oids[i] = (uint32_t) sql_number(res, row,
                                                    TARGET_TYPE_OID);

            if (rc == 0 && column->from != CONF_FROM_IDENTITY
                && target_is(res, row, TARGET_FILLED))
            {
                snprintf(reason, size, "column \"%s\" of table \"%s\" is "
                         "filled by PostgreSQL", column->name,
                         target->conf->table);
                rc = -1;
            }
        }

        target->table_types[i] = type;
        target->types[i] = column->type ? column->type
                           : type ? type : ddl_type(column);
    }

    return rc;
}


/* With "auto" only the table can tell that the column for "rest" is missing. */

static int
target_rest(const target_t *target, char *reason, size_t size)
{
    size_t         i;
    const conf_t  *conf;

    conf = target->conf;

    if (!conf->columns_auto || conf->rest == NULL) {
        return 0;
    }

    for (i = 0; i < target->ncolumns; i++) {
        if (target->columns[i].from == CONF_FROM_REST) {
            return 0;
        }
    }

    snprintf(reason, size, "table \"%s\" has no column \"%s\" for the rest",
             conf->table, conf->rest);

    return -1;
}


/* A null key matches no row, so each record with one would add a row. */

static bool
target_is_plain(const target_t *target)
{
    int              row;
    size_t           n;
    const conf_t    *conf;
    const PGresult  *res;

    conf = target->conf;
    res = target->rows;

    for (row = 0, n = 0; row < PQntuples(res); row++) {
        if (!target_is(res, row, TARGET_PLAIN)) {
            return false;
        }

        if (target_is(res, row, TARGET_NOT_NULL)) {
            n += conf_is_key(&conf->key, PQgetvalue(res, row, TARGET_NAME));
        }
    }

    return n && n == conf->key.n;
}
