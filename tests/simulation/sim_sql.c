/* The end of a transaction, offsets and ranges, as the daemon words it. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postgres/sql.h"
#include "sim_pg.h"


#define SIM_OURS  ",table_name)" SQL_OP("=") "(''c'',''g'',''t'',''"

#define SIM_MOVE                                                              \
    "UPDATE sluice.offsets SET next_offset=next,last_timestamp=stamp,"        \
    "last_crc=crc,updated_at=pg_catalog.now() FROM (VALUES "

#define SIM_GAPS  (SIM_PARTITIONS * SIM_RECORDS)    /* of one batch */


const char *
sim_after(const char *sql, const char *word)
{
    const char  *p;

    p = strstr(sql, word);

    return p ? p + strlen(word) : NULL;
}


const char *
sim_skip(const char *p, const char *word)
{
    size_t  len;

    len = strlen(word);

    return strncmp(p, word, len) == 0 ? p + len : NULL;
}


/* The name of the table in a key that is cut at it; gives what follows. */

const char *
sim_name(const char *p, const char *quote, char *name)
{
    const char  *end;

    end = p ? strstr(p, quote) : NULL;

    if (end == NULL || end - p >= SIM_NAME) {
        sim_wrong("a table's name that is not understood: %.60s", p ? p : "");
    }

    (void) snprintf(name, SIM_NAME, "%.*s", (int) (end - p), p);

    return end + strlen(quote);
}


/*
 * Which row a WHERE selects: by its partition, and by offset and epoch only
 * if the daemon asks for them.  Gives what follows it in "sql".
 */

static sim_offset_t *
sim_where(pg_t *pg, const char **sql, int *partition)
{
    int            len;
    char           name[SIM_NAME];
    int64_t        expected, epoch;
    const char    *p, *q;
    sim_offset_t  *o;

    p = sim_name(sim_after(*sql, SIM_OURS), "'')", name);
    p = sim_skip(p, " AND partition" SQL_OP("="));

    if (p == NULL || sscanf(p, "%d%n", partition, &len) != 1) {
        sim_wrong("a condition that is not understood: %.90s", *sql);
    }

    p += len;
    o = pg->locked & 1u << *partition ? &pg->moved[*partition]
                                      : &sim.db.offsets[*partition];
    expected = o->next;
    epoch = o->epoch;

    if ((q = sim_skip(p, " AND next_offset" SQL_OP("="))) != NULL) {
        expected = strtoll(q, (char **) &p, 10);
    }

    if ((q = sim_skip(p, " AND epoch" SQL_OP("="))) != NULL) {
        epoch = strtoll(q, (char **) &p, 10);
    }

    if (*p != ';') {
        sim_wrong("a condition that goes on: %.90s", p);
    }

    *sql = p + 1;

    if (!o->stored || o->next != expected || o->epoch != epoch
        || strcmp(name, sim.db.name) != 0)
    {
        sim_say("server: partition %d is at %" PRId64 " in epoch %" PRId64
                ", not at %" PRId64 " in %" PRId64, *partition, o->next,
                o->epoch, expected, epoch);
        return NULL;
    }

    return o;
}


/* Whether the daemon ends the transaction when no row was selected. */

static bool
sim_raises(const char *sql, const char *condition)
{
    const char  *p, *end;

    p = sim_skip(sql, condition);
    p = p ? sim_skip(p, "THEN RAISE EXCEPTION ") : NULL;
    end = p ? strchr(p, ';') : NULL;
    p = p ? strstr(p, " USING ERRCODE=''SL001''") : NULL;

    return p && p < end;
}


/* The next partition that an update has in its VALUES; NULL: no more. */

static const char *
sim_moved(const char *p, int *partition, int64_t *was, int64_t *epoch,
    sim_offset_t *o)
{
    int  len;

    if (*p == ')') {
        return NULL;
    }

    p += *p == ',';
    o->stored = true;
    o->has_last = true;

    if (sscanf(p, "(%d,%" SCNd64 ",%" SCNd64 ",%" SCNd64 ",%" SCNd64
               ",%" SCNd64 ")%n", partition, was, epoch, &o->next,
               &o->timestamp, &o->crc, &len)
        != 6)
    {
        sim_wrong("an update of offsets that is not understood: %.90s", p);
    }

    return p + len;
}


/* Offsets move only from where the daemon asks for them.  False: SL001. */

static bool
sim_move(pg_t *pg, const char *values)
{
    int            all, moved, partition;
    bool           offsets, epochs;
    char           name[SIM_NAME], condition[96];
    int64_t        was, epoch;
    const char    *p, *q;
    sim_offset_t   to, *o;

    p = sim_after(values, ") v (p,was,epoch,next,stamp,crc) WHERE ");
    p = sim_name(sim_after(p ? p : "", SIM_OURS), "'')", name);
    p = sim_skip(p, " AND partition" SQL_OP("=") "p");
    offsets = p && (q = sim_skip(p, " AND next_offset" SQL_OP("=") "was"))
              && (p = q);
    epochs = p && (q = sim_skip(p, " AND offsets.epoch" SQL_OP("=")
                                "v.epoch")) && (p = q);

    if (p == NULL || *p++ != ';') {
        sim_wrong("a condition that is not understood: %.90s", values);
    }

    all = 0;
    moved = 0;

    for (q = values; (q = sim_moved(q, &partition, &was, &epoch, &to)); ) {
        all++;
        o = pg->locked & 1u << partition ? &pg->moved[partition]
                                         : &sim.db.offsets[partition];

        if (!o->stored || (offsets && o->next != was)
            || (epochs && o->epoch != epoch) || strcmp(name, sim.db.name) != 0)
        {
            sim_say("server: partition %d is at %" PRId64 " in epoch %" PRId64
                    ", not at %" PRId64 " in %" PRId64, partition, o->next,
                    o->epoch, was, epoch);
            continue;
        }

        to.epoch = o->epoch;
        pg->moved[partition] = to;
        pg->locked |= 1u << partition;
        moved++;
    }

    (void) snprintf(condition, sizeof(condition), "GET DIAGNOSTICS n ="
                    " ROW_COUNT;IF n" SQL_OP("<>") "%d ", all);

    return moved == all || !sim_raises(p, condition);
}


void
sim_guard(pg_t *pg, const char *sql)
{
    int          partition;
    const char  *p;

    for (p = sql; (p = sim_after(p, "PERFORM 1 FROM sluice.offsets")); ) {

        if (sim_where(pg, &p, &partition) == NULL
            && sim_raises(p, "IF NOT FOUND "))
        {
            sim_fail(pg, "SL001");
            return;
        }
    }

    p = sim_after(sql, SIM_MOVE);

    if (p && !sim_move(pg, p)) {
        sim_fail(pg, "SL001");
        return;
    }

    free(pg->guard);
    pg->guard = strdup(sql);
}


unsigned
sim_locks(const char *sql)
{
    int            partition;
    char           name[SIM_NAME];
    int64_t        was, epoch;
    unsigned       mask;
    const char    *p;
    sim_offset_t   to;

    mask = 0;
    p = sim_after(sql, SIM_MOVE);

    while (p && (p = sim_moved(p, &partition, &was, &epoch, &to))) {
        mask |= 1u << partition;
    }

    p = strstr(sql, "WITH claimed AS");

    while (p && (p = sim_after(p, "('c','g','t','"))) {
        mask |= 1u << strtol(sim_name(p, "',", name), NULL, 10);
    }

    return mask;
}


/* A range of its own, or more of the one that begins there. */

static void
sim_book(const sim_range_t *range)
{
    size_t        i;
    sim_range_t  *r;

    for (i = 0; i < sim.db.nranges; i++) {
        r = &sim.db.ranges[i];

        if (r->partition == range->partition && r->first == range->first
            && r->gap == range->gap)
        {
            if (range->merged) {
                sim_wrong("partition %d: the gap at %" PRId64 " again",
                          r->partition, r->first);
            }
            r->next = range->next;
            r->records += range->records;
            r->dead += range->dead;
            return;
        }
    }

    if (i == sizeof(sim.db.ranges) / sizeof(sim.db.ranges[0])) {
        sim_wrong("too many ranges");
    }

    sim.db.ranges[sim.db.nranges++] = *range;
}


/*
 * The partition's newest row of gaps, if it has room for "n" more: here a row
 * is full after a 25th of what the daemon puts into it.  -1: it has not.
 */

static int64_t
sim_newest(int32_t partition, size_t n, size_t most)
{
    size_t              i, has;
    const sim_range_t  *r, *newest;

    newest = NULL;

    for (i = 0; i < sim.db.nranges; i++) {
        r = &sim.db.ranges[i];

        if (r->gap && r->partition == partition
            && (newest == NULL || r->first > newest->first))
        {
            newest = r;
        }
    }

    if (newest == NULL || !newest->merged) {
        return -1;
    }

    for (i = 0, has = 0; i < sim.db.nranges; i++) {
        r = &sim.db.ranges[i];
        has += r->merged && r->partition == partition && r->row == newest->row;
    }

    return has + n <= most / 25 ? newest->row : -1;
}


/* Gaps as rows that hold some each; they come in the order of offsets. */

static void
sim_merge(sim_range_t *gaps, size_t n, size_t most)
{
    size_t   i, k, own, part;
    int64_t  row;

    for (i = 0; i < n; i++) {

        if (gaps[i].merged) {
            continue;
        }

        for (k = i, own = 0; k < n; k++) {
            own += gaps[k].partition == gaps[i].partition && !gaps[k].merged;
        }

        /* what is over of whole rows is the first part */
        part = (own - 1) % (most / 25) + 1;
        row = sim_newest(gaps[i].partition, part, most);
        row = row == -1 ? gaps[i].first : row;

        for (k = i; part; k++) {
            if (gaps[k].partition == gaps[i].partition) {
                gaps[k].merged = true;
                gaps[k].row = row;
                sim_book(&gaps[k]);
                part--;
            }
        }
    }
}


/* Arrays of the gaps' partitions, first and next offsets. */

static size_t
sim_arrays(const char *p, sim_range_t *gaps, const char *behind)
{
    int          i;
    bool         more[3];
    char        *end;
    size_t       n;
    int64_t      number[3];
    const char  *array[3];

    for (i = 0; i < 3; i++) {
        array[i] = p = sim_after(p ? p : "", "''{");
    }

    p = p ? sim_after(p, "}''::bigint[]) g (p, f, t)") : NULL;

    if (p == NULL || !sim_skip(p, behind)) {
        sim_wrong("gaps that are not understood");
    }

    n = 0;

    do {
        for (i = 0; i < 3; i++) {
            number[i] = strtoll(array[i], &end, 10);
            more[i] = *end == ',';
            array[i] = end + 1;
        }

        if (more[0] != more[1] || more[1] != more[2] || n == SIM_GAPS) {
            sim_wrong("gaps whose arrays differ in length, or too many");
        }

        memset(&gaps[n], 0, sizeof(sim_range_t));
        gaps[n].gap = true;
        gaps[n].partition = (int32_t) number[0];
        gaps[n].first = number[1];
        gaps[n++].next = number[2];
    } while (more[0]);

    return n;
}


/* Gaps that are merged into rows. */

static void
sim_merged_gaps(const char *p)
{
    size_t       n, most[2];
    sim_range_t  gaps[SIM_GAPS];

    p = sim_skip(p, "p,''gap'',coalesce((SELECT first_offset FROM (SELECT"
                 " first_offset, holes FROM sluice.batches WHERE ");
    p = sim_after(p ? p : "", " AND partition" SQL_OP("=") "p AND kind"
                  SQL_OP("=") "''gap'' ORDER BY"
                  " first_offset DESC LIMIT 1) l"
                  " WHERE (pg_catalog.array_length(holes, 1)" SQL_OP("+")
                  "c)");

    if (p == NULL || sscanf(p, SQL_OP("<=") "%zu),f),t,0", &most[0]) != 1
        || (p = sim_after(p, "ORDER BY f DESC)" SQL_OP("-") "1)")) == NULL
        || sscanf(p, SQL_OP("/") "%zu AS part FROM unnest(", &most[1]) != 1
        || most[0] != most[1])
    {
        sim_wrong("merged gaps that are not understood");
    }

    n = sim_arrays(p, gaps, ") g GROUP BY p, part) g ON CONFLICT (cluster_id,"
                   " group_id, topic, partition, table_name, first_offset,"
                   " kind) DO UPDATE SET next_offset=EXCLUDED.next_offset,"
                   " holes=EXCLUDED.holes" SQL_OP("||") "b.holes,"
                   " updated_at=pg_catalog.now();");
    sim_merge(gaps, n, most[0]);
}


/* Ranges of records, each behind the key that begins it. */

static void
sim_records(const char *p)
{
    char         name[SIM_NAME];
    sim_range_t  range;

    do {
        p = p ? sim_skip(p, "(''c'',''g'',''t'',''") : NULL;
        p = sim_name(p, "'',", name);
        memset(&range, 0, sizeof(sim_range_t));

        if (strcmp(name, sim.db.name) != 0
            || sscanf(p, "%d,''records'',%" SCNd64 ",%" SCNd64 ",%" SCNd64
                      ",%" SCNd64, &range.partition, &range.first,
                      &range.next, &range.records, &range.dead)
               != 5)
        {
            sim_wrong("a range that is not understood: %.90s", p);
        }

        sim_book(&range);
        p = sim_after(p, ")");
    } while (*p++ == ',');
}


void
sim_ranges(const char *sql)
{
    char         name[SIM_NAME];
    const char  *p, *select;

    for (p = sql; (p = sim_after(p, "INSERT INTO sluice.batches")); ) {

        p = sim_after(p, ") ");
        select = p ? sim_skip(p, "SELECT ''c'',''g'',''t'',''") : NULL;

        if (select == NULL) {
            sim_records(sim_skip(p ? p : "", "VALUES "));
            continue;
        }

        select = sim_name(select, "'',", name);

        if (strcmp(name, sim.db.name) != 0) {
            sim_wrong("gaps of another table: %.90s", p);
        }

        sim_merged_gaps(select);
    }
}
