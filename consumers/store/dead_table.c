/* Writes dead letters for the COPY into sluice.dead_letters. */

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "record/headers.h"
#include "row/copy.h"
#include "store/dead_table.h"


#define DEAD_TABLE_YEAR_10000  253402300800000    /* ms since 1970 */


static int dead_table_letter(dead_table_t *dead, const batch_t *batch,
    const batch_row_t *row, buf_t *out);
static int dead_table_headers(dead_table_t *dead, const record_t *record,
    buf_t *out);
static void dead_table_date(int64_t timestamp, buf_t *out);
static int dead_table_text(const char *s, buf_t *out);
static int dead_table_field(const char *s, size_t len, bool bytes,
    buf_t *out);


int
dead_table_prepare(dead_table_t *dead, const conf_t *conf,
    const char *cluster)
{
    dead->conf = conf;
    dead->sql.len = 0;
    dead->key.len = 0;

    buf_addf(&dead->sql, "COPY sluice.dead_letters (cluster_id,"
             "group_id,topic,table_name,partition,\"offset\",\"timestamp\","
             "key,headers,value,sqlstate,reason%s) FROM STDIN",
             conf->dead_store == CONF_STORE_REASON ? ",stripped" : "");

    return buf_failed(&dead->sql)
           || dead_table_text(cluster, &dead->key) == -1
           || dead_table_text(conf->group, &dead->key) == -1 ? -1 : 0;
}


void
dead_table_free(dead_table_t *dead)
{
    buf_free(&dead->sql);
    buf_free(&dead->key);
    buf_free(&dead->list);
    buf_free(&dead->headers);
}


int
dead_table_chunk(dead_table_t *dead, const batch_t *batch, size_t *row,
    buf_t *out)
{
    const batch_row_t  *r;

    while (*row < batch->nrows && out->len < BATCH_CHUNK) {
        r = &batch->rows[(*row)++];

        if (r->fault && dead_table_letter(dead, batch, r, out) == -1) {
            return -1;
        }
    }

    return 0;
}


static int
dead_table_letter(dead_table_t *dead, const batch_t *batch,
    const batch_row_t *row, buf_t *out)
{
    bool                   all;
    size_t                 topic;
    record_t               record;
    const conf_t          *conf;
    const record_fault_t  *fault;

    topic = batch->ranges[row->range].topic;
    conf = conf_of_topic(dead->conf, topic);
    all = conf->dead_store == CONF_STORE_ALL;
    fault = &batch->faults[row->fault - 1];
    batch_record(batch, row, &record);

    buf_add(out, dead->key.data, dead->key.len);

    if (dead_table_text(conf->topic, out) == -1
        || dead_table_text(row->target < dead->conf->ntargets
                           ? dead->conf->targets[row->target]->table
                           : conf->table, out)
           == -1)
    {
        return -1;
    }

    buf_addf(out, "%" PRId32 "\t%" PRId64 "\t", record.partition,
             record.offset);
    dead_table_date(record.timestamp, out);

    if (dead_table_field(all ? record.key : NULL, record.key_len, true, out)
        == -1
        || dead_table_headers(dead, &record, out) == -1
        || dead_table_field(all ? record.value : NULL, record.value_len, true,
                            out)
           == -1
        || dead_table_text(fault->sqlstate, out) == -1
        || copy_add_text(out, fault->reason, strlen(fault->reason)) == -1)
    {
        return -1;
    }

    buf_addf(out, all ? "\n" : "\tt\n");

    return buf_failed(out) ? -1 : 0;
}


/* As JSON; null where there is none, or where only the reason is stored. */

static int
dead_table_headers(dead_table_t *dead, const record_t *record, buf_t *out)
{
    dead->headers.len = 0;

    if (record->headers == NULL || dead->conf->dead_store != CONF_STORE_ALL) {
        return dead_table_field(NULL, 0, false, out);
    }

    if (headers_unpack(&dead->list, record->headers, record->headers_len)
        == -1)
    {
        return -1;
    }

    if (headers_write(&dead->headers, (const record_header_t *) (const void *)
                      dead->list.data,
                      dead->list.len / sizeof(record_header_t)) == -1)
    {
        buf_free(&dead->headers);
        return -1;
    }

    return dead_table_field(dead->headers.data, dead->headers.len, false, out);
}


static void
dead_table_date(int64_t timestamp, buf_t *out)
{
    char  date[CLOCK_PRINTED];

    if (timestamp >= 0 && timestamp < DEAD_TABLE_YEAR_10000) {
        clock_print(date, timestamp, ' ');
        buf_addf(out, "%s+00\t", date);

    } else {
        buf_addf(out, "\\N\t");
    }
}


static int
dead_table_text(const char *s, buf_t *out)
{
    return dead_table_field(s, strlen(s), false, out);
}


/* A field and the tab behind it; NULL is null. */

static int
dead_table_field(const char *s, size_t len, bool bytes, buf_t *out)
{
    int  rc;

    if (buf_failed(out)) {
        return -1;
    }

    rc = s == NULL ? copy_add_null(out)
         : bytes ? copy_add_bytea(out, s, len, false)
         : copy_add_text(out, s, len);

    if (rc == -1) {
        return -1;
    }

    buf_add(out, "\t", 1);

    return buf_failed(out) ? -1 : 0;
}


int
dead_window_add(dead_window_t *window, const batch_t *batch, double limit)
{
    size_t   i;
    uint8_t  bad;

    if (batch->dead == 0 && window->count == 0) {
        return 0;
    }

    for (i = 0; i < batch->nrows; i++) {
        if (batch->rows[i].nth) {
            continue;
        }

        bad = batch->rows[i].fault != 0;

        window->count += bad;
        window->count -= window->bad[window->next];
        window->bad[window->next] = bad;
        window->next = (window->next + 1) % DEAD_WINDOW;

        if (bad && (double) window->count > limit * DEAD_WINDOW) {
            return -1;
        }
    }

    return 0;
}
