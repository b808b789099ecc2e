/* A producer in its worker: started, watched, drained, ended. */

#include "kafka/ngx_kafka_impl.h"


#define NGX_KAFKA_TICK           250     /* ms */
#define NGX_KAFKA_TICK_WAITING   20      /* ms, while something is under way */

#define NGX_KAFKA_OVERDUE_WAIT   500     /* ms, for those under way */
#define NGX_KAFKA_AHEAD          1000    /* ms, of a successor's start */
#define NGX_KAFKA_TAKEOVER       300     /* ms, for a successor to connect */
#define NGX_KAFKA_SIDE_IDLE      30000   /* ms */

#define NGX_KAFKA_EXIT_FLUSH     500     /* ms, of a fast stop */
#define NGX_KAFKA_EXIT_DESTROY   300     /* ms */


static void ngx_kafka_producer_restart(ngx_kafka_producer_t *kp);
static ngx_kafka_client_t *ngx_kafka_producer_next(ngx_kafka_producer_t *kp,
    ngx_uint_t begin);
static ngx_uint_t ngx_kafka_producer_may_start(ngx_kafka_producer_t *kp);
static void ngx_kafka_producer_topics(ngx_kafka_client_t *client);
static void ngx_kafka_producer_wake(ngx_kafka_client_t *client,
    ngx_uint_t closing);
static void ngx_kafka_producer_event(ngx_kafka_client_t *client,
    rd_kafka_event_t *event);
static void ngx_kafka_producer_report(ngx_kafka_client_t *client,
    const rd_kafka_message_t *rkm);
static void ngx_kafka_producer_serve(ngx_kafka_client_t *client);
static void ngx_kafka_producer_current(ngx_kafka_client_t *client);
static void ngx_kafka_producer_retire(ngx_kafka_client_t *client,
    ngx_kafka_rebuilt_e reason, ngx_msec_t wait);
static void ngx_kafka_producer_leave(ngx_kafka_client_t **client,
    ngx_msec_t wait);
static void ngx_kafka_producer_tick(ngx_event_t *ev);
static ngx_uint_t ngx_kafka_producer_clients(ngx_kafka_producer_t *kp);
static void ngx_kafka_producer_overdue(ngx_kafka_producer_t *kp);
static void ngx_kafka_producer_late(ngx_kafka_producer_t *kp);
static ngx_uint_t ngx_kafka_producer_prepared(ngx_kafka_producer_t *kp,
    ngx_msec_t age);
static void ngx_kafka_producer_extra(ngx_kafka_producer_t *kp,
    ngx_kafka_extra_t *extra, ngx_kafka_client_e kind);
static void ngx_kafka_producer_drained(ngx_event_t *ev);
static void ngx_kafka_producers_flush(void);


static const ngx_kafka_client_calls_t  ngx_kafka_producer_calls = {
    ngx_kafka_producer_wake,
    ngx_kafka_producer_event,
    ngx_kafka_producer_report,
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

    kp->lanes = ngx_pcalloc(cycle->pool,
                            kcf->topics.nelts * sizeof(ngx_kafka_lanes_t));
    if (kp->lanes == NULL) {
        return NULL;
    }

    kp->conf = kcf;
    kp->log = cycle->log;
    kp->limit = kcf->queue;
    kp->start = ngx_current_msec;
    kp->create = ngx_current_msec;
    kp->drain_timeout = drain;
    kp->prompts = !ngx_kafka_conf_sets(kcf, "linger.ms");

    if (ngx_kafka_reader_start(kp, cycle->pool) != NGX_OK) {
        return NULL;
    }

    ngx_kafka_stored_init(kp);

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

    /* no request waits for this one yet */

    kp->client = ngx_kafka_client_start(kp, &ngx_kafka_producer_calls,
                                        NGX_KAFKA_CLIENT_ALL,
                                        ngx_kafka_rules_smallest(kcf));

    if (kp->client) {
        ngx_kafka_producer_topics(kp->client);

    } else {
        kp->start = ngx_current_msec + NGX_KAFKA_RESTART_WAIT;
        (void) ngx_atomic_fetch_add(&kcf->counts->start_failures, 1);
    }

    ngx_add_timer(&kp->tick, NGX_KAFKA_TICK_WAITING);

    return kp;
}


/* Where there is no client: takes one that a thread has started. */
static void
ngx_kafka_producer_restart(ngx_kafka_producer_t *kp)
{
    if (ngx_kafka_producer_next(kp, ngx_kafka_producer_may_start(kp)) == NULL)
    {
        return;
    }

    kp->client = kp->next;
    kp->next = NULL;

    ngx_kafka_producer_topics(kp->client);
    ngx_kafka_produce_parked(kp);
}


/* The next client, or NULL: none yet.  One begins if there is none. */
static ngx_kafka_client_t *
ngx_kafka_producer_next(ngx_kafka_producer_t *kp, ngx_uint_t begin)
{
    if (kp->birth) {
        kp->next = ngx_kafka_birth_take(&kp->birth, 0);

        if (kp->next) {
            (void) ngx_kafka_topics_serve(kp->next);

        } else if (kp->birth == NULL) {
            (void) ngx_atomic_fetch_add(&kp->conf->counts->start_failures, 1);
        }

    } else if (begin && kp->next == NULL
               && ngx_kafka_destroying() < NGX_KAFKA_LEAVING)
    {
        kp->start = ngx_current_msec + NGX_KAFKA_RESTART_WAIT;
        kp->birth = ngx_kafka_birth_begin(kp, &ngx_kafka_producer_calls,
                                          NGX_KAFKA_CLIENT_ALL,
                                          ngx_kafka_rules_smallest(kp->conf));

        /* a timer that is set would not be moved by so little */

        if (kp->tick.timer_set) {
            ngx_del_timer(&kp->tick);
        }

        ngx_add_timer(&kp->tick, NGX_KAFKA_TICK_WAITING);
    }

    return kp->next;
}


/* Not more than one a second. */
static ngx_uint_t
ngx_kafka_producer_may_start(ngx_kafka_producer_t *kp)
{
    return (ngx_msec_int_t) (ngx_current_msec - kp->start) >= 0;
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


static void
ngx_kafka_producer_report(ngx_kafka_client_t *client,
    const rd_kafka_message_t *rkm)
{
    if (rkm->err && ngx_kafka_side_again(client, rkm) == NGX_OK) {
        return;
    }

    ngx_kafka_report(client, rkm);
}


/* May replace or free the client. */
static void
ngx_kafka_producer_serve(ngx_kafka_client_t *client)
{
    ngx_kafka_client_poll(client);

    if (client->prompt && client->producer->client
        && client->producer->behind)
    {
        ngx_kafka_produce_parked(client->producer);
    }

    if (!client->retiring) {
        ngx_kafka_producer_current(client);
        return;
    }

    if (ngx_kafka_client_idle(client)) {
        ngx_kafka_client_free(client);
        return;
    }

    if (!client->purged
        && ((ngx_msec_int_t) (ngx_current_msec - client->deadline) >= 0
            || (client->patient && ngx_queue_empty(&client->records))))
    {
        ngx_log_debug1(NGX_LOG_DEBUG_CORE, client->producer->log, 0,
                       "kafka client %p purged", client);

        client->purged = 1;
        (void) rd_kafka_purge(client->rk, RD_KAFKA_PURGE_F_QUEUE
                                          |RD_KAFKA_PURGE_F_INFLIGHT
                                          |RD_KAFKA_PURGE_F_NON_BLOCKING);
    }
}


/* Whether a client that takes records has to end. */
static void
ngx_kafka_producer_current(ngx_kafka_client_t *client)
{
    ngx_msec_t             timeout;
    ngx_kafka_producer_t  *kp;

    kp = client->producer;
    timeout = kp->conf->timeout;

    if (client == kp->client) {

        if (client->fatal) {
            client->ending = 1;
            client->reason = NGX_KAFKA_REBUILT_FATAL;

        } else if (!client->ending && ngx_kafka_rules_outgrown(client)) {
            client->ending = 1;
            client->reason = NGX_KAFKA_REBUILT_LIMIT;

            if (kp->next) {
                /* its batches are as large */
                ngx_kafka_producer_leave(&kp->next, 0);
            }
        }

        if (client->ending
            && (ngx_kafka_producer_next(kp, ngx_kafka_producer_may_start(kp))
                || (client->fatal && kp->birth == NULL)))
        {
            ngx_kafka_producer_retire(client, client->reason, timeout);
        }

    } else if (client == kp->next) {

        if (client->fatal) {
            ngx_kafka_producer_leave(&kp->next, 0);
        }

    } else if (client == kp->prompt.client) {

        if (client->fatal) {
            (void) ngx_atomic_fetch_add(
                          &kp->conf->counts->rebuilds[NGX_KAFKA_REBUILT_FATAL],
                          1);
        }

        /* its batches are to be no larger than those of the other one */

        if (client->fatal
            || (kp->client && client->batch > kp->client->batch))
        {
            ngx_kafka_producer_leave(&kp->prompt.client, timeout);
        }

    } else if (client->fatal
               || (ngx_kafka_client_idle(client)
                   && ngx_current_msec - client->heard > NGX_KAFKA_SIDE_IDLE))
    {
        ngx_kafka_producer_leave(&kp->side.client, timeout);
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

    ngx_kafka_producer_leave(&kp->client, wait);
    ngx_kafka_producer_restart(kp);

    if (kp->client) {
        kp->client->seen_up |= client->seen_up;
        kp->client->up |= client->up && !kp->stalled;
    }
}


/* It ends when it has no more records, which are purged after "wait" ms. */
static void
ngx_kafka_producer_leave(ngx_kafka_client_t **client, ngx_msec_t wait)
{
    (*client)->retiring = 1;
    (*client)->deadline = ngx_current_msec + wait;
    *client = NULL;
}


static void
ngx_kafka_producer_tick(ngx_event_t *ev)
{
    ngx_uint_t             waiting;
    ngx_kafka_producer_t  *kp;

    kp = ev->data;

    waiting = ngx_kafka_producer_clients(kp);

    if (kp->client == NULL) {
        ngx_kafka_producer_restart(kp);
    }

    if (kp->client) {
        ngx_kafka_producer_topics(kp->client);
        waiting |= ngx_kafka_topics_waiting(kp->client);
        ngx_kafka_producer_note(kp);
        ngx_kafka_promise_serve(kp->client);
    }

    if (kp->prompt.client) {
        (void) ngx_kafka_topics_serve(kp->prompt.client);
    }

    if (kp->behind && kp->client) {
        /* the prompt client may be late with what it has, or have ended */
        ngx_kafka_produce_parked(kp);
    }

    ngx_kafka_produce_expire(kp);

    if (kp->reader) {
        ngx_kafka_stored_expire(kp, 0);
        ngx_kafka_reader_serve(kp);
    }

    kp->conf->gauges->up = kp->client && kp->client->up;
    kp->conf->gauges->prompt = kp->prompt.client && kp->prompt.client->ready;
    kp->conf->gauges->leaving = ngx_exiting;

    ngx_add_timer(ev, waiting ? NGX_KAFKA_TICK_WAITING : NGX_KAFKA_TICK);
}


/* Whether some client comes or goes. */
static ngx_uint_t
ngx_kafka_producer_clients(ngx_kafka_producer_t *kp)
{
    ngx_uint_t           waiting;
    ngx_queue_t         *q, *next;
    ngx_kafka_client_t  *client;

    for (q = ngx_queue_head(&kp->clients);
         q != ngx_queue_sentinel(&kp->clients);
         q = ngx_queue_next(q))
    {
        ngx_kafka_lanes_watch(ngx_queue_data(q, ngx_kafka_client_t, queue));
    }

    ngx_kafka_producer_overdue(kp);
    ngx_kafka_producer_extra(kp, &kp->side, NGX_KAFKA_CLIENT_ALONE);
    ngx_kafka_producer_extra(kp, &kp->prompt, NGX_KAFKA_CLIENT_PROMPT);

    waiting = kp->next || kp->birth || kp->side.birth || kp->prompt.birth;

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

    return waiting;
}


/*
 * The time-out of a record is the module's.  After its own librdkafka would
 * continue with a new epoch, and send again what brokers may already have.  A
 * purged client sends nothing twice.
 */
static void
ngx_kafka_producer_overdue(ngx_kafka_producer_t *kp)
{
    ngx_msec_t           age, timeout;
    ngx_uint_t           lively;
    ngx_kafka_client_t  *client, *prompt;

    client = kp->client;
    prompt = kp->prompt.client;

    if (client == NULL) {
        return;
    }

    timeout = kp->conf->timeout;
    lively = ngx_kafka_lanes_lively(kp);
    age = ngx_kafka_client_age(&client->records);

    if (lively) {
        /* their partitions acknowledge, if late: they have as long again */
        age = age > timeout ? age - timeout : 0;
    }

    age = ngx_max(age, ngx_kafka_client_age(&client->stuck));

    if (prompt && !lively) {
        /* brokers are down for both, and only a new connection tells more */
        age = ngx_max(age, ngx_kafka_client_age(&prompt->records));
    }

    if (!ngx_kafka_producer_prepared(kp, age) && lively) {
        return;
    }

    if (age < timeout || kp->birth
        || ngx_kafka_destroying() >= NGX_KAFKA_LEAVING)
    {
        return;
    }

    ngx_kafka_producer_late(kp);

    client->patient = lively;
    ngx_kafka_producer_retire(client, NGX_KAFKA_REBUILT_TIMEOUT,
                              lively ? timeout : NGX_KAFKA_OVERDUE_WAIT);

    if (prompt && !lively) {
        ngx_kafka_producer_leave(&kp->prompt.client, NGX_KAFKA_OVERDUE_WAIT);
    }
}


/* Records of a client are overdue. */
static void
ngx_kafka_producer_late(ngx_kafka_producer_t *kp)
{
    ngx_log_error(NGX_LOG_ERR, kp->log, 0,
                  "kafka_producer \"%V\": records were not acknowledged "
                  "within \"timeout\" of %Mms, its client is replaced",
                  &kp->conf->name, kp->conf->timeout);

    if (!ngx_kafka_lanes_lively(kp)) {
        /* until one is acknowledged, only probes may pass */
        kp->stalled = 1;
    }
}


/*
 * Whether a successor can take over without a pause.  It is started a second
 * before the oldest record is overdue, and ends if that is acknowledged.
 */
static ngx_uint_t
ngx_kafka_producer_prepared(ngx_kafka_producer_t *kp, ngx_msec_t age)
{
    ngx_uint_t  due;
    ngx_msec_t  timeout;

    timeout = kp->conf->timeout;
    due = age >= timeout / 2 && age + NGX_KAFKA_AHEAD >= timeout;

    (void) ngx_kafka_producer_next(kp, due);

    if (kp->client->ending) {
        return kp->next != NULL;
    }

    if (!due) {

        if (kp->next) {
            ngx_kafka_producer_leave(&kp->next, 0);
        }

        return 0;
    }

    return (kp->next && kp->next->ready)
           || age >= timeout + NGX_KAFKA_TAKEOVER;
}


/* One ends for a record of its own.  The prompt one is always there. */
static void
ngx_kafka_producer_extra(ngx_kafka_producer_t *kp, ngx_kafka_extra_t *extra,
    ngx_kafka_client_e kind)
{
    ngx_msec_t           timeout;
    ngx_kafka_client_t  *client;

    client = extra->birth
             || (kind == NGX_KAFKA_CLIENT_PROMPT && kp->prompts && !ngx_exiting)
             ? ngx_kafka_birth_extra(kp, extra, kind, 0) : extra->client;
    timeout = kp->conf->timeout;

    if (client == NULL
        || (client->prompt && !ngx_kafka_lanes_lively(kp))
        || (ngx_kafka_client_age(&client->stuck) < timeout
            && (ngx_kafka_client_age(&client->records) < timeout
                || ngx_current_msec - client->heard < timeout)))
    {
        return;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_CORE, kp->log, 0,
                   "kafka extra client %p of \"%V\" is overdue", client,
                   &kp->conf->name);

    if (client->prompt) {
        ngx_kafka_producer_late(kp);
        (void) ngx_atomic_fetch_add(
                        &kp->conf->counts->rebuilds[NGX_KAFKA_REBUILT_TIMEOUT],
                        1);
    }

    client->patient = ngx_kafka_lanes_lively(kp);
    ngx_kafka_producer_leave(&extra->client,
                             client->patient ? timeout
                                             : NGX_KAFKA_OVERDUE_WAIT);
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
    ngx_uint_t             i;
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

        (void) ngx_kafka_birth_take(&kp->birth, 1);
        (void) ngx_kafka_birth_take(&kp->side.birth, 1);
        (void) ngx_kafka_birth_take(&kp->prompt.birth, 1);

        ngx_kafka_reader_end(kp);

        while (!ngx_queue_empty(&kp->clients)) {
            c = ngx_queue_head(&kp->clients);
            ngx_kafka_client_free(ngx_queue_data(c, ngx_kafka_client_t,
                                                 queue));
        }

        for (i = 0; i < kp->conf->topics.nelts; i++) {
            if (kp->lanes[i].lane) {
                ngx_free(kp->lanes[i].lane);
            }
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

                if (!ngx_kafka_client_idle(client)) {
                    (void) rd_kafka_flush(client->rk, 10);
                    left |= !ngx_kafka_client_idle(client);
                }
            }
        }

        ngx_time_update();

    } while (left && (ngx_msec_int_t) (end - ngx_current_msec) > 0);
}
