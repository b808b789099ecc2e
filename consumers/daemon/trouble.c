/* Troubles: each is logged once, waited for, and ended. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/daemon_impl.h"


#define DAEMON_TOPIC_LEAST  250      /* ms */
#define DAEMON_RETRY_LEAST  100
#define DAEMON_RETRY_MOST   3000
#define DAEMON_HOLD_LEAST   1000
#define DAEMON_HOLD_MOST    5000
#define DAEMON_FENCED       3500     /* more than heartbeat.interval.ms */


static int64_t daemon_backoff(daemon_trouble_t *trouble, int64_t least,
    int64_t most);


/* Doubles from "least" to "most", less up to a quarter at random. */

static int64_t
daemon_backoff(daemon_trouble_t *trouble, int64_t least, int64_t most)
{
    int64_t  wait;

    wait = least << (trouble->tries < 16 ? trouble->tries : 16);
    trouble->tries++;

    if (wait > most) {
        wait = most;
    }

    return wait - random() % (wait / 4 + 1);
}


void
daemon_forget(daemon_t *d)
{
    if (d->claimed && d->source) {
        source_unassign(d->source);
    }

    d->claimed = false;
    batch_reset(d->filling, 0);

    if (d->storing && d->work != DAEMON_STORING) {
        d->storing = NULL;
    }
}


void
daemon_fail(daemon_t *d, daemon_state_t state, sqlstate_action_t action,
    const char *reason)
{
    bool               told;
    char               sqlstate[6];
    int64_t            now, wait;
    daemon_trouble_t  *t;

    t = &d->trouble;
    pg_take_failure(d->pg, sqlstate);
    now = clock_ms();
    told = t->state != DAEMON_IDLE && t->action == action
           && (action == SQLSTATE_RECONNECT
               || (t->state == state
                   && strcmp(t->reason, reason) == 0));

    if (!told) {
        t->tries = 0;
        t->state = state;
        t->action = action;
        snprintf(t->reason, sizeof(t->reason), "%s", reason);
    }

    switch (action) {

    case SQLSTATE_FENCED:
        d->metrics.fenced++;
        daemon_forget(d);
        wait = state == DAEMON_CLAIMING ? 0 : DAEMON_FENCED;
        if (state == DAEMON_STORING) {
            log_warnx("another daemon took over: %s", reason);
        }
        break;

    case SQLSTATE_HOLD:
        daemon_forget(d);
        d->prepared = false;
        wait = daemon_backoff(t, DAEMON_HOLD_LEAST, DAEMON_HOLD_MOST);
        if (!told) {
            log_error("holding, nothing is skipped: %s", reason);
        }
        break;

    case SQLSTATE_RECONNECT:
        daemon_forget(d);
        d->prepared = false;
        pg_close(d->pg);
        metrics_retry(&d->metrics, sqlstate);
        wait = daemon_backoff(t, DAEMON_RETRY_LEAST, DAEMON_RETRY_MOST);
        if (state != DAEMON_CONNECTING) {
            d->metrics.reconnects++;
            t->state = DAEMON_PREPARING;
        }
        if (!told) {
            log_error("PostgreSQL is away, waiting: %s", reason);
        }
        break;

    default:
        if (state == DAEMON_FINDING) {
            wait = daemon_backoff(t, DAEMON_TOPIC_LEAST, DAEMON_RETRY_MOST);
            if (!told) {
                log_error("could not find topic \"%s\", waiting: %s",
                          d->conf->topic, reason);
            }
            break;
        }

        metrics_retry(&d->metrics, sqlstate);
        wait = daemon_backoff(t, DAEMON_RETRY_LEAST, DAEMON_RETRY_MOST);
        if (!told) {
            log_warnx("trying again: %s", reason);
        }
        break;
    }

    t->until = now + wait;
}


void
daemon_recover(daemon_t *d, daemon_state_t state)
{
    if (d->trouble.state == DAEMON_IDLE || state < d->trouble.state) {
        return;
    }

    if (d->trouble.action != SQLSTATE_FENCED) {
        log_info("going on: the cause is gone (%s)", d->trouble.reason);
    }

    memset(&d->trouble, 0, sizeof(daemon_trouble_t));
}


void
daemon_forgive_fence(daemon_t *d)
{
    if (d->trouble.action == SQLSTATE_FENCED) {
        memset(&d->trouble, 0, sizeof(daemon_trouble_t));
    }
}
