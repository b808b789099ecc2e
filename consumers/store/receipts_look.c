/*
 * What a claim finds committed: a daemon that was killed, or lost its session,
 * between COMMIT and its receipt told nobody.  The next one tells what the
 * tables prove of the stretch that was stored last.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "postgres/sql.h"
#include "store/receipts_impl.h"


#define LOOK_TIMEOUT  2000    /* ms: records wait meanwhile */


static void look_next(receipts_t *receipts);
static bool look_ask(const receipts_t *receipts, buf_t *sql);
static int look_places(const receipts_t *receipts, buf_t *sql);
static void look_dead(const receipts_t *receipts, buf_t *sql);
static void look_on_reply(void *data, const pg_reply_t *reply);
static int look_take(receipts_t *receipts, const PGresult *res);
static int look_partition(receipts_t *receipts, const source_partition_t *p,
    const PGresult *res, int row, int rows);
static void look_forget(receipts_t *receipts);
static bool look_is_provable(const source_partition_t *p);
static void look_tell(receipts_t *receipts, const receipts_owed_t *owed,
    const source_partition_t *p);


/*
 * sluice.batches counts the records of a stretch by what became of them, but
 * only dead letters are there to be read.  So a stretch is told if it has no
 * filtered record and no duplicate, and all its dead letters are still there.
 */

void
receipts_look(receipts_t *receipts, pg_t *pg, source_t *source,
    outcome_pt done, void *data)
{
    size_t  n;

    receipts->pg = pg;
    receipts->source = source;
    receipts->done = done;
    receipts->data = data;
    look_forget(receipts);
    (void) source_partitions(source, &n);
    receipts->owed = calloc(n + 1, sizeof(receipts_owed_t));
    receipts->looking = receipts->owed ? 0 : conf_topics(receipts->conf);
    receipts->room = n;

    look_next(receipts);
}


/* Looks up the next topic of which something may be told. */

static void
look_next(receipts_t *receipts)
{
    buf_t  *sql;

    sql = &receipts->sql;

    while (receipts->looking < conf_topics(receipts->conf)) {
        if (look_ask(receipts, sql)) {
            if (!buf_failed(sql)) {
                pg_query(receipts->pg, sql->data, NULL, look_on_reply,
                         receipts);
                return;
            }
            buf_free(sql);
        }

        receipts->looking++;
    }

    sqlstate_end(receipts->done, receipts->data, SQLSTATE_OK, "");
}


/* Returns whether there is something to ask. */

static bool
look_ask(const receipts_t *receipts, buf_t *sql)
{
    sql->len = 0;

    buf_addf(sql, "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY;"
             "SET LOCAL statement_timeout=%d;SET LOCAL " SQL_PATH
             "WITH d AS MATERIALIZED (SELECT partition AS p, \"offset\" AS o,"
             " sqlstate, reason", LOOK_TIMEOUT);
    look_dead(receipts, sql);
    buf_addf(sql, ") SELECT partition, o, sqlstate, reason FROM"
             " sluice.batches b JOIN (VALUES ");

    if (look_places(receipts, sql) == 0) {
        return false;
    }

    buf_addf(sql, ") v (partition, first_offset, next_offset)"
             " USING (partition, first_offset, next_offset) LEFT JOIN d"
             " ON p = partition AND o >= first_offset AND o < next_offset"
             " WHERE %s AND kind='records' AND filtered=0 AND duplicates=0"
             " AND dead_letters=(SELECT count(*) FROM d WHERE p = partition"
             " AND o >= first_offset AND o < next_offset) ORDER BY 1, 2;"
             "COMMIT", offsets_where(receipts->offsets, receipts->looking));

    return true;
}


/* The latest dead letters, by the index that has created_at. */

static void
look_dead(const receipts_t *receipts, buf_t *sql)
{
    size_t         i;
    const conf_t  *conf;

    conf = conf_of_topic(receipts->conf, receipts->looking);

    sql_format(sql, " FROM sluice.dead_letters WHERE cluster_id=%L"
               " AND group_id=%L AND topic=%L AND table_name IN (%L",
               offsets_cluster(receipts->offsets), conf->group, conf->topic,
               conf->table);

    for (i = 0; i < conf->ntargets; i++) {
        sql_format(sql, ",%L", conf->targets[i]->table);
    }

    buf_addf(sql, ") ORDER BY created_at DESC LIMIT %d", RECEIPT_EXCEPTIONS);
}


/* Appends the stretches in question; returns how many. */

static int
look_places(const receipts_t *receipts, buf_t *sql)
{
    int                        found;
    size_t                     i, n;
    const source_partition_t  *p;

    p = source_topic_partitions(receipts->source, receipts->looking, &n);
    found = 0;

    for (i = 0; i < n; i++) {
        if (look_is_provable(&p[i])) {
            buf_addf(sql, "%s(%" PRId32 ",%" PRId64 ",%" PRId64 ")",
                     found++ ? "," : "", p[i].id, p[i].run, p[i].stored);
        }
    }

    return found;
}


/* By the last record it is seen whether the topic is still the same. */

static bool
look_is_provable(const source_partition_t *p)
{
    return p->has_last && p->run < p->stored;
}


static void
look_on_reply(void *data, const pg_reply_t *reply)
{
    outcome_t    outcome;
    receipts_t  *receipts = data;

    sqlstate_outcome(&outcome, reply, "could not look up what was stored");

    if (outcome.action == SQLSTATE_RECONNECT) {
        receipts->done(receipts->data, &outcome);
        return;
    }

    if (outcome.action != SQLSTATE_OK || reply->rows == NULL) {
        log_warnx("no receipts of what was stored before: %s",
                  outcome.reason);

    } else if (look_take(receipts, reply->rows) == -1) {
        look_forget(receipts);
        log_warnx("no receipts of what was stored before: out of memory");
    }

    receipts->looking++;
    look_next(receipts);
}


/* A partition has one row or one for each of its dead letters, or none. */

static int
look_take(receipts_t *receipts, const PGresult *res)
{
    int                        row, rows, end;
    size_t                     i, n;
    const source_partition_t  *p;

    p = source_topic_partitions(receipts->source, receipts->looking, &n);
    rows = PQntuples(res);

    for (row = 0, i = 0; row < rows && i < n; i++) {

        if (sql_number(res, row, 0) != p[i].id) {
            continue;
        }

        end = row + 1;
        while (end < rows && sql_number(res, end, 0) == p[i].id) {
            end++;
        }

        /* since the query was sent, the group may have assigned others */
        if (look_is_provable(&p[i]) && receipts->nowed < receipts->room
            && look_partition(receipts, &p[i], res, row, end - row) == -1)
        {
            return -1;
        }

        row = end;
    }

    return 0;
}


static int
look_partition(receipts_t *receipts, const source_partition_t *p,
    const PGresult *res, int row, int rows)
{
    int                   i;
    receipts_owed_t      *owed;
    receipt_exception_t  *e;

    owed = &receipts->owed[receipts->nowed++];
    owed->partition = p->id;
    owed->topic = p->topic;
    owed->epoch = p->epoch;
    owed->next = p->stored;
    owed->list = calloc((size_t) rows, sizeof(receipt_exception_t));
    owed->faults = calloc((size_t) rows, sizeof(record_fault_t));

    if (owed->list == NULL || owed->faults == NULL) {
        return -1;
    }

    for (i = 0; i < rows && !PQgetisnull(res, row + i, 1); i++) {
        e = &owed->list[owed->n];
        e->fate = RECEIPT_DEAD;
        e->first = sql_number(res, row + i, 1);
        e->next = e->first + 1;
        e->fault = &owed->faults[owed->n++];
        (void) record_fault(&owed->faults[i], PQgetvalue(res, row + i, 2),
                            "%s", PQgetvalue(res, row + i, 3));
    }

    return 0;
}


static void
look_forget(receipts_t *receipts)
{
    size_t  i;

    for (i = 0; i < receipts->nowed; i++) {
        free(receipts->owed[i].list);
        free(receipts->owed[i].faults);
    }

    free(receipts->owed);
    receipts->owed = NULL;
    receipts->nowed = 0;
    receipts->room = 0;
}


void
receipts_tell(receipts_t *receipts, source_t *source)
{
    size_t               i, j, n;
    receipts_owed_t     *owed;
    source_partition_t  *p;

    p = source_partitions(source, &n);

    for (i = receipts->nowed; i--; ) {
        owed = &receipts->owed[i];

        for (j = 0; j < n; j++) {
            if (p[j].id == owed->partition && p[j].topic == owed->topic
                && p[j].epoch == owed->epoch && p[j].same)
            {
                look_tell(receipts, owed, &p[j]);
                free(owed->list);
                free(owed->faults);
                *owed = receipts->owed[--receipts->nowed];
                break;
            }
        }
    }
}


/*
 * Only what was read again: its timestamps tell it from what a topic of the
 * same name held, or may hold, at the same offsets.
 */

static void
look_tell(receipts_t *receipts, const receipts_owed_t *owed,
    const source_partition_t *p)
{
    size_t           skip;
    receipt_range_t  range;

    if (p->newest == -1 || p->back >= owed->next) {
        return;
    }

    for (skip = 0; skip < owed->n; skip++) {
        if (owed->list[skip].first >= p->back) {
            break;
        }
    }

    range.partition = p->id;
    range.epoch = p->epoch;
    range.first = p->back;
    range.next = owed->next;
    range.known = INT64_MAX;
    range.oldest = p->oldest;
    range.newest = p->newest;
    range.list = owed->list + skip;
    range.n = owed->n - skip;

    receipts_begin(receipts, p->topic);
    receipt_add(&receipts->receipt, &range, RECEIPT_EXCEPTIONS);
    receipts_flush(receipts);
}
