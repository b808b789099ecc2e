/* Whether records are likely to be kept: down, stalled, ready. */

#include "ngx_kafka_client.h"


#define NGX_KAFKA_PROBE_PERIOD   200     /* ms */


/*
 * Brokers are down when librdkafka says so, or when nothing was acknowledged
 * for half of the time a record is tried: a stopped broker raises no error
 * for long.
 */
ngx_uint_t
ngx_kafka_producer_down(ngx_kafka_producer_t *kp)
{
    ngx_msec_t           since;
    ngx_queue_t         *q;
    ngx_kafka_client_t  *client;
    ngx_kafka_record_t  *rec;

    client = kp->client;

    if (client->seen_up && !client->up) {
        return 1;
    }

    if (kp->stalled) {
        return 1;
    }

    if (!ngx_queue_empty(&client->records)) {
        q = ngx_queue_head(&client->records);

    } else if (!client->up && !ngx_queue_empty(&kp->parked)) {
        q = ngx_queue_head(&kp->parked);

    } else {
        return 0;
    }

    rec = ngx_queue_data(q, ngx_kafka_record_t, queue);

    since = rec->taken;
    if ((ngx_msec_int_t) (client->heard - since) > 0) {
        since = client->heard;
    }

    kp->stalled = ngx_current_msec - since > kp->conf->timeout / 2;

    return kp->stalled;
}


/* Some records must pass, or nobody would see the brokers come back. */
ngx_uint_t
ngx_kafka_producer_probe(ngx_kafka_producer_t *kp)
{
    if (kp->client->seen_up && !kp->client->up) {
        /*
         * Statistics will tell: without any connection librdkafka tries
         * to make one each second, and no record could be kept before.
         */
        return 0;
    }

    if ((ngx_msec_int_t) (ngx_current_msec - kp->probe) < 0) {
        return 0;
    }

    kp->probe = ngx_current_msec + NGX_KAFKA_PROBE_PERIOD;

    return 1;
}


const char *
ngx_kafka_unready(ngx_kafka_producer_t *kp)
{
    ngx_uint_t               i;
    ngx_kafka_client_t      *client;
    ngx_kafka_topic_conf_t  *topic;

    client = kp->client;
    topic = kp->conf->topics.elts;

    if (ngx_exiting) {
        return "the worker is leaving";
    }

    if (client == NULL) {
        return "the producer could not start";
    }

    if (!client->seen_up) {
        return "no broker was reached yet";
    }

    if (ngx_kafka_producer_down(kp)) {
        return client->up ? "brokers do not acknowledge" : "no broker is up";
    }

    if (ngx_kafka_topics_waiting(client)) {
        return "a topic is not created yet";
    }

    for (i = 0; i < kp->conf->topics.nelts; i++) {
        if (client->partitions[i] > 0
            && client->partitions[i] < topic[i].partitions)
        {
            return "a topic has fewer partitions than declared";
        }
    }

    if (kp->charged > kp->conf->queue - kp->conf->queue / 10) {
        return "the queue is nearly full";
    }

    return NULL;
}


void
ngx_kafka_producer_note(ngx_kafka_producer_t *kp)
{
    ngx_uint_t           down;
    ngx_kafka_client_t  *client;

    client = kp->client;

    if (kp->stalled && client->up && ngx_queue_empty(&client->records)) {
        /* without traffic only a new try can tell */
        kp->stalled = 0;
    }

    down = ngx_kafka_producer_down(kp);

    if (down == kp->down) {
        return;
    }

    kp->down = down;

    if (down) {
        ngx_log_error(NGX_LOG_ERR, kp->cycle->log, 0,
                      "kafka_producer \"%V\": %s, answering 503 at once",
                      &kp->conf->name,
                      client->up ? "brokers do not acknowledge"
                                 : "no broker is up");
    } else {
        ngx_log_error(NGX_LOG_NOTICE, kp->cycle->log, 0,
                      "kafka_producer \"%V\": brokers are up again",
                      &kp->conf->name);
    }
}
