/*
 * What librdkafka 2.0 can only tell by blocking, asked on a thread of its
 * own: a topic's partitions and the offsets they hold.  The thread and the
 * loop hand the structure over by pthread_create() and pthread_join().
 */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "kafka/lookup.h"


#define LOOKUP_TIMEOUT  5000    /* ms a request */
#define LOOKUP_SCRAM    0x020601ff
#define LOOKUP_ERRORS   32      /* events taken when one failed */

/* ListOffsets' special timestamps, the same as librdkafka's offsets */
#define LOOKUP_LATEST   RD_KAFKA_OFFSET_END
#define LOOKUP_EARLIEST RD_KAFKA_OFFSET_BEGINNING


struct lookup_s {
    const char       *topic;
    int               fd;
    bool              busy;
    pthread_t         thread;

    rd_kafka_conf_t  *conf;
    rd_kafka_t       *rk;
    int32_t          *partitions;
    size_t            npartitions;
    bool              with;
    int64_t           timestamp;

    char              said[LOOKUP_REASON];    /* by librdkafka, of its own */
    lookup_result_t   result;
};


static void *lookup_thread(void *data);
static int lookup_topic(lookup_t *lookup, rd_kafka_t *rk);
static int lookup_offsets(lookup_t *lookup, rd_kafka_t *rk,
    int64_t timestamp, size_t field);
static int lookup_fail(lookup_t *lookup, rd_kafka_resp_err_t err);
static void lookup_error(rd_kafka_t *rk, int err, const char *reason,
    void *opaque);


lookup_t *
lookup_create(const char *topic)
{
    lookup_t  *lookup;

    lookup = calloc(1, sizeof(lookup_t));
    if (lookup == NULL) {
        return NULL;
    }

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
    free(lookup->partitions);
    free(lookup->result.ranges);
    free(lookup);
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
lookup_start(lookup_t *lookup, rd_kafka_conf_t *conf, rd_kafka_t *rk,
    const int32_t *partitions, size_t npartitions, bool with,
    int64_t timestamp)
{
    int       rc;
    sigset_t  all, old;

    free(lookup->partitions);
    free(lookup->result.ranges);
    memset(&lookup->result, 0, sizeof(lookup_result_t));

    lookup->partitions = NULL;
    lookup->conf = conf;
    lookup->rk = rk;
    lookup->npartitions = npartitions;
    lookup->with = with;
    lookup->timestamp = timestamp;

    if (npartitions) {
        lookup->partitions = malloc(npartitions * sizeof(int32_t));
        if (lookup->partitions == NULL) {
            goto failed;
        }
        memcpy(lookup->partitions, partitions, npartitions * sizeof(int32_t));
    }

    /* signals are the loop's */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&lookup->thread, NULL, lookup_thread, lookup);
    pthread_sigmask(SIG_SETMASK, &old, NULL);

    if (rc == 0) {
        lookup->busy = true;
        return 0;
    }

failed:

    if (conf) {
        rd_kafka_conf_destroy(conf);
    }

    return -1;
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


static int
lookup_fail(lookup_t *lookup, rd_kafka_resp_err_t err)
{
    if (lookup->result.error[0] == '\0') {
        lookup->result.unreached = err == RD_KAFKA_RESP_ERR__TRANSPORT
                                   || err == RD_KAFKA_RESP_ERR__TIMED_OUT;
        snprintf(lookup->result.error, LOOKUP_REASON, "%s",
                 rd_kafka_err2str(err));
    }

    return -1;
}


/*
 * "Broker transport failure" is what a request sees; why, comes beside it.
 * What a broker refuses says more than that none was left.
 */

static void
lookup_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    char      *after;
    lookup_t  *lookup = opaque;

    (void) rk;

    if (lookup->said[0] == '\0' || err == RD_KAFKA_RESP_ERR__AUTHENTICATION
        || err == RD_KAFKA_RESP_ERR__SSL)
    {
        snprintf(lookup->said, sizeof(lookup->said), "%s", reason);

        /* a time that differs would make it another reason */
        after = strstr(lookup->said, " (after ");
        if (after) {
            *after = '\0';
        }
    }
}


static void *
lookup_thread(void *data)
{
    int          i;
    char         text[LOOKUP_REASON];
    uint64_t     one;
    ssize_t      n;
    lookup_t    *lookup;
    rd_kafka_t  *rk;

    lookup = data;
    rk = lookup->rk;
    one = 1;

    if (lookup->conf) {
        lookup->said[0] = '\0';
        rd_kafka_conf_set_opaque(lookup->conf, lookup);
        rd_kafka_conf_set_error_cb(lookup->conf, lookup_error);

        rk = rd_kafka_new(RD_KAFKA_CONSUMER, lookup->conf, text,
                          sizeof(text));
        if (rk == NULL) {
            rd_kafka_conf_destroy(lookup->conf);
            snprintf(lookup->result.error, LOOKUP_REASON, "%s", text);
            goto done;
        }
    }

    if (lookup_topic(lookup, rk) == 0 && lookup->with
        && lookup_offsets(lookup, rk, LOOKUP_EARLIEST,
                          offsetof(lookup_range_t, begin)) == 0
        && lookup_offsets(lookup, rk, LOOKUP_LATEST,
                          offsetof(lookup_range_t, end)) == 0
        && lookup->timestamp >= 0)
    {
        lookup_offsets(lookup, rk, lookup->timestamp,
                       offsetof(lookup_range_t, at));
    }

    if (lookup->conf) {
        for (i = 0; lookup->result.unreached && i < LOOKUP_ERRORS; i++) {
            (void) rd_kafka_poll(rk, 0);
        }

        if (lookup->result.unreached && lookup->said[0]) {
            /* it sends its nonce twice, which brokers put up with before 4 */
            snprintf(lookup->result.error, LOOKUP_REASON, "%.180s%s",
                     lookup->said, rd_kafka_version() < LOOKUP_SCRAM
                     && strstr(lookup->said, "SCRAM")
                     ? " (librdkafka before 2.6.1 cannot use SCRAM with "
                       "Kafka 4)" : "");
        }

        rd_kafka_destroy(rk);
    }

done:

    n = write(lookup->fd, &one, sizeof(one));
    (void) n;

    return NULL;
}


static int
lookup_topic(lookup_t *lookup, rd_kafka_t *rk)
{
    int                                    rc;
    char                                  *cluster;
    size_t                                 i, n;
    lookup_result_t                       *result;
    rd_kafka_topic_t                      *rkt;
    rd_kafka_resp_err_t                    err;
    const struct rd_kafka_metadata        *md;
    const struct rd_kafka_metadata_topic  *topic;

    result = &lookup->result;
    rc = -1;

    /* the consumer's own handle of the topic, where it has one */
    rkt = rd_kafka_topic_new(rk, lookup->topic, NULL);
    if (rkt == NULL) {
        return lookup_fail(lookup, rd_kafka_last_error());
    }

    err = rd_kafka_metadata(rk, 0, rkt, &md, LOOKUP_TIMEOUT);
    rd_kafka_topic_destroy(rkt);

    if (err) {
        return lookup_fail(lookup, err);
    }

    topic = &md->topics[0];

    if (topic->err || topic->partition_cnt == 0) {
        snprintf(result->error, LOOKUP_REASON, "topic \"%s\": %s",
                 lookup->topic, topic->err ? rd_kafka_err2str(topic->err)
                                           : "it has no partitions");
        goto failed;
    }

    cluster = rd_kafka_clusterid(rk, LOOKUP_TIMEOUT);
    snprintf(result->cluster, sizeof(result->cluster), "%s",
             cluster ? cluster : "");
    rd_kafka_mem_free(rk, cluster);

    if (result->cluster[0] == '\0') {
        snprintf(result->error, LOOKUP_REASON,
                 "the cluster does not tell its id");
        goto failed;
    }

    result->partitions = topic->partition_cnt;

    n = lookup->npartitions ? lookup->npartitions
                            : (size_t) topic->partition_cnt;

    result->ranges = calloc(n, sizeof(lookup_range_t));
    if (result->ranges == NULL) {
        lookup_fail(lookup, RD_KAFKA_RESP_ERR__FAIL);
        goto failed;
    }

    for (i = 0; i < n; i++) {
        result->ranges[i].partition = lookup->npartitions
                                      ? lookup->partitions[i]
                                      : topic->partitions[i].id;
    }

    result->nranges = n;
    rc = 0;

failed:

    rd_kafka_metadata_destroy(md);

    return rc;
}


/* Fills one field of all ranges by one request a leader. */

static int
lookup_offsets(lookup_t *lookup, rd_kafka_t *rk, int64_t timestamp,
    size_t field)
{
    size_t                            i;
    int64_t                           offset;
    rd_kafka_resp_err_t               err;
    rd_kafka_topic_partition_t       *tp;
    rd_kafka_topic_partition_list_t  *list;

    list = rd_kafka_topic_partition_list_new((int) lookup->result.nranges);

    for (i = 0; i < lookup->result.nranges; i++) {
        rd_kafka_topic_partition_list_add(list, lookup->topic,
                                     lookup->result.ranges[i].partition)
            ->offset = timestamp;
    }

    err = rd_kafka_offsets_for_times(rk, list, LOOKUP_TIMEOUT);

    for (i = 0; err == 0 && i < lookup->result.nranges; i++) {
        tp = rd_kafka_topic_partition_list_find(list, lookup->topic,
                                        lookup->result.ranges[i].partition);
        err = tp->err;
        offset = tp->offset;

        /* nothing at or behind the time: the end */
        if (offset < 0) {
            offset = lookup->result.ranges[i].end;
        }

        *(int64_t *) ((char *) &lookup->result.ranges[i] + field) = offset;
    }

    rd_kafka_topic_partition_list_destroy(list);

    return err ? lookup_fail(lookup, err) : 0;
}
