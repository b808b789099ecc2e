/* What the subcommands share: Kafka and PostgreSQL, asked in turn. */

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "kafka/client.h"
#include "tools/tool.h"


#define TOOL_TIMEOUT  15000    /* ms for the broker */


static int tool_postgres(tool_t *tool);
static int tool_kafka(tool_t *tool, bool must, int64_t timestamp);
static int tool_cluster(tool_t *tool);
static int tool_has_place(tool_t *tool, const conf_t *conf);
static bool tool_is_number(Oid type);


int
tool_open(tool_t *tool, const conf_t *conf, tool_log_t log, int64_t timestamp)
{
    int  known;

    tool->conf = conf;
    tool->lookup = lookup_create(conf, conf->topic);
    tool->offsets = offsets_create(conf, "");

    if (tool->lookup == NULL || tool->offsets == NULL) {
        tool_error("out of memory");
        return -1;
    }

    if (tool_postgres(tool) == -1) {
        return -1;
    }

    known = tool_cluster(tool);

    if (known == -1) {
        return -1;
    }

    if (known && log == TOOL_LOG_NONE) {
        return 0;
    }

    if (tool_kafka(tool, !known || log == TOOL_LOG_MUST, timestamp) == 0) {
        return 0;
    }

    return known && log == TOOL_LOG_IF_UP ? 0 : -1;
}


void
tool_close(tool_t *tool)
{
    PQfinish(tool->conn);

    if (tool->lookup) {
        if (lookup_busy(tool->lookup)) {
            /* its thread waits for a broker: nothing is left to do here */
            fflush(stdout);
            return;
        }
        lookup_destroy(tool->lookup);
    }

    if (tool->rk) {
        rd_kafka_destroy(tool->rk);
    }

    offsets_destroy(tool->offsets);
}


void
tool_error(const char *fmt, ...)
{
    va_list  args;

    fprintf(stderr, "sluice-consumer: ");
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
}


static int
tool_postgres(tool_t *tool)
{
    const char *const  keys[] = {
        "connect_timeout", "dbname", "application_name", "client_encoding",
        NULL
    };
    const char *const  values[] = {
        "10", tool->conf->postgres, "sluice:tool", "UTF8", NULL
    };

    tool->conn = PQconnectdbParams(keys, values, 1);

    if (PQstatus(tool->conn) != CONNECTION_OK) {
        tool_error("could not connect: %s", PQerrorMessage(tool->conn));
        return -1;
    }

    return 0;
}


/*
 * The cluster by what is stored: 1 when it is beyond doubt, 0 when Kafka has
 * to tell, -1 for an error.
 */

static int
tool_cluster(tool_t *tool)
{
    int        rc;
    buf_t      sql;
    PGresult  *res;

    memset(&sql, 0, sizeof(buf_t));

    buf_addf(&sql, "SELECT to_regclass('sluice.offsets') IS NOT NULL");
    res = tool_query(tool, &sql);
    if (res == NULL) {
        return -1;
    }

    rc = PQgetvalue(res, 0, 0)[0] == 't';
    PQclear(res);

    if (rc == 0) {
        tool_error("the database has no table sluice.offsets: no daemon has "
                   "run on it yet");
        return -1;
    }

    buf_addf(&sql, "SELECT DISTINCT cluster_id FROM sluice.offsets WHERE"
             " group_id=");
    sql_literal(&sql, tool->conn, tool->conf->group);
    buf_addf(&sql, " AND topic=");
    sql_literal(&sql, tool->conn, tool->conf->topic);

    res = tool_query(tool, &sql);
    if (res == NULL) {
        return -1;
    }

    rc = PQntuples(res) == 1;

    if (rc && offsets_set_cluster(tool->offsets, PQgetvalue(res, 0, 0)) == -1)
    {
        rc = -1;
    }

    PQclear(res);

    return rc;
}


static int
tool_kafka(tool_t *tool, bool must, int64_t timestamp)
{
    char  err[CONF_ERROR_MAX];

    tool->rk = client_create(RD_KAFKA_CONSUMER,
                             client_conf(tool->conf, RD_KAFKA_CONSUMER, 0,
                                         err), err);
    if (tool->rk == NULL) {
        tool_error("%s", err);
        return -1;
    }

    if (tool_ask(tool, timestamp) == -1) {
        if (!must) {
            tool_error("going on without Kafka");
        }
        return -1;
    }

    return offsets_set_cluster(tool->offsets, tool->log->cluster);
}


int
tool_ask(tool_t *tool, int64_t timestamp)
{
    struct pollfd  fd;

    if (lookup_start(tool->lookup, tool->rk, NULL, 0, true, timestamp)
        == -1)
    {
        tool_error("could not start a thread");
        return -1;
    }

    fd.fd = lookup_fd(tool->lookup);
    fd.events = POLLIN;
    (void) poll(&fd, 1, TOOL_TIMEOUT);
    tool->log = lookup_result(tool->lookup);

    if (tool->log == NULL || tool->log->error[0]) {
        tool_error("could not ask Kafka: %s", tool->log ? tool->log->error
                                              : "no answer in time");
        tool->log = NULL;
        return -1;
    }

    return 0;
}


PGresult *
tool_query(tool_t *tool, buf_t *sql)
{
    PGresult        *res;
    ExecStatusType   status;

    if (buf_failed(sql)) {
        tool_error("out of memory");
        return NULL;
    }

    res = PQexec(tool->conn, sql->data);
    buf_free(sql);
    status = PQresultStatus(res);

    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        tool_error("%s", PQerrorMessage(tool->conn));
        PQclear(res);
        return NULL;
    }

    return res;
}


int
tool_exec(tool_t *tool, buf_t *sql)
{
    PGresult  *res;

    res = tool_query(tool, sql);
    PQclear(res);

    return res ? 0 : -1;
}


static bool
tool_is_number(Oid type)
{
    /* int8, int2, int4, numeric: fixed numbers of PostgreSQL's catalogue */
    return type == 20 || type == 21 || type == 23 || type == 1700;
}


void
tool_rows_json(buf_t *out, const PGresult *res)
{
    int          row, column;
    const char  *value;

    for (row = 0; row < PQntuples(res); row++) {
        buf_addf(out, "%s{", row ? ",\n " : "");

        for (column = 0; column < PQnfields(res); column++) {
            value = PQgetvalue(res, row, column);
            buf_addf(out, "%s\"%s\":", column ? "," : "",
                     PQfname(res, column));

            if (PQgetisnull(res, row, column)) {
                buf_addf(out, "null");

            } else if (PQftype(res, column) == 16) {
                buf_addf(out, value[0] == 't' ? "true" : "false");

            } else if (tool_is_number(PQftype(res, column))) {
                buf_addf(out, "%s", value);

            } else {
                buf_add(out, "\"", 1);
                text_add_json(out, value, strlen(value));
                buf_add(out, "\"", 1);
            }
        }

        buf_add(out, "}", 1);
    }
}


static void
tool_print_columns(const PGresult *res)
{
    int          row, column, rows, columns, width, len;
    const char  *value;

    rows = PQntuples(res);
    columns = PQnfields(res);

    for (row = -1; row < rows; row++) {

        for (column = 0; column < columns; column++) {
            width = (int) strlen(PQfname(res, column));

            for (int i = 0; i < rows; i++) {
                len = PQgetisnull(res, i, column)
                      ? 1 : (int) strlen(PQgetvalue(res, i, column));
                width = len > width ? len : width;
            }

            value = row == -1 ? PQfname(res, column)
                    : PQgetisnull(res, row, column)
                    ? "-" : PQgetvalue(res, row, column);

            if (tool_is_number(PQftype(res, column))) {
                printf("%s%*s", column ? "  " : "", width, value);

            } else {
                printf("%s%-*s", column ? "  " : "",
                       column == columns - 1 ? 0 : width, value);
            }
        }

        putchar('\n');
    }
}


void
tool_print(const tool_t *tool, const PGresult *res)
{
    buf_t  out;

    if (!tool->json) {
        tool_print_columns(res);
        return;
    }

    memset(&out, 0, sizeof(buf_t));
    tool_rows_json(&out, res);
    printf("[%s]\n", buf_failed(&out) || out.len == 0 ? "" : out.data);
    buf_free(&out);
}


void
tool_log_cte(const tool_t *tool, buf_t *sql)
{
    size_t                  i;
    const lookup_range_t   *range;

    buf_addf(sql, "WITH log (partition, low, high, at) AS (");

    for (i = 0; tool->log && i < tool->log->nranges; i++) {
        range = &tool->log->ranges[i];
        buf_addf(sql, "%s(%d::integer,%" PRId64 "::bigint,%" PRId64
                 "::bigint,%" PRId64 "::bigint)", i ? "," : "VALUES ",
                 range->partition, range->begin, range->end, range->at);
    }

    if (i == 0) {
        buf_addf(sql, "SELECT NULL::integer, NULL::bigint, NULL::bigint,"
                 " NULL::bigint WHERE false");
    }

    buf_addf(sql, ")");
}


/* Each names the table its row was for, or the group's if it had none. */

void
tool_dead_where(const tool_t *tool, buf_t *sql)
{
    size_t  i;

    buf_addf(sql, " (");
    offsets_where(tool->offsets, tool->conn, sql);

    for (i = 0; i < tool->conf->ntargets; i++) {
        buf_addf(sql, " OR");
        offsets_where_table(tool->offsets, tool->conn,
                            tool->conf->targets[i]->table, sql);
    }

    buf_addf(sql, ")");
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


/*
 * By both sides: a member of the group that lost PostgreSQL, and a stopped
 * process that the group has put out but whose session is still there.
 */

int
tool_alive(tool_t *tool)
{
    int                           alive, row;
    char                          prefix[OFFSETS_PREFIX];
    buf_t                         sql;
    PGresult                     *res;
    rd_kafka_resp_err_t           err;
    const struct rd_kafka_group_list  *groups;

    err = rd_kafka_list_groups(tool->rk, tool->conf->group, &groups,
                               TOOL_TIMEOUT);
    if (err) {
        tool_error("could not ask Kafka for the members of group \"%s\": %s",
                   tool->conf->group, rd_kafka_err2str(err));
        return -1;
    }

    alive = groups->group_cnt > 0 && groups->groups[0].member_cnt > 0;

    if (alive) {
        tool_error("group \"%s\" has %d members: stop the daemons first",
                   tool->conf->group, groups->groups[0].member_cnt);
    }

    rd_kafka_group_list_destroy(groups);

    memset(&sql, 0, sizeof(buf_t));
    offsets_prefix(tool->conf, prefix);
    buf_addf(&sql, "SELECT pid, application_name FROM pg_stat_activity"
             " WHERE datname=current_database()"
             " AND left(application_name, %d)='%s'",
             OFFSETS_PREFIX - 1, prefix);

    res = tool_query(tool, &sql);
    if (res == NULL) {
        return -1;
    }

    for (row = 0; row < PQntuples(res); row++) {
        tool_error("backend %s of daemon \"%s\" is connected: stop it first, "
                   "or end it by pg_terminate_backend() if its process is "
                   "gone", PQgetvalue(res, row, 0), PQgetvalue(res, row, 1));
        alive = 1;
    }

    PQclear(res);

    return alive;
}


/*
 * Whether the table has a unique index on the record's place: 1, 0, or -1
 * for an error.
 */

static int
tool_has_place(tool_t *tool, const conf_t *conf)
{
    int                   rc;
    buf_t                 sql, table;
    size_t                i;
    PGresult             *res;
    const conf_column_t  *column;

    static const conf_from_t  place[] = {
        CONF_FROM_OFFSET, CONF_FROM_PARTITION, CONF_FROM_TOPIC
    };

    if (tool_column(conf, CONF_FROM_PARTITION) == NULL
        || tool_column(conf, CONF_FROM_OFFSET) == NULL)
    {
        return 0;
    }

    memset(&sql, 0, sizeof(buf_t));
    memset(&table, 0, sizeof(buf_t));
    sql_table(&table, tool->conn, conf);

    buf_addf(&sql, "SELECT EXISTS (SELECT FROM pg_index i WHERE"
             " i.indisunique AND i.indisvalid AND i.indpred IS NULL"
             " AND i.indexprs IS NULL AND i.indrelid=to_regclass(");
    sql_literal(&sql, tool->conn, buf_failed(&table) ? "" : table.data);
    buf_addf(&sql, ") AND NOT EXISTS (SELECT FROM pg_attribute a"
             " WHERE a.attrelid=i.indrelid AND a.attnum = ANY"
             " ((i.indkey::smallint[])[0:i.indnkeyatts - 1])"
             " AND a.attname NOT IN (''");
    buf_free(&table);

    for (i = 0; i < sizeof(place) / sizeof(place[0]); i++) {
        column = tool_column(conf, place[i]);
        if (column) {
            buf_add(&sql, ",", 1);
            sql_literal(&sql, tool->conn, column->name);
        }
    }

    buf_addf(&sql, ")))");

    res = tool_query(tool, &sql);
    if (res == NULL) {
        return -1;
    }

    rc = PQgetvalue(res, 0, 0)[0] == 't';
    PQclear(res);

    return rc;
}


int
tool_check_repeat(tool_t *tool)
{
    int            rc;
    size_t         i;
    const conf_t  *conf;

    for (i = 0; tool_overwrites(tool->conf->targets[i]); i++) {
        if (i + 1 == tool->conf->ntargets) {
            return 0;
        }
    }

    conf = tool->conf->targets[i];
    rc = tool_has_place(tool, conf);

    if (rc == 0) {
        tool_error("rows of table \"%s\" would be there twice: it has no "
                   "unique index on its partition and offset columns. %s "
                   "--allow-duplicates", conf->table, tool->conf->nroutes
                   ? "Say" : "Name another table by --into, or say");
    }

    if (rc == 1) {
        tool_error("rows of table \"%s\" that are there would come as dead "
                   "letters: say \"mode\": \"ignore\" in the configuration "
                   "and \"key\": [\"%s\", \"%s\"], for which it has the "
                   "unique index", conf->table,
                   tool_column(conf, CONF_FROM_PARTITION)->name,
                   tool_column(conf, CONF_FROM_OFFSET)->name);
    }

    return -1;
}


/* It would change the group's name alone, not the tables of the rows. */

int
tool_check_into(const conf_t *conf, const char *into)
{
    if (into && conf->nroutes) {
        tool_error("--into: \"route\" names the tables");
        return -1;
    }

    return 0;
}


/* An append never touches a row that is there. */

bool
tool_overwrites(const conf_t *conf)
{
    return conf->mode != CONF_MODE_APPEND;
}


int
tool_number(const char *s, int64_t *n)
{
    size_t  len;

    len = strspn(s, "0123456789");

    if (len == 0 || len > 18 || s[len] != '\0') {
        return -1;
    }

    *n = strtoll(s, NULL, 10);

    return 0;
}
