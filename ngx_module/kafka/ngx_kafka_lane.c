/*
 * Lanes: partitions as records of this worker find them.  A lane stalls when
 * it is silent while others are acknowledged; its records are refused then,
 * but for one that asks.  Whether brokers are down as a whole is decided
 * elsewhere.
 */

#include "kafka/ngx_kafka_impl.h"


#define NGX_KAFKA_LANE_PROBE   200      /* ms, from a probe's end to the next */
#define NGX_KAFKA_LANE_RETRY   30000    /* ms, without a probe */
#define NGX_KAFKA_LANE_WATCH   1000     /* records looked at, a turn */
#define NGX_KAFKA_LANES        65536    /* partitions told apart, a topic */


static ngx_kafka_lane_t *ngx_kafka_lane(ngx_kafka_producer_t *kp,
    ngx_uint_t topic, int32_t partition);
static ngx_kafka_lane_t *ngx_kafka_lane_of(ngx_kafka_producer_t *kp,
    ngx_uint_t topic, int32_t partition);
static int32_t ngx_kafka_lane_any(ngx_kafka_producer_t *kp, ngx_uint_t topic);
static void ngx_kafka_lane_set(ngx_kafka_producer_t *kp, ngx_uint_t topic,
    ngx_kafka_lane_t *lane, ngx_uint_t stalled);
static ngx_msec_t ngx_kafka_lane_since(ngx_kafka_producer_t *kp,
    ngx_kafka_lane_t *lane, ngx_msec_t taken);


/* The lane, made if need be; NULL without memory. */
static ngx_kafka_lane_t *
ngx_kafka_lane(ngx_kafka_producer_t *kp, ngx_uint_t topic, int32_t partition)
{
    ngx_uint_t          i, j, n;
    ngx_kafka_lane_t   *lane;
    ngx_kafka_lanes_t  *lanes;

    lanes = &kp->lanes[topic];
    i = partition < 0 || partition >= NGX_KAFKA_LANES ? 0 : partition + 1;

    if (i < lanes->nlanes) {
        return &lanes->lane[i];
    }

    n = ngx_max(i + 1, lanes->nlanes * 2);

    lane = ngx_calloc(n * sizeof(ngx_kafka_lane_t), kp->log);
    if (lane == NULL) {
        return NULL;
    }

    if (lanes->lane) {
        ngx_memcpy(lane, lanes->lane,
                   lanes->nlanes * sizeof(ngx_kafka_lane_t));
        ngx_free(lanes->lane);
    }

    for (j = lanes->nlanes; j < n; j++) {
        lane[j].broker = -1;
    }

    lanes->lane = lane;
    lanes->nlanes = n;

    return &lane[i];
}


/* The lane that stands for the partition: the topic's, while that stalls. */
static ngx_kafka_lane_t *
ngx_kafka_lane_of(ngx_kafka_producer_t *kp, ngx_uint_t topic,
    int32_t partition)
{
    ngx_kafka_lanes_t  *lanes;

    lanes = &kp->lanes[topic];

    if (lanes->nlanes == 0) {
        return NULL;
    }

    if (lanes->lane[0].stalled || partition < 0
        || partition >= NGX_KAFKA_LANES)
    {
        return &lanes->lane[0];
    }

    return (ngx_uint_t) partition + 1 < lanes->nlanes
           ? &lanes->lane[partition + 1] : NULL;
}


int32_t
ngx_kafka_lane_choose(ngx_kafka_producer_t *kp, ngx_kafka_message_t *msg)
{
    int32_t  partition;

    if (msg->partition != RD_KAFKA_PARTITION_UA) {
        return msg->partition;
    }

    partition = ngx_kafka_spread_find(kp->client, msg->topic, &msg->key);

    if (partition == RD_KAFKA_PARTITION_UA && msg->key.data == NULL) {
        partition = ngx_kafka_lane_any(kp, msg->topic);
    }

    return partition;
}


/*
 * One that is not stalled, or else any; they take turns.  All records of a
 * turn of the loop go to the same.  If no key leads to a stalled one, a record
 * has to be risked now and then.
 */
static int32_t
ngx_kafka_lane_any(ngx_kafka_producer_t *kp, ngx_uint_t topic)
{
    ngx_uint_t           i, n, start;
    ngx_kafka_lane_t    *lane;
    ngx_kafka_spread_t  *spread;

    spread = &kp->client->handle->spread[topic];
    n = kp->lanes[topic].count;

    if (n == 0 || !spread->any) {
        return RD_KAFKA_PARTITION_UA;
    }

    start = ngx_current_msec / ngx_max(spread->linger, 1);

    for (i = 0; i < n; i++) {
        lane = ngx_kafka_lane_of(kp, topic, (start + i) % n);

        if (lane == NULL || !lane->stalled
            || (lane->probes == 0
                && (ngx_msec_int_t) (ngx_current_msec - lane->wait)
                   > NGX_KAFKA_LANE_RETRY))
        {
            break;
        }
    }

    return (start + i) % n;
}


ngx_uint_t
ngx_kafka_lane_stalled(ngx_kafka_producer_t *kp, ngx_uint_t topic,
    int32_t partition)
{
    ngx_kafka_lane_t  *lane;

    lane = ngx_kafka_lane_of(kp, topic, partition);

    return lane && lane->stalled;
}


ngx_uint_t
ngx_kafka_lane_closed(ngx_kafka_producer_t *kp, ngx_kafka_message_t *msg)
{
    ngx_kafka_lane_t  *lane;

    if (kp->lanes[msg->topic].stalled == 0) {
        return 0;
    }

    lane = ngx_kafka_lane_of(kp, msg->topic, ngx_kafka_lane_choose(kp, msg));

    return lane && lane->stalled
           && (lane->probes
               || (ngx_msec_int_t) (ngx_current_msec - lane->wait) < 0);
}


void
ngx_kafka_lane_probe(ngx_kafka_record_t *rec)
{
    ngx_kafka_lane_t  *lane;

    lane = ngx_kafka_lane_of(rec->producer, rec->msg.topic, rec->partition);

    if (lane) {
        lane->probes++;
        rec->apart = 1;
        rec->probe = lane - rec->producer->lanes[rec->msg.topic].lane + 1;
    }
}


void
ngx_kafka_lane_probed(ngx_kafka_record_t *rec)
{
    ngx_kafka_lane_t  *lane;

    lane = &rec->producer->lanes[rec->msg.topic].lane[rec->probe - 1];

    lane->probes--;
    lane->wait = ngx_current_msec + NGX_KAFKA_LANE_PROBE;
    rec->probe = 0;
}


void
ngx_kafka_lane_heard(ngx_kafka_record_t *rec, const rd_kafka_message_t *rkm,
    ngx_uint_t kept)
{
    ngx_kafka_lane_t      *lane;
    ngx_kafka_lanes_t     *lanes;
    ngx_kafka_producer_t  *kp;

    kp = rec->producer;
    lanes = &kp->lanes[rec->msg.topic];

    lane = ngx_kafka_lane(kp, rec->msg.topic, rkm->partition);
    if (lane == NULL) {
        return;
    }

    lane->heard = ngx_current_msec;

    if (kept) {
        lane->broker = rd_kafka_message_broker_id(rkm);
    }

    lanes->lane[0].heard = ngx_current_msec;

    if (lanes->stalled) {
        ngx_kafka_lane_set(kp, rec->msg.topic, lane, 0);
        ngx_kafka_lane_set(kp, rec->msg.topic, &lanes->lane[0], 0);
    }
}


ngx_uint_t
ngx_kafka_lane_moved(ngx_kafka_record_t *rec, const rd_kafka_message_t *rkm)
{
    ngx_kafka_lane_t  *lane;

    lane = ngx_kafka_lane(rec->producer, rec->msg.topic, rkm->partition);

    return lane == NULL
           || (lane->broker != -1
               && lane->broker != rd_kafka_message_broker_id(rkm));
}


static void
ngx_kafka_lane_set(ngx_kafka_producer_t *kp, ngx_uint_t topic,
    ngx_kafka_lane_t *lane, ngx_uint_t stalled)
{
    ngx_str_t          *name;
    ngx_kafka_lanes_t  *lanes;

    if (lane->stalled == stalled) {
        return;
    }

    lanes = &kp->lanes[topic];
    name = &((ngx_kafka_topic_conf_t *) kp->conf->topics.elts)[topic].name;

    lane->stalled = stalled;

    if (stalled) {
        lane->wait = ngx_current_msec;
        lanes->stalled++;
        kp->stalls++;

        ngx_log_error(NGX_LOG_ERR, kp->log, 0,
                      "kafka_producer \"%V\": partition %i of topic \"%V\" "
                      "does not acknowledge, its records are answered 503 at "
                      "once; others go on",
                      &kp->conf->name, (ngx_int_t) (lane - lanes->lane) - 1,
                      name);
        return;
    }

    lanes->stalled--;
    kp->stalls--;

    ngx_log_error(NGX_LOG_NOTICE, kp->log, 0,
                  "kafka_producer \"%V\": partition %i of topic \"%V\" "
                  "answers again", &kp->conf->name,
                  (ngx_int_t) (lane - lanes->lane) - 1, name);
}


ngx_uint_t
ngx_kafka_lanes_lively(ngx_kafka_producer_t *kp)
{
    return kp->acked
           && ngx_current_msec - kp->acked <= kp->conf->timeout / 2;
}


/* The silence of a lane begins when that of all has ended. */
static ngx_msec_t
ngx_kafka_lane_since(ngx_kafka_producer_t *kp, ngx_kafka_lane_t *lane,
    ngx_msec_t taken)
{
    ngx_msec_t  since;

    since = taken;

    if (lane->heard && (ngx_msec_int_t) (lane->heard - since) > 0) {
        since = lane->heard;
    }

    if ((ngx_msec_int_t) (kp->lively - since) > 0) {
        since = kp->lively;
    }

    return since;
}


void
ngx_kafka_lanes_watch(ngx_kafka_client_t *client)
{
    int32_t                partition;
    ngx_msec_t             limit;
    ngx_uint_t             n;
    ngx_queue_t           *q, *next;
    ngx_kafka_lane_t      *lane;
    ngx_kafka_record_t    *rec;
    ngx_kafka_producer_t  *kp;

    kp = client->producer;
    limit = kp->conf->timeout / 2;
    n = 0;

    if (!ngx_kafka_lanes_lively(kp)) {
        return;
    }

    for (q = ngx_queue_head(&client->records);
         q != ngx_queue_sentinel(&client->records)
             && n < NGX_KAFKA_LANE_WATCH;
         q = next)
    {
        next = ngx_queue_next(q);
        rec = ngx_queue_data(q, ngx_kafka_record_t, queue);

        if (ngx_current_msec - rec->taken <= limit) {
            break;
        }

        partition = __atomic_load_n(&rec->partition, __ATOMIC_RELAXED);
        lane = ngx_kafka_lane(kp, rec->msg.topic, partition);

        if (lane == NULL) {
            break;
        }

        if (ngx_current_msec - ngx_kafka_lane_since(kp, lane, rec->taken)
            > limit)
        {
            ngx_kafka_lane_set(kp, rec->msg.topic, lane, 1);
        }

        if (!lane->stalled) {
            n++;
            continue;
        }

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&client->stuck, q);
    }
}
