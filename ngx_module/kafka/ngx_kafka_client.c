/* The life of one rd_kafka_t in a worker: eventfd, callbacks, destruction. */

#include "kafka/ngx_kafka_client.h"
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>


#define NGX_KAFKA_LOG_LINES  10     /* a second, client and kind */
#define NGX_KAFKA_REPORTS    1000   /* a turn of the loop and client */


static rd_kafka_t *ngx_kafka_client_new(ngx_kafka_producer_t *kp,
    ngx_kafka_client_t *client, char *errstr, size_t size);
static ngx_int_t ngx_kafka_client_wake(ngx_kafka_client_t *client,
    ngx_log_t *log);
static void ngx_kafka_client_handler(ngx_event_t *ev);
static void ngx_kafka_client_unwake(ngx_kafka_client_t *client);
static void ngx_kafka_client_report(rd_kafka_t *rk,
    const rd_kafka_message_t *rkm, void *opaque);
static ngx_uint_t ngx_kafka_client_never_kept(ngx_kafka_record_t *rec,
    rd_kafka_resp_err_t err);
static rd_kafka_resp_err_t ngx_kafka_client_on_new(rd_kafka_t *rk,
    const rd_kafka_conf_t *conf, void *opaque, char *errstr, size_t size);
static rd_kafka_resp_err_t ngx_kafka_client_on_sent(rd_kafka_t *rk, int fd,
    const char *name, int32_t id, int16_t key, int16_t version, int32_t corr,
    size_t size, void *opaque);
static void ngx_kafka_client_error(rd_kafka_t *rk, int err,
    const char *reason, void *opaque);
static int ngx_kafka_client_statistics(rd_kafka_t *rk, char *json, size_t len,
    void *opaque);
static void ngx_kafka_client_log(const rd_kafka_t *rk, int level,
    const char *fac, const char *buf);
static void *ngx_kafka_client_destroy(void *arg);
static void ngx_kafka_clients_leave(void);


/* librdkafka reads it whenever it writes to an eventfd */
static const uint64_t   ngx_kafka_one = 1;

/* helper threads under way; they share it with the worker's thread */
static pthread_mutex_t  ngx_kafka_helpers_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t   ngx_kafka_helpers_gone = PTHREAD_COND_INITIALIZER;
static ngx_uint_t       ngx_kafka_helpers;
static ngx_uint_t       ngx_kafka_helpers_lost;    /* a client nobody ends */


ngx_kafka_client_t *
ngx_kafka_client_start(ngx_kafka_producer_t *kp)
{
    char                 errstr[512];
    size_t               n;
    ngx_log_t           *log;
    ngx_kafka_client_t  *client;

    log = kp->cycle->log;
    n = kp->conf->topics.nelts;

    client = ngx_calloc(sizeof(ngx_kafka_client_t)
                        + n * (sizeof(rd_kafka_topic_t *) + sizeof(ngx_int_t)),
                        log);
    if (client == NULL) {
        return NULL;
    }

    client->handle = ngx_calloc(sizeof(ngx_kafka_handle_t), log);
    if (client->handle == NULL) {
        ngx_free(client);
        return NULL;
    }

    client->producer = kp;
    client->topics = (rd_kafka_topic_t **) &client[1];
    client->partitions = (ngx_int_t *) &client->topics[n];
    client->heard = ngx_current_msec;
    ngx_queue_init(&client->records);

    client->rk = ngx_kafka_client_new(kp, client, errstr, sizeof(errstr));

    if (client->rk == NULL) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "could not start kafka_producer \"%V\": %s",
                      &kp->conf->name, errstr);
        ngx_free(client->handle);
        ngx_free(client);
        return NULL;
    }

    client->handle->rk = client->rk;

    /* else logs wait in a queue that nobody serves */
    (void) rd_kafka_set_log_queue(client->rk, NULL);

    client->main = rd_kafka_queue_get_main(client->rk);
    client->admin = rd_kafka_queue_new(client->rk);

    ngx_queue_insert_tail(&kp->clients, &client->queue);

    if (ngx_kafka_client_wake(client, log) != NGX_OK) {
        ngx_kafka_client_free(client);
        return NULL;
    }

    return client;
}


static rd_kafka_t *
ngx_kafka_client_new(ngx_kafka_producer_t *kp, ngx_kafka_client_t *client,
    char *errstr, size_t size)
{
    char               buf[32];
    size_t             len, smallest;
    sigset_t           all, old;
    rd_kafka_t        *rk;
    rd_kafka_conf_t   *conf;
    rd_kafka_error_t  *error;
#if (NGX_HAVE_SCHED_SETAFFINITY)
    cpu_set_t          cpus, wide;
    int                bound;
#endif

    conf = ngx_kafka_conf_build(kp->conf, 1, errstr, size);
    if (conf == NULL) {
        return NULL;
    }

    rd_kafka_conf_set_opaque(conf, client);
    rd_kafka_conf_set_dr_msg_cb(conf, ngx_kafka_client_report);
    rd_kafka_conf_set_error_cb(conf, ngx_kafka_client_error);
    rd_kafka_conf_set_stats_cb(conf, ngx_kafka_client_statistics);
    rd_kafka_conf_set_log_cb(conf, ngx_kafka_client_log);
    (void) rd_kafka_conf_interceptor_add_on_new(conf, "sluice",
                                                ngx_kafka_client_on_new,
                                                kp->sent);
    rd_kafka_conf_enable_sasl_queue(conf, 1);

    len = sizeof(buf);
    if (rd_kafka_conf_get(conf, "message.max.bytes", buf, &len)
        == RD_KAFKA_CONF_OK)
    {
        kp->limit = ngx_min((size_t) ngx_atosz((u_char *) buf, len - 1),
                            kp->conf->queue);
    }

    len = sizeof(buf);
    if (rd_kafka_conf_get(conf, "batch.size", buf, &len) == RD_KAFKA_CONF_OK) {
        client->batch = (size_t) ngx_atosz((u_char *) buf, len - 1);
    }

    /* one batch is refused or kept as a whole */

    smallest = ngx_kafka_limits_smallest(kp->conf);

    if (smallest && smallest < client->batch) {
        client->batch = smallest;
        (void) ngx_sprintf((u_char *) buf, "%uz%Z", smallest);

        if (rd_kafka_conf_set(conf, "batch.size", buf, errstr, size)
            != RD_KAFKA_CONF_OK)
        {
            rd_kafka_conf_destroy(conf);
            return NULL;
        }
    }

    /* its threads take neither nginx's signals nor its affinity */

    sigfillset(&all);
    (void) pthread_sigmask(SIG_SETMASK, &all, &old);

#if (NGX_HAVE_SCHED_SETAFFINITY)
    bound = sched_getaffinity(0, sizeof(cpus), &cpus) == 0;
    if (bound) {
        ngx_memset(&wide, 0xff, sizeof(wide));
        (void) sched_setaffinity(0, sizeof(wide), &wide);
    }
#endif

    rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, errstr, size);

#if (NGX_HAVE_SCHED_SETAFFINITY)
    if (bound) {
        (void) sched_setaffinity(0, sizeof(cpus), &cpus);
    }
#endif

    (void) pthread_sigmask(SIG_SETMASK, &old, NULL);

    if (rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }

    /* an OAuth token is fetched by blocking HTTP: on librdkafka's thread */
    error = rd_kafka_sasl_background_callbacks_enable(rk);
    if (error) {
        rd_kafka_error_destroy(error);
    }

    return rk;
}


static ngx_int_t
ngx_kafka_client_wake(ngx_kafka_client_t *client, ngx_log_t *log)
{
    int                fd;
    ngx_connection_t  *c;

    fd = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);
    if (fd == -1) {
        ngx_log_error(NGX_LOG_ERR, log, ngx_errno, "eventfd() failed");
        return NGX_ERROR;
    }

    c = ngx_get_connection(fd, log);
    if (c == NULL) {
        (void) close(fd);
        return NGX_ERROR;
    }

    c->data = client;
    c->log = log;
    c->read->log = log;
    c->write->log = log;
    c->read->handler = ngx_kafka_client_handler;

    /* an internal descriptor: left alone by worker_shutdown_timeout */
    c->read->channel = 1;

    /* ngx_close_idle_connections() calls the handler when a drain begins */
    c->idle = 1;

    if (ngx_add_event(c->read, NGX_READ_EVENT, 0) != NGX_OK) {
        ngx_close_connection(c);
        return NGX_ERROR;
    }

    client->connection = c;

    rd_kafka_queue_io_event_enable(client->main, fd, &ngx_kafka_one,
                                   sizeof(ngx_kafka_one));
    rd_kafka_queue_io_event_enable(client->admin, fd, &ngx_kafka_one,
                                   sizeof(ngx_kafka_one));
    return NGX_OK;
}


static void
ngx_kafka_client_handler(ngx_event_t *ev)
{
    uint64_t             n;
    ngx_connection_t    *c;
    ngx_kafka_client_t  *client;

    c = ev->data;
    client = c->data;

    if (c->close) {
        c->close = 0;
        c->idle = 0;
        ngx_kafka_producer_drain(client->producer);
    }

    /* first the descriptor, then the queues: wake-ups are coalesced */

    while (read(c->fd, &n, sizeof(n)) == -1 && ngx_errno == NGX_EINTR) {
        /* void */
    }

    ngx_kafka_client_serve(client);
}


void
ngx_kafka_client_serve(ngx_kafka_client_t *client)
{
    rd_kafka_event_t  *event;

    client->turn = NGX_KAFKA_REPORTS;

    (void) rd_kafka_poll(client->rk, 0);

    if (client->turn == 0) {
        /* among thousands of ready connections epoll would be long about it */
        ngx_post_event(client->connection->read, &ngx_posted_next_events);
    }

    while ((event = rd_kafka_queue_poll(client->admin, 0)) != NULL) {
        ngx_kafka_topics_event(client, event);
        ngx_kafka_limits_event(client, event);
        rd_kafka_event_destroy(event);
    }

    if ((client->fatal && !client->retiring)
        || ngx_kafka_limits_outgrown(client))
    {
        (void) ngx_atomic_fetch_add(
                   &client->producer->conf->counts->rebuilds[client->fatal
                       ? NGX_KAFKA_REBUILT_FATAL : NGX_KAFKA_REBUILT_LIMIT],
                   1);

        ngx_kafka_client_retire(client, client->producer->conf->timeout);
        return;
    }

    if (client->retiring) {

        if (ngx_queue_empty(&client->records)) {
            ngx_kafka_client_free(client);
            return;
        }

        if (!client->purged
            && (ngx_msec_int_t) (ngx_current_msec - client->deadline) >= 0)
        {
            client->purged = 1;
            (void) rd_kafka_purge(client->rk, RD_KAFKA_PURGE_F_QUEUE
                                              |RD_KAFKA_PURGE_F_INFLIGHT
                                              |RD_KAFKA_PURGE_F_NON_BLOCKING);
        }
    }
}


void
ngx_kafka_client_retire(ngx_kafka_client_t *client, ngx_msec_t wait)
{
    ngx_kafka_producer_t  *kp;

    kp = client->producer;

    client->retiring = 1;
    client->deadline = ngx_current_msec + wait;

    if (kp->client == client) {
        kp->client = NULL;
        ngx_kafka_producer_restart(kp);

        if (kp->client) {
            kp->client->seen_up = client->seen_up;
            kp->client->up = client->up && !kp->stalled;
        }
    }
}


void
ngx_kafka_client_free(ngx_kafka_client_t *client)
{
    int                    err;
    sigset_t               all, old;
    pthread_t              tid;
    ngx_uint_t             i;
    pthread_attr_t         attr;
    ngx_kafka_producer_t  *kp;

    kp = client->producer;

    ngx_kafka_client_unwake(client);
    rd_kafka_queue_destroy(client->admin);
    rd_kafka_queue_destroy(client->main);

    for (i = 0; i < kp->conf->topics.nelts; i++) {
        if (client->topics[i]) {
            rd_kafka_topic_destroy(client->topics[i]);
        }
    }

    /* it may block for seconds where a resolver hangs */

    sigfillset(&all);
    (void) pthread_sigmask(SIG_SETMASK, &all, &old);

    (void) pthread_attr_init(&attr);
    (void) pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);

    (void) pthread_mutex_lock(&ngx_kafka_helpers_lock);
    ngx_kafka_helpers++;
    (void) pthread_mutex_unlock(&ngx_kafka_helpers_lock);

    err = pthread_create(&tid, &attr, ngx_kafka_client_destroy,
                         client->handle);

    (void) pthread_attr_destroy(&attr);
    (void) pthread_sigmask(SIG_SETMASK, &old, NULL);

    if (err) {
        ngx_log_error(NGX_LOG_ERR, kp->cycle->log, err,
                      "pthread_create() failed");

        /* left as it is: its threads run on, so the worker ends by _exit() */

        (void) pthread_mutex_lock(&ngx_kafka_helpers_lock);
        ngx_kafka_helpers--;
        ngx_kafka_helpers_lost = 1;
        (void) pthread_mutex_unlock(&ngx_kafka_helpers_lock);
    }

    ngx_queue_remove(&client->queue);
    ngx_free(client);
}


static void
ngx_kafka_client_unwake(ngx_kafka_client_t *client)
{
    rd_kafka_queue_io_event_enable(client->main, -1, NULL, 0);
    rd_kafka_queue_io_event_enable(client->admin, -1, NULL, 0);

    if (client->connection) {
        ngx_close_connection(client->connection);
        client->connection = NULL;
    }
}


/* A thread of its own: knows the handle and the count, nothing of nginx. */
static void *
ngx_kafka_client_destroy(void *arg)
{
    ngx_kafka_handle_t  *handle = arg;

    ngx_kafka_promise_end(handle, NULL);
    rd_kafka_destroy(handle->rk);
    ngx_free(handle);

    (void) pthread_mutex_lock(&ngx_kafka_helpers_lock);
    ngx_kafka_helpers--;
    (void) pthread_cond_signal(&ngx_kafka_helpers_gone);
    (void) pthread_mutex_unlock(&ngx_kafka_helpers_lock);

    return NULL;
}


ngx_uint_t
ngx_kafka_clients_leaving(void)
{
    ngx_uint_t  n;

    (void) pthread_mutex_lock(&ngx_kafka_helpers_lock);
    n = ngx_kafka_helpers;
    (void) pthread_mutex_unlock(&ngx_kafka_helpers_lock);

    return n;
}


void
ngx_kafka_clients_wait(ngx_msec_t timeout)
{
    ngx_uint_t       n;
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);
    ts.tv_sec += timeout / 1000;
    ts.tv_nsec += (timeout % 1000) * 1000000;

    if (ts.tv_nsec >= 1000000000) {
        ts.tv_sec++;
        ts.tv_nsec -= 1000000000;
    }

    (void) pthread_mutex_lock(&ngx_kafka_helpers_lock);

    while (ngx_kafka_helpers
           && pthread_cond_clockwait(&ngx_kafka_helpers_gone,
                                     &ngx_kafka_helpers_lock,
                                     CLOCK_MONOTONIC, &ts)
              == 0)
    {
        /* void */
    }

    n = ngx_kafka_helpers + ngx_kafka_helpers_lost;

    (void) pthread_mutex_unlock(&ngx_kafka_helpers_lock);

    if (n) {
        /* exit() would tear OpenSSL down under a running thread */
        (void) atexit(ngx_kafka_clients_leave);
    }
}


static void
ngx_kafka_clients_leave(void)
{
    _exit(0);
}


static void
ngx_kafka_client_report(rd_kafka_t *rk, const rd_kafka_message_t *rkm,
    void *opaque)
{
    ngx_kafka_client_t  *client = opaque;

    ngx_kafka_record_t  *rec;
    ngx_kafka_report_t   report;

    report.error = rkm->err;
    report.partition = rkm->partition;
    report.offset = -1;
    report.timestamp = rd_kafka_message_timestamp(rkm, NULL);

    switch (rd_kafka_message_status(rkm)) {

    case RD_KAFKA_MSG_STATUS_PERSISTED:
        /*
         * Without an offset the broker called the sequence number a
         * duplicate.  It knows the last five batches, as many as are in
         * flight, so the one before may as well be missing: when a new
         * topic is not ready for the first batch but for the second.
         */
        report.outcome = rkm->offset >= 0 ? NGX_KAFKA_KEPT
                                          : NGX_KAFKA_MAYBE_KEPT;
        report.offset = rkm->offset;
        client->seen_up = 1;
        client->heard = ngx_current_msec;
        break;

    case RD_KAFKA_MSG_STATUS_NOT_PERSISTED:
        if (rkm->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
            rec = rkm->_private;
            ngx_kafka_limits_refused(client, rec->msg.topic);
        }

        report.outcome = ngx_kafka_client_never_kept(rkm->_private, rkm->err)
                         ? NGX_KAFKA_NOT_KEPT : NGX_KAFKA_MAYBE_KEPT;
        break;

    default:
        report.outcome = NGX_KAFKA_MAYBE_KEPT;
        break;
    }

    ngx_kafka_producer_report(client, rkm->_private, &report);

    if (client->turn && --client->turn == 0) {
        /* the rest waits for the next turn */
        rd_kafka_yield(rk);
    }
}


/*
 * librdkafka also calls a record not persisted that timed out in its queue
 * after a retriable error; Kafka gives some of those, as NOT_LEADER, after
 * the record was appended.  "No" is said where no request can have held it,
 * or where the broker refuses before it appends.
 */

static ngx_uint_t
ngx_kafka_client_never_kept(ngx_kafka_record_t *rec, rd_kafka_resp_err_t err)
{
    uint64_t  sent;

    switch (err) {

    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS:
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        return 1;

    default:
        sent = __atomic_load_n(rec->producer->sent, __ATOMIC_RELAXED);
        return sent == 0
               || (ngx_msec_int_t) ((ngx_msec_t) sent - rec->taken) < 0;
    }
}


static rd_kafka_resp_err_t
ngx_kafka_client_on_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf,
    void *opaque, char *errstr, size_t size)
{
    (void) conf;
    (void) errstr;
    (void) size;

    return rd_kafka_interceptor_add_on_request_sent(rk, "sluice",
                                                    ngx_kafka_client_on_sent,
                                                    opaque);
}


/* On a thread of librdkafka: touches nothing but the time. */
static rd_kafka_resp_err_t
ngx_kafka_client_on_sent(rd_kafka_t *rk, int fd, const char *name, int32_t id,
    int16_t key, int16_t version, int32_t corr, size_t size, void *opaque)
{
    uint64_t         now, last, *sent = opaque;
    struct timespec  ts;

    (void) rk;
    (void) fd;
    (void) name;
    (void) id;
    (void) version;
    (void) corr;
    (void) size;

    if (key == 0) {
        /* Produce; the clock of ngx_current_msec */
        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        now = (uint64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
        last = __atomic_load_n(sent, __ATOMIC_RELAXED);

        /* another broker's thread may have been faster */

        while (last < now
               && !__atomic_compare_exchange_n(sent, &last, now, 0,
                                               __ATOMIC_RELAXED,
                                               __ATOMIC_RELAXED))
        {
            /* void */
        }
    }

    return RD_KAFKA_RESP_ERR_NO_ERROR;
}


static void
ngx_kafka_client_error(rd_kafka_t *rk, int err, const char *reason,
    void *opaque)
{
    ngx_kafka_client_t  *client = opaque;

    if (err == RD_KAFKA_RESP_ERR__FATAL) {
        client->fatal = 1;
    }

    ngx_kafka_client_log(rk, 4, rd_kafka_err2name(err), reason);
}


static int
ngx_kafka_client_statistics(rd_kafka_t *rk, char *json, size_t len,
    void *opaque)
{
    ngx_kafka_client_t  *client = opaque;

    (void) rk;

    /*
     * A connection that a broker closes for idleness is made again within a
     * second: only the third look without one means that brokers are down.
     * The state is of brokers only: elsewhere it is "fetch_state" or in
     * lower case.
     */

    if (memmem(json, len, "\"state\":\"UP\"", 12) != NULL) {
        client->up = 1;
        client->seen_up = 1;
        client->missed = 0;

    } else if (client->missed < 2) {
        client->missed++;

    } else {
        client->up = 0;
    }

    ngx_kafka_topics_statistics(client, json, len);

    if (!client->retiring) {
        ngx_kafka_metrics_brokers(client->producer->conf->counts,
                                  client->producer->conf->gauges, json, len);
    }

    return 0;
}


static void
ngx_kafka_client_log(const rd_kafka_t *rk, int level, const char *fac,
    const char *buf)
{
    u_char               text[512], *p, *last;
    ngx_uint_t           severity, *lines;
    ngx_kafka_client_t  *client;

    client = rd_kafka_opaque(rk);

    if (client->log_second != ngx_time()) {

        if (client->log_held) {
            ngx_log_error(NGX_LOG_NOTICE, client->producer->cycle->log, 0,
                          "kafka_producer \"%V\": %ui more lines of librdkafka",
                          &client->producer->conf->name, client->log_held);
        }

        client->log_second = ngx_time();
        client->log_warnings = 0;
        client->log_notices = 0;
        client->log_held = 0;
    }

    /* a warning must not be held back for what "debug" tells */

    lines = level <= 4 ? &client->log_warnings : &client->log_notices;

    if (*lines == NGX_KAFKA_LOG_LINES) {
        client->log_held++;
        return;
    }

    (*lines)++;

    last = ngx_cpystrn(text, (u_char *) buf, sizeof(text));

    for (p = text; p < last; p++) {
        if (*p < 0x20 || *p == 0x7f) {
            *p = '?';
        }
    }

    /* syslog's levels; what ends in [alert] is nginx's own */
    severity = level <= 3 ? NGX_LOG_ERR
               : level == 4 ? NGX_LOG_WARN
               : level <= 6 ? NGX_LOG_NOTICE : NGX_LOG_INFO;

    ngx_log_error(severity, client->producer->cycle->log, 0,
                  "kafka_producer \"%V\": librdkafka %s: %s",
                  &client->producer->conf->name, fac, text);
}
