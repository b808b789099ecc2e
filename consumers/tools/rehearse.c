/*
 * --check's rehearsal: the daemon's own statements, without a record, in a
 * transaction that is rolled back.
 */

#include <stdio.h>
#include <string.h>

#include "postgres/ddl.h"
#include "postgres/guard.h"
#include "postgres/partition.h"
#include "row/tombstone.h"
#include "row/tuple.h"
#include "store/dead_table.h"
#include "store/offsets.h"
#include "store/statements.h"
#include "store/targets.h"
#include "tools/rehearse.h"


#define REHEARSE_PARTITION  (-1)    /* none of a topic's */

/* The role's search_path, which rehearse_begin() keeps. */
#define REHEARSE_PATH                                                         \
    "SELECT pg_catalog.set_config('search_path',"                             \
    " pg_catalog.current_setting('sluice.path'), true);"


static int rehearse_last(tool_t *tool, const char *what, buf_t *sql);
static int rehearse_sql(tool_t *tool, const char *what, const buf_t *sql,
    bool tuples);
static void rehearse_hold(const tool_t *tool, const char *what,
    const char *reason, const char *sqlstate);
static int rehearse_find(tool_t *tool, target_t *target);
static int rehearse_make(tool_t *tool, const target_t *target, bool there);
static int rehearse_defaults(tool_t *tool, target_t *target);
static int rehearse_rows(tool_t *tool, const target_t *target);
static int rehearse_arbiter(tool_t *tool, const buf_t *apply);
static int rehearse_filled(tool_t *tool, const target_t *target);
static int rehearse_partitions(tool_t *tool, const target_t *target);
static int rehearse_news(tool_t *tool, const target_t *target);
static int rehearse_schema(tool_t *tool);
static int rehearse_batch(tool_t *tool, const char *cluster);


int
rehearse_begin(tool_t *tool)
{
    buf_t  sql = { 0 };

    sql_begin(&sql);
    buf_addf(&sql, "SELECT pg_catalog.set_config('sluice.path',"
             " pg_catalog.current_setting('search_path'), true);SET LOCAL "
             SQL_PATH);

    return rehearse_last(tool, "could not begin", &sql);
}


int
rehearse_path(tool_t *tool, bool own)
{
    return tool_done(tool_script(tool, own ? "SET LOCAL " SQL_PATH
                                           : REHEARSE_PATH));
}


/* Runs "sql" and frees it. */

static int
rehearse_last(tool_t *tool, const char *what, buf_t *sql)
{
    int  rc;

    rc = rehearse_sql(tool, what, sql, false);
    buf_free(sql);

    return rc;
}


/*
 * Runs a string of which at most one statement is a COPY.  That gets no row:
 * nothing, or the header of "tuples".
 */

static int
rehearse_sql(tool_t *tool, const char *what, const buf_t *sql, bool tuples)
{
    int        rc;
    PGresult  *res;

    if (buf_failed(sql) || PQsendQuery(tool->conn, sql->data) == 0) {
        rehearse_hold(tool, what, buf_failed(sql) ? "out of memory"
                      : report_reason(tool->conn), "");
        return -1;
    }

    rc = 0;

    while ((res = PQgetResult(tool->conn)) != NULL) {

        switch (PQresultStatus(res)) {

        case PGRES_TUPLES_OK:
        case PGRES_COMMAND_OK:
        case PGRES_EMPTY_QUERY:
            break;

        case PGRES_COPY_IN:
            if ((!tuples || PQputCopyData(tool->conn, TUPLES_HEADER,
                                          TUPLES_HEADER_LEN) == 1)
                && PQputCopyEnd(tool->conn, NULL) == 1)
            {
                break;
            }
            PQclear(res);
            rehearse_hold(tool, what, report_reason(tool->conn), "");
            return -1;

        default:
            rehearse_hold(tool, what,
                          PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY),
                          PQresultErrorField(res, PG_DIAG_SQLSTATE));
            rc = -1;
        }

        PQclear(res);
    }

    return rc;
}


/* A lost connection has no fields. */

static void
rehearse_hold(const tool_t *tool, const char *what, const char *reason,
    const char *sqlstate)
{
    printf("%-14s would hold: %s: %s%s%s%s\n", tool->section, what,
           reason ? reason : report_reason(tool->conn),
           sqlstate && sqlstate[0] ? " (" : "", sqlstate ? sqlstate : "",
           sqlstate && sqlstate[0] ? ")" : "");
}


int
rehearse_table(tool_t *tool, const conf_t *conf, target_t *target)
{
    int  rc;

    target_init(target, conf);

    if (tool_done(tool_script(tool, "SAVEPOINT sluice")) == -1) {
        return -1;
    }

    rc = rehearse_find(tool, target) == -1
         || (guard_is_needed(conf)
             && tool_guard(tool, target->name, NULL) == -1)
         || rehearse_partitions(tool, target) == -1
         || rehearse_news(tool, target) == -1
         || rehearse_defaults(tool, target) == -1
         || rehearse_path(tool, false) == -1
         || rehearse_rows(tool, target) == -1
         || rehearse_path(tool, true) == -1
         || rehearse_filled(tool, target) == -1 ? -1 : 0;

    if (tool_done(tool_script(tool, "ROLLBACK TO sluice")) == -1) {
        return -1;
    }

    return rc;
}


/* Looks the table up, and once more after it was made or got columns. */

static int
rehearse_find(tool_t *tool, target_t *target)
{
    int        rc, tries;
    bool       there;
    char       reason[SQL_REASON];
    buf_t      sql;
    PGresult  *res;

    for (tries = 0; ; tries++) {
        memset(&sql, 0, sizeof(buf_t));
        buf_addf(&sql, REHEARSE_PATH);
        target_begin(&sql, target->conf);

        if (rehearse_last(tool, "could not look for the table", &sql) == -1) {
            return -1;
        }

        memset(&sql, 0, sizeof(buf_t));
        target_query(&sql, target->conf);
        res = tool_query(tool, sql.data);
        buf_free(&sql);

        if (res == NULL) {
            return -1;
        }

        rc = target_take(target, res, reason, sizeof(reason));
        there = PQntuples(res) != 0;
        PQclear(res);

        if (rc == 0) {
            return 0;
        }

        /* made, and then given columns at most */

        if (tries < 2) {
            rc = rehearse_make(tool, target, there);
        }

        if (rc != 0 || tries == 2) {
            break;
        }
    }

    if (rc == 1 || tries == 2) {
        printf("table          would hold: %s\n", reason);
    }

    return -1;
}


/* Returns 1 where a daemon would do nothing about it. */

static int
rehearse_make(tool_t *tool, const target_t *target, bool there)
{
    size_t         i, len;
    buf_t          sql = { 0 };
    const conf_t  *conf;

    conf = target->conf;

    if (!there && conf->create_table) {
        buf_addf(&sql, REHEARSE_PATH);
        sql_path(&sql);
        ddl_types(&sql, conf, NULL);
        len = sql.len;
        ddl_table(&sql, conf);
        printf("table          \"%s\" would be created: %s\n", conf->table,
               buf_failed(&sql) ? "" : sql.data + len);

        return rehearse_last(tool, "could not create the table", &sql);
    }

    for (i = 0; there && conf->evolve == CONF_EVOLVE_ADD
                && i < target->ncolumns; i++)
    {
        if (target->table_types[i] == NULL) {
            if (sql.len == 0) {
                buf_addf(&sql, REHEARSE_PATH);
                sql_path(&sql);
                ddl_types(&sql, conf, NULL);
            }

            printf("table          column \"%s\" would be added\n",
                   target->columns[i].name);
            ddl_add_column(&sql, target->name, &target->columns[i]);
            buf_addf(&sql, ";");
        }
    }

    return sql.len == 0
           ? 1 : rehearse_last(tool, "could not add what the table lacks",
                               &sql);
}


/* Those that a daemon would make at its start. */

static int
rehearse_partitions(tool_t *tool, const target_t *target)
{
    int         rc;
    buf_t       sql;
    PGresult   *res;

    if (target->conf->partition_by == CONF_PERIOD_NONE) {
        return 0;
    }

    memset(&sql, 0, sizeof(buf_t));
    partition_make(&sql, target->conf, target->name, "{}");
    res = tool_script(tool, buf_failed(&sql) ? NULL : sql.data);
    buf_free(&sql);

    if (res == NULL) {
        return -1;
    }

    if (sql_number(res, 0, 0)) {
        printf("table          partitions would be made:%s\n",
               PQgetvalue(res, 0, 1));
    }

    rc = PQgetvalue(res, 0, 2)[0] ? -1 : 0;

    if (rc == -1) {
        printf("table          would hold for a row without a partition: "
               "%s\n", PQgetvalue(res, 0, 2));
    }

    PQclear(res);

    return rc;
}


/* Whether the role may add the columns that new fields become. */

static int
rehearse_news(tool_t *tool, const target_t *target)
{
    int64_t        may;
    buf_t          sql = { 0 };
    const conf_t  *conf = target->conf;

    if (!conf->columns_auto || conf->evolve != CONF_EVOLVE_ADD) {
        return 0;
    }

    sql_format(&sql, "SELECT pg_has_role(relowner, 'USAGE')::int FROM pg_class"
               " WHERE oid = to_regclass(%L)", target->name);
    may = tool_number(tool_query(tool, sql.data));
    buf_free(&sql);

    if (may == 1) {
        return 0;
    }

    printf("table          would hold for a record with a new field: only the "
           "table's owner adds columns\n");

    return -1;
}


static int
rehearse_defaults(tool_t *tool, target_t *target)
{
    int        rc;
    buf_t      sql = { 0 };
    PGresult  *res;

    if (!target->conf->columns_auto) {
        return 0;
    }

    target_defaults_query(&sql, target);

    if (sql.len == 0) {
        return 0;
    }

    res = tool_query(tool, sql.data);
    rc = res ? target_defaults_take(target, res) : -1;
    PQclear(res);
    buf_free(&sql);

    return rc;
}


/*
 * Whether records can become rows of these types, and every statement that a
 * batch may need, in an order that works.
 */

static int
rehearse_rows(tool_t *tool, const target_t *target)
{
    int           rc;
    char          reason[SQL_REASON];
    size_t        i;
    row_spec_t    spec;
    row_plan_t   *plan;
    tombstone_t  *tombstone;
    statements_t  statements = { 0 };

    static const struct {
        statement_t  which;
        bool         tuples;
    } order[] = {
        { STATEMENT_STAGE, false },
        { STATEMENT_COPY, false },
        { STATEMENT_LOCK, false },
        { STATEMENT_APPLY, false },
        { STATEMENT_APPLY_DELETE, false },
        { STATEMENT_COPY_TUPLES, true },
        { STATEMENT_PLAIN, false },
        { STATEMENT_PLAIN_TUPLES, true }
    };

    targets_spec(target, &spec);
    tombstone = NULL;
    plan = row_plan_create(&spec, reason, sizeof(reason));
    rc = plan ? 0 : -1;

    if (rc == 0 && target->conf->mode == CONF_MODE_UPSERT_DELETE) {
        tombstone = tombstone_create(&spec, reason, sizeof(reason));
        rc = tombstone ? 0 : -1;
    }

    if (rc == 0 && statements_prepare(&statements, target,
                                      row_plan_tuples(plan), 0)
                   == -1)
    {
        snprintf(reason, sizeof(reason), "out of memory");
        rc = -1;
    }

    if (rc == -1) {
        printf("table          would hold: %s\n", reason);
    }

    for (i = 0; rc != -1 && i < sizeof(order) / sizeof(order[0]); i++) {
        if (statements.sql[order[i].which].len) {
            rc = rehearse_sql(tool, "could not store rows",
                              &statements.sql[order[i].which],
                              order[i].tuples);
        }
    }

    if (rc != -1) {
        rc = rehearse_arbiter(tool, &statements.sql[STATEMENT_APPLY]);
    }

    statements_free(&statements);
    tombstone_free(tombstone);
    row_plan_free(plan);

    return rc == -1 ? -1 : 0;
}


/*
 * Whether each row would fail for a deferrable constraint of the key, which may
 * be one of the table behind a view.
 */

static int
rehearse_arbiter(tool_t *tool, const buf_t *apply)
{
    int          rc, row;
    buf_t        sql = { 0 };
    PGresult    *plan, *res;
    const char  *names;

    static const char  label[] = "Conflict Arbiter Indexes: ";

    if (apply->len == 0) {
        return 0;
    }

    buf_addf(&sql, "EXPLAIN (COSTS off) %s", apply->data + strspn(apply->data,
                                                                  ";"));
    plan = tool_script(tool, sql.data);
    buf_free(&sql);

    for (row = 0, names = NULL; names == NULL && row < PQntuples(plan); row++)
    {
        names = strstr(PQgetvalue(plan, row, 0), label);
    }

    res = plan == NULL || names == NULL
          ? NULL : tool_query(tool, "SELECT relname FROM pg_catalog.pg_class c"
                              " JOIN pg_catalog.pg_index ON indexrelid = c.oid"
                              " WHERE NOT indimmediate AND quote_ident(relname)"
                              " = ANY (string_to_array($7, ', '))",
                              names + sizeof(label) - 1);
    rc = plan && (names == NULL || (res && PQntuples(res) == 0)) ? 0 : -1;

    if (PQntuples(res)) {
        printf("table          would hold: unique constraint \"%s\" is "
               "deferrable, and ON CONFLICT cannot use such a one\n",
               PQgetvalue(res, 0, 0));
    }

    PQclear(plan);
    PQclear(res);

    return rc;
}


/*
 * Whether a column that must not be null is left to nobody.  A trigger may
 * fill it.
 */

static int
rehearse_filled(tool_t *tool, const target_t *target)
{
    int        rc;
    size_t     i;
    buf_t      sql = { 0 };
    PGresult  *res;

    sql_format(&sql, "SELECT attname FROM pg_catalog.pg_class c"
               " JOIN pg_catalog.pg_attribute a ON attrelid = c.oid"
               " WHERE c.oid = to_regclass(%L) AND relkind IN ('r', 'p')"
               " AND attnum > 0 AND NOT attisdropped AND attnotnull"
               " AND NOT atthasdef AND attidentity = '' AND NOT EXISTS"
               " (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = c.oid"
               " AND NOT tgisinternal AND tgtype & 7 = 7)"
               " AND attname NOT IN (''", target->name);

    for (i = 0; i < target->ncolumns; i++) {
        sql_format(&sql, ",%L", target->columns[i].name);
    }

    buf_addf(&sql, ") ORDER BY attnum LIMIT 1");

    res = tool_query(tool, sql.data);
    rc = res && PQntuples(res) == 0 ? 0 : -1;

    if (res && rc == -1) {
        printf("table          no record would become a row: column \"%s\" is "
               "NOT NULL, has no default and is not filled\n",
               PQgetvalue(res, 0, 0));
    }

    PQclear(res);
    buf_free(&sql);

    return rc;
}


int
rehearse_own(tool_t *tool)
{
    return rehearse_schema(tool) == -1
           || rehearse_batch(tool, tool->log ? tool->log->cluster : "") == -1
           ? -1 : 0;
}


/* As catalog.c does it, but in the transaction that is open. */

static int
rehearse_schema(tool_t *tool)
{
    buf_t        sql = { 0 };
    int64_t      version;
    PGresult    *res;
    const char  *text, *state;

    version = tool_number(tool_query(tool, "SELECT count(to_regclass("
                                     "'sluice.meta')) * count(to_regclass("
                                     "'sluice.dead_letters'))"));

    if (version == 1) {
        version = tool_number(tool_query(tool, "SELECT coalesce(max(version),"
                                         " 0) FROM sluice.meta"));
    }

    switch (version) {

    case -1:
        return -1;

    case 0:
    case DDL_VERSION - 1:
        break;

    case DDL_VERSION:
    case DDL_VERSION + 1:
        return 0;

    default:
        printf("offsets        would hold: sluice.meta is of version %lld, "
               "this daemon needs %d\n", (long long) version, DDL_VERSION);
        return -1;
    }

    text = ddl_own_tables() + sizeof(DDL_BEGIN) - 1;
    buf_addf(&sql, "SAVEPOINT sluice;");
    buf_add(&sql, text, strlen(text) - (sizeof(DDL_COMMIT) - 1));

    if (version == 0) {
        return rehearse_last(tool, "could not create sluice's tables", &sql);
    }

    res = buf_failed(&sql) ? NULL : PQexec(tool->conn, sql.data);
    state = PQresultErrorField(res, PG_DIAG_SQLSTATE);

    if (state && strcmp(state, "42501") == 0) {
        printf("offsets        the tables of schema \"sluice\" would stay at "
               "version %lld: this role may not alter them\n",
               (long long) version);
        PQclear(res);
        buf_free(&sql);
        return tool_done(tool_script(tool, "ROLLBACK TO sluice"));
    }

    if (state || res == NULL) {
        rehearse_hold(tool, "could not alter sluice's tables",
                      report_reason(tool->conn), "");
    }

    PQclear(res);
    buf_free(&sql);

    return state || res == NULL ? -1 : 0;
}


static int
rehearse_batch(tool_t *tool, const char *cluster)
{
    int            rc;
    buf_t          sql = { 0 };
    batch_t        batch;
    record_t       record = { 0 };
    offsets_t     *offsets;
    dead_table_t   dead = { 0 };

    batch_init(&batch, 1, 1, 0);

    /* behind a gap */
    record.offset = 1;
    offsets = offsets_create(tool->conf, "");
    rc = -1;

    if (offsets && offsets_set_cluster(offsets, cluster) == 0
        && dead_table_prepare(&dead, tool->conf, cluster) == 0
        && batch_range(&batch, REHEARSE_PARTITION, 0, 1, 0) == 0
        && batch_filter(&batch, 0, &record) == 0)
    {
        buf_addf(&sql, "INSERT INTO sluice.offsets (cluster_id, group_id,"
                 " topic, table_name, partition, next_offset, epoch, owner)"
                 " VALUES (%s,%d,0,1,'') ON CONFLICT (cluster_id, group_id,"
                 " topic, partition, table_name) DO UPDATE SET"
                 " epoch=EXCLUDED.epoch RETURNING *;", offsets_key(offsets, 0),
                 REHEARSE_PARTITION);
        offsets_advance(offsets, &batch, &sql);

        if (!buf_failed(&sql)) {
            sql.len -= sizeof(";COMMIT") - 1;
            sql.data[sql.len] = '\0';
        }

        rc = rehearse_sql(tool, "could not store offsets", &sql, false);

        if (rc == 0) {
            rc = rehearse_sql(tool, "could not store dead letters", &dead.sql,
                              false);
        }

    } else {
        printf("offsets        would hold: out of memory\n");
    }

    if (rc == 0 && tool->conf->dedupe_header) {
        sql.len = 0;
        buf_addf(&sql, "INSERT INTO sluice.seen (key, partition, \"offset\","
                 " expires_at) SELECT '', 0, 0, now() WHERE false;"
                 "UPDATE sluice.seen SET expires_at = now() WHERE false;"
                 "DELETE FROM sluice.seen WHERE false");
        rc = rehearse_sql(tool, "could not add idempotency keys", &sql,
                          false);
    }

    offsets_destroy(offsets);
    dead_table_free(&dead);
    batch_free(&batch);
    buf_free(&sql);

    return rc;
}
