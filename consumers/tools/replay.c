/*
 * The subcommand replay: stores the records of a time range again.  It runs a
 * daemon that has an end, in a group of its own: so it stores each record
 * exactly once, continues where it was stopped, and runs beside the daemons.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"
#include "postgres/sql.h"
#include "tools/command.h"
#include "tools/repeat.h"
#include "tools/verify.h"


typedef struct {
    tool_t        tool;          /* "text" is TOOL_LOG as of "from" */

    /* options */
    const char   *from;          /* RFC 3339 times */
    const char   *to;
    char         *into;          /* another table, or NULL */
    bool          duplicates;    /* allowed */
    bool          dry_run;

    char         *group;         /* the replay's own */
    char         *schema;        /* of "into" */
    int64_t       from_ms;       /* since 1970 */
    int64_t       to_ms;
    int64_t      *until;         /* offsets, by partition */
    int           n;             /* partitions */
} replay_t;


static int replay_check(tool_t *tool);
static int replay_run(tool_t *tool);
static int replay_conf(replay_t *replay, conf_t *conf);
static int replay_plan(replay_t *replay, tool_t *tool, const conf_t *conf);
static int64_t replay_is_same(tool_t *tool, const conf_t *conf);
static int replay_begin(replay_t *replay, const conf_t *conf);
static int replay_daemon(const replay_t *replay, const conf_t *conf);


static const option_t  replay_options[] = {
    OPTION("from",             TEXT, replay_t, from),
    OPTION("to",               TEXT, replay_t, to),
    OPTION("into",             TEXT, replay_t, into),
    OPTION("allow-duplicates", FLAG, replay_t, duplicates),
    OPTION("dry-run",          FLAG, replay_t, dry_run),
    OPTION("json",             FLAG, replay_t, tool.json),
    OPTION_END
};

const command_t  command_replay = {
    .name = "replay",
    .help = "store the records of a time range again",
    .open = TOOL_LOG_MUST,
    .size = sizeof(replay_t),
    .options = replay_options,
    .check = replay_check,
    .run = replay_run,
    .usage =
    "--from TIME --to TIME [--into TABLE]\n"
    "           [--allow-duplicates] [--dry-run] [--json]\n"
    "\n"
    "Stores the records between two RFC 3339 times again.  In each partition,\n"
    "it begins with the first record at or after --from and ends before the\n"
    "first one at or after --to.  It runs beside the daemons, in a group of\n"
    "its own, and ends with verify.  Called again, it continues where it was\n"
    "stopped.\n"
    "\n"
    "  --into TABLE         store them in another table\n"
    "  --allow-duplicates   store them in the same table, although it will\n"
    "                       hold rows twice\n"
    "  --dry-run            print the plan, change nothing\n"
    "  --json               print the plan as JSON\n"
};


static int
replay_check(tool_t *tool)
{
    replay_t  *replay = (replay_t *) tool;

    if (replay->from == NULL || replay->to == NULL) {
        return report_error("--from and --to are required");
    }

    if (options_date(replay->from, &replay->from_ms) == -1
        || options_date(replay->to, &replay->to_ms) == -1)
    {
        return -1;
    }

    if (replay->from_ms >= replay->to_ms) {
        return report_error("--to must be later than --from");
    }

    tool->timestamp = replay->from_ms;

    return 0;
}


static int
replay_run(tool_t *tool)
{
    int            rc;
    conf_t         conf;
    replay_t      *replay = (replay_t *) tool;
    const conf_t  *self;

    conf = *tool->conf;
    self = &conf;

    if (conf.nroutes == 0) {
        conf.targets = &self;
    }

    rc = replay_conf(replay, &conf);

    if (rc == 0) {
        rc = replay_plan(replay, tool, &conf);
    }

    if (rc == 0 && !replay->dry_run) {
        rc = replay_begin(replay, &conf);
        tool_close(tool);

        if (rc == 0) {
            rc = replay_daemon(replay, &conf);
        }
    }

    if (rc != DAEMON_RELOAD) {
        free(replay->group);
        free(replay->schema);
        free(replay->until);
    }

    return rc;
}


/* Gives a copy of the configuration its own group, and the table "into". */

static int
replay_conf(replay_t *replay, conf_t *conf)
{
    if (replay->into
        && repeat_into(conf, replay->into, &replay->schema) == -1)
    {
        return -1;
    }

    if (asprintf(&replay->group, "%s:replay:%s/%s", conf->group, replay->from,
                 replay->to) == -1)
    {
        replay->group = NULL;
        return report_error("out of memory");
    }

    conf->group = replay->group;
    conf->listen = NULL;

    return 0;
}


/*
 * Finds and prints where each partition begins and ends.  Partitions are
 * numbered from 0, and "log" has all of them.
 */

static int
replay_plan(replay_t *replay, tool_t *tool, const conf_t *conf)
{
    int        rc, row;
    int64_t    same;
    PGresult  *res;

    same = replay->into ? replay_is_same(tool, conf) : 1;

    if (same == -1
        || (same && !replay->duplicates && repeat_check(tool) == -1))
    {
        return -1;
    }

    buf_addf(&tool->text, "%s", tool->keys[TOOL_LOG]);
    replay->n = (int) tool->log->nranges;
    tool->timestamp = replay->to_ms;

    if (tool_ask(tool) == -1) {
        return -1;
    }

    res = tool_query(tool, TOOL_WITH_LOG " SELECT partition, (b->>3)::bigint"
                     " AS \"from\", at AS \"to\" FROM log"
                     " JOIN jsonb_array_elements($7::jsonb) b"
                     " ON partition = (b->>0)::integer ORDER BY 1",
                     tool->text.data);
    replay->until = calloc((size_t) replay->n, sizeof(int64_t));

    if (res == NULL || replay->until == NULL || PQntuples(res) != replay->n) {
        PQclear(res);
        return -1;
    }

    for (row = 0; row < replay->n; row++) {
        replay->until[row] = sql_number(res, row, 2);
    }

    rc = report_rows(res, tool->json);
    PQclear(res);

    return rc;
}


/* Whether --into names the configuration's own table: 1, 0, or -1. */

static int64_t
replay_is_same(tool_t *tool, const conf_t *conf)
{
    buf_t    sql = { 0 };
    int64_t  same;

    sql_format(&sql, "SELECT pg_catalog.count(*) FROM pg_catalog.pg_class"
               " WHERE oid" SQL_OP("=") "%O AND oid" SQL_OP("=") "%O",
               tool->conf, conf);
    tool->by_path = true;
    same = tool_number(tool_query(tool, sql.data));
    tool->by_path = false;
    buf_free(&sql);

    return same;
}


/* Stores where the replay begins, unless it was called before. */

static int
replay_begin(replay_t *replay, const conf_t *conf)
{
    tool_t  *tool = &replay->tool;

    tool->keys[TOOL_GROUP] = conf->group;

    if (tool_find_table(tool, conf) == -1) {
        return -1;
    }

    return tool_done(tool_query(tool,
        "WITH audited AS (INSERT INTO sluice.audit (action, cluster_id,"
        " group_id, topic, table_name, detail) SELECT 'replay', $1, $2, $3,"
        " $4, jsonb_build_object('from', $8, 'to', $9, 'allow_duplicates',"
        " $10::boolean)) INSERT INTO sluice.offsets (cluster_id, group_id,"
        " topic, table_name, partition, next_offset, epoch, owner)"
        " SELECT $1, $2, $3, $4, (b->>0)::integer, (b->>3)::bigint, 0, ''"
        " FROM jsonb_array_elements($7::jsonb) b ON CONFLICT DO NOTHING",
        tool->text.data, replay->from, replay->to,
        replay->duplicates ? "true" : "false"));
}


static int
replay_daemon(const replay_t *replay, const conf_t *conf)
{
    daemon_options_t  options = { 0 };

    (void) fflush(stdout);
    options.until = replay->until;
    options.nuntil = replay->n;
    options.proof = verify_prove;

    return daemon_run(conf, &options);
}
