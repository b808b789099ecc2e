/*
 * A client's retries, by an idempotency key of their own: what was seen
 * within the window takes no effect again.  The keys lie in a table of their
 * own, in the transaction of the rows, so that any table can do without
 * retries, a partitioned one or one without a key, too.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sink_impl.h"


/* A row of the batch that has a key. */
struct sink_key_s {
    int32_t  partition;
    int64_t  offset;
    size_t   row;
    bool     first;
};


static int sink_seen_collect(sink_t *sink);
static void sink_seen_array(sink_t *sink, int column, const char *type);
static void sink_seen_hex(sink_t *sink, const batch_row_t *row);
static void sink_on_seen(void *data, const pg_reply_t *reply);
static void sink_seen_mark(sink_t *sink, const PGresult *res);
static int sink_seen_compare(const void *a, const void *b);


/*
 * Of several records with one key the first counts.  Keys are taken in one
 * order, so that two daemons never wait for each other; whoever comes second
 * waits until the first has committed or not.  The digest takes group, topic
 * and table in: what one of them has seen is none of another's business.
 */

int
sink_seen_prepare(sink_t *sink, PGconn *conn)
{
    size_t       i;
    buf_t       *sql;
    const char  *scope[4];

    sql = &sink->seen_sql;
    sql->len = 0;
    sink->seen_end.len = 0;

    if (sink->conf->dedupe_header == NULL) {
        return 0;
    }

    scope[0] = offsets_cluster(sink->offsets);
    scope[1] = sink->conf->group;
    scope[2] = sink->conf->topic;
    scope[3] = sink->conf->table;

    buf_addf(sql, "INSERT INTO sluice.seen AS s (key, partition, \"offset\","
             " expires_at) SELECT DISTINCT ON (k) k, p, o, now() + %" PRId64
             " * interval '1 ms' FROM (SELECT sha256(",
             sink->conf->dedupe_window);

    for (i = 0; i < 4; i++) {
        buf_addf(sql, "sha256(convert_to(");
        sql_literal(sql, conn, scope[i]);
        buf_addf(sql, ",'UTF8'))||");
    }

    buf_addf(sql, "decode(h,'hex')) k, n, p, o FROM unnest(");

    /* a record that is read again is no retry of its own */

    buf_addf(&sink->seen_end, ") v (n, p, o, h)) v ORDER BY k, n"
             " ON CONFLICT (key) DO UPDATE SET partition=EXCLUDED.partition,"
             " \"offset\"=EXCLUDED.\"offset\","
             " expires_at=EXCLUDED.expires_at WHERE s.expires_at <= now()"
             " OR (s.partition=EXCLUDED.partition"
             " AND s.\"offset\"=EXCLUDED.\"offset\")"
             " RETURNING partition, \"offset\"");

    return buf_failed(sql) || buf_failed(&sink->seen_end) ? -1 : 0;
}


void
sink_seen(sink_t *sink)
{
    int  n;

    if (sink->end.commit || sink->conf->dedupe_header == NULL
        || sink->batch->retries == 0)
    {
        sink_open(sink);
        return;
    }

    n = sink_seen_collect(sink);

    if (n == -1) {
        sink_stop(sink, SQLSTATE_RETRY, "out of memory");
        return;
    }

    if (n == 0) {
        /* only such as cannot become rows anyway */
        sink_open(sink);
        return;
    }

    buf_add(&sink->sql, sink->seen_sql.data, sink->seen_sql.len);
    sink_seen_array(sink, 0, "int");
    buf_add(&sink->sql, ",", 1);
    sink_seen_array(sink, 1, "int");
    buf_add(&sink->sql, ",", 1);
    sink_seen_array(sink, 2, "bigint");
    buf_add(&sink->sql, ",", 1);
    sink_seen_array(sink, 3, "text");
    buf_add(&sink->sql, sink->seen_end.data, sink->seen_end.len);

    sink_send(sink, NULL, sink_on_seen);
}


/* Returns how many rows have a key, -1 when memory is short. */

static int
sink_seen_collect(sink_t *sink)
{
    size_t              i;
    sink_key_t         *key;
    const batch_row_t  *row;

    if (sink->keys_size < sink->batch->retries) {
        key = realloc(sink->keys, sink->batch->retries * sizeof(sink_key_t));
        if (key == NULL) {
            return -1;
        }
        sink->keys = key;
        sink->keys_size = sink->batch->retries;
    }

    for (i = 0, sink->nkeys = 0; i < sink->batch->nrows; i++) {
        row = &sink->batch->rows[i];

        if (row->retry_len && row->text_len) {
            key = &sink->keys[sink->nkeys++];
            key->partition = sink->batch->ranges[row->range].partition;
            key->offset = row->offset;
            key->row = i;
            key->first = false;
        }
    }

    return (int) sink->nkeys;
}


/* One literal a column is parsed far faster than a row of VALUES each. */

static void
sink_seen_array(sink_t *sink, int column, const char *type)
{
    size_t             i;
    buf_t             *sql;
    const sink_key_t  *key;

    sql = &sink->sql;
    buf_addf(sql, "'{");

    for (i = 0; i < sink->nkeys; i++) {
        key = &sink->keys[i];
        buf_add(sql, ",", i != 0);

        switch (column) {

        case 0:
            buf_addf(sql, "%zu", key->row);
            break;

        case 1:
            buf_addf(sql, "%" PRId32, key->partition);
            break;

        case 2:
            buf_addf(sql, "%" PRId64, key->offset);
            break;

        default:
            sink_seen_hex(sink, &sink->batch->rows[key->row]);
            break;
        }
    }

    buf_addf(sql, "}'::%s[]", type);
}


static void
sink_seen_hex(sink_t *sink, const batch_row_t *row)
{
    char                  digits[128];
    size_t                i, n;
    const unsigned char  *key;

    static const char  hex[] = "0123456789abcdef";

    key = (const unsigned char *) batch_retry(sink->batch, row);

    for (i = 0, n = 0; i < row->retry_len; i++) {
        digits[n++] = hex[key[i] >> 4];
        digits[n++] = hex[key[i] & 15];

        if (n == sizeof(digits) || i == row->retry_len - 1) {
            buf_add(&sink->sql, digits, n);
            n = 0;
        }
    }
}


static void
sink_on_seen(void *data, const pg_reply_t *reply)
{
    sink_t     *sink = data;
    outcome_t   outcome;

    sql_outcome(&outcome, reply, "could not look for retries");

    if (outcome.action == SQLSTATE_OK && reply->rows == NULL) {
        outcome.action = SQLSTATE_RETRY;
    }

    /* no row is at fault here */
    if (outcome.action == SQLSTATE_ROW || outcome.action == SQLSTATE_ROW_LATER)
    {
        outcome.action = SQLSTATE_HOLD;
    }

    if (outcome.action != SQLSTATE_OK) {
        sink_stop(sink, outcome.action, outcome.reason);
        return;
    }

    sink_seen_mark(sink, reply->rows);
    sink->sql.len = 0;
    sink_open(sink);
}


static int
sink_seen_compare(const void *a, const void *b)
{
    const sink_key_t  *p = a, *q = b;

    if (p->partition != q->partition) {
        return p->partition < q->partition ? -1 : 1;
    }

    return (p->offset > q->offset) - (p->offset < q->offset);
}


/* What did not come back had been seen. */

static void
sink_seen_mark(sink_t *sink, const PGresult *res)
{
    int          row;
    size_t       i;
    sink_key_t   wanted, *found;

    memset(&wanted, 0, sizeof(sink_key_t));
    qsort(sink->keys, sink->nkeys, sizeof(sink_key_t), sink_seen_compare);

    for (row = 0; row < PQntuples(res); row++) {
        wanted.partition = (int32_t) sql_number(res, row, 0);
        wanted.offset = sql_number(res, row, 1);
        found = bsearch(&wanted, sink->keys, sink->nkeys, sizeof(sink_key_t),
                        sink_seen_compare);
        if (found) {
            found->first = true;
        }
    }

    for (i = 0; i < sink->nkeys; i++) {
        if (!sink->keys[i].first
            && sink->batch->rows[sink->keys[i].row].fault == 0)
        {
            batch_duplicate(sink->batch, sink->keys[i].row);
        }
    }
}
