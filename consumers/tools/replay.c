/*
 * replay: the records of a time once more.  It is a daemon with an end, in a
 * group of its own, so that it is exactly once as any other and can go on
 * where it was stopped, beside the daemons that run.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"
#include "tools/command.h"
#include "tools/repeat.h"
#include "tools/verify.h"


typedef struct {
    tool_t        tool;          /* "text" is the plan: partition, offset to
                                    begin with and to end before, as JSON */

    /* options */
    const char   *from;          /* RFC 3339 times */
    const char   *to;
    char         *into;          /* another table, or NULL */
    bool          duplicates;    /* allowed */
    bool          dry_run;

    char         *group;         /* of its own */
    char         *schema;        /* of "into" */
    int64_t       from_ms;       /* since 1970 */
    int64_t       to_ms;
    int64_t      *begin;         /* offsets, by partition */
    int64_t      *until;
    size_t        n;             /* partitions */
} replay_t;


static int replay_check(tool_t *tool);
static int replay_run(tool_t *tool);
static int replay_conf(replay_t *replay, conf_t *conf);
static int replay_plan(replay_t *replay, tool_t *tool);
static int replay_begin(replay_t *replay, const conf_t *conf);
static int replay_daemon(const replay_t *replay, const conf_t *conf);


static const option_t  replay_options[] = {
    { "from",             OPTION_TEXT, offsetof(replay_t, from) },
    { "to",               OPTION_TEXT, offsetof(replay_t, to) },
    { "into",             OPTION_TEXT, offsetof(replay_t, into) },
    { "allow-duplicates", OPTION_FLAG, offsetof(replay_t, duplicates) },
    { "dry-run",          OPTION_FLAG, offsetof(replay_t, dry_run) },
    { "json",             OPTION_FLAG, offsetof(replay_t, tool.json) },
    { NULL, 0, 0 }
};

const command_t  command_replay = {
    .name = "replay",
    .help = "store the records of a time again",
    .open = TOOL_LOG_MUST,
    .size = sizeof(replay_t),
    .options = replay_options,
    .check = replay_check,
    .run = replay_run,
    .usage =
    "--from TIME --to TIME [--into TABLE]\n"
    "           [--allow-duplicates] [--dry-run] [--json]\n"
    "\n"
    "Stores the records between two RFC 3339 times again: from the first one\n"
    "at or behind --from to before the first one at or behind --to, in each\n"
    "partition.  It runs in a group of its own beside the daemons, goes on\n"
    "where it was stopped when it is called again, and ends with verify.\n"
    "\n"
    "  --into TABLE         into another table\n"
    "  --allow-duplicates   into the same one although rows will be there\n"
    "                       twice\n"
    "  --dry-run            say what would be done, change nothing\n"
    "  --json               the plan for programs\n"
};


static int
replay_check(tool_t *tool)
{
    replay_t  *replay;

    replay = (replay_t *) tool;

    if (replay->from == NULL || replay->to == NULL) {
        report_error("say which records: --from and --to");
        return -1;
    }

    if (options_date(replay->from, &replay->from_ms) == -1
        || options_date(replay->to, &replay->to_ms) == -1)
    {
        return -1;
    }

    if (replay->from_ms >= replay->to_ms) {
        report_error("--to has to be behind --from");
        return -1;
    }

    tool->timestamp = replay->from_ms;

    return 0;
}


static int
replay_run(tool_t *tool)
{
    int        rc;
    conf_t     conf, *self;
    replay_t  *replay;

    replay = (replay_t *) tool;
    conf = *tool->conf;
    self = &conf;

    if (conf.nroutes == 0) {
        conf.targets = &self;
    }

    rc = replay_conf(replay, &conf);

    if (rc == 0) {
        rc = replay_plan(replay, tool);
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
        free(replay->begin);
        free(replay->until);
    }

    return rc;
}


/* The file's configuration, with a group and perhaps a table of its own. */

static int
replay_conf(replay_t *replay, conf_t *conf)
{
    char  *dot;

    if (repeat_check_into(conf, replay->into) == -1) {
        return -1;
    }

    if (asprintf(&replay->group, "%s:replay:%s/%s", conf->group, replay->from,
                 replay->to) == -1)
    {
        replay->group = NULL;
        report_error("out of memory");
        return -1;
    }

    conf->group = replay->group;
    conf->listen = NULL;

    if (replay->into) {
        dot = strchr(replay->into, '.');
        conf->table = replay->into;
        conf->table_name = dot ? dot + 1 : replay->into;
        conf->table_schema = NULL;

        if (dot) {
            replay->schema = strndup(replay->into,
                                     (size_t) (dot - replay->into));
            conf->table_schema = replay->schema;
        }
    }

    return 0;
}


/* Where each partition begins and ends; shown. */

static int
replay_plan(replay_t *replay, tool_t *tool)
{
    size_t                 i, n;
    buf_t                 *plan;
    const lookup_range_t  *ranges;

    if (replay->into == NULL && !replay->duplicates
        && repeat_check(tool) == -1)
    {
        return -1;
    }

    /* partitions are numbered from 0, and these are all of them */

    n = tool->log->nranges;
    ranges = tool->log->ranges;
    replay->n = n;
    replay->begin = calloc(n, sizeof(int64_t));
    replay->until = calloc(n, sizeof(int64_t));

    if (replay->begin == NULL || replay->until == NULL) {
        report_error("out of memory");
        return -1;
    }

    for (i = 0; i < n; i++) {
        replay->begin[ranges[i].partition] = ranges[i].at;
    }

    tool->timestamp = replay->to_ms;

    if (tool_ask(tool) == -1 || tool->log->nranges != n) {
        return -1;
    }

    plan = &tool->text;
    ranges = tool->log->ranges;

    for (i = 0; i < n; i++) {
        replay->until[ranges[i].partition] = ranges[i].at;
        buf_addf(plan, "%s[%d,%" PRId64 ",%" PRId64 "]", i ? "," : "[",
                 ranges[i].partition, replay->begin[ranges[i].partition],
                 ranges[i].at);
    }

    buf_addf(plan, "]");

    return tool_show(tool, tool_query(tool,
        "SELECT (e->>0)::integer AS partition, (e->>1)::bigint AS \"from\","
        " (e->>2)::bigint AS \"to\" FROM jsonb_array_elements($7::jsonb) e"
        " ORDER BY 1", plan->data, NULL));
}


/* Stores where it begins, once: when it is called again it goes on. */

static int
replay_begin(replay_t *replay, const conf_t *conf)
{
    tool_t  *tool;

    tool = &replay->tool;
    tool->keys[TOOL_GROUP] = conf->group;
    tool->keys[TOOL_TABLE] = conf->table;

    return tool_done(tool_query(tool,
        "WITH audited AS (INSERT INTO sluice.audit (action, cluster_id,"
        " group_id, topic, table_name, detail) SELECT 'replay', $1, $2, $3,"
        " $4, jsonb_build_object('from', $8, 'to', $9, 'allow_duplicates',"
        " $10::boolean)) INSERT INTO sluice.offsets (cluster_id, group_id,"
        " topic, table_name, partition, next_offset, epoch, owner)"
        " SELECT $1, $2, $3, $4, (e->>0)::integer, (e->>1)::bigint, 0, ''"
        " FROM jsonb_array_elements($7::jsonb) e ON CONFLICT DO NOTHING",
        tool->text.data, replay->from, replay->to,
        replay->duplicates ? "true" : "false", NULL));
}


static int
replay_daemon(const replay_t *replay, const conf_t *conf)
{
    daemon_options_t  options;

    (void) fflush(stdout);
    memset(&options, 0, sizeof(daemon_options_t));
    options.until = replay->until;
    options.nuntil = (int32_t) replay->n;
    options.proof = verify_prove;

    return daemon_run(conf, &options);
}
