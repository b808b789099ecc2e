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
#define DAEMON_READ_ONLY    "25006"  /* read_only_sql_transaction */
#define DAEMON_MOVED        3        /* connections, to find the primary */
#define DAEMON_HOLD_LEAST   1000
#define DAEMON_HOLD_MOST    5000
#define DAEMON_FENCED       3500     /* more than heartbeat.interval.ms */


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
    daemon_refill(d, 0);

    if (d->storing && d->work != DAEMON_STORING) {
        d->storing = NULL;
    }
}


/* Ends the session.  Returns how long to wait, in ms. */

static int64_t
daemon_reconnect(daemon_t *d, daemon_state_t state, const char *sqlstate)
{
    bool  there;

    there = pg_state(d->pg) == PG_IDLE;
    daemon_forget(d);
    d->prepared = false;
    pg_close(d->pg);
    metrics_retry(&d->metrics, sqlstate);

    if (state != DAEMON_CONNECTING) {
        d->metrics.reconnects++;

        /* a new connection alone does not make a role write, nor bring back
           a server that this one asks */
        d->trouble.state = there ? state : DAEMON_PREPARING;
    }

    return daemon_backoff(&d->trouble, DAEMON_RETRY_LEAST, DAEMON_RETRY_MOST);
}


/* Returns how long to wait, in ms. */

static int64_t
daemon_retry(daemon_t *d, daemon_state_t state, const char *sqlstate)
{
    if (state == DAEMON_FINDING) {
        return daemon_backoff(&d->trouble, DAEMON_TOPIC_LEAST,
                              DAEMON_RETRY_MOST);
    }

    metrics_retry(&d->metrics, sqlstate);

    return daemon_backoff(&d->trouble, DAEMON_RETRY_LEAST, DAEMON_RETRY_MOST);
}


/* Whether the log has this trouble already. */

static bool
daemon_is_told(const daemon_trouble_t *trouble, daemon_state_t state,
    sqlstate_action_t action, const char *reason)
{
    return trouble->state != DAEMON_IDLE && trouble->action == action
           && (action == SQLSTATE_RECONNECT
               || (trouble->state == state
                   && strcmp(trouble->reason, reason) == 0));
}


void
daemon_fail(daemon_t *d, daemon_state_t state, sqlstate_action_t action,
    const char *reason)
{
    bool               told, read_only;
    char               sqlstate[6];
    int64_t            now, wait;
    daemon_trouble_t  *t;

    t = &d->trouble;
    pg_take_failure(d->pg, sqlstate);
    now = clock_ms();

    read_only = strcmp(sqlstate, DAEMON_READ_ONLY) == 0;

    if (action == SQLSTATE_RECONNECT && read_only && t->tries >= DAEMON_MOVED) {
        /* the primary has not moved: the role or the database may only read */
        action = SQLSTATE_HOLD;
    }

    told = daemon_is_told(t, state, action, reason);

    if (!told) {
        t->since = t->state == DAEMON_IDLE ? now : t->since;
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
        if (read_only) {
            /* the next connection may find the primary */
            pg_close(d->pg);
        }
        wait = daemon_backoff(t, DAEMON_HOLD_LEAST, DAEMON_HOLD_MOST);
        if (!told) {
            log_error("holding, nothing is skipped: %s", reason);
        }
        break;

    case SQLSTATE_RECONNECT:
        wait = daemon_reconnect(d, state, sqlstate);
        if (!told) {
            log_error("PostgreSQL is away, waiting: %s", reason);
        }
        break;

    case SQLSTATE_SMALLER:
        daemon_forget(d);
        metrics_retry(&d->metrics, sqlstate);
        wait = DAEMON_RETRY_LEAST;
        log_warnx("trying again, with %zu records at a time: %s",
                  d->filling->max_rows, reason);
        break;

    default:
        wait = daemon_retry(d, state, sqlstate);
        if (!told && state == DAEMON_FINDING) {
            log_error("could not find topic \"%s\", waiting: %s",
                      d->conf->topic, reason);
        } else if (!told) {
            log_warnx("trying again: %s", reason);
        }
        break;
    }

    t->until = now + wait;
}


void
daemon_ask(daemon_t *d, int64_t now)
{
    const schemas_figures_t  *figures;

    if (d->registry == NULL) {
        return;
    }

    registry_poll(d->registry, now);
    figures = registry_figures(d->registry);

    if (figures == NULL || figures->turns == d->told) {
        return;
    }

    d->told = figures->turns;

    if (figures->reason[0] == '\0') {
        log_info("going on: the schema registry gave what was waited for");

    } else if (figures->held) {
        log_error("holding, nothing is skipped: %s", figures->reason);

    } else {
        log_warnx("the schema registry is away, waiting: %s",
                  figures->reason);
    }
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
daemon_forgive(daemon_t *d)
{
    if (d->trouble.action == SQLSTATE_FENCED
        || (d->trouble.state == DAEMON_STORING
            && d->trouble.action != SQLSTATE_HOLD))
    {
        memset(&d->trouble, 0, sizeof(daemon_trouble_t));
    }
}
