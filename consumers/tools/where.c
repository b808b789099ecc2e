/* The subcommand where: what became of one record. */

#include "tools/command.h"
#include "tools/places.h"


typedef struct {
    tool_t       tool;         /* "text" is the statement */
    const char  *partition;    /* in digits */
    const char  *offset;
} where_t;


static int where_place(tool_t *tool);
static int where_run(tool_t *tool);


static const option_t  where_options[] = {
    OPTION("json", FLAG, tool_t, json),
    OPTION_END
};

const command_t  command_where = {
    .name = "where",
    .help = "show what became of one record",
    .open = TOOL_LOG_IF_UP,
    .size = sizeof(where_t),
    .options = where_options,
    .least = 1,
    .most = 1,
    .check = where_place,
    .run = where_run,
    .usage =
    "TOPIC/PARTITION/OFFSET [--json]\n"
    "\n"
    "Shows what became of one record: row, dead letter, filtered, duplicate,\n"
    "gap, skipped or pending.\n"
};


/*
 * Selects one row: place, state and detail.  Between the two texts stands the
 * query of places_rows().  $7 is the partition, $8 the offset, $9 whether rows
 * tell their records, $10 whether a stored row must still be there.
 */

static const char  where_begin[] =
    TOOL_WITH_LOG ", me AS (SELECT $7::integer AS p, $8::bigint AS o)"
    ", s AS (SELECT next_offset, owner FROM sluice.offsets, me"
    " WHERE partition = p AND " TOOL_OURS ")"
    ", b AS (SELECT kind, rows, records, filtered, duplicates, updated_at"
    " FROM sluice.batches, me WHERE partition = p AND o >= first_offset"
    " AND o < next_offset AND (holes IS NULL OR EXISTS (SELECT FROM"
    " unnest(holes[:][1:1], holes[:][2:2]) h (f, n) WHERE o >= f AND o < n))"
    " AND " TOOL_OURS
    " ORDER BY kind = 'gap' DESC LIMIT 1)"
    ", d AS (SELECT id, sqlstate, reason FROM sluice.dead_letters, me"
    " WHERE partition = p AND \"offset\" = o AND " TOOL_DEAD
    " ORDER BY id DESC LIMIT 1)"
    ", t AS (SELECT count(*) AS c FROM (";

static const char  where_end[] =
    ") x, me WHERE x.p = me.p AND x.o = me.o)"
    " SELECT me.p || '/' || me.o AS place, CASE"
    " WHEN d.id IS NOT NULL THEN 'dead letter'"
    " WHEN b.kind IN ('gap', 'skipped') THEN b.kind"
    " WHEN t.c > 0 THEN 'row'"
    " WHEN b.kind IS NOT NULL AND filtered + duplicates = 0"
    " AND kind = 'records' THEN CASE WHEN $10::boolean THEN 'missing'"
    " ELSE 'row' END"
    " WHEN b.kind IS NOT NULL THEN CASE WHEN $9::boolean"
    " THEN 'filtered or duplicate' ELSE 'row, filtered or duplicate' END"
    " WHEN me.o >= s.next_offset AND me.o >= l.high THEN 'not in the log yet'"
    " WHEN me.o >= s.next_offset OR s.next_offset IS NULL THEN 'pending'"
    " ELSE 'before the start' END AS state, CASE"
    " WHEN d.id IS NOT NULL THEN 'number ' || d.id || ': ' || d.reason || ' ('"
    " || d.sqlstate || ')'"
    " WHEN t.c > 1 THEN t.c || ' times'"
    " WHEN b.kind = 'gap' THEN 'no record has this offset'"
    " WHEN b.kind = 'skipped' THEN 'see sluice.audit'"
    " WHEN b.kind IS NOT NULL AND NOT $9::boolean"
    " THEN 'the table has no columns to look it up by'"
    " WHEN b.kind IS NOT NULL THEN NULL"
    " WHEN s.next_offset IS NULL THEN 'nothing is stored of its partition'"
    " WHEN me.o >= s.next_offset THEN (me.o - s.next_offset)"
    " || ' offsets before it' END AS detail"
    " FROM me LEFT JOIN s ON true LEFT JOIN b ON true LEFT JOIN d ON true"
    " LEFT JOIN t ON true LEFT JOIN log l ON l.partition = me.p";


static int
where_place(tool_t *tool)
{
    where_t  *where = (where_t *) tool;

    return places_read(tool, &where->partition, &where->offset);
}


static int
where_run(tool_t *tool)
{
    int        rc;
    bool       look;
    where_t   *where = (where_t *) tool;
    places_t   places;
    PGresult  *res;

    if (tool_version(tool, "where") == -1
        || places_find(&places, tool) == -1)
    {
        return -1;
    }

    look = places.why_not == NULL;
    buf_addf(&tool->text, "%s", where_begin);
    places_rows(&places, tool, &tool->text);
    buf_addf(&tool->text, "%s", where_end);

    res = tool_query(tool, tool->text.data, where->partition, where->offset,
                     look ? "true" : "false",
                     look && tool->conf->mode == CONF_MODE_APPEND ? "true"
                                                                  : "false");
    if (res == NULL) {
        return -1;
    }

    rc = 0;

    if (tool->json) {
        rc = report_rows(res, true);

    } else {
        printf("%s/%s/%s: %s%s%s\n", tool->conf->topic, where->partition,
               where->offset, PQgetvalue(res, 0, 1),
               PQgetisnull(res, 0, 2) ? "" : ", ", PQgetvalue(res, 0, 2));
    }

    PQclear(res);

    return rc;
}
