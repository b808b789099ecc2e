/*
 * The subcommand skip: puts the record that stands in the way aside, as a dead
 * letter.  Dead letter, offset and range are written by the daemon's own code,
 * under a new epoch: a daemon that holds the record in a batch is fenced, and
 * goes on behind it.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kafka/message.h"
#include "postgres/sql.h"
#include "store/dead_table.h"
#include "store/offsets.h"
#include "tools/command.h"
#include "tools/places.h"


#define SKIP_READ    15000      /* ms, to read the record */
#define SKIP_STATE   "SL003"
#define SKIP_REASON  "an operator put it aside (\"skip\")"


typedef struct {
    tool_t               tool;
    const char          *partition;    /* in digits */
    const char          *offset;

    /* options */
    const char          *to;
    bool                 dry_run;

    int64_t              stored;       /* the partition's next_offset */
    rd_kafka_message_t  *rkm;          /* the record */
    batch_t              batch;        /* it alone */
} skip_t;


/* Columns of skip_ask. */
enum {
    SKIP_NEXT = 0,
    SKIP_TIMESTAMP,    /* NULL, and so the next: no record came before */
    SKIP_CRC
};


static int skip_check(tool_t *tool);
static int skip_run(tool_t *tool);
static int skip_find(skip_t *skip, tool_t *tool);
static int skip_read(skip_t *skip, tool_t *tool, const PGresult *res);
static int skip_take(skip_t *skip, tool_t *tool, const PGresult *res,
    rd_kafka_message_t *rkm);
static int skip_begin(skip_t *skip, tool_t *tool);
static int skip_fill(skip_t *skip, int64_t epoch, int64_t run);
static int skip_letter(skip_t *skip, tool_t *tool);
static int skip_commit(skip_t *skip, tool_t *tool);


static const option_t  skip_options[] = {
    OPTION("to",      TEXT, skip_t, to),
    OPTION("dry-run", FLAG, skip_t, dry_run),
    OPTION_END
};

const command_t  command_skip = {
    .name = "skip",
    .help = "put the record aside that stands in the way",
    .open = TOOL_LOG_MUST,
    .size = sizeof(skip_t),
    .options = skip_options,
    .least = 1,
    .most = 1,
    .check = skip_check,
    .run = skip_run,
    .usage =
    "TOPIC/PARTITION/OFFSET --to dead-letters [--dry-run]\n"
    "\n"
    "Makes one record a dead letter: the next one of its partition, for which\n"
    "the daemon holds.  The daemon may run, and goes on behind the record.\n"
    "sluice.audit records it.\n"
    "\n"
    "  --to dead-letters   where it is put; there is no other place\n"
    "  --dry-run           print what would be done, change nothing\n"
};


static const char  skip_ask[] =
    "SELECT next_offset, last_timestamp, last_crc FROM sluice.offsets"
    " WHERE " TOOL_OURS " AND partition = $7::integer";

/*
 * Raises the epoch of the offset that was read, $8, and returns it with the
 * first offset of the range that is continued.  $9 is the record's offset.
 */
static const char  skip_claim[] =
    "WITH claimed AS (UPDATE sluice.offsets SET epoch = epoch + 1,"
    " updated_at = now() WHERE " TOOL_OURS " AND partition = $7::integer"
    " AND next_offset = $8::bigint RETURNING epoch)"
    ", audited AS (INSERT INTO sluice.audit (action, cluster_id, group_id,"
    " topic, table_name, detail) SELECT 'skip', $1, $2, $3, $4,"
    " jsonb_build_object('partition', $7::integer, 'offset', $9::bigint,"
    " 'to', 'dead-letters') FROM claimed)"
    " SELECT epoch, coalesce((SELECT max(first_offset) FROM sluice.batches"
    " WHERE " TOOL_OURS " AND partition = $7::integer AND kind = 'records'"
    " AND next_offset = $8::bigint), $8::bigint) FROM claimed";


static int
skip_check(tool_t *tool)
{
    skip_t  *skip = (skip_t *) tool;

    if (skip->to == NULL || strcmp(skip->to, "dead-letters") != 0) {
        return report_error("--to dead-letters is required");
    }

    return places_read(tool, &skip->partition, &skip->offset);
}


static int
skip_run(tool_t *tool)
{
    int      rc;
    skip_t  *skip = (skip_t *) tool;

    batch_init(&skip->batch, 1, SIZE_MAX, 0);
    rc = skip_find(skip, tool);

    if (rc == 0 && !skip->dry_run
        && (skip_begin(skip, tool) == -1 || skip_letter(skip, tool) == -1
            || skip_commit(skip, tool) == -1))
    {
        rc = -1;
    }

    if (rc == 0) {
        printf("%s/%s/%s %s a dead letter, the next offset is %" PRId64 ".\n"
               "%s\n", tool->conf->topic, skip->partition, skip->offset,
               skip->dry_run ? "would be" : "is", skip->rkm->offset + 1,
               skip->dry_run ? "Nothing was changed."
                             : "Done, and recorded in sluice.audit.");
    }

    if (skip->rkm) {
        rd_kafka_message_destroy(skip->rkm);
    }

    batch_free(&skip->batch);

    return rc;
}


/* The record is read before the transaction begins: no lock waits for Kafka. */

static int
skip_find(skip_t *skip, tool_t *tool)
{
    int        rc;
    int64_t    offset;
    PGresult  *res;

    offset = strtoll(skip->offset, NULL, 10);
    res = tool_query(tool, skip_ask, skip->partition);
    rc = -1;

    if (res == NULL) {
        return -1;
    }

    if (PQntuples(res) == 0) {
        report_error("nothing is stored of partition %s: no daemon has "
                     "claimed it", skip->partition);
        goto done;
    }

    skip->stored = sql_number(res, 0, SKIP_NEXT);

    if (offset < skip->stored) {
        report_error("offset %" PRId64 " is accounted for already: the next "
                     "one of partition %s is %" PRId64, offset,
                     skip->partition, skip->stored);
        goto done;
    }

    rc = skip_read(skip, tool, res);

    if (rc == 0 && skip->rkm->offset != offset) {
        rc = report_error("offset %" PRId64 " is not the next record of "
                          "partition %s, which is %" PRId64, offset,
                          skip->partition, skip->rkm->offset);
    }

done:

    PQclear(res);

    return rc;
}


/*
 * Reads the first record at or behind the stored offset, and the one before
 * it, which must be the one that was stored: else the topic is another one,
 * for which the daemon holds.
 */

static int
skip_read(skip_t *skip, tool_t *tool, const PGresult *res)
{
    int                               rc;
    int64_t                           deadline;
    const lookup_range_t             *range, *end;
    rd_kafka_message_t               *rkm;
    rd_kafka_resp_err_t               err;
    rd_kafka_topic_partition_list_t  *list;

    end = tool->log->ranges + tool->log->nranges;

    for (range = tool->log->ranges; range < end; range++) {
        if (range->partition == strtol(skip->partition, NULL, 10)) {
            break;
        }
    }

    if (range == end || skip->stored < range->begin
        || skip->stored >= range->end)
    {
        return report_error("offset %" PRId64 ", the next one of partition %s, "
                            "is not in the log", skip->stored, skip->partition);
    }

    if (tool_client(tool) == -1) {
        return -1;
    }

    list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, tool->conf->topic,
                                      range->partition)->offset
        = skip->stored - (skip->stored > range->begin);
    err = rd_kafka_assign(tool->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    deadline = clock_ms() + SKIP_READ;

    for (rc = 0; rc == 0 && err == 0 && clock_ms() < deadline; ) {
        rkm = rd_kafka_consumer_poll(tool->rk, 100);

        if (rkm) {
            rc = skip_take(skip, tool, res, rkm);
        }
    }

    if (rc == 0) {
        report_error("could not read offset %" PRId64 " of partition %s%s%s",
                     skip->stored, skip->partition, err ? ": " : " in time",
                     err ? rd_kafka_err2str(err) : "");
    }

    rd_kafka_assign(tool->rk, NULL);

    return rc == 1 ? 0 : -1;
}


/* Takes a message.  Returns 1: it is the record, 0: another one is, or -1. */

static int
skip_take(skip_t *skip, tool_t *tool, const PGresult *res,
    rd_kafka_message_t *rkm)
{
    int  rc;

    rc = 0;

    if (rkm->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        rc = report_error("partition %s has no record at or behind offset %"
                          PRId64, skip->partition, skip->stored);

    } else if (rkm->err == 0 && rkm->offset >= skip->stored) {
        skip->rkm = rkm;
        return 1;

    } else if (rkm->err == 0 && rkm->offset == skip->stored - 1
               && !PQgetisnull(res, 0, SKIP_TIMESTAMP)
               && !PQgetisnull(res, 0, SKIP_CRC)
               && !message_is(rkm, sql_number(res, 0, SKIP_TIMESTAMP),
                              (uint32_t) sql_number(res, 0, SKIP_CRC)))
    {
        rc = report_error("topic \"%s\" was created again or cut: partition "
                          "%s, another record was stored of offset %" PRId64,
                          tool->conf->topic, skip->partition, rkm->offset);
    }

    rd_kafka_message_destroy(rkm);

    return rc;
}


/* Begins the transaction, with the row of sluice.offsets locked. */

static int
skip_begin(skip_t *skip, tool_t *tool)
{
    int        rc;
    char       stored[24];
    PGresult  *res;

    rc = tool_begin(tool);

    if (rc == -1) {
        return -1;
    }

    snprintf(stored, sizeof(stored), "%" PRId64, skip->stored);
    res = tool_query(tool, skip_claim, skip->partition, stored, skip->offset);

    if (res == NULL) {
        return -1;
    }

    if (PQntuples(res) == 0) {
        rc = report_error("partition %s is no longer at offset %" PRId64,
                          skip->partition, skip->stored);
        goto done;
    }

    if (skip_fill(skip, sql_number(res, 0, 0), sql_number(res, 0, 1)) == -1) {
        rc = report_error("out of memory");
    }

done:

    PQclear(res);

    return rc;
}


static int
skip_fill(skip_t *skip, int64_t epoch, int64_t run)
{
    int       rc, range;
    buf_t     headers = { 0 };
    record_t  record;

    range = batch_range(&skip->batch, skip->rkm->partition, skip->stored,
                        epoch, run);

    rc = range == -1
         || message_record(skip->rkm, &headers, &record) == -1
         || batch_add(&skip->batch, (unsigned) range, &record, 0) == -1
         || batch_fault(&skip->batch, 0, SKIP_STATE, SKIP_REASON) == -1
         ? -1 : 0;

    if (rc == 0 && skip->tool.conf->nroutes) {
        skip->batch.rows[0].target = BATCH_NO_TARGET;
    }

    buf_free(&headers);

    return rc;
}


static int
skip_letter(skip_t *skip, tool_t *tool)
{
    int            rc;
    size_t         row;
    buf_t          line = { 0 };
    PGresult      *res;
    dead_table_t   dead = { 0 };

    row = 0;
    rc = -1;

    if (dead_table_prepare(&dead, tool->conf, tool->cluster) == -1
        || dead_table_chunk(&dead, &skip->batch, &row, &line) == -1
        || line.len > INT32_MAX)
    {
        report_error("out of memory");
        goto done;
    }

    res = PQexec(tool->conn, dead.sql.data);

    if (PQresultStatus(res) != PGRES_COPY_IN
        || PQputCopyData(tool->conn, line.data, (int) line.len) != 1
        || PQputCopyEnd(tool->conn, NULL) != 1)
    {
        report_error("%s", report_reason(tool->conn));
        PQclear(res);
        goto done;
    }

    PQclear(res);
    res = PQgetResult(tool->conn);

    if (PQresultStatus(res) == PGRES_COMMAND_OK) {
        rc = 0;
    } else {
        report_error("%s", report_reason(tool->conn));
    }

    PQclear(res);

done:

    dead_table_free(&dead);
    buf_free(&line);

    return rc;
}


/* The stored offsets may have another spelling of the table's name. */

static int
skip_commit(skip_t *skip, tool_t *tool)
{
    int         rc;
    buf_t       sql = { 0 };
    conf_t      conf;
    offsets_t  *offsets;

    conf = *tool->conf;
    conf.table = tool->table.data;
    offsets = offsets_create(&conf, "");

    if (offsets == NULL || offsets_set_cluster(offsets, tool->cluster) == -1) {
        rc = report_error("out of memory");

    } else {
        offsets_advance(offsets, &skip->batch, &sql);
        rc = tool_done(tool_script(tool, sql.data));
    }

    offsets_destroy(offsets);
    buf_free(&sql);

    return rc;
}
