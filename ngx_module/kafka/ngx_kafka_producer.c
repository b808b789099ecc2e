/* A producer in its worker: started, watched, drained, ended. */

#include "kafka/ngx_kafka_impl.h"


#define NGX_KAFKA_RESTART_WAIT   1000    /* ms */
#define NGX_KAFKA_TICK           250     /* ms */
#define NGX_KAFKA_TICK_WAITING   20      /* ms, while something is under way */

#define NGX_KAFKA_OVERDUE_WAIT   500     /* ms, for those under way */
#define NGX_KAFKA_LEAVING        4       /* clients being destroyed at once */

#define NGX_KAFKA_EXIT_FLUSH     500     /* ms, of a fast stop */
#define NGX_KAFKA_EXIT_DESTROY   300     /* ms */


static void ngx_kafka_producer_restart(ngx_kafka_producer_t *kp);
static void ngx_kafka_producer_topics(ngx_kafka_client_t *client);
static void ngx_kafka_producer_wake(ngx_kafka_client_t *client,
    ngx_uint_t closing);
static void ngx_kafka_producer_event(ngx_kafka_client_t *client,
    rd_kafka_event_t *event);
static void ngx_kafka_producer_serve(ngx_kafka_client_t *client);
static void ngx_kafka_producer_retire(ngx_kafka_client_t *client,
    ngx_kafka_rebuilt_e reason, ngx_msec_t wait);
static void ngx_kafka_producer_tick(ngx_event_t *ev);
static void ngx_kafka_producer_overdue(ngx_kafka_producer_t *kp);
static void ngx_kafka_producer_drained(ngx_event_t *ev);
static void ngx_kafka_producers_flush(void);


static const ngx_kafka_client_calls_t  ngx_kafka_producer_calls = {
    ngx_kafka_producer_wake,
    ngx_kafka_producer_event,
    ngx_kafka_report,
    ngx_kafka_statistics
};


/* of this worker */
static ngx_queue_t  ngx_kafka_producers;


ngx_kafka_producer_t *
ngx_kafka_producer_start(ngx_cycle_t *cycle, ngx_kafka_conf_t *kcf,
    ngx_msec_t drain)
{
    ngx_kafka_producer_t  *kp;

    kp = ngx_pcalloc(cycle->pool, sizeof(ngx_kafka_producer_t));
    if (kp == NULL) {
        return NULL;
    }

    if (ngx_kafka_producers.next == NULL) {
        ngx_queue_init(&ngx_kafka_producers);
    }

    kp->conf = kcf;
    kp->log = cycle->log;
    kp->limit = kcf->queue;
    kp->start = ngx_current_msec;
    kp->create = ngx_current_msec;
    kp->drain_timeout = drain;

    ngx_queue_init(&kp->clients);
    ngx_queue_init(&kp->parked);
    ngx_queue_insert_tail(&ngx_kafka_producers, &kp->queue);

    kp->tick.handler = ngx_kafka_producer_tick;
    kp->tick.data = kp;
    kp->tick.log = cycle->log;
    kp->tick.cancelable = 1;

    kp->drain.handler = ngx_kafka_producer_drained;
    kp->drain.data = kp;
    kp->drain.log = cycle->log;

    ngx_kafka_producer_restart(kp);

    ngx_add_timer(&kp->tick, NGX_KAFKA_TICK_WAITING);

    return kp;
}


static void
ngx_kafka_producer_restart(ngx_kafka_producer_t *kp)
{
    if ((ngx_msec_int_t) (ngx_current_msec - kp->start) < 0
        || ngx_kafka_destroying() >= NGX_KAFKA_LEAVING)
    {
        return;
    }

    kp->start = ngx_current_msec + NGX_KAFKA_RESTART_WAIT;

    kp->client = ngx_kafka_client_start(kp, &ngx_kafka_producer_calls,
                                        ngx_kafka_rules_smallest(kp->conf));

    if (kp->client) {
        ngx_kafka_producer_topics(kp->client);

    } else {
        (void) ngx_atomic_fetch_add(&kp->conf->counts->start_failures, 1);
    }
}


static void
ngx_kafka_producer_topics(ngx_kafka_client_t *client)
{
    if (ngx_kafka_topics_serve(client)) {
        ngx_kafka_produce_parked(client->producer);
    }

    ngx_kafka_rules_serve(client);
}


static void
ngx_kafka_producer_wake(ngx_kafka_client_t *client, ngx_uint_t closing)
{
    if (closing) {
        ngx_kafka_records_drain(client->producer);
    }

    ngx_kafka_producer_serve(client);
}


static void
ngx_kafka_producer_event(ngx_kafka_client_t *client, rd_kafka_event_t *event)
{
    if (ngx_kafka_topics_event(client, event) == NGX_OK) {
        ngx_kafka_producer_topics(client);
    }

    ngx_kafka_rules_event(client, event);
}


/* May replace or free the client. */
static void
ngx_kafka_producer_serve(ngx_kafka_client_t *client)
{
    ngx_msec_t  timeout;

    timeout = client->producer->conf->timeout;

    ngx_kafka_client_poll(client);

    if (!client->retiring) {

        if (client->fatal) {
            ngx_kafka_producer_retire(client, NGX_KAFKA_REBUILT_FATAL,
                                      timeout);

        } else if (ngx_kafka_rules_outgrown(client)) {
            ngx_kafka_producer_retire(client, NGX_KAFKA_REBUILT_LIMIT,
                                      timeout);
        }

        return;
    }

    if (ngx_queue_empty(&client->records)) {
        ngx_kafka_client_free(client);
        return;
    }

    if (!client->purged
        && (ngx_msec_int_t) (ngx_current_msec - client->deadline) >= 0)
    {
        ngx_log_debug1(NGX_LOG_DEBUG_CORE, client->producer->log, 0,
                       "kafka client %p purged", client);

        client->purged = 1;
        (void) rd_kafka_purge(client->rk, RD_KAFKA_PURGE_F_QUEUE
                                          |RD_KAFKA_PURGE_F_INFLIGHT
                                          |RD_KAFKA_PURGE_F_NON_BLOCKING);
    }
}


/*
 * Starts a successor.  The client takes no more records, and what it has is
 * purged after "wait" ms.
 */
static void
ngx_kafka_producer_retire(ngx_kafka_client_t *client,
    ngx_kafka_rebuilt_e reason, ngx_msec_t wait)
{
    ngx_kafka_producer_t  *kp;

    kp = client->producer;

    ngx_log_debug2(NGX_LOG_DEBUG_CORE, kp->log, 0,
                   "kafka client %p retires, reason:%d", client, reason);

    (void) ngx_atomic_fetch_add(&kp->conf->counts->rebuilds[reason], 1);

    client->retiring = 1;
    client->deadline = ngx_current_msec + wait;

    kp->client = NULL;
    ngx_kafka_producer_restart(kp);

    if (kp->client) {
        kp->client->seen_up = client->seen_up;
        kp->client->up = client->up && !kp->stalled;
    }
}


static void
ngx_kafka_producer_tick(ngx_event_t *ev)
{
    ngx_uint_t             waiting;
    ngx_queue_t           *q, *next;
    ngx_kafka_client_t    *client;
    ngx_kafka_producer_t  *kp;

    kp = ev->data;
    waiting = 0;

    ngx_kafka_producer_overdue(kp);

    /* a wake-up may have been lost */

    for (q = ngx_queue_head(&kp->clients);
         q != ngx_queue_sentinel(&kp->clients);
         q = next)
    {
        next = ngx_queue_next(q);
        client = ngx_queue_data(q, ngx_kafka_client_t, queue);
        waiting |= client->retiring;
        ngx_kafka_producer_serve(client);
    }

    if (kp->client == NULL) {
        ngx_kafka_producer_restart(kp);
    }

    if (kp->client) {
        ngx_kafka_producer_topics(kp->client);
        waiting |= ngx_kafka_topics_waiting(kp->client);
        ngx_kafka_producer_note(kp);
        ngx_kafka_promise_serve(kp->client);
    }

    ngx_kafka_produce_expire(kp);

    kp->conf->gauges->up = kp->client && kp->client->up;
    kp->conf->gauges->leaving = ngx_exiting;

    ngx_add_timer(ev, waiting ? NGX_KAFKA_TICK_WAITING : NGX_KAFKA_TICK);
}


/*
 * The time-out of a record is the module's.  After its own librdkafka would
 * continue with a new epoch, and send again what brokers may already have.  A
 * purged client sends nothing twice.
 */
static void
ngx_kafka_producer_overdue(ngx_kafka_producer_t *kp)
{
    ngx_queue_t         *q;
    ngx_kafka_record_t  *rec;

    if (kp->client == NULL || ngx_queue_empty(&kp->client->records)) {
        return;
    }

    q = ngx_queue_head(&kp->client->records);
    rec = ngx_queue_data(q, ngx_kafka_record_t, queue);

    if (ngx_current_msec - rec->taken < kp->conf->timeout
        || ngx_kafka_destroying() >= NGX_KAFKA_LEAVING)
    {
        return;
    }

    ngx_log_error(NGX_LOG_ERR, kp->log, 0,
                  "kafka_producer \"%V\": records were not acknowledged "
                  "within \"timeout\" of %Mms, its client is replaced",
                  &kp->conf->name, kp->conf->timeout);

    /* until one is acknowledged, only probes may pass */
    kp->stalled = 1;

    ngx_kafka_producer_retire(kp->client, NGX_KAFKA_REBUILT_TIMEOUT,
                              NGX_KAFKA_OVERDUE_WAIT);
}


static void
ngx_kafka_producer_drained(ngx_event_t *ev)
{
    ngx_kafka_producer_t  *kp;

    kp = ev->data;
    kp->drained = 1;

    ngx_log_error(NGX_LOG_ERR, kp->log, 0,
                  "kafka_producer \"%V\": %ui records were not reported "
                  "within kafka_drain_timeout",
                  &kp->conf->name, kp->records);
}


void
ngx_kafka_producers_exit(void)
{
    ngx_queue_t           *q, *c;
    ngx_kafka_producer_t  *kp;

    if (ngx_kafka_producers.next == NULL) {
        return;
    }

    /* requests may still be there, but nobody will send their answers */
    ngx_kafka_reports_silence();

    ngx_kafka_producers_flush();

    for (q = ngx_queue_head(&ngx_kafka_producers);
         q != ngx_queue_sentinel(&ngx_kafka_producers);
         q = ngx_queue_next(q))
    {
        kp = ngx_queue_data(q, ngx_kafka_producer_t, queue);

        (void) ngx_atomic_fetch_add(&kp->conf->counts->unreported,
                                    kp->records);
        kp->conf->gauges->records = 0;
        kp->conf->gauges->bytes = 0;

        while (!ngx_queue_empty(&kp->clients)) {
            c = ngx_queue_head(&kp->clients);
            ngx_kafka_client_free(ngx_queue_data(c, ngx_kafka_client_t,
                                                 queue));
        }
    }

    ngx_kafka_destroy_wait(NGX_KAFKA_EXIT_DESTROY);
}


static void
ngx_kafka_producers_flush(void)
{
    ngx_msec_t             end;
    ngx_uint_t             left;
    ngx_queue_t           *q, *c;
    ngx_kafka_client_t    *client;
    ngx_kafka_producer_t  *kp;

    ngx_time_update();
    end = ngx_current_msec + NGX_KAFKA_EXIT_FLUSH;

    do {
        left = 0;

        for (q = ngx_queue_head(&ngx_kafka_producers);
             q != ngx_queue_sentinel(&ngx_kafka_producers);
             q = ngx_queue_next(q))
        {
            kp = ngx_queue_data(q, ngx_kafka_producer_t, queue);

            for (c = ngx_queue_head(&kp->clients);
                 c != ngx_queue_sentinel(&kp->clients) && !kp->drained;
                 c = ngx_queue_next(c))
            {
                client = ngx_queue_data(c, ngx_kafka_client_t, queue);

                if (!ngx_queue_empty(&client->records)) {
                    (void) rd_kafka_flush(client->rk, 10);
                    left |= !ngx_queue_empty(&client->records);
                }
            }
        }

        ngx_time_update();

    } while (left && (ngx_msec_int_t) (end - ngx_current_msec) > 0);
}
