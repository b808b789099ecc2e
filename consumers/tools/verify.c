/* verify and where: what became of every offset, and of one. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/tool.h"


typedef struct {
    tool_t        tool;
    bool          look;          /* at the table's rows */
    bool          strict;        /* no dead letter may have been taken out */
    buf_t         rows;          /* "SELECT ... AS p, ... AS o FROM table" */
    const char   *why_not;       /* the rows cannot be looked at */
} verify_t;


static int verify_run(verify_t *verify, const conf_t *conf);
static int verify_rows(verify_t *verify);
static int verify_shared(tool_t *tool);
static void verify_cte(verify_t *verify, buf_t *sql);
static void verify_problems(verify_t *verify, buf_t *sql);
static void verify_nothing(verify_t *verify, buf_t *sql);
static int verify_print(verify_t *verify, const PGresult *problems,
    const PGresult *summary);
static int where_place(const conf_t *conf, const char *s, int64_t *partition,
    int64_t *offset);
static int where_run(verify_t *verify, const conf_t *conf, int64_t partition,
    int64_t offset);
static PGresult *where_ask(verify_t *verify, int64_t partition,
    int64_t offset);


const char  tool_verify_usage[] =
    "[--ranges-only] [--strict] [--json]\n"
    "\n"
    "Proves from the stored ranges that every offset below the stored one is\n"
    "a row, a dead letter, a counted filter, duplicate or gap, once; and, if\n"
    "the table has columns for partition and offset, that its rows agree.\n"
    "A daemon may go on meanwhile.\n"
    "\n"
    "  --ranges-only   do not look at the table's rows\n"
    "  --strict        dead letters that were replayed or purged since are\n"
    "                  a fault too\n"
    "  --json          for programs\n"
    "\n"
    "Exit status: 0 proved, 1 not.\n";

const char  tool_where_usage[] =
    "TOPIC/PARTITION/OFFSET [--json]\n"
    "\n"
    "What became of one record: row, dead letter, filtered, duplicate, gap,\n"
    "skipped, or pending.\n";


int
tool_verify(const conf_t *conf, int argc, char **argv)
{
    int       i, rc;
    verify_t  verify;

    memset(&verify, 0, sizeof(verify_t));
    verify.look = true;

    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            verify.tool.json = true;

        } else if (strcmp(argv[i], "--ranges-only") == 0) {
            verify.look = false;
            verify.why_not = "as told";

        } else if (strcmp(argv[i], "--strict") == 0) {
            verify.strict = true;

        } else {
            return COMMAND_USAGE;
        }
    }

    if (conf->nroutes) {
        verify.look = false;
        verify.why_not = "\"route\" has several tables";
    }

    rc = verify_run(&verify, conf);
    tool_close(&verify.tool);
    buf_free(&verify.rows);

    return rc;
}


static int
verify_run(verify_t *verify, const conf_t *conf)
{
    int        rc;
    buf_t      sql;
    PGresult  *problems, *summary;

    memset(&sql, 0, sizeof(buf_t));

    /* one snapshot, which a daemon's commits do not change */

    if (tool_open(&verify->tool, conf, TOOL_LOG_NONE, -1) == -1) {
        return COMMAND_FAILED;
    }

    buf_addf(&sql, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");

    if (tool_exec(&verify->tool, &sql) == -1 || verify_rows(verify) == -1) {
        return COMMAND_FAILED;
    }

    verify_cte(verify, &sql);
    verify_problems(verify, &sql);
    problems = tool_query(&verify->tool, &sql);

    if (problems == NULL) {
        return COMMAND_FAILED;
    }

    verify_cte(verify, &sql);
    buf_addf(&sql, " SELECT o.partition, min(b.f) AS first_offset,"
             " o.next_offset, coalesce(sum(rows), 0) AS rows,"
             " coalesce(sum(dead_letters), 0) AS dead_letters,"
             " coalesce(sum(dead_letters), 0) - (SELECT count(*) FROM d"
             " WHERE d.p=o.partition) AS taken_out,"
             " coalesce(sum(filtered), 0) AS filtered,"
             " coalesce(sum(duplicates), 0) AS duplicates,"
             " coalesce(sum(n - f) FILTER (WHERE kind = 'gap'), 0) AS gaps,"
             " coalesce(sum(n - f) FILTER (WHERE kind = 'skipped'), 0)"
             " AS skipped FROM o LEFT JOIN b ON b.partition = o.partition"
             " GROUP BY o.partition, o.next_offset ORDER BY 1");
    summary = tool_query(&verify->tool, &sql);

    rc = summary ? verify_print(verify, problems, summary) : COMMAND_FAILED;

    PQclear(problems);
    PQclear(summary);

    return rc;
}


static int
verify_print(verify_t *verify, const PGresult *problems,
    const PGresult *summary)
{
    int    row, n;
    bool   began;
    buf_t  out;

    n = PQntuples(problems);

    if (verify->tool.json) {
        memset(&out, 0, sizeof(buf_t));
        buf_addf(&out, "{\"proved\":%s,\"rows_looked_at\":%s,"
                 "\"partitions\":[", n ? "false" : "true",
                 verify->look ? "true" : "false");
        tool_rows_json(&out, summary);
        buf_addf(&out, "],\"problems\":[");
        tool_rows_json(&out, problems);
        buf_addf(&out, "]}");

        printf("%s\n", buf_failed(&out) ? "" : out.data);
        buf_free(&out);

        return n ? COMMAND_FAILED : COMMAND_OK;
    }

    tool_print(&verify->tool, summary);

    for (row = 0, began = false; row < PQntuples(summary); row++) {
        began |= !PQgetisnull(summary, row, 1);
    }

    for (row = 0; row < n; row++) {
        if (PQgetisnull(problems, row, 0)) {
            printf("%s\n", PQgetvalue(problems, row, 3));
            continue;
        }
        printf("partition %s, offsets %s to %s: %s\n",
               PQgetvalue(problems, row, 0), PQgetvalue(problems, row, 1),
               PQgetvalue(problems, row, 2), PQgetvalue(problems, row, 3));
    }

    if (!verify->look) {
        printf("The rows of table \"%s\" were not looked at: %s.\n",
               verify->tool.conf->table, verify->why_not);
    }

    if (n == 0 && !began) {
        printf("No record was stored yet, every partition is where it "
               "began.\n");
    }

    printf(n ? "Not proved.\n"
             : "Proved: every offset is accounted for, once.\n");

    return n ? COMMAND_FAILED : COMMAND_OK;
}


/* The places the table's rows have, where it says so beyond doubt. */

static int
verify_rows(verify_t *verify)
{
    int                   shared;
    buf_t                *sql;
    tool_t               *tool;
    const conf_column_t  *partition, *offset, *topic;

    tool = &verify->tool;

    if (!verify->look) {
        return 0;
    }

    verify->look = false;
    partition = tool_column(tool->conf, CONF_FROM_PARTITION);
    offset = tool_column(tool->conf, CONF_FROM_OFFSET);
    topic = tool_column(tool->conf, CONF_FROM_TOPIC);

    if (tool->conf->ntargets > 1) {
        verify->why_not = "\"route\" parts them over several tables";
        return 0;
    }

    if (partition == NULL || offset == NULL) {
        verify->why_not = "it has no columns for partition and offset";
        return 0;
    }

    shared = verify_shared(tool);

    if (shared == -1) {
        return -1;
    }

    if (shared == 2 || (shared == 1 && topic == NULL)) {
        verify->why_not = "other topics or groups are stored in it too";
        return 0;
    }

    sql = &verify->rows;
    buf_addf(sql, "SELECT ");
    sql_name(sql, tool->conn, partition->name);
    buf_addf(sql, "::integer AS p, ");
    sql_name(sql, tool->conn, offset->name);
    buf_addf(sql, "::bigint AS o FROM ");
    sql_table(sql, tool->conn, tool->conf);
    buf_addf(sql, " WHERE ");
    sql_name(sql, tool->conn, offset->name);
    buf_addf(sql, " IS NOT NULL");

    if (topic) {
        buf_addf(sql, " AND ");
        sql_name(sql, tool->conn, topic->name);
        buf_addf(sql, "=");
        sql_literal(sql, tool->conn, tool->conf->topic);
    }

    if (buf_failed(sql)) {
        tool_error("out of memory");
        return -1;
    }

    verify->look = true;

    return 0;
}


/* 0: the table is this topic's and group's alone; 1: other topics; 2: more */

static int
verify_shared(tool_t *tool)
{
    int        rc;
    buf_t      sql;
    PGresult  *res;

    memset(&sql, 0, sizeof(buf_t));
    buf_addf(&sql, "SELECT count(*) FILTER (WHERE topic<>");
    sql_literal(&sql, tool->conn, tool->conf->topic);
    buf_addf(&sql, "), count(*) FILTER (WHERE topic=");
    sql_literal(&sql, tool->conn, tool->conf->topic);
    buf_addf(&sql, ") FROM sluice.offsets WHERE table_name=");
    sql_literal(&sql, tool->conn, tool->conf->table);
    buf_addf(&sql, " AND NOT (");
    offsets_where(tool->offsets, tool->conn, &sql);
    buf_addf(&sql, ")");

    res = tool_query(tool, &sql);
    if (res == NULL) {
        return -1;
    }

    rc = sql_number(res, 0, 1) ? 2 : sql_number(res, 0, 0) ? 1 : 0;
    PQclear(res);

    return rc;
}


/*
 * o: what is stored; b: all ranges; r: those that follow each other, each
 * with the end of the one before and the start of the one behind; g: gaps
 * inside of these; d: dead letters; a: how far it had been when it was told
 * to go back; t: the table's rows.
 */

static void
verify_cte(verify_t *verify, buf_t *sql)
{
    tool_t  *tool;

    tool = &verify->tool;

    buf_addf(sql, "WITH o AS MATERIALIZED (SELECT partition, next_offset,"
             " last_crc FROM sluice.offsets WHERE");
    offsets_where(tool->offsets, tool->conn, sql);
    buf_addf(sql, "), b AS MATERIALIZED (SELECT partition, kind,"
             " first_offset AS f, next_offset AS n, records, dead_letters,"
             " filtered, duplicates, rows FROM sluice.batches WHERE");
    offsets_where(tool->offsets, tool->conn, sql);
    buf_addf(sql, "), r AS MATERIALIZED (SELECT *,"
             " lag(n) OVER w AS before, lead(f) OVER w AS behind FROM b"
             " WHERE kind <> 'gap' WINDOW w AS (PARTITION BY partition"
             " ORDER BY f)), g AS MATERIALIZED (SELECT *,"
             " lag(n) OVER w AS before FROM b WHERE kind = 'gap'"
             " WINDOW w AS (PARTITION BY partition ORDER BY f)),"
             " d AS MATERIALIZED (SELECT partition AS p, \"offset\" AS o"
             " FROM sluice.dead_letters WHERE");
    tool_dead_where(tool, sql);
    buf_addf(sql, "), a AS MATERIALIZED (SELECT (x->>'partition')::integer"
             " AS p, max((x->>'from')::bigint) AS n FROM sluice.audit,"
             " jsonb_array_elements(detail->'partitions') x"
             " WHERE action='offsets reset' AND");
    offsets_where(tool->offsets, tool->conn, sql);
    buf_addf(sql, " GROUP BY 1), t AS MATERIALIZED (%s)",
             verify->look ? verify->rows.data
                          : "SELECT 0 AS p, 0::bigint AS o WHERE false");
}


/* Rows of partition, first, last, problem; none if all is accounted for. */

static void
verify_problems(verify_t *verify, buf_t *sql)
{
    buf_addf(sql,
        ", dr AS (SELECT r.partition, r.f, r.n, count(d.o) AS c,"
        " count(DISTINCT d.o) AS u FROM r LEFT JOIN d ON d.p=r.partition"
        " AND d.o >= r.f AND d.o < r.n GROUP BY 1, 2, 3)"
        ", x AS ("
        "SELECT partition, f, n, 'stored twice, with the range before'"
        " AS problem FROM r WHERE before > f"
        " UNION ALL SELECT partition, before, f, 'not accounted for'"
        " FROM r WHERE before < f"
        " UNION ALL SELECT r.partition, least(n, next_offset),"
        " greatest(n, next_offset), CASE WHEN n < next_offset"
        " THEN 'not accounted for' ELSE 'beyond the stored offset' END"
        " FROM r JOIN o ON o.partition=r.partition"
        " WHERE behind IS NULL AND n <> next_offset"
        " UNION ALL SELECT partition, f, n, 'no offset is stored' FROM r"
        " WHERE NOT EXISTS (SELECT FROM o WHERE o.partition=r.partition)"
        " UNION ALL SELECT partition, next_offset - 1, next_offset,"
        " 'stored, but there are no ranges' FROM o WHERE last_crc IS NOT NULL"
        " AND NOT EXISTS (SELECT FROM r WHERE r.partition=o.partition)"
        " UNION ALL SELECT partition, f, n, 'a gap that is counted twice'"
        " FROM g WHERE before > f"
        " UNION ALL SELECT partition, f, n, 'a gap outside of the ranges'"
        " FROM g WHERE NOT EXISTS (SELECT FROM r WHERE"
        " r.partition=g.partition AND r.f <= g.f AND r.n >= g.n)"
        " UNION ALL SELECT partition, f, n, 'holds ' || n - f"
        " || ' offsets, of which ' || records || ' are records and ' || s"
        " || ' in gaps' FROM r, LATERAL (SELECT coalesce(sum(g.n - g.f), 0)"
        " AS s FROM g WHERE g.partition=r.partition AND g.f >= r.f"
        " AND g.n <= r.n) q WHERE kind <> 'skipped' AND n - f <> records + s"
        " UNION ALL SELECT r.partition, r.f, r.n, 'counted '"
        " || dead_letters || ' dead letters, there are ' || u FROM r JOIN dr"
        " ON dr.partition=r.partition AND dr.f=r.f WHERE u > dead_letters"
        " OR (u < dead_letters AND %s)"
        " UNION ALL SELECT partition, f, n, c - u"
        " || ' dead letters are there twice' FROM dr WHERE c <> u"
        " UNION ALL SELECT p, min(o), max(o) + 1, count(*)"
        " || ' dead letters outside of the ranges' FROM d WHERE NOT EXISTS"
        " (SELECT FROM r WHERE r.partition=d.p AND d.o >= r.f AND d.o < r.n)"
        " OR EXISTS (SELECT FROM g WHERE g.partition=d.p AND d.o >= g.f"
        " AND d.o < g.n) GROUP BY p", verify->strict ? "true" : "false");

    if (verify->look) {
        buf_addf(sql,
            " UNION ALL SELECT p, min(o), max(o) + 1, count(*)"
            " || ' rows outside of the ranges' FROM t WHERE (NOT EXISTS"
            " (SELECT FROM r WHERE r.partition=t.p AND t.o >= r.f"
            " AND t.o < r.n AND kind <> 'skipped') AND NOT EXISTS (SELECT"
            " FROM a JOIN o ON o.partition=a.p WHERE a.p=t.p AND t.o < a.n"
            " AND t.o >= o.next_offset)) OR EXISTS (SELECT FROM g"
            " WHERE g.partition=t.p AND t.o >= g.f AND t.o < g.n) GROUP BY p"
            " UNION ALL SELECT t.p, min(t.o), max(t.o) + 1, count(*)"
            " || ' are a row and a dead letter' FROM t JOIN d ON t.p=d.p"
            " AND t.o=d.o GROUP BY t.p"
            " UNION ALL SELECT partition, f, n, CASE WHEN c <> u THEN c - u"
            " || ' rows are there twice' ELSE 'counted ' || rows || ' rows'"
            " || CASE WHEN duplicates > 0 THEN ' and ' || duplicates"
            " || ' duplicates' ELSE '' END || ', the table has ' || u END"
            " FROM r, LATERAL (SELECT count(*) AS c, count(DISTINCT t.o)"
            " AS u FROM t WHERE t.p=r.partition AND t.o >= r.f"
            " AND t.o < r.n) q WHERE c <> u OR u > rows + duplicates +"
            " (SELECT dead_letters - dr.u FROM dr"
            " WHERE dr.partition=r.partition AND dr.f=r.f)"
            " OR (kind = 'records' AND %s AND u < rows)",
            tool_overwrites(verify->tool.conf) ? "false" : "true");
    }

    verify_nothing(verify, sql);

    buf_addf(sql, ") SELECT partition, f AS first, n - 1 AS last, problem"
             " FROM x ORDER BY 1, 2, 3 LIMIT 100");
}


/* A group or a table that is misspelt has no offset that could be wrong. */

static void
verify_nothing(verify_t *verify, buf_t *sql)
{
    tool_t  *tool;

    tool = &verify->tool;

    buf_addf(sql, " UNION ALL SELECT NULL, NULL, NULL, format('nothing is"
             " stored for group \"%%s\", topic \"%%s\" and table \"%%s\"%%s',");
    sql_literal(sql, tool->conn, tool->conf->group);
    buf_addf(sql, ", ");
    sql_literal(sql, tool->conn, tool->conf->topic);
    buf_addf(sql, ", ");
    sql_literal(sql, tool->conn, tool->conf->table);
    buf_addf(sql, ", (SELECT '; there is ' || string_agg(DISTINCT"
             " format('group \"%%s\" with table \"%%s\"', group_id,"
             " table_name), ', ') FROM sluice.offsets WHERE topic=");
    sql_literal(sql, tool->conn, tool->conf->topic);
    buf_addf(sql, ")) WHERE NOT EXISTS (SELECT FROM o)");
}


int
tool_where(const conf_t *conf, int argc, char **argv)
{
    int       rc;
    int64_t   partition, offset;
    verify_t  verify;

    memset(&verify, 0, sizeof(verify_t));
    verify.look = true;

    if (argc == 3 && strcmp(argv[2], "--json") == 0) {
        verify.tool.json = true;

    } else if (argc != 2) {
        return COMMAND_USAGE;
    }

    if (where_place(conf, argv[1], &partition, &offset) == -1) {
        return COMMAND_USAGE;
    }

    if (conf->nroutes) {
        verify.look = false;
        verify.why_not = "\"route\" has several tables";
    }

    rc = where_run(&verify, conf, partition, offset);
    tool_close(&verify.tool);
    buf_free(&verify.rows);

    return rc;
}


static int
where_place(const conf_t *conf, const char *s, int64_t *partition,
    int64_t *offset)
{
    char         number[24];
    size_t       len;
    const char  *p;

    len = strlen(conf->topic);

    if (strncmp(s, conf->topic, len) != 0 || s[len] != '/') {
        tool_error("the configuration is for topic \"%s\"", conf->topic);
        return -1;
    }

    s += len + 1;
    p = strchr(s, '/');

    if (p == NULL || (size_t) (p - s) >= sizeof(number)) {
        tool_error("TOPIC/PARTITION/OFFSET is due");
        return -1;
    }

    memcpy(number, s, (size_t) (p - s));
    number[p - s] = '\0';

    if (tool_number(number, partition) == -1 || *partition > INT32_MAX
        || tool_number(p + 1, offset) == -1)
    {
        tool_error("\"%s\" is no PARTITION/OFFSET", s);
        return -1;
    }

    return 0;
}


static int
where_run(verify_t *verify, const conf_t *conf, int64_t partition,
    int64_t offset)
{
    PGresult  *res;

    if (tool_open(&verify->tool, conf, TOOL_LOG_IF_UP, -1) == -1
        || verify_rows(verify) == -1)
    {
        return COMMAND_FAILED;
    }

    res = where_ask(verify, partition, offset);
    if (res == NULL) {
        return COMMAND_FAILED;
    }

    if (verify->tool.json) {
        tool_print(&verify->tool, res);

    } else {
        printf("%s/%" PRId64 "/%" PRId64 ": %s%s%s\n", conf->topic,
               partition, offset, PQgetvalue(res, 0, 1),
               PQgetisnull(res, 0, 2) ? "" : ", ", PQgetvalue(res, 0, 2));
    }

    PQclear(res);

    return COMMAND_OK;
}


/* One row: the place, its state, and more in words. */

static PGresult *
where_ask(verify_t *verify, int64_t partition, int64_t offset)
{
    buf_t    sql;
    tool_t  *tool;

    tool = &verify->tool;
    memset(&sql, 0, sizeof(buf_t));

    tool_log_cte(tool, &sql);
    buf_addf(&sql, ", me AS (SELECT %" PRId64 "::integer AS p, %" PRId64
             "::bigint AS o), s AS (SELECT next_offset, owner"
             " FROM sluice.offsets, me WHERE partition=p AND",
             partition, offset);
    offsets_where(tool->offsets, tool->conn, &sql);
    buf_addf(&sql, "), b AS (SELECT kind, rows, records, filtered,"
             " duplicates, updated_at FROM sluice.batches, me"
             " WHERE partition=p AND o >= first_offset AND o < next_offset"
             " AND");
    offsets_where(tool->offsets, tool->conn, &sql);
    buf_addf(&sql, " ORDER BY kind='gap' DESC LIMIT 1), d AS (SELECT id,"
             " sqlstate, reason FROM sluice.dead_letters, me"
             " WHERE partition=p AND \"offset\"=o AND");
    tool_dead_where(tool, &sql);
    buf_addf(&sql, " ORDER BY id DESC LIMIT 1), t AS (SELECT count(*) AS c"
             " FROM (%s) x, me WHERE x.p=me.p AND x.o=me.o)",
             verify->look ? verify->rows.data
                          : "SELECT 0 AS p, 0::bigint AS o WHERE false");

    buf_addf(&sql, " SELECT me.p || '/' || me.o AS place, CASE"
             " WHEN d.id IS NOT NULL THEN 'dead letter'"
             " WHEN b.kind IN ('gap', 'skipped') THEN b.kind"
             " WHEN t.c > 0 THEN 'row'"
             " WHEN b.kind IS NOT NULL AND filtered + duplicates = 0"
             "  AND kind = 'records' THEN CASE WHEN %s THEN 'missing'"
             "  ELSE 'row' END"
             " WHEN b.kind IS NOT NULL THEN CASE WHEN %s"
             "  THEN 'filtered or duplicate'"
             "  ELSE 'row, filtered or duplicate' END"
             " WHEN me.o >= s.next_offset AND me.o >= l.high"
             "  THEN 'not in the log yet'"
             " WHEN me.o >= s.next_offset THEN 'pending'"
             " WHEN s.next_offset IS NULL THEN 'pending'"
             " ELSE 'before the start' END AS state, ",
             verify->look && !tool_overwrites(tool->conf) ? "true" : "false",
             verify->look ? "true" : "false");
    buf_addf(&sql, "CASE WHEN d.id IS NOT NULL THEN 'number ' || d.id"
             " || ': ' || d.reason || ' (' || d.sqlstate || ')'"
             " WHEN t.c > 1 THEN t.c || ' times'"
             " WHEN b.kind = 'gap' THEN 'no record has this offset'"
             " WHEN b.kind = 'skipped' THEN 'see sluice.audit'"
             " WHEN b.kind IS NOT NULL AND NOT %s THEN 'the table has no"
             " columns to look it up by'"
             " WHEN b.kind IS NOT NULL THEN NULL"
             " WHEN s.next_offset IS NULL THEN 'nothing is stored of its"
             " partition'"
             " WHEN me.o >= s.next_offset THEN (me.o - s.next_offset)"
             " || ' offsets before it' END AS detail"
             " FROM me LEFT JOIN s ON true LEFT JOIN b ON true"
             " LEFT JOIN d ON true LEFT JOIN t ON true"
             " LEFT JOIN log l ON l.partition=me.p",
             verify->look ? "true" : "false");

    return tool_query(tool, &sql);
}
