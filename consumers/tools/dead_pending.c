/*
 * Shows what would become dead letters, before it does: reads the records that
 * come next, stores them by the daemon's own code, and rolls that back.
 */

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kafka/message.h"
#include "postgres/sql.h"
#include "tools/dead_letters.h"
#include "tools/dead_store.h"


#define PENDING_READ  15000    /* ms, to read the records */


/* A partition with records that come next. */
typedef struct {
    int32_t  id;
    int64_t  next;       /* the next offset */
    int64_t  end;        /* of the topic; none behind it is read */
    size_t   records;    /* taken */
} pending_partition_t;


typedef struct {
    dead_t                           *dead;
    dead_store_t                      store;
    buf_t                             list;
    pending_partition_t              *partitions;
    size_t                            npartitions;
    size_t                            share;    /* records of one of them */
    rd_kafka_topic_partition_list_t  *assigned;
} dead_pending_t;


static int pending_find(dead_pending_t *p, tool_t *tool);
static int pending_read(dead_pending_t *p, tool_t *tool);
static int pending_take(dead_pending_t *p, const rd_kafka_message_t *rkm);
static size_t pending_left(const dead_pending_t *p);
static int pending_show(const dead_pending_t *p, tool_t *tool);
static cJSON *pending_row(const dead_pending_t *p, const batch_row_t *row);
static void pending_end(void *data, const batch_t *batch, buf_t *sql);


int
dead_pending_run(tool_t *tool)
{
    int             rc;
    sink_end_t      end;
    dead_pending_t  p = { 0 };

    p.dead = (dead_t *) tool;
    end.commit = pending_end;
    end.data = NULL;

    rc = dead_store_open(&p.store, tool->conf, &end,
                         (size_t) tool->conf->batch_rows,
                         (size_t) tool->conf->batch_bytes);

    if (rc == 0 && (tool_ask(tool) == -1 || pending_find(&p, tool) == -1
                    || pending_read(&p, tool) == -1
                    || (p.store.batch.nrows
                        && dead_store_run(&p.store) == -1)
                    || pending_show(&p, tool) == -1))
    {
        rc = -1;
    }

    dead_store_close(&p.store);
    buf_free(&p.list);
    free(p.partitions);

    if (p.assigned) {
        rd_kafka_topic_partition_list_destroy(p.assigned);
    }

    return rc;
}


/* The partitions of this group that are not at their end. */

static int
pending_find(dead_pending_t *p, tool_t *tool)
{
    int                   row;
    PGresult             *res;
    pending_partition_t  *part;

    res = tool_query(tool, TOOL_WITH_LOG " SELECT partition, next_offset, high"
                     " FROM sluice.offsets JOIN log USING (partition) WHERE "
                     TOOL_OURS " AND next_offset BETWEEN low AND high - 1");
    if (res == NULL) {
        return -1;
    }

    p->npartitions = (size_t) PQntuples(res);
    p->partitions = calloc(p->npartitions + 1, sizeof(pending_partition_t));
    p->assigned = rd_kafka_topic_partition_list_new(PQntuples(res));

    for (row = 0; p->partitions && row < PQntuples(res); row++) {
        part = &p->partitions[row];
        part->id = (int32_t) sql_number(res, row, 0);
        part->next = sql_number(res, row, 1);
        part->end = sql_number(res, row, 2);
        rd_kafka_topic_partition_list_add(p->assigned, tool->conf->topic,
                                          part->id)->offset = part->next;
    }

    PQclear(res);
    p->share = p->store.batch.max_rows / (p->npartitions + !p->npartitions);
    p->share += p->share == 0;

    return p->partitions ? 0 : report_error("out of memory");
}


/* Each partition gives its share of a batch, so that none hides another. */

static int
pending_read(dead_pending_t *p, tool_t *tool)
{
    int                  rc;
    int64_t              deadline;
    rd_kafka_message_t  *rkm;

    if (p->npartitions == 0) {
        return 0;
    }

    if (tool_client(tool) == -1) {
        return -1;
    }

    rc = rd_kafka_assign(tool->rk, p->assigned) == 0 ? 0 : -1;
    deadline = clock_ms() + PENDING_READ;

    while (rc == 0 && pending_left(p) && batch_has_room(&p->store.batch)) {

        if (clock_ms() >= deadline) {
            rc = report_error("could not read the records that come next in "
                              "time");
            break;
        }

        rkm = rd_kafka_consumer_poll(tool->rk, 100);

        if (rkm) {
            rc = pending_take(p, rkm);
            rd_kafka_message_destroy(rkm);
        }
    }

    rd_kafka_assign(tool->rk, NULL);

    return rc;
}


/* How many partitions have records that are still to be read. */

static size_t
pending_left(const dead_pending_t *p)
{
    size_t                      i, n;
    const pending_partition_t  *part;

    for (i = 0, n = 0; i < p->npartitions; i++) {
        part = &p->partitions[i];
        n += part->next < part->end && part->records < p->share;
    }

    return n;
}


static int
pending_take(dead_pending_t *p, const rd_kafka_message_t *rkm)
{
    int                   range;
    size_t                i;
    record_t              record;
    pending_partition_t  *part;

    for (i = 0; i < p->npartitions; i++) {
        if (p->partitions[i].id == rkm->partition) {
            break;
        }
    }

    if (i == p->npartitions) {
        return 0;
    }

    part = &p->partitions[i];

    if (rkm->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        part->next = part->end;
    }

    if (rkm->err || part->records == p->share || rkm->offset < part->next
        || rkm->offset >= part->end)
    {
        return 0;
    }

    range = batch_range(&p->store.batch, part->id, part->next, 0, part->next);

    if (range == -1 || message_record(rkm, &p->list, &record) == -1) {
        return report_error("out of memory");
    }

    if (dead_store_ready(&p->store, &record) == -1) {
        return -1;
    }

    if (targets_add(p->store.targets, &p->store.batch, (unsigned) range,
                    &record)
        == -1)
    {
        return report_error("out of memory");
    }

    part->records++;
    part->next = rkm->offset + 1;

    return 0;
}


/* Prints the bad ones, in the form that "list" has. */

static int
pending_show(const dead_pending_t *p, tool_t *tool)
{
    int             rc;
    char           *json;
    cJSON          *list;
    size_t          i;
    const batch_t  *batch = &p->store.batch;

    list = cJSON_CreateArray();

    for (i = 0; list && i < batch->nrows; i++) {
        if (batch->rows[i].fault
            && !cJSON_AddItemToArray(list, pending_row(p, &batch->rows[i])))
        {
            break;
        }
    }

    json = i == batch->nrows ? cJSON_PrintUnformatted(list) : NULL;
    cJSON_Delete(list);

    if (json == NULL) {
        return report_error("out of memory");
    }

    rc = tool_show(tool, dead_query(p->dead, "SELECT \"table\", partition,"
                   " \"offset\"::bigint, sqlstate, reason FROM"
                   " jsonb_to_recordset($11::jsonb) AS x (\"table\" text,"
                   " partition integer, \"offset\" text, sqlstate text,"
                   " reason text) WHERE ($7 = '' OR sqlstate = $7)"
                   " AND $8 = '0' AND $9 = '{}' ORDER BY partition,"
                   " \"offset\"::bigint LIMIT $10::bigint",
                   p->dead->limit ? p->dead->limit : DEAD_LIMIT, json));
    free(json);

    if (rc == 0 && !tool->json) {
        printf("%zu of the next %zu records would be dead letters; nothing "
               "was changed\n", batch->dead, batch_records(batch));
    }

    return rc;
}


/* Offsets are strings, as cJSON's numbers lose digits. */

static cJSON *
pending_row(const dead_pending_t *p, const batch_row_t *row)
{
    char                   offset[24];
    cJSON                 *json;
    const conf_t          *conf = p->dead->tool.conf;
    const batch_t         *batch = &p->store.batch;
    const record_fault_t  *fault;

    fault = &batch->faults[row->fault - 1];
    json = cJSON_CreateObject();
    snprintf(offset, sizeof(offset), "%lld", (long long) row->offset);

    if (!cJSON_AddStringToObject(json, "table", row->target < conf->ntargets
                                 ? conf->targets[row->target]->table
                                 : conf->table)
        || !cJSON_AddNumberToObject(json, "partition",
                                    batch->ranges[row->range].partition)
        || !cJSON_AddStringToObject(json, "offset", offset)
        || !cJSON_AddStringToObject(json, "sqlstate", fault->sqlstate)
        || !cJSON_AddStringToObject(json, "reason", fault->reason))
    {
        cJSON_Delete(json);
        return NULL;
    }

    return json;
}


/* Constraints that are checked at the end are checked before it. */

static void
pending_end(void *data, const batch_t *batch, buf_t *sql)
{
    buf_addf(sql, "SET CONSTRAINTS ALL IMMEDIATE;ROLLBACK");
}
