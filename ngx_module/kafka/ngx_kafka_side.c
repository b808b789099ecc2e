/*
 * The side client: each of its records is a batch of its own.  It takes probes
 * of stalled lanes, and records that a broker refused for another one of their
 * batch.
 */

#include "kafka/ngx_kafka_impl.h"


#define NGX_KAFKA_AGAIN   1000      /* records whose request waits */


static rd_kafka_resp_err_t ngx_kafka_side_produce(ngx_kafka_client_t *side,
    const rd_kafka_message_t *rkm);


/*
 * Only where no request can have appended it: the client calls it not kept,
 * the error comes before the broker appends, and the partition has the leader
 * that it had.  A record that is refused alone is at fault itself.
 */
ngx_int_t
ngx_kafka_side_again(ngx_kafka_client_t *client, const rd_kafka_message_t *rkm)
{
    ngx_kafka_error_e      kind;
    ngx_kafka_client_t    *side;
    ngx_kafka_record_t    *rec;
    rd_kafka_resp_err_t    err;
    ngx_kafka_producer_t  *kp;

    rec = rkm->_private;
    kp = rec->producer;

    kind = ngx_kafka_error(rkm->err);

    if ((kind != NGX_KAFKA_ERROR_RECORD && kind != NGX_KAFKA_ERROR_BATCH)
        || client->alone || rec->again
        || rd_kafka_message_status(rkm) != RD_KAFKA_MSG_STATUS_NOT_PERSISTED
        || ngx_kafka_lane_moved(rec, rkm))
    {
        return NGX_DECLINED;
    }

    if (rec->msg.handler
        && (kp->again >= NGX_KAFKA_AGAIN
            || ngx_current_msec - rec->taken > kp->conf->timeout / 2))
    {
        return NGX_DECLINED;
    }

    side = ngx_kafka_birth_extra(kp, &kp->side, NGX_KAFKA_CLIENT_ALONE, 1);

    if (side == NULL || ngx_kafka_topic_use(side, rec->msg.topic) != NGX_OK) {
        return NGX_DECLINED;
    }

    err = ngx_kafka_side_produce(side, rkm);

    ngx_log_debug4(NGX_LOG_DEBUG_CORE, kp->log, 0,
                   "kafka record %p refused with its batch by error %d, "
                   "produced again by client %p, error:%d",
                   rec, rkm->err, side, err);

    if (err) {
        return NGX_DECLINED;
    }

    ngx_kafka_rules_refused(client, rec->msg.topic);

    ngx_queue_remove(&rec->queue);
    ngx_queue_insert_tail(&side->records, &rec->queue);
    client->n--;
    side->n++;

    ngx_kafka_lane_heard(rec, rkm, 0);

    rec->partition = rkm->partition;
    rec->apart = 1;
    rec->again = 1;
    rec->probe = 0;
    kp->again++;

    return NGX_OK;
}


/*
 * The same record, to the same partition and of the same time, which a failed
 * record does not tell.
 */
static rd_kafka_resp_err_t
ngx_kafka_side_produce(ngx_kafka_client_t *side, const rd_kafka_message_t *rkm)
{
    int64_t               timestamp;
    ngx_time_t           *tp;
    ngx_kafka_record_t   *rec;
    rd_kafka_headers_t   *headers;
    rd_kafka_resp_err_t   err;

    rec = rkm->_private;
    timestamp = rec->msg.timestamp;

    if (timestamp == 0) {
        tp = ngx_timeofday();
        timestamp = (int64_t) tp->sec * 1000 + tp->msec
                    - (int64_t) (ngx_current_msec - rec->taken);
    }

    if (rd_kafka_message_headers(rkm, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
    {
        headers = rd_kafka_headers_copy(headers);

    } else {
        headers = rd_kafka_headers_new(0);
    }

    err = rd_kafka_producev(side->rk,
                            RD_KAFKA_V_RKT(side->topics[rec->msg.topic]),
                            RD_KAFKA_V_PARTITION(rkm->partition),
                            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                            RD_KAFKA_V_VALUE(rkm->payload, rkm->len),
                            RD_KAFKA_V_KEY(rkm->key, rkm->key_len),
                            RD_KAFKA_V_TIMESTAMP(timestamp),
                            RD_KAFKA_V_HEADERS(headers),
                            RD_KAFKA_V_OPAQUE(rec),
                            RD_KAFKA_V_END);
    if (err) {
        rd_kafka_headers_destroy(headers);
    }

    return err;
}
