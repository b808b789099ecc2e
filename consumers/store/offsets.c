/* Offsets in PostgreSQL: claimed at assignment, advanced with the rows. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "store/offsets.h"


struct offsets_s {
    const conf_t      *conf;
    const char        *owner;
    char              *cluster;

    pg_t              *pg;
    lookup_t          *lookup;
    source_t          *source;
    uint64_t           generation;   /* of the assignment being claimed */
    offsets_done_pt    done;
    void              *data;
    buf_t              sql;
    bool               first;        /* nothing is stored of the topic yet */
    bool               claimed;
};


static void offsets_end(offsets_t *o, sqlstate_action_t action,
    const char *reason);
static bool offsets_stale(offsets_t *o);
static int offsets_ask(offsets_t *o, bool all);
static void offsets_on_stored(void *data, const pg_reply_t *reply);
static void offsets_on_claimed(void *data, const pg_reply_t *reply);
static void offsets_send_claim(offsets_t *o, const lookup_result_t *result);
static void offsets_values(offsets_t *o, const lookup_result_t *result,
    bool mine);
static int64_t offsets_begin(offsets_t *o, const lookup_range_t *range);
static int offsets_check(offsets_t *o, source_partition_t *p,
    const lookup_range_t *range, char *reason, size_t size);


void
offsets_prefix(const conf_t *conf, char *prefix)
{
    uint64_t     hash;
    const char  *p;

    hash = 0xcbf29ce484222325;

    for (p = conf->group; *p; p++) {
        hash = (hash ^ (unsigned char) *p) * 0x100000001b3;
    }

    hash *= 0x100000001b3;

    for (p = conf->topic; *p; p++) {
        hash = (hash ^ (unsigned char) *p) * 0x100000001b3;
    }

    snprintf(prefix, OFFSETS_PREFIX, "sluice:%016" PRIx64 ":", hash);
}


offsets_t *
offsets_create(const conf_t *conf, const char *owner)
{
    offsets_t  *o;

    o = calloc(1, sizeof(offsets_t));
    if (o == NULL) {
        return NULL;
    }

    o->conf = conf;
    o->owner = owner;

    return o;
}


void
offsets_destroy(offsets_t *o)
{
    if (o == NULL) {
        return;
    }

    buf_free(&o->sql);
    free(o->cluster);
    free(o);
}


int
offsets_set_cluster(offsets_t *o, const char *cluster)
{
    free(o->cluster);
    o->cluster = strdup(cluster);

    return o->cluster ? 0 : -1;
}


const char *
offsets_cluster(const offsets_t *o)
{
    return o->cluster;
}


void
offsets_key(const offsets_t *o, PGconn *conn, buf_t *sql)
{
    offsets_key_table(o, conn, o->conf->table, sql);
}


void
offsets_key_table(const offsets_t *o, PGconn *conn, const char *table,
    buf_t *sql)
{
    sql_literal(sql, conn, o->cluster);
    buf_add(sql, ",", 1);
    sql_literal(sql, conn, o->conf->group);
    buf_add(sql, ",", 1);
    sql_literal(sql, conn, o->conf->topic);
    buf_add(sql, ",", 1);
    sql_literal(sql, conn, table);
}


void
offsets_where(const offsets_t *o, PGconn *conn, buf_t *sql)
{
    offsets_where_table(o, conn, o->conf->table, sql);
}


void
offsets_where_table(const offsets_t *o, PGconn *conn, const char *table,
    buf_t *sql)
{
    buf_addf(sql, " cluster_id=");
    sql_literal(sql, conn, o->cluster);
    buf_addf(sql, " AND group_id=");
    sql_literal(sql, conn, o->conf->group);
    buf_addf(sql, " AND topic=");
    sql_literal(sql, conn, o->conf->topic);
    buf_addf(sql, " AND table_name=");
    sql_literal(sql, conn, table);
}


static void
offsets_end(offsets_t *o, sqlstate_action_t action, const char *reason)
{
    outcome_t  outcome;

    outcome.action = action;
    snprintf(outcome.reason, sizeof(outcome.reason), "%s", reason);

    o->done(o->data, &outcome);
}


/* A rebalance while a query or a lookup was under way. */

static bool
offsets_stale(offsets_t *o)
{
    if (source_status(o->source)->generation == o->generation) {
        return false;
    }

    offsets_end(o, SQLSTATE_FENCED, "the assignment changed");

    return true;
}


static int
offsets_failed(offsets_t *o, const pg_reply_t *reply, const char *what)
{
    outcome_t  outcome;

    sql_outcome(&outcome, reply, what);

    if (outcome.action == SQLSTATE_OK && reply->rows) {
        return offsets_stale(o) ? -1 : 0;
    }

    if (outcome.action == SQLSTATE_ROW || outcome.action == SQLSTATE_OK
        || outcome.action == SQLSTATE_ROW_LATER)
    {
        outcome.action = SQLSTATE_HOLD;
    }

    o->done(o->data, &outcome);

    return -1;
}


void
offsets_claim(offsets_t *o, pg_t *pg, lookup_t *lookup, source_t *source,
    offsets_done_pt done, void *data)
{
    o->pg = pg;
    o->lookup = lookup;
    o->source = source;
    o->generation = source_status(source)->generation;
    o->done = done;
    o->data = data;
    o->claimed = false;

    o->sql.len = 0;
    buf_addf(&o->sql, "SELECT partition FROM sluice.offsets WHERE");
    offsets_where(o, pg_conn(pg), &o->sql);

    if (buf_failed(&o->sql)) {
        memset(&o->sql, 0, sizeof(buf_t));
        offsets_end(o, SQLSTATE_RETRY, "out of memory");
        return;
    }

    pg_query(pg, o->sql.data, NULL, offsets_on_stored, o);
}


/*
 * "start" counts once, for all partitions the topic has when its first
 * daemon comes; a partition that is added later begins at its beginning.
 */

static void
offsets_on_stored(void *data, const pg_reply_t *reply)
{
    int                  row, rows;
    size_t               i, n, known;
    offsets_t           *o = data;
    source_partition_t  *p;

    if (offsets_failed(o, reply, "could not read sluice.offsets") == -1) {
        return;
    }

    rows = PQntuples(reply->rows);
    p = source_partitions(o->source, &n);
    o->first = rows == 0;

    for (i = 0, known = 0; i < n; i++) {
        for (row = 0; row < rows; row++) {
            if (sql_number(reply->rows, row, 0) == p[i].id) {
                known++;
                break;
            }
        }
    }

    if (known == n) {
        offsets_send_claim(o, NULL);
        return;
    }

    if (offsets_ask(o, o->first) == -1) {
        offsets_end(o, SQLSTATE_RETRY, "could not start a thread");
    }
}


static int
offsets_ask(offsets_t *o, bool all)
{
    int                  rc;
    size_t               i, n;
    int32_t             *ids;
    source_partition_t  *p;

    p = source_partitions(o->source, &n);

    ids = malloc((n + 1) * sizeof(int32_t));
    if (ids == NULL) {
        return -1;
    }

    for (i = 0; i < n; i++) {
        ids[i] = p[i].id;
    }

    rc = lookup_start(o->lookup, source_handle(o->source), ids,
                      all ? 0 : n, true,
                      all && o->conf->start == CONF_START_TIME
                      ? o->conf->start_time : -1);
    free(ids);

    return rc;
}


static int64_t
offsets_begin(offsets_t *o, const lookup_range_t *range)
{
    if (!o->first || o->conf->start == CONF_START_EARLIEST) {
        return range->begin;
    }

    return o->conf->start == CONF_START_LATEST ? range->end : range->at;
}


void
offsets_looked_up(offsets_t *o, const lookup_result_t *result)
{
    char                 reason[SQL_REASON];
    size_t               i, j, n;
    source_partition_t  *p;

    if (offsets_stale(o)) {
        return;
    }

    if (result->error[0]) {
        snprintf(reason, sizeof(reason), "could not ask Kafka for offsets: "
                 "%s", result->error);
        offsets_end(o, SQLSTATE_RETRY, reason);
        return;
    }

    if (!o->claimed) {
        offsets_send_claim(o, result);
        return;
    }

    p = source_partitions(o->source, &n);

    for (i = 0; i < n; i++) {
        for (j = 0; j < result->nranges; j++) {
            if (result->ranges[j].partition != p[i].id) {
                continue;
            }
            if (offsets_check(o, &p[i], &result->ranges[j], reason,
                              sizeof(reason))
                == -1)
            {
                offsets_end(o, SQLSTATE_HOLD, reason);
                return;
            }
        }
    }

    offsets_end(o, SQLSTATE_OK, "");
}


static int
offsets_check(offsets_t *o, source_partition_t *p,
    const lookup_range_t *range, char *reason, size_t size)
{
    p->begin = range->begin;
    p->end = range->end;

    if (p->stored < range->begin) {
        snprintf(reason, size, "topic \"%s\", partition %d: the offsets "
                 "%" PRId64 " to %" PRId64 " are lost, retention passed them "
                 "before they were stored (\"offsets reset\" says where to "
                 "go on)", o->conf->topic, p->id, p->stored,
                 range->begin - 1);
        return -1;
    }

    if (p->stored > range->end) {
        snprintf(reason, size, "topic \"%s\", partition %d: offset %" PRId64
                 " is due but the log ends at %" PRId64 ", so the topic was "
                 "made again or cut; its offsets %" PRId64 " to %" PRId64
                 " would be skipped (\"offsets reset\" says where to go "
                 "on)", o->conf->topic, p->id, p->stored,
                 range->end, range->begin, p->stored - 1);
        return -1;
    }

    return 0;
}


/* Rows for VALUES: those of this daemon's partitions, or all there are. */

static void
offsets_values(offsets_t *o, const lookup_result_t *result, bool mine)
{
    size_t               i, j, n, total;
    int64_t              begin;
    PGconn              *conn;
    source_partition_t  *p;

    conn = pg_conn(o->pg);
    p = source_partitions(o->source, &n);
    total = mine ? n : result->nranges;

    for (i = 0; i < total; i++) {
        begin = 0;

        for (j = 0; result && j < result->nranges; j++) {
            if (result->ranges[j].partition
                == (mine ? p[i].id : result->ranges[i].partition))
            {
                begin = offsets_begin(o, &result->ranges[j]);
            }
        }

        buf_addf(&o->sql, i ? ",(" : "(");
        offsets_key(o, conn, &o->sql);
        buf_addf(&o->sql, ",%d,%" PRId64 ",%d,",
                 mine ? p[i].id : result->ranges[i].partition, begin,
                 mine ? 1 : 0);
        sql_literal(&o->sql, conn, mine ? o->owner : "");
        buf_addf(&o->sql, ")");
    }
}


/*
 * Read back by RETURNING in the transaction that raises the epoch, so that
 * no commit of an earlier owner comes between.
 */

static void
offsets_send_claim(offsets_t *o, const lookup_result_t *result)
{
    size_t  n;
    buf_t  *sql;

    static const char  into[] =
        "INSERT INTO sluice.offsets (cluster_id, group_id, topic, table_name,"
        " partition, next_offset, epoch, owner) VALUES ";

    sql = &o->sql;
    sql->len = 0;
    source_partitions(o->source, &n);

    if (n == 0) {
        offsets_end(o, SQLSTATE_OK, "");
        return;
    }

    sql_begin(sql);

    if (o->first) {
        buf_addf(sql, "%s", into);
        offsets_values(o, result, false);
        buf_addf(sql, " ON CONFLICT DO NOTHING;");
    }

    buf_addf(sql, "WITH claimed AS (%s", into);
    offsets_values(o, result, true);
    buf_addf(sql, " ON CONFLICT (cluster_id, group_id, topic, partition,"
             " table_name) DO UPDATE SET epoch=offsets.epoch+1,"
             " owner=EXCLUDED.owner, updated_at=now() RETURNING *)"
             " SELECT c.partition, c.next_offset, c.epoch, c.last_timestamp,"
             " c.last_crc, (SELECT max(b.first_offset) FROM sluice.batches b"
             " WHERE b.cluster_id=c.cluster_id AND b.group_id=c.group_id"
             " AND b.topic=c.topic AND b.partition=c.partition"
             " AND b.table_name=c.table_name AND b.kind='records'"
             " AND b.next_offset=c.next_offset) FROM claimed c;COMMIT");

    if (buf_failed(sql)) {
        memset(sql, 0, sizeof(buf_t));
        offsets_end(o, SQLSTATE_RETRY, "out of memory");
        return;
    }

    pg_query(o->pg, sql->data, NULL, offsets_on_claimed, o);
}


static void
offsets_on_claimed(void *data, const pg_reply_t *reply)
{
    int                  row;
    size_t               i, n;
    offsets_t           *o = data;
    PGresult            *res;
    source_partition_t  *p;

    if (offsets_failed(o, reply, "could not claim the offsets") == -1) {
        return;
    }

    res = reply->rows;
    p = source_partitions(o->source, &n);

    for (i = 0; i < n; i++) {

        for (row = 0; row < PQntuples(res); row++) {
            if (sql_number(res, row, 0) == p[i].id) {
                break;
            }
        }

        if (row == PQntuples(res)) {
            offsets_end(o, SQLSTATE_RETRY, "a claimed offset is missing");
            return;
        }

        p[i].stored = sql_number(res, row, 1);
        p[i].epoch = sql_number(res, row, 2);
        p[i].has_last = !PQgetisnull(res, row, 3) && !PQgetisnull(res, row, 4);
        p[i].last_timestamp = sql_number(res, row, 3);
        p[i].last_crc = (uint32_t) sql_number(res, row, 4);
        p[i].run = PQgetisnull(res, row, 5) ? p[i].stored
                                            : sql_number(res, row, 5);
    }

    o->claimed = true;

    if (offsets_ask(o, false) == -1) {
        offsets_end(o, SQLSTATE_RETRY, "could not start a thread");
    }
}
