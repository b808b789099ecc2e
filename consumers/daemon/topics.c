/*
 * Several topics of one daemon: which of the cluster's are read, and what one
 * of them suffers alone.
 */

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "conf/units.h"
#include "daemon/daemon_impl.h"


#define TOPICS_LIST   60000    /* ms between two lists, unless it is set */
#define TOPICS_LEAST  1000     /* ms, likewise */
#define TOPICS_AGAIN  30000    /* ms until topics that are held are tried */


static int64_t daemon_list_every(const daemon_t *d);
static bool daemon_same_topics(const conf_t *a, const conf_t *b);


int
daemon_choose(daemon_t *d, const lookup_result_t *result)
{
    int            partitions;
    char           err[CONF_ERROR_MAX];
    size_t         i, j;
    const conf_t  *conf, *old;

    conf = conf_choose(d->file, (const char *const *) result->names,
                       result->nnames, err);

    if (conf == NULL || conf->ntopics == 0) {
        daemon_fail(d, DAEMON_FINDING, SQLSTATE_RETRY,
                    conf == NULL ? err : conf->topics_left ? conf->topics_left
                    : "no topic matches \"topics\"");
        conf_free(conf);
        return -1;
    }

    for (i = 0, partitions = 0; i < conf->ntopics; i++) {
        for (j = 0; j < result->nnames; j++) {
            if (strcmp(result->names[j], conf->topics[i].name) == 0) {
                log_info("topic \"%s\" has %d partitions in cluster %s",
                         result->names[j], result->counts[j],
                         result->cluster);
                partitions += result->counts[j];
            }
        }
    }

    if (conf->topics_left) {
        log_warnx("%s", conf->topics_left);
    }

    old = d->conf;
    daemon_close(d);
    d->conf = conf;
    d->list = clock_ms() + daemon_list_every(d);

    if (old != d->file) {
        conf_free(old);
    }

    if (daemon_open(d) == -1 || daemon_topics(d) == NULL) {
        log_warn("could not start");
        d->status = 1;
        d->done = true;
        return -1;
    }

    return partitions;
}


metrics_topic_t *
daemon_topics(daemon_t *d)
{
    size_t      i, n;
    metrics_t  *m;

    m = &d->metrics;
    n = d->conf->several ? conf_topics(d->conf) : 0;

    if (n && m->topics == NULL) {
        m->topics = calloc(n, sizeof(metrics_topic_t));
        m->ntopics = m->topics ? n : 0;

        for (i = 0; i < m->ntopics; i++) {
            m->topics[i].name = conf_topic(d->conf, i);
        }
    }

    return m->topics;
}


/* As often as librdkafka asks for the topics' metadata, if that is set. */

static int64_t
daemon_list_every(const daemon_t *d)
{
    int64_t      ms;
    const char  *every;

    every = conf_property(d->file, "topic.metadata.refresh.interval.ms");

    if (every == NULL || conf_parse_count(every, &ms) == -1 || ms <= 0) {
        return TOPICS_LIST;
    }

    return ms < TOPICS_LEAST ? TOPICS_LEAST : ms;
}


void
daemon_list(daemon_t *d, int64_t now)
{
    if (d->source == NULL || d->stopping || now < d->list
        || lookup_busy(d->lister))
    {
        return;
    }

    d->list = now + daemon_list_every(d);
    (void) lookup_start(d->lister, NULL, NULL, 0, false, -1);
}


void
daemon_listed(daemon_t *d, int64_t now)
{
    char                    err[CONF_ERROR_MAX];
    const char             *left, *was;
    const conf_t           *conf;
    const lookup_result_t  *result;

    result = lookup_result(d->lister);

    if (result == NULL || result->error[0] || d->stopping) {
        return;
    }

    d->list = now + daemon_list_every(d);
    conf = conf_choose(d->file, (const char *const *) result->names,
                       result->nnames, err);
    if (conf == NULL) {
        return;
    }

    left = conf->topics_left ? conf->topics_left : "";
    was = daemon_topics_left(d);

    if (left[0] && strcmp(left, was ? was : "") != 0) {
        log_warnx("%s", left);
    }

    conf_free(d->listed);
    d->listed = conf;

    if (!daemon_same_topics(conf, d->conf)) {
        d->topics_change = true;
    }
}


static bool
daemon_same_topics(const conf_t *a, const conf_t *b)
{
    size_t  i;

    for (i = 0; i < a->ntopics && i < b->ntopics; i++) {
        if (strcmp(a->topics[i].name, b->topics[i].name) != 0) {
            return false;
        }
    }

    return a->ntopics == b->ntopics;
}


void
daemon_hold_topic(void *data, size_t topic, const char *reason)
{
    daemon_t         *d = data;
    metrics_topic_t  *topics;

    source_hold(d->source, topic, true);
    d->again = clock_ms() + TOPICS_AGAIN;
    topics = daemon_topics(d);

    if (topics == NULL || (topics[topic].reason
                           && strcmp(topics[topic].reason, reason) == 0))
    {
        return;
    }

    log_error("holding topic \"%s\", nothing of it is skipped, and the others "
              "go on: %s", conf_topic(d->conf, topic), reason);
    free(topics[topic].reason);
    topics[topic].reason = strdup(reason);
}


void
daemon_heed_topics(daemon_t *d, int64_t now)
{
    bool                 read;
    size_t               i, j, n;
    metrics_topic_t     *topics;
    source_partition_t  *p;

    topics = daemon_topics(d);

    if (d->again == 0 || topics == NULL) {
        return;
    }

    for (i = 0; i < d->metrics.ntopics; i++) {

        if (topics[i].reason == NULL) {
            continue;
        }

        p = source_topic_partitions(d->source, i, &n);

        for (j = 0, read = true; j < n; j++) {
            read &= !p[j].held && p[j].silent == 0;
        }

        if (read) {
            if (n) {
                log_info("going on with topic \"%s\": the cause is gone (%s)",
                         topics[i].name, topics[i].reason);
            }
            free(topics[i].reason);
            topics[i].reason = NULL;
        }
    }

    if (now >= d->again) {
        d->again = daemon_topics_reason(d) ? now + TOPICS_AGAIN : 0;

        if (d->again) {
            daemon_forget(d);
        }
    }
}


const char *
daemon_topics_left(const daemon_t *d)
{
    return d->listed ? d->listed->topics_left : d->conf->topics_left;
}


const char *
daemon_topics_reason(const daemon_t *d)
{
    size_t  i;

    for (i = 0; i < d->metrics.ntopics; i++) {
        if (d->metrics.topics[i].reason) {
            return d->metrics.topics[i].reason;
        }
    }

    return NULL;
}
