/* What became of records: kept, not kept, or maybe kept. */

#include "kafka/ngx_kafka_impl.h"


static void ngx_kafka_report_refused(ngx_kafka_client_t *client,
    ngx_kafka_record_t *rec, const rd_kafka_message_t *rkm,
    ngx_kafka_report_t *report);
static ngx_uint_t ngx_kafka_report_answered(const rd_kafka_message_t *rkm);
static ngx_uint_t ngx_kafka_report_never_sent(ngx_kafka_client_t *client,
    ngx_kafka_record_t *rec);
static void ngx_kafka_report_apart(ngx_kafka_record_t *rec);
static void ngx_kafka_report_count(ngx_kafka_record_t *rec,
    ngx_kafka_outcome_e outcome);


static ngx_uint_t  ngx_kafka_silent;    /* no handler is called any more */


void
ngx_kafka_reports_silence(void)
{
    ngx_kafka_silent = 1;
}


void
ngx_kafka_report(ngx_kafka_client_t *client, const rd_kafka_message_t *rkm)
{
    ngx_uint_t           kept;
    ngx_kafka_lanes_t   *lanes;
    ngx_kafka_record_t  *rec;
    ngx_kafka_report_t   report;

    rec = rkm->_private;
    kept = 0;

    client->n--;

    report.outcome = NGX_KAFKA_MAYBE_KEPT;
    report.error = rkm->err;
    report.fault = NGX_KAFKA_NO_FAULT;
    report.partition = rkm->partition;
    report.offset = -1;
    report.timestamp = rd_kafka_message_timestamp(rkm, NULL);
    report.taken = rec->taken;

    switch (rd_kafka_message_status(rkm)) {

    case RD_KAFKA_MSG_STATUS_PERSISTED:
        /*
         * Without an offset the broker called the sequence number a
         * duplicate.  It knows the last five batches, as many as are in
         * flight, so the one before may as well be missing: when a new
         * topic is not ready for the first batch but for the second.
         */
        if (rkm->offset >= 0) {
            report.outcome = NGX_KAFKA_KEPT;
        }

        report.offset = rkm->offset;
        kept = 1;
        client->seen_up = 1;
        client->heard = ngx_current_msec;
        break;

    case RD_KAFKA_MSG_STATUS_NOT_PERSISTED:
        if (ngx_kafka_error(rkm->err) != NGX_KAFKA_ERROR_UNSURE) {
            ngx_kafka_report_refused(client, rec, rkm, &report);

        } else if (ngx_kafka_report_never_sent(client, rec)) {
            report.outcome = NGX_KAFKA_NOT_KEPT;
        }

        break;

    default:
        break;
    }

    lanes = &rec->producer->lanes[rec->msg.topic];

    if (!ngx_kafka_lane_fresh(lanes, rkm->partition)
        && ngx_kafka_report_answered(rkm))
    {
        ngx_kafka_lane_heard(rec, rkm, kept);

        if (client->alone) {
            client->heard = ngx_current_msec;
        }
    }

    ngx_kafka_report_record(client, rec, &report);
}


/*
 * The broker refused the record's batch before it appended it.  What it
 * refuses for its content may have been appended by the leader before.
 */
static void
ngx_kafka_report_refused(ngx_kafka_client_t *client, ngx_kafka_record_t *rec,
    const rd_kafka_message_t *rkm, ngx_kafka_report_t *report)
{
    if (ngx_kafka_error(rkm->err) == NGX_KAFKA_ERROR_TOPIC) {
        report->outcome = NGX_KAFKA_NOT_KEPT;
        return;
    }

    ngx_kafka_rules_refused(client, rec->msg.topic);

    if (ngx_kafka_lane_moved(rec, rkm)) {
        return;
    }

    report->outcome = NGX_KAFKA_NOT_KEPT;
    report->fault = ngx_kafka_rules_fault(client->producer, &rec->msg,
                                          rkm->err, client->alone);
}


/* Whether a broker said something of the record, good or bad. */
static ngx_uint_t
ngx_kafka_report_answered(const rd_kafka_message_t *rkm)
{
    return rkm->err >= 0
           || rkm->err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC
           || rkm->err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}


/*
 * librdkafka also calls a record not persisted that timed out in its queue
 * after a retriable error; Kafka gives some of those, as NOT_LEADER, after
 * the record was appended.  "No" is said where no request can have held it, as
 * it got no partition, or as its client sent none since.
 */
static ngx_uint_t
ngx_kafka_report_never_sent(ngx_kafka_client_t *client,
    ngx_kafka_record_t *rec)
{
    uint64_t  sent;

    if (__atomic_load_n(&rec->partition, __ATOMIC_RELAXED) < 0
        && client->handle->spread[rec->msg.topic].partitioner)
    {
        return 1;
    }

    sent = __atomic_load_n(&client->handle->sent, __ATOMIC_RELAXED);

    return sent == 0
           || (ngx_msec_int_t) ((ngx_msec_t) sent - rec->taken) < 0;
}


void
ngx_kafka_report_record(ngx_kafka_client_t *client, ngx_kafka_record_t *rec,
    ngx_kafka_report_t *report)
{
    void                  *data;
    ngx_kafka_report_pt    handler;
    ngx_kafka_producer_t  *kp;

    kp = rec->producer;
    data = rec->msg.data;
    handler = rec->msg.handler;

    ngx_log_debug4(NGX_LOG_DEBUG_CORE, kp->log, 0,
                   "kafka record %p reported: outcome:%d error:%d offset:%L",
                   rec, report->outcome, report->error, report->offset);

    if (report->outcome == NGX_KAFKA_KEPT) {
        client->up = 1;
        kp->stalled = 0;

        if (kp->acked != ngx_current_msec) {

            if (ngx_current_msec - kp->acked > kp->conf->timeout / 2) {
                kp->lively = ngx_current_msec;
            }

            kp->acked = ngx_current_msec;
        }

        ngx_kafka_producer_measure(kp, rec);
    }

    if (rec->apart) {
        ngx_kafka_report_apart(rec);
    }

    ngx_kafka_report_count(rec, report->outcome);
    ngx_kafka_record_release(rec);

    if (handler && !ngx_kafka_silent) {
        handler(data, report);
    }
}


/* The record was in the side client. */
static void
ngx_kafka_report_apart(ngx_kafka_record_t *rec)
{
    if (rec->probe) {
        ngx_kafka_lane_probed(rec);
    }

    if (rec->again) {
        rec->producer->again--;
    }
}


ngx_uint_t
ngx_kafka_abandon(ngx_kafka_record_t *rec)
{
    ngx_log_debug2(NGX_LOG_DEBUG_CORE, rec->producer->log, 0,
                   "kafka record %p abandoned, parked:%ui", rec, rec->parked);

    if (!rec->parked) {
        rec->msg.handler = NULL;
        return 1;
    }

    rec->producer->idle -= rec->msg.charge;
    rec->producer->behind -= rec->behind;

    ngx_kafka_report_count(rec, NGX_KAFKA_NOT_KEPT);
    ngx_kafka_record_release(rec);

    return 0;
}


static void
ngx_kafka_report_count(ngx_kafka_record_t *rec, ngx_kafka_outcome_e outcome)
{
    ngx_kafka_topic_conf_t    *topic;
    ngx_kafka_topic_counts_t  *counts;

    topic = rec->producer->conf->topics.elts;
    counts = topic[rec->msg.topic].counts;

    if (outcome == NGX_KAFKA_KEPT) {
        ngx_kafka_count_kept(counts, rec->msg.charge
                                     - ngx_kafka_record_overhead(&rec->msg),
                             ngx_current_msec - rec->taken);
        return;
    }

    (void) ngx_atomic_fetch_add(outcome == NGX_KAFKA_NOT_KEPT
                                ? &counts->not_kept : &counts->maybe_kept,
                                1);

    if (rec->msg.handler == NULL) {
        (void) ngx_atomic_fetch_add(&counts->dropped, 1);
    }
}
