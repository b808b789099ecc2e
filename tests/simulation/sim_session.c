/* A daemon's side of a session with PostgreSQL. */

#include <stdlib.h>
#include <string.h>

#include "sim_pg.h"


pg_t *
pg_create(const conf_t *conf, const char *name, pg_ready_pt ready, void *data)
{
    pg_t  *pg;

    pg = calloc(1, sizeof(pg_t));
    pg->ready = ready;
    pg->ready_data = data;

    return pg;
}


void
pg_destroy(pg_t *pg)
{
    if (pg) {
        sim_roll_back(pg);
        PQclear(pg->reply.rows);
        free(pg->sql);
        free(pg);
    }
}


void
pg_connect(pg_t *pg)
{
    pg->state = PG_CONNECTING;
    pg->connect = sim.now + 1 + sim_random(20);
}


void
pg_close(pg_t *pg)
{
    sim_roll_back(pg);
    free(pg->sql);
    pg->sql = NULL;
    PQclear(pg->reply.rows);
    memset(&pg->reply, 0, sizeof(pg_reply_t));
    pg->keep = false;
    pg->broken = false;
    pg->state = PG_CLOSED;
}


pg_state_t
pg_state(const pg_t *pg)
{
    return pg->state;
}


PGconn *
pg_conn(const pg_t *pg)
{
    return (PGconn *) pg;
}


int64_t
pg_busy_since(const pg_t *pg)
{
    return 0;
}


void
pg_take_failure(pg_t *pg, char *sqlstate)
{
    sqlstate[0] = '\0';
}


void
pg_keep_failed(pg_t *pg)
{
    pg->keep = true;
}


void
pg_query(pg_t *pg, const char *sql, pg_copy_pt copy, pg_done_pt done,
    void *data)
{
    if (pg->state == PG_BUSY) {
        sim_wrong("a query on a connection that is busy");
    }

    /* as libpq refuses it without a connection, told from the loop */
    pg->reply.lost = pg->state != PG_IDLE || pg->broken;
    pg->state = PG_BUSY;
    pg->sql = strdup(sql);
    pg->copy = copy;
    pg->done = done;
    pg->data = data;
    pg->executed = pg->reply.lost;
    pg->execute = sim.now + sim_random(10);
    pg->answer = pg->execute + sim_random(10);
}


PGTransactionStatusType
PQtransactionStatus(const PGconn *conn)
{
    const pg_t  *pg = (const pg_t *) conn;

    return pg->failed ? PQTRANS_INERROR : pg->open ? PQTRANS_INTRANS
                                                   : PQTRANS_IDLE;
}


static char *
sim_quote(const char *s, size_t len, char quote)
{
    char    *out, *p;
    size_t   i;

    out = malloc(2 * len + 3);
    p = out;
    *p++ = quote;

    for (i = 0; i < len; i++) {
        *p++ = s[i];
        if (s[i] == quote) {
            *p++ = quote;
        }
    }

    *p++ = quote;
    *p = '\0';

    return out;
}


char *
PQescapeLiteral(PGconn *conn, const char *s, size_t len)
{
    return sim_quote(s, len, '\'');
}


char *
PQescapeIdentifier(PGconn *conn, const char *s, size_t len)
{
    return sim_quote(s, len, '"');
}


void
sim_pg_io(pg_t *pg)
{
    bool        lost;
    pg_reply_t  reply;

    if (pg->state == PG_CONNECTING && sim.now >= pg->connect) {

        if (!sim.calm && sim_random(10) == 0) {
            pg->state = PG_CLOSED;
            pg->ready(pg->ready_data, "no server", "");
            return;
        }

        pg->state = PG_IDLE;
        pg->ready(pg->ready_data, NULL, NULL);
        return;
    }

    if (pg->state == PG_IDLE && pg->broken) {
        pg_close(pg);
        pg->ready(pg->ready_data, "the server ended", "57P01");
        return;
    }

    if (pg->state != PG_BUSY || !pg->executed || sim.now < pg->answer) {
        return;
    }

    reply = pg->reply;
    lost = reply.lost;
    memset(&pg->reply, 0, sizeof(pg_reply_t));
    free(pg->sql);
    pg->sql = NULL;
    pg->keep = false;

    if (lost) {
        pg_close(pg);
    } else {
        pg->state = PG_IDLE;
    }

    pg->done(pg->data, &reply);
    PQclear(reply.rows);
}


int64_t
sim_pg_due(const pg_t *pg, bool paused)
{
    if (pg->state == PG_CONNECTING) {
        return paused ? INT64_MAX : pg->connect;
    }

    if (pg->state != PG_BUSY) {
        return pg->broken ? sim.now + 1 : INT64_MAX;
    }

    if (!pg->executed) {
        return paused && pg->copy ? INT64_MAX : pg->execute;
    }

    return paused ? INT64_MAX : pg->answer;
}
