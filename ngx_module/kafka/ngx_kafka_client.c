/*
 * One rd_kafka_t in a worker, with the eventfd that wakes the worker.  What
 * its events mean is decided by whoever starts it.
 */

#include "kafka/ngx_kafka_impl.h"
#include <sched.h>

#if !(SLUICE_NO_EVENTFD)
#include <sys/eventfd.h>
#endif


#define NGX_KAFKA_LOG_LINES  10     /* a second, client and kind */
#define NGX_KAFKA_REPORTS    1000   /* a turn of the loop and client */
#define NGX_KAFKA_STICKY     10     /* ms, librdkafka's default */

/* each write to an eventfd is an edge then, and need not be read */
#define ngx_kafka_client_edge  (ngx_event_flags & NGX_USE_CLEAR_EVENT)


static rd_kafka_conf_t *ngx_kafka_client_conf(ngx_kafka_client_t *client,
    size_t batch, char *errstr, size_t size);
static ngx_int_t ngx_kafka_client_ways(ngx_kafka_client_t *client,
    rd_kafka_conf_t *conf, char *errstr, size_t size);
static ngx_int_t ngx_kafka_client_sizes(ngx_kafka_client_t *client,
    rd_kafka_conf_t *conf, size_t batch, char *errstr, size_t size);
static int ngx_kafka_client_open(int *fd);
static ngx_int_t ngx_kafka_client_wake(ngx_kafka_client_t *client);
static void ngx_kafka_client_handler(ngx_event_t *ev);
static void ngx_kafka_client_report(rd_kafka_t *rk,
    const rd_kafka_message_t *rkm, void *opaque);
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


/* librdkafka reads it whenever it writes to an eventfd */
static const uint64_t  ngx_kafka_one = 1;


ngx_kafka_client_t *
ngx_kafka_client_start(ngx_kafka_producer_t *kp,
    const ngx_kafka_client_calls_t *calls, ngx_kafka_client_e kind,
    size_t batch)
{
    char                 errstr[NGX_KAFKA_ERRSTR];
    rd_kafka_t          *rk;
    rd_kafka_conf_t     *conf;
    ngx_kafka_client_t  *client;

    client = ngx_kafka_client_make(kp, calls, kind, batch, &conf);
    if (client == NULL) {
        return NULL;
    }

    rk = ngx_kafka_client_threads(conf, RD_KAFKA_PRODUCER, errstr,
                                  sizeof(errstr));

    return ngx_kafka_client_take(client, conf, rk, errstr);
}


ngx_kafka_client_t *
ngx_kafka_client_make(ngx_kafka_producer_t *kp,
    const ngx_kafka_client_calls_t *calls, ngx_kafka_client_e kind,
    size_t batch, rd_kafka_conf_t **conf)
{
    char                 errstr[NGX_KAFKA_ERRSTR];
    size_t               n;
    ngx_kafka_client_t  *client;

    n = kp->conf->topics.nelts;

    client = ngx_calloc(sizeof(ngx_kafka_client_t)
                        + n * sizeof(rd_kafka_topic_t *), kp->log);
    if (client == NULL) {
        return NULL;
    }

    client->handle = ngx_calloc(sizeof(ngx_kafka_handle_t)
                                + n * sizeof(ngx_kafka_spread_t), kp->log);
    if (client->handle == NULL) {
        ngx_free(client);
        return NULL;
    }

    client->producer = kp;
    client->calls = calls;
    client->topics = (rd_kafka_topic_t **) &client[1];
    client->heard = ngx_current_msec;
    client->alone = kind == NGX_KAFKA_CLIENT_ALONE;
    client->prompt = kind == NGX_KAFKA_CLIENT_PROMPT;
    client->reader = kind == NGX_KAFKA_CLIENT_READER;
    ngx_queue_init(&client->queue);
    ngx_queue_init(&client->records);
    ngx_queue_init(&client->stuck);

    *conf = ngx_kafka_client_conf(client, batch, errstr, sizeof(errstr));

    return *conf ? client : ngx_kafka_client_take(client, NULL, NULL, errstr);
}


static rd_kafka_conf_t *
ngx_kafka_client_conf(ngx_kafka_client_t *client, size_t batch, char *errstr,
    size_t size)
{
    rd_kafka_conf_t  *conf;

    conf = ngx_kafka_conf_build(client->producer->conf, 1, errstr, size);
    if (conf == NULL) {
        return NULL;
    }

    rd_kafka_conf_set_opaque(conf, client);
    rd_kafka_conf_set_error_cb(conf, ngx_kafka_client_error);
    rd_kafka_conf_set_log_cb(conf, ngx_kafka_client_log);
    rd_kafka_conf_enable_sasl_queue(conf, 1);

    if (client->reader) {
        return ngx_kafka_conf_reader(conf, errstr, size);
    }

    rd_kafka_conf_set_dr_msg_cb(conf, ngx_kafka_client_report);
    rd_kafka_conf_set_stats_cb(conf, ngx_kafka_client_statistics);
    (void) rd_kafka_conf_interceptor_add_on_new(conf, "sluice",
                                                ngx_kafka_client_on_new,
                                                &client->handle->sent);

    if (ngx_kafka_client_sizes(client, conf, batch, errstr, size) == NGX_OK
        && ngx_kafka_client_ways(client, conf, errstr, size) == NGX_OK)
    {
        return conf;
    }

    rd_kafka_conf_destroy(conf);

    return NULL;
}


ngx_kafka_client_t *
ngx_kafka_client_take(ngx_kafka_client_t *client, rd_kafka_conf_t *conf,
    rd_kafka_t *rk, const char *errstr)
{
    u_char                 text[NGX_KAFKA_ERRSTR];
    rd_kafka_error_t      *error;
    ngx_kafka_producer_t  *kp;

    kp = client->producer;

    if (rk == NULL) {
        ngx_log_error(NGX_LOG_ERR, kp->log, 0,
                      "could not start kafka_producer \"%V\": %s",
                      &kp->conf->name,
                      ngx_kafka_conf_one_line(text, sizeof(text), errstr));

        if (conf) {
            rd_kafka_conf_destroy(conf);
        }

        ngx_free(client->handle);
        ngx_free(client);
        return NULL;
    }

    /* an OAuth token is fetched by blocking HTTP: on librdkafka's thread */
    error = rd_kafka_sasl_background_callbacks_enable(rk);
    if (error) {
        rd_kafka_error_destroy(error);
    }

    client->rk = rk;
    client->handle->rk = rk;
    client->main = rd_kafka_queue_get_main(rk);
    client->admin = rd_kafka_queue_new(rk);

    /* else logs wait in a queue that nobody serves */
    (void) rd_kafka_set_log_queue(rk, NULL);

    if (!client->reader) {
        ngx_queue_insert_tail(&kp->clients, &client->queue);
    }

    if (ngx_kafka_client_wake(client) != NGX_OK) {
        ngx_kafka_client_free(client);
        return NULL;
    }

    ngx_log_debug3(NGX_LOG_DEBUG_CORE, kp->log, 0,
                   "kafka client %p of \"%V\" started, batches of %uz bytes",
                   client, &kp->conf->name, client->batch);

    return client;
}


/* A broker refuses or keeps a batch as a whole: topics bound its size. */
static ngx_int_t
ngx_kafka_client_sizes(ngx_kafka_client_t *client, rd_kafka_conf_t *conf,
    size_t batch, char *errstr, size_t size)
{
    char                   buf[32];
    size_t                 len;
    ngx_kafka_producer_t  *kp;

    kp = client->producer;

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

    if (batch == 0 || batch >= client->batch) {
        return NGX_OK;
    }

    client->batch = batch;
    (void) ngx_sprintf((u_char *) buf, "%uz%Z", batch);

    return rd_kafka_conf_set(conf, "batch.size", buf, errstr, size)
           == RD_KAFKA_CONF_OK ? NGX_OK : NGX_ERROR;
}


/*
 * Records without a key stay in one partition until its batch is due.
 * librdkafka does not say which it chooses, so that it is not to choose.
 */
static ngx_int_t
ngx_kafka_client_ways(ngx_kafka_client_t *client, rd_kafka_conf_t *conf,
    char *errstr, size_t size)
{
    char        buf[32];
    size_t      len;
    ngx_int_t   sticky, linger;
    ngx_uint_t  i, n;

    static const char  *alone[3][2] = {
        { "linger.ms", "0" },           /* the prompt client's too */
        { "batch.num.messages", "1" },
        { "max.in.flight", "1" }
    };

    len = sizeof(buf);
    sticky = rd_kafka_conf_get(conf, "sticky.partitioning.linger.ms", buf,
                               &len)
             == RD_KAFKA_CONF_OK ? ngx_atoi((u_char *) buf, len - 1) : 0;

    len = sizeof(buf);
    linger = rd_kafka_conf_get(conf, "linger.ms", buf, &len)
             == RD_KAFKA_CONF_OK ? ngx_atofp((u_char *) buf, len - 1, 3) : 0;

    if (sticky == NGX_KAFKA_STICKY) {
        /* not set; linger in us, and librdkafka sleeps in whole ms */
        sticky = (linger + 999) / 1000;
    }

    for (i = 0; i < client->producer->conf->topics.nelts; i++) {
        client->handle->spread[i].linger = ngx_max(sticky, 0);
    }

    if (rd_kafka_conf_set(conf, "sticky.partitioning.linger.ms", "0", errstr,
                          size)
        != RD_KAFKA_CONF_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0, n = client->alone ? 3 : client->prompt; i < n; i++) {
        if (rd_kafka_conf_set(conf, alone[i][0], alone[i][1], errstr, size)
            != RD_KAFKA_CONF_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* librdkafka's threads take neither nginx's signals nor its affinity. */
rd_kafka_t *
ngx_kafka_client_threads(rd_kafka_conf_t *conf, rd_kafka_type_t type,
    char *errstr, size_t size)
{
    sigset_t     all, old;
    rd_kafka_t  *rk;
#if (NGX_HAVE_SCHED_SETAFFINITY)
    int          bound;
    cpu_set_t    cpus, wide;
#endif

    sigfillset(&all);
    (void) pthread_sigmask(SIG_SETMASK, &all, &old);

#if (NGX_HAVE_SCHED_SETAFFINITY)
    bound = sched_getaffinity(0, sizeof(cpus), &cpus) == 0;
    if (bound) {
        ngx_memset(&wide, 0xff, sizeof(wide));
        (void) sched_setaffinity(0, sizeof(wide), &wide);
    }
#endif

    rk = rd_kafka_new(type, conf, errstr, size);

#if (NGX_HAVE_SCHED_SETAFFINITY)
    if (bound) {
        (void) sched_setaffinity(0, sizeof(cpus), &cpus);
    }
#endif

    (void) pthread_sigmask(SIG_SETMASK, &old, NULL);

    return rk;
}


/* The descriptor to read from and the one to write to, which may be one. */
static int
ngx_kafka_client_open(int *fd)
{
#if !(SLUICE_NO_EVENTFD)

    fd[0] = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);
    fd[1] = fd[0];

    return fd[0];

#else

    if (pipe(fd) == -1) {
        return -1;
    }

    if (ngx_nonblocking(fd[0]) == -1 || ngx_nonblocking(fd[1]) == -1) {
        (void) close(fd[0]);
        (void) close(fd[1]);
        return -1;
    }

    return 0;

#endif
}


static ngx_int_t
ngx_kafka_client_wake(ngx_kafka_client_t *client)
{
    int                fd[2];
    ngx_log_t         *log;
    ngx_connection_t  *c;

    log = client->producer->log;

    if (ngx_kafka_client_open(fd) == -1) {
        ngx_log_error(NGX_LOG_ERR, log, ngx_errno,
                      "could not open a descriptor for librdkafka");
        return NGX_ERROR;
    }

    c = ngx_get_connection(fd[0], log);
    if (c == NULL) {
        (void) close(fd[0]);
        if (fd[1] != fd[0]) {
            (void) close(fd[1]);
        }
        return NGX_ERROR;
    }

    client->connection = c;
    client->writer = fd[1];

    c->data = client;
    c->log = log;
    c->read->log = log;
    c->write->log = log;
    c->read->handler = ngx_kafka_client_handler;

    /* an internal descriptor: left alone by worker_shutdown_timeout */
    c->read->channel = 1;

    /* ngx_close_idle_connections() calls the handler when a drain begins */
    c->idle = 1;

    if (ngx_add_event(c->read, NGX_READ_EVENT,
                      ngx_kafka_client_edge ? NGX_CLEAR_EVENT : 0)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_kafka_client_watch(client, client->main);
    ngx_kafka_client_watch(client, client->admin);

    return NGX_OK;
}


void
ngx_kafka_client_watch(ngx_kafka_client_t *client, rd_kafka_queue_t *queue)
{
    rd_kafka_queue_io_event_enable(queue, client->writer, &ngx_kafka_one,
                                   sizeof(ngx_kafka_one));
}


static void
ngx_kafka_client_handler(ngx_event_t *ev)
{
    u_char               buf[512];
    ssize_t              n;
    ngx_uint_t           closing;
    ngx_connection_t    *c;
    ngx_kafka_client_t  *client;

    c = ev->data;
    client = c->data;
    closing = c->close;

    if (closing) {
        c->close = 0;
        c->idle = 0;
    }

    /* first the descriptor, then the queues: wake-ups are coalesced */

    if (!ngx_kafka_client_edge || c->fd != client->writer) {
        do {
            n = read(c->fd, buf, sizeof(buf));
        } while (n == sizeof(buf) || (n == -1 && ngx_errno == NGX_EINTR));
    }

    client->calls->wake(client, closing);
}


void
ngx_kafka_client_poll(ngx_kafka_client_t *client)
{
    rd_kafka_event_t  *event;

    client->turn = NGX_KAFKA_REPORTS;

    (void) rd_kafka_poll(client->rk, 0);

    if (client->turn == 0) {
        /* among thousands of ready connections epoll would be long about it */
        ngx_kafka_client_again(client);
    }

    while ((client->asking || client->describing)
           && (event = rd_kafka_queue_poll(client->admin, 0)) != NULL)
    {
        client->calls->event(client, event);
        rd_kafka_event_destroy(event);
    }
}


ngx_msec_t
ngx_kafka_client_age(ngx_queue_t *records)
{
    ngx_kafka_record_t  *rec;

    if (ngx_queue_empty(records)) {
        return 0;
    }

    rec = ngx_queue_data(ngx_queue_head(records), ngx_kafka_record_t, queue);

    return ngx_current_msec - rec->taken;
}


void
ngx_kafka_client_free(ngx_kafka_client_t *client)
{
    ngx_uint_t             i;
    ngx_kafka_producer_t  *kp;

    kp = client->producer;

    ngx_log_debug2(NGX_LOG_DEBUG_CORE, kp->log, 0,
                   "kafka client %p of \"%V\" freed", client, &kp->conf->name);

    rd_kafka_queue_io_event_enable(client->main, -1, NULL, 0);
    rd_kafka_queue_io_event_enable(client->admin, -1, NULL, 0);

    if (client->connection) {
        if (client->writer != client->connection->fd) {
            (void) close(client->writer);
        }
        ngx_close_connection(client->connection);
    }

    rd_kafka_queue_destroy(client->admin);
    rd_kafka_queue_destroy(client->main);

    for (i = 0; i < kp->conf->topics.nelts; i++) {
        if (client->topics[i]) {
            rd_kafka_topic_destroy(client->topics[i]);
        }
    }

    ngx_kafka_destroy(client->handle, kp->log);

    ngx_queue_remove(&client->queue);
    ngx_free(client);
}


static void
ngx_kafka_client_report(rd_kafka_t *rk, const rd_kafka_message_t *rkm,
    void *opaque)
{
    ngx_kafka_client_t  *client = opaque;

    client->calls->report(client, rkm);

    if (client->turn && --client->turn == 0) {
        /* the rest waits for the next turn */
        rd_kafka_yield(rk);
    }
}


static rd_kafka_resp_err_t
ngx_kafka_client_on_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf,
    void *opaque, char *errstr, size_t size)
{
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


/*
 * A broker closes a connection that is idle, the last one too.  Why one could
 * not be made again librdkafka logs itself, as an error.
 */
static void
ngx_kafka_client_error(rd_kafka_t *rk, int err, const char *reason,
    void *opaque)
{
    ngx_kafka_client_t  *client = opaque;

    int  level = 4;

    if (err == RD_KAFKA_RESP_ERR__FATAL) {
        client->fatal = 1;
    }

    if ((err == RD_KAFKA_RESP_ERR__TRANSPORT
         || err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        && ngx_queue_empty(&client->records)
        && ngx_queue_empty(&client->producer->parked))
    {
        level = 6;

        if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
            reason = "no broker is connected, and no record waits";
        }
    }

    ngx_kafka_client_log(rk, level, rd_kafka_err2name(err), reason);
}


static int
ngx_kafka_client_statistics(rd_kafka_t *rk, char *json, size_t len,
    void *opaque)
{
    ngx_kafka_client_t  *client = opaque;

    client->calls->statistics(client, json, len);

    return 0;
}


static void
ngx_kafka_client_log(const rd_kafka_t *rk, int level, const char *fac,
    const char *buf)
{
    u_char                 text[512];
    ngx_uint_t             severity, *lines;
    ngx_kafka_client_t    *client;
    ngx_kafka_producer_t  *kp;

    client = rd_kafka_opaque(rk);

    if (client->rk == NULL) {
        /* perhaps on the thread that starts it; what matters comes later */
        return;
    }

    if (client->reader && ngx_strcmp(fac, "CONFWARN") == 0) {
        /* a consumer with the block's properties of producers */
        return;
    }

    kp = client->producer;

    if (client->log_second != ngx_time()) {

        if (client->log_held) {
            ngx_log_error(NGX_LOG_NOTICE, kp->log, 0,
                          "kafka_producer \"%V\": %ui more lines of librdkafka "
                          "were held back", &kp->conf->name, client->log_held);
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

    /* syslog's levels; what ends in [alert] is nginx's own */
    severity = level <= 3 ? NGX_LOG_ERR
               : level == 4 ? NGX_LOG_WARN
               : level <= 6 ? NGX_LOG_NOTICE : NGX_LOG_INFO;

    ngx_log_error(severity, kp->log, 0,
                  "kafka_producer \"%V\": librdkafka %s: %s",
                  &kp->conf->name, fac,
                  ngx_kafka_conf_one_line(text, sizeof(text), buf));
}
