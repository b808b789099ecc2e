/*
 * replay: the records of a time once more.  It is a daemon with an end, in a
 * group of its own, so that it is exactly once as any other and can go on
 * where it was stopped, beside the daemons that run.
 */

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/units.h"
#include "daemon/daemon.h"
#include "tools/tool.h"


typedef struct {
    tool_t       tool;
    conf_t      *conf;          /* the replay's own */
    const char  *from;          /* RFC 3339 times, as given */
    const char  *to;
    int64_t      from_ms;       /* since 1970 */
    int64_t      to_ms;
    const char  *into;          /* another table, or NULL */
    bool         duplicates;    /* allowed */
    bool         dry_run;
    int64_t     *begin;         /* offsets, by partition */
    char        *own[4];        /* texts in "conf" that are not the file's */
    size_t       nown;
} replay_t;


static int replay_proof(const conf_t *conf);
static int replay_options(replay_t *replay, int argc, char **argv);
static int replay_conf(replay_t *replay, const char *file);
static int replay_plan(replay_t *replay);
static int replay_store(replay_t *replay);
static int replay_set(replay_t *replay, char **field, char *value);


const char  tool_replay_usage[] =
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
    "  --json               the plan for programs\n";


int
tool_replay(const conf_t *conf, int argc, char **argv)
{
    int       rc;
    size_t    i;
    replay_t  replay;

    memset(&replay, 0, sizeof(replay_t));

    rc = replay_options(&replay, argc, argv);
    if (rc != 0) {
        return rc;
    }

    rc = COMMAND_FAILED;

    if (replay_conf(&replay, conf->file) == 0
        && tool_open(&replay.tool, conf, TOOL_LOG_MUST, replay.from_ms) == 0
        && replay_plan(&replay) == 0)
    {
        rc = COMMAND_OK;

        if (!replay.dry_run && replay_store(&replay) == -1) {
            rc = COMMAND_FAILED;
        }
    }

    tool_close(&replay.tool);

    if (rc == COMMAND_OK && !replay.dry_run) {
        rc = daemon_run(replay.conf, replay_proof);
    }

    if (rc != DAEMON_RELOAD) {
        conf_free(replay.conf);
        free(replay.begin);

        for (i = 0; i < replay.nown; i++) {
            free(replay.own[i]);
        }
    }

    return rc;
}


static int
replay_proof(const conf_t *conf)
{
    static char  verify[] = "verify";
    static char *argv[] = { verify, NULL };

    return tool_verify(conf, 1, argv);
}


static int
replay_options(replay_t *replay, int argc, char **argv)
{
    int  c;

    static const struct option  options[] = {
        { "from",             required_argument, NULL, 'f' },
        { "to",               required_argument, NULL, 't' },
        { "into",             required_argument, NULL, 'i' },
        { "allow-duplicates", no_argument,       NULL, 'a' },
        { "dry-run",          no_argument,       NULL, 'n' },
        { "json",             no_argument,       NULL, 'j' },
        { NULL,               0,                 NULL, 0 }
    };

    optind = 0;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {

        switch (c) {

        case 'f':
        case 't':
            if (conf_parse_date(optarg, c == 'f' ? &replay->from_ms
                                                 : &replay->to_ms) == -1)
            {
                tool_error("\"%s\" is no RFC 3339 time", optarg);
                return COMMAND_USAGE;
            }
            *(c == 'f' ? &replay->from : &replay->to) = optarg;
            break;

        case 'i':
            replay->into = optarg;
            break;

        case 'a':
            replay->duplicates = true;
            break;

        case 'n':
            replay->dry_run = true;
            break;

        case 'j':
            replay->tool.json = true;
            break;

        default:
            return COMMAND_USAGE;
        }
    }

    if (optind != argc || replay->from == NULL || replay->to == NULL) {
        return COMMAND_USAGE;
    }

    if (replay->from_ms >= replay->to_ms) {
        tool_error("--to has to be behind --from");
        return COMMAND_USAGE;
    }

    return 0;
}


static int
replay_set(replay_t *replay, char **field, char *value)
{
    replay->own[replay->nown++] = value;
    *field = value;

    return value ? 0 : -1;
}


/* The file once more, with a group and perhaps a table of its own. */

static int
replay_conf(replay_t *replay, const char *file)
{
    char     err[CONF_ERROR_MAX], *group;
    size_t   len;
    conf_t  *conf;

    conf = conf_read(file, err);
    if (conf == NULL) {
        tool_error("%s", err);
        return -1;
    }

    replay->conf = conf;
    conf->listen = NULL;

    if (asprintf(&group, "%s:replay:%s/%s", conf->group, replay->from,
                 replay->to) == -1)
    {
        group = NULL;
    }

    if (replay_set(replay, &conf->group, group) == -1) {
        goto failed;
    }

    if (replay->into == NULL) {
        return 0;
    }

    if (tool_check_into(conf, replay->into) == -1) {
        return -1;
    }

    len = strcspn(replay->into, ".");

    if (replay->into[len] == '\0') {
        conf->table_schema = NULL;

    } else if (replay_set(replay, &conf->table_schema,
                          strndup(replay->into, len))
               == -1)
    {
        goto failed;
    }

    if (replay_set(replay, &conf->table, strdup(replay->into)) == 0
        && replay_set(replay, &conf->table_name,
                      strdup(replay->into[len] ? replay->into + len + 1
                                               : replay->into))
           == 0)
    {
        return 0;
    }

failed:

    tool_error("out of memory");

    return -1;
}


static int
replay_plan(replay_t *replay)
{
    size_t     i, n;
    buf_t      sql;
    tool_t    *tool;
    PGresult  *res;

    tool = &replay->tool;

    if (replay->into == NULL && !replay->duplicates
        && (tool_check_topic(tool) == -1 || tool_check_repeat(tool) == -1))
    {
        return -1;
    }

    n = tool->log->nranges;
    replay->begin = calloc(n, sizeof(int64_t));
    replay->conf->until = calloc(n, sizeof(int64_t));

    if (replay->begin == NULL || replay->conf->until == NULL) {
        tool_error("out of memory");
        return -1;
    }

    /* partitions are numbered from 0, and these are all of them */

    for (i = 0; i < n; i++) {
        replay->begin[tool->log->ranges[i].partition] =
            tool->log->ranges[i].at;
    }

    if (tool_ask(tool, replay->to_ms) == -1 || tool->log->nranges != n) {
        return -1;
    }

    replay->conf->nuntil = (int32_t) n;
    memset(&sql, 0, sizeof(buf_t));
    buf_addf(&sql, "SELECT * FROM (VALUES ");

    for (i = 0; i < n; i++) {
        replay->conf->until[tool->log->ranges[i].partition] =
            tool->log->ranges[i].at;
    }

    for (i = 0; i < n; i++) {
        buf_addf(&sql, "%s(%zu::integer,%" PRId64 "::bigint,%" PRId64
                 "::bigint)", i ? "," : "", i, replay->begin[i],
                 replay->conf->until[i]);
    }

    buf_addf(&sql, ") AS plan (partition, \"from\", \"to\") ORDER BY 1");

    res = tool_query(tool, &sql);
    if (res == NULL) {
        return -1;
    }

    tool_print(tool, res);
    fflush(stdout);
    PQclear(res);

    return 0;
}


/* Where it begins, once: when it is called again it goes on. */

static int
replay_store(replay_t *replay)
{
    int         rc;
    buf_t       sql;
    int32_t     i;
    tool_t     *tool;
    offsets_t  *offsets;

    tool = &replay->tool;
    offsets = offsets_create(replay->conf, "");

    if (offsets == NULL
        || offsets_set_cluster(offsets, tool->log->cluster) == -1)
    {
        tool_error("out of memory");
        offsets_destroy(offsets);
        return -1;
    }

    memset(&sql, 0, sizeof(buf_t));
    sql_begin(&sql);
    buf_addf(&sql, "INSERT INTO sluice.audit (action, cluster_id, group_id,"
             " topic, table_name, detail) SELECT 'replay',");
    offsets_key(offsets, tool->conn, &sql);
    buf_addf(&sql, ", jsonb_build_object('from',");
    sql_literal(&sql, tool->conn, replay->from);
    buf_addf(&sql, ", 'to',");
    sql_literal(&sql, tool->conn, replay->to);
    buf_addf(&sql, ", 'allow_duplicates', %s);",
             replay->duplicates ? "true" : "false");

    for (i = 0; i < replay->conf->nuntil; i++) {
        buf_addf(&sql, "INSERT INTO sluice.offsets (cluster_id, group_id,"
                 " topic, table_name, partition, next_offset, epoch, owner)"
                 " VALUES (");
        offsets_key(offsets, tool->conn, &sql);
        buf_addf(&sql, ",%d,%" PRId64 ",0,'') ON CONFLICT DO NOTHING;", i,
                 replay->begin[i]);
    }

    buf_addf(&sql, "COMMIT");
    rc = tool_exec(tool, &sql);
    offsets_destroy(offsets);

    return rc;
}
