/* What a service manager asks and is told: watchdog, status, reload. */

#include <string.h>

#include "base/log.h"
#include "base/testpoint.h"
#include "daemon/daemon_impl.h"
#include "kafka/client.h"


#define MANAGE_STATUS  1000      /* ms between two looks at the state */
#define MANAGE_QUERY   180000    /* ms, more than any timeout of a query */
#define MANAGE_IDLE    30000     /* ms a due batch may wait, PostgreSQL idle */


static bool daemon_progresses(daemon_t *d, int64_t now);


/* Once a turn of the loop.  Returns ms until it wants another, -1: never. */

int64_t
daemon_manage(daemon_t *d, int64_t now)
{
    const metrics_t  *m;

    d->metrics.live = daemon_progresses(d, now);

    if (d->notify.fd == -1) {
        return -1;
    }

    if (now >= d->tell) {
        d->tell = now + MANAGE_STATUS;
        m = daemon_metrics(d);

        if (m->reason[0]) {
            notify_status(&d->notify, "%s: %s", m->state, m->reason);
        } else {
            notify_status(&d->notify, "%s: %llu rows, %llu dead letters, lag "
                          "%lld", m->state, (unsigned long long) m->rows,
                          (unsigned long long) m->dead_letters,
                          (long long) m->lag);
        }
    }

    return d->metrics.live ? notify_watchdog(&d->notify, now)
                           : MANAGE_STATUS;
}


/*
 * Whether a restart would not help.  It would if a query outlives all its
 * timeouts, or if a due batch is not sent although PostgreSQL is idle.  It
 * would not while the daemon waits for Kafka, PostgreSQL or a person.  A loop
 * that hangs sends nothing anyway.
 */

static bool
daemon_progresses(daemon_t *d, int64_t now)
{
    int64_t  busy;

    if (d->trouble.state != DAEMON_IDLE || d->source == NULL) {
        d->standing = 0;
        return true;
    }

    busy = pg_busy_since(d->pg);
    if (busy) {
        d->standing = 0;
        return testpoint_lasted(now - busy) < MANAGE_QUERY;
    }

    if (!d->claimed || pg_state(d->pg) != PG_IDLE
        || (d->storing == NULL && !batch_is_due(d->filling, now)))
    {
        d->standing = 0;
        return true;
    }

    if (d->standing == 0) {
        d->standing = now;
    }

    return now - d->standing < MANAGE_IDLE;
}


/*
 * A valid configuration ends this run as SIGTERM does: what is in memory is
 * stored first.  The next run begins with it.
 */

void
daemon_reload(daemon_t *d, int64_t now, const char *why)
{
    char           err[CONF_ERROR_MAX];
    const conf_t  *conf;

    notify_reloading(&d->notify);

    conf = conf_read(d->conf->file, err);

    if (conf == NULL || client_prove(conf, err) == -1) {
        log_error("%s: the configuration is refused and the old one stays: "
                  "%s", why, err);
        d->metrics.reload_refused = true;
        conf_free(conf);
        notify_send(&d->notify, "READY=1");
        return;
    }

    conf_free(conf);
    log_info("%s: storing what is in memory, then starting again", why);

    d->reload = true;
    daemon_stop(d, now);
}
