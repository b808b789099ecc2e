/* "offsets reset": replaces the stored offsets, in one transaction. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postgres/sql.h"
#include "store/offsets.h"
#include "tools/command.h"
#include "tools/repeat.h"


#define RESET_PATIENCE  15000    /* ms for the group's members */


typedef struct {
    tool_t        tool;          /* "text" is the partitions, "1,2"; empty:
                                    all */

    /* options */
    const char   *to_offset;
    const char   *to_timestamp;
    bool          to_earliest;
    bool          to_latest;
    char         *into;          /* another table, or NULL */
    bool          duplicates;    /* allowed */
    bool          dry_run;
} reset_t;


/* Columns of RESET_ASK(). */
enum {
    RESET_PARTITION = 0,
    RESET_FROM,            /* NULL: nothing is stored */
    RESET_TO,
    RESET_LOG_BEGIN,
    RESET_LOG_END,
    RESET_STORED           /* partitions that have a stored offset */
};


static int reset_target(tool_t *tool);
static int reset_run(tool_t *tool);
static int reset_into(const reset_t *reset, tool_t *tool);
static int reset_alive(tool_t *tool);
static PGresult *reset_ask(const reset_t *reset, tool_t *tool);
static int reset_check(reset_t *reset, const PGresult *res);
static int reset_apply(const reset_t *reset, tool_t *tool,
    const PGresult *res);


static const option_t  reset_options[] = {
    OPTION("to-offset",        NUMBER,     reset_t, to_offset),
    OPTION("to-timestamp",     TEXT,       reset_t, to_timestamp),
    OPTION("to-earliest",      FLAG,       reset_t, to_earliest),
    OPTION("to-latest",        FLAG,       reset_t, to_latest),
    OPTION("partition",        PARTITIONS, reset_t, tool.text),
    OPTION("into",             TEXT,       reset_t, into),
    OPTION("allow-duplicates", FLAG,       reset_t, duplicates),
    OPTION("dry-run",          FLAG,       reset_t, dry_run),
    OPTION("json",             FLAG,       reset_t, tool.json),
    OPTION_END
};

const command_t  command_reset = {
    .name = "reset",
    .open = TOOL_LOG_MUST,
    .size = sizeof(reset_t),
    .options = reset_options,
    .check = reset_target,
    .run = reset_run
};


/* A row for each partition.  $7 is the offset, $8 the partitions or "". */

#define RESET_ASK(to)                                                         \
    TOOL_WITH_LOG ", o AS (SELECT partition, next_offset FROM sluice.offsets" \
    " WHERE " TOOL_OURS " ORDER BY partition FOR UPDATE)"                     \
    " SELECT l.partition, o.next_offset AS \"from\", " to " AS \"to\","       \
    " l.low AS log_begin, l.high AS log_end,"                                 \
    " (SELECT count(*) FROM o) AS stored"                                     \
    " FROM log l LEFT JOIN o ON o.partition = l.partition WHERE $8 = ''"      \
    " OR l.partition = ANY (string_to_array($8, ',')::integer[]) ORDER BY 1"


/* A range of our partition p. */
#define RESET_RANGE                                                           \
    "SELECT ctid AS id, kind AS k, first_offset AS first,"                    \
    " next_offset AS next, holes FROM sluice.batches"                         \
    " WHERE partition = p AND " TOOL_OURS

/*
 * One statement: all its parts see what was stored before it.  plan has a row
 * for each partition: f is the stored offset (or null), t the new one.  b is
 * our ranges behind the target: those that begin there, and of each kind the
 * last one before it, if that goes on behind it.  d is our dead letters.  $7 is
 * the plan, $8 the target as given, $9 whether duplicates are allowed, $10
 * whether ranges are removed, which is not done for another table.
 *
 * Ranges behind the target and their dead letters are removed, because their
 * records are read again.  A range around the target is cut: the counts of its
 * first part follow from the gaps and dead letters behind.  If filtered
 * records or duplicates were counted in it too, these counts cannot be
 * divided; the range becomes one of kind "reset", whose rows may be any of
 * these.
 */
static const char  reset_statement[] =
    "WITH plan AS (SELECT (e->>0)::integer AS p, (e->>1)::bigint AS f,"
    " (e->>2)::bigint AS t FROM jsonb_array_elements($7::jsonb) e)"
    ", b AS MATERIALIZED (SELECT p, t, x.* FROM plan, LATERAL ("
    RESET_RANGE " AND first_offset >= t UNION ALL SELECT y.* FROM unnest("
    "'{records,gap,skipped,reset}'::text[]) kinds (its), LATERAL ("
    RESET_RANGE " AND first_offset < t AND kind = its"
    " ORDER BY first_offset DESC LIMIT 1) y WHERE next > t) x)"
    /* g: the gaps behind the target, or what of them is */
    ", g AS MATERIALIZED (SELECT p, greatest(f, t) AS f, n FROM b, unnest("
    "coalesce(holes[:][1:1], ARRAY[first]),"
    " coalesce(holes[:][2:2], ARRAY[next])) h (f, n)"
    " WHERE k = 'gap' AND n > t)"
    ", d AS MATERIALIZED (SELECT ctid AS id, p, t, \"offset\" AS o"
    " FROM sluice.dead_letters, plan WHERE partition = p AND " TOOL_DEAD ")"
    ", audited AS (INSERT INTO sluice.audit (action, cluster_id, group_id,"
    " topic, table_name, detail) SELECT 'offsets reset', $1, $2, $3, $4,"
    " jsonb_build_object('to', $8, 'allow_duplicates', $9::boolean,"
    " 'partitions', (SELECT jsonb_agg(jsonb_build_object('partition', p,"
    " 'from', f, 'to', t)) FROM plan),"
    " 'ranges', (SELECT jsonb_agg(to_jsonb(x)) FROM sluice.batches x JOIN b"
    " ON x.ctid = id WHERE k <> 'gap'),"
    " 'gaps', (SELECT count(*) FROM g),"
    " 'dead_letters', (SELECT count(*) FROM d WHERE o >= t)))"
    ", gone AS (DELETE FROM sluice.batches x USING b WHERE x.ctid = id"
    " AND first >= t AND $10::boolean)"
    ", cut AS (UPDATE sluice.batches x SET next_offset ="
    " coalesce(left_over[1][2], t), holes = left_over FROM b, LATERAL (SELECT"
    " array_agg(ARRAY[f, least(n, t)] ORDER BY f DESC) AS left_over FROM"
    " unnest(b.holes[:][1:1], b.holes[:][2:2]) h (f, n) WHERE f < t) h"
    " WHERE x.ctid = id AND first < t AND k IN ('gap', 'skipped')"
    " AND $10::boolean)"
    ", parted AS (UPDATE sluice.batches x SET next_offset = t, filtered = 0,"
    " duplicates = 0, dead_letters = bad,"
    " records = records - (next - t - gaps),"
    " kind = CASE WHEN filtered + duplicates = 0 AND dead_letters = all_bad"
    " THEN kind ELSE 'reset' END FROM b,"
    " LATERAL (SELECT count(*) AS all_bad, count(*) FILTER (WHERE o < b.t)"
    " AS bad FROM d WHERE d.p = b.p AND o >= first AND o < next) c,"
    " LATERAL (SELECT coalesce(sum(g.n - g.f), 0) AS gaps FROM g"
    " WHERE g.p = b.p AND g.f < b.next) h"
    " WHERE x.ctid = b.id AND first < t AND k IN ('records', 'reset')"
    " AND $10::boolean)"
    ", taken AS (DELETE FROM sluice.dead_letters x USING d"
    " WHERE x.ctid = d.id AND o >= t AND $10::boolean)"
    ", skipped AS (INSERT INTO sluice.batches (cluster_id, group_id, topic,"
    " table_name, partition, kind, first_offset, next_offset, records,"
    " dead_letters) SELECT $1, $2, $3, $4, p, 'skipped', f, t, 0, 0 FROM plan"
    " WHERE t > f)"
    " INSERT INTO sluice.offsets (cluster_id, group_id, topic, table_name,"
    " partition, next_offset, epoch, owner) SELECT $1, $2, $3, $4, p, t, 1, ''"
    " FROM plan ON CONFLICT (cluster_id, group_id, topic, partition,"
    " table_name) DO UPDATE SET next_offset = EXCLUDED.next_offset,"
    " epoch = offsets.epoch + 1, owner = '', last_timestamp = NULL,"
    " last_crc = NULL, updated_at = now()";


static int
reset_target(tool_t *tool)
{
    int       n;
    reset_t  *reset = (reset_t *) tool;

    n = (reset->to_offset != NULL) + (reset->to_timestamp != NULL)
        + reset->to_earliest + reset->to_latest;

    if (n != 1) {
        return report_error("%s one of --to-offset, --to-timestamp, "
                            "--to-earliest and --to-latest is %s",
                            n ? "only" : "", n ? "allowed" : "required");
    }

    if (reset->into && tool->text.len) {
        return report_error("--into resets all partitions: leave out "
                            "--partition");
    }

    return reset->to_timestamp ? options_date(reset->to_timestamp,
                                              &tool->timestamp)
                               : 0;
}


static int
reset_run(tool_t *tool)
{
    int        rc;
    reset_t   *reset = (reset_t *) tool;
    PGresult  *res;

    if (tool_version(tool, "offsets reset") == -1
        || (reset->into && reset_into(reset, tool) == -1)
        || reset_alive(tool) != 0)
    {
        return -1;
    }

    if (tool_begin(tool) == -1) {
        return -1;
    }

    res = reset_ask(reset, tool);
    rc = res ? reset_check(reset, res) : -1;

    if (rc == 0 && !reset->dry_run) {
        rc = reset_apply(reset, tool, res);
    }

    if (rc == 0) {
        rc = report_rows(res, tool->json);

        if (!tool->json) {
            printf(reset->dry_run ? "Nothing was changed.\n"
                                  : "Done, and recorded in sluice.audit.\n");
        }
    }

    PQclear(res);

    return rc;
}


/* The offsets may have another name of the table. */

static int
reset_into(const reset_t *reset, tool_t *tool)
{
    int            rc;
    char          *schema;
    conf_t         conf;
    const conf_t  *self;

    conf = *tool->conf;
    self = &conf;
    conf.targets = &self;
    rc = repeat_into(&conf, reset->into, &schema) == -1
         || tool_find_table(tool, &conf) == -1 ? -1 : 0;
    free(schema);

    return rc;
}


/*
 * Whether a daemon of the group and topic is alive: 1 after a line that names
 * it, 0, or -1 for an error.  Kafka and PostgreSQL are both asked: a member of
 * the group may have lost PostgreSQL, and a stopped process that the group
 * removed may still have its session.
 */

static int
reset_alive(tool_t *tool)
{
    int                                alive, row;
    char                               prefix[OFFSETS_PREFIX];
    PGresult                          *res;
    const char                        *group = tool->conf->group;
    rd_kafka_resp_err_t                err;
    const struct rd_kafka_group_list  *groups;

    if (tool_client(tool) == -1) {
        return -1;
    }

    err = rd_kafka_list_groups(tool->rk, group, &groups, RESET_PATIENCE);
    if (err) {
        return report_error("could not ask Kafka for the members of group "
                            "\"%s\": %s", group, rd_kafka_err2str(err));
    }

    alive = groups->group_cnt > 0 && groups->groups[0].member_cnt > 0;

    if (alive) {
        report_error("group \"%s\" has %d members: stop the daemons first",
                     group, groups->groups[0].member_cnt);
    }

    rd_kafka_group_list_destroy(groups);

    offsets_prefix(tool->conf, prefix);
    res = tool_query(tool, "SELECT pid, application_name FROM pg_stat_activity"
                     " WHERE datname = current_database()"
                     " AND left(application_name, length($7)) = $7", prefix);
    if (res == NULL) {
        return -1;
    }

    for (row = 0; row < PQntuples(res); row++) {
        report_error("backend %s of daemon \"%s\" is connected: stop it "
                     "first, or end it by pg_terminate_backend() if its "
                     "process is gone", PQgetvalue(res, row, 0),
                     PQgetvalue(res, row, 1));
        alive = 1;
    }

    PQclear(res);

    return alive;
}


/* Locks the rows: a daemon that starts now has to wait for its claim. */

static PGresult *
reset_ask(const reset_t *reset, tool_t *tool)
{
    return tool_query(tool, reset->to_offset ? RESET_ASK("$7::bigint")
                            : reset->to_timestamp ? RESET_ASK("l.at")
                            : reset->to_earliest ? RESET_ASK("l.low")
                            : RESET_ASK("l.high"),
                      reset->to_offset ? reset->to_offset : "",
                      tool->text.len ? tool->text.data : "");
}


static int
reset_check(reset_t *reset, const PGresult *res)
{
    int            row;
    bool           back;
    int64_t        from, to, low, high;
    const conf_t  *conf = reset->tool.conf;

    if (PQntuples(res) == 0) {
        return report_error("topic \"%s\" has no such partition", conf->topic);
    }

    if (reset->to_offset && PQntuples(res) > 1) {
        return report_error("topic \"%s\" has %d partitions: choose one by "
                            "--partition", conf->topic, PQntuples(res));
    }

    if (reset->tool.text.len && sql_number(res, 0, RESET_STORED) == 0) {
        return report_error("no offset is stored yet, so all partitions have "
                            "to be set: leave out --partition");
    }

    for (row = 0, back = false; row < PQntuples(res); row++) {
        from = PQgetisnull(res, row, RESET_FROM)
               ? -1 : sql_number(res, row, RESET_FROM);
        to = sql_number(res, row, RESET_TO);
        low = sql_number(res, row, RESET_LOG_BEGIN);
        high = sql_number(res, row, RESET_LOG_END);

        if (to < low || to > high) {
            return report_error("partition %s: offset %" PRId64 " is not in "
                                "the log, which holds %" PRId64 " to %" PRId64,
                                PQgetvalue(res, row, RESET_PARTITION), to, low,
                                high);
        }

        if (reset->into && from != -1) {
            return report_error("offsets of table \"%s\" are stored already",
                                reset->into);
        }

        back |= from > to;
    }

    return back && !reset->duplicates ? repeat_check(&reset->tool) : 0;
}


/*
 * Offsets that an earlier version stored under another name of the table would
 * be further on than these, and be taken for the table's.
 */

static int
reset_others(tool_t *tool)
{
    return tool_done(tool_query(tool,
        "WITH gone AS (DELETE FROM sluice.offsets WHERE cluster_id = $1"
        " AND group_id = $2 AND topic = $3 AND table_name <> $4"
        " AND table_name = ANY ($7::text[]) RETURNING *) INSERT"
        " INTO sluice.audit (action, cluster_id, group_id, topic, table_name,"
        " detail) SELECT 'other name removed', $1, $2, $3, $4,"
        " jsonb_agg(to_jsonb(gone)) FROM gone HAVING count(*) > 0",
        tool->names.data));
}


/* Commits the transaction too. */

static int
reset_apply(const reset_t *reset, tool_t *tool, const PGresult *res)
{
    int    row, rc;
    buf_t  plan = { 0 };

    for (row = 0; row < PQntuples(res); row++) {
        buf_addf(&plan, "%s[%s,%s,%s]", row ? "," : "[",
                 PQgetvalue(res, row, RESET_PARTITION),
                 PQgetisnull(res, row, RESET_FROM)
                 ? "null" : PQgetvalue(res, row, RESET_FROM),
                 PQgetvalue(res, row, RESET_TO));
    }

    buf_addf(&plan, "]");

    rc = reset->into ? 0 : reset_others(tool);

    if (rc == 0) {
        rc = tool_done(tool_query(tool, reset_statement, plan.data,
                                  reset->to_offset ? reset->to_offset
                                  : reset->to_timestamp ? reset->to_timestamp
                                  : reset->to_earliest ? "earliest" : "latest",
                                  reset->duplicates ? "true" : "false",
                                  reset->into ? "false" : "true"));
    }

    buf_free(&plan);

    return rc == -1 ? -1 : tool_done(tool_script(tool, "COMMIT"));
}
