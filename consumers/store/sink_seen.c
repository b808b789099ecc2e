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

#include "base/text.h"
#include "store/sink_impl.h"


#define SINK_SEEN_TRIES  3      /* the first may have been without asking */
#define SINK_SEEN_ASK    100    /* batches behind one with a known key */

/* us from 1970-01-01 to PostgreSQL's 2000-01-01 */
#define SINK_SEEN_EPOCH  INT64_C(946684800000000)


/* A key of the batch. */
struct sink_key_s {
    uint64_t     order;       /* the hash's first bytes, as a number */
    const char  *hash;
    size_t       row;         /* the one that counts: the first */
    size_t       repeats;     /* the others begin here in sink->repeats */
    size_t       nrepeats;
    bool         add;
    bool         own;         /* known, by a record of this batch */
};


/* What sink_seen_ask() selects, by number. */
enum {
    SINK_SEEN_ENDS = 0,
    SINK_SEEN_KEY,
    SINK_SEEN_PARTITION,
    SINK_SEEN_OFFSET,
    SINK_SEEN_LIVES,
    SINK_SEEN_PLACE
};


static int sink_seen_room(sink_t *sink);
static int sink_seen_collect(sink_t *sink);
static int sink_seen_compare(const void *a, const void *b);
static int sink_seen_ask(sink_t *sink);
static void sink_on_seen(void *data, const pg_reply_t *reply);
static size_t sink_seen_take(sink_t *sink, const PGresult *res);
static bool sink_seen_is_own(sink_t *sink, sink_key_t *key,
    const PGresult *res, int row);
static bool sink_seen_is_at(sink_t *sink, size_t row, int64_t partition,
    int64_t offset);
static void sink_seen_forget(sink_t *sink, const PGresult *res);
static void sink_seen_renew(sink_t *sink, const PGresult *res);
static void sink_seen_places(sink_t *sink, const PGresult *res, bool own);
static size_t sink_seen_keys(void *data, const char **chunk);
static void sink_on_seen_added(void *data, const pg_reply_t *reply);
static void sink_seen_stop(sink_t *sink, const pg_reply_t *reply,
    outcome_t *outcome);


void
sink_seen(sink_t *sink)
{
    if (sink->end.commit || sink->conf->dedupe_header == NULL
        || sink->batch->retries == 0)
    {
        sink_open(sink);
        return;
    }

    batch_forget_duplicates(sink->batch);

    if (sink_seen_collect(sink) == -1) {
        sink_stop(sink, SQLSTATE_RETRY, "out of memory");
        return;
    }

    if (sink->nkeys == 0) {
        /* only such as cannot become rows anyway */
        sink_open(sink);
        return;
    }

    if (sink_seen_ask(sink) == -1) {
        sink_stop(sink, SQLSTATE_RETRY, "out of memory");
        return;
    }

    sink_send(sink, NULL, sink_on_seen);
}


static int
sink_seen_room(sink_t *sink)
{
    size_t       n, *repeats;
    sink_key_t  *keys;

    n = sink->batch->retries;

    if (n <= sink->keys_size) {
        return 0;
    }

    keys = realloc(sink->keys, n * sizeof(sink_key_t));
    if (keys == NULL) {
        return -1;
    }
    sink->keys = keys;

    repeats = realloc(sink->repeats, n * sizeof(size_t));
    if (repeats == NULL) {
        return -1;
    }
    sink->repeats = repeats;

    sink->keys_size = n;

    return 0;
}


/*
 * Keys are added in one order, so that two daemons never wait for each
 * other; whoever comes second waits until the first has committed or not.
 */

static int
sink_seen_collect(sink_t *sink)
{
    size_t              i, repeats;
    batch_t            *batch;
    sink_key_t         *key, *next;
    const batch_row_t  *row;

    batch = sink->batch;
    sink->nkeys = 0;

    if (sink_seen_room(sink) == -1) {
        return -1;
    }

    for (i = 0; i < batch->nrows; i++) {
        row = &batch->rows[i];

        if (row->retry && row->text_len) {
            key = &sink->keys[sink->nkeys++];
            key->hash = batch_retry(batch, row);
            memcpy(&key->order, key->hash, sizeof(key->order));
            key->order = be64toh(key->order);
            key->row = i;
            key->repeats = 0;
            key->nrepeats = 0;
            key->add = true;
            key->own = false;
        }
    }

    if (sink->nkeys == 0) {
        return 0;
    }

    qsort(sink->keys, sink->nkeys, sizeof(sink_key_t), sink_seen_compare);

    for (i = 1, repeats = 0, key = sink->keys; i < sink->nkeys; i++) {
        next = &sink->keys[i];

        if (memcmp(key->hash, next->hash, RETRY_KEY_LEN) == 0) {
            sink->repeats[repeats++] = next->row;
            key->nrepeats++;

        } else {
            *++key = *next;
            key->repeats = repeats;
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
 * The first column says when keys that are added now end; it is there without
 * a known key as well.  One literal for all keys is read far faster than an
 * array, LIMIT keeps the plan at one look into the index for each, whatever
 * the statistics say, and compiling it would take longer than it runs.
 */

static int
sink_seen_ask(sink_t *sink)
{
    char    *p;
    size_t   i;
    buf_t   *sql;

    sql = &sink->sql;

    buf_addf(sql, "%sSELECT (extract(epoch FROM now()) * 1000000)::bigint"
             " + %" PRId64 " - %" PRId64,
             sink->seen_ask ? "SET LOCAL jit=off;" : "",
             sink->conf->dedupe_window * 1000, SINK_SEEN_EPOCH);

    if (sink->seen_ask == 0) {
        return buf_failed(sql) ? -1 : 0;
    }

    buf_addf(sql, ", n, partition, \"offset\", lives, place"
             " FROM (VALUES (0)) one LEFT JOIN (generate_series(0, %zu) n"
             " CROSS JOIN LATERAL (SELECT partition, \"offset\","
             " expires_at > now() AS lives, ctid AS place"
             " FROM sluice.seen WHERE key = substr(decode('",
             sink->nkeys - 1);

    if (buf_failed(sql)
        || buf_reserve(sql, sink->nkeys * RETRY_KEY_LEN * 2) == -1)
    {
        return -1;
    }

    for (i = 0, p = sql->data + sql->len; i < sink->nkeys; i++) {
        p = text_put_hex(p, sink->keys[i].hash, RETRY_KEY_LEN);
    }

    sql->len = (size_t) (p - sql->data);

    buf_addf(sql, "','hex'), n * %d + 1, %d) LIMIT 1) s) ON true",
             RETRY_KEY_LEN, RETRY_KEY_LEN);

    return buf_failed(sql) ? -1 : 0;
}


static void
sink_on_seen(void *data, const pg_reply_t *reply)
{
    size_t      n;
    sink_t     *sink = data;
    outcome_t   outcome;

    sql_outcome(&outcome, reply, "could not look for retries");

    if (outcome.action != SQLSTATE_OK) {
        sink_seen_stop(sink, reply, &outcome);
        return;
    }

    if (reply->rows == NULL || PQntuples(reply->rows) == 0) {
        sink_stop(sink, SQLSTATE_RETRY, "the query for retries is empty");
        return;
    }

    sink->sql.len = 0;
    n = sink_seen_take(sink, reply->rows);

    if (n) {
        buf_addf(&sink->sql, "COPY sluice.seen (key, partition, \"offset\","
                 " expires_at) FROM STDIN (FORMAT binary)");

    } else if (sink->sql.len == 0) {
        sink_open(sink);
        return;
    }

    sink->key = 0;
    sink_send(sink, n ? sink_seen_keys : NULL, sink_on_seen_added);
}


/*
 * Marks retries; returns how many keys are to be added, behind statements for
 * those that are known.
 */

static size_t
sink_seen_take(sink_t *sink, const PGresult *res)
{
    int          row;
    bool         over, own;
    size_t       i, n;
    sink_key_t  *key;

    n = sink->nkeys;
    over = false;
    own = false;
    sink->ends = sql_number(res, 0, SINK_SEEN_ENDS);

    if (sink->seen_ask && !PQgetisnull(res, 0, SINK_SEEN_KEY)) {

        sink->seen_ask = SINK_SEEN_ASK;

        for (row = 0; row < PQntuples(res); row++) {
            key = &sink->keys[sql_number(res, row, SINK_SEEN_KEY)];

            if (PQgetvalue(res, row, SINK_SEEN_LIVES)[0] != 't') {
                over = true;
                continue;
            }

            key->add = false;
            n--;

            key->own = sink_seen_is_own(sink, key, res, row);
            own |= key->own;

            if (!key->own) {
                batch_duplicate(sink->batch, key->row);
            }
        }
    }

    key = &sink->keys[sink->nkeys - 1];

    for (i = 0; i < key->repeats + key->nrepeats; i++) {
        batch_duplicate(sink->batch, sink->repeats[i]);
    }

    if (over) {
        sink_seen_forget(sink, res);
    }

    if (own) {
        sink_seen_renew(sink, res);
    }

    return n;
}


/*
 * A record that is read again is no retry of its own.  If it is not the first
 * of the batch with its key, as one of another partition may be read before
 * it, it counts instead of that one.
 */

static bool
sink_seen_is_own(sink_t *sink, sink_key_t *key, const PGresult *res, int row)
{
    size_t   k, *repeat, first;
    int64_t  partition, offset;

    partition = sql_number(res, row, SINK_SEEN_PARTITION);
    offset = sql_number(res, row, SINK_SEEN_OFFSET);

    if (sink_seen_is_at(sink, key->row, partition, offset)) {
        return true;
    }

    for (k = 0; k < key->nrepeats; k++) {
        repeat = &sink->repeats[key->repeats + k];

        if (sink_seen_is_at(sink, *repeat, partition, offset)) {
            first = key->row;
            key->row = *repeat;
            *repeat = first;
            return true;
        }
    }

    return false;
}


static bool
sink_seen_is_at(sink_t *sink, size_t row, int64_t partition, int64_t offset)
{
    const batch_row_t  *r;

    r = &sink->batch->rows[row];

    return r->offset == offset
           && sink->batch->ranges[r->range].partition == partition;
}


/*
 * Keys that are over go by their places, in a transaction of their own: it
 * holds no lock while others are waited for.  A place may have been taken
 * meanwhile, so what lies there has to be over as well.
 */

static void
sink_seen_forget(sink_t *sink, const PGresult *res)
{
    buf_addf(&sink->sql, "DELETE FROM sluice.seen WHERE expires_at <= now()"
             " AND");
    sink_seen_places(sink, res, false);
    buf_addf(&sink->sql, "COMMIT;");
    sink_begin(sink);
}


/* Its retries may be read again, too, for as long as when it was new. */

static void
sink_seen_renew(sink_t *sink, const PGresult *res)
{
    buf_addf(&sink->sql, "UPDATE sluice.seen SET expires_at = now()"
             " + %" PRId64 " * interval '1 ms' WHERE",
             sink->conf->dedupe_window);
    sink_seen_places(sink, res, true);
}


/* The end of a statement: of the batch's own keys, or of those over. */

static void
sink_seen_places(sink_t *sink, const PGresult *res, bool own)
{
    int                row, n;
    const sink_key_t  *key;

    buf_addf(&sink->sql, " ctid = ANY ('{");

    for (row = 0, n = 0; row < PQntuples(res); row++) {
        key = &sink->keys[sql_number(res, row, SINK_SEEN_KEY)];

        if (own ? key->own : key->add) {
            buf_addf(&sink->sql, "%s\"%s\"", n++ ? "," : "",
                     PQgetvalue(res, row, SINK_SEEN_PLACE));
        }
    }

    buf_addf(&sink->sql, "}'::tid[]);");
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
        return sink_no_memory(sink, chunk);
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

    sink_seen_stop(sink, reply, &outcome);
}


/* No row is at fault here; a broken tuple says that memory was short. */

static void
sink_seen_stop(sink_t *sink, const pg_reply_t *reply, outcome_t *outcome)
{
    if (outcome->action == SQLSTATE_ROW
        || outcome->action == SQLSTATE_ROW_LATER)
    {
        outcome->action = strncmp(reply->sqlstate, "22", 2) == 0
                          ? SQLSTATE_RETRY : SQLSTATE_HOLD;
    }

    sink_stop(sink, outcome->action, outcome->reason);
}
