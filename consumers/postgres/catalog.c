/*
 * Prepares one table on a connection: creates schema "sluice", creates the
 * table if the configuration asks for it, and looks its columns up.
 */

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "postgres/catalog.h"
#include "postgres/ddl.h"
#include "postgres/guard.h"
#include "postgres/news.h"
#include "postgres/partition.h"


struct catalog_s {
    target_t          target;
    pg_t             *pg;
    outcome_pt        done;
    void             *data;
    buf_t             sql;
    bool              created;      /* the table, in this preparation */
    bool              evolved;      /* its columns, in this preparation */
    int64_t           version;      /* of schema "sluice" as found, 0: none */
    bool              warned;       /* that it stays at that version */
    bool              unlogged;     /* as it was said */
    news_t            news;         /* fields that become columns */
};


static void catalog_send(catalog_t *catalog, pg_done_pt done);
static void catalog_end(catalog_t *catalog, sqlstate_action_t action,
    const char *reason);
static void catalog_make_schema(catalog_t *catalog);
static void catalog_ask_columns(catalog_t *catalog);
static void catalog_ask_defaults(catalog_t *catalog);
static int catalog_evolve(catalog_t *catalog);
static void catalog_on_meta(void *data, const pg_reply_t *reply);
static void catalog_on_version(void *data, const pg_reply_t *reply);
static void catalog_on_schema(void *data, const pg_reply_t *reply);
static void catalog_on_columns(void *data, const pg_reply_t *reply);
static void catalog_on_owner(void *data, const pg_reply_t *reply);
static void catalog_on_created(void *data, const pg_reply_t *reply);
static void catalog_on_evolved(void *data, const pg_reply_t *reply);
static void catalog_on_defaults(void *data, const pg_reply_t *reply);
static void catalog_ask_partitions(catalog_t *catalog);
static void catalog_on_partitions(void *data, const pg_reply_t *reply);


catalog_t *
catalog_create(const conf_t *conf)
{
    catalog_t  *catalog;

    catalog = calloc(1, sizeof(catalog_t));
    if (catalog) {
        target_init(&catalog->target, conf);
    }

    return catalog;
}


void
catalog_destroy(catalog_t *catalog)
{
    if (catalog == NULL) {
        return;
    }

    target_free(&catalog->target);
    news_clear(&catalog->news);
    buf_free(&catalog->sql);
    free(catalog);
}


const target_t *
catalog_target(const catalog_t *catalog)
{
    return &catalog->target;
}


void
catalog_add_news(void *data, const char *name, size_t len, json_type_t type)
{
    catalog_t  *catalog = data;

    news_add(&catalog->news, &catalog->target, name, len, type);
}


size_t
catalog_news(const catalog_t *catalog)
{
    return catalog->news.n;
}


void
catalog_prepare(catalog_t *catalog, pg_t *pg, outcome_pt done,
    void *data)
{
    const char  *encoding;

    encoding = PQparameterStatus(pg_conn(pg), "server_encoding");
    catalog->news.ascii = encoding && strcmp(encoding, "UTF8") != 0;
    catalog->pg = pg;
    catalog->done = done;
    catalog->data = data;
    catalog->created = false;
    catalog->evolved = false;

    catalog->sql.len = 0;
    buf_addf(&catalog->sql, "BEGIN;SET LOCAL " SQL_PATH "SELECT why, CASE"
             " WHEN why IS NULL THEN to_regclass('sluice.meta') IS NULL"
             " OR to_regclass('sluice.dead_letters') IS NULL END FROM"
             " (SELECT (");
    guard_own(&catalog->sql, NULL);
    buf_addf(&catalog->sql, ")) x(why);COMMIT");
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
    sqlstate_end(catalog->done, catalog->data, action, reason);
}


/*
 * Ends the preparation if a query failed.  No row is stored here, so an error
 * that would blame one ends it with "of_row".  Returns 0 if it did not fail.
 */

static int
catalog_failed(catalog_t *catalog, const pg_reply_t *reply, const char *what,
    sqlstate_action_t of_row)
{
    outcome_t  outcome;

    sqlstate_outcome(&outcome, reply, what);

    if (outcome.action == SQLSTATE_OK) {
        return 0;
    }

    if (outcome.action == SQLSTATE_ROW
        || outcome.action == SQLSTATE_ROW_LATER)
    {
        outcome.action = of_row;
    }

    catalog->done(catalog->data, &outcome);

    return -1;
}


/* The same for a query that has to return rows. */

static int
catalog_no_rows(catalog_t *catalog, const pg_reply_t *reply, const char *what)
{
    if (catalog_failed(catalog, reply, what, SQLSTATE_RETRY) == -1) {
        return -1;
    }

    if (reply->rows == NULL) {
        catalog_end(catalog, SQLSTATE_RETRY, what);
        return -1;
    }

    return 0;
}


static void
catalog_on_meta(void *data, const pg_reply_t *reply)
{
    catalog_t  *catalog = data;

    if (catalog_no_rows(catalog, reply, "could not look for sluice's tables")
        == -1)
    {
        return;
    }

    if (!PQgetisnull(reply->rows, 0, 0)) {
        catalog_end(catalog, SQLSTATE_HOLD, PQgetvalue(reply->rows, 0, 0));
        return;
    }

    if (PQgetvalue(reply->rows, 0, 1)[0] == 't') {
        catalog->version = 0;
        catalog_make_schema(catalog);
        return;
    }

    catalog->sql.len = 0;
    buf_addf(&catalog->sql, "SELECT version FROM sluice.meta");
    catalog_send(catalog, catalog_on_version);
}


/*
 * The schema of version N-1 is upgraded.  That of version N+1 is accepted: a
 * newer daemon of the group has upgraded it, which only adds to it.
 */

static void
catalog_on_version(void *data, const pg_reply_t *reply)
{
    char        text[160];
    catalog_t  *catalog = data;

    if (catalog_no_rows(catalog, reply, "could not read sluice.meta") == -1) {
        return;
    }

    catalog->version = PQntuples(reply->rows) ? sql_number(reply->rows, 0, 0)
                                              : 0;

    switch (catalog->version) {

    case DDL_VERSION - 1:
        catalog_make_schema(catalog);
        return;

    case DDL_VERSION:
    case DDL_VERSION + 1:
        catalog_ask_columns(catalog);
        return;
    }

    snprintf(text, sizeof(text), "schema \"sluice\" is of version %lld, this "
             "daemon's is %d: %s", (long long) catalog->version, DDL_VERSION,
             catalog->version < DDL_VERSION
             ? "upgrade by one version at a time" : "install a newer daemon");
    catalog_end(catalog, SQLSTATE_HOLD, text);
}


static void
catalog_make_schema(catalog_t *catalog)
{
    pg_query(catalog->pg, ddl_own_tables(), NULL, catalog_on_schema, catalog);
}


static void
catalog_on_schema(void *data, const pg_reply_t *reply)
{
    catalog_t  *catalog = data;

    /* a role that does not own the tables runs with those of version N-1 */

    if (catalog->version && strcmp(reply->sqlstate, "42501") == 0) {
        if (!catalog->warned) {
            log_warnx("schema \"sluice\" is of version %lld and this role "
                      "may not upgrade it to version %d: %s",
                      (long long) catalog->version, DDL_VERSION,
                      reply->reason);
            catalog->warned = true;
        }
        catalog_ask_columns(catalog);
        return;
    }

    if (catalog_failed(catalog, reply, "could not create sluice's tables",
                       SQLSTATE_RETRY)
        == -1)
    {
        return;
    }

    log_info("schema \"sluice\" was %s version %d",
             catalog->version ? "upgraded to" : "created, of", DDL_VERSION);
    catalog_ask_columns(catalog);
}


static void
catalog_ask_columns(catalog_t *catalog)
{
    /* a default is an expression with texts by the settings at hand */

    catalog->sql.len = 0;
    sql_begin(&catalog->sql);
    target_begin(&catalog->sql, catalog->target.conf);
    target_query(&catalog->sql, catalog->target.conf);
    buf_addf(&catalog->sql, ";COMMIT");
    catalog_send(catalog, catalog_on_columns);
}


static void
catalog_on_columns(void *data, const pg_reply_t *reply)
{
    char           text[SQL_REASON];
    catalog_t     *catalog = data;
    const conf_t  *conf;

    conf = catalog->target.conf;

    if (catalog_no_rows(catalog, reply, "could not read the catalogue") == -1)
    {
        return;
    }

    if (PQntuples(reply->rows) == 0 && conf->create_table
        && !catalog->created)
    {
        catalog->sql.len = 0;
        sql_begin(&catalog->sql);
        sql_path(&catalog->sql);
        ddl_types(&catalog->sql, conf, NULL);
        ddl_table(&catalog->sql, conf);
        buf_addf(&catalog->sql, ";COMMIT");
        catalog_send(catalog, catalog_on_created);
        return;
    }

    if (target_take(&catalog->target, reply->rows, text, sizeof(text)) == -1)
    {
        if (PQntuples(reply->rows) == 0 || catalog_evolve(catalog) == -1) {
            catalog_end(catalog, SQLSTATE_HOLD, text);
        }
        return;
    }

    if (catalog->news.n && catalog_evolve(catalog) == 0) {
        return;
    }

    news_clear(&catalog->news);

    if (catalog->target.unlogged && !catalog->unlogged) {
        log_warnx("table \"%s\" is unlogged: PostgreSQL empties it after a "
                  "crash, and its rows are not stored again", conf->table);
    }

    catalog->unlogged = catalog->target.unlogged;

    if (guard_is_needed(conf)) {
        catalog->sql.len = 0;
        buf_addf(&catalog->sql, "BEGIN;SET LOCAL " SQL_PATH "SELECT (");
        guard_table(&catalog->sql, catalog->target.name, NULL);
        buf_addf(&catalog->sql, ");COMMIT");
        catalog_send(catalog, catalog_on_owner);
        return;
    }

    catalog_ask_defaults(catalog);
}


static void
catalog_on_owner(void *data, const pg_reply_t *reply)
{
    catalog_t  *catalog = data;

    if (catalog_no_rows(catalog, reply, "could not read the table's owner")
        == -1)
    {
        return;
    }

    if (!PQgetisnull(reply->rows, 0, 0)) {
        catalog_end(catalog, SQLSTATE_HOLD, PQgetvalue(reply->rows, 0, 0));
        return;
    }

    catalog_ask_defaults(catalog);
}


static void
catalog_on_created(void *data, const pg_reply_t *reply)
{
    catalog_t  *catalog = data;

    /* another daemon was faster: 42P07, or the unique index of pg_type */

    if (strcmp(reply->sqlstate, "42P07") != 0
        && strcmp(reply->sqlstate, "23505") != 0
        && catalog_failed(catalog, reply, "could not create the table",
                          SQLSTATE_RETRY)
           == -1)
    {
        return;
    }

    log_info("table \"%s\" was created", catalog->target.conf->table);
    catalog->created = true;
    catalog_ask_columns(catalog);
}


/*
 * Adds the columns that the table lacks, once in a preparation.  Returns -1 if
 * there is nothing to add.
 */

static int
catalog_evolve(catalog_t *catalog)
{
    size_t           i;
    buf_t           *sql;
    const target_t  *target;

    target = &catalog->target;

    if (target->conf->evolve != CONF_EVOLVE_ADD || catalog->evolved) {
        return -1;
    }

    sql = &catalog->sql;
    sql->len = 0;
    buf_addf(sql, "BEGIN;SET LOCAL lock_timeout='10s';");
    sql_path(sql);
    ddl_types(sql, target->conf, NULL);

    for (i = 0; i < target->ncolumns; i++) {
        if (target->table_types[i] == NULL) {
            ddl_add_column(sql, target->name, &target->columns[i]);
            buf_addf(sql, ";");
            catalog->evolved = true;
            log_info("table \"%s\" has no column \"%s\": adding it",
                     target->conf->table, target->columns[i].name);
        }
    }

    catalog->evolved |= news_columns(&catalog->news, target, sql) > 0;

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
    catalog_t  *catalog = data;

    if (catalog_failed(catalog, reply, "could not add the missing columns",
                       SQLSTATE_HOLD)
        == 0)
    {
        catalog_ask_columns(catalog);
    }
}


static void
catalog_ask_defaults(catalog_t *catalog)
{
    size_t  len;

    if (!catalog->target.conf->columns_auto) {
        catalog_ask_partitions(catalog);
        return;
    }

    catalog->sql.len = 0;
    sql_begin(&catalog->sql);
    buf_addf(&catalog->sql, "SET LOCAL " SQL_PATH);
    len = catalog->sql.len;
    target_defaults_query(&catalog->sql, &catalog->target);

    if (catalog->sql.len == len) {
        catalog_ask_partitions(catalog);
        return;
    }

    buf_addf(&catalog->sql, ";COMMIT");
    catalog_send(catalog, catalog_on_defaults);
}


static void
catalog_on_defaults(void *data, const pg_reply_t *reply)
{
    catalog_t  *catalog = data;

    if (catalog_no_rows(catalog, reply, "could not read the columns' defaults")
        == -1)
    {
        return;
    }

    if (target_defaults_take(&catalog->target, reply->rows) == -1) {
        catalog_end(catalog, SQLSTATE_RETRY, "out of memory");
        return;
    }

    catalog_ask_partitions(catalog);
}


static void
catalog_ask_partitions(catalog_t *catalog)
{
    const conf_t  *conf = catalog->target.conf;

    if (conf->partition_by == CONF_PERIOD_NONE) {
        catalog_end(catalog, SQLSTATE_OK, "");
        return;
    }

    catalog->sql.len = 0;
    sql_begin(&catalog->sql);
    partition_make(&catalog->sql, conf, catalog->target.name, "{}");
    buf_addf(&catalog->sql, ";COMMIT");
    catalog_send(catalog, catalog_on_partitions);
}


/* No row needs these partitions yet: what is no wrong table can wait. */

static void
catalog_on_partitions(void *data, const pg_reply_t *reply)
{
    outcome_t    outcome;
    catalog_t   *catalog = data;
    const char  *wrong;

    sqlstate_outcome(&outcome, reply, "could not make partitions");

    if (outcome.action == SQLSTATE_RECONNECT
        || strncmp(reply->sqlstate, "SL", 2) == 0)
    {
        catalog->done(catalog->data, &outcome);
        return;
    }

    (void) partition_made(catalog->target.conf, reply, &wrong);

    if (outcome.action != SQLSTATE_OK) {
        wrong = outcome.reason;
    }

    if (*wrong) {
        log_warnx("table \"%s\" lacks partitions that no row needs yet: %s",
                  catalog->target.conf->table, wrong);
    }

    catalog_end(catalog, SQLSTATE_OK, "");
}
