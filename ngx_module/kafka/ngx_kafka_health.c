/* Whether records are likely to be kept: down, stalled, ready. */

#include "kafka/ngx_kafka_impl.h"


#define NGX_KAFKA_PROBE_PERIOD   200     /* ms */

#define NGX_KAFKA_WINDOW         250     /* ms, the shortest of the rate */

#define NGX_KAFKA_QUIET          1000    /* ms without a probe */


static ngx_msec_t ngx_kafka_silence(ngx_kafka_client_t *client,
    ngx_queue_t *records);
static ngx_msec_t ngx_kafka_window(ngx_kafka_producer_t *kp);
static size_t ngx_kafka_backlog(ngx_kafka_producer_t *kp, uint64_t rate);


/*
 * Brokers are down when librdkafka says so, or when nothing was acknowledged
 * for half of the time a record is tried: a stopped broker raises no error
 * for long.
 */
ngx_uint_t
ngx_kafka_producer_down(ngx_kafka_producer_t *kp)
{
    ngx_msec_t           silence;
    ngx_kafka_client_t  *client, *prompt;

    client = kp->client;
    prompt = kp->prompt.client;

    if (client->seen_up && !client->up) {
        return 1;
    }

    if (kp->stalled) {
        return 1;
    }

    if (!ngx_queue_empty(&client->records)) {
        silence = ngx_kafka_silence(client, &client->records);

        if (prompt && !ngx_queue_empty(&prompt->records)) {
            silence = ngx_min(silence,
                              ngx_kafka_silence(prompt, &prompt->records));
        }

    } else if (prompt && !ngx_queue_empty(&prompt->records)) {
        silence = ngx_kafka_silence(prompt, &prompt->records);

    } else if (!client->up) {
        silence = ngx_kafka_silence(client, &kp->parked);

    } else {
        return 0;
    }

    kp->stalled = silence > kp->conf->timeout / 2;

    return kp->stalled;
}


/* How long, ms, the oldest of the client's "records" has heard of no broker. */
static ngx_msec_t
ngx_kafka_silence(ngx_kafka_client_t *client, ngx_queue_t *records)
{
    return ngx_min(ngx_kafka_client_age(records),
                   ngx_current_msec - client->heard);
}


/*
 * A new record waits behind all that wait already.  No record is taken if that
 * lasts more than half of the time a record is tried, or records would reach
 * their time-out and end others with them.  The measured rate tells how long,
 * and the age of the oldest record while others are kept.  What one batch
 * holds is no queue yet.
 */
ngx_uint_t
ngx_kafka_producer_overloaded(ngx_kafka_producer_t *kp)
{
    size_t               waiting;
    ngx_queue_t         *q;
    ngx_kafka_record_t  *rec;

    /* what is parked waits for its topic, not for brokers */
    waiting = kp->charged - kp->idle;

    if (kp->rate == 0 || waiting <= kp->client->batch) {
        return 0;
    }

    if (waiting > ngx_kafka_backlog(kp, kp->rate)) {
        return 1;
    }

    if (ngx_queue_empty(&kp->client->records)) {
        return 0;
    }

    q = ngx_queue_head(&kp->client->records);
    rec = ngx_queue_data(q, ngx_kafka_record_t, queue);

    return ngx_current_msec - rec->taken > kp->conf->timeout / 2;
}


/*
 * A window shows the brokers' rate, not the clients', if every record kept in
 * the window was taken before it began: brokers were never without work.  A
 * window ends with an acknowledgement, so a stop of brokers lies in one window.
 * The rate is the better of two windows in a row, or not known.  Silence is
 * judged by ngx_kafka_producer_down().
 */
void
ngx_kafka_producer_measure(ngx_kafka_producer_t *kp, ngx_kafka_record_t *rec)
{
    uint64_t    rate;
    ngx_msec_t  elapsed;

    kp->sample += rec->msg.charge;

    if ((ngx_msec_int_t) (rec->taken - kp->measured) >= 0) {
        kp->fresh = 1;
    }

    elapsed = ngx_current_msec - kp->measured;

    if (elapsed < ngx_kafka_window(kp)) {
        return;
    }

    rate = kp->fresh ? 0 : (uint64_t) kp->sample * 1000 / elapsed;

    kp->rate = rate && kp->previous ? ngx_max(rate, kp->previous) : 0;
    kp->previous = rate;
    kp->sample = 0;
    kp->fresh = 0;
    kp->measured = ngx_current_msec;
}


static ngx_msec_t
ngx_kafka_window(ngx_kafka_producer_t *kp)
{
    return ngx_max(NGX_KAFKA_WINDOW, kp->conf->timeout / 16);
}


/* Bytes that may wait at a rate; at most the queue. */
static size_t
ngx_kafka_backlog(ngx_kafka_producer_t *kp, uint64_t rate)
{
    return ngx_min(rate * (kp->conf->timeout / 2) / 1000, kp->conf->queue);
}


ngx_uint_t
ngx_kafka_retry_after(ngx_kafka_producer_t *kp)
{
    size_t      room;
    uint64_t    rate, seconds;
    ngx_uint_t  most;
    ngx_msec_t  window;

    if (kp->rate == 0) {
        return 1;
    }

    /* silence counts: clients that are told to come back may come later */

    window = ngx_kafka_window(kp);
    rate = (kp->rate * window + (uint64_t) kp->sample * 1000)
           / (window + (ngx_current_msec - kp->measured));
    room = ngx_kafka_backlog(kp, rate) / 2;
    most = (kp->conf->timeout + 999) / 1000;

    if (rate == 0) {
        return most;
    }

    seconds = kp->charged > room ? (kp->charged - room + rate - 1) / rate : 1;

    return ngx_max(1, ngx_min(seconds, most));
}


/*
 * Some records must pass, or nobody would see the brokers come back.  What
 * does not acknowledge may be one topic, while others have no traffic.
 */
ngx_uint_t
ngx_kafka_producer_probe(ngx_kafka_producer_t *kp, ngx_uint_t topic)
{
    if (kp->client->seen_up && !kp->client->up) {
        /*
         * Statistics will tell: without any connection librdkafka tries
         * to make one each second, and no record could be kept before.
         */
        return 0;
    }

    if ((ngx_msec_int_t) (ngx_current_msec - kp->probe) < 0
        && (kp->records == 0 || kp->lanes[topic].records))
    {
        return 0;
    }

    kp->probe = ngx_current_msec + NGX_KAFKA_PROBE_PERIOD;

    return 1;
}


const char *
ngx_kafka_unready(ngx_kafka_producer_t *kp)
{
    ngx_uint_t           i;
    ngx_kafka_client_t  *client;

    client = kp->client;

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

    if (ngx_kafka_producer_overloaded(kp)) {
        return "brokers acknowledge too slowly";
    }

    if (ngx_kafka_topics_waiting(client)) {
        return "a topic is not created yet";
    }

    for (i = 0; i < kp->conf->topics.nelts; i++) {
        if (ngx_kafka_promise_lacks(kp->conf, i)) {
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

    if (kp->stalled && client->up && ngx_queue_empty(&client->records)
        && (ngx_msec_int_t) (ngx_current_msec - kp->probe) > NGX_KAFKA_QUIET)
    {
        /* without traffic there is no probe, only a new try can tell */
        kp->stalled = 0;
    }

    down = ngx_kafka_producer_down(kp);

    if (down == kp->down) {
        return;
    }

    kp->down = down;

    if (down) {
        ngx_log_error(NGX_LOG_ERR, kp->log, 0,
                      "kafka_producer \"%V\": %s, answering 503 at once",
                      &kp->conf->name,
                      client->up ? "brokers do not acknowledge"
                                 : "no broker is up");
    } else {
        ngx_log_error(NGX_LOG_NOTICE, kp->log, 0,
                      "kafka_producer \"%V\": brokers are up again",
                      &kp->conf->name);
    }
}
