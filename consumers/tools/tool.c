/* What the subcommands share: connections to PostgreSQL and Kafka. */

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kafka/client.h"
#include "postgres/ddl.h"
#include "postgres/guard.h"
#include "store/offsets.h"
#include "tools/tool.h"


#define TOOL_PATIENCE  15000    /* ms for the broker */
#define TOOL_EXTRAS    8        /* parameters behind the shared ones */
#define TOOL_OPTIONS   64       /* of libpq; it knows 40 */

/* oids in pg_type */
#define TOOL_TEXT   25
#define TOOL_ARRAY  1009
#define TOOL_JSONB  3802


static void tool_name_tables(tool_t *tool);
static int tool_find_cluster(tool_t *tool);
static void tool_set_cluster(tool_t *tool, const char *cluster);
static PGresult *tool_result(tool_t *tool, PGresult *res);


void
tool_init(tool_t *tool, const conf_t *conf)
{
    tool->conf = conf;
    tool->patience = TOOL_PATIENCE;
    tool->timestamp = -1;

    if (conf == NULL) {
        return;
    }

    buf_addf(&tool->ranges, "[]");
    tool_name_tables(tool);

    tool->keys[TOOL_CLUSTER] = tool->cluster;
    tool->keys[TOOL_GROUP] = conf->group;
    tool->keys[TOOL_TOPIC] = conf->topic;
    tool->keys[TOOL_TABLE] = conf->table;
    tool->keys[TOOL_TABLES] = tool->tables.data;
    tool->keys[TOOL_LOG] = tool->ranges.data;
}


/*
 * A dead letter names the table of its row, or the configuration's if its
 * record had none.  The form is that of an array of quoted elements:
 * PostgreSQL's manual, section 8.15.2.
 */

static void
tool_name_tables(tool_t *tool)
{
    size_t       i;
    const char  *p;

    for (i = 0; i <= tool->conf->ntargets; i++) {
        buf_addf(&tool->tables, i ? "\",\"" : "{\"");

        for (p = i ? tool->conf->targets[i - 1]->table : tool->conf->table;
             *p; p++)
        {
            buf_addf(&tool->tables, *p == '"' || *p == '\\' ? "\\%c" : "%c",
                     *p);
        }
    }

    buf_addf(&tool->tables, "\"}");
}


void
tool_close(tool_t *tool)
{
    PQfinish(tool->conn);
    tool->conn = NULL;
    buf_free(&tool->table);
    buf_free(&tool->tables);
    buf_free(&tool->names);
    buf_free(&tool->places);
    buf_free(&tool->place);
    buf_free(&tool->ranges);
    buf_free(&tool->text);

    if (tool->lookup && lookup_busy(tool->lookup)) {
        /* its thread waits for a broker, and the process ends anyway */
        fflush(stdout);
        return;
    }

    lookup_destroy(tool->lookup);
    tool->lookup = NULL;

    if (tool->rk) {
        rd_kafka_destroy(tool->rk);
        tool->rk = NULL;
    }
}


int
tool_open(tool_t *tool, tool_open_t what)
{
    int  known;

    if (what == TOOL_ALONE) {
        return 0;
    }

    if (tool_connect(tool, "sluice:tool", NULL) == -1
        || tool_guard(tool, NULL, NULL) == -1)
    {
        return -1;
    }

    known = tool_find_cluster(tool);

    if (known == -1) {
        return -1;
    }

    if ((!known || what != TOOL_POSTGRES) && tool_ask(tool) == -1) {

        if (!known || what != TOOL_LOG_IF_UP) {
            return -1;
        }

        report_error("continuing without Kafka");
    }

    return tool_find_table(tool, tool->conf);
}


int
tool_find_table(tool_t *tool, const conf_t *conf)
{
    size_t     i;
    buf_t      sql, *found[] = {
        &tool->table, &tool->tables, &tool->names, &tool->places, &tool->place
    };
    PGresult  *res;

    memset(&sql, 0, sizeof(buf_t));
    buf_addf(&sql, "SELECT ");
    offsets_name(conf, tool->cluster, &sql);
    buf_addf(&sql, ", ARRAY(SELECT pg_catalog.unnest($5)");

    for (i = 0; i < conf->ntargets; i++) {
        buf_addf(&sql, " UNION (");
        offsets_names(conf->targets[i], &sql);
        buf_addf(&sql, ")");
    }

    buf_addf(&sql, " EXCEPT SELECT NULL), ARRAY(");
    offsets_names(conf, &sql);
    buf_addf(&sql, "), p, p[1] FROM (SELECT ARRAY[");

    for (i = 0; i < conf->ntargets; i++) {
        sql_format(&sql, "%s(SELECT pg_catalog.format('%%I.%%I', nspname,"
                   " relname) FROM pg_catalog.pg_class c"
                   " JOIN pg_catalog.pg_namespace n ON n.oid" SQL_OP("=")
                   "relnamespace WHERE c.oid" SQL_OP("=") "%O)", i ? "," : "",
                   conf->targets[i]);
    }

    buf_addf(&sql, "] AS p) x");
    tool->by_path = true;
    res = tool_query(tool, sql.data);
    tool->by_path = false;
    buf_free(&sql);

    if (res == NULL) {
        return -1;
    }

    for (i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
        found[i]->len = 0;
        buf_addf(found[i], "%s", PQgetvalue(res, 0, (int) i));
    }

    if (PQgetisnull(res, 0, 4) && conf->table_name) {
        /* what uses it says that it does not exist */
        sql_format(&tool->place, "%T", conf);
    }

    PQclear(res);

    if (buf_failed(&tool->table) || buf_failed(&tool->names)
        || buf_failed(&tool->places) || buf_failed(&tool->place))
    {
        return tool_failed(tool, "out of memory");
    }

    tool->keys[TOOL_TABLE] = tool->table.data;
    tool->keys[TOOL_TABLES] = tool->tables.data;

    return 0;
}


/* Writes an error line: on standard error, or into the answer of --check. */

int
tool_failed(const tool_t *tool, const char *fmt, ...)
{
    char     text[1024];
    va_list  args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    if (tool->section == NULL) {
        return report_error("%s", text);
    }

    printf("%-14s %s\n", tool->section, text);

    return -1;
}


int
tool_connect(tool_t *tool, const char *name, const PQconninfoOption *over)
{
    int          n;
    const char  *keys[TOOL_OPTIONS], *values[TOOL_OPTIONS];

    keys[0] = "connect_timeout";
    values[0] = "10";
    keys[1] = "dbname";
    values[1] = tool->conf->postgres;

    for (n = 2; over && over->keyword && n < TOOL_OPTIONS - 4; over++) {
        if (over->val == NULL) {
            continue;
        }

        keys[n] = over->keyword;
        values[n++] = over->val;

        /* the configuration's password is another user's */
        if (strcmp(over->keyword, "user") == 0) {
            keys[n] = "password";
            values[n++] = "";
        }
    }

    keys[n] = "application_name";
    values[n++] = name;
    keys[n] = "client_encoding";
    values[n++] = "UTF8";
    keys[n] = NULL;
    values[n] = NULL;

    tool->conn = PQconnectdbParams(keys, values, 1);

    if (PQstatus(tool->conn) != CONNECTION_OK) {
        return tool_failed(tool, "could not connect: %s",
                           report_reason(tool->conn));
    }

    return 0;
}


int
tool_guard(tool_t *tool, const char *table, const char *role)
{
    int        rc;
    buf_t      sql = { 0 };
    PGresult  *res;

    if (table) {
        guard_table(&sql, table, role);
    } else {
        guard_own(&sql, role);
    }

    res = tool_query(tool, sql.data);
    buf_free(&sql);
    rc = res && PQntuples(res) == 0 ? 0 : -1;

    if (res && rc == -1) {
        tool_failed(tool, "%s", PQgetvalue(res, 0, 0));
    }

    PQclear(res);

    return rc;
}


int
tool_begin(tool_t *tool)
{
    int    rc;
    buf_t  sql = { 0 };

    sql_begin(&sql);
    buf_addf(&sql, "SET LOCAL " SQL_PATH);
    rc = tool_done(tool_script(tool, sql.data));
    buf_free(&sql);

    return rc;
}


/* Takes the cluster from the stored offsets: 1; 0: only Kafka knows; -1. */

static int
tool_find_cluster(tool_t *tool)
{
    int        known;
    int64_t    there;
    PGresult  *res;

    there = tool_number(tool_query(tool, "SELECT count(to_regclass("
                                   "'sluice.offsets'))"));
    if (there < 1) {
        if (there == 0) {
            report_error("the database has no table sluice.offsets: no daemon "
                         "has run on it yet");
        }
        return -1;
    }

    res = tool_query(tool, "SELECT DISTINCT cluster_id FROM sluice.offsets"
                     " WHERE group_id = $2 AND topic = $3");
    if (res == NULL) {
        return -1;
    }

    known = PQntuples(res) == 1;

    if (known) {
        tool_set_cluster(tool, PQgetvalue(res, 0, 0));
    }

    PQclear(res);

    return known;
}


static void
tool_set_cluster(tool_t *tool, const char *cluster)
{
    snprintf(tool->cluster, sizeof(tool->cluster), "%s", cluster);
}


int
tool_client(tool_t *tool)
{
    char  err[CONF_ERROR_MAX];

    if (tool->rk == NULL) {
        tool->rk = client_create(RD_KAFKA_CONSUMER,
                                 client_conf(tool->conf, RD_KAFKA_CONSUMER, 0,
                                             err), err);
        if (tool->rk == NULL) {
            report_error("%s", err);
        }
    }

    return tool->rk ? 0 : -1;
}


int
tool_ask(tool_t *tool)
{
    size_t                 i;
    const lookup_range_t  *range;

    if (tool->lookup == NULL) {
        tool->lookup = lookup_create(tool->conf,
                                     tool->conf->topic);
    }

    tool->log = tool_lookup(tool, tool->lookup, true);
    if (tool->log == NULL) {
        return -1;
    }

    tool_set_cluster(tool, tool->log->cluster);
    tool->ranges.len = 0;
    buf_addf(&tool->ranges, "[");

    for (i = 0; i < tool->log->nranges; i++) {
        range = &tool->log->ranges[i];
        buf_addf(&tool->ranges, "%s[%d,%" PRId64 ",%" PRId64 ",%" PRId64 "]",
                 i ? "," : "", range->partition, range->begin, range->end,
                 range->at);
    }

    buf_addf(&tool->ranges, "]");
    tool->keys[TOOL_LOG] = tool->ranges.data;

    return 0;
}


const lookup_result_t *
tool_lookup(tool_t *tool, lookup_t *lookup, bool with)
{
    struct pollfd           fd;
    const lookup_result_t  *result;

    if (lookup == NULL
        || lookup_start(lookup, NULL, NULL, 0, with,
                        with ? tool->timestamp : -1) == -1)
    {
        tool_failed(tool, "could not start a thread");
        return NULL;
    }

    fd.fd = lookup_fd(lookup);
    fd.events = POLLIN;
    (void) poll(&fd, 1, tool->patience);
    result = lookup_result(lookup);

    if (result == NULL || result->error[0]) {
        tool_failed(tool, "could not ask Kafka at %s: %s",
                    conf_property(tool->conf, "bootstrap.servers"),
                    result ? result->error : "no answer in time");
        return NULL;
    }

    return result;
}


PGresult *
tool_run(tool_t *tool, const char *sql, ...)
{
    int          n;
    bool         own;
    va_list      args;
    PGresult    *res;
    const char  *values[TOOL_KEYS + TOOL_EXTRAS];

    static const Oid  types[TOOL_KEYS + TOOL_EXTRAS] = {
        TOOL_TEXT, TOOL_TEXT, TOOL_TEXT, TOOL_TEXT, TOOL_ARRAY, TOOL_JSONB,
        TOOL_TEXT, TOOL_TEXT, TOOL_TEXT, TOOL_TEXT, TOOL_TEXT, TOOL_TEXT,
        TOOL_TEXT, TOOL_TEXT
    };

    if (sql == NULL || buf_failed(&tool->tables) || buf_failed(&tool->ranges))
    {
        tool_failed(tool, "out of memory");
        return NULL;
    }

    memcpy(values, tool->keys, sizeof(tool->keys));
    va_start(args, sql);

    for (n = TOOL_KEYS; n < TOOL_KEYS + TOOL_EXTRAS; n++) {
        values[n] = va_arg(args, const char *);
        if (values[n] == NULL) {
            break;
        }
    }

    va_end(args);

    own = !tool->by_path
          && PQtransactionStatus(tool->conn) == PQTRANS_IDLE;

    if (own && tool_done(tool_script(tool, "BEGIN;SET LOCAL " SQL_PATH)) == -1)
    {
        return NULL;
    }

    res = tool_result(tool, PQexecParams(tool->conn, sql, n, types, values,
                                         NULL, NULL, 0));

    if (own && tool_done(tool_script(tool, res ? "COMMIT" : "ROLLBACK")) == -1)
    {
        PQclear(res);
        return NULL;
    }

    return res;
}


static PGresult *
tool_result(tool_t *tool, PGresult *res)
{
    ExecStatusType  status;

    status = PQresultStatus(res);

    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        tool_failed(tool, "%s", report_reason(tool->conn));
        PQclear(res);
        return NULL;
    }

    return res;
}


int
tool_done(PGresult *res)
{
    PQclear(res);

    return res ? 0 : -1;
}


int
tool_show(const tool_t *tool, PGresult *res)
{
    int  rc;

    rc = res ? report_rows(res, tool->json) : -1;
    PQclear(res);

    return rc;
}


int64_t
tool_number(PGresult *res)
{
    int64_t  n;

    n = res ? sql_number(res, 0, 0) : -1;
    PQclear(res);

    return n;
}


PGresult *
tool_script(tool_t *tool, const char *sql)
{
    if (sql == NULL) {
        tool_failed(tool, "out of memory");
        return NULL;
    }

    return tool_result(tool, PQexec(tool->conn, sql));
}


int
tool_version(tool_t *tool, const char *command)
{
    int64_t  version;

    version = tool_number(tool_query(tool, "SELECT max(version)"
                                     " FROM sluice.meta"));

    if (version >= 0 && version < DDL_VERSION) {
        return report_error("schema \"sluice\" is of version %d, and %s needs "
                            "version %d: run \"sluice-consumer setup\", or "
                            "start a daemon whose role owns the schema", (int)
                            version, command, DDL_VERSION);
    }

    return version == -1 ? -1 : 0;
}


const conf_column_t *
tool_column(const conf_t *conf, conf_from_t from)
{
    size_t  i;

    for (i = 0; i < conf->ncolumns; i++) {
        if (conf->columns[i].from == from) {
            return &conf->columns[i];
        }
    }

    return NULL;
}
