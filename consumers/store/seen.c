/*
 * Finds the rows of a batch that are a client's retries: a record whose
 * idempotency key was seen within the window takes no effect.  The keys lie in
 * a table of their own and are added in the transaction of the rows, so that
 * retries are recognized for any target table, also a partitioned one or one
 * without a key.
 *
 * Retries are few, so one COPY adds all keys of a batch without a query.  If a
 * key is known, the COPY fails: the transaction begins again with a query for
 * the known keys, and so do the next batches.  If another daemon is about to
 * add a key, the COPY waits for that daemon, then fails.
 *
 * For a window behind the upgrade to version 5 of schema "sluice" each batch
 * asks for its keys in both forms.
 */

#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "postgres/sql.h"
#include "row/tuple.h"
#include "store/seen.h"


/* us from 1970-01-01 to PostgreSQL's 2000-01-01 */
#define SEEN_EPOCH  INT64_C(946684800000000)


/* A key of the batch. */
struct seen_key_s {
    uint64_t     order;       /* its first bytes, as a number */
    const char  *hash;        /* the key as it is stored */
    size_t       row;         /* the one to be stored: the first */
    size_t       repeats;     /* the others begin here in seen->repeats */
    size_t       nrepeats;
    bool         add;
    bool         own;         /* known from this record, read before */
};


/* The columns of seen_query(). */
enum {
    SEEN_ENDS = 0,
    SEEN_DIGESTS,
    SEEN_KEY,       /* its index; from seen->nkeys on: of its digest */
    SEEN_PARTITION,
    SEEN_OFFSET,
    SEEN_LIVES,
    SEEN_PLACE
};


static int seen_compare(const void *a, const void *b);
static void seen_merge(seen_t *seen);
static seen_key_t *seen_key(const seen_t *seen, const PGresult *res,
    int answer, bool *digest);
static bool seen_is_own(seen_t *seen, const batch_t *batch, seen_key_t *key,
    const PGresult *res, int answer);
static void seen_places(const seen_t *seen, const PGresult *res, bool own,
    buf_t *sql);


void
seen_free(seen_t *seen)
{
    free(seen->keys);
    free(seen->repeats);
}


static int
seen_reserve(seen_t *seen, size_t n)
{
    size_t      *repeats;
    seen_key_t  *keys;

    if (n <= seen->size) {
        return 0;
    }

    keys = realloc(seen->keys, n * sizeof(seen_key_t));
    if (keys == NULL) {
        return -1;
    }
    seen->keys = keys;

    repeats = realloc(seen->repeats, n * sizeof(size_t));
    if (repeats == NULL) {
        return -1;
    }
    seen->repeats = repeats;

    seen->size = n;

    return 0;
}


/*
 * Keys are added in one order, so that two daemons never wait for each other:
 * the second one waits until the first one's transaction has ended.
 */

int64_t
seen_collect(seen_t *seen, const batch_t *batch)
{
    size_t              i;
    record_t            record;
    seen_key_t         *key;
    const batch_row_t  *row;

    seen->nkeys = 0;

    if (seen_reserve(seen, batch->retries) == -1) {
        return -1;
    }

    for (i = 0; i < batch->nrows; i++) {
        row = &batch->rows[i];

        if (row->retry && row->text_len) {
            batch_record(batch, row, &record);
            key = &seen->keys[seen->nkeys++];
            memset(key, 0, sizeof(seen_key_t));
            key->hash = record.retry + (seen->version_4 ? RETRY_PREFIX : 0);
            memcpy(&key->order, key->hash, sizeof(key->order));
            key->order = be64toh(key->order);
            key->row = i;
            key->add = true;
        }
    }

    if (seen->nkeys) {
        qsort(seen->keys, seen->nkeys, sizeof(seen_key_t), seen_compare);
        seen_merge(seen);
    }

    return (int64_t) seen->nkeys;
}


static int
seen_compare(const void *a, const void *b)
{
    int                rc;
    const seen_key_t  *p = a, *q = b;

    if (p->order != q->order) {
        return p->order < q->order ? -1 : 1;
    }

    rc = memcmp(p->hash, q->hash, RETRY_KEY_LEN);

    return rc ? rc : (p->row > q->row) - (p->row < q->row);
}


/* Keeps each key once; the rows that repeat it go to seen->repeats. */

static void
seen_merge(seen_t *seen)
{
    size_t       i, repeats;
    seen_key_t  *key, *next;

    for (i = 1, repeats = 0, key = seen->keys; i < seen->nkeys; i++) {
        next = &seen->keys[i];

        if (memcmp(key->hash, next->hash, RETRY_KEY_LEN) == 0) {
            seen->repeats[repeats++] = next->row;
            key->nrepeats++;

        } else {
            *++key = *next;
            key->repeats = repeats;
        }
    }

    seen->nkeys = (size_t) (key - seen->keys) + 1;
}


static bool
seen_asks(const seen_t *seen)
{
    return seen->ask || seen->digests;
}


/*
 * The first columns say when keys that are added now expire, and whether keys
 * of before version 5 may live; the answer has them even if no key is known.
 * One literal for all keys is read far faster than an array.  LIMIT makes the
 * planner use the index for each key, whatever the statistics are.  Compiling
 * the plan would take longer than running it.
 */

int
seen_query(const seen_t *seen, buf_t *sql)
{
    char    *p;
    size_t   i, n;

    buf_addf(sql, "%sSELECT (extract(epoch FROM pg_catalog.now())"
             SQL_OP("*") "1000000)::bigint" SQL_OP("+") "(%" PRId64 "),",
             seen_asks(seen) ? "SET LOCAL jit=off;" : "",
             seen->window * 1000 - SEEN_EPOCH);

    if (seen->version_4) {
        buf_addf(sql, "false");
    } else {
        buf_addf(sql, "coalesce((SELECT pg_catalog.max(digests_before)"
                 SQL_OP(">") "(pg_catalog.now()" SQL_OP("-") "(%" PRId64
                 SQL_OP("*") "interval '1 ms')) FROM sluice.meta), false)",
                 seen->window);
    }

    if (!seen_asks(seen)) {
        return buf_failed(sql) ? -1 : 0;
    }

    n = seen->digests ? seen->nkeys * 2 : seen->nkeys;

    buf_addf(sql, ", n, partition, \"offset\", lives, place"
             " FROM (VALUES (0)) one LEFT JOIN (pg_catalog.generate_series(0,"
             " %zu) n"
             " CROSS JOIN LATERAL (SELECT partition, \"offset\","
             " expires_at" SQL_OP(">") "pg_catalog.now() AS lives,"
             " ctid AS place FROM sluice.seen WHERE key" SQL_OP("=")
             "pg_catalog.substr(pg_catalog.decode('",
             n - 1);

    if (buf_failed(sql)
        || buf_reserve(sql, n * RETRY_DIGEST * 2) == -1)
    {
        return -1;
    }

    for (i = 0, p = sql->data + sql->len; i < n; i++) {
        p = text_put_hex(p, i < seen->nkeys ? seen->keys[i].hash
                         : seen->keys[i - seen->nkeys].hash + RETRY_PREFIX,
                         RETRY_DIGEST);
    }

    sql->len = (size_t) (p - sql->data);

    buf_addf(sql, "','hex'), (n" SQL_OP("*") "%d)" SQL_OP("+") "1, CASE WHEN n"
             SQL_OP("<") "%zu THEN %d ELSE %d END) LIMIT 1) s) ON true",
             RETRY_DIGEST, seen->version_4 ? 0 : seen->nkeys, RETRY_KEY_LEN,
             RETRY_DIGEST);

    return buf_failed(sql) ? -1 : 0;
}


bool
seen_take(seen_t *seen, batch_t *batch, const PGresult *res)
{
    int          answer;
    bool         asked, digest, own;
    size_t       i;
    seen_key_t  *key;

    asked = seen_asks(seen);
    digest = PQgetvalue(res, 0, SEEN_DIGESTS)[0] == 't';

    if (digest && !seen->digests) {
        seen->digests = true;
        return false;
    }

    seen->digests = digest;
    seen->ends = sql_number(res, 0, SEEN_ENDS);
    seen->nnew = seen->nkeys;
    seen->expired = false;
    seen->own = false;

    if (asked && !PQgetisnull(res, 0, SEEN_KEY)) {

        seen->ask = SEEN_ASK;

        for (answer = 0; answer < PQntuples(res); answer++) {
            key = seen_key(seen, res, answer, &digest);

            if (PQgetvalue(res, answer, SEEN_LIVES)[0] != 't') {
                seen->expired = true;
                continue;
            }

            own = seen_is_own(seen, batch, key, res, answer);

            if (!key->add || (own && digest)) {
                continue;
            }

            seen->nnew--;
            key->add = false;
            key->own = own;
            seen->own |= own;

            if (!own) {
                batch_duplicate(batch, key->row);
            }
        }
    }

    key = &seen->keys[seen->nkeys - 1];

    for (i = 0; i < key->repeats + key->nrepeats; i++) {
        batch_duplicate(batch, seen->repeats[i]);
    }

    return true;
}


/* The key of an answer, and whether it was found as a digest alone. */

static seen_key_t *
seen_key(const seen_t *seen, const PGresult *res, int answer, bool *digest)
{
    size_t  n;

    n = (size_t) sql_number(res, answer, SEEN_KEY);
    *digest = n >= seen->nkeys;

    return &seen->keys[n % seen->nkeys];
}


static bool
seen_is_at(const batch_t *batch, size_t row, int64_t partition,
    int64_t offset)
{
    const batch_row_t  *r;

    r = &batch->rows[row];

    return r->offset == offset
           && batch->ranges[r->range].partition == partition;
}


/*
 * A record that is read again is no retry of itself.  It is stored even if it
 * is not the first of the batch with its key: a record of another partition
 * may be read before it.
 */

static bool
seen_is_own(seen_t *seen, const batch_t *batch, seen_key_t *key,
    const PGresult *res, int answer)
{
    size_t   i, *repeat, first;
    int64_t  partition, offset;

    partition = sql_number(res, answer, SEEN_PARTITION);
    offset = sql_number(res, answer, SEEN_OFFSET);

    if (seen_is_at(batch, key->row, partition, offset)) {
        return true;
    }

    for (i = 0; i < key->nrepeats; i++) {
        repeat = &seen->repeats[key->repeats + i];

        if (seen_is_at(batch, *repeat, partition, offset)) {
            first = key->row;
            key->row = *repeat;
            *repeat = first;
            return true;
        }
    }

    return false;
}


/* Another key may lie at a place by now: it is deleted only if expired. */

void
seen_delete_expired(const seen_t *seen, const PGresult *res, buf_t *sql)
{
    buf_addf(sql, "DELETE FROM sluice.seen WHERE expires_at" SQL_OP("<=")
             "pg_catalog.now() AND");
    seen_places(seen, res, false, sql);
}


void
seen_renew_own(const seen_t *seen, const PGresult *res, buf_t *sql)
{
    buf_addf(sql, "UPDATE sluice.seen SET expires_at = pg_catalog.now()"
             SQL_OP("+") "(%" PRId64 SQL_OP("*") "interval '1 ms') WHERE",
             seen->window);
    seen_places(seen, res, true, sql);
}


/* The end of a statement: where own keys lie, or where expired ones do. */

static void
seen_places(const seen_t *seen, const PGresult *res, bool own, buf_t *sql)
{
    int                answer, n;
    bool               digest;
    const seen_key_t  *key;

    buf_addf(sql, " ctid" SQL_OP("=") "ANY ('{");

    for (answer = 0, n = 0; answer < PQntuples(res); answer++) {
        key = seen_key(seen, res, answer, &digest);

        if (own ? key->own && !digest : key->add) {
            buf_addf(sql, "%s\"%s\"", n++ ? "," : "",
                     PQgetvalue(res, answer, SEEN_PLACE));
        }
    }

    buf_addf(sql, "}'::pg_catalog.tid[]);");
}


void
seen_copy(seen_t *seen, buf_t *sql)
{
    buf_addf(sql, "COPY sluice.seen (key, partition, \"offset\","
             " expires_at) FROM STDIN (FORMAT binary)");
    seen->next = 0;
}


/* PostgreSQL's manual, COPY, Binary Format: fields behind their lengths. */

int
seen_chunk(seen_t *seen, const batch_t *batch, buf_t *out)
{
    uint32_t            len;
    const seen_key_t   *key;
    const batch_row_t  *row;

    struct {
        uint16_t  fields;
        uint32_t  key_len;
    } __attribute__((packed))  head;

    struct {
        uint32_t  partition_len;
        uint32_t  partition;
        uint32_t  offset_len;
        uint64_t  offset;
        uint32_t  ends_len;
        uint64_t  ends;
    } __attribute__((packed))  tail;

    len = seen->version_4 ? RETRY_DIGEST : RETRY_KEY_LEN;
    head.fields = htobe16(4);
    head.key_len = htobe32(len);
    tail.partition_len = htobe32(sizeof(tail.partition));
    tail.offset_len = htobe32(sizeof(tail.offset));
    tail.ends_len = htobe32(sizeof(tail.ends));
    tail.ends = htobe64((uint64_t) seen->ends);

    if (seen->next == 0) {
        buf_add(out, TUPLES_HEADER, TUPLES_HEADER_LEN);
    }

    while (seen->next < seen->nkeys && out->len < BATCH_CHUNK) {
        key = &seen->keys[seen->next++];

        if (key->add) {
            row = &batch->rows[key->row];
            tail.partition
                = htobe32((uint32_t) batch->ranges[row->range].partition);
            tail.offset = htobe64((uint64_t) row->offset);
            buf_add(out, (const char *) &head, sizeof(head));
            buf_add(out, key->hash, len);
            buf_add(out, (const char *) &tail, sizeof(tail));
        }
    }

    return buf_failed(out) ? -1 : 0;
}
