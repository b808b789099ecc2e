/*
 * Stores dead letters in the table as a daemon would store their records now:
 * by its own code for rows, modes and the search for bad rows.  Its transaction
 * advances offsets; this one deletes the dead letters that became rows.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postgres/sql.h"
#include "record/headers.h"
#include "tools/dead_letters.h"
#include "tools/dead_store.h"


#define REPLAY_ROWS     1000       /* of one transaction */
#define REPLAY_BYTES    (8 << 20)
#define REPLAY_SAID     20         /* reasons that are printed */


/* Columns of the query in replay_all(). */
enum {
    REPLAY_ID = 0,
    REPLAY_PARTITION,
    REPLAY_OFFSET,
    REPLAY_TIMESTAMP,      /* ms; -1: none */
    REPLAY_KEY,
    REPLAY_HEADERS,
    REPLAY_VALUE
};


typedef struct {
    dead_t        *dead;
    dead_store_t   store;
    json_doc_t     doc;

    int64_t        rows[REPLAY_ROWS];      /* IDs of the batch's records */
    size_t         nrows;
    int64_t        others[REPLAY_ROWS];    /* IDs of what "where" left out */
    size_t         nothers;

    int64_t        last;                   /* ID that was looked at */
    int64_t        stored;
    int64_t        filtered;
    int64_t        left;
} dead_replay_t;


static int replay_all(dead_replay_t *r);
static int replay_fill(dead_replay_t *r, const PGresult *res);
static int replay_record(dead_replay_t *r, const PGresult *res, int row);
static int replay_bytes(const PGresult *res, int row, int column,
    unsigned char **bytes, size_t *len);
static void replay_account(dead_replay_t *r);
static void replay_commit(void *data, const batch_t *batch, buf_t *sql);


int
dead_replay_run(tool_t *tool)
{
    int             rc;
    dead_t         *dead = (dead_t *) tool;
    sink_end_t      end;
    dead_replay_t  *r;

    r = calloc(1, sizeof(dead_replay_t));

    if (r == NULL) {
        return report_error("out of memory");
    }

    r->dead = dead;
    end.commit = replay_commit;
    end.data = r;
    rc = dead_store_open(&r->store, tool->conf, &end, REPLAY_ROWS,
                         REPLAY_BYTES);

    if (rc == 0) {
        r->left = tool_number(dead_query(dead, "SELECT count(*)" DEAD_CHOICE
                                         " AND stripped", NULL, NULL));
        rc = r->left == -1 ? -1 : 0;
    }

    if (rc == 0) {
        if (r->left) {
            report_error("%" PRId64 " dead letters stay: their records were "
                         "not kept (\"store\": \"reason\")", r->left);
        }

        rc = replay_all(r);
        printf("%" PRId64 " dead letters replayed, %" PRId64 " left out by "
               "\"where\", %" PRId64 " stay\n", r->stored, r->filtered,
               r->left);
        rc = rc == 0 && r->left == 0 ? 0 : -1;
    }

    dead_store_close(&r->store);
    json_doc_free(&r->doc);
    free(r);

    return rc;
}


/* Takes the dead letters by ID; one that fails again is tried only once. */

static int
replay_all(dead_replay_t *r)
{
    int        n, rc;
    char       last[24];
    PGresult  *res;

    do {
        snprintf(last, sizeof(last), "%" PRId64, r->last);
        res = dead_query(r->dead, "SELECT id, partition, \"offset\","
                         " coalesce((extract(epoch FROM \"timestamp\") * 1000)"
                         "::bigint, -1), key, headers, value" DEAD_CHOICE
                         " AND NOT stripped AND id > $10::bigint ORDER BY id"
                         " LIMIT 1000", last, NULL);
        if (res == NULL) {
            return -1;
        }

        n = PQntuples(res);
        rc = replay_fill(r, res);

        while (rc == 0 && targets_news(r->store.targets)) {
            if (dead_store_prepare(&r->store) == -1) {
                PQclear(res);
                return -1;
            }

            rc = replay_fill(r, res);
        }

        PQclear(res);

        if (rc == -1) {
            return report_error("out of memory");
        }

        if (n && dead_store_run(&r->store) == -1) {
            return -1;
        }

        if (n) {
            replay_account(r);
        }

    } while (n);

    return 0;
}


/* Takes as many rows of "res" as the batch holds. */

static int
replay_fill(dead_replay_t *r, const PGresult *res)
{
    int       row;
    batch_t  *batch = &r->store.batch;

    batch_reset(batch, 0);
    r->nothers = 0;
    r->nrows = 0;

    for (row = 0; row < PQntuples(res) && batch_has_room(batch); row++) {
        if (replay_record(r, res, row) == -1) {
            return -1;
        }
        r->last = sql_number(res, row, REPLAY_ID);
    }

    return 0;
}


static int
replay_record(dead_replay_t *r, const PGresult *res, int row)
{
    int             rc, range;
    buf_t           list = { 0 }, bytes;
    batch_t        *batch;
    size_t          before;
    record_t        record = { 0 };
    const char     *headers;
    unsigned char  *key, *value;

    batch = &r->store.batch;
    headers = PQgetvalue(res, row, REPLAY_HEADERS);
    memset(&bytes, 0, sizeof(buf_t));
    value = NULL;
    rc = -1;

    if (replay_bytes(res, row, REPLAY_KEY, &key, &record.key_len) == -1
        || replay_bytes(res, row, REPLAY_VALUE, &value, &record.value_len)
           == -1
        || headers_read(&r->doc, headers, strlen(headers), &list, &bytes)
           == -1)
    {
        goto failed;
    }

    record.topic = r->dead->tool.conf->topic;
    record.key = (const char *) key;
    record.value = (const char *) value;
    record.header = (const record_header_t *) (const void *) list.data;
    record.nheaders = list.len / sizeof(record_header_t);
    record.partition = (int32_t) sql_number(res, row, REPLAY_PARTITION);
    record.offset = sql_number(res, row, REPLAY_OFFSET);
    record.timestamp = sql_number(res, row, REPLAY_TIMESTAMP);

    range = batch_range(batch, record.partition, record.offset, 0, 0);
    before = batch->nrows;

    if (range != -1 && dead_store_ready(&r->store, &record) == 0) {
        rc = targets_add(r->store.targets, batch, (unsigned) range, &record);
    }

    if (rc == 0 && batch->nrows > before) {
        r->rows[r->nrows++] = sql_number(res, row, REPLAY_ID);

    } else if (rc == 0) {
        r->others[r->nothers++] = sql_number(res, row, REPLAY_ID);
    }

failed:

    PQfreemem(key);
    PQfreemem(value);
    buf_free(&list);
    buf_free(&bytes);

    return rc;
}


static int
replay_bytes(const PGresult *res, int row, int column, unsigned char **bytes,
    size_t *len)
{
    *bytes = NULL;
    *len = 0;

    if (PQgetisnull(res, row, column)) {
        return 0;
    }

    *bytes = PQunescapeBytea(
        (const unsigned char *) PQgetvalue(res, row, column), len);

    return *bytes ? 0 : -1;
}


static void
replay_account(dead_replay_t *r)
{
    size_t                 i, n;
    const batch_row_t     *row;
    const record_fault_t  *fault;

    r->filtered += (int64_t) r->nothers;

    for (i = 0, n = 0; i < r->store.batch.nrows; i++) {
        row = &r->store.batch.rows[i];

        if (row->nth) {
            continue;
        }

        n++;

        if (row->fault == 0) {
            r->stored += !row->absent;
            r->filtered += row->absent;
            continue;
        }

        fault = &r->store.batch.faults[row->fault - 1];

        if (r->left++ < REPLAY_SAID) {
            report_error("dead letter %" PRId64 " stays: %s (%s)",
                         r->rows[n - 1], fault->reason, fault->sqlstate);
        }
    }
}


/*
 * If a dead letter is gone, another replay has stored its row: this
 * transaction must fail.
 */

static void
replay_commit(void *data, const batch_t *batch, buf_t *sql)
{
    size_t          i, k, n;
    buf_t           block = { 0 };
    dead_replay_t  *r = data;

    buf_addf(&block, "DECLARE n bigint;BEGIN DELETE FROM sluice.dead_letters"
             " WHERE id" SQL_OP("=") "ANY ('{-1");

    for (i = 0, k = 0, n = r->nothers; i < batch->nrows; i++) {
        if (batch->rows[i].nth) {
            continue;
        }

        if (batch->rows[i].fault == 0) {
            buf_addf(&block, ",%" PRId64, r->rows[k]);
            n++;
        }

        k++;
    }

    for (i = 0; i < r->nothers; i++) {
        buf_addf(&block, ",%" PRId64, r->others[i]);
    }

    buf_addf(&block, "}');GET DIAGNOSTICS n = ROW_COUNT;IF n" SQL_OP("<>")
             "%zu THEN RAISE"
             " EXCEPTION 'another command replays or purges them' USING"
             " ERRCODE='SL001';END IF;END", n);

    sql_do(sql, &block);
    buf_addf(sql, ";COMMIT");
}
