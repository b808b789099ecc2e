/* The daemon: one thread, one loop over Kafka, PostgreSQL, HTTP, signals. */

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/daemon.h"
#include "daemon/daemon_impl.h"


#define DAEMON_POLL_MOST  1000    /* ms */
#define DAEMON_RECEIPTS   1000    /* ms for the last receipts at the end */


enum {
    DAEMON_FD_SIGNALS = 0,
    DAEMON_FD_LOOKUP,
    DAEMON_FD_LISTER,
    DAEMON_FD_SOURCE,
    DAEMON_FD_PG,
    DAEMON_FD_UNBLOCK,
    DAEMON_FD_HTTP,
    DAEMON_FD_DEAD_TOPIC,
    DAEMON_FD_RECEIPTS,
    DAEMON_FD_REGISTRY,
    DAEMON_NFDS
};


static int daemon_init(daemon_t *d, const conf_t *conf);
static void daemon_name(daemon_t *d);
static void daemon_loop(daemon_t *d);
static void daemon_fds(daemon_t *d, struct pollfd *fds);
static int daemon_timeout(daemon_t *d, int64_t now);
static void daemon_sooner(int *timeout, int64_t ms);
static void daemon_signal(daemon_t *d, int64_t now);
static void daemon_exit(daemon_t *d);


static int  daemon_status;    /* for the handler of SIGALRM */


int
daemon_run(const conf_t *conf, const daemon_options_t *options)
{
    int       status;
    daemon_t  d = { 0 };

    if (options) {
        d.options = *options;
    }

    if (daemon_init(&d, conf) == -1) {
        return 1;
    }

    log_info("started as %s: topic \"%s\", group \"%s\", table \"%s\"",
             d.owner, conf->topic, conf->group, conf->table);

    daemon_loop(&d);
    status = d.status;

    if (d.receipts) {
        receipts_drain(d.receipts, DAEMON_RECEIPTS);
    }

    if (d.reload && status == 0) {
        /* exec() ends threads and connections and frees memory */
        return DAEMON_RELOAD;
    }

    if (d.options.until && !d.ended) {
        log_warnx("the replay was stopped before its end: run the same "
                  "command again to continue it");
        status = d.status = 1;
    }

    log_info("stopped");

    if (d.options.proof && status == 0) {
        status = d.status = d.options.proof(conf);
        (void) fflush(stdout);
    }

    daemon_exit(&d);

    return status;
}


static int
daemon_init(daemon_t *d, const conf_t *conf)
{
    char      err[CONF_ERROR_MAX];
    sigset_t  set;

    /* memory of a burst is given back: unpacked fetches take megabytes */
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    mallopt(M_TRIM_THRESHOLD, 1024 * 1024);

    d->conf = conf;
    d->file = conf;
    d->metrics.start = clock_wall();
    daemon_name(d);
    notify_open(&d->notify);

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    d->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);

    d->lookup = lookup_create(conf, conf->several ? NULL : conf->topic);
    d->pg = pg_create(conf, d->owner, daemon_on_connected, d);

    if (conf->several) {
        d->lister = lookup_create(conf, NULL);
    }

    if (d->signals == -1 || d->lookup == NULL || d->pg == NULL
        || (conf->several && d->lister == NULL) || daemon_open(d) == -1)
    {
        log_warn("could not start");
        return -1;
    }

    batch_init(&d->batches[0], (size_t) conf->batch_rows,
               (size_t) conf->batch_bytes, conf->batch_linger);
    batch_init(&d->batches[1], (size_t) conf->batch_rows,
               (size_t) conf->batch_bytes, conf->batch_linger);
    d->batches[0].receipts = d->receipts != NULL;
    d->batches[1].receipts = d->receipts != NULL;
    d->filling = &d->batches[0];

    if (conf->listen) {
        d->http = metrics_listen(conf, daemon_metrics, d, err);
        if (d->http == NULL) {
            log_error("%s", err);
            return -1;
        }
    }

    return 0;
}


/* The owner's name: the prefix of its group and a random number. */

static void
daemon_name(daemon_t *d)
{
    char      prefix[OFFSETS_PREFIX];
    uint64_t  id;

    if (getrandom(&id, sizeof(id), 0) != sizeof(id)) {
        id = (uint64_t) getpid() << 32 ^ (uint64_t) clock_ms();
    }

    srandom((unsigned) id);
    offsets_prefix(d->conf, prefix);
    snprintf(d->owner, sizeof(d->owner), "%s%016" PRIx64, prefix, id);
}


static void
daemon_loop(daemon_t *d)
{
    int                     timeout;
    int64_t                 now;
    struct pollfd           fds[DAEMON_NFDS];
    const lookup_result_t  *result;

    notify_send(&d->notify, "READY=1");

    while (!d->done) {

        now = clock_ms();
        timeout = daemon_timeout(d, now);
        daemon_sooner(&timeout, daemon_manage(d, now));
        daemon_fds(d, fds);    /* these two may have opened one */

        if (poll(fds, DAEMON_NFDS, timeout) == -1 && errno != EINTR) {
            log_warn("could not poll");
            d->status = 1;
            return;
        }

        now = clock_ms();

        if (fds[DAEMON_FD_SIGNALS].revents) {
            daemon_signal(d, now);
        }

        if (fds[DAEMON_FD_LOOKUP].revents
            && (result = lookup_result(d->lookup)))
        {
            daemon_looked_up(d, result);
        }

        if (d->lister) {
            if (fds[DAEMON_FD_LISTER].revents) {
                daemon_listed(d, now);
            }

            daemon_list(d, now);

            if (d->topics_change) {
                d->topics_change = false;
                daemon_reload(d, now, "other topics are to be read");
            }
        }

        if (d->source) {
            source_poll(d->source);
        }

        pg_tick(d->pg, now);
        pg_io(d->pg, fds[DAEMON_FD_PG].revents);

        pg_tick(unblock_pg(d->unblock), now);
        pg_io(unblock_pg(d->unblock), fds[DAEMON_FD_UNBLOCK].revents);

        if (d->dead_topic) {
            dead_topic_poll(d->dead_topic, now);
        }

        if (d->receipts) {
            receipts_poll(d->receipts);
        }

        daemon_ask(d, now);

        if (d->http) {
            metrics_serve(d->http);
        }

        daemon_step(d, now);

        if (d->source) {
            daemon_read(d, now);
            daemon_step(d, now);
        }
    }
}


static void
daemon_fds(daemon_t *d, struct pollfd *fds)
{
    int  i;

    memset(fds, 0, DAEMON_NFDS * sizeof(struct pollfd));

    for (i = 0; i < DAEMON_NFDS; i++) {
        fds[i].events = POLLIN;
    }

    fds[DAEMON_FD_SIGNALS].fd = d->signals;
    fds[DAEMON_FD_LOOKUP].fd = lookup_fd(d->lookup);
    fds[DAEMON_FD_LISTER].fd = d->lister ? lookup_fd(d->lister) : -1;
    fds[DAEMON_FD_SOURCE].fd = d->source ? source_fd(d->source) : -1;
    fds[DAEMON_FD_PG].fd = pg_fd(d->pg);
    fds[DAEMON_FD_PG].events = pg_events(d->pg);
    fds[DAEMON_FD_UNBLOCK].fd = pg_fd(unblock_pg(d->unblock));
    fds[DAEMON_FD_UNBLOCK].events = pg_events(unblock_pg(d->unblock));
    fds[DAEMON_FD_HTTP].fd = d->http ? metrics_fd(d->http) : -1;
    fds[DAEMON_FD_DEAD_TOPIC].fd = d->dead_topic
                                   ? dead_topic_fd(d->dead_topic) : -1;
    fds[DAEMON_FD_RECEIPTS].fd = d->receipts ? receipts_fd(d->receipts) : -1;
    fds[DAEMON_FD_REGISTRY].fd = d->registry ? registry_fd(d->registry) : -1;
}


static void
daemon_sooner(int *timeout, int64_t ms)
{
    if (ms >= 0 && ms < *timeout) {
        *timeout = (int) ms;
    }
}


static int
daemon_timeout(daemon_t *d, int64_t now)
{
    int     timeout;
    size_t  i;

    const int64_t  deadlines[] = {
        pg_deadline(d->pg), pg_deadline(unblock_pg(d->unblock)),
        d->dead_topic ? dead_topic_deadline(d->dead_topic) : 0,
        d->registry ? registry_deadline(d->registry) : 0
    };

    timeout = DAEMON_POLL_MOST;

    if (d->http) {
        daemon_sooner(&timeout, metrics_timeout(d->http));
    }

    for (i = 0; i < sizeof(deadlines) / sizeof(deadlines[0]); i++) {
        if (deadlines[i]) {
            daemon_sooner(&timeout, deadlines[i] > now ? deadlines[i] - now
                                                       : 0);
        }
    }

    daemon_sooner(&timeout,
                  unblock_tick(d->unblock, now,
                               d->work == DAEMON_CLAIMING
                               || d->work == DAEMON_STORING
                               ? pg_busy_since(d->pg) : 0,
                               d->work == DAEMON_CLAIMING));

    daemon_sooner(&timeout, daemon_due_in(d, now));

    return timeout;
}


static void
daemon_signal(daemon_t *d, int64_t now)
{
    struct signalfd_siginfo  info;

    while (read(d->signals, &info, sizeof(info)) == sizeof(info)) {

        if (info.ssi_signo == SIGHUP) {
            if (!d->stopping) {
                daemon_reload(d, now, "SIGHUP");
            }
            continue;
        }

        if (d->stopping && !d->reload) {
            log_warnx("second signal to stop: leaving without a flush");
            d->done = true;
            return;
        }

        log_info("%s: storing what is in memory, then stopping",
                 info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");

        notify_send(&d->notify, "STOPPING=1");
        d->reload = false;
        daemon_stop(d, now);
    }
}


static void
daemon_late(int signo)
{
    _exit(daemon_status);
}


/*
 * Frees everything, which takes a second at the most: librdkafka's destructor
 * waits for a resolver, and for ever if an assigned topic was deleted.
 */

static void
daemon_exit(daemon_t *d)
{
    if (lookup_busy(d->lookup) || (d->lister && lookup_busy(d->lister))
        || pg_on_thread(d->pg)
        || pg_on_thread(unblock_pg(d->unblock)) || (d->source && !d->closing)
        || (d->stopping && clock_ms() >= d->stop_deadline))
    {
        /* the destructors would wait for a thread or for the group */
        _exit(d->status);
    }

    daemon_status = d->status;
    signal(SIGALRM, daemon_late);
    alarm(1);

    daemon_refill(d, 0);
    notify_close(&d->notify);
    metrics_close(d->http);
    pg_destroy(d->pg);
    lookup_destroy(d->lookup);
    lookup_destroy(d->lister);
    source_destroy(d->source);
    daemon_close(d);
    batch_free(&d->batches[0]);
    batch_free(&d->batches[1]);
    buf_free(&d->headers);
    free(d->metrics.partitions);

    while (d->metrics.ntopics) {
        free(d->metrics.topics[--d->metrics.ntopics].reason);
    }

    free(d->metrics.topics);
    conf_free(d->listed);

    if (d->conf != d->file) {
        conf_free(d->conf);
    }

    close(d->signals);

    alarm(0);
}
