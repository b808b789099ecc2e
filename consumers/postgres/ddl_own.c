/* The DDL of schema "sluice": its tables and the functions of verify. */

#include "postgres/ddl.h"
#include "postgres/guard.h"


#define DDL_OURS  "cluster_id = $1 AND group_id = $2 AND topic = $3"          \
                  " AND table_name = $4"

/* The names in it do not depend on the caller's search_path. */
#define DDL_FUNCTION                                                          \
    " STABLE SET search_path = pg_catalog, pg_temp LANGUAGE "

/*
 * The begin of verify's functions.  o: the stored offsets; b: all ranges, a
 * row for each gap; r: ranges that follow each other, each with the end of the
 * one before and the start of the one behind; g: gaps inside of these; d: dead
 * letters; dr: r, with the number of dead letters in it, and of their offsets.
 */
#define DDL_VERIFY                                                            \
    "WITH o AS MATERIALIZED (SELECT partition, next_offset, last_crc"         \
    " FROM sluice.offsets WHERE " DDL_OURS ")"                                \
    ", b AS MATERIALIZED (SELECT partition, kind, f, n, records,"             \
    " dead_letters, filtered, duplicates, rows FROM sluice.batches, unnest("  \
    "coalesce(holes[:][1:1], ARRAY[first_offset]),"                           \
    " coalesce(holes[:][2:2], ARRAY[next_offset])) h (f, n)"                  \
    " WHERE " DDL_OURS ")"                                                    \
    ", r AS MATERIALIZED (SELECT *, lag(n) OVER w AS before,"                 \
    " lead(f) OVER w AS behind FROM b WHERE kind <> 'gap'"                    \
    " WINDOW w AS (PARTITION BY partition ORDER BY f))"                       \
    ", g AS MATERIALIZED (SELECT *, lag(n) OVER w AS before FROM b"           \
    " WHERE kind = 'gap' WINDOW w AS (PARTITION BY partition ORDER BY f))"    \
    ", d AS MATERIALIZED (SELECT partition AS p, \"offset\" AS o"             \
    " FROM sluice.dead_letters WHERE cluster_id = $1 AND group_id = $2"       \
    " AND topic = $3 AND table_name = ANY ($5))"                              \
    ", dr AS (SELECT r.partition, f, n, kind, rows, duplicates,"              \
    " dead_letters, count(d.o) AS c, count(DISTINCT d.o) AS u"                \
    " FROM r LEFT JOIN d ON d.p = r.partition AND d.o >= r.f AND d.o < r.n"   \
    " GROUP BY 1, 2, 3, 4, 5, 6, 7)"

/*
 * The places (p, o) in "t", and whether a gap holds them: in one pass by
 * offset, because both may be millions.
 */
#define DDL_HOLES(t)                                                          \
    "(SELECT p, o, false AS hole FROM " t " WHERE NOT EXISTS (SELECT FROM g)" \
    " UNION ALL SELECT p, o, hole FROM (SELECT p, o, place,"                  \
    " coalesce(max(n) OVER (PARTITION BY p ORDER BY o, place) > o, false)"    \
    " AS hole FROM (SELECT p, o, NULL::bigint AS n, true AS place FROM " t    \
    " WHERE EXISTS (SELECT FROM g) UNION ALL SELECT partition, f, n, false"   \
    " FROM g) y) z WHERE place) "


/*
 * Of daemons that start together, one creates the tables while the others wait
 * for its lock.  fillfactor leaves room on a page for the rows that each batch
 * updates.  A version only adds to version N-1, by statements that can be
 * repeated, so daemons of version N-1 continue meanwhile.
 */
static const char  ddl_text[] =
    DDL_BEGIN
    "SET LOCAL lock_timeout='10s';\n"
    "SET LOCAL " SQL_PATH "\n"
    "SELECT pg_advisory_xact_lock(7306367246437938);\n"
    "CREATE SCHEMA IF NOT EXISTS sluice;\n"
    "DO $sluice$DECLARE wrong text := (" GUARD_OWN("current_user") ");"
    " BEGIN IF wrong IS NOT NULL THEN RAISE EXCEPTION '%', wrong"
    " USING ERRCODE = 'SL004'; END IF; END$sluice$;\n"
    "CREATE TABLE IF NOT EXISTS sluice.meta ("
    " only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),"
    " version integer NOT NULL,"
    " created_at timestamptz NOT NULL DEFAULT now());\n"
    "CREATE TABLE IF NOT EXISTS sluice.offsets ("
    " cluster_id text NOT NULL,"
    " group_id text NOT NULL,"
    " topic text NOT NULL,"
    " partition integer NOT NULL,"
    " table_name text NOT NULL,"
    " next_offset bigint NOT NULL CHECK (next_offset >= 0),"
    " epoch bigint NOT NULL,"
    " owner text NOT NULL,"
    " last_timestamp bigint,"
    " last_crc bigint,"
    " updated_at timestamptz NOT NULL DEFAULT now(),"
    " PRIMARY KEY (cluster_id, group_id, topic, partition, table_name)"
    ") WITH (fillfactor = 40);\n"
    "CREATE TABLE IF NOT EXISTS sluice.batches ("
    " cluster_id text NOT NULL,"
    " group_id text NOT NULL,"
    " topic text NOT NULL,"
    " partition integer NOT NULL,"
    " table_name text NOT NULL,"
    " first_offset bigint NOT NULL,"
    " kind text NOT NULL"
    "  CHECK (kind IN ('records', 'gap', 'skipped', 'reset')),"
    " next_offset bigint NOT NULL,"
    " records bigint NOT NULL,"
    " dead_letters bigint NOT NULL,"
    " filtered bigint NOT NULL DEFAULT 0,"
    " duplicates bigint NOT NULL DEFAULT 0,"
    " rows bigint NOT NULL GENERATED ALWAYS AS"
    "  (records - dead_letters - filtered - duplicates) STORED"
    "  CHECK (rows >= 0),"
    " updated_at timestamptz NOT NULL DEFAULT now(),"
    " CHECK (next_offset > first_offset),"
    " PRIMARY KEY (cluster_id, group_id, topic, partition, table_name,"
    "  first_offset, kind)"
    ") WITH (fillfactor = 40);\n"
    "CREATE TABLE IF NOT EXISTS sluice.dead_letters ("
    " id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " cluster_id text NOT NULL,"
    " group_id text NOT NULL,"
    " topic text NOT NULL,"
    " partition integer NOT NULL,"
    " table_name text NOT NULL,"
    " \"offset\" bigint NOT NULL,"
    " \"timestamp\" timestamptz,"
    " key bytea,"
    " headers jsonb,"
    " value bytea,"
    " sqlstate text NOT NULL,"
    " reason text NOT NULL,"
    " created_at timestamptz NOT NULL DEFAULT now(),"
    " stripped boolean NOT NULL DEFAULT false);\n"
    "CREATE TABLE IF NOT EXISTS sluice.audit ("
    " id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " at timestamptz NOT NULL DEFAULT now(),"
    " who text NOT NULL DEFAULT session_user,"
    " action text NOT NULL,"
    " cluster_id text NOT NULL,"
    " group_id text NOT NULL,"
    " topic text NOT NULL,"
    " table_name text NOT NULL,"
    " detail jsonb NOT NULL);\n"
    "CREATE TABLE IF NOT EXISTS sluice.seen ("
    " key bytea PRIMARY KEY,"
    " partition integer NOT NULL,"
    " \"offset\" bigint NOT NULL,"
    " expires_at timestamptz NOT NULL);\n"
    /*
     * version 5: keys in sluice.seen keep their order.  What daemons of version
     * 4 add, a digest, is refused from then on: they would not know the others.
     * Digests of before live for a window.
     */
    "ALTER TABLE sluice.meta ADD COLUMN IF NOT EXISTS"
    " digests_before timestamptz;\n"
    "ALTER TABLE sluice.seen DROP CONSTRAINT IF EXISTS"
    " upgrade_this_daemon, ADD CONSTRAINT upgrade_this_daemon"
    " CHECK (length(key) <> 32) NOT VALID;\n"
    "UPDATE sluice.meta SET digests_before = clock_timestamp()"
    " WHERE version < 5;\n"
    "CREATE INDEX IF NOT EXISTS dead_letters_created_at"
    " ON sluice.dead_letters (cluster_id, group_id, topic, created_at);\n"
    /* a claim finds the last range without a walk over the gaps in it */
    "CREATE INDEX IF NOT EXISTS batches_records ON sluice.batches"
    " (cluster_id, group_id, topic, partition, table_name, first_offset)"
    " WHERE kind = 'records';\n"
    /*
     * version 4: the gaps in a row of kind "gap", newest first, each with its
     * first offset and the one behind it; null: the row is one gap
     */
    "ALTER TABLE sluice.batches ADD COLUMN IF NOT EXISTS holes bigint[]"
    " CHECK (holes[1][2] = next_offset);\n"
    /* what "sluice-consumer verify" asks */
    "CREATE OR REPLACE FUNCTION sluice.verify_summary(cluster_id text,"
    " group_id text, topic text, table_name text, dead_tables text[])"
    " RETURNS TABLE (partition integer, first_offset bigint,"
    " next_offset bigint, rows numeric, dead_letters numeric,"
    " taken_out numeric, filtered numeric, duplicates numeric, gaps numeric,"
    " skipped numeric)" DDL_FUNCTION "sql AS $$"
    DDL_VERIFY
    " SELECT o.partition, min(b.f), o.next_offset, coalesce(sum(rows), 0),"
    " coalesce(sum(dead_letters), 0), coalesce(sum(dead_letters), 0)"
    " - (SELECT count(*) FROM d WHERE d.p = o.partition),"
    " coalesce(sum(filtered), 0), coalesce(sum(duplicates), 0),"
    " coalesce(sum(n - f) FILTER (WHERE kind = 'gap'), 0),"
    " coalesce(sum(n - f) FILTER (WHERE kind = 'skipped'), 0)"
    " FROM o LEFT JOIN b ON b.partition = o.partition"
    " GROUP BY o.partition, o.next_offset $$;\n"
    /* problems of the ranges; none if all is accounted for */
    "CREATE OR REPLACE FUNCTION sluice.verify(cluster_id text, group_id text,"
    " topic text, table_name text, dead_tables text[], strict boolean)"
    " RETURNS TABLE (partition integer, first bigint, last bigint,"
    " problem text)" DDL_FUNCTION "sql AS $$"
    DDL_VERIFY
    ", x AS ("
    "SELECT partition, f, n, 'stored twice, with the range before' AS problem"
    " FROM r WHERE before > f"
    " UNION ALL SELECT partition, before, f, 'not accounted for' FROM r"
    " WHERE before < f"
    " UNION ALL SELECT r.partition, least(n, next_offset),"
    " greatest(n, next_offset), CASE WHEN n < next_offset"
    " THEN 'not accounted for' ELSE 'beyond the stored offset' END"
    " FROM r JOIN o ON o.partition = r.partition"
    " WHERE behind IS NULL AND n <> next_offset"
    " UNION ALL SELECT partition, f, n, 'no offset is stored' FROM r"
    " WHERE NOT EXISTS (SELECT FROM o WHERE o.partition = r.partition)"
    " UNION ALL SELECT partition, next_offset - 1, next_offset,"
    " 'stored, but there are no ranges' FROM o WHERE last_crc IS NOT NULL"
    " AND NOT EXISTS (SELECT FROM r WHERE r.partition = o.partition)"
    " UNION ALL SELECT partition, f, n, 'a gap that is counted twice' FROM g"
    " WHERE before > f"
    " UNION ALL SELECT partition, f, n, 'a gap outside of the ranges' FROM g"
    " WHERE NOT EXISTS (SELECT FROM r WHERE r.partition = g.partition"
    " AND r.f <= g.f AND r.n >= g.n)"
    " UNION ALL SELECT partition, f, n, 'holds ' || n - f"
    " || ' offsets, of which ' || records || ' are records and ' || s"
    " || ' in gaps' FROM r, LATERAL (SELECT coalesce(sum(g.n - g.f), 0) AS s"
    " FROM g WHERE g.partition = r.partition AND g.f >= r.f AND g.n <= r.n) q"
    " WHERE kind <> 'skipped' AND n - f <> records + s"
    " UNION ALL SELECT partition, f, n, 'counted ' || dead_letters"
    " || ' dead letters, there are ' || u FROM dr WHERE u > dead_letters"
    " OR (u < dead_letters AND $6)"
    " UNION ALL SELECT partition, f, n, c - u"
    " || ' dead letters are there twice' FROM dr WHERE c <> u"
    " UNION ALL SELECT p, min(o), max(o) + 1, count(*)"
    " || ' dead letters outside of the ranges' FROM " DDL_HOLES("d") "e"
    " WHERE hole OR NOT EXISTS (SELECT FROM r WHERE r.partition = e.p"
    " AND e.o >= r.f AND e.o < r.n) GROUP BY p"
    /* a group or a table that is misspelt has no offset that could be wrong */
    " UNION ALL SELECT NULL, NULL, NULL, format('nothing is stored for group"
    " \"%s\", topic \"%s\" and table \"%s\"%s', $2, $3, $4,"
    " (SELECT '; there is ' || string_agg(DISTINCT format('group \"%s\" with"
    " table \"%s\"', group_id, table_name), ', ') FROM sluice.offsets"
    " WHERE topic = $3)) WHERE NOT EXISTS (SELECT FROM o))"
    " SELECT partition, f, n - 1, problem FROM x $$;\n"
    /* partition and offset of each row; columns: those, and the topic's */
    "CREATE OR REPLACE FUNCTION sluice.verify_places(topic text,"
    " place_table regclass, place_columns text[])"
    " RETURNS TABLE (p integer, o bigint)" DDL_FUNCTION "plpgsql AS $$"
    "BEGIN RETURN QUERY EXECUTE format('SELECT %1$I::integer, %2$I::bigint"
    " FROM %3$s WHERE %2$I IS NOT NULL' || CASE WHEN $3[3] IS NOT NULL"
    " THEN ' AND %4$I = %5$L' ELSE '' END, $3[1], $3[2], $2, $3[3], $1); END"
    " $$;\n"
    /* problems of the rows; whole: a row that was stored has to be there */
    "CREATE OR REPLACE FUNCTION sluice.verify_rows(cluster_id text,"
    " group_id text, topic text, table_name text, dead_tables text[],"
    " whole boolean, place_table regclass, place_columns text[])"
    " RETURNS TABLE (partition integer, first bigint, last bigint,"
    " problem text)" DDL_FUNCTION "sql AS $$"
    DDL_VERIFY
    /* a: the stored offset before "offsets reset" went back */
    ", a AS MATERIALIZED (SELECT (x->>'partition')::integer AS p,"
    " max((x->>'from')::bigint) AS n FROM sluice.audit,"
    " jsonb_array_elements(detail->'partitions') x"
    " WHERE action = 'offsets reset' AND " DDL_OURS " GROUP BY 1)"
    ", t AS MATERIALIZED (SELECT p, o FROM sluice.verify_places($3, $7, $8))"
    ", x AS ("
    "SELECT p AS partition, min(o) AS f, max(o) AS l, count(*)"
    " || ' rows outside of the ranges' AS problem FROM " DDL_HOLES("t") "e"
    " WHERE hole OR (NOT EXISTS (SELECT FROM r WHERE r.partition = e.p"
    " AND e.o >= r.f AND e.o < r.n AND kind <> 'skipped') AND NOT EXISTS"
    " (SELECT FROM a JOIN o ON o.partition = a.p WHERE a.p = e.p"
    " AND e.o < a.n AND e.o >= o.next_offset)) GROUP BY p"
    " UNION ALL SELECT t.p, min(t.o), max(t.o), count(*)"
    " || ' are a row and a dead letter' FROM t JOIN d ON t.p = d.p"
    " AND t.o = d.o GROUP BY t.p"
    " UNION ALL SELECT partition, f, n - 1, CASE WHEN q.c <> q.u"
    " THEN q.c - q.u || ' rows are there twice' ELSE 'counted ' || rows"
    " || ' rows' || CASE WHEN duplicates > 0 THEN ' and ' || duplicates"
    " || ' duplicates' ELSE '' END || ', the table has ' || q.u END FROM dr,"
    " LATERAL (SELECT count(*) AS c, count(DISTINCT t.o) AS u FROM t"
    " WHERE t.p = dr.partition AND t.o >= dr.f AND t.o < dr.n) q"
    " WHERE q.c <> q.u OR q.u > rows + duplicates + dead_letters - dr.u"
    " OR (kind = 'records' AND $6 AND q.u < rows))"
    " SELECT partition, f, l, problem FROM x $$;\n"
    "INSERT INTO sluice.meta (version) VALUES (5) ON CONFLICT (only_one)"
    " DO UPDATE SET version=EXCLUDED.version"
    " WHERE meta.version < EXCLUDED.version;\n"
    DDL_COMMIT;


const char *
ddl_own_tables(void)
{
    return ddl_text;
}
