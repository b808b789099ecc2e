/*
 * The end of a batch's transaction: its offsets and ranges.  Only the daemon
 * that claimed them can advance them.
 */

#include <inttypes.h>
#include <stdlib.h>

#include "postgres/sql.h"
#include "store/offsets.h"


#define OFFSETS_GAPS  100    /* of one row: 1.6 kB; 2 kB are compressed */


/* A number of batch_gap_t. */
typedef enum {
    OFFSETS_GAP_PARTITION = 0,
    OFFSETS_GAP_FIRST,
    OFFSETS_GAP_NEXT
} gap_field_t;


static void offsets_move(const offsets_t *o, const batch_t *batch,
    const batch_range_t **ranges, size_t n, buf_t *sql);
static void offsets_book(const offsets_t *o, const batch_range_t **ranges,
    size_t n, buf_t *sql);
static void offsets_gaps(const offsets_t *o, const batch_t *batch,
    uint16_t topic, buf_t *sql);
static void offsets_gap_arrays(const batch_t *batch, uint16_t topic,
    buf_t *sql);
static void offsets_gap_array(const batch_t *batch, uint16_t topic,
    gap_field_t field, buf_t *sql);
static int offsets_compare(const void *a, const void *b);


void
offsets_advance(const offsets_t *o, const batch_t *batch, buf_t *sql)
{
    size_t                 i, j, n;
    buf_t                  block = { 0 };
    const batch_range_t  **order;

    n = batch->nranges;

    order = malloc((n + 1) * sizeof(batch_range_t *));

    if (order) {
        for (i = 0; i < n; i++) {
            order[i] = &batch->ranges[i];
        }

        qsort(order, n, sizeof(batch_range_t *), offsets_compare);

        buf_addf(&block, "DECLARE n bigint;BEGIN ");

        for (i = 0; i < n; i = j) {
            for (j = i + 1; j < n && order[j]->topic == order[i]->topic; j++) {
                /* the ranges of one topic */
            }

            offsets_move(o, batch, order + i, j - i, &block);
            offsets_book(o, order + i, j - i, &block);
            offsets_gaps(o, batch, order[i]->topic, &block);
        }

        buf_addf(&block, "END");
    }

    /* without memory the block is empty: an error, and no commit */
    sql_do(sql, &block);
    buf_addf(sql, ";COMMIT");

    free(order);
}


/* All daemons lock the rows in one order. */

static int
offsets_compare(const void *a, const void *b)
{
    const batch_range_t  *const *p = a, *const *q = b;

    if ((*p)->topic != (*q)->topic) {
        return (*p)->topic < (*q)->topic ? -1 : 1;
    }

    return ((*p)->partition > (*q)->partition)
           - ((*p)->partition < (*q)->partition);
}


/*
 * One statement for all partitions of a topic.  It may take them in any order,
 * so several are locked in theirs before.  A variable is named "n".
 */

static void
offsets_move(const offsets_t *o, const batch_t *batch,
    const batch_range_t **ranges, size_t n, buf_t *sql)
{
    size_t                i;
    const char           *where;
    const batch_range_t  *range;

    where = offsets_where(o, ranges[0]->topic);

    if (n > 1) {
        buf_addf(sql, "PERFORM partition FROM sluice.offsets WHERE %s"
                 " AND partition" SQL_OP("=") "ANY ('{", where);

        for (i = 0; i < n; i++) {
            buf_addf(sql, "%s%d", i ? "," : "", ranges[i]->partition);
        }

        buf_addf(sql, "}') ORDER BY partition FOR UPDATE;");
    }

    buf_addf(sql, "UPDATE sluice.offsets SET next_offset=next,"
             "last_timestamp=stamp,last_crc=crc,updated_at=pg_catalog.now()"
             " FROM (VALUES ");

    for (i = 0; i < n; i++) {
        range = ranges[i];
        buf_addf(sql, "%s(%d,%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64
                 ",%" PRIu32 ")", i ? "," : "", range->partition,
                 range->expected, range->epoch, range->next,
                 range->last_timestamp, batch_last_crc(batch, range));
    }

    buf_addf(sql, ") v (p,was,epoch,next,stamp,crc) WHERE %s AND partition"
             SQL_OP("=") "p AND next_offset" SQL_OP("=") "was"
             " AND offsets.epoch" SQL_OP("=") "v.epoch;"
             "GET DIAGNOSTICS n = ROW_COUNT;IF n" SQL_OP("<>") "%zu THEN RAISE"
             " EXCEPTION '%% of %zu partitions are no longer at the offset or"
             " in the epoch of this daemon', %zu" SQL_OP("-") "n USING ERRCODE="
             "'SL001';END IF;", where, n, n, n);
}


/* Adds ranges to sluice.batches, or to the rows that they continue. */

static void
offsets_book(const offsets_t *o, const batch_range_t **ranges, size_t n,
    buf_t *sql)
{
    size_t                i;
    const batch_range_t  *range;

    buf_addf(sql, "INSERT INTO sluice.batches AS b (cluster_id, group_id,"
             " topic, table_name, partition, kind, first_offset, next_offset,"
             " records, dead_letters, filtered, duplicates) VALUES ");

    for (i = 0; i < n; i++) {
        range = ranges[i];
        buf_addf(sql, "%s(%s,%d,'records',%" PRId64 ",%" PRId64 ",%" PRId64
                 ",%" PRId64 ",%" PRId64 ",%" PRId64 ")", i ? "," : "",
                 offsets_key(o, range->topic), range->partition, range->run,
                 range->next,
                 range->records, range->dead, range->filtered,
                 range->duplicates);
    }

    buf_addf(sql, " ON CONFLICT (cluster_id, group_id, topic, partition,"
             " table_name, first_offset, kind) DO UPDATE SET"
             " next_offset=EXCLUDED.next_offset,"
             " records=b.records" SQL_OP("+") "EXCLUDED.records,"
             " dead_letters=b.dead_letters" SQL_OP("+")
             "EXCLUDED.dead_letters,"
             " filtered=b.filtered" SQL_OP("+") "EXCLUDED.filtered,"
             " duplicates=b.duplicates" SQL_OP("+") "EXCLUDED.duplicates,"
             " updated_at=pg_catalog.now();");
}


/*
 * One statement, however many gaps there are.  Those of a partition are
 * counted in hundreds from the last one, so that the first of these parts is
 * the one that may be smaller.  It goes into the newest row if there is room,
 * the others become rows.  A variable is named "n".  With several arguments,
 * unnest() is syntax of PostgreSQL's and not looked up.
 */

static void
offsets_gaps(const offsets_t *o, const batch_t *batch, uint16_t topic,
    buf_t *sql)
{
    size_t  i;

    for (i = 0; i < batch->ngaps && batch->gaps[i].topic != topic; i++) {
        /* has the topic one? */
    }

    if (i == batch->ngaps) {
        return;
    }

    buf_addf(sql, "INSERT INTO sluice.batches AS b (cluster_id, group_id,"
             " topic, table_name, partition, kind, first_offset, next_offset,"
             " records, dead_letters, holes) SELECT %s,p,'gap',coalesce((SELECT"
             " first_offset FROM (SELECT first_offset, holes FROM"
             " sluice.batches WHERE %s AND partition" SQL_OP("=") "p"
             " AND kind" SQL_OP("=") "'gap' ORDER BY first_offset DESC"
             " LIMIT 1) l WHERE (pg_catalog.array_length(holes, 1)"
             SQL_OP("+") "c)" SQL_OP("<=") "%d),f),t,0,0,h FROM (SELECT p,"
             " pg_catalog.count(*) AS c, pg_catalog.min(f) AS f,"
             " pg_catalog.max(t) AS t, pg_catalog.array_agg(ARRAY[f, t]"
             " ORDER BY f DESC) AS h FROM (SELECT p, f, t,"
             " (pg_catalog.row_number() OVER (PARTITION BY p ORDER BY f DESC)"
             SQL_OP("-") "1)" SQL_OP("/") "%d AS part FROM ",
             offsets_key(o, topic), offsets_where(o, topic), OFFSETS_GAPS,
             OFFSETS_GAPS);
    offsets_gap_arrays(batch, topic, sql);
    buf_addf(sql, ") g GROUP BY p, part) g ON CONFLICT (cluster_id, group_id,"
             " topic, partition, table_name, first_offset, kind) DO UPDATE SET"
             " next_offset=EXCLUDED.next_offset, holes=EXCLUDED.holes"
             SQL_OP("||") "b.holes, updated_at=pg_catalog.now();");
}


static void
offsets_gap_arrays(const batch_t *batch, uint16_t topic, buf_t *sql)
{
    buf_addf(sql, "unnest('{");
    offsets_gap_array(batch, topic, OFFSETS_GAP_PARTITION, sql);
    buf_addf(sql, "}'::integer[],'{");
    offsets_gap_array(batch, topic, OFFSETS_GAP_FIRST, sql);
    buf_addf(sql, "}'::bigint[],'{");
    offsets_gap_array(batch, topic, OFFSETS_GAP_NEXT, sql);
    buf_addf(sql, "}'::bigint[]) g (p, f, t)");
}


static void
offsets_gap_array(const batch_t *batch, uint16_t topic, gap_field_t field,
    buf_t *sql)
{
    bool                more;
    size_t              i;
    const batch_gap_t  *gap;

    for (i = 0, more = false; i < batch->ngaps; i++) {
        gap = &batch->gaps[i];

        if (gap->topic == topic) {
            buf_addf(sql, "%s%" PRId64, more ? "," : "",
                     field == OFFSETS_GAP_PARTITION ? gap->partition
                     : field == OFFSETS_GAP_FIRST ? gap->first : gap->next);
            more = true;
        }
    }
}


void
offsets_assert(const offsets_t *o, const batch_t *batch, buf_t *sql)
{
    size_t                i;
    buf_t                 block = { 0 };
    const batch_range_t  *range;

    buf_addf(&block, "BEGIN ");

    for (i = 0; i < batch->nranges; i++) {
        range = &batch->ranges[i];
        buf_addf(&block, "PERFORM 1 FROM sluice.offsets WHERE %s"
                 " AND partition" SQL_OP("=") "%d AND epoch" SQL_OP("=")
                 "%" PRId64 ";"
                 "IF NOT FOUND THEN RAISE EXCEPTION 'partition %d is no "
                 "longer in epoch %" PRId64 "' USING ERRCODE='SL001';END IF;",
                 offsets_where(o, range->topic), range->partition,
                 range->epoch, range->partition, range->epoch);
    }

    buf_addf(&block, "END");
    sql_do(sql, &block);
    buf_addf(sql, ";");
}
