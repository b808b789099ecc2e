/* --check: the configuration against the live broker and database. */

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka/lookup.h"
#include "postgres/ddl.h"
#include "postgres/target.h"
#include "row/row.h"
#include "store/offsets.h"
#include "tools/check.h"


#define CHECK_TIMEOUT  30000    /* ms for the broker */


typedef struct {
    const conf_t           *conf;
    lookup_t               *lookup;
    const lookup_result_t  *topic;
    offsets_t              *offsets;
    PGconn                 *conn;
} check_t;


static int check_kafka(check_t *check);
static int check_dead_topic(check_t *check);
static int check_postgres(check_t *check);
static int check_table(check_t *check, const conf_t *conf);
static int check_offsets(check_t *check);
static PGresult *check_query(check_t *check, buf_t *sql);
static void check_offset(check_t *check, const lookup_range_t *range,
    const PGresult *res);


int
check_run(const conf_t *conf)
{
    int      failed;
    size_t   i;
    check_t  check;

    memset(&check, 0, sizeof(check_t));
    check.conf = conf;
    check.lookup = lookup_create(conf, conf->topic);
    check.offsets = offsets_create(conf, "sluice:check");

    if (check.lookup == NULL || check.offsets == NULL) {
        fprintf(stderr, "out of memory\n");
        return 1;
    }

    printf("configuration  %s: well-formed\n", conf->file);

    failed = check_kafka(&check) == -1
             || (conf->dead_topic && check_dead_topic(&check) == -1);

    if (check_postgres(&check) == -1) {
        failed = 1;

    } else {
        for (i = 0; i < conf->ntargets; i++) {
            failed |= check_table(&check, conf->targets[i]) == -1;
        }
        failed |= check.topic != NULL && check_offsets(&check) == -1;
    }

    printf(failed ? "It would not run as it is.\n" : "It would run.\n");

    PQfinish(check.conn);
    offsets_destroy(check.offsets);
    lookup_destroy(check.lookup);

    return failed;
}


/* What "lookup" finds, waited for; NULL with a line said. */

static const lookup_result_t *
check_topic(check_t *check, lookup_t *lookup, bool with)
{
    struct pollfd           fd;
    const lookup_result_t  *result;

    if (lookup_start(lookup, NULL, NULL, 0, with,
                     with && check->conf->start == CONF_START_TIME
                     ? check->conf->start_time : -1)
        == -1)
    {
        printf("kafka          could not start a thread\n");
        return NULL;
    }

    fd.fd = lookup_fd(lookup);
    fd.events = POLLIN;
    (void) poll(&fd, 1, CHECK_TIMEOUT);

    result = lookup_result(lookup);

    if (result == NULL || result->error[0]) {
        printf("kafka          could not ask %s: %s\n",
               conf_property(check->conf, "bootstrap.servers"),
               result ? result->error : "no answer in time");
        return NULL;
    }

    return result;
}


static int
check_kafka(check_t *check)
{
    const lookup_result_t  *result;

    result = check_topic(check, check->lookup, true);
    if (result == NULL) {
        return -1;
    }

    printf("kafka          cluster %s, topic \"%s\" with %d partitions, "
           "group \"%s\"\n", result->cluster, check->conf->topic,
           result->partitions, check->conf->group);

    check->topic = result;

    return offsets_set_cluster(check->offsets, result->cluster);
}


static int
check_dead_topic(check_t *check)
{
    lookup_t               *lookup;
    const lookup_result_t  *result;

    lookup = lookup_create(check->conf, check->conf->dead_topic);
    if (lookup == NULL) {
        return -1;
    }

    result = check_topic(check, lookup, false);
    if (result) {
        printf("dead letters   topic \"%s\" with %d partitions\n",
               check->conf->dead_topic, result->partitions);
    }

    lookup_destroy(lookup);

    return result ? 0 : -1;
}


static int
check_postgres(check_t *check)
{
    const char *const  keys[] = {
        "connect_timeout", "dbname", "application_name", "client_encoding",
        NULL
    };
    const char *const  values[] = {
        "10", check->conf->postgres, "sluice:check", "UTF8", NULL
    };

    check->conn = PQconnectdbParams(keys, values, 1);

    if (PQstatus(check->conn) != CONNECTION_OK) {
        printf("postgres       could not connect: %s",
               PQerrorMessage(check->conn));
        return -1;
    }

    printf("postgres       database \"%s\" as \"%s\", server %s\n",
           PQdb(check->conn), PQuser(check->conn),
           PQparameterStatus(check->conn, "server_version"));

    return 0;
}


/* Frees the text; NULL with a line said when the query failed. */

static PGresult *
check_query(check_t *check, buf_t *sql)
{
    PGresult  *res;

    if (buf_failed(sql)) {
        printf("postgres       out of memory\n");
        return NULL;
    }

    res = PQexec(check->conn, sql->data);
    buf_free(sql);

    if (PQresultStatus(res) != PGRES_TUPLES_OK) {
        printf("postgres       %s", PQerrorMessage(check->conn));
        PQclear(res);
        return NULL;
    }

    return res;
}


static const char *
check_origin(const conf_column_t *column)
{
    static const char *const  names[] = {
        "path ", "the topic", "the partition", "the offset",
        "the record's timestamp", "the key", "the value",
        "PostgreSQL (identity)", "header ", "the constant ",
        "all that no other column takes"
    };

    return names[column->from];
}


static int
check_table(check_t *check, const conf_t *conf)
{
    int                   rc;
    char                  reason[SQL_REASON];
    buf_t                 sql;
    size_t                i;
    PGresult             *res;
    target_t              target;
    row_spec_t            spec;
    row_plan_t           *plan;
    const char           *type, *own, *what;
    const conf_column_t  *column;

    memset(&sql, 0, sizeof(buf_t));
    target_query(&sql, conf);

    res = check_query(check, &sql);
    if (res == NULL) {
        return -1;
    }

    target_init(&target, conf);
    rc = target_take(&target, res, reason, sizeof(reason));

    if (PQntuples(res) == 0 && conf->create_table) {
        rc = 0;
        ddl_table(&sql, conf);
        printf("table          \"%s\" would be created: %s\n",
               conf->table, buf_failed(&sql) ? "" : sql.data);
        buf_free(&sql);

    } else if (rc == -1) {
        printf("table          would hold: %s\n", reason);

    } else {
        printf("table          \"%s\"\n", conf->table);
    }

    PQclear(res);

    if (rc == 0) {
        spec.columns = target.columns;
        spec.types = target.types;
        spec.ncolumns = target.ncolumns;
        spec.format = conf->format;
        spec.nul = conf->nul;
        spec.where = &conf->where;
        spec.key = &conf->key;

        plan = row_plan_create(&spec, reason, sizeof(reason));
        if (plan == NULL) {
            printf("table          would hold: %s\n", reason);
            rc = -1;
        }
        row_plan_free(plan);
    }

    for (i = 0; i < target.ncolumns; i++) {
        column = &target.columns[i];
        type = target.types[i];
        own = target.table_types[i];

        what = column->path ? column->path
               : column->header ? column->header : NULL;

        printf("  column       %-20s from %s%s%s%s%s -> %s%s%s%s%s%s\n",
               column->name, check_origin(column),
               what ? "\"" : "", what ? what : "", what ? "\"" : "",
               column->constant ? column->constant : "", type,
               own && strcmp(own, type) != 0 ? ", stored as " : "",
               own && strcmp(own, type) != 0 ? own : "",
               column->required ? ", required" : "",
               column->fallback ? ", default " : "",
               column->fallback ? column->fallback : "");
    }

    target_free(&target);

    return rc;
}


static int
check_offsets(check_t *check)
{
    int        missing;
    buf_t      sql;
    size_t     i;
    PGresult  *res;

    memset(&sql, 0, sizeof(buf_t));
    buf_addf(&sql, "SELECT to_regclass('sluice.offsets') IS NULL");

    res = check_query(check, &sql);
    if (res == NULL) {
        return -1;
    }

    missing = PQgetvalue(res, 0, 0)[0] == 't';
    PQclear(res);
    res = NULL;

    if (missing) {
        printf("offsets        the tables of schema \"sluice\" would be "
               "created\n");

    } else {
        buf_addf(&sql, "SELECT partition, next_offset, owner FROM "
                 "sluice.offsets WHERE");
        offsets_where(check->offsets, check->conn, &sql);

        res = check_query(check, &sql);
        if (res == NULL) {
            return -1;
        }
    }

    for (i = 0; i < check->topic->nranges; i++) {
        check_offset(check, &check->topic->ranges[i], res);
    }

    PQclear(res);

    return 0;
}


static void
check_offset(check_t *check, const lookup_range_t *range,
    const PGresult *res)
{
    int      row, rows;
    int64_t  start;

    rows = res ? PQntuples(res) : 0;

    for (row = 0; row < rows; row++) {
        if (sql_number(res, row, 0) == range->partition) {
            break;
        }
    }

    if (row < rows) {
        start = sql_number(res, row, 1);
        printf("  partition %-3d at offset %" PRId64 " as stored; the log "
               "holds %" PRId64 " to %" PRId64 "%s\n", range->partition,
               start, range->begin, range->end,
               start < range->begin
               ? ": would hold, records are lost"
               : start > range->end ? ": would hold, the log is shorter"
               : "");
        return;
    }

    start = rows || check->conf->start == CONF_START_EARLIEST ? range->begin
            : check->conf->start == CONF_START_LATEST ? range->end
            : range->at;

    printf("  partition %-3d would start at offset %" PRId64 " (%s); the log "
           "holds %" PRId64 " to %" PRId64 "\n", range->partition, start,
           rows ? "added later" : check->conf->start_text, range->begin,
           range->end);
}
