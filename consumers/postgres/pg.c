/* A connection to PostgreSQL that never blocks: one query string at a time. */

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "postgres/attempt.h"
#include "postgres/pg_impl.h"


#define PG_CONNECT_TIMEOUT  30000    /* ms, over all hosts of a conninfo */

/* ms without a byte from or for the server: more than statement_timeout */
#define PG_STALL_TIMEOUT    75000

/* The server's host acknowledges nothing any more: ms, tries, ms between. */
#define PG_SILENT           6000
#define PG_SILENT_TRIES     2
#define PG_LOOK             1000


/* A query string under way; all zero when none is. */
typedef struct {
    pg_copy_pt     copy;
    pg_done_pt     done;
    void          *data;
    pg_reply_t     reply;
    int64_t        since;         /* ms */
    bool           copying;
    bool           copy_ended;    /* PQputCopyEnd() is queued */
    bool           keep;          /* a failed transaction stays */
    bool           rolling;       /* ROLLBACK was sent for it */
} pg_query_t;


struct pg_s {
    const conf_t  *conf;
    attempt_t     *attempt;
    pg_ready_pt    ready;
    void          *ready_data;
    char           failure[6];    /* SQLSTATE of the last one */

    PGconn        *conn;
    pg_state_t     state;
    int64_t        deadline;      /* ms; of connecting, or of the query */
    int64_t        look;          /* ms, when the host is looked at next */
    bool           unflushed;     /* PQflush() returned 1 */
    pg_query_t     query;
};


static void pg_disconnected(pg_t *pg, const char *error);
static void pg_flush(pg_t *pg);
static void pg_feed(pg_t *pg);
static void pg_drain(pg_t *pg);
static bool pg_roll_back(pg_t *pg);
static bool pg_is_silent(const pg_t *pg);
static void pg_lost(pg_t *pg, const char *why);
static void pg_finish(pg_t *pg);


pg_t *
pg_create(const conf_t *conf, const char *name, pg_ready_pt ready, void *data)
{
    pg_t  *pg;

    pg = calloc(1, sizeof(pg_t));
    if (pg == NULL) {
        return NULL;
    }

    pg->attempt = attempt_create(name);
    if (pg->attempt == NULL) {
        free(pg);
        return NULL;
    }

    pg->conf = conf;
    pg->ready = ready;
    pg->ready_data = data;

    return pg;
}


void
pg_destroy(pg_t *pg)
{
    if (pg) {
        pg_close(pg);
        attempt_destroy(pg->attempt);
        free(pg);
    }
}


void
pg_close(pg_t *pg)
{
    attempt_leave(pg->attempt);
    PQfinish(pg->conn);
    PQclear(pg->query.reply.rows);
    memset(&pg->query, 0, sizeof(pg_query_t));

    pg->conn = NULL;
    pg->state = PG_CLOSED;
    pg->deadline = 0;
    pg->unflushed = false;
}


static void
pg_on_notice(void *data, const PGresult *res)
{
    const char  *message;

    message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
    if (message) {
        log_debug("PostgreSQL: %s", message);
    }
}


/*
 * The conninfo as its file has it now, freed by free(); NULL with the reason in
 * "err".
 */

static char *
pg_conninfo(const conf_t *conf, char *err)
{
    char              *conninfo;
    PQconninfoOption  *options;

    if (conf->postgres_file == NULL) {
        snprintf(err, CONF_ERROR_MAX, "out of memory");
        return strdup(conf->postgres);
    }

    conninfo = conf_secret(conf->postgres_file, err);
    if (conninfo == NULL) {
        return NULL;
    }

    /* libpq's own message may hold a part of the password */
    options = PQconninfoParse(conninfo, NULL);
    if (options == NULL) {
        snprintf(err, CONF_ERROR_MAX, "\"%s\" does not hold a conninfo string "
                 "or URI of libpq", conf->postgres_file);
        free(conninfo);
        return NULL;
    }

    PQconninfoFree(options);

    return conninfo;
}


void
pg_connect(pg_t *pg)
{
    char  *conninfo, err[CONF_ERROR_MAX];

    pg_close(pg);

    conninfo = pg_conninfo(pg->conf, err);
    if (conninfo == NULL) {
        pg_disconnected(pg, err);
        return;
    }

    log_debug("PostgreSQL: connecting");

    pg->state = PG_CONNECTING;
    pg->deadline = clock_ms() + PG_CONNECT_TIMEOUT;

    if (attempt_start(pg->attempt, conninfo) == -1) {
        pg_disconnected(pg, "could not start a thread");
    }
}


static void
pg_take_connection(pg_t *pg)
{
    PGconn  *conn;

    if (!attempt_take(pg->attempt, &conn)) {
        return;
    }

    pg->conn = conn;

    if (conn == NULL) {
        pg_disconnected(pg, "out of memory");
        return;
    }

    if (PQstatus(conn) != CONNECTION_OK || PQsetnonblocking(conn, 1) == -1) {
        pg_disconnected(pg, PQerrorMessage(conn));
        return;
    }

    PQsetNoticeReceiver(conn, pg_on_notice, NULL);
    log_debug("PostgreSQL: connected, backend %d", PQbackendPID(conn));

    pg->state = PG_IDLE;
    pg->deadline = 0;
    pg->ready(pg->ready_data, NULL, "");
}


/* A connection could not be made, or ended while it was idle. */

static void
pg_disconnected(pg_t *pg, const char *error)
{
    char  text[PG_REASON], state[6];

    pg_refusal(error, text, state);
    pg_close(pg);

    log_debug("PostgreSQL: no connection (%s)", state[0] ? state
                                                         : "no SQLSTATE");
    snprintf(pg->failure, sizeof(pg->failure), "%s",
             state[0] ? state : "08001");
    pg->ready(pg->ready_data, text, state);
}


pg_state_t
pg_state(const pg_t *pg)
{
    return pg->state;
}


bool
pg_on_thread(const pg_t *pg)
{
    return attempt_busy(pg->attempt);
}


PGconn *
pg_conn(const pg_t *pg)
{
    return pg->conn;
}


void
pg_keep_failed(pg_t *pg)
{
    pg->query.keep = true;
}


int64_t
pg_busy_since(const pg_t *pg)
{
    return pg->query.since;
}


void
pg_take_failure(pg_t *pg, char *sqlstate)
{
    memcpy(sqlstate, pg->failure, sizeof(pg->failure));
    pg->failure[0] = '\0';
}


int64_t
pg_deadline(const pg_t *pg)
{
    return pg->deadline;
}


void
pg_tick(pg_t *pg, int64_t now)
{
    if (pg->deadline && now >= pg->deadline) {
        if (pg->state == PG_CONNECTING) {
            pg_disconnected(pg, "no answer in time");
        } else {
            pg_lost(pg, "no answer in time: PostgreSQL hangs, or waits for a "
                    "synchronous standby");
        }
        return;
    }

    if (pg->conn && now >= pg->look) {
        pg->look = now + PG_LOOK;

        if (pg_is_silent(pg)) {
            pg_lost(pg, "its host does not acknowledge what is sent: the host "
                    "or its network is down");
        }
    }
}


/*
 * Whether the server's host is gone or cut off.  A server that works, waits for
 * a lock or takes no bytes is not: its host acknowledges what is sent again,
 * and each probe.  TCP_USER_TIMEOUT would also end a session that takes no
 * bytes.
 */

static bool
pg_is_silent(const pg_t *pg)
{
    socklen_t        len;
    struct tcp_info  info;

    len = sizeof(struct tcp_info);

    /* fails for a Unix socket */
    return getsockopt(PQsocket(pg->conn), IPPROTO_TCP, TCP_INFO, &info, &len)
           == 0
           && info.tcpi_last_ack_recv >= PG_SILENT
           && (info.tcpi_retransmits >= PG_SILENT_TRIES
               || info.tcpi_probes >= PG_SILENT_TRIES);
}


int
pg_fd(const pg_t *pg)
{
    if (pg->state == PG_CONNECTING) {
        return attempt_fd(pg->attempt);
    }

    return pg->conn ? PQsocket(pg->conn) : -1;
}


short
pg_events(const pg_t *pg)
{
    switch (pg->state) {

    case PG_CLOSED:
        return 0;

    case PG_CONNECTING:
        return POLLIN;

    default:
        return pg->unflushed ? POLLIN | POLLOUT : POLLIN;
    }
}


void
pg_query(pg_t *pg, const char *sql, pg_copy_pt copy, pg_done_pt done,
    void *data)
{
    pg->state = PG_BUSY;
    pg->query.copy = copy;
    pg->query.done = done;
    pg->query.data = data;
    pg->query.since = clock_ms();
    pg->deadline = pg->query.since;

    log_debug("PostgreSQL: a query of %zu bytes%s", strlen(sql),
              copy ? " with a COPY" : "");

    /* pg_tick() reports a failure: "done" is never called from here */

    if (PQsendQuery(pg->conn, sql)) {
        pg_flush(pg);
        pg->deadline += PG_STALL_TIMEOUT;
    }
}


void
pg_io(pg_t *pg, short revents)
{
    if (pg->state == PG_CLOSED || revents == 0) {
        return;
    }

    if (pg->state == PG_CONNECTING) {
        pg_take_connection(pg);
        return;
    }

    if ((revents & (POLLIN | POLLHUP | POLLERR))
        && PQconsumeInput(pg->conn) == 0)
    {
        pg_lost(pg, "");
        return;
    }

    if (pg->state == PG_IDLE) {
        if (PQstatus(pg->conn) == CONNECTION_BAD) {
            pg_lost(pg, "");
        }
        return;
    }

    pg->deadline = clock_ms() + PG_STALL_TIMEOUT;

    if (pg->unflushed) {
        pg_flush(pg);
    }

    if (pg->query.copying) {
        pg_feed(pg);
    }

    /* the COPY may have ended just now */
    if (pg->state == PG_BUSY && !pg->query.copying) {
        pg_drain(pg);
    }
}


/* Reports no failure: the server's error may still be read. */

static void
pg_flush(pg_t *pg)
{
    pg->unflushed = PQflush(pg->conn) == 1;
}


/*
 * Gives COPY its bytes until the socket is full: PQputCopyData() would buffer
 * them without a bound.
 */

static void
pg_feed(pg_t *pg)
{
    size_t       len;
    const char  *chunk;

    while (!pg->unflushed) {

        len = pg->query.copy(pg->query.data, &chunk);

        if (len == 0) {
            pg->query.copying = false;
            pg->query.copy_ended = true;
            (void) PQputCopyEnd(pg->conn, NULL);
            pg_flush(pg);
            return;
        }

        switch (PQputCopyData(pg->conn, chunk, (int) len)) {

        case 0:
            pg_lost(pg, "");
            return;

        case -1:
            /* the server refused already; its error is in the results */
            pg->query.copying = false;
            return;
        }

        pg_flush(pg);
    }
}


static void
pg_drain(pg_t *pg)
{
    PGresult  *res;

    while (PQisBusy(pg->conn) == 0) {

        res = PQgetResult(pg->conn);

        if (res == NULL) {
            if (PQstatus(pg->conn) == CONNECTION_BAD) {
                pg_lost(pg, "");

            } else if (!pg_roll_back(pg)) {
                pg_finish(pg);
            }
            return;
        }

        if (PQresultStatus(res) != PGRES_COPY_IN) {
            pg_take(&pg->query.reply, res);
            continue;
        }

        PQclear(res);

        if (pg->query.copy_ended || pg->query.copy == NULL) {
            (void) PQputCopyEnd(pg->conn, "no data for this COPY");
            pg_flush(pg);
            continue;
        }

        pg->query.copying = true;
        pg_feed(pg);

        if (pg->state != PG_BUSY || pg->query.copying) {
            return;
        }
    }
}


/* Ends a failed transaction.  Returns whether a reply is due. */

static bool
pg_roll_back(pg_t *pg)
{
    if (pg->query.keep || pg->query.rolling
        || pg->query.reply.sqlstate[0] == '\0'
        || PQtransactionStatus(pg->conn) == PQTRANS_IDLE
        || PQsendQuery(pg->conn, "ROLLBACK") == 0)
    {
        return false;
    }

    pg->query.rolling = true;
    pg_flush(pg);

    return true;
}


/* "why" is for where libpq has no reason. */

static void
pg_lost(pg_t *pg, const char *why)
{
    pg_reply_t  *reply;

    if (pg->state == PG_IDLE) {
        pg_disconnected(pg, *why ? why : PQerrorMessage(pg->conn));
        return;
    }

    reply = &pg->query.reply;
    reply->lost = true;

    if (reply->sqlstate[0] == '\0') {
        snprintf(reply->sqlstate, sizeof(reply->sqlstate), "08006");
        pg_text(reply->reason, sizeof(reply->reason),
                PQerrorMessage(pg->conn));

        if (reply->reason[0] == '\0') {
            snprintf(reply->reason, sizeof(reply->reason), "%s",
                     *why ? why : "no answer");
        }
    }

    pg_finish(pg);
}


static void
pg_finish(pg_t *pg)
{
    pg_query_t   query;
    pg_reply_t  *reply;

    query = pg->query;
    reply = &query.reply;
    memset(&pg->query, 0, sizeof(pg_query_t));

    log_debug("PostgreSQL: the query ended after %lld ms: %s%s",
              (long long) (clock_ms() - query.since),
              reply->sqlstate[0] ? reply->sqlstate : "no error",
              reply->lost ? ", the connection is lost" : "");

    if (reply->lost) {
        pg_close(pg);

    } else {
        pg->state = PG_IDLE;
        pg->deadline = 0;
    }

    if (reply->sqlstate[0]) {
        memcpy(pg->failure, reply->sqlstate, sizeof(pg->failure));
    }

    query.done(query.data, reply);

    PQclear(reply->rows);
}
