/*
 * An attempt to connect, on a thread of its own.  The lock guards what both
 * threads touch; pthread_join() hands the connection to the loop.
 */

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "postgres/attempt.h"


#define ATTEMPT_PATIENCE  1000    /* ms without a sign of the host, at first */
#define ATTEMPT_HOST      "4"     /* s a host's address, after that */


struct attempt_s {
    char             *conninfo;
    char             *name;
    int               fd;
    bool              busy;      /* of the loop: there is a thread to join */
    pthread_t         thread;

    pthread_mutex_t   lock;
    bool              left;
    bool              orphan;    /* the thread frees the attempt */
    bool              ended;
    PGconn           *conn;
};


static void attempt_free(attempt_t *attempt);
static void *attempt_thread(void *data);
static PGconn *attempt_connect(const attempt_t *attempt);
static void attempt_wait(PGconn *conn);
static void attempt_on_notice(void *data, const PGresult *res);


attempt_t *
attempt_create(const char *name)
{
    attempt_t  *attempt;

    attempt = calloc(1, sizeof(attempt_t));
    if (attempt == NULL) {
        return NULL;
    }

    pthread_mutex_init(&attempt->lock, NULL);
    attempt->name = strdup(name);
    attempt->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    if (attempt->name == NULL || attempt->fd == -1) {
        attempt_free(attempt);
        return NULL;
    }

    return attempt;
}


static void
attempt_free(attempt_t *attempt)
{
    PQfinish(attempt->conn);
    pthread_mutex_destroy(&attempt->lock);

    if (attempt->fd != -1) {
        close(attempt->fd);
    }

    free(attempt->conninfo);
    free(attempt->name);
    free(attempt);
}


void
attempt_destroy(attempt_t *attempt)
{
    bool     ended;
    PGconn  *conn;

    if (attempt == NULL) {
        return;
    }

    if (attempt->busy) {
        pthread_mutex_lock(&attempt->lock);
        ended = attempt->ended;
        attempt->orphan = !ended;
        pthread_mutex_unlock(&attempt->lock);

        if (!ended) {
            return;
        }

        (void) attempt_take(attempt, &conn);
        PQfinish(conn);
    }

    attempt_free(attempt);
}


int
attempt_start(attempt_t *attempt, char *conninfo)
{
    bool      ended;
    PGconn   *conn;
    sigset_t  all, old;

    if (attempt->busy) {
        pthread_mutex_lock(&attempt->lock);
        attempt->left = false;
        ended = attempt->ended;
        pthread_mutex_unlock(&attempt->lock);

        if (!ended) {
            free(conninfo);
            return 0;
        }

        (void) attempt_take(attempt, &conn);
        PQfinish(conn);
    }

    free(attempt->conninfo);
    attempt->conninfo = conninfo;
    attempt->left = false;
    attempt->ended = false;

    /* only the loop's thread takes signals */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    attempt->busy = pthread_create(&attempt->thread, NULL, attempt_thread,
                                   attempt) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);

    return attempt->busy ? 0 : -1;
}


void
attempt_leave(attempt_t *attempt)
{
    PGconn  *conn;

    if (!attempt->busy) {
        return;
    }

    pthread_mutex_lock(&attempt->lock);
    attempt->left = true;
    conn = attempt->conn;
    attempt->conn = NULL;
    pthread_mutex_unlock(&attempt->lock);

    PQfinish(conn);
}


bool
attempt_busy(const attempt_t *attempt)
{
    return attempt->busy;
}


int
attempt_fd(const attempt_t *attempt)
{
    return attempt->fd;
}


bool
attempt_take(attempt_t *attempt, PGconn **conn)
{
    bool      ended;
    ssize_t   n;
    uint64_t  count;

    pthread_mutex_lock(&attempt->lock);
    ended = attempt->busy && attempt->ended;
    pthread_mutex_unlock(&attempt->lock);

    if (!ended) {
        return false;
    }

    /* it only has to say that it ended */
    pthread_join(attempt->thread, NULL);
    n = read(attempt->fd, &count, sizeof(count));
    (void) n;

    attempt->busy = false;
    *conn = attempt->conn;
    attempt->conn = NULL;

    return true;
}


static void *
attempt_thread(void *data)
{
    bool        orphan, left;
    PGconn     *conn;
    ssize_t     n;
    attempt_t  *attempt = data;

    conn = attempt_connect(attempt);

    pthread_mutex_lock(&attempt->lock);
    orphan = attempt->orphan;
    left = attempt->left;
    attempt->conn = left ? NULL : conn;
    attempt->ended = true;
    pthread_mutex_unlock(&attempt->lock);

    if (orphan) {
        pthread_detach(pthread_self());
        attempt_free(attempt);

    } else {
        n = write(attempt->fd, &(uint64_t) { 1 }, sizeof(uint64_t));
        (void) n;
    }

    if (left) {
        PQfinish(conn);
    }

    return NULL;
}


/* The conninfo, in "dbname", overrides keys before it, not those behind it. */

static PGconn *
attempt_connect(const attempt_t *attempt)
{
    PGconn  *conn;

    /* what pg.c counts on: an idle session asks the host each 2 s */
    const char *const  keys[] = {
        "keepalives_idle", "keepalives_interval", "keepalives_count",
        "connect_timeout", "dbname", "application_name", "client_encoding",
        NULL
    };
    const char *const  values[] = {
        "2", "2", "3", ATTEMPT_HOST, attempt->conninfo, attempt->name, "UTF8",
        NULL
    };

    conn = PQconnectStartParams(keys, values, 1);

    if (conn && PQstatus(conn) != CONNECTION_BAD) {

        PQsetNoticeReceiver(conn, attempt_on_notice, NULL);

        /* the only way to the SQLSTATE of a refused connection */
        PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);

        attempt_wait(conn);
    }

    return conn;
}


/*
 * Verbosity can be set only between PQconnectStart() and PQconnectPoll(), and
 * only PQreset() and PQconnectdb() go on to the next host when one is silent.
 * PQreset() begins with the first host, so the wait for it is short.
 */

static void
attempt_wait(PGconn *conn)
{
    struct pollfd              fd;
    PostgresPollingStatusType  polling;

    polling = PGRES_POLLING_WRITING;

    while (polling != PGRES_POLLING_OK && polling != PGRES_POLLING_FAILED) {

        fd.fd = PQsocket(conn);
        fd.events = polling == PGRES_POLLING_READING ? POLLIN : POLLOUT;

        if (poll(&fd, 1, ATTEMPT_PATIENCE) < 1) {
            PQreset(conn);
            return;
        }

        polling = PQconnectPoll(conn);
    }
}


static void
attempt_on_notice(void *data, const PGresult *res)
{
}
