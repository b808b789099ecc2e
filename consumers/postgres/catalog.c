/* Sluice's own tables, and what the catalogue says of the target. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "postgres/catalog_impl.h"
#include "postgres/ddl.h"


struct catalog_s {
    conf_t           *conf;         /* its columns change, with "auto" */
    pg_t             *pg;
    catalog_done_pt   done;
    void             *data;
    buf_t             sql;
    bool              created;      /* the target, in this preparation */
    bool              evolved;      /* the same of its columns */
    int64_t           version;      /* of the tables found, 0: none */
    bool              told;         /* that they are of the version before */
    PGresult         *rows;         /* the table's columns, or NULL */
    char            **table_types;
    uint32_t         *oids;         /* of these types */
    const char      **types;
    size_t            ncolumns;
};


static void catalog_send(catalog_t *catalog, pg_done_pt done);
static void catalog_end(catalog_t *catalog, sqlstate_action_t action,
    const char *reason);
static int catalog_failed(catalog_t *catalog, const pg_reply_t *reply,
    const char *what);
static void catalog_on_meta(void *data, const pg_reply_t *reply);
static void catalog_on_version(void *data, const pg_reply_t *reply);
static void catalog_on_created(void *data, const pg_reply_t *reply);
static void catalog_on_columns(void *data, const pg_reply_t *reply);
static void catalog_on_target(void *data, const pg_reply_t *reply);
static void catalog_ask_columns(catalog_t *catalog);
static int catalog_evolve(catalog_t *catalog);
static void catalog_on_evolved(void *data, const pg_reply_t *reply);
static void catalog_ask_defaults(catalog_t *catalog, const PGresult *rows);
static void catalog_on_defaults(void *data, const pg_reply_t *reply);
static int catalog_room(catalog_t *catalog);
static void catalog_clear(catalog_t *catalog);


catalog_t *
catalog_create(conf_t *conf)
{
    catalog_t  *catalog;

    catalog = calloc(1, sizeof(catalog_t));
    if (catalog == NULL) {
        return NULL;
    }

    catalog->conf = conf;

    if (catalog_room(catalog) == -1) {
        catalog_destroy(catalog);
        return NULL;
    }

    return catalog;
}


/* One place a column, with nothing in it. */

static int
catalog_room(catalog_t *catalog)
{
    catalog_clear(catalog);

    catalog->ncolumns = catalog->conf->ncolumns;
    catalog->table_types = calloc(catalog->ncolumns + 1, sizeof(char *));
    catalog->oids = calloc(catalog->ncolumns + 1, sizeof(uint32_t));
    catalog->types = calloc(catalog->ncolumns + 1, sizeof(char *));

    if (catalog->table_types && catalog->oids && catalog->types) {
        return 0;
    }

    catalog->ncolumns = 0;

    return -1;
}


static void
catalog_clear(catalog_t *catalog)
{
    size_t  i;

    for (i = 0; i < catalog->ncolumns; i++) {
        free(catalog->table_types[i]);
    }

    free(catalog->table_types);
    free(catalog->oids);
    free(catalog->types);
}


void
catalog_destroy(catalog_t *catalog)
{
    if (catalog == NULL) {
        return;
    }

    catalog_clear(catalog);
    PQclear(catalog->rows);
    buf_free(&catalog->sql);
    free(catalog);
}


const char *const *
catalog_types(const catalog_t *catalog)
{
    return catalog->types;
}


const char *const *
catalog_table_types(const catalog_t *catalog)
{
    return (const char *const *) catalog->table_types;
}


const uint32_t *
catalog_type_oids(const catalog_t *catalog)
{
    return catalog->oids;
}


void
catalog_prepare(catalog_t *catalog, pg_t *pg, catalog_done_pt done,
    void *data)
{
    catalog->pg = pg;
    catalog->done = done;
    catalog->data = data;
    catalog->created = false;
    catalog->evolved = false;

    catalog->sql.len = 0;
    buf_addf(&catalog->sql, "SELECT to_regclass('sluice.meta') IS NULL,"
             " to_regclass('sluice.dead_letters') IS NULL");
    catalog_send(catalog, catalog_on_meta);
}


static void
catalog_send(catalog_t *catalog, pg_done_pt done)
{
    if (buf_failed(&catalog->sql)) {
        catalog_end(catalog, SQLSTATE_RETRY, "out of memory");
        return;
    }

    pg_query(catalog->pg, catalog->sql.data, NULL, done, catalog);
}


static void
catalog_end(catalog_t *catalog, sqlstate_action_t action, const char *reason)
{
    outcome_t  outcome;

    outcome.action = action;
    snprintf(outcome.reason, sizeof(outcome.reason), "%s", reason);

    catalog->done(catalog->data, &outcome);
}


static int
catalog_failed(catalog_t *catalog, const pg_reply_t *reply, const char *what)
{
    outcome_t  outcome;

    sql_outcome(&outcome, reply, what);

    if (outcome.action == SQLSTATE_OK && reply->rows) {
        return 0;
    }

    /* no row is at fault here */
    if (outcome.action == SQLSTATE_ROW || outcome.action == SQLSTATE_OK
        || outcome.action == SQLSTATE_ROW_LATER)
    {
        outcome.action = SQLSTATE_RETRY;
    }

    catalog->done(catalog->data, &outcome);

    return -1;
}


static void
catalog_on_meta(void *data, const pg_reply_t *reply)
{
    catalog_t  *catalog = data;

    if (catalog_failed(catalog, reply, "could not look for sluice's tables"))
    {
        return;
    }

    if (PQgetvalue(reply->rows, 0, 0)[0] == 't'
        || PQgetvalue(reply->rows, 0, 1)[0] == 't')
    {
        catalog->version = 0;
        pg_query(catalog->pg, ddl_own_tables(), NULL, catalog_on_created,
                 catalog);
        return;
    }

    catalog->sql.len = 0;
    buf_addf(&catalog->sql, "SELECT version FROM sluice.meta");
    catalog_send(catalog, catalog_on_version);
}


static void
catalog_on_created(void *data, const pg_reply_t *reply)
{
    outcome_t   outcome;
    catalog_t  *catalog = data;

    /* not the owner: the tables of the version before will do */

    if (catalog->version && strcmp(reply->sqlstate, "42501") == 0) {
        if (!catalog->told) {
            log_warnx("the tables of schema \"sluice\" are of version %lld "
                      "and this role may not bring them to version %d: %s",
                      (long long) catalog->version, DDL_VERSION,
                      reply->reason);
            catalog->told = true;
        }
        catalog_ask_columns(catalog);
        return;
    }

    sql_outcome(&outcome, reply, "could not create sluice's tables");

    if (outcome.action != SQLSTATE_OK) {
        if (outcome.action == SQLSTATE_ROW) {
            outcome.action = SQLSTATE_RETRY;
        }
        catalog->done(catalog->data, &outcome);
        return;
    }

    log_info("the tables of schema \"sluice\" were %s version %d",
             catalog->version ? "brought to" : "created,", DDL_VERSION);
    catalog_ask_columns(catalog);
}


/*
 * The version before is brought up to date; the one after has only more in
 * it, as a newer daemon of the same group may already have been here.
 */

static void
catalog_on_version(void *data, const pg_reply_t *reply)
{
    char        text[128];
    catalog_t  *catalog = data;

    if (catalog_failed(catalog, reply, "could not read sluice.meta")) {
        return;
    }

    catalog->version = PQntuples(reply->rows) ? sql_number(reply->rows, 0, 0)
                                              : 0;

    if (catalog->version == DDL_VERSION - 1) {
        pg_query(catalog->pg, ddl_own_tables(), NULL, catalog_on_created,
                 catalog);
        return;
    }

    if (catalog->version != DDL_VERSION
        && catalog->version != DDL_VERSION + 1)
    {
        snprintf(text, sizeof(text), "sluice.meta is of version %lld, this "
                 "daemon needs %d", (long long) catalog->version,
                 DDL_VERSION);
        catalog_end(catalog, SQLSTATE_HOLD, text);
        return;
    }

    catalog_ask_columns(catalog);
}


/* A domain's text is that of its base type, through domains of domains. */

static void
catalog_base(buf_t *sql, const char *type, const char *name)
{
    buf_addf(sql, " CROSS JOIN LATERAL (WITH RECURSIVE r(oid, mod, n) AS ("
             "SELECT %s, 0 UNION ALL SELECT u.typbasetype, u.typtypmod,"
             " r.n + 1 FROM r JOIN pg_catalog.pg_type u ON u.oid = r.oid"
             " WHERE u.typtype = 'd') SELECT r.oid, r.mod FROM r"
             " ORDER BY r.n DESC LIMIT 1) %s", type, name);
}


/*
 * Whether copying rows of new keys into a table is the same as merging them:
 * no trigger, one of its partitions has none either, no rule, no key that is
 * checked later; and whether a merge could follow.  Asked once, not a column.
 */

static void
catalog_plain(buf_t *sql, PGconn *conn, const char *table)
{
    buf_addf(sql, "(SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_trigger"
             " WHERE NOT tgisinternal AND tgrelid IN (WITH RECURSIVE r(oid)"
             " AS (SELECT t::oid UNION SELECT inhrelid FROM r"
             " JOIN pg_catalog.pg_inherits ON inhparent = r.oid)"
             " SELECT r.oid FROM r))"
             " AND NOT EXISTS (SELECT FROM pg_catalog.pg_rewrite"
             " WHERE ev_class = t)"
             " AND NOT EXISTS (SELECT FROM pg_catalog.pg_index"
             " WHERE indrelid = t AND indisunique AND NOT indimmediate)"
             " AND has_database_privilege(current_database(), 'TEMPORARY')"
             " FROM to_regclass(");
    sql_literal(sql, conn, table);
    buf_addf(sql, ") t)");
}


void
catalog_query(buf_t *sql, PGconn *conn, const conf_t *conf)
{
    buf_t  table;

    memset(&table, 0, sizeof(buf_t));
    sql_table(&table, conn, conf);

    buf_addf(sql, "SELECT a.attname, CASE WHEN e.typtype = 'd'"
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
             " AND c.relkind = 'v'), a.atttypid, a.attnotnull, ");
    catalog_plain(sql, conn, buf_failed(&table) ? "" : table.data);
    buf_addf(sql, " FROM pg_catalog.pg_attribute a");
    catalog_base(sql, "a.atttypid, a.atttypmod", "b");
    buf_addf(sql, " JOIN pg_catalog.pg_type t ON t.oid = b.oid"
             " LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem"
             " AND e.typarray = t.oid");
    catalog_base(sql, "e.oid, -1", "f");
    buf_addf(sql, " LEFT JOIN pg_catalog.pg_attrdef d"
             " ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
             " WHERE a.attnum > 0 AND NOT a.attisdropped"
             " AND a.attrelid = to_regclass(");
    sql_literal(sql, conn, buf_failed(&table) ? "" : table.data);
    buf_addf(sql, ") ORDER BY a.attnum");

    buf_free(&table);
}


static void
catalog_ask_columns(catalog_t *catalog)
{
    catalog->sql.len = 0;
    catalog_query(&catalog->sql, pg_conn(catalog->pg), catalog->conf);
    catalog_send(catalog, catalog_on_columns);
}


static void
catalog_on_columns(void *data, const pg_reply_t *reply)
{
    char        text[SQL_REASON];
    catalog_t  *catalog = data;

    if (catalog_failed(catalog, reply, "could not read the catalogue")) {
        return;
    }

    if (PQntuples(reply->rows) == 0 && catalog->conf->create_table
        && !catalog->created)
    {
        catalog->sql.len = 0;
        ddl_table(&catalog->sql, pg_conn(catalog->pg), catalog->conf);
        catalog_send(catalog, catalog_on_target);
        return;
    }

    if (catalog_take(catalog, reply->rows, text, sizeof(text)) == -1) {
        if (PQntuples(reply->rows) == 0 || catalog_evolve(catalog) == -1) {
            catalog_end(catalog, SQLSTATE_HOLD, text);
        }
        return;
    }

    if (catalog->conf->columns_auto) {
        catalog_ask_defaults(catalog, reply->rows);
        return;
    }

    catalog_end(catalog, SQLSTATE_OK, "");
}


/* The reply's rows are kept for the names that belong to the answer. */

static void
catalog_ask_defaults(catalog_t *catalog, const PGresult *rows)
{
    catalog->sql.len = 0;
    catalog_auto_query(&catalog->sql, rows);

    if (catalog->sql.len == 0) {
        catalog_end(catalog, SQLSTATE_OK, "");
        return;
    }

    PQclear(catalog->rows);
    catalog->rows = PQcopyResult(rows, PG_COPYRES_ATTRS | PG_COPYRES_TUPLES);

    if (catalog->rows == NULL) {
        catalog_end(catalog, SQLSTATE_RETRY, "out of memory");
        return;
    }

    catalog_send(catalog, catalog_on_defaults);
}


static void
catalog_on_defaults(void *data, const pg_reply_t *reply)
{
    catalog_t  *catalog = data;

    if (catalog_failed(catalog, reply, "could not ask for the defaults")) {
        return;
    }

    if (catalog_auto_defaults(catalog->conf, catalog->rows, reply->rows)
        == -1)
    {
        catalog_end(catalog, SQLSTATE_RETRY, "out of memory");
        return;
    }

    catalog_end(catalog, SQLSTATE_OK, "");
}


static void
catalog_on_target(void *data, const pg_reply_t *reply)
{
    outcome_t   outcome;
    catalog_t  *catalog = data;

    sql_outcome(&outcome, reply, "could not create the table");

    /* two daemons at once: 42P07, or the unique index of pg_type */
    if (strcmp(reply->sqlstate, "42P07") == 0
        || strcmp(reply->sqlstate, "23505") == 0)
    {
        outcome.action = SQLSTATE_OK;
    }

    if (outcome.action != SQLSTATE_OK) {
        catalog->done(catalog->data, &outcome);
        return;
    }

    log_info("table \"%s\" was created", catalog->conf->table);
    catalog->created = true;
    catalog_ask_columns(catalog);
}


/*
 * Adds what the table lacks, if told to: once, since what is still missing
 * behind it is at fault in another way.
 */

static int
catalog_evolve(catalog_t *catalog)
{
    size_t                i;
    buf_t                *sql;
    const conf_column_t  *column;

    if (catalog->conf->evolve != CONF_EVOLVE_ADD || catalog->evolved) {
        return -1;
    }

    sql = &catalog->sql;
    sql->len = 0;
    buf_addf(sql, "BEGIN;SET LOCAL lock_timeout='10s';");

    for (i = 0; i < catalog->conf->ncolumns; i++) {
        column = &catalog->conf->columns[i];

        if (catalog->table_types[i] == NULL) {
            ddl_add_column(sql, pg_conn(catalog->pg), catalog->conf, column);
            buf_addf(sql, ";");
            catalog->evolved = true;
            log_info("table \"%s\" has no column \"%s\": adding it",
                     catalog->conf->table, column->name);
        }
    }

    if (!catalog->evolved) {
        return -1;
    }

    buf_addf(sql, "COMMIT");
    catalog_send(catalog, catalog_on_evolved);

    return 0;
}


static void
catalog_on_evolved(void *data, const pg_reply_t *reply)
{
    outcome_t   outcome;
    catalog_t  *catalog = data;

    sql_outcome(&outcome, reply, "could not add what the table lacks");

    if (outcome.action == SQLSTATE_OK) {
        catalog_ask_columns(catalog);
        return;
    }

    if (outcome.action == SQLSTATE_ROW) {
        outcome.action = SQLSTATE_HOLD;
    }

    catalog->done(catalog->data, &outcome);
}


/* With "auto" nothing but the table says whether it has that column. */

static int
catalog_rest(const conf_t *conf, char *reason, size_t size)
{
    size_t  i;

    if (!conf->columns_auto || conf->rest == NULL) {
        return 0;
    }

    for (i = 0; i < conf->ncolumns; i++) {
        if (conf->columns[i].from == CONF_FROM_REST) {
            return 0;
        }
    }

    snprintf(reason, size, "table \"%s\" has no column \"%s\" for the rest",
             conf->table, conf->rest);

    return -1;
}


/* A key that may be null would be one more row each time. */

static bool
catalog_is_plain(const conf_t *conf, const PGresult *res)
{
    int     row;
    size_t  n;

    for (row = 0, n = 0; row < PQntuples(res); row++) {
        if (PQgetvalue(res, row, CATALOG_PLAIN)[0] != 't') {
            return false;
        }

        if (PQgetvalue(res, row, CATALOG_NOT_NULL)[0] == 't') {
            n += conf_is_key(conf, PQgetvalue(res, row, CATALOG_NAME));
        }
    }

    return n && n == conf->key.n;
}


int
catalog_take(catalog_t *catalog, const PGresult *res, char *reason,
    size_t size)
{
    int                   row, rows;
    char                **type;
    size_t                i;
    const conf_column_t  *column;

    rows = PQntuples(res);
    catalog->conf->by_insert = rows && PQgetvalue(res, 0, CATALOG_BY_INSERT)[0]
                                       == 't';
    catalog->conf->plain = !catalog->conf->by_insert
                           && catalog_is_plain(catalog->conf, res);

    if ((catalog->conf->columns_auto && catalog_auto(catalog->conf, res) == -1)
        || catalog_room(catalog) == -1)
    {
        snprintf(reason, size, "out of memory");
        return -1;
    }

    for (i = 0; i < catalog->conf->ncolumns; i++) {
        column = &catalog->conf->columns[i];
        type = &catalog->table_types[i];
        catalog->types[i] = column->type;

        for (row = 0; row < rows; row++) {
            if (strcmp(PQgetvalue(res, row, CATALOG_NAME), column->name)
                != 0)
            {
                continue;
            }

            *type = strdup(PQgetvalue(res, row, CATALOG_TYPE));
            catalog->oids[i] = (uint32_t) sql_number(res, row,
                                                     CATALOG_TYPE_OID);

            if (column->from != CONF_FROM_IDENTITY
                && PQgetvalue(res, row, CATALOG_FILLED)[0] == 't')
            {
                snprintf(reason, size, "column \"%s\" of table \"%s\" is "
                         "filled by PostgreSQL", column->name,
                         catalog->conf->table);
                return -1;
            }
        }

        if (catalog->types[i] == NULL) {
            catalog->types[i] = *type ? *type : ddl_type(column);
        }
    }

    if (rows == 0) {
        snprintf(reason, size, "table \"%s\" does not exist",
                 catalog->conf->table);
        return -1;
    }

    if (catalog_rest(catalog->conf, reason, size) == -1) {
        return -1;
    }

    for (i = 0; i < catalog->conf->ncolumns; i++) {
        if (catalog->table_types[i] == NULL) {
            snprintf(reason, size, "table \"%s\" has no column \"%s\", "
                     "which \"evolve\": \"add\" would add",
                     catalog->conf->table, catalog->conf->columns[i].name);
            return -1;
        }
    }

    return 0;
}
