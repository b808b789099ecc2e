/*
 * --check: the configuration against the live broker and database.  All that
 * it does in PostgreSQL is rolled back.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "postgres/sql.h"
#include "registry/registry.h"
#include "tools/check_receipts.h"
#include "tools/command.h"
#include "tools/rehearse.h"


#define CHECK_PATIENCE  30000    /* ms for the broker */


static int check_run(tool_t *tool);
static int check_kafka(tool_t *tool);
static int check_dead_topic(tool_t *tool);
static int check_registry(tool_t *tool);
static int check_postgres(tool_t *tool);
static int check_table(tool_t *tool, const conf_t *conf);
static void check_columns(const target_t *target);
static int check_offsets(tool_t *tool);
static void check_offset(const tool_t *tool, const lookup_range_t *range,
    const PGresult *res);


const command_t  command_check = {
    .name = "--check",
    .usage = "\n",
    .topics = COMMAND_EACH,
    .size = sizeof(tool_t),
    .run = check_run
};


static int
check_run(tool_t *tool)
{
    int            failed;
    size_t         i;
    const conf_t  *conf = tool->conf;

    tool->patience = CHECK_PATIENCE;
    tool->timestamp = conf->start == CONF_START_TIME ? conf->start_time : -1;

    printf("configuration  %s: well-formed\n", conf->file);

    failed = check_kafka(tool) == -1
             || (conf->dead_topic && check_dead_topic(tool) == -1)
             || (conf->receipts_topic && check_receipts(tool) == -1);

    if (conf->registry_url.n && check_registry(tool) == -1) {
        failed = 1;
    }

    if (check_postgres(tool) == -1) {
        failed = 1;

    } else {
        for (i = 0; i < conf->ntargets; i++) {
            failed |= check_table(tool, conf->targets[i]) == -1;
        }

        tool->section = "offsets";
        failed |= tool_guard(tool, NULL, NULL) == -1
                  || (tool->log && check_offsets(tool) == -1)
                  || rehearse_own(tool) == -1;
    }

    printf(failed ? "It would not run as it is.\n" : "It would run.\n");

    return failed ? COMMAND_FAILED : COMMAND_OK;
}


static int
check_kafka(tool_t *tool)
{
    tool->section = "kafka";

    if (tool_ask(tool) == -1) {
        return -1;
    }

    printf("kafka          cluster %s, topic \"%s\" with %d partitions, "
           "group \"%s\"\n", tool->log->cluster, tool->conf->topic,
           tool->log->partitions, tool->conf->group);

    return 0;
}


static int
check_dead_topic(tool_t *tool)
{
    lookup_t               *lookup;
    const lookup_result_t  *result;

    lookup = lookup_create(tool->conf, tool->conf->dead_topic);
    result = tool_lookup(tool, lookup, false);
    if (result) {
        printf("dead letters   topic \"%s\" with %d partitions\n",
               tool->conf->dead_topic, result->partitions);
    }

    lookup_destroy(lookup);

    return result ? 0 : -1;
}


/* Only Avro asks it, for a schema at a time. */

static int
check_registry(tool_t *tool)
{
    int            rc;
    char           err[CONF_ERROR_MAX];
    const char    *reason = err;
    registry_t    *registry;
    const conf_t  *conf = tool->conf;

    registry = registry_create(conf, err);
    rc = registry == NULL ? -1
         : registry_figures(registry) == NULL ? 0
         : registry_reach(registry, conf->registry_timeout, &reason);

    if (rc == 0) {
        printf("registry       %s\n", conf->registry_url.names[0]);
    } else {
        printf("registry       would wait: %s\n", reason[0] ? reason
               : "it does not answer");
    }

    registry_destroy(registry);

    return rc;
}


static int
check_postgres(tool_t *tool)
{
    tool->section = "postgres";

    if (tool_connect(tool, "sluice:check", NULL) == -1) {
        return -1;
    }

    printf("postgres       database \"%s\" as \"%s\", server %s\n",
           PQdb(tool->conn), PQuser(tool->conn),
           PQparameterStatus(tool->conn, "server_version"));

    return rehearse_begin(tool);
}


static int
check_table(tool_t *tool, const conf_t *conf)
{
    int       rc;
    target_t  target;

    tool->section = "table";
    rc = rehearse_table(tool, conf, &target);

    if (rc == 0) {
        printf("table          \"%s\"%s%s%s\n", conf->table,
               conf->table_schema ? "" : ", which is ",
               conf->table_schema ? "" : target.name, target.unlogged
               ? ", unlogged: PostgreSQL empties it after a crash, and its "
                 "rows are not stored again" : "");
    }

    check_columns(&target);
    target_free(&target);

    return rc;
}


static void
check_columns(const target_t *target)
{
    size_t                i;
    const char           *type, *own, *what;
    const conf_column_t  *column;

    /* by conf_from_t */
    static const char *const  origins[] = {
        "path ", "the topic", "the partition", "the offset",
        "the record's timestamp", "the key", "the value",
        "PostgreSQL (identity)", "header ", "the constant ",
        "all that no other column takes"
    };

    for (i = 0; i < target->ncolumns; i++) {
        column = &target->columns[i];
        type = target->types[i];
        own = target->table_types[i];
        what = column->path ? column->path : column->header;

        printf("  column       %-20s from %s%s%s%s%s -> %s%s%s%s%s%s\n",
               column->name, origins[column->from],
               what ? "\"" : "", what ? what : "", what ? "\"" : "",
               column->constant ? column->constant : "", type,
               own && strcmp(own, type) != 0 ? ", stored as " : "",
               own && strcmp(own, type) != 0 ? own : "",
               column->required ? ", required" : "",
               column->fallback ? ", default " : "",
               column->fallback ? column->fallback : "");
    }
}


static int
check_offsets(tool_t *tool)
{
    size_t     i;
    int64_t    known;
    PGresult  *res;

    known = tool_number(tool_query(tool, "SELECT count(to_regclass("
                                   "'sluice.offsets'))"));
    res = NULL;

    if (known == 0) {
        printf("offsets        the tables of schema \"sluice\" would be "
               "created\n");

    } else if (known == 1 && rehearse_path(tool, false) == 0
               && tool_find_table(tool, tool->conf) == 0
               && rehearse_path(tool, true) == 0)
    {
        res = tool_query(tool, "SELECT partition, next_offset"
                         " FROM sluice.offsets WHERE " TOOL_OURS);
    }

    if (known && res == NULL) {
        return -1;
    }

    for (i = 0; i < tool->log->nranges; i++) {
        check_offset(tool, &tool->log->ranges[i], res);
    }

    PQclear(res);

    return 0;
}


/* Prints where a partition would begin; "res" NULL: no offsets are stored. */

static void
check_offset(const tool_t *tool, const lookup_range_t *range,
    const PGresult *res)
{
    int            row, rows;
    int64_t        start;
    const conf_t  *conf = tool->conf;

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

    start = rows || conf->start == CONF_START_EARLIEST ? range->begin
            : conf->start == CONF_START_LATEST ? range->end : range->at;

    printf("  partition %-3d would start at offset %" PRId64 " (%s); the log "
           "holds %" PRId64 " to %" PRId64 "\n", range->partition, start,
           rows ? "added later" : conf->start_text, range->begin, range->end);
}
