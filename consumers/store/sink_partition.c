/*
 * Partitions that the tables lack: those that a row of the batch needs, and, at
 * most once a minute, those that rows will need.  They are made in a
 * transaction of their own; the batch is begun behind it.
 */

#include <stdio.h>

#include "base/clock.h"
#include "base/testpoint.h"
#include "postgres/partition.h"
#include "store/sink_impl.h"


#define SINK_PARTITION_EVERY  60000    /* ms */


static int sink_hours(const sink_t *sink, buf_t *list);


static const conf_t *
sink_parted(const sink_t *sink)
{
    return sink->conf->targets[sink->parted];
}


bool
sink_parts_due(const sink_t *sink)
{
    return sink->part_at == 0
           || testpoint_lasted(clock_ms() - sink->part_at)
              >= SINK_PARTITION_EVERY;
}


bool
sink_lacks(sink_t *sink, const pg_reply_t *reply)
{
    if (!sqlstate_no_partition(reply->sqlstate, reply->constraint)
        || sink->conf->targets[sink->span.target]->partition_by
           == CONF_PERIOD_NONE)
    {
        return false;
    }

    sink->parted = sink->span.target;
    sink->lacks = sink->may_part;

    return sink->lacks;
}


sink_state_t
sink_anew(sink_t *sink)
{
    sink->careful = false;
    sink->looked = false;
    sink->not_plain = false;
    sink->not_known = false;
    sink->seen_tries = 0;
    batch_forget_faults(sink->batch);

    return SINK_BEGIN;
}


/* Without a partition to make, the batch is begun. */

sink_state_t
sink_make_partitions(sink_t *sink)
{
    int    rc;
    buf_t  list;

    while (!sink->lacks && sink->parted < sink->ntables
           && sink_parted(sink)->partition_by == CONF_PERIOD_NONE)
    {
        sink->parted++;
    }

    if (sink->parted == sink->ntables) {
        sink->part_at = clock_ms();
        return sink_anew(sink);
    }

    memset(&list, 0, sizeof(buf_t));
    rc = sink_hours(sink, &list);

    if (rc == 0) {
        sink->careful = false;
        sink->sql.len = 0;

        if (PQtransactionStatus(pg_conn(sink->pg)) != PQTRANS_IDLE) {
            buf_addf(&sink->sql, "ROLLBACK;");
        }

        sql_begin(&sink->sql);
        partition_make(&sink->sql, sink_parted(sink),
                       targets_found(sink->targets, sink->parted)->name,
                       list.data);
        buf_addf(&sink->sql, ";COMMIT");
    }

    buf_free(&list);

    return rc == -1 ? sink_stop(sink, SQLSTATE_RETRY, SINK_MEMORY)
                    : sink_send(sink, false);
}


/* The hours of the times of the table's rows, if one of these lacks a
   partition. */

static int
sink_hours(const sink_t *sink, buf_t *list)
{
    buf_t                hours;
    size_t               i;
    const batch_t       *batch = sink->batch;
    const batch_row_t   *row;

    memset(&hours, 0, sizeof(buf_t));

    for (i = sink->tables[sink->parted].first;
         sink->lacks && i < batch->nrows; i = row->next)
    {
        row = &batch->rows[i];

        if (row->text_len && !row->tombstone
            && partition_hour(&hours, targets_found(sink->targets,
                                                    sink->parted),
                              batch->text.data + row->text, row->text_len,
                              row->tuple)
               == -1)
        {
            break;
        }
    }

    partition_hours(list, &hours);
    i = buf_failed(&hours) || buf_failed(list);
    buf_free(&hours);

    return i ? -1 : 0;
}


/*
 * What is made ahead may fail: no row needs it yet.  Where a row does, another
 * daemon may have made its partition meanwhile: the batch is begun again
 * even if none was made, for the last time.
 */

sink_state_t
sink_on_partitions(sink_t *sink, const pg_reply_t *reply)
{
    int64_t      made;
    outcome_t    outcome;
    const char  *wrong;

    sqlstate_outcome(&outcome, reply, "could not make a partition");
    made = partition_made(sink_parted(sink), reply, &wrong);

    if (outcome.action == SQLSTATE_ROW || outcome.action == SQLSTATE_ROW_LATER)
    {
        outcome.action = SQLSTATE_HOLD;
    }

    if (outcome.action == SQLSTATE_RECONNECT
        || (sink->lacks && outcome.action != SQLSTATE_OK))
    {
        return sink_stop(sink, outcome.action, outcome.reason);
    }

    wrong = outcome.action == SQLSTATE_OK ? wrong : outcome.reason;

    if (sink->lacks && made == 0 && *wrong) {
        return sink_stop(sink, SQLSTATE_HOLD, wrong);
    }

    if (*wrong) {
        log_limited(&sink->part_failed, "table \"%s\" lacks partitions: %s",
                    sink_parted(sink)->table, wrong);
    }

    if (sink->lacks) {
        testpoint("after-partition");
        sink->may_part = made > 0;
        return sink_anew(sink);
    }

    sink->parted += made < PARTITION_MOST;

    return SINK_PARTITIONS;
}
