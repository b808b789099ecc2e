/* librdkafka, as far as the daemon calls it. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka/client.h"
#include "kafka/source_impl.h"
#include "sim.h"


/* One partition of one client; handed out as its queue. */
typedef struct {
    sim_member_t  *member;
    int32_t        partition;
} sim_queue_t;


struct lookup_s {
    bool              busy;
    int64_t           due;
    lookup_result_t   result;
    lookup_range_t    ranges[SIM_PARTITIONS];
};


typedef void (*sim_rebalance_pt)(rd_kafka_t *rk, rd_kafka_resp_err_t err,
    rd_kafka_topic_partition_list_t *list, void *opaque);


static sim_rebalance_pt  sim_rebalance;
static sim_queue_t       sim_queues[SIM_MEMBERS][SIM_PARTITIONS];


int64_t
sim_kafka_due(const sim_member_t *m)
{
    if (m->revoke_at) {
        return m->revoke_at;
    }

    return m->assign_at ? m->assign_at : INT64_MAX;
}


static void
sim_tell(sim_member_t *m, rd_kafka_resp_err_t err)
{
    size_t                            i;
    rd_kafka_topic_partition_list_t  *list;

    list = rd_kafka_topic_partition_list_new(SIM_PARTITIONS);

    for (i = 0; i < sim.partitions; i++) {
        if (m->mask & 1u << i) {
            (void) rd_kafka_topic_partition_list_add(list, "t", (int) i);
        }
    }

    sim_rebalance((rd_kafka_t *) m, err, list, m->source);
    rd_kafka_topic_partition_list_destroy(list);
}


/* What the daemon calls. */

rd_kafka_conf_t *
client_conf(const conf_t *conf, rd_kafka_type_t type, int partitions,
    char *err)
{
    return (rd_kafka_conf_t *) &sim;
}


void
client_watch(rd_kafka_conf_t *rkconf, atomic_bool *changed)
{
}


const char *
rd_kafka_topic_name(const rd_kafka_topic_t *rkt)
{
    return "t";
}


rd_kafka_resp_err_t
rd_kafka_message_headers(const rd_kafka_message_t *rkm,
    rd_kafka_headers_t **headers)
{
    return RD_KAFKA_RESP_ERR__NOENT;
}


void
rd_kafka_conf_set_rebalance_cb(rd_kafka_conf_t *conf, sim_rebalance_pt cb)
{
    sim_rebalance = cb;
}


void
rd_kafka_conf_set_offset_commit_cb(rd_kafka_conf_t *conf,
    void (*cb)(rd_kafka_t *, rd_kafka_resp_err_t,
    rd_kafka_topic_partition_list_t *, void *))
{
    (void) conf;
    (void) cb;
}


void
rd_kafka_conf_set_error_cb(rd_kafka_conf_t *conf,
    void (*cb)(rd_kafka_t *, int, const char *, void *))
{
}


void
rd_kafka_conf_set_opaque(rd_kafka_conf_t *conf, void *opaque)
{
    sim_member->source = opaque;
}


rd_kafka_t *
client_create(rd_kafka_type_t type, rd_kafka_conf_t *rkconf, char *err)
{
    return (rd_kafka_t *) sim_member;
}


void
client_signal(rd_kafka_queue_t *queue, int fd)
{
    rd_kafka_queue_io_event_enable(queue, fd, NULL, 0);
}


rd_kafka_resp_err_t
rd_kafka_poll_set_consumer(rd_kafka_t *rk)
{
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}


rd_kafka_queue_t *
rd_kafka_queue_get_consumer(rd_kafka_t *rk)
{
    return (rd_kafka_queue_t *) rk;
}


rd_kafka_queue_t *
rd_kafka_queue_get_partition(rd_kafka_t *rk, const char *topic,
    int32_t partition)
{
    sim_queue_t   *queue;
    sim_member_t  *m = (sim_member_t *) rk;

    queue = &sim_queues[m - sim.members][partition];
    queue->member = m;
    queue->partition = partition;

    return (rd_kafka_queue_t *) queue;
}


void
rd_kafka_queue_destroy(rd_kafka_queue_t *queue)
{
}


void
rd_kafka_queue_forward(rd_kafka_queue_t *from, rd_kafka_queue_t *to)
{
}


void
rd_kafka_queue_io_event_enable(rd_kafka_queue_t *queue, int fd,
    const void *payload, size_t size)
{
    if (fd != -1) {
        sim_member->fd = fd;
    }
}


rd_kafka_resp_err_t
rd_kafka_subscribe(rd_kafka_t *rk,
    const rd_kafka_topic_partition_list_t *topics)
{
    sim_member_t  *m = (sim_member_t *) rk;

    m->joined = true;
    sim_group_change();

    return RD_KAFKA_RESP_ERR_NO_ERROR;
}


rd_kafka_resp_err_t
rd_kafka_assign(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *list)
{
    int            i;
    sim_member_t  *m = (sim_member_t *) rk;

    for (i = 0; list && i < list->cnt; i++) {
        if (list->elems[i].offset < 0) {
            sim_wrong("partition %d is assigned without an offset",
                      list->elems[i].partition);
        }

        if (m->assigned[list->elems[i].partition]) {
            sim_wrong("partition %d is assigned twice",
                      list->elems[i].partition);
        }
    }

    memset(m->assigned, 0, sizeof(m->assigned));
    memset(m->unknown, 0, sizeof(m->unknown));
    memset(m->stopped, 0, sizeof(m->stopped));
    memset(m->mute, 0, sizeof(m->mute));
    memset(m->at_end, 0, sizeof(m->at_end));

    for (i = 0; list && i < list->cnt; i++) {
        m->assigned[list->elems[i].partition] = true;
        m->mute[list->elems[i].partition] = !sim.calm
                                            && sim_random(100) == 0;
        m->position[list->elems[i].partition] = list->elems[i].offset;

        /* as a client does that has fetched before */
        if (sim_random(8) == 0) {
            m->position[list->elems[i].partition] -= sim_random(5);
        }
    }

    return RD_KAFKA_RESP_ERR_NO_ERROR;
}


int
rd_kafka_assignment_lost(rd_kafka_t *rk)
{
    return 0;
}


rd_kafka_resp_err_t
rd_kafka_commit(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *list,
    int async)
{
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}


rd_kafka_message_t *
rd_kafka_consumer_poll(rd_kafka_t *rk, int timeout)
{
    sim_member_t  *m = (sim_member_t *) rk;

    if (m->revoke_at && sim.now >= m->revoke_at) {
        m->revoke_at = 0;
        m->has = false;
        sim_tell(m, RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS);
        m->closed = m->closing;

        if (m->lost && !m->closing) {
            m->lost = false;
            m->joined = true;
            sim_group_change();
        }
    }

    if (m->assign_at && sim.now >= m->assign_at) {
        m->assign_at = 0;
        m->has = true;
        sim_tell(m, RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS);
    }

    return NULL;
}


rd_kafka_message_t *
rd_kafka_consume_queue(rd_kafka_queue_t *queue, int timeout)
{
    size_t               i;
    sim_log_t           *log;
    sim_queue_t         *q = (sim_queue_t *) queue;
    sim_member_t        *m;
    sim_record_t        *r;
    rd_kafka_message_t  *rkm;
    rd_kafka_resp_err_t  err;

    m = q->member;
    log = &sim.logs[q->partition];

    if (!m->assigned[q->partition] || m->stopped[q->partition]
        || m->mute[q->partition])
    {
        return NULL;
    }

    for (i = 0; i < log->n; i++) {
        if (log->records[i].offset >= m->position[q->partition]) {
            break;
        }
    }

    err = m->unknown[q->partition]
          ? RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
          : m->position[q->partition] > log->end
            ? RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET
            : RD_KAFKA_RESP_ERR_NO_ERROR;
    m->stopped[q->partition] = err != RD_KAFKA_RESP_ERR_NO_ERROR;

    if (i == log->n && !err) {
        if (m->at_end[q->partition]) {
            return NULL;
        }
        err = RD_KAFKA_RESP_ERR__PARTITION_EOF;
    }

    m->at_end[q->partition] = err == RD_KAFKA_RESP_ERR__PARTITION_EOF;

    if (!err && !sim.calm && sim_random(400) == 0) {
        err = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    }

    rkm = calloc(1, sizeof(rd_kafka_message_t));
    rkm->partition = q->partition;

    if (err) {
        rkm->err = err;
        rkm->offset = m->position[q->partition];
        return rkm;
    }

    if (!sim.calm && sim_random(400) == 0) {
        atomic_store(&m->source->changed, true);
    }

    r = &log->records[i];
    rkm->payload = r->value;
    rkm->len = r->len;
    rkm->offset = r->offset;
    rkm->_private = r;

    m->position[q->partition] = r->offset + 1;

    return rkm;
}


void
rd_kafka_message_destroy(rd_kafka_message_t *rkm)
{
    free(rkm);
}


int64_t
rd_kafka_message_timestamp(const rd_kafka_message_t *rkm,
    rd_kafka_timestamp_type_t *type)
{
    const sim_record_t  *r = rkm->_private;

    return r->timestamp;
}


const char *
rd_kafka_message_errstr(const rd_kafka_message_t *rkm)
{
    return "an error";
}


rd_kafka_error_t *
rd_kafka_sasl_set_credentials(rd_kafka_t *rk, const char *user,
    const char *password)
{
    return NULL;
}


rd_kafka_resp_err_t
rd_kafka_get_watermark_offsets(rd_kafka_t *rk, const char *topic,
    int32_t partition, int64_t *low, int64_t *high)
{
    *low = sim.logs[partition].begin;
    *high = sim.logs[partition].end;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}


rd_kafka_error_t *
rd_kafka_consumer_close_queue(rd_kafka_t *rk, rd_kafka_queue_t *queue)
{
    sim_member_t  *m = (sim_member_t *) rk;

    m->closing = true;
    m->assign_at = 0;
    m->revoke_at = m->has ? sim.now + sim_random(20) : 0;
    m->closed = !m->has;
    sim_group_leave(m);

    return NULL;
}


int
rd_kafka_consumer_closed(rd_kafka_t *rk)
{
    return ((sim_member_t *) rk)->closed;
}


void
rd_kafka_destroy_flags(rd_kafka_t *rk, int flags)
{
}


/* Looking things up. */

lookup_t *
lookup_create(const conf_t *conf, const char *topic)
{
    return calloc(1, sizeof(lookup_t));
}


void
lookup_set_topic(lookup_t *lookup, const char *topic)
{
}


void
lookup_destroy(lookup_t *lookup)
{
    free(lookup);
}


int
lookup_start(lookup_t *lookup, rd_kafka_t *rk, const int32_t *partitions,
    size_t n, bool with, int64_t timestamp)
{
    size_t            i;
    lookup_result_t  *result;

    lookup->busy = true;
    lookup->due = sim.now + 1 + sim_random(40);

    result = &lookup->result;
    memset(result, 0, sizeof(lookup_result_t));

    if (!sim.calm && sim_random(20) == 0) {
        (void) snprintf(result->error, sizeof(result->error), "no answer");
        return 0;
    }

    (void) snprintf(result->cluster, sizeof(result->cluster), "c");
    result->partitions = (int) sim.partitions;
    result->ranges = lookup->ranges;
    result->nranges = n ? n : sim.partitions;

    for (i = 0; i < result->nranges; i++) {
        lookup->ranges[i].partition = n ? partitions[i]
                                                  : (int32_t) i;
        lookup->ranges[i].begin
            = sim.logs[lookup->ranges[i].partition].begin;
        lookup->ranges[i].end = sim.logs[lookup->ranges[i].partition].end;
        lookup->ranges[i].at = -1;
    }

    return 0;
}


bool
lookup_busy(const lookup_t *lookup)
{
    return lookup->busy;
}


const lookup_result_t *
sim_lookup_result(lookup_t *lookup)
{
    if (!lookup->busy || sim.now < lookup->due) {
        return NULL;
    }

    lookup->busy = false;

    return &lookup->result;
}


/* Nobody lists topics here. */

const lookup_result_t *
lookup_result(lookup_t *lookup)
{
    return sim_lookup_result(lookup);
}


int64_t
sim_lookup_due(const lookup_t *lookup)
{
    return lookup->busy ? lookup->due : INT64_MAX;
}
