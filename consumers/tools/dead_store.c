/* Stores records for "dead-letters", by the daemon's own code. */

#include <poll.h>

#include "base/clock.h"
#include "tools/dead_store.h"
#include "tools/report.h"


#define DEAD_TRIES  40      /* of one transaction */
#define DEAD_PAUSE  250     /* ms between two tries */

#define DEAD_SCHEMAS  30000    /* ms to wait for a record's schemas */


static int dead_store_wait(dead_store_t *store);
static void dead_store_on_ready(void *data, const char *error,
    const char *sqlstate);
static void dead_store_on_ended(void *data, const outcome_t *outcome);


int
dead_store_open(dead_store_t *store, const conf_t *conf,
    const sink_end_t *end, size_t rows, size_t bytes)
{
    batch_init(&store->batch, rows, bytes, 0);
    store->targets = targets_create(conf);
    store->sink = sink_create(conf, NULL, NULL, end);
    store->pg = pg_create(conf, "sluice:replay", dead_store_on_ready, store);

    if (store->targets == NULL || store->sink == NULL || store->pg == NULL) {
        return report_error("out of memory");
    }

    store->waiting = true;
    pg_connect(store->pg);

    if (dead_store_wait(store) != SQLSTATE_OK) {
        return report_error("%s", store->outcome.reason);
    }

    return dead_store_prepare(store);
}


int
dead_store_prepare(dead_store_t *store)
{
    store->waiting = true;
    targets_prepare(store->targets, store->pg, dead_store_on_ended, store);

    if (dead_store_wait(store) != SQLSTATE_OK) {
        return report_error("%s", store->outcome.reason);
    }

    if (sink_prepare(store->sink, store->targets) == -1) {
        return report_error("out of memory");
    }

    return 0;
}


void
dead_store_close(dead_store_t *store)
{
    pg_destroy(store->pg);
    sink_destroy(store->sink);
    targets_destroy(store->targets);
    batch_free(&store->batch);
}


int
dead_store_run(dead_store_t *store)
{
    int  tries;

    for (tries = 0; tries < DEAD_TRIES; tries++) {

        store->waiting = true;
        sink_store(store->sink, store->pg, &store->batch, dead_store_on_ended,
                   store);

        if (dead_store_wait(store) == SQLSTATE_OK) {
            return 0;
        }

        if (store->outcome.action != SQLSTATE_RETRY) {
            break;
        }

        (void) poll(NULL, 0, DEAD_PAUSE);
    }

    return report_error("%s", store->outcome.reason);
}


int
dead_store_ready(dead_store_t *store, const record_t *record)
{
    const char  *reason;
    registry_t  *registry;

    registry = targets_registry(store->targets);

    if (registry == NULL
        || registry_wait(registry, record, DEAD_SCHEMAS, &reason) == 0)
    {
        return 0;
    }

    return report_error("%s", reason[0] ? reason : "the schema registry does "
                        "not answer");
}


/* Waits for the outcome; the deadlines of the connection bound the wait. */

static int
dead_store_wait(dead_store_t *store)
{
    struct pollfd  fd;

    while (store->waiting) {
        fd.fd = pg_fd(store->pg);
        fd.events = pg_events(store->pg);
        fd.revents = 0;

        (void) poll(&fd, 1, 1000);
        pg_tick(store->pg, clock_ms());
        pg_io(store->pg, fd.revents);
    }

    return store->outcome.action;
}


static void
dead_store_on_ready(void *data, const char *error, const char *sqlstate)
{
    sqlstate_end(dead_store_on_ended, data,
                 error ? SQLSTATE_RECONNECT : SQLSTATE_OK,
                 error ? error : "");
}


static void
dead_store_on_ended(void *data, const outcome_t *outcome)
{
    dead_store_t  *store = data;

    store->waiting = false;
    store->outcome = *outcome;
}
