/*
 * Looks up a topic's partitions and their offsets, on a thread of its own.
 * pthread_create() hands the structure to the thread, pthread_join() back to
 * the loop.
 */

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "kafka/client.h"
#include "kafka/lookup.h"


#define LOOKUP_TIMEOUT  5000    /* ms a request */
#define LOOKUP_SCRAM    0x020601ff
#define LOOKUP_ERRORS   32      /* events read after a failed request */

/* ListOffsets' special timestamps, the same as librdkafka's offsets */
#define LOOKUP_LATEST   RD_KAFKA_OFFSET_END
#define LOOKUP_EARLIEST RD_KAFKA_OFFSET_BEGINNING


struct lookup_s {
    const conf_t     *conf;
    const char       *topic;
    int               fd;
    bool              busy;
    pthread_t         thread;

    rd_kafka_conf_t  *rkconf;    /* of a client for this lookup; or NULL */
    rd_kafka_t       *rk;
    bool              with;
    int64_t           timestamp;

    char              said[LOOKUP_REASON];    /* an error of that client */
    lookup_result_t   result;
};


static void *lookup_thread(void *data);
static void lookup_ask(lookup_t *lookup);
static int lookup_topic(lookup_t *lookup);
static void lookup_names(lookup_t *lookup);
static int lookup_name(lookup_result_t *result,
    const struct rd_kafka_metadata *md);
static void lookup_clear(lookup_t *lookup);
static int lookup_all(lookup_result_t *result,
    const struct rd_kafka_metadata_topic *topic);
static int lookup_offsets(lookup_t *lookup, int64_t timestamp, size_t field);
static int lookup_fail(lookup_t *lookup, rd_kafka_resp_err_t err);
static void lookup_on_error(rd_kafka_t *rk, int err, const char *reason,
    void *opaque);
static void lookup_explain(lookup_t *lookup);


lookup_t *
lookup_create(const conf_t *conf, const char *topic)
{
    lookup_t  *lookup;

    lookup = calloc(1, sizeof(lookup_t));
    if (lookup == NULL) {
        return NULL;
    }

    lookup->conf = conf;
    lookup->topic = topic;
    lookup->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    if (lookup->fd == -1) {
        free(lookup);
        return NULL;
    }

    return lookup;
}


void
lookup_destroy(lookup_t *lookup)
{
    if (lookup == NULL) {
        return;
    }

    if (lookup->busy) {
        pthread_join(lookup->thread, NULL);
    }

    close(lookup->fd);
    lookup_clear(lookup);
    free(lookup);
}


void
lookup_set_topic(lookup_t *lookup, const char *topic)
{
    lookup->topic = topic;
}


static void
lookup_clear(lookup_t *lookup)
{
    lookup_result_t  *result = &lookup->result;

    while (result->nnames) {
        free(result->names[--result->nnames]);
    }

    free(result->names);
    free(result->counts);
    free(result->ranges);
    memset(result, 0, sizeof(lookup_result_t));
}


int
lookup_fd(const lookup_t *lookup)
{
    return lookup->fd;
}


bool
lookup_busy(const lookup_t *lookup)
{
    return lookup->busy;
}


int
lookup_start(lookup_t *lookup, rd_kafka_t *rk, const int32_t *partitions,
    size_t n, bool with, int64_t timestamp)
{
    char      err[CONF_ERROR_MAX];
    size_t    i;
    sigset_t  all, old;

    lookup_clear(lookup);

    lookup->rk = rk;
    lookup->rkconf = NULL;
    lookup->with = with;
    lookup->timestamp = timestamp;

    if (n) {
        lookup->result.ranges = calloc(n, sizeof(lookup_range_t));
        if (lookup->result.ranges == NULL) {
            return -1;
        }
    }

    for (i = 0; i < n; i++) {
        lookup->result.ranges[i].partition = partitions[i];
    }

    lookup->result.nranges = n;

    if (rk == NULL) {
        lookup->rkconf = client_conf(lookup->conf, RD_KAFKA_CONSUMER, 0,
                                     err);
        if (lookup->rkconf == NULL) {
            return -1;
        }
    }

    /* only the loop's thread takes signals */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    lookup->busy = pthread_create(&lookup->thread, NULL, lookup_thread,
                                  lookup) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);

    if (!lookup->busy && lookup->rkconf) {
        rd_kafka_conf_destroy(lookup->rkconf);
    }

    return lookup->busy ? 0 : -1;
}


const lookup_result_t *
lookup_result(lookup_t *lookup)
{
    uint64_t  n;

    if (!lookup->busy || read(lookup->fd, &n, sizeof(n)) == -1) {
        return NULL;
    }

    pthread_join(lookup->thread, NULL);
    lookup->busy = false;

    return &lookup->result;
}


static void *
lookup_thread(void *data)
{
    char       err[CONF_ERROR_MAX];
    ssize_t    n;
    lookup_t  *lookup = data;

    if (lookup->rk) {
        lookup_ask(lookup);

    } else {
        lookup->said[0] = '\0';
        rd_kafka_conf_set_opaque(lookup->rkconf, lookup);
        rd_kafka_conf_set_error_cb(lookup->rkconf, lookup_on_error);

        lookup->rk = client_create(RD_KAFKA_CONSUMER, lookup->rkconf, err);

        if (lookup->rk) {
            lookup_ask(lookup);
            lookup_explain(lookup);
            rd_kafka_destroy(lookup->rk);

        } else {
            snprintf(lookup->result.error, LOOKUP_REASON, "%.*s",
                     LOOKUP_REASON - 1, err);
        }
    }

    n = write(lookup->fd, &(uint64_t) { 1 }, sizeof(uint64_t));
    (void) n;

    return NULL;
}


static void
lookup_ask(lookup_t *lookup)
{
    if (lookup->topic == NULL) {
        lookup_names(lookup);
        return;
    }

    if (lookup_topic(lookup) == -1 || !lookup->with) {
        return;
    }

    if (lookup_offsets(lookup, LOOKUP_EARLIEST,
                       offsetof(lookup_range_t, begin)) == 0
        && lookup_offsets(lookup, LOOKUP_LATEST,
                          offsetof(lookup_range_t, end)) == 0
        && lookup->timestamp >= 0)
    {
        (void) lookup_offsets(lookup, lookup->timestamp,
                              offsetof(lookup_range_t, at));
    }
}


static int
lookup_topic(lookup_t *lookup)
{
    int                                    rc;
    char                                  *cluster;
    lookup_result_t                       *result = &lookup->result;
    rd_kafka_topic_t                      *rkt;
    rd_kafka_resp_err_t                    err;
    const struct rd_kafka_metadata        *md;
    const struct rd_kafka_metadata_topic  *topic;

    rc = -1;

    /* this is the consumer's own handle of the topic if it has one */
    rkt = rd_kafka_topic_new(lookup->rk, lookup->topic, NULL);
    if (rkt == NULL) {
        return lookup_fail(lookup, rd_kafka_last_error());
    }

    err = rd_kafka_metadata(lookup->rk, 0, rkt, &md, LOOKUP_TIMEOUT);
    rd_kafka_topic_destroy(rkt);

    if (err) {
        return lookup_fail(lookup, err);
    }

    topic = &md->topics[0];
    cluster = rd_kafka_clusterid(lookup->rk, LOOKUP_TIMEOUT);

    if (topic->err || topic->partition_cnt == 0) {
        snprintf(result->error, LOOKUP_REASON, "topic \"%s\": %s",
                 lookup->topic, topic->err ? rd_kafka_err2str(topic->err)
                                           : "it has no partitions");

    } else if (cluster == NULL || cluster[0] == '\0') {
        snprintf(result->error, LOOKUP_REASON,
                 "the cluster does not tell its id");

    } else if (result->nranges == 0 && lookup_all(result, topic) == -1) {
        lookup_fail(lookup, RD_KAFKA_RESP_ERR__FAIL);

    } else {
        snprintf(result->cluster, sizeof(result->cluster), "%s", cluster);
        result->partitions = topic->partition_cnt;
        result->replicas = topic->partitions[0].replica_cnt;
        rc = 0;
    }

    rd_kafka_mem_free(lookup->rk, cluster);
    rd_kafka_metadata_destroy(md);

    return rc;
}


/* All topics that the client may describe. */

static void
lookup_names(lookup_t *lookup)
{
    char                            *cluster;
    lookup_result_t                 *result = &lookup->result;
    rd_kafka_resp_err_t              err;
    const struct rd_kafka_metadata  *md;

    err = rd_kafka_metadata(lookup->rk, 1, NULL, &md, LOOKUP_TIMEOUT);

    if (err) {
        (void) lookup_fail(lookup, err);
        return;
    }

    cluster = rd_kafka_clusterid(lookup->rk, LOOKUP_TIMEOUT);

    if (cluster == NULL || cluster[0] == '\0') {
        snprintf(result->error, LOOKUP_REASON,
                 "the cluster does not tell its id");

    } else if (lookup_name(result, md) == -1) {
        (void) lookup_fail(lookup, RD_KAFKA_RESP_ERR__FAIL);

    } else {
        snprintf(result->cluster, sizeof(result->cluster), "%s", cluster);
    }

    rd_kafka_mem_free(lookup->rk, cluster);
    rd_kafka_metadata_destroy(md);
}


static int
lookup_name(lookup_result_t *result, const struct rd_kafka_metadata *md)
{
    int                                    i;
    const struct rd_kafka_metadata_topic  *topic;

    result->names = calloc((size_t) md->topic_cnt + 1, sizeof(char *));
    result->counts = calloc((size_t) md->topic_cnt + 1, sizeof(int));

    if (result->names == NULL || result->counts == NULL) {
        return -1;
    }

    for (i = 0; i < md->topic_cnt; i++) {
        topic = &md->topics[i];

        if (topic->err || topic->partition_cnt == 0) {
            continue;
        }

        result->names[result->nnames] = strdup(topic->topic);
        if (result->names[result->nnames] == NULL) {
            return -1;
        }

        result->counts[result->nnames++] = topic->partition_cnt;

        if (topic->partitions[0].replica_cnt > result->replicas) {
            result->replicas = topic->partitions[0].replica_cnt;
        }
    }

    return 0;
}


/* Makes a range for each partition of the topic. */

static int
lookup_all(lookup_result_t *result,
    const struct rd_kafka_metadata_topic *topic)
{
    size_t  i;

    result->nranges = (size_t) topic->partition_cnt;
    result->ranges = calloc(result->nranges, sizeof(lookup_range_t));

    if (result->ranges == NULL) {
        result->nranges = 0;
        return -1;
    }

    for (i = 0; i < result->nranges; i++) {
        result->ranges[i].partition = topic->partitions[i].id;
    }

    return 0;
}


/* Fills one field of all ranges, by one request for each leader. */

static int
lookup_offsets(lookup_t *lookup, int64_t timestamp, size_t field)
{
    size_t                            i;
    lookup_range_t                   *range;
    lookup_result_t                  *result = &lookup->result;
    rd_kafka_resp_err_t               err;
    rd_kafka_topic_partition_t       *tp;
    rd_kafka_topic_partition_list_t  *list;

    list = rd_kafka_topic_partition_list_new((int) result->nranges);

    for (i = 0; i < result->nranges; i++) {
        rd_kafka_topic_partition_list_add(list, lookup->topic,
                                          result->ranges[i].partition)
            ->offset = timestamp;
    }

    err = rd_kafka_offsets_for_times(lookup->rk, list, LOOKUP_TIMEOUT);

    for (i = 0; err == 0 && i < result->nranges; i++) {
        range = &result->ranges[i];
        tp = rd_kafka_topic_partition_list_find(list, lookup->topic,
                                                range->partition);
        err = tp->err;

        /* negative: no record has the timestamp or a later one */
        *(int64_t *) ((char *) range + field) = tp->offset < 0 ? range->end
                                                               : tp->offset;
    }

    rd_kafka_topic_partition_list_destroy(list);

    return err ? lookup_fail(lookup, err) : 0;
}


static int
lookup_fail(lookup_t *lookup, rd_kafka_resp_err_t err)
{
    lookup->result.unreached = err == RD_KAFKA_RESP_ERR__TRANSPORT
                               || err == RD_KAFKA_RESP_ERR__TIMED_OUT;
    snprintf(lookup->result.error, LOOKUP_REASON, "%s",
             rd_kafka_err2str(err));

    return -1;
}


/* Keeps the first error; a broker's refusal says more and replaces it. */

static void
lookup_on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    char      *after;
    lookup_t  *lookup = opaque;

    if (lookup->said[0] == '\0' || err == RD_KAFKA_RESP_ERR__AUTHENTICATION
        || err == RD_KAFKA_RESP_ERR__SSL)
    {
        snprintf(lookup->said, sizeof(lookup->said), "%s", reason);

        /* without the time, the same reason stays the same text */
        after = strstr(lookup->said, " (after ");
        if (after) {
            *after = '\0';
        }
    }
}


/*
 * A request fails with "Broker transport failure"; the client's errors say
 * why.  librdkafka before 2.6.1 sends its SCRAM nonce twice, which Kafka
 * refuses since version 4.
 */

static void
lookup_explain(lookup_t *lookup)
{
    int  i;

    if (!lookup->result.unreached) {
        return;
    }

    for (i = 0; i < LOOKUP_ERRORS; i++) {
        (void) rd_kafka_poll(lookup->rk, 0);
    }

    if (lookup->said[0]) {
        snprintf(lookup->result.error, LOOKUP_REASON, "%.180s%s",
                 lookup->said, rd_kafka_version() < LOOKUP_SCRAM
                 && strstr(lookup->said, "SCRAM")
                 ? " (librdkafka before 2.6.1 cannot use SCRAM with Kafka 4)"
                 : "");
    }
}
