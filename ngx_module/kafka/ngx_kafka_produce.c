/* Records: checked, handed over to librdkafka, parked for their topic. */

#include "kafka/ngx_kafka_impl.h"


#define NGX_KAFKA_BATCH          128     /* records given over at once */


static ngx_kafka_take_e ngx_kafka_produce_check(ngx_kafka_producer_t *kp,
    ngx_kafka_message_t *msg, ngx_uint_t n, size_t charge);
static ngx_int_t ngx_kafka_produce_records(ngx_kafka_producer_t *kp,
    ngx_kafka_message_t *msg, ngx_uint_t n);
static ngx_kafka_take_e ngx_kafka_produce_all(ngx_kafka_producer_t *kp,
    ngx_kafka_message_t *msg, ngx_uint_t n, size_t *admitted);
static void ngx_kafka_produce_refused(ngx_kafka_producer_t *kp,
    ngx_kafka_message_t *msg, ngx_uint_t n);
static ngx_uint_t ngx_kafka_produce_batch(ngx_kafka_client_t *client,
    ngx_kafka_message_t *msg, ngx_uint_t n);
static ngx_kafka_take_e ngx_kafka_produce_apart(ngx_kafka_producer_t *kp,
    ngx_kafka_record_t *rec, ngx_kafka_message_t *msg);
static ngx_kafka_take_e ngx_kafka_produce_now(ngx_kafka_client_t *client,
    ngx_kafka_record_t *rec, ngx_kafka_message_t *msg, int32_t partition);
static ngx_kafka_take_e ngx_kafka_produce_code(rd_kafka_resp_err_t err);
static rd_kafka_resp_err_t ngx_kafka_produce_headers(
    ngx_kafka_client_t *client, ngx_kafka_record_t *rec,
    ngx_kafka_message_t *msg, int32_t partition);
static ngx_kafka_take_e ngx_kafka_produce_park(ngx_kafka_producer_t *kp,
    ngx_kafka_record_t *rec);


ngx_kafka_take_e
ngx_kafka_admit(ngx_kafka_producer_t *kp, ngx_kafka_message_t *msg,
    ngx_uint_t n, size_t *admitted)
{
    size_t            charge;
    ngx_uint_t        i;
    ngx_kafka_take_e  rc;

    charge = 0;
    *admitted = 0;

    for (i = 0; i < n; i++) {
        msg[i].charge = ngx_kafka_message_size(&msg[i])
                        + ngx_kafka_record_overhead(&msg[i]);
        charge += msg[i].charge;
    }

    if (charge > kp->conf->queue) {
        return NGX_KAFKA_TOO_LARGE;
    }

    rc = ngx_kafka_produce_check(kp, msg, n, charge);

    if (rc == NGX_KAFKA_TAKEN) {
        kp->charged += charge;
        *admitted = charge;

    } else {
        ngx_kafka_produce_refused(kp, msg, n);
    }

    return rc;
}


void
ngx_kafka_dismiss(ngx_kafka_producer_t *kp, size_t *admitted)
{
    kp->charged -= *admitted;
    *admitted = 0;
}


ngx_kafka_take_e
ngx_kafka_produce(ngx_kafka_producer_t *kp, ngx_kafka_message_t *msg,
    ngx_uint_t n, size_t *admitted)
{
    ngx_kafka_take_e  rc;

    if (kp->client == NULL) {
        rc = NGX_KAFKA_NOT_STARTED;

    } else if (ngx_kafka_produce_records(kp, msg, n) == NGX_OK) {
        rc = ngx_kafka_produce_all(kp, msg, n, admitted);

    } else {
        rc = NGX_KAFKA_QUEUE_FULL;
    }

    ngx_log_debug3(NGX_LOG_DEBUG_CORE, kp->log, 0,
                   "kafka producer \"%V\" takes %ui records: %d",
                   &kp->conf->name, n, rc);

    if (rc == NGX_KAFKA_TAKEN) {

        if (ngx_exiting) {
            /* the drain's own call came when this body was still arriving */
            ngx_kafka_records_drain(kp);
        }

    } else if (rc != NGX_KAFKA_TOO_LARGE) {
        ngx_kafka_produce_refused(kp, msg, n);
    }

    return rc;
}


/* Whether "n" records of "charge" bytes are likely to be kept. */
static ngx_kafka_take_e
ngx_kafka_produce_check(ngx_kafka_producer_t *kp, ngx_kafka_message_t *msg,
    ngx_uint_t n, size_t charge)
{
    ngx_uint_t  i;

    if (kp->client == NULL) {
        return NGX_KAFKA_NOT_STARTED;
    }

    if (kp->charged + kp->held + charge > kp->conf->queue) {
        return NGX_KAFKA_QUEUE_FULL;
    }

    if (ngx_kafka_producer_down(kp)
        && !ngx_kafka_producer_probe(kp, msg->topic))
    {
        return NGX_KAFKA_BROKERS_DOWN;
    }

    if (ngx_kafka_producer_overloaded(kp)) {
        return NGX_KAFKA_OVERLOADED;
    }

    for (i = 0; i < n; i++) {
        if (kp->client->topics[msg[i].topic] == NULL
            && kp->conf->states[msg[i].topic].error)
        {
            return NGX_KAFKA_TOPIC_MISSING;
        }
    }

    for (i = 0; kp->stalls && i < n; i++) {
        if (ngx_kafka_lane_closed(kp, &msg[i])) {
            return NGX_KAFKA_PARTITION_DOWN;
        }
    }

    return NGX_KAFKA_TAKEN;
}


/* A record for each message, or none. */
static ngx_int_t
ngx_kafka_produce_records(ngx_kafka_producer_t *kp, ngx_kafka_message_t *msg,
    ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        msg[i].record = ngx_kafka_record_get(kp, &msg[i]);

        if (msg[i].record == NULL) {
            while (i) {
                ngx_kafka_record_free(msg[--i].record);
            }

            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/*
 * NGX_KAFKA_TAKEN with at least one record taken; the others are counted as
 * failed.
 */
static ngx_kafka_take_e
ngx_kafka_produce_all(ngx_kafka_producer_t *kp, ngx_kafka_message_t *msg,
    ngx_uint_t n, size_t *admitted)
{
    ngx_uint_t           i, run, taken, behind;
    ngx_kafka_take_e     rc, first;
    ngx_kafka_client_t  *client;
    ngx_kafka_record_t  *rec;

    client = ngx_kafka_prompt(kp, msg, n);
    behind = client->prompt && (kp->behind || ngx_kafka_prompt_full(client));
    first = NGX_KAFKA_TAKEN;
    taken = 0;

    for (i = 0; i < n; i += run) {

        run = behind ? 0 : ngx_kafka_produce_batch(client, &msg[i], n - i);

        if (run) {

            if (first == NGX_KAFKA_TAKEN && msg[i].record == NULL) {
                first = ngx_kafka_produce_code(msg[i].error);
            }

            continue;
        }

        run = 1;
        rec = msg[i].record;

        if (kp->client->topics[msg[i].topic] == NULL || kp->client->fatal) {
            rc = ngx_kafka_produce_park(kp, rec);

        } else if (kp->lanes[msg[i].topic].stalled) {
            rc = ngx_kafka_produce_apart(kp, rec, &msg[i]);

        } else if (behind) {
            rc = ngx_kafka_produce_park(kp, rec);

            if (rc == NGX_KAFKA_TAKEN) {
                rec->behind = 1;
                kp->behind++;
            }

        } else {
            rc = ngx_kafka_produce_now(client->topics[msg[i].topic] ? client
                                       : kp->client, rec, &msg[i],
                                       msg[i].partition);
        }

        if (rc != NGX_KAFKA_TAKEN) {
            msg[i].record = NULL;
            ngx_kafka_record_free(rec);
            first = first == NGX_KAFKA_TAKEN ? rc : first;
        }
    }

    for (i = 0; i < n; i++) {
        if (msg[i].record) {
            *admitted -= msg[i].record->msg.charge;
            ngx_kafka_record_charge(msg[i].record);
            taken++;
        }
    }

    if (taken == 0) {
        return first;
    }

    if (client->prompt) {
        (void) ngx_atomic_fetch_add(&kp->conf->counts->prompt, taken);
    }

    for (i = 0; taken < n && i < n; i++) {
        if (msg[i].record == NULL) {
            ngx_kafka_produce_refused(kp, &msg[i], 1);
        }
    }

    return NGX_KAFKA_TAKEN;
}


static void
ngx_kafka_produce_refused(ngx_kafka_producer_t *kp, ngx_kafka_message_t *msg,
    ngx_uint_t n)
{
    ngx_uint_t               i;
    ngx_kafka_topic_conf_t  *topic;

    topic = kp->conf->topics.elts;

    for (i = 0; i < n; i++) {
        (void) ngx_atomic_fetch_add(&topic[msg[i].topic].counts->refused,
                                    1);
    }
}


/*
 * The run of records that librdkafka's batch call takes: of one topic, and
 * without headers and timestamps, which it does not know, nor a partition, as
 * it leaks those of one that does not exist, and none of whose partitions is
 * stalled.  Returns 0 where such a run is no longer than one.
 */
static ngx_uint_t
ngx_kafka_produce_batch(ngx_kafka_client_t *client, ngx_kafka_message_t *msg,
    ngx_uint_t n)
{
    ngx_uint_t             i;
    rd_kafka_topic_t      *rkt;
    ngx_kafka_record_t    *rec;
    ngx_kafka_producer_t  *kp;
    rd_kafka_message_t     rkm[NGX_KAFKA_BATCH];

    kp = client->producer;
    rkt = client->topics[msg->topic];

    if (n == 1 || rkt == NULL || kp->client->fatal
        || kp->lanes[msg->topic].stalled)
    {
        return 0;
    }

    for (i = 0; i < n && i < NGX_KAFKA_BATCH; i++) {

        if (msg[i].topic != msg->topic || msg[i].nheaders
            || msg[i].timestamp
            || msg[i].partition != RD_KAFKA_PARTITION_UA)
        {
            break;
        }

        ngx_memzero(&rkm[i], sizeof(rd_kafka_message_t));

        rkm[i].payload = msg[i].value.data;
        rkm[i].len = msg[i].value.len;
        rkm[i].key = msg[i].key.data;
        rkm[i].key_len = msg[i].key.len;
        rkm[i]._private = msg[i].record;
    }

    n = i;

    if (n < 2) {
        return 0;
    }

    (void) rd_kafka_produce_batch(rkt, RD_KAFKA_PARTITION_UA,
                                  RD_KAFKA_MSG_F_COPY, rkm, (int) n);

    ngx_log_debug1(NGX_LOG_DEBUG_CORE, kp->log, 0,
                   "kafka batch of %ui records produced", n);

    for (i = 0; i < n; i++) {
        rec = msg[i].record;

        if (rkm[i].err) {
            msg[i].error = rkm[i].err;
            msg[i].record = NULL;
            ngx_kafka_record_free(rec);
            continue;
        }

        ngx_queue_insert_tail(&client->records, &rec->queue);
        client->n++;
    }

    return n;
}


/* A record of a topic with stalled partitions; one of those asks for them. */
static ngx_kafka_take_e
ngx_kafka_produce_apart(ngx_kafka_producer_t *kp, ngx_kafka_record_t *rec,
    ngx_kafka_message_t *msg)
{
    int32_t              partition;
    ngx_uint_t           stalled;
    ngx_kafka_take_e     rc;
    ngx_kafka_client_t  *side;

    partition = ngx_kafka_lane_choose(kp, msg);
    stalled = ngx_kafka_lane_stalled(kp, msg->topic, partition);
    rec->partition = partition;

    if (msg->key.data) {
        /* librdkafka knows best how many partitions there are */
        partition = msg->partition;
    }

    if (!stalled) {
        return ngx_kafka_produce_now(kp->client, rec, msg, partition);
    }

    side = ngx_kafka_birth_extra(kp, &kp->side, NGX_KAFKA_CLIENT_ALONE, 0);

    if (side == NULL || ngx_kafka_topic_use(side, msg->topic) != NGX_OK) {
        return NGX_KAFKA_PARTITION_DOWN;
    }

    rc = ngx_kafka_produce_now(side, rec, msg, partition);

    if (rc == NGX_KAFKA_TAKEN) {
        ngx_log_debug3(NGX_LOG_DEBUG_CORE, kp->log, 0,
                       "kafka record %p asks for partition %D of topic %ui",
                       rec, partition, msg->topic);
        ngx_kafka_lane_probe(rec);
    }

    return rc;
}


static ngx_kafka_take_e
ngx_kafka_produce_now(ngx_kafka_client_t *client, ngx_kafka_record_t *rec,
    ngx_kafka_message_t *msg, int32_t partition)
{
    msg->error = RD_KAFKA_RESP_ERR_NO_ERROR;

    if (msg->nheaders || msg->timestamp) {
        msg->error = ngx_kafka_produce_headers(client, rec, msg, partition);

    } else if (rd_kafka_produce(client->topics[msg->topic], partition,
                                RD_KAFKA_MSG_F_COPY, msg->value.data,
                                msg->value.len, msg->key.data, msg->key.len,
                                rec)
               != 0)
    {
        msg->error = rd_kafka_last_error();
    }

    ngx_log_debug2(NGX_LOG_DEBUG_CORE, client->producer->log, 0,
                   "kafka record %p produced, error:%d", rec, msg->error);

    if (msg->error == RD_KAFKA_RESP_ERR_NO_ERROR) {
        ngx_queue_insert_tail(&client->records, &rec->queue);
        client->n++;
    }

    return ngx_kafka_produce_code(msg->error);
}


static ngx_kafka_take_e
ngx_kafka_produce_code(rd_kafka_resp_err_t err)
{
    switch (err) {

    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return NGX_KAFKA_TAKEN;

    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        return NGX_KAFKA_TOO_LARGE;

    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
        return NGX_KAFKA_QUEUE_FULL;

    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
        return NGX_KAFKA_TOPIC_MISSING;

    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        return NGX_KAFKA_PARTITION_MISSING;

    default:
        return NGX_KAFKA_REFUSED;
    }
}


static rd_kafka_resp_err_t
ngx_kafka_produce_headers(ngx_kafka_client_t *client, ngx_kafka_record_t *rec,
    ngx_kafka_message_t *msg, int32_t partition)
{
    ngx_uint_t            i;
    ngx_kafka_header_t   *h;
    rd_kafka_headers_t   *headers;
    rd_kafka_resp_err_t   err;

    h = msg->headers;
    headers = rd_kafka_headers_new(msg->nheaders);

    for (i = 0; i < msg->nheaders; i++) {
        (void) rd_kafka_header_add(headers, (char *) h[i].name.data,
                                   h[i].name.len, h[i].value.data,
                                   h[i].value.len);
    }

    err = rd_kafka_producev(client->rk,
                            RD_KAFKA_V_RKT(client->topics[msg->topic]),
                            RD_KAFKA_V_PARTITION(partition),
                            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                            RD_KAFKA_V_VALUE(msg->value.data, msg->value.len),
                            RD_KAFKA_V_KEY(msg->key.data, msg->key.len),
                            RD_KAFKA_V_TIMESTAMP(msg->timestamp),
                            RD_KAFKA_V_HEADERS(headers),
                            RD_KAFKA_V_OPAQUE(rec),
                            RD_KAFKA_V_END);
    if (err) {
        rd_kafka_headers_destroy(headers);
    }

    return err;
}


static ngx_kafka_take_e
ngx_kafka_produce_park(ngx_kafka_producer_t *kp, ngx_kafka_record_t *rec)
{
    if (ngx_kafka_record_keep(rec, kp->log) != NGX_OK) {
        return NGX_KAFKA_QUEUE_FULL;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_CORE, kp->log, 0,
                   "kafka record %p parked for topic %ui", rec,
                   rec->msg.topic);

    rec->parked = 1;
    kp->idle += rec->msg.charge;
    ngx_queue_insert_tail(&kp->parked, &rec->queue);

    return NGX_KAFKA_TAKEN;
}


void
ngx_kafka_produce_parked(ngx_kafka_producer_t *kp)
{
    ngx_uint_t           full;
    ngx_queue_t         *q, *next;
    ngx_kafka_client_t  *client, *prompt;
    ngx_kafka_record_t  *rec;
    ngx_kafka_report_t   report;

    prompt = kp->behind ? ngx_kafka_prompt_client(kp) : NULL;
    full = prompt && ngx_kafka_prompt_full(prompt);

    for (q = ngx_queue_head(&kp->parked);
         q != ngx_queue_sentinel(&kp->parked);
         q = next)
    {
        next = ngx_queue_next(q);
        rec = ngx_queue_data(q, ngx_kafka_record_t, queue);

        client = rec->behind && prompt && prompt->topics[rec->msg.topic]
                 ? prompt : kp->client;

        if (client->topics[rec->msg.topic] == NULL || client->fatal
            || (client == prompt && full))
        {
            continue;
        }

        ngx_log_debug2(NGX_LOG_DEBUG_CORE, kp->log, 0,
                       "kafka record %p of topic %ui unparked", rec,
                       rec->msg.topic);

        ngx_queue_remove(q);

        rec->parked = 0;
        kp->idle -= rec->msg.charge;

        if (rec->behind) {
            rec->behind = 0;
            kp->behind--;

        } else {
            /* brokers are not to blame for the wait */
            rec->taken = ngx_current_msec;
        }

        if (ngx_kafka_produce_now(client, rec, &rec->msg,
                                  rec->msg.partition)
            == NGX_KAFKA_TAKEN)
        {
            ngx_free(rec->copy);
            rec->copy = NULL;
            continue;
        }

        report.outcome = NGX_KAFKA_NOT_KEPT;
        report.error = rec->msg.error;
        report.fault = NGX_KAFKA_NO_FAULT;
        report.partition = -1;
        report.offset = -1;
        report.timestamp = -1;
        report.taken = rec->taken;

        ngx_queue_init(&rec->queue);
        ngx_kafka_report_record(kp->client, rec, &report);

        /* the record's handler may have changed the queue */
        next = ngx_queue_head(&kp->parked);
    }
}


/* The others have their request's timer. */
void
ngx_kafka_produce_expire(ngx_kafka_producer_t *kp)
{
    ngx_queue_t         *q, *next;
    ngx_kafka_record_t  *rec;

    for (q = ngx_queue_head(&kp->parked);
         q != ngx_queue_sentinel(&kp->parked);
         q = next)
    {
        next = ngx_queue_next(q);
        rec = ngx_queue_data(q, ngx_kafka_record_t, queue);

        if (ngx_current_msec - rec->taken < kp->conf->timeout) {
            break;
        }

        if (rec->msg.handler == NULL) {
            (void) ngx_kafka_abandon(rec);
        }
    }
}
