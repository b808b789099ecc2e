/*
 * A client's retries, by an idempotency key of their own: what was seen
 * within the window takes no effect again.  The keys lie in a table of their
 * own, in the transaction of the rows, so that any table can do without
 * retries, a partitioned one or one without a key, too.
 *
 * Retries are few, so one COPY adds all keys of a batch.  If it meets one that
 * is there, the transaction is begun anew and a query tells which are; the
 * next batches ask first.  A key that another daemon is about to add makes
 * the COPY wait for it, and the same follows.
 */

#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sink_impl.h"


#define SINK_SEEN_TRIES  3      /* the first may have been without asking */
#define SINK_SEEN_ASK    100    /* batches behind one with a known key */

/* µs from 1970-01-01 to PostgreSQL's 2000-01-01 */
#define SINK_SEEN_EPOCH  INT64_C(946684800000000)


/* The first row of the batch that has a key. */
struct sink_key_s {
    uint64_t     order;    /* the hash's first bytes, as a number */
    const char  *hash;
    size_t       row;
    bool         add;
};


static int sink_seen_collect(sink_t *sink);
static int sink_seen_compare(const void *a, const void *b);
static void sink_seen_ask(sink_t *sink);
static void sink_on_seen(void *data, const pg_reply_t *reply);
static size_t sink_seen_take(sink_t *sink, const PGresult *res);
static int sink_seen_is_own(sink_t *sink, const sink_key_t *key,
    const PGresult *res, int row);
static size_t sink_seen_keys(void *data, const char **chunk);
static void sink_on_seen_added(void *data, const pg_reply_t *reply);
static void sink_seen_stop(sink_t *sink, outcome_t *outcome);


/* Of several records with one key the first counts. */

void
sink_seen(sink_t *sink)
{
    if (sink->end.commit || sink->conf->dedupe_header == NULL
        || sink->batch->retries == 0)
    {
        sink_open(sink);
        return;
    }

    if (sink_seen_collect(sink) == -1) {
        sink_stop(sink, SQLSTATE_RETRY, "out of memory");
        return;
    }

    if (sink->nkeys == 0) {
        /* only such as cannot become rows anyway */
        sink_open(sink);
        return;
    }

    buf_addf(&sink->sql, "SELECT (extract(epoch FROM now()) * 1000000)::bigint"
             " + %" PRId64 " - %" PRId64,
             sink->conf->dedupe_window * 1000, SINK_SEEN_EPOCH);

    if (sink->seen_ask) {
        sink_seen_ask(sink);
    }

    sink_send(sink, NULL, sink_on_seen);
}


/*
 * Keys are added in one order, so that two daemons never wait for each
 * other; whoever comes second waits until the first has committed or not.
 */

static int
sink_seen_collect(sink_t *sink)
{
    size_t              i;
    batch_t            *batch;
    sink_key_t         *key;
    const batch_row_t  *row;

    batch = sink->batch;

    if (sink->keys_size < batch->retries) {
        key = realloc(sink->keys, batch->retries * sizeof(sink_key_t));
        if (key == NULL) {
            return -1;
        }
        sink->keys = key;
        sink->keys_size = batch->retries;
    }

    for (i = 0, sink->nkeys = 0; i < batch->nrows; i++) {
        row = &batch->rows[i];

        if (row->retry && row->text_len && !row->duplicate) {
            key = &sink->keys[sink->nkeys++];
            key->hash = batch_retry(batch, row);
            memcpy(&key->order, key->hash, sizeof(key->order));
            key->order = be64toh(key->order);
            key->row = i;
            key->add = true;
        }
    }

    if (sink->nkeys == 0) {
        return 0;
    }

    qsort(sink->keys, sink->nkeys, sizeof(sink_key_t), sink_seen_compare);

    for (i = 1, key = sink->keys; i < sink->nkeys; i++) {
        if (memcmp(key->hash, sink->keys[i].hash, RETRY_KEY_LEN) == 0) {
            batch_duplicate(batch, sink->keys[i].row);
        } else {
            *++key = sink->keys[i];
        }
    }

    sink->nkeys = (size_t) (key - sink->keys) + 1;

    return 0;
}


static int
sink_seen_compare(const void *a, const void *b)
{
    int                rc;
    const sink_key_t  *p = a, *q = b;

    if (p->order != q->order) {
        return p->order < q->order ? -1 : 1;
    }

    rc = memcmp(p->hash, q->hash, RETRY_KEY_LEN);

    return rc ? rc : (p->row > q->row) - (p->row < q->row);
}


/*
 * Behind the time at which keys added now are over, which is there in any
 * case: those that are known.  One literal for all of them is read far faster
 * than an array; LIMIT keeps the plan at one look into the index for each,
 * whatever the statistics say.
 */

static void
sink_seen_ask(sink_t *sink)
{
    size_t                i, j;
    buf_t                *sql;
    const unsigned char  *hash;

    static const char  hex[] = "0123456789abcdef";

    sql = &sink->sql;

    buf_addf(sql, ", n, partition, \"offset\", lives, place"
             " FROM (VALUES (0)) one LEFT JOIN (generate_series(0, %zu) n"
             " CROSS JOIN LATERAL (SELECT partition, \"offset\","
             " expires_at > now() AS lives, ctid AS place"
             " FROM sluice.seen WHERE key = substr(decode('",
             sink->nkeys - 1);

    if (buf_failed(sql)
        || buf_reserve(sql, sink->nkeys * RETRY_KEY_LEN * 2) == -1)
    {
        return;
    }

    for (i = 0; i < sink->nkeys; i++) {
        hash = (const unsigned char *) sink->keys[i].hash;

        for (j = 0; j < RETRY_KEY_LEN; j++) {
            sql->data[sql->len++] = hex[hash[j] >> 4];
            sql->data[sql->len++] = hex[hash[j] & 15];
        }
    }

    buf_addf(sql, "','hex'), n * %d + 1, %d) LIMIT 1) s) ON true",
             RETRY_KEY_LEN, RETRY_KEY_LEN);
}


static void
sink_on_seen(void *data, const pg_reply_t *reply)
{
    size_t      n;
    sink_t     *sink = data;
    outcome_t   outcome;

    sql_outcome(&outcome, reply, "could not look for retries");

    if (outcome.action == SQLSTATE_OK
        && (reply->rows == NULL || PQntuples(reply->rows) == 0))
    {
        outcome.action = SQLSTATE_RETRY;
    }

    if (outcome.action != SQLSTATE_OK) {
        sink_seen_stop(sink, &outcome);
        return;
    }

    sink->sql.len = 0;
    n = sink_seen_take(sink, reply->rows);

    if (n == 0) {
        sink_open(sink);
        return;
    }

    buf_addf(&sink->sql, "COPY sluice.seen (key, partition, \"offset\","
             " expires_at) FROM STDIN (FORMAT binary)");
    sink->key = 0;
    sink_send(sink, sink_seen_keys, sink_on_seen_added);
}


/*
 * Marks retries; returns how many keys are to be added.  What is over makes
 * room by its place: another daemon may have been faster, then nothing or
 * something else that is over lies there.
 */

static size_t
sink_seen_take(sink_t *sink, const PGresult *res)
{
    int          row;
    bool         over;
    size_t       n;
    sink_key_t  *key;

    n = sink->nkeys;
    over = false;
    sink->ends = sql_number(res, 0, 0);

    if (sink->seen_ask == 0 || PQgetisnull(res, 0, 1)) {
        return n;
    }

    sink->seen_ask = SINK_SEEN_ASK;

    for (row = 0; row < PQntuples(res); row++) {
        key = &sink->keys[sql_number(res, row, 1)];

        if (sink_seen_is_own(sink, key, res, row)) {
            key->add = false;
            n--;

        } else if (PQgetvalue(res, row, 4)[0] == 't') {
            batch_duplicate(sink->batch, key->row);
            key->add = false;
            n--;

        } else {
            buf_addf(&sink->sql, "%s\"%s\"", over ? "," :
                     "DELETE FROM sluice.seen WHERE expires_at <= now()"
                     " AND ctid = ANY ('{", PQgetvalue(res, row, 5));
            over = true;
        }
    }

    if (over) {
        buf_addf(&sink->sql, "}'::tid[]);");
    }

    return n;
}


/* A record that is read again is no retry of its own. */

static int
sink_seen_is_own(sink_t *sink, const sink_key_t *key, const PGresult *res,
    int row)
{
    const batch_row_t  *own;

    own = &sink->batch->rows[key->row];

    return sql_number(res, row, 3) == own->offset
           && sql_number(res, row, 2)
              == sink->batch->ranges[own->range].partition;
}


/* PostgreSQL's manual, COPY, Binary Format: fields behind their lengths. */

static size_t
sink_seen_keys(void *data, const char **chunk)
{
    buf_t              *out;
    sink_t             *sink = data;
    const sink_key_t   *key;
    const batch_row_t  *row;

    struct {
        uint16_t  fields;
        uint32_t  key_len;
        char      key[RETRY_KEY_LEN];
        uint32_t  partition_len;
        uint32_t  partition;
        uint32_t  offset_len;
        uint64_t  offset;
        uint32_t  ends_len;
        uint64_t  ends;
    } __attribute__((packed))  tuple;

    tuple.fields = htobe16(4);
    tuple.key_len = htobe32(sizeof(tuple.key));
    tuple.partition_len = htobe32(sizeof(tuple.partition));
    tuple.offset_len = htobe32(sizeof(tuple.offset));
    tuple.ends_len = htobe32(sizeof(tuple.ends));
    tuple.ends = htobe64((uint64_t) sink->ends);

    out = &sink->chunk;
    out->len = 0;

    if (sink->key == 0) {
        buf_add(out, BINARY_HEADER, BINARY_HEADER_LEN);
    }

    while (sink->key < sink->nkeys && out->len < SINK_CHUNK) {
        key = &sink->keys[sink->key++];

        if (!key->add) {
            continue;
        }

        row = &sink->batch->rows[key->row];
        memcpy(tuple.key, key->hash, sizeof(tuple.key));
        tuple.partition = htobe32((uint32_t)
                                  sink->batch->ranges[row->range].partition);
        tuple.offset = htobe64((uint64_t) row->offset);
        buf_add(out, (const char *) &tuple, sizeof(tuple));
    }

    if (buf_failed(out)) {
        /* no tuple: PostgreSQL refuses it, so nothing is stored */
        buf_free(out);
        *chunk = "out of memory";
        return strlen(*chunk);
    }

    *chunk = out->data;

    return out->len;
}


static void
sink_on_seen_added(void *data, const pg_reply_t *reply)
{
    sink_t     *sink = data;
    outcome_t   outcome;

    sql_outcome(&outcome, reply, "could not add clients' keys");

    if (outcome.action == SQLSTATE_OK) {
        sink->seen_ask -= sink->seen_ask != 0;
        sink->sql.len = 0;
        sink_open(sink);
        return;
    }

    if (!reply->lost && strcmp(reply->sqlstate, "23505") == 0) {

        if (++sink->seen_tries < SINK_SEEN_TRIES) {
            sink->seen_ask = SINK_SEEN_ASK;
            sink->sql.len = 0;

            if (PQtransactionStatus(pg_conn(sink->pg)) != PQTRANS_IDLE) {
                buf_addf(&sink->sql, "ROLLBACK;");
            }

            sink_begin(sink);
            sink_seen(sink);
            return;
        }

        outcome.action = SQLSTATE_RETRY;
    }

    sink_seen_stop(sink, &outcome);
}


/* No row is at fault here. */

static void
sink_seen_stop(sink_t *sink, outcome_t *outcome)
{
    if (outcome->action == SQLSTATE_ROW
        || outcome->action == SQLSTATE_ROW_LATER)
    {
        outcome->action = SQLSTATE_HOLD;
    }

    sink_stop(sink, outcome->action, outcome->reason);
}
