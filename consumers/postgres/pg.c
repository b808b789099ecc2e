/* A connection to PostgreSQL that never blocks: one query string a time. */

#include <ctype.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "postgres/pg.h"


#define PG_CONNECT_TIMEOUT  10000    /* ms, over all hosts of a conninfo */

/* ms without a byte from or for the server: more than statement_timeout */
#define PG_STALL_TIMEOUT    75000


struct pg_s {
    PGconn        *conn;
    const char    *conninfo;
    const char    *name;
    pg_state_t     state;
    pg_ready_pt    ready;
    void          *ready_data;

    PostgresPollingStatusType  polling;
    int64_t        deadline;       /* of connecting */

    pg_copy_pt     copy;
    pg_done_pt     done;
    void          *data;
    pg_reply_t     reply;
    char           failure[6];    /* SQLSTATE of the last one */
    int64_t        since;
    bool           copying;
    bool           copy_ended;     /* PQputCopyEnd() is queued */
    bool           unflushed;      /* PQflush() returned 1 */
    bool           keep;           /* a failed transaction stays */
    bool           rolling;        /* ROLLBACK was sent for it */
};


static void pg_notice(void *data, const PGresult *res);
static void pg_poll_connect(pg_t *pg);
static void pg_fail_connect(pg_t *pg, const char *error);
static void pg_feed(pg_t *pg);
static void pg_drain(pg_t *pg);
static bool pg_roll_back(pg_t *pg);
static void pg_take(pg_t *pg, PGresult *res);
static void pg_lost(pg_t *pg);
static void pg_finish(pg_t *pg);
static void pg_text(char *dst, size_t size, const char *src);
static void pg_context(pg_reply_t *reply, const char *src);


pg_t *
pg_create(const char *conninfo, const char *name, pg_ready_pt ready,
    void *data)
{
    pg_t  *pg;

    pg = calloc(1, sizeof(pg_t));
    if (pg == NULL) {
        return NULL;
    }

    pg->conninfo = conninfo;
    pg->name = name;
    pg->ready = ready;
    pg->ready_data = data;

    return pg;
}


void
pg_destroy(pg_t *pg)
{
    if (pg) {
        pg_close(pg);
        free(pg);
    }
}


void
pg_close(pg_t *pg)
{
    PQfinish(pg->conn);
    PQclear(pg->reply.rows);
    memset(&pg->reply, 0, sizeof(pg_reply_t));

    pg->conn = NULL;
    pg->state = PG_CLOSED;
    pg->deadline = 0;
    pg->since = 0;
    pg->copying = false;
    pg->unflushed = false;
    pg->keep = false;
    pg->rolling = false;
}


static void
pg_notice(void *data, const PGresult *res)
{
    char         text[256];
    const char  *message;

    (void) data;

    message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
    if (message) {
        log_debug("PostgreSQL: %s", text_escape(text, sizeof(text), message,
                                               strlen(message)));
    }
}


/* What stands behind dbname wins over the conninfo, what before it does not. */

void
pg_connect(pg_t *pg)
{
    const char *const  keys[] = {
        "keepalives_idle", "keepalives_interval", "keepalives_count",
        "tcp_user_timeout", "dbname", "application_name", "client_encoding",
        NULL
    };
    const char *const  values[] = {
        "15", "5", "3", "30000", pg->conninfo, pg->name, "UTF8", NULL
    };

    pg_close(pg);

    pg->state = PG_CONNECTING;
    pg->deadline = clock_ms() + PG_CONNECT_TIMEOUT;
    pg->polling = PGRES_POLLING_WRITING;
    pg->conn = PQconnectStartParams(keys, values, 1);

    if (pg->conn == NULL) {
        pg_fail_connect(pg, "out of memory");
        return;
    }

    PQsetNoticeReceiver(pg->conn, pg_notice, NULL);

    /* the only way to the SQLSTATE of a refused connection */
    PQsetErrorVerbosity(pg->conn, PQERRORS_VERBOSE);

    if (PQstatus(pg->conn) == CONNECTION_BAD) {
        pg_fail_connect(pg, PQerrorMessage(pg->conn));
    }
}


/*
 * libpq's text is "...: FATAL:  28P01: reason\nLOCATION:  file", a line a host
 * and more: the last host's counts.
 */

static void
pg_fail_connect(pg_t *pg, const char *error)
{
    int          i;
    char         text[PG_REASON], state[6], *at;
    const char  *p, *colon;

    pg_text(text, sizeof(text), error);
    pg_close(pg);

    at = strstr(text, " LOCATION: ");
    if (at) {
        *at = '\0';
    }

    state[0] = '\0';

    for (p = text; (colon = strstr(p, ":  ")); p = colon + 3) {
        for (i = 0; i < 5 && isalnum((unsigned char) colon[3 + i]); i++) {
            state[i] = colon[3 + i];
        }
        state[i == 5 && colon[8] == ':' ? 5 : 0] = '\0';
    }

    snprintf(pg->failure, sizeof(pg->failure), "%s",
             state[0] ? state : "08001");
    pg->ready(pg->ready_data, text, state);
}


/* A server's text on one line: libpq's own has several, indented. */

static void
pg_text(char *dst, size_t size, const char *src)
{
    size_t  n;

    for (n = 0; src && *src && n < size - 1; src++) {
        if (*src != '\n' && *src != '\t') {
            dst[n++] = *src;

        } else if (n && dst[n - 1] != ' ') {
            dst[n++] = ' ';
        }
    }

    while (n && dst[n - 1] == ' ') {
        n--;
    }

    dst[n] = '\0';
}


/* Whole lines only: half a number names another line. */

static void
pg_context(pg_reply_t *reply, const char *src)
{
    char  *end;

    if ((size_t) snprintf(reply->context, sizeof(reply->context), "%s", src)
        >= sizeof(reply->context))
    {
        end = strrchr(reply->context, '\n');
        *(end ? end : reply->context) = '\0';
    }
}


static void
pg_poll_connect(pg_t *pg)
{
    pg->polling = PQconnectPoll(pg->conn);

    switch (pg->polling) {

    case PGRES_POLLING_FAILED:
        pg_fail_connect(pg, PQerrorMessage(pg->conn));
        return;

    case PGRES_POLLING_OK:
        break;

    default:
        return;
    }

    if (PQsetnonblocking(pg->conn, 1) == -1) {
        pg_fail_connect(pg, PQerrorMessage(pg->conn));
        return;
    }

    pg->state = PG_IDLE;
    pg->deadline = 0;
    pg->ready(pg->ready_data, NULL, "");
}


pg_state_t
pg_state(const pg_t *pg)
{
    return pg->state;
}


PGconn *
pg_conn(const pg_t *pg)
{
    return pg->conn;
}


void
pg_keep_failed(pg_t *pg)
{
    pg->keep = true;
}


int64_t
pg_busy_since(const pg_t *pg)
{
    return pg->since;
}


int64_t
pg_deadline(const pg_t *pg)
{
    return pg->deadline;
}


void
pg_tick(pg_t *pg, int64_t now)
{
    if (pg->state == PG_CONNECTING && now >= pg->deadline) {
        pg_fail_connect(pg, "no answer in time");
    }

    if (pg->state == PG_BUSY && now >= pg->deadline) {
        pg_lost(pg);
    }
}


int
pg_fd(const pg_t *pg)
{
    return pg->conn ? PQsocket(pg->conn) : -1;
}


short
pg_events(const pg_t *pg)
{
    switch (pg->state) {

    case PG_CONNECTING:
        return pg->polling == PGRES_POLLING_READING ? POLLIN : POLLOUT;

    case PG_IDLE:
        return POLLIN;

    case PG_BUSY:
        return pg->unflushed ? POLLIN | POLLOUT : POLLIN;

    default:
        return 0;
    }
}


void
pg_query(pg_t *pg, const char *sql, pg_copy_pt copy, pg_done_pt done,
    void *data)
{
    pg->copy = copy;
    pg->done = done;
    pg->data = data;
    pg->copying = false;
    pg->copy_ended = false;
    pg->state = PG_BUSY;
    pg->since = clock_ms();

    if (PQsendQuery(pg->conn, sql) == 0) {
        /* told from the loop, as every end is */
        pg->deadline = pg->since;
        return;
    }

    pg->unflushed = PQflush(pg->conn) == 1;
    pg->deadline = pg->since + PG_STALL_TIMEOUT;
}


void
pg_io(pg_t *pg, short revents)
{
    if (pg->state == PG_CLOSED || revents == 0) {
        return;
    }

    if (pg->state == PG_CONNECTING) {
        pg_poll_connect(pg);
        return;
    }

    if (revents & (POLLIN | POLLHUP | POLLERR)) {
        if (PQconsumeInput(pg->conn) == 0) {
            pg_lost(pg);
            return;
        }
    }

    if (pg->state == PG_IDLE) {
        if (PQstatus(pg->conn) == CONNECTION_BAD) {
            pg_lost(pg);
        }
        return;
    }

    pg->deadline = clock_ms() + PG_STALL_TIMEOUT;

    if (pg->unflushed) {
        switch (PQflush(pg->conn)) {
        case 0:
            pg->unflushed = false;
            break;
        case 1:
            break;
        default:
            /* the server's last words may still be read */
            pg->unflushed = false;
            break;
        }
    }

    if (pg->copying) {
        pg_feed(pg);
    }

    /* it may have been the end */
    if (pg->state == PG_BUSY && !pg->copying) {
        pg_drain(pg);
    }
}


/*
 * Gives COPY its bytes until the socket is full: PQputCopyData() would keep
 * on buffering, and no end of it.
 */

static void
pg_feed(pg_t *pg)
{
    int          rc;
    size_t       len;
    const char  *chunk;

    while (!pg->unflushed) {

        len = pg->copy(pg->data, &chunk);

        if (len == 0) {
            pg->copying = false;
            pg->copy_ended = true;
            (void) PQputCopyEnd(pg->conn, NULL);
            pg->unflushed = PQflush(pg->conn) == 1;
            return;
        }

        rc = PQputCopyData(pg->conn, chunk, (int) len);

        if (rc == 0) {
            pg_lost(pg);
            return;
        }

        if (rc == -1) {
            /* the server refused already; its report is in the results */
            pg->copying = false;
            return;
        }

        pg->unflushed = PQflush(pg->conn) == 1;
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
                pg_lost(pg);
                return;
            }
            if (pg_roll_back(pg)) {
                return;
            }
            pg_finish(pg);
            return;
        }

        if (PQresultStatus(res) == PGRES_COPY_IN) {
            PQclear(res);

            if (pg->copy_ended || pg->copy == NULL) {
                (void) PQputCopyEnd(pg->conn, "no data for this COPY");
                pg->unflushed = PQflush(pg->conn) == 1;
                continue;
            }

            pg->copying = true;
            pg_feed(pg);
            if (pg->state != PG_BUSY || pg->copying) {
                return;
            }
            continue;
        }

        pg_take(pg, res);
    }
}


/* Whether a failed transaction's ROLLBACK has yet to be waited for. */

static bool
pg_roll_back(pg_t *pg)
{
    if (pg->keep || pg->rolling || pg->reply.sqlstate[0] == '\0'
        || PQtransactionStatus(pg->conn) == PQTRANS_IDLE
        || PQsendQuery(pg->conn, "ROLLBACK") == 0)
    {
        return false;
    }

    pg->rolling = true;
    pg->unflushed = PQflush(pg->conn) == 1;

    return true;
}


static void
pg_take(pg_t *pg, PGresult *res)
{
    const char  *s;
    pg_reply_t  *reply;

    reply = &pg->reply;

    switch (PQresultStatus(res)) {

    case PGRES_TUPLES_OK:
        PQclear(reply->rows);
        reply->rows = res;
        return;

    case PGRES_FATAL_ERROR:
    case PGRES_BAD_RESPONSE:
        break;

    default:
        PQclear(res);
        return;
    }

    /* the first error is the cause */

    if (reply->sqlstate[0] == '\0') {
        s = PQresultErrorField(res, PG_DIAG_SQLSTATE);
        snprintf(reply->sqlstate, sizeof(reply->sqlstate), "%s",
                 s ? s : "08006");

        s = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
        pg_text(reply->reason, sizeof(reply->reason),
                s ? s : PQresultErrorMessage(res));
        pg_text(reply->constraint, sizeof(reply->constraint),
                PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME));
        pg_text(reply->function, sizeof(reply->function),
                PQresultErrorField(res, PG_DIAG_SOURCE_FUNCTION));
        s = PQresultErrorField(res, PG_DIAG_CONTEXT);
        pg_context(reply, s ? s : "");
    }

    PQclear(res);
}


static void
pg_lost(pg_t *pg)
{
    pg_reply_t  *reply;

    reply = &pg->reply;

    if (pg->state == PG_IDLE) {
        pg_fail_connect(pg, PQerrorMessage(pg->conn));
        return;
    }

    reply->lost = true;

    if (reply->sqlstate[0] == '\0') {
        snprintf(reply->sqlstate, sizeof(reply->sqlstate), "08006");
        pg_text(reply->reason, sizeof(reply->reason),
                PQerrorMessage(pg->conn));

        if (reply->reason[0] == '\0') {
            snprintf(reply->reason, sizeof(reply->reason),
                     "no answer in time");
        }
    }

    pg_finish(pg);
}


static void
pg_finish(pg_t *pg)
{
    pg_done_pt   done;
    pg_reply_t   reply;

    reply = pg->reply;
    done = pg->done;

    memset(&pg->reply, 0, sizeof(pg_reply_t));
    pg->done = NULL;
    pg->since = 0;
    pg->deadline = 0;
    pg->keep = false;
    pg->rolling = false;

    if (reply.lost) {
        pg_close(pg);
    } else {
        pg->state = PG_IDLE;
    }

    if (reply.sqlstate[0]) {
        memcpy(pg->failure, reply.sqlstate, sizeof(pg->failure));
    }

    done(pg->data, &reply);

    PQclear(reply.rows);
}


void
pg_take_failure(pg_t *pg, char *sqlstate)
{
    memcpy(sqlstate, pg->failure, sizeof(pg->failure));
    pg->failure[0] = '\0';
}
