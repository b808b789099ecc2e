/* Whether the topic is still the one whose records were stored. */

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "kafka/message.h"
#include "tools/tool.h"


#define TOOL_READ  10000    /* ms, below the transaction's idle time */


static PGresult *topic_stored(tool_t *tool);
static int topic_list(tool_t *tool, const PGresult *res,
    rd_kafka_topic_partition_list_t *list);
static int topic_compare(tool_t *tool, const PGresult *res,
    rd_kafka_topic_partition_list_t *list);
static int topic_record(tool_t *tool, const PGresult *res,
    const rd_kafka_message_t *rkm);
static int topic_other(tool_t *tool, const char *partition, const char *why,
    int64_t offset);


/*
 * The look of a daemon at each assignment: the record before the stored
 * offset, by its timestamp and CRC-32.  One that the log has no more tells
 * nothing.
 */

int
tool_check_topic(tool_t *tool)
{
    int                               rc;
    PGresult                         *res;
    rd_kafka_resp_err_t               err;
    rd_kafka_topic_partition_list_t  *list;

    res = topic_stored(tool);
    if (res == NULL) {
        return -1;
    }

    list = rd_kafka_topic_partition_list_new(PQntuples(res) + 1);
    rc = topic_list(tool, res, list);

    if (rc == 0 && list->cnt) {
        err = rd_kafka_assign(tool->rk, list);

        if (err) {
            tool_error("could not read topic \"%s\": %s", tool->conf->topic,
                       rd_kafka_err2str(err));
            rc = -1;

        } else {
            rc = topic_compare(tool, res, list);
            rd_kafka_assign(tool->rk, NULL);
        }
    }

    rd_kafka_topic_partition_list_destroy(list);
    PQclear(res);

    return rc;
}


static PGresult *
topic_stored(tool_t *tool)
{
    buf_t  sql;

    memset(&sql, 0, sizeof(buf_t));
    buf_addf(&sql, "SELECT partition, next_offset, last_timestamp, last_crc"
             " FROM sluice.offsets WHERE last_timestamp IS NOT NULL"
             " AND last_crc IS NOT NULL AND");
    offsets_where(tool->offsets, tool->conn, &sql);

    return tool_query(tool, &sql);
}


/* The records to be read. */

static int
topic_list(tool_t *tool, const PGresult *res,
    rd_kafka_topic_partition_list_t *list)
{
    int                    row;
    size_t                 i;
    int64_t                stored;
    const lookup_range_t  *range;

    for (row = 0; row < PQntuples(res); row++) {
        stored = sql_number(res, row, 1);

        for (i = 0; i < tool->log->nranges; i++) {
            range = &tool->log->ranges[i];

            if (range->partition != sql_number(res, row, 0)) {
                continue;
            }

            if (stored > range->end) {
                return topic_other(tool, PQgetvalue(res, row, 0),
                                   "the log ends at offset", range->end);
            }

            if (stored > range->begin) {
                rd_kafka_topic_partition_list_add(list, tool->conf->topic,
                                                  range->partition)
                    ->offset = stored - 1;
            }
        }
    }

    return 0;
}


/* Of each partition what comes first counts, be it the log's end. */

static int
topic_compare(tool_t *tool, const PGresult *res,
    rd_kafka_topic_partition_list_t *list)
{
    int                           left, rc;
    int64_t                       deadline;
    rd_kafka_message_t           *rkm;
    rd_kafka_topic_partition_t   *p;

    deadline = clock_ms() + TOOL_READ;
    left = list->cnt;
    rc = 0;

    while (rc == 0 && left) {

        if (clock_ms() >= deadline) {
            tool_error("could not read topic \"%s\" in time to compare it "
                       "with what was stored", tool->conf->topic);
            return -1;
        }

        rkm = rd_kafka_consumer_poll(tool->rk, 100);
        if (rkm == NULL) {
            continue;
        }

        p = rkm->err == RD_KAFKA_RESP_ERR_NO_ERROR
            || rkm->err == RD_KAFKA_RESP_ERR__PARTITION_EOF
            ? rd_kafka_topic_partition_list_find(list, tool->conf->topic,
                                                 rkm->partition)
            : NULL;

        if (p && p->offset != RD_KAFKA_OFFSET_INVALID) {
            p->offset = RD_KAFKA_OFFSET_INVALID;
            left--;
            rc = rkm->err ? 0 : topic_record(tool, res, rkm);
        }

        rd_kafka_message_destroy(rkm);
    }

    return rc;
}


static int
topic_record(tool_t *tool, const PGresult *res,
    const rd_kafka_message_t *rkm)
{
    int  row;

    for (row = 0; row < PQntuples(res); row++) {

        if (sql_number(res, row, 0) != rkm->partition
            || sql_number(res, row, 1) - 1 != rkm->offset)
        {
            continue;
        }

        if (!message_is(rkm, sql_number(res, row, 2),
                            (uint32_t) sql_number(res, row, 3)))
        {
            return topic_other(tool, PQgetvalue(res, row, 0),
                               "another record was stored of offset",
                               rkm->offset);
        }
    }

    return 0;
}


static int
topic_other(tool_t *tool, const char *partition, const char *why,
    int64_t offset)
{
    tool_error("topic \"%s\" was made again or cut: partition %s, %s %" PRId64
               "; its records would meet the rows of the old one's. %s "
               "--allow-duplicates if the rows' key is not the offset",
               tool->conf->topic, partition, why, offset,
               tool->conf->nroutes ? "Say"
                                   : "Name another table by --into, or say");

    return -1;
}
