/* The end of a batch's transaction: offsets and ranges, guarded. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/offsets.h"


/* A row of sluice.batches, or what is added to one. */
typedef struct {
    const char  *kind;
    int32_t      partition;
    int64_t      first;
    int64_t      next;
    int64_t      records;
    int64_t      dead;
    int64_t      filtered;
    int64_t      duplicates;
} offsets_record_t;


static void offsets_range(const offsets_t *o, PGconn *conn,
    const batch_t *batch, const batch_range_t *range, buf_t *sql);
static void offsets_record_range(const offsets_t *o, PGconn *conn,
    const offsets_record_t *record, buf_t *sql);
static int offsets_compare(const void *a, const void *b);


/*
 * The counts that came with version 2 of the tables are named only where
 * there is something to count: tables of version 1 do without.
 */

static void
offsets_record_range(const offsets_t *o, PGconn *conn,
    const offsets_record_t *record, buf_t *sql)
{
    bool  more;

    more = record->filtered || record->duplicates;

    buf_addf(sql, "INSERT INTO sluice.batches AS b (cluster_id, group_id,"
             " topic, table_name, partition, kind, first_offset, next_offset,"
             " records, dead_letters%s) VALUES (",
             more ? ", filtered, duplicates" : "");
    offsets_key(o, conn, sql);
    buf_addf(sql, ",%d,'%s',%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64,
             record->partition, record->kind, record->first, record->next,
             record->records, record->dead);

    if (more) {
        buf_addf(sql, ",%" PRId64 ",%" PRId64, record->filtered,
                 record->duplicates);
    }

    buf_addf(sql, ") ON CONFLICT (cluster_id, group_id, topic, partition,"
             " table_name, first_offset, kind) DO UPDATE SET"
             " next_offset=EXCLUDED.next_offset,"
             " records=b.records+EXCLUDED.records,"
             " dead_letters=b.dead_letters+EXCLUDED.dead_letters,%s"
             " updated_at=now();",
             more ? " filtered=b.filtered+EXCLUDED.filtered,"
                    " duplicates=b.duplicates+EXCLUDED.duplicates," : "");
}


static void
offsets_range(const offsets_t *o, PGconn *conn, const batch_t *batch,
    const batch_range_t *range, buf_t *sql)
{
    size_t            i;
    offsets_record_t  record;

    buf_addf(sql, "UPDATE sluice.offsets SET next_offset=%" PRId64
             ",last_timestamp=%" PRId64 ",last_crc=%" PRIu32
             ",updated_at=now() WHERE", range->next,
             range->last_timestamp, batch_last_crc(batch, range));
    offsets_where(o, conn, sql);
    buf_addf(sql, " AND partition=%d AND next_offset=%" PRId64
             " AND epoch=%" PRId64 ";GET DIAGNOSTICS n = ROW_COUNT;"
             "IF n <> 1 THEN RAISE EXCEPTION 'partition %d is no longer at "
             "offset %" PRId64 " in epoch %" PRId64 "' USING ERRCODE="
             "'SL001';END IF;",
             range->partition, range->expected, range->epoch,
             range->partition, range->expected, range->epoch);

    memset(&record, 0, sizeof(offsets_record_t));
    record.kind = "records";
    record.partition = range->partition;
    record.first = range->run;
    record.next = range->next;
    record.records = range->records;
    record.filtered = range->filtered;
    record.duplicates = range->duplicates;

    for (i = 0; batch->dead && i < batch->nrows; i++) {
        record.dead += batch->rows[i].fault
                       && &batch->ranges[batch->rows[i].range] == range;
    }

    offsets_record_range(o, conn, &record, sql);

    for (i = 0; i < batch->ngaps; i++) {
        if (batch->gaps[i].partition == range->partition) {
            memset(&record, 0, sizeof(offsets_record_t));
            record.kind = "gap";
            record.partition = range->partition;
            record.first = batch->gaps[i].first;
            record.next = batch->gaps[i].next;
            offsets_record_range(o, conn, &record, sql);
        }
    }
}


static int
offsets_compare(const void *a, const void *b)
{
    const batch_range_t  *const *p = a, *const *q = b;

    return ((*p)->partition > (*q)->partition)
           - ((*p)->partition < (*q)->partition);
}


void
offsets_advance(offsets_t *o, PGconn *conn, const batch_t *batch, buf_t *sql)
{
    size_t                 i;
    buf_t                  block;
    const batch_range_t  **order;

    memset(&block, 0, sizeof(buf_t));
    order = malloc((batch->nranges + 1) * sizeof(batch_range_t *));

    buf_addf(&block, "DECLARE n bigint;BEGIN ");

    for (i = 0; order && i < batch->nranges; i++) {
        order[i] = &batch->ranges[i];
    }

    if (order) {
        qsort(order, batch->nranges, sizeof(batch_range_t *),
              offsets_compare);
    }

    for (i = 0; order && i < batch->nranges; i++) {
        offsets_range(o, conn, batch, order[i], &block);
    }

    buf_addf(&block, "END");
    buf_addf(sql, "DO ");
    /* without memory an empty block: a syntax error, so no commit */
    sql_literal(sql, conn, order && !buf_failed(&block) ? block.data : "");
    buf_addf(sql, ";COMMIT");

    buf_free(&block);
    free(order);
}


void
offsets_assert(offsets_t *o, PGconn *conn, const batch_t *batch, buf_t *sql)
{
    size_t  i;
    buf_t   block;

    memset(&block, 0, sizeof(buf_t));
    buf_addf(&block, "BEGIN ");

    for (i = 0; i < batch->nranges; i++) {
        buf_addf(&block, "PERFORM 1 FROM sluice.offsets WHERE");
        offsets_where(o, conn, &block);
        buf_addf(&block, " AND partition=%d AND epoch=%" PRId64 ";"
                 "IF NOT FOUND THEN RAISE EXCEPTION 'partition %d is no "
                 "longer in epoch %" PRId64 "' USING ERRCODE='SL001';END IF;",
                 batch->ranges[i].partition, batch->ranges[i].epoch,
                 batch->ranges[i].partition, batch->ranges[i].epoch);
    }

    buf_addf(&block, "END");
    sql_do(sql, conn, &block);
    buf_addf(sql, ";");
}
