/* offsets show, offsets reset and lag. */

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/units.h"
#include "tools/tool.h"


typedef enum {
    RESET_NONE = 0,
    RESET_OFFSET,
    RESET_TIMESTAMP,
    RESET_EARLIEST,
    RESET_LATEST
} reset_to_t;


typedef struct {
    tool_t        tool;
    reset_to_t    to;
    const char   *to_text;        /* as given, for the audit */
    int64_t       value;          /* an offset, or ms since 1970 */
    buf_t         partitions;     /* "1,2"; empty: all */
    const char   *into;           /* another table, or NULL */
    bool          duplicates;     /* allowed */
    bool          dry_run;
    buf_t         plan;           /* "WITH plan (p, f, t) AS (...)" */
} reset_t;


static int offsets_show(const conf_t *conf, int argc, char **argv);
static int offsets_reset(const conf_t *conf, int argc, char **argv);
static int offsets_list(const conf_t *conf, int argc, char **argv,
    tool_log_t log, const char *columns);
static int reset_options(reset_t *reset, int argc, char **argv);
static int reset_set(reset_t *reset, reset_to_t to, const char *name,
    const char *value);
static int reset_run(reset_t *reset, const conf_t *conf);
static PGresult *reset_ask(reset_t *reset);
static int reset_check(reset_t *reset, const PGresult *res);
static int reset_plan(reset_t *reset, const PGresult *res);
static int reset_apply(reset_t *reset);


const char  tool_offsets_usage[] =
    "show|reset ...\n"
    "\n"
    "  show [--json]          what is stored, beside what the log holds\n"
    "  reset TO [--dry-run]   go on elsewhere; no daemon may be alive\n"
    "\n"
    "TO is one of\n"
    "  --to-offset N          an offset; with --partition, or of a topic\n"
    "                         with one partition\n"
    "  --to-timestamp TIME    the first record at or behind an RFC 3339 time\n"
    "  --to-earliest          what the log begins with\n"
    "  --to-latest            behind its last record\n"
    "\n"
    "  --partition N          this one only; may be repeated\n"
    "  --into TABLE           for another table, which the configuration\n"
    "                         names from now on\n"
    "  --allow-duplicates     go back although rows will be there twice, or\n"
    "                         the topic was made again and its records' rows\n"
    "                         meet by a key of their own\n"
    "  --dry-run              say what would be done, change nothing\n"
    "  --json                 for programs\n"
    "\n"
    "What is skipped or read again is kept in sluice.audit.\n";

const char  tool_lag_usage[] =
    "[--json]\n"
    "\n"
    "Records that are in the topic and not yet in PostgreSQL, a partition a\n"
    "line.\n";


int
tool_offsets(const conf_t *conf, int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "show") == 0) {
        return offsets_show(conf, argc - 1, argv + 1);
    }

    if (argc > 1 && strcmp(argv[1], "reset") == 0) {
        return offsets_reset(conf, argc - 1, argv + 1);
    }

    return COMMAND_USAGE;
}


static int
offsets_show(const conf_t *conf, int argc, char **argv)
{
    return offsets_list(conf, argc, argv, TOOL_LOG_IF_UP,
                        "o.next_offset, l.low AS log_begin,"
                        " l.high AS log_end, o.epoch, o.owner,"
                        " to_timestamp(o.last_timestamp / 1000.0)"
                        " AS last_record, o.updated_at");
}


int
tool_lag(const conf_t *conf, int argc, char **argv)
{
    return offsets_list(conf, argc, argv, TOOL_LOG_MUST,
                        "o.next_offset, l.high AS log_end,"
                        " greatest(l.high - coalesce(o.next_offset, l.low),"
                        " 0) AS lag,"
                        " to_timestamp(o.last_timestamp / 1000.0)"
                        " AS last_record");
}


static int
offsets_list(const conf_t *conf, int argc, char **argv, tool_log_t log,
    const char *columns)
{
    int        rc;
    buf_t      sql;
    tool_t     tool;
    PGresult  *res;

    memset(&tool, 0, sizeof(tool_t));
    memset(&sql, 0, sizeof(buf_t));

    if (argc == 2 && strcmp(argv[1], "--json") == 0) {
        tool.json = true;

    } else if (argc != 1) {
        return COMMAND_USAGE;
    }

    rc = COMMAND_FAILED;

    if (tool_open(&tool, conf, log, -1) == -1) {
        goto failed;
    }

    tool_log_cte(&tool, &sql);
    buf_addf(&sql, ", o AS (SELECT * FROM sluice.offsets WHERE");
    offsets_where(tool.offsets, tool.conn, &sql);
    buf_addf(&sql, ") SELECT coalesce(o.partition, l.partition) AS partition,"
             " %s FROM o FULL JOIN log l ON l.partition = o.partition"
             " ORDER BY 1", columns);

    res = tool_query(&tool, &sql);
    if (res == NULL) {
        goto failed;
    }

    tool_print(&tool, res);
    PQclear(res);
    rc = COMMAND_OK;

failed:

    tool_close(&tool);

    return rc;
}


static int
offsets_reset(const conf_t *conf, int argc, char **argv)
{
    int      rc;
    reset_t  reset;

    memset(&reset, 0, sizeof(reset_t));

    rc = reset_options(&reset, argc, argv);
    if (rc == 0) {
        rc = reset_run(&reset, conf);
        tool_close(&reset.tool);
    }

    buf_free(&reset.partitions);
    buf_free(&reset.plan);

    return rc;
}


static int
reset_options(reset_t *reset, int argc, char **argv)
{
    int      c, index;
    int64_t  n;

    static const struct option  options[] = {
        { "to-offset",        required_argument, NULL, RESET_OFFSET },
        { "to-timestamp",     required_argument, NULL, RESET_TIMESTAMP },
        { "to-earliest",      no_argument,       NULL, RESET_EARLIEST },
        { "to-latest",        no_argument,       NULL, RESET_LATEST },
        { "partition",        required_argument, NULL, 'p' },
        { "into",             required_argument, NULL, 'i' },
        { "allow-duplicates", no_argument,       NULL, 'a' },
        { "dry-run",          no_argument,       NULL, 'n' },
        { "json",             no_argument,       NULL, 'j' },
        { NULL,               0,                 NULL, 0 }
    };

    optind = 0;

    while ((c = getopt_long(argc, argv, "", options, &index)) != -1) {

        switch (c) {

        case RESET_OFFSET:
        case RESET_TIMESTAMP:
        case RESET_EARLIEST:
        case RESET_LATEST:
            if (reset_set(reset, (reset_to_t) c, options[index].name, optarg)
                == -1)
            {
                return COMMAND_USAGE;
            }
            break;

        case 'p':
            if (tool_number(optarg, &n) == -1 || n > INT32_MAX) {
                tool_error("\"%s\" is no partition", optarg);
                return COMMAND_USAGE;
            }
            buf_addf(&reset->partitions, "%s%" PRId64,
                     reset->partitions.len ? "," : "", n);
            break;

        case 'i':
            reset->into = optarg;
            break;

        case 'a':
            reset->duplicates = true;
            break;

        case 'n':
            reset->dry_run = true;
            break;

        case 'j':
            reset->tool.json = true;
            break;

        default:
            return COMMAND_USAGE;
        }
    }

    if (optind != argc || reset->to == RESET_NONE) {
        return COMMAND_USAGE;
    }

    if (reset->into && reset->partitions.len) {
        tool_error("--into takes all partitions: leave out --partition");
        return COMMAND_USAGE;
    }

    return 0;
}


static int
reset_set(reset_t *reset, reset_to_t to, const char *name, const char *value)
{
    if (reset->to != RESET_NONE) {
        tool_error("--%s: only one of the targets can be given", name);
        return -1;
    }

    reset->to = to;
    reset->to_text = value ? value : name + strlen("to-");

    if (to == RESET_OFFSET && tool_number(value, &reset->value) == -1) {
        tool_error("\"%s\" is no offset", value);
        return -1;
    }

    if (to == RESET_TIMESTAMP && conf_parse_date(value, &reset->value) == -1)
    {
        tool_error("\"%s\" is no RFC 3339 time", value);
        return -1;
    }

    return 0;
}


static int
reset_run(reset_t *reset, const conf_t *conf)
{
    int        rc;
    tool_t    *tool;
    PGresult  *res;

    tool = &reset->tool;

    if (tool_check_into(conf, reset->into) == -1
        || tool_open(tool, conf, TOOL_LOG_MUST,
                     reset->to == RESET_TIMESTAMP ? reset->value : -1)
           == -1
        || tool_alive(tool) != 0)
    {
        return COMMAND_FAILED;
    }

    res = reset_ask(reset);
    if (res == NULL) {
        return COMMAND_FAILED;
    }

    rc = COMMAND_FAILED;

    if (reset_check(reset, res) == 0 && reset_plan(reset, res) == 0
        && (reset->dry_run || reset_apply(reset) == 0))
    {
        tool_print(tool, res);
        if (!tool->json) {
            printf(reset->dry_run ? "Nothing was changed.\n"
                                  : "Done, and kept in sluice.audit.\n");
        }
        rc = COMMAND_OK;
    }

    PQclear(res);

    return rc;
}


/*
 * Opens the transaction and locks the rows: a daemon that starts now waits
 * for its end before it claims them.
 */

static PGresult *
reset_ask(reset_t *reset)
{
    buf_t    sql;
    tool_t  *tool;

    static const char *const  targets[] = {
        NULL, NULL, "l.at", "l.low", "l.high"
    };

    tool = &reset->tool;
    memset(&sql, 0, sizeof(buf_t));

    sql_begin(&sql);
    tool_log_cte(tool, &sql);
    buf_addf(&sql, ", o AS (SELECT partition, next_offset FROM sluice.offsets"
             " WHERE");
    offsets_where_table(tool->offsets, tool->conn,
                        reset->into ? reset->into : tool->conf->table, &sql);
    buf_addf(&sql, " ORDER BY partition FOR UPDATE) SELECT l.partition,"
             " o.next_offset AS \"from\", ");

    if (reset->to == RESET_OFFSET) {
        buf_addf(&sql, "%" PRId64 "::bigint", reset->value);
    } else {
        buf_addf(&sql, "%s", targets[reset->to]);
    }

    buf_addf(&sql, " AS \"to\", l.low AS log_begin, l.high AS log_end,"
             " (SELECT count(*) FROM o) AS stored"
             " FROM log l LEFT JOIN o ON o.partition=l.partition");

    if (reset->partitions.len) {
        buf_addf(&sql, " WHERE l.partition IN (%s)", reset->partitions.data);
    }

    buf_addf(&sql, " ORDER BY 1");

    return tool_query(tool, &sql);
}


static int
reset_check(reset_t *reset, const PGresult *res)
{
    int      row;
    bool     back;
    int64_t  from, to, low, high;

    if (PQntuples(res) == 0) {
        tool_error("topic \"%s\" has no such partition",
                   reset->tool.conf->topic);
        return -1;
    }

    if (reset->to == RESET_OFFSET && PQntuples(res) > 1) {
        tool_error("topic \"%s\" has %d partitions: say which by --partition",
                   reset->tool.conf->topic, PQntuples(res));
        return -1;
    }

    if (reset->partitions.len && sql_number(res, 0, 5) == 0) {
        tool_error("nothing is stored yet, so all partitions have to be set: "
                   "leave out --partition");
        return -1;
    }

    for (row = 0, back = false; row < PQntuples(res); row++) {
        from = PQgetisnull(res, row, 1) ? -1 : sql_number(res, row, 1);
        to = sql_number(res, row, 2);
        low = sql_number(res, row, 3);
        high = sql_number(res, row, 4);

        if (to < low || to > high) {
            tool_error("partition %s: offset %" PRId64 " is not in the log, "
                       "which holds %" PRId64 " to %" PRId64,
                       PQgetvalue(res, row, 0), to, low, high);
            return -1;
        }

        if (reset->into && from != -1) {
            tool_error("offsets of table \"%s\" are stored already",
                       reset->into);
            return -1;
        }

        back |= from > to;
    }

    if (!back || reset->duplicates) {
        return 0;
    }

    return tool_check_topic(&reset->tool) == -1
           ? -1 : tool_check_repeat(&reset->tool);
}


static int
reset_plan(reset_t *reset, const PGresult *res)
{
    int     row;
    buf_t  *plan;

    plan = &reset->plan;
    buf_addf(plan, "WITH plan (p, f, t) AS (VALUES ");

    for (row = 0; row < PQntuples(res); row++) {
        buf_addf(plan, "%s(%s,%s::bigint,%s::bigint)", row ? "," : "",
                 PQgetvalue(res, row, 0),
                 PQgetisnull(res, row, 1) ? "NULL" : PQgetvalue(res, row, 1),
                 PQgetvalue(res, row, 2));
    }

    buf_addf(plan, ") ");

    return buf_failed(plan) ? -1 : 0;
}


/* The plan's rows of a table of Sluice's, under the name "x". */

static void
reset_from(reset_t *reset, buf_t *sql, const char *what, const char *table)
{
    buf_addf(sql, "%s%s sluice.%s x", reset->plan.data, what, table);
}


static void
reset_join(reset_t *reset, buf_t *sql, const char *where)
{
    buf_addf(sql, " WHERE x.partition=p AND %s AND", where);
    offsets_where_table(reset->tool.offsets, reset->tool.conn,
                        reset->into ? reset->into : reset->tool.conf->table,
                        sql);
    buf_add(sql, ";", 1);
}


static void
reset_audit(reset_t *reset, buf_t *sql)
{
    tool_t      *tool;
    const char  *table;

    tool = &reset->tool;
    table = reset->into ? reset->into : tool->conf->table;

    buf_addf(sql, "%sINSERT INTO sluice.audit (action, cluster_id, group_id,"
             " topic, table_name, detail) SELECT 'offsets reset',",
             reset->plan.data);
    offsets_key_table(tool->offsets, tool->conn, table, sql);
    buf_addf(sql, ", jsonb_build_object('to',");
    sql_literal(sql, tool->conn, reset->to_text);
    buf_addf(sql, ", 'allow_duplicates', %s, 'partitions', (SELECT"
             " jsonb_agg(jsonb_build_object('partition', p, 'from', f,"
             " 'to', t)) FROM plan), 'ranges', (SELECT jsonb_agg(to_jsonb(x))"
             " FROM sluice.batches x, plan WHERE x.partition=p"
             " AND x.next_offset > t AND",
             reset->duplicates ? "true" : "false");
    offsets_where_table(tool->offsets, tool->conn, table, sql);
    buf_addf(sql, "), 'dead_letters', (SELECT count(*)"
             " FROM sluice.dead_letters x, plan WHERE x.partition=p"
             " AND x.\"offset\" >= t AND");
    tool_dead_where(tool, sql);
    buf_addf(sql, "));");
}


/*
 * Ranges behind the target and their dead letters are taken back, as they
 * come again.  A range the target lies in is cut: what is in its first part
 * follows from its gaps and dead letters, unless more was counted in it than
 * can be told apart; it is then a range of kind "reset", whose rows may be
 * filtered ones and duplicates too.
 */

static void
reset_ranges(reset_t *reset, buf_t *sql)
{
    reset_from(reset, sql, "DELETE FROM", "batches");
    buf_addf(sql, " USING plan");
    reset_join(reset, sql, "x.first_offset >= t");

    reset_from(reset, sql, "UPDATE", "batches");
    buf_addf(sql, " SET next_offset=t FROM plan");
    reset_join(reset, sql, "x.kind IN ('gap','skipped') AND"
               " x.next_offset > t");

    reset_from(reset, sql, "UPDATE", "batches");
    buf_addf(sql, " SET next_offset=t, filtered=0, duplicates=0,"
             " dead_letters=d.bad,"
             " kind=CASE WHEN filtered + duplicates = 0"
             " AND dead_letters = d.all_bad THEN kind ELSE 'reset' END,"
             " records=t - first_offset - d.gaps"
             " FROM plan, LATERAL (SELECT"
             " (SELECT count(*) FROM sluice.dead_letters l WHERE"
             "  l.partition=p AND l.\"offset\" >= b.first_offset"
             "  AND l.\"offset\" < t AND");
    tool_dead_where(&reset->tool, sql);
    buf_addf(sql, ") AS bad, (SELECT count(*) FROM sluice.dead_letters l"
             " WHERE l.partition=p AND l.\"offset\" >= b.first_offset"
             "  AND l.\"offset\" < b.next_offset AND");
    tool_dead_where(&reset->tool, sql);
    buf_addf(sql, ") AS all_bad,"
             " (SELECT coalesce(sum(g.next_offset - g.first_offset), 0)"
             "  FROM sluice.batches g WHERE g.kind='gap' AND g.partition=p"
             "  AND g.first_offset >= b.first_offset"
             "  AND g.next_offset <= t AND g.table_name=b.table_name"
             "  AND g.cluster_id=b.cluster_id AND g.group_id=b.group_id"
             "  AND g.topic=b.topic) AS gaps,"
             " b.first_offset AS first FROM sluice.batches b"
             " WHERE b.kind IN ('records','reset') AND b.partition=p"
             " AND b.first_offset < t AND b.next_offset > t AND");
    offsets_where_table(reset->tool.offsets, reset->tool.conn,
                        reset->into ? reset->into : reset->tool.conf->table,
                        sql);
    buf_addf(sql, ") d");
    reset_join(reset, sql, "x.first_offset=d.first"
               " AND x.kind IN ('records','reset')");

    reset_from(reset, sql, "DELETE FROM", "dead_letters");
    buf_addf(sql, " USING plan WHERE x.partition=p AND x.\"offset\" >= t"
             " AND");
    tool_dead_where(&reset->tool, sql);
    buf_addf(sql, ";");
}


static int
reset_apply(reset_t *reset)
{
    buf_t        sql;
    tool_t      *tool;
    const char  *table;

    tool = &reset->tool;
    table = reset->into ? reset->into : tool->conf->table;
    memset(&sql, 0, sizeof(buf_t));

    reset_audit(reset, &sql);

    if (reset->into == NULL) {
        reset_ranges(reset, &sql);
    }

    buf_addf(&sql, "%sINSERT INTO sluice.batches (cluster_id, group_id,"
             " topic, table_name, partition, kind, first_offset,"
             " next_offset, records, dead_letters) SELECT ",
             reset->plan.data);
    offsets_key_table(tool->offsets, tool->conn, table, &sql);
    buf_addf(&sql, ", p, 'skipped', f, t, 0, 0 FROM plan WHERE t > f;"
             "%sINSERT INTO sluice.offsets (cluster_id, group_id, topic,"
             " table_name, partition, next_offset, epoch, owner) SELECT ",
             reset->plan.data);
    offsets_key_table(tool->offsets, tool->conn, table, &sql);
    buf_addf(&sql, ", p, t, 1, '' FROM plan"
             " ON CONFLICT (cluster_id, group_id, topic, partition,"
             " table_name) DO UPDATE SET next_offset=EXCLUDED.next_offset,"
             " epoch=offsets.epoch + 1, owner='', last_timestamp=NULL,"
             " last_crc=NULL, updated_at=now();COMMIT");

    return tool_exec(tool, &sql);
}
