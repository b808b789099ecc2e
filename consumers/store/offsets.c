/*
 * Offsets in PostgreSQL, claimed at assignment: each partition is looked for
 * in sluice.offsets, added where it is new, given the next epoch, and compared
 * with what the topic holds.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "postgres/sql.h"
#include "store/offsets.h"


/* A topic of the configuration. */
typedef struct {
    const conf_t      *conf;
    char              *table;        /* the name that the offsets have */
    buf_t              key;          /* SQL, offsets_key() */
    buf_t              where;        /* SQL, offsets_where() */
} offsets_topic_t;


struct offsets_s {
    const conf_t      *conf;
    const char        *owner;
    char              *cluster;
    int64_t            version;      /* of schema "sluice" */
    offsets_topic_t   *topics;
    size_t             ntopics;
    offsets_topic_t   *topic;        /* the one being claimed */

    pg_t              *pg;
    lookup_t          *lookup;
    source_t          *source;
    uint64_t           generation;   /* of the assignment being claimed */
    outcome_pt         done;
    offsets_hold_pt    hold;
    void              *data;
    buf_t              sql;
    bool               first;        /* no offset of the topic is stored */
    bool               claimed;
};


static int offsets_set_table(offsets_t *o, offsets_topic_t *topic,
    const char *table);
static void offsets_next(offsets_t *o);
static source_partition_t *offsets_partitions(const offsets_t *o, size_t *n);
static void offsets_on_stored(void *data, const pg_reply_t *reply);
static void offsets_ask(offsets_t *o, bool all);
static void offsets_send_claim(offsets_t *o, const lookup_result_t *result);
static void offsets_on_claimed(void *data, const pg_reply_t *reply);
static int offsets_check(offsets_t *o, source_partition_t *p,
    const lookup_range_t *range, char *reason, size_t size);
static int offsets_row(const PGresult *res, int32_t partition);
static const lookup_range_t *offsets_range(const lookup_result_t *result,
    int32_t partition);


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

    o->topics = calloc(conf_topics(conf) + 1, sizeof(offsets_topic_t));

    if (o->topics == NULL) {
        free(o);
        return NULL;
    }

    while (o->ntopics < conf_topics(conf)) {
        o->topics[o->ntopics].conf = conf_of_topic(conf, o->ntopics);
        o->ntopics++;
    }

    o->topic = o->topics;

    return o;
}


void
offsets_destroy(offsets_t *o)
{
    if (o == NULL) {
        return;
    }

    while (o->ntopics) {
        o->ntopics--;
        buf_free(&o->topics[o->ntopics].key);
        buf_free(&o->topics[o->ntopics].where);
        free(o->topics[o->ntopics].table);
    }

    buf_free(&o->sql);
    free(o->topics);
    free(o->cluster);
    free(o);
}


int
offsets_set_cluster(offsets_t *o, const char *cluster)
{
    size_t  i;

    free(o->cluster);
    o->cluster = strdup(cluster);

    for (i = 0; o->cluster && i < o->ntopics; i++) {
        if (offsets_set_table(o, &o->topics[i], o->topics[i].conf->table)
            == -1)
        {
            return -1;
        }
    }

    return o->cluster ? 0 : -1;
}


static int
offsets_set_table(offsets_t *o, offsets_topic_t *topic, const char *table)
{
    const conf_t  *conf;

    conf = topic->conf;
    free(topic->table);
    topic->table = strdup(table);
    buf_free(&topic->key);
    buf_free(&topic->where);

    sql_format(&topic->key, "%L,%L,%L,%L", o->cluster, conf->group,
               conf->topic, table);
    sql_format(&topic->where, "(cluster_id,group_id,topic,table_name)"
               SQL_OP("=") "(%s)", topic->key.data ? topic->key.data : "");

    return topic->table == NULL || buf_failed(&topic->key)
           || buf_failed(&topic->where) ? -1 : 0;
}


/*
 * Of daemons that name the table differently and come first together, one
 * stores its name; the others are fenced and find it.
 */

static void
offsets_only_name(const offsets_t *o, buf_t *sql)
{
    char           prefix[OFFSETS_PREFIX];
    buf_t          block = { 0 };
    const conf_t  *conf;

    conf = o->topic->conf;
    offsets_prefix(conf, prefix);
    sql_format(&block, "BEGIN PERFORM pg_catalog.pg_advisory_xact_lock("
               "pg_catalog.hashtextextended(%L,0));IF EXISTS (SELECT"
               " FROM sluice.offsets WHERE " OFFSETS_TOPIC " AND table_name"
               SQL_OP("<>") "%L AND table_name" SQL_OP("=") "ANY (", prefix,
               o->cluster, conf->group, conf->topic, o->topic->table);
    offsets_names(conf, &block);
    buf_addf(&block, ")) THEN RAISE EXCEPTION 'another daemon stored the"
             " offsets under another name of the table' USING ERRCODE="
             "'SL001';END IF;END");
    sql_do(sql, &block);
    buf_addf(sql, ";");
}


const char *
offsets_cluster(const offsets_t *o)
{
    return o->cluster;
}


const char *
offsets_table(const offsets_t *o, size_t topic)
{
    return o->topics[topic].table;
}


int64_t
offsets_version(const offsets_t *o)
{
    return o->version;
}


const char *
offsets_key(const offsets_t *o, size_t topic)
{
    return o->topics[topic].key.data;
}


const char *
offsets_where(const offsets_t *o, size_t topic)
{
    return o->topics[topic].where.data;
}


static void
offsets_end(offsets_t *o, sqlstate_action_t action, const char *reason)
{
    sqlstate_end(o->done, o->data, action, reason);
}


/* Whether a rebalance came while a query or a lookup was under way. */

static bool
offsets_is_stale(offsets_t *o)
{
    if (source_status(o->source)->generation == o->generation) {
        return false;
    }

    offsets_end(o, SQLSTATE_FENCED, "the assignment changed");

    return true;
}


static bool
offsets_failed(offsets_t *o, const pg_reply_t *reply, const char *what)
{
    outcome_t  outcome;

    sqlstate_outcome(&outcome, reply, what);

    if (outcome.action == SQLSTATE_OK && reply->rows) {
        return offsets_is_stale(o);
    }

    if (outcome.action == SQLSTATE_ROW || outcome.action == SQLSTATE_OK
        || outcome.action == SQLSTATE_ROW_LATER)
    {
        outcome.action = SQLSTATE_HOLD;
    }

    o->done(o->data, &outcome);

    return true;
}


static void
offsets_send(offsets_t *o, pg_done_pt done)
{
    if (buf_failed(&o->sql)) {
        buf_free(&o->sql);
        offsets_end(o, SQLSTATE_RETRY, "out of memory");
        return;
    }

    pg_query(o->pg, o->sql.data, NULL, done, o);
}


void
offsets_claim(offsets_t *o, pg_t *pg, lookup_t *lookup, source_t *source,
    outcome_pt done, void *data)
{
    o->pg = pg;
    o->lookup = lookup;
    o->source = source;
    o->generation = source_status(source)->generation;
    o->done = done;
    o->data = data;
    o->topic = o->topics;

    offsets_next(o);
}


void
offsets_on_hold(offsets_t *o, offsets_hold_pt hold)
{
    o->hold = hold;
}


/* Claims the next topic of which this daemon has partitions. */

static void
offsets_next(offsets_t *o)
{
    size_t         n;
    const conf_t  *conf;

    while (o->topic < o->topics + o->ntopics) {
        (void) offsets_partitions(o, &n);

        if (n || o->ntopics == 1) {
            break;
        }

        o->topic++;
    }

    if (o->topic == o->topics + o->ntopics) {
        offsets_end(o, SQLSTATE_OK, "");
        return;
    }

    conf = o->topic->conf;
    o->claimed = false;
    o->sql.len = 0;
    buf_addf(&o->sql, "SELECT o.partition, k.name, k.wrong, (SELECT"
             " pg_catalog.max(version) FROM sluice.meta) FROM (SELECT ");
    offsets_name(conf, o->cluster, &o->sql);
    buf_addf(&o->sql, " AS name, ");
    offsets_doubt(conf, o->cluster, &o->sql);
    sql_format(&o->sql, " AS wrong) k LEFT JOIN sluice.offsets o"
               " ON " OFFSETS_TOPIC " AND table_name" SQL_OP("=") "k.name",
               o->cluster, conf->group, conf->topic);
    offsets_send(o, offsets_on_stored);
}


static source_partition_t *
offsets_partitions(const offsets_t *o, size_t *n)
{
    return source_topic_partitions(o->source, (size_t) (o->topic - o->topics),
                                   n);
}


/* The topic at hand cannot be read: so nothing can, or the others can. */

static void
offsets_hold(offsets_t *o, const char *reason)
{
    if (o->hold == NULL || !o->conf->several) {
        offsets_end(o, SQLSTATE_HOLD, reason);
        return;
    }

    o->hold(o->data, (size_t) (o->topic - o->topics), reason);
    o->topic++;
    offsets_next(o);
}


/*
 * "start" is used once, for the partitions that the topic has when its first
 * daemon comes.  A partition that is added later is read from its beginning.
 */

static void
offsets_on_stored(void *data, const pg_reply_t *reply)
{
    char                 reason[SQL_REASON];
    size_t               i, n;
    offsets_t           *o = data;
    const char          *wrong;
    source_partition_t  *p;

    if (offsets_failed(o, reply, "could not read sluice.offsets")) {
        return;
    }

    if (PQntuples(reply->rows) == 0) {
        offsets_end(o, SQLSTATE_RETRY, "sluice.offsets gave no answer");
        return;
    }

    o->first = PQgetisnull(reply->rows, 0, 0);
    o->version = sql_number(reply->rows, 0, 3);
    wrong = PQgetvalue(reply->rows, 0, 2);

    if (o->first && wrong[0]) {
        snprintf(reason, sizeof(reason), "table \"%s\": %s",
                 o->topic->conf->table, wrong);
        offsets_hold(o, reason);
        return;
    }

    if (offsets_set_table(o, o->topic, PQgetvalue(reply->rows, 0, 1)) == -1) {
        offsets_end(o, SQLSTATE_RETRY, "out of memory");
        return;
    }

    if (strcmp(o->topic->table, o->topic->conf->table) != 0) {
        log_info("the offsets of table \"%s\" are stored as those of "
                 "\"%s\"", o->topic->conf->table, o->topic->table);
    }

    p = offsets_partitions(o, &n);

    for (i = 0; i < n; i++) {
        if (o->first || offsets_row(reply->rows, p[i].id) == -1) {
            break;
        }
    }

    if (i == n) {
        offsets_send_claim(o, NULL);
    } else {
        offsets_ask(o, o->first);
    }
}


/* Asks Kafka for the ranges of this daemon's partitions, or of all. */

static void
offsets_ask(offsets_t *o, bool all)
{
    int                  rc;
    size_t               i, n;
    int32_t             *ids;
    source_partition_t  *p;

    p = offsets_partitions(o, &n);
    rc = -1;

    ids = malloc((n + 1) * sizeof(int32_t));

    if (ids) {
        for (i = 0; i < n; i++) {
            ids[i] = p[i].id;
        }

        lookup_set_topic(o->lookup, o->topic->conf->topic);
        rc = lookup_start(o->lookup, source_handle(o->source), ids,
                          all ? 0 : n, true,
                          all && o->conf->start == CONF_START_TIME
                          ? o->conf->start_time : -1);
    }

    free(ids);

    if (rc == -1) {
        offsets_end(o, SQLSTATE_RETRY, "could not start a thread");
    }
}


static int64_t
offsets_begin(const offsets_t *o, const lookup_range_t *range)
{
    if (!o->first || o->conf->start == CONF_START_EARLIEST) {
        return range->begin;
    }

    return o->conf->start == CONF_START_LATEST ? range->end : range->at;
}


void
offsets_looked_up(offsets_t *o, const lookup_result_t *result)
{
    char                   reason[SQL_REASON];
    size_t                 i, n;
    source_partition_t    *p;
    const lookup_range_t  *range;

    if (offsets_is_stale(o)) {
        return;
    }

    if (result->error[0]) {
        snprintf(reason, sizeof(reason), "could not ask Kafka for offsets: "
                 "%s", result->error);
        if (!result->unreached && o->conf->several) {
            offsets_hold(o, reason);
            return;
        }
        offsets_end(o, SQLSTATE_RETRY, reason);
        return;
    }

    if (!o->claimed) {
        offsets_send_claim(o, result);
        return;
    }

    p = offsets_partitions(o, &n);

    for (i = 0; i < n; i++) {
        range = offsets_range(result, p[i].id);

        if (range
            && offsets_check(o, &p[i], range, reason, sizeof(reason)) == -1)
        {
            offsets_hold(o, reason);
            return;
        }
    }

    o->topic++;
    offsets_next(o);
}


static int
offsets_check(offsets_t *o, source_partition_t *p,
    const lookup_range_t *range, char *reason, size_t size)
{
    p->begin = range->begin;
    p->end = range->end;

    if (p->stored < range->begin) {
        snprintf(reason, size, "topic \"%s\", partition %d: retention removed "
                 "offsets %" PRId64 " to %" PRId64 " before they were stored "
                 "(\"offsets reset\" sets where to continue)",
                 o->topic->conf->topic,
                 p->id, p->stored, range->begin - 1);
        return -1;
    }

    if (p->stored > range->end) {
        snprintf(reason, size, "topic \"%s\", partition %d: offset %" PRId64
                 " is the next one but the topic ends at %" PRId64 ": it was "
                 "created again or cut, and offsets %" PRId64 " to %" PRId64
                 " would be skipped (\"offsets reset\" sets where to "
                 "continue)", o->topic->conf->topic, p->id, p->stored,
                 range->end, range->begin, p->stored - 1);
        return -1;
    }

    return 0;
}


/* Rows for VALUES: of this daemon's partitions, or of all in the result. */

static void
offsets_values(offsets_t *o, const lookup_result_t *result, bool mine)
{
    size_t                 i, n;
    int32_t                id;
    source_partition_t    *p;
    const lookup_range_t  *range;

    p = offsets_partitions(o, &n);
    n = mine ? n : result->nranges;

    for (i = 0; i < n; i++) {
        id = mine ? p[i].id : result->ranges[i].partition;
        range = result ? offsets_range(result, id) : NULL;

        buf_addf(&o->sql, "%s(%s,%d,%" PRId64 ",%d,'%s')", i ? "," : "",
                 o->topic->key.data, id, range ? offsets_begin(o, range) : 0,
                 mine ? 1 : 0, mine ? o->owner : "");
    }
}


/*
 * The transaction that raises the epoch also returns the offsets, so that no
 * commit of an earlier owner comes between.
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
    offsets_partitions(o, &n);

    if (n == 0) {
        o->topic++;
        offsets_next(o);
        return;
    }

    sql_begin(sql);

    if (o->first) {
        if (o->topic->conf->table_name) {
            offsets_only_name(o, sql);
        }
        buf_addf(sql, "%s", into);
        offsets_values(o, result, false);
        buf_addf(sql, " ON CONFLICT DO NOTHING;");
    }

    buf_addf(sql, "WITH claimed AS (%s", into);
    offsets_values(o, result, true);
    buf_addf(sql, " ON CONFLICT (cluster_id, group_id, topic, partition,"
             " table_name) DO UPDATE SET epoch=offsets.epoch" SQL_OP("+") "1,"
             " owner=EXCLUDED.owner, updated_at=pg_catalog.now() RETURNING *)"
             " SELECT c.partition, c.next_offset, c.epoch, c.last_timestamp,"
             " c.last_crc, (SELECT pg_catalog.max(b.first_offset)"
             " FROM sluice.batches b WHERE (b.cluster_id,b.group_id,b.topic,"
             "b.partition,b.table_name,b.kind,b.next_offset)" SQL_OP("=")
             "(c.cluster_id,c.group_id,c.topic,c.partition,c.table_name,"
             "'records',c.next_offset)) FROM claimed c;COMMIT");

    offsets_send(o, offsets_on_claimed);
}


static void
offsets_on_claimed(void *data, const pg_reply_t *reply)
{
    int                  row;
    size_t               i, n;
    offsets_t           *o = data;
    PGresult            *res;
    source_partition_t  *p;

    if (offsets_failed(o, reply, "could not claim the offsets")) {
        return;
    }

    res = reply->rows;
    p = offsets_partitions(o, &n);

    for (i = 0; i < n; i++) {

        row = offsets_row(res, p[i].id);
        if (row == -1) {
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
    offsets_ask(o, false);
}


/* The partition's row of an answer, or -1. */

static int
offsets_row(const PGresult *res, int32_t partition)
{
    int  row;

    for (row = PQntuples(res) - 1; row >= 0; row--) {
        if (sql_number(res, row, 0) == partition) {
            break;
        }
    }

    return row;
}


static const lookup_range_t *
offsets_range(const lookup_result_t *result, int32_t partition)
{
    size_t  i;

    for (i = 0; i < result->nranges; i++) {
        if (result->ranges[i].partition == partition) {
            return &result->ranges[i];
        }
    }

    return NULL;
}
