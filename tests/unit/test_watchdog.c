/* WATCHDOG=1 only from a daemon that moves on, by a clock of its own. */

#include <sys/socket.h>
#include <unistd.h>

#include "daemon/daemon_impl.h"
#include "tap.h"


static int64_t     query;    /* since when a query is under way, or 0 */
static pg_state_t  connection;


/* the unit itself, on a connection that is made up */
#define pg_busy_since(pg)  query
#define pg_state(pg)       connection
#define daemon_manage      watched_manage
#define daemon_reload      watched_reload
#include "daemon/manage.c"


#define SECOND  1000
#define HOUR    3600


static daemon_t  d;
static batch_t   batch;
static int64_t   now;
static int       manager;    /* the other end */


/* Of a daemon that reads, stores and has nothing to do. */

static void
begin(void)
{
    query = 0;
    connection = PG_IDLE;
    batch_reset(&batch, 0);

    d.source = (source_t *) &d;
    d.filling = &batch;
    d.storing = NULL;
    d.claimed = true;
    d.standing = 0;
    d.tell = INT64_MAX;
    d.notify.watchdog = SECOND;
    d.notify.next = 0;
    memset(&d.trouble, 0, sizeof(daemon_trouble_t));
}


static void
make_due(void)
{
    batch.filtered = 1;
    batch.first = now - batch.linger;
}


/* Signs of life in so many seconds, a turn of the loop each. */

static int
signs(int seconds)
{
    int      n;
    char     text[64];
    ssize_t  len;

    for (n = 0; seconds; seconds--) {
        now += SECOND;
        (void) watched_manage(&d, now);

        while ((len = recv(manager, text, sizeof(text), MSG_DONTWAIT)) > 0) {
            n += len == 10 && memcmp(text, "WATCHDOG=1", 10) == 0;
        }
    }

    return n;
}


static void
test_moving(void)
{
    int  i, n;

    begin();
    is(signs(HOUR), HOUR, "nothing to do");

    begin();
    batch.filtered = 1;
    batch.linger = 2 * HOUR * SECOND;
    batch.first = now;
    is(signs(HOUR), HOUR, "a batch that lingers");
    batch.linger = 20;

    begin();
    for (i = 0, n = 0; i < 60; i++) {
        make_due();
        n += signs(20);
        query = now;
        n += signs(100);
        query = 0;
    }
    is(n, 60 * 120, "one slow batch after the other");
}


static void
test_standing(void)
{
    begin();
    query = now;
    is(signs(179), 179, "a query as long as any may take");
    is(signs(HOUR), 0, "a query that outlives every bound");
    query = 0;
    is(signs(10), 10, "it ended");

    begin();
    make_due();
    is(signs(30), 30, "a batch is due");
    is(signs(HOUR), 0, "a batch is due and does not leave");
    batch_reset(&batch, 0);
    is(signs(10), 10, "it left");

    begin();
    d.storing = &batch;
    is(signs(30), 30, "a batch waits to be stored");
    is(signs(HOUR), 0, "a batch waits and is not stored");
}


static void
test_waiting(void)
{
    begin();
    make_due();
    d.trouble.state = DAEMON_STORING;
    d.trouble.action = SQLSTATE_HOLD;
    is(signs(HOUR), HOUR, "held");
    d.trouble.state = DAEMON_IDLE;
    is(signs(30), 30, "the hold ended just now");
    is(signs(10), 0, "and nothing moved since");

    begin();
    make_due();
    d.trouble.state = DAEMON_CONNECTING;
    d.trouble.action = SQLSTATE_RECONNECT;
    connection = PG_CLOSED;
    is(signs(HOUR), HOUR, "PostgreSQL is away");

    begin();
    make_due();
    connection = PG_CONNECTING;
    is(signs(HOUR), HOUR, "PostgreSQL is being connected to");

    begin();
    make_due();
    d.claimed = false;
    is(signs(HOUR), HOUR, "no partition is claimed");

    begin();
    d.source = NULL;
    query = now;
    is(signs(HOUR), HOUR, "the topic is looked for");
}


/* What its queue has no room for is lost. */

static void
test_deaf(void)
{
    int  i;

    begin();

    for (i = 0; i < HOUR; i++) {
        now += SECOND;
        (void) watched_manage(&d, now);
    }

    ok(d.notify.fd != -1, "a manager that does not read holds up nothing");
    (void) signs(1);
    is(signs(10), 10, "and is told again once it reads");
}


int
main(void)
{
    int  pair[2];

    /* ends a test that waits for the manager */
    (void) alarm(60);

    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == -1) {
        return 1;
    }

    d.notify.fd = pair[0];
    manager = pair[1];
    now = 1000 * SECOND;
    batch_init(&batch, 1000, 1024 * 1024, 20);

    test_moving();
    test_standing();
    test_waiting();
    test_deaf();

    batch_free(&batch);

    return tap_done();
}
