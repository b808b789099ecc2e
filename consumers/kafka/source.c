/* The membership in the group, and assignments.  Does not read records. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "kafka/client.h"
#include "kafka/source_impl.h"


#define SOURCE_LOOK    1000     /* ms between two looks into all queues */
#define SOURCE_SILENT  10000    /* ms to wait for a partition's first event */
#define SOURCE_COMMIT  60000    /* ms to wait for a commit's reply */


static int source_subscribe(source_t *source, char *err);
static void source_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err,
    rd_kafka_topic_partition_list_t *list, void *opaque);
static void source_on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t err,
    rd_kafka_topic_partition_list_t *list, void *opaque);
static void source_assign_none(source_t *source);
static void source_take(source_t *source,
    rd_kafka_topic_partition_list_t *list);
static void source_drop(source_t *source);
static void source_close_queue(source_partition_t *p);


source_t *
source_create(const conf_t *conf, int partitions, char *err)
{
    source_t         *source;
    rd_kafka_conf_t  *rkconf;

    snprintf(err, CONF_ERROR_MAX, "out of memory");

    source = calloc(1, sizeof(source_t));
    if (source == NULL) {
        return NULL;
    }

    source->conf = conf;
    source->patience = SOURCE_SILENT;
    source->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    rkconf = client_conf(conf, RD_KAFKA_CONSUMER, partitions, err);

    if (rkconf) {
        rd_kafka_conf_set_rebalance_cb(rkconf, source_on_rebalance);
        rd_kafka_conf_set_offset_commit_cb(rkconf, source_on_commit);
        rd_kafka_conf_set_error_cb(rkconf, source_on_error);
        rd_kafka_conf_set_opaque(rkconf, source);
        client_watch(rkconf, &source->changed);
    }

    source->rk = client_create(RD_KAFKA_CONSUMER, rkconf, err);

    if (source->rk == NULL || source_subscribe(source, err) == -1) {
        source_destroy(source);
        return NULL;
    }

    return source;
}


static int
source_subscribe(source_t *source, char *err)
{
    size_t                            i;
    rd_kafka_resp_err_t               code;
    rd_kafka_topic_partition_list_t  *topics;

    rd_kafka_poll_set_consumer(source->rk);

    source->main = rd_kafka_queue_get_consumer(source->rk);
    client_signal(source->main, source->fd);

    topics = rd_kafka_topic_partition_list_new(1);

    for (i = 0; i < conf_topics(source->conf); i++) {
        rd_kafka_topic_partition_list_add(topics, conf_topic(source->conf, i),
                                          RD_KAFKA_PARTITION_UA);
    }

    code = rd_kafka_subscribe(source->rk, topics);
    rd_kafka_topic_partition_list_destroy(topics);

    if (code) {
        snprintf(err, CONF_ERROR_MAX, "could not subscribe to topic \"%s\": "
                 "%s", source->conf->topic, rd_kafka_err2str(code));
        return -1;
    }

    return 0;
}


void
source_destroy(source_t *source)
{
    if (source == NULL) {
        return;
    }

    source_drop(source);

    if (source->rk) {
        rd_kafka_queue_destroy(source->main);
        rd_kafka_destroy_flags(source->rk,
                               RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    }

    close(source->fd);
    free(source);
}


rd_kafka_t *
source_handle(source_t *source)
{
    return source->rk;
}


source_status_t *
source_status(source_t *source)
{
    return &source->status;
}


int
source_fd(const source_t *source)
{
    return source->fd;
}


source_partition_t *
source_partitions(source_t *source, size_t *n)
{
    *n = source->npartitions;

    return source->partitions;
}


source_partition_t *
source_topic_partitions(source_t *source, size_t topic, size_t *n)
{
    size_t  first, end;

    for (first = 0; first < source->npartitions; first++) {
        if (source->partitions[first].topic == topic) {
            break;
        }
    }

    for (end = first; end < source->npartitions; end++) {
        if (source->partitions[end].topic != topic) {
            break;
        }
    }

    *n = end - first;

    return source->partitions + first;
}


void
source_hold(source_t *source, size_t topic, bool held)
{
    size_t               i, n;
    source_partition_t  *p;

    p = source_topic_partitions(source, topic, &n);

    for (i = 0; i < n; i++) {
        p[i].held = held;
    }
}


/*
 * A rebalance is acknowledged at once with nothing to read, as librdkafka
 * skips the group's next rebalance while an assign() is due.  The loop claims
 * the offsets in PostgreSQL, then calls source_assign().
 */

static void
source_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err,
    rd_kafka_topic_partition_list_t *list, void *opaque)
{
    source_t  *source = opaque;

    source->status.generation++;
    source->status.rebalances++;
    source->status.reassign = false;
    source->status.fault[0] = '\0';

    if (err != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        source_drop(source);
        rd_kafka_assign(rk, NULL);
        log_info("group \"%s\": partitions were revoked%s",
                 source->conf->group,
                 rd_kafka_assignment_lost(rk) ? " (membership was lost)"
                                              : "");
        return;
    }

    source_assign_none(source);
    source_take(source, list);

    log_info("group \"%s\": %d partitions of topic \"%s\" assigned",
             source->conf->group, list->cnt, source->conf->topic);
}


static void
source_assign_none(source_t *source)
{
    rd_kafka_topic_partition_list_t  *none;

    none = rd_kafka_topic_partition_list_new(1);
    rd_kafka_assign(source->rk, none);
    rd_kafka_topic_partition_list_destroy(none);
}


/* Partitions are sorted, so that all daemons lock rows in one order. */

static void
source_take(source_t *source, rd_kafka_topic_partition_list_t *list)
{
    int                  i;
    size_t               topic;
    source_partition_t  *p;

    source_drop(source);

    source->partitions = calloc((size_t) list->cnt + 1,
                                sizeof(source_partition_t));
    if (source->partitions == NULL) {
        snprintf(source->status.fatal, SOURCE_REASON, "out of memory");
        return;
    }

    rd_kafka_topic_partition_list_sort(list, NULL, NULL);

    for (i = 0, topic = 0; i < list->cnt; i++) {

        /* both are sorted by name */
        while (source->conf->several && topic < conf_topics(source->conf)
               && strcmp(conf_topic(source->conf, topic), list->elems[i].topic)
                  < 0)
        {
            topic++;
        }

        p = &source->partitions[source->npartitions++];
        p->topic = (uint16_t) topic;
        p->id = list->elems[i].partition;
        p->range = -1;
        p->eof = -1;
    }
}


static void
source_drop(source_t *source)
{
    size_t  i;

    for (i = 0; i < source->npartitions; i++) {
        source_close_queue(&source->partitions[i]);
    }

    free(source->partitions);
    source->partitions = NULL;
    source->npartitions = 0;
    source->turn = 0;
}


/*
 * Opens a partition's own queue, apart from the main one.  Each assignment
 * opens it again, as a topic that was deleted and created again has new
 * queues.  Records of an earlier assignment are dropped.
 */

static int
source_open_queue(source_t *source, source_partition_t *p)
{
    rd_kafka_message_t  *rkm;

    source_close_queue(p);

    p->queue = rd_kafka_queue_get_partition(source->rk,
                                            source_topic(source, p), p->id);
    if (p->queue == NULL) {
        return -1;
    }

    rd_kafka_queue_forward(p->queue, NULL);
    client_signal(p->queue, source->fd);

    while ((rkm = rd_kafka_consume_queue(p->queue, 0))) {
        rd_kafka_message_destroy(rkm);
    }

    return 0;
}


static void
source_close_queue(source_partition_t *p)
{
    if (p->queue) {
        rd_kafka_queue_io_event_enable(p->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(p->queue);
        p->queue = NULL;
    }
}


/* Where to begin to read a partition. */

static int64_t
source_back(const source_t *source, const source_partition_t *p)
{
    int64_t  back, first;

    if (!p->verify) {
        return p->stored;
    }

    first = p->run > p->begin ? p->run : p->begin;

    if (source->conf->receipts_topic == NULL || first >= p->stored) {
        return p->stored - 1;
    }

    back = p->stored - SOURCE_BACK;

    return back > first ? back : first;
}


void
source_assign(source_t *source)
{
    size_t                            i;
    int64_t                           now;
    source_partition_t               *p;
    rd_kafka_resp_err_t               err;
    rd_kafka_topic_partition_list_t  *list;

    now = clock_ms();
    err = RD_KAFKA_RESP_ERR_NO_ERROR;
    list = rd_kafka_topic_partition_list_new((int) source->npartitions + 1);

    source->status.reassign = false;
    source->status.recheck = false;
    atomic_store(&source->changed, false);

    for (i = 0; i < source->npartitions; i++) {
        p = &source->partitions[i];

        if (p->stored < p->told) {
            log_warnx("topic \"%s\", partition %d: PostgreSQL no longer has "
                      "what it committed of offsets %lld to %lld (a failover "
                      "or a restore): they are read again",
                      source_topic(source, p), p->id, (long long) p->stored,
                      (long long) p->told - 1);
        }

        p->verify = p->has_last && p->stored > p->begin;
        p->same = false;
        p->back = source_back(source, p);
        p->oldest = -1;
        p->newest = -1;
        p->expected = p->stored;
        p->told = p->stored;
        p->range = -1;
        p->eof = -1;
        p->past = false;
        p->silent = p->held ? 0 : now;
        p->ready = !p->held;

        if (p->held) {
            source_close_queue(p);
            continue;
        }

        if (p->has_last && !p->verify) {
            log_info("topic \"%s\", partition %d: the record before offset "
                     "%lld is gone by retention, so it could not be compared "
                     "with the one stored last", source_topic(source, p),
                     p->id, (long long) p->stored);
        }

        if (source_open_queue(source, p) == -1) {
            source->status.reassign = true;
        }

        rd_kafka_topic_partition_list_add(list, source_topic(source, p), p->id)
            ->offset = p->back;
        log_debug("topic \"%s\", partition %d: assigned at offset %lld",
                  source_topic(source, p), p->id, (long long) p->back);
    }

    if (!source->status.reassign) {
        err = rd_kafka_assign(source->rk, list);
    }

    rd_kafka_topic_partition_list_destroy(list);

    if (err) {
        log_warnx("could not assign the partitions of topic \"%s\": %s",
                  source->conf->topic, rd_kafka_err2str(err));
        source->status.reassign = true;
    }
}


void
source_unassign(source_t *source)
{
    size_t  i;

    source_assign_none(source);
    log_debug("topic \"%s\": nothing is read for now", source->conf->topic);

    for (i = 0; i < source->npartitions; i++) {
        source->partitions[i].ready = false;
        source->partitions[i].silent = 0;
    }
}


void
source_poll(source_t *source)
{
    bool                 silent;
    size_t               i;
    int64_t              now;
    uint64_t             n;
    rd_kafka_message_t  *rkm;

    now = clock_ms();

    /* all queues are looked at once a second, in case an event was missed */
    if (read(source->fd, &n, sizeof(n)) == sizeof(n)
        || now - source->looked >= SOURCE_LOOK)
    {
        source->looked = now;
        silent = false;

        for (i = 0; i < source->npartitions; i++) {
            source->partitions[i].ready = source->partitions[i].queue != NULL;
            silent |= source->partitions[i].silent != 0;
        }

        if (!silent) {
            source->patience = SOURCE_SILENT;
        }
    }

    while ((rkm = rd_kafka_consumer_poll(source->rk, 0))) {

        if (rkm->err) {
            source_message_error(source, NULL, rkm);

        } else {
            /* a record that did not come by its partition's queue */
            source->status.reassign = true;
        }

        rd_kafka_message_destroy(rkm);
    }
}


/*
 * One commit is on the way at a time.  A broker answers a connection's
 * requests one after the other: behind a queue of commits that wait for slow
 * replicas heartbeats came too late, and the session ended.
 */

void
source_commit(source_t *source)
{
    size_t                            i;
    source_partition_t               *p;
    rd_kafka_topic_partition_list_t  *list;

    if (source->committing
        && clock_ms() - source->committing < SOURCE_COMMIT)
    {
        return;
    }

    list = rd_kafka_topic_partition_list_new((int) source->npartitions);

    for (i = 0; i < source->npartitions; i++) {
        p = &source->partitions[i];

        if (p->told != p->stored) {
            p->told = p->stored;
            rd_kafka_topic_partition_list_add(list, source_topic(source, p),
                                              p->id)
                ->offset = p->stored;
        }
    }

    if (list->cnt > 0) {
        source->committing = rd_kafka_commit(source->rk, list, 1) ? 0
                             : clock_ms();
    }

    rd_kafka_topic_partition_list_destroy(list);
}


/* What was stored meanwhile is committed next; an error needs no more. */

static void
source_on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t err,
    rd_kafka_topic_partition_list_t *list, void *opaque)
{
    source_t  *source = opaque;

    (void) rk;
    (void) err;
    (void) list;

    source->committing = 0;
    source_commit(source);
}


int
source_close(source_t *source)
{
    rd_kafka_error_t  *error;

    /* the last commit waits for none before it */
    source->committing = 0;
    source_commit(source);

    error = rd_kafka_consumer_close_queue(source->rk, source->main);

    if (error) {
        log_warnx("could not leave the group: %s",
                  rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
        return -1;
    }

    return 0;
}


bool
source_closed(source_t *source)
{
    source_poll(source);

    return rd_kafka_consumer_closed(source->rk);
}
