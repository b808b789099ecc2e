/*
 * Dead letters into the table, as their records would go now: the same rows,
 * modes and search for bad ones as the daemon's, and at the end of the
 * transaction, where it advances offsets, what became a row is deleted here.
 */

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "record/headers.h"
#include "store/sink.h"
#include "store/targets.h"
#include "tools/dead_letters.h"


#define REPLAY_ROWS     1000       /* of one transaction */
#define REPLAY_BYTES    (8 << 20)
#define REPLAY_TRIES    40         /* of one, */
#define REPLAY_PAUSE    250        /* ms between two */
#define REPLAY_SAID     20         /* reasons on standard error */


/* What SELECT gives, by number. */
enum {
    REPLAY_ID = 0,
    REPLAY_PARTITION,
    REPLAY_OFFSET,
    REPLAY_TIMESTAMP,
    REPLAY_KEY,
    REPLAY_HEADERS,
    REPLAY_VALUE
};


typedef struct {
    tool_t               *tool;
    const dead_choice_t  *choice;
    targets_t            *targets;
    sink_t               *sink;
    pg_t                 *pg;
    batch_t               batch;
    int64_t              *rows;        /* id of each row of the batch */
    int64_t              *others;      /* of those left out */
    size_t                nothers;
    json_doc_t            doc;

    bool                  waiting;
    outcome_t             outcome;

    int64_t               last;        /* id, of those looked at */
    int64_t               stored;
    int64_t               filtered;
    int64_t               left;
} replay_t;


static int replay_open(replay_t *r);
static void replay_close(replay_t *r);
static void replay_on_ready(void *data, const char *error,
    const char *sqlstate);
static void replay_on_prepared(void *data, const outcome_t *outcome);
static void replay_on_stored(void *data, batch_t *batch,
    const outcome_t *outcome);
static void replay_commit(void *data, PGconn *conn, const batch_t *batch,
    buf_t *sql);
static int replay_wait(replay_t *r);
static int replay_all(replay_t *r);
static int replay_stripped(replay_t *r);
static PGresult *replay_select(replay_t *r);
static int replay_fill(replay_t *r, const PGresult *res);
static int replay_record(replay_t *r, const PGresult *res, int row);
static int replay_store(replay_t *r);
static void replay_account(replay_t *r);


int
dead_letters_replay(tool_t *tool, const dead_choice_t *choice)
{
    int       rc;
    replay_t  r;

    memset(&r, 0, sizeof(replay_t));
    r.tool = tool;
    r.choice = choice;

    rc = replay_open(&r);
    if (rc == 0 && (rc = replay_stripped(&r)) == 0) {
        rc = replay_all(&r);
        printf("%" PRId64 " dead letters replayed, %" PRId64 " left out by "
               "\"where\", %" PRId64 " stay\n", r.stored, r.filtered,
               r.left);
    }

    replay_close(&r);

    return rc == -1 || r.left ? -1 : 0;
}


static int
replay_open(replay_t *r)
{
    sink_end_t     end;
    const conf_t  *conf;

    conf = r->tool->conf;

    end.commit = replay_commit;
    end.data = r;

    r->targets = targets_create(conf);
    r->sink = sink_create(conf, NULL, &end);
    r->pg = pg_create(conf->postgres, "sluice:replay", replay_on_ready, r);
    r->rows = calloc(REPLAY_ROWS, sizeof(int64_t));
    r->others = calloc(REPLAY_ROWS, sizeof(int64_t));

    if (r->targets == NULL || r->sink == NULL || r->pg == NULL
        || r->rows == NULL || r->others == NULL)
    {
        tool_error("out of memory");
        return -1;
    }

    batch_init(&r->batch, REPLAY_ROWS, REPLAY_BYTES, 0);

    r->waiting = true;
    pg_connect(r->pg);
    if (replay_wait(r) == -1) {
        return -1;
    }

    r->waiting = true;
    targets_prepare(r->targets, r->pg, replay_on_prepared, r);
    if (replay_wait(r) == -1) {
        return -1;
    }

    if (sink_prepare(r->sink, pg_conn(r->pg), r->targets) == -1) {
        tool_error("out of memory");
        return -1;
    }

    return 0;
}


static void
replay_close(replay_t *r)
{
    pg_destroy(r->pg);
    sink_destroy(r->sink);
    targets_destroy(r->targets);
    batch_free(&r->batch);
    json_doc_free(&r->doc);
    free(r->rows);
    free(r->others);
}


static void
replay_on_ready(void *data, const char *error, const char *sqlstate)
{
    replay_t  *r = data;

    (void) sqlstate;

    r->waiting = false;
    r->outcome.action = error ? SQLSTATE_RECONNECT : SQLSTATE_OK;
    snprintf(r->outcome.reason, sizeof(r->outcome.reason), "%s",
             error ? error : "");
}


static void
replay_on_prepared(void *data, const outcome_t *outcome)
{
    replay_t  *r = data;

    r->waiting = false;
    r->outcome = *outcome;
}


static void
replay_on_stored(void *data, batch_t *batch, const outcome_t *outcome)
{
    replay_t  *r = data;

    (void) batch;

    r->waiting = false;
    r->outcome = *outcome;
}


/* Until what was begun has ended; the connection's own deadlines bound it. */

static int
replay_wait(replay_t *r)
{
    struct pollfd  fd;

    while (r->waiting) {
        fd.fd = pg_fd(r->pg);
        fd.events = pg_events(r->pg);
        fd.revents = 0;

        (void) poll(&fd, 1, 1000);
        pg_tick(r->pg, clock_ms());
        pg_io(r->pg, fd.revents);
    }

    if (r->outcome.action != SQLSTATE_OK) {
        tool_error("%s", r->outcome.reason);
        return -1;
    }

    return 0;
}


/*
 * All that are there when it begins, in their order; one that fails anew is
 * looked at once.
 */

static int
replay_all(replay_t *r)
{
    int        n;
    PGresult  *res;

    for ( ;; ) {
        res = replay_select(r);
        if (res == NULL) {
            return -1;
        }

        n = PQntuples(res) ? replay_fill(r, res) : 0;
        PQclear(res);

        if (n == 0) {
            return 0;
        }

        if (n == -1) {
            tool_error("out of memory");
            return -1;
        }

        if (replay_store(r) == -1) {
            return -1;
        }

        replay_account(r);
    }
}


/* What was kept without its record can only be read from the topic again. */

static int
replay_stripped(replay_t *r)
{
    buf_t      sql;
    int64_t    n;
    PGresult  *res;

    memset(&sql, 0, sizeof(buf_t));
    buf_addf(&sql, "SELECT count(*) FROM sluice.dead_letters");
    dead_letters_where(r->tool, r->choice, &sql);
    buf_addf(&sql, " AND stripped");

    res = tool_query(r->tool, &sql);
    if (res == NULL) {
        return -1;
    }

    n = sql_number(res, 0, 0);
    PQclear(res);

    if (n) {
        tool_error("%" PRId64 " stay: their records were not kept "
                   "(\"store\": \"reason\")", n);
        r->left = n;
    }

    return 0;
}


static PGresult *
replay_select(replay_t *r)
{
    buf_t  sql;

    memset(&sql, 0, sizeof(buf_t));
    buf_addf(&sql, "SELECT id, partition, \"offset\", (extract(epoch FROM"
             " \"timestamp\") * 1000)::bigint, key, headers, value"
             " FROM sluice.dead_letters");
    dead_letters_where(r->tool, r->choice, &sql);
    buf_addf(&sql, " AND NOT stripped AND id > %" PRId64 " ORDER BY id"
             " LIMIT %d", r->last, REPLAY_ROWS);

    return tool_query(r->tool, &sql);
}


/* As many as the batch takes; how many, or -1 when memory is short. */

static int
replay_fill(replay_t *r, const PGresult *res)
{
    int  row;

    batch_reset(&r->batch, 0);
    r->nothers = 0;

    for (row = 0; row < PQntuples(res) && batch_has_room(&r->batch); row++) {
        if (replay_record(r, res, row) == -1) {
            return -1;
        }
        r->last = sql_number(res, row, REPLAY_ID);
    }

    return row;
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


static int
replay_record(replay_t *r, const PGresult *res, int row)
{
    int              rc, range;
    buf_t            list, bytes;
    size_t           before;
    const char      *headers;
    unsigned char   *key, *value;
    record_t   record;

    headers = PQgetvalue(res, row, REPLAY_HEADERS);
    memset(&record, 0, sizeof(record_t));
    memset(&list, 0, sizeof(buf_t));
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

    record.topic = r->tool->conf->topic;
    record.key = (const char *) key;
    record.value = (const char *) value;
    record.header = (const record_header_t *) (const void *) list.data;
    record.nheaders = list.len / sizeof(record_header_t);
    record.partition = (int32_t) sql_number(res, row, REPLAY_PARTITION);
    record.offset = sql_number(res, row, REPLAY_OFFSET);
    record.timestamp = PQgetisnull(res, row, REPLAY_TIMESTAMP)
                       ? -1 : sql_number(res, row, REPLAY_TIMESTAMP);

    range = batch_range(&r->batch, record.partition, record.offset, 0, 0);
    before = r->batch.nrows;

    if (range != -1) {
        rc = targets_add(r->targets, &r->batch, (unsigned) range, &record);
    }

    if (rc == 0 && r->batch.nrows > before) {
        r->rows[before] = sql_number(res, row, REPLAY_ID);

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


/* What troubles a daemon for a while may trouble this as well. */

static int
replay_store(replay_t *r)
{
    int  tries;

    for (tries = 0; tries < REPLAY_TRIES; tries++) {

        r->waiting = true;
        sink_store(r->sink, r->pg, &r->batch, replay_on_stored, r);

        if (replay_wait(r) == 0) {
            return 0;
        }

        if (r->outcome.action != SQLSTATE_RETRY) {
            break;
        }

        (void) poll(NULL, 0, REPLAY_PAUSE);
    }

    return -1;
}


/*
 * Whoever was first has the dead letters: if one of them is gone, another
 * replay stored its row.
 */

static void
replay_commit(void *data, PGconn *conn, const batch_t *batch, buf_t *sql)
{
    size_t     i, n;
    buf_t      block;
    replay_t  *r = data;

    memset(&block, 0, sizeof(buf_t));
    buf_addf(&block, "DECLARE n bigint;BEGIN DELETE FROM sluice.dead_letters"
             " WHERE id IN (-1");

    for (i = 0, n = r->nothers; i < batch->nrows; i++) {
        if (batch->rows[i].fault == 0) {
            buf_addf(&block, ",%" PRId64, r->rows[i]);
            n++;
        }
    }

    for (i = 0; i < r->nothers; i++) {
        buf_addf(&block, ",%" PRId64, r->others[i]);
    }

    buf_addf(&block, ");GET DIAGNOSTICS n = ROW_COUNT;IF n <> %zu THEN RAISE"
             " EXCEPTION 'somebody else replays or purges them' USING"
             " ERRCODE='SL001';END IF;END", n);

    buf_addf(sql, "DO ");
    /* without memory an empty block: a syntax error, so no commit */
    sql_literal(sql, conn, buf_failed(&block) ? "" : block.data);
    buf_addf(sql, ";COMMIT");

    buf_free(&block);
}


static void
replay_account(replay_t *r)
{
    size_t                i;
    const record_fault_t  *fault;

    r->filtered += (int64_t) r->nothers;

    for (i = 0; i < r->batch.nrows; i++) {

        if (r->batch.rows[i].fault == 0) {
            r->stored++;
            continue;
        }

        fault = &r->batch.faults[r->batch.rows[i].fault - 1];

        if (r->left++ < REPLAY_SAID) {
            tool_error("%" PRId64 " stays: %s (%s)", r->rows[i],
                       fault->reason, fault->sqlstate);
        }
    }
}
