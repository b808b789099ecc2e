/* Checks whether records can be stored a second time without damage. */

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "kafka/message.h"
#include "postgres/sql.h"
#include "tools/repeat.h"


#define REPEAT_READ  10000    /* ms, below the transaction's idle time */


static int repeat_topic(tool_t *tool);
static int repeat_list(tool_t *tool, const PGresult *res,
    rd_kafka_topic_partition_list_t *list);
static int repeat_compare(tool_t *tool, const PGresult *res,
    rd_kafka_topic_partition_list_t *list);
static int repeat_other(const tool_t *tool, int32_t partition,
    const char *why, int64_t offset);
static int64_t repeat_has_place(tool_t *tool, const conf_t *conf);


int
repeat_check(tool_t *tool)
{
    size_t         i;
    int64_t        place;
    const conf_t  *conf;

    if (tool_client(tool) == -1 || repeat_topic(tool) == -1) {
        return -1;
    }

    for (i = 0; tool->conf->targets[i]->mode != CONF_MODE_APPEND; i++) {
        if (i + 1 == tool->conf->ntargets) {
            return 0;
        }
    }

    /* an append does not replace the row that exists */

    conf = tool->conf->targets[i];
    place = repeat_has_place(tool, conf);

    if (place == 0) {
        report_error("table \"%s\" would hold rows twice: it has no unique "
                     "index on its partition and offset columns. %s "
                     "--allow-duplicates", conf->table, tool->conf->nroutes
                     ? "Use" : "Name another table by --into, or use");

    } else if (place > 0) {
        report_error("records whose rows table \"%s\" has already would become "
                     "dead letters: set \"mode\": \"ignore\" and \"key\": "
                     "[\"%s\", \"%s\"] in the configuration, for which the "
                     "table has a unique index", conf->table,
                     tool_column(conf, CONF_FROM_PARTITION)->name,
                     tool_column(conf, CONF_FROM_OFFSET)->name);
    }

    return -1;
}


/* Each table of a route has its name in the configuration. */

int
repeat_into(conf_t *conf, char *into, char **schema)
{
    const char  *dot;

    *schema = NULL;

    if (conf->nroutes) {
        return report_error("--into cannot be used: \"route\" names the "
                            "tables");
    }

    if (!conf_is_table(into, &dot)) {
        return report_error("--into takes NAME or SCHEMA.NAME, names of 1 to "
                            "63 bytes without quotes");
    }

    if (dot) {
        *schema = strndup(into, (size_t) (dot - into));
    }

    if (dot && *schema == NULL) {
        return report_error("out of memory");
    }

    conf->table = into;
    conf->table_name = dot ? into + (dot - into) + 1 : into;
    conf->table_schema = *schema;

    return 0;
}


/*
 * Compares the record before each stored offset by its timestamp and CRC-32,
 * as a daemon does at each assignment.  If the log no longer has that record,
 * its partition passes.
 */

static int
repeat_topic(tool_t *tool)
{
    int                               rc;
    PGresult                         *res;
    rd_kafka_resp_err_t               err;
    rd_kafka_topic_partition_list_t  *list;

    res = tool_query(tool, "SELECT partition, next_offset, last_timestamp,"
                     " last_crc FROM sluice.offsets WHERE " TOOL_OURS
                     " AND last_timestamp IS NOT NULL"
                     " AND last_crc IS NOT NULL");
    if (res == NULL) {
        return -1;
    }

    list = rd_kafka_topic_partition_list_new(PQntuples(res) + 1);
    rc = repeat_list(tool, res, list);

    if (rc == 0 && list->cnt) {
        err = rd_kafka_assign(tool->rk, list);

        if (err) {
            rc = report_error("could not read topic \"%s\": %s",
                              tool->conf->topic, rd_kafka_err2str(err));

        } else {
            rc = repeat_compare(tool, res, list);
            rd_kafka_assign(tool->rk, NULL);
        }
    }

    rd_kafka_topic_partition_list_destroy(list);
    PQclear(res);

    return rc;
}


/* Lists the records to be read; "opaque" is the row of "res", from 1. */

static int
repeat_list(tool_t *tool, const PGresult *res,
    rd_kafka_topic_partition_list_t *list)
{
    int                          row;
    size_t                       i;
    int64_t                      stored;
    const lookup_range_t        *range;
    rd_kafka_topic_partition_t  *p;

    for (row = 0; row < PQntuples(res); row++) {
        stored = sql_number(res, row, 1);

        for (i = 0; i < tool->log->nranges; i++) {
            range = &tool->log->ranges[i];

            if (range->partition != sql_number(res, row, 0)) {
                continue;
            }

            if (stored > range->end) {
                return repeat_other(tool, range->partition,
                                    "the log ends at offset", range->end);
            }

            if (stored > range->begin) {
                p = rd_kafka_topic_partition_list_add(list, tool->conf->topic,
                                                      range->partition);
                p->offset = stored - 1;
                p->opaque = (void *) (intptr_t) (row + 1);
            }
        }
    }

    return 0;
}


/* The first event of a partition decides: its record, or the log's end. */

static int
repeat_compare(tool_t *tool, const PGresult *res,
    rd_kafka_topic_partition_list_t *list)
{
    int                          left, row;
    bool                         other;
    int64_t                      deadline;
    rd_kafka_message_t          *rkm;
    rd_kafka_topic_partition_t  *p;

    deadline = clock_ms() + REPEAT_READ;

    for (left = list->cnt; left; /* void */ ) {

        if (clock_ms() >= deadline) {
            return report_error("could not read topic \"%s\" in time to "
                                "compare it with what was stored",
                                tool->conf->topic);
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
        other = false;

        if (p && p->opaque) {
            row = (int) (intptr_t) p->opaque - 1;
            p->opaque = NULL;
            left--;
            other = rkm->err == 0 && rkm->offset == p->offset
                    && !message_is(rkm, sql_number(res, row, 2),
                                       (uint32_t) sql_number(res, row, 3));
        }

        rd_kafka_message_destroy(rkm);

        if (other) {
            return repeat_other(tool, p->partition,
                                "another record was stored of offset",
                                p->offset);
        }
    }

    return 0;
}


static int
repeat_other(const tool_t *tool, int32_t partition, const char *why,
    int64_t offset)
{
    return report_error("topic \"%s\" was created again or cut: partition %d, "
                        "%s %" PRId64 "; its records would meet the rows of "
                        "the old topic. %s --allow-duplicates if the rows' key "
                        "is not the offset", tool->conf->topic, partition, why,
                        offset, tool->conf->nroutes ? "Use" : "Name another "
                        "table by --into, or use");
}


/* Whether a unique index of the table has only columns of the record's place:
   1, 0, or -1 for an error. */

static int64_t
repeat_has_place(tool_t *tool, const conf_t *conf)
{
    char                  target[24];
    size_t                i;
    const conf_column_t  *partition, *offset, *topic;

    partition = tool_column(conf, CONF_FROM_PARTITION);
    offset = tool_column(conf, CONF_FROM_OFFSET);
    topic = tool_column(conf, CONF_FROM_TOPIC);

    if (partition == NULL || offset == NULL) {
        return 0;
    }

    for (i = 0; tool->conf->targets[i] != conf; i++) { /* void */ }

    snprintf(target, sizeof(target), "%zu", i + 1);

    return tool_number(tool_query(tool,
        "SELECT least(count(*), 1) FROM pg_index i WHERE i.indisunique"
        " AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL"
        " AND i.indrelid = to_regclass(($11::text[])[$7::integer])"
        " AND NOT EXISTS (SELECT FROM pg_attribute a"
        " WHERE a.attrelid = i.indrelid AND a.attnum = ANY"
        " ((i.indkey::smallint[])[0:i.indnkeyatts - 1])"
        " AND a.attname NOT IN ($8, $9, $10))",
        target, partition->name, offset->name,
        topic ? topic->name : offset->name, tool->places.data));
}
