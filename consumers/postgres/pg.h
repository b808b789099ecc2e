/*
 * A connection to PostgreSQL that never blocks: one query string at a time.
 *
 * Room: the connection, SQL text, catalogue, DDL, SQLSTATEs.
 */

#ifndef SLUICE_PG_H
#define SLUICE_PG_H


#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"


#define PG_REASON  512


typedef struct pg_s  pg_t;


typedef enum {
    PG_CLOSED = 0,
    PG_CONNECTING,
    PG_IDLE,
    PG_BUSY
} pg_state_t;


/* How a query string ended. */
typedef struct {
    PGresult     *rows;            /* the last result with rows, or NULL */
    bool          lost;            /* the connection is gone */
    char          sqlstate[6];     /* "" when all went well */
    char          reason[PG_REASON];
    char          constraint[64];
    char          function[64];    /* of the server's source */
    bool          in_copy;         /* its context has one line: no function
                                      and no trigger was at work */
} pg_reply_t;


/*
 * Called once for each query string, from pg_io() or pg_tick().  "reply" and
 * its rows are freed after the call, which may send the next query.
 */
typedef void (*pg_done_pt)(void *data, const pg_reply_t *reply);

/*
 * The next bytes of a COPY FROM STDIN: sets *chunk and returns how many, 0
 * at the end.  They stay valid until the next call.
 */
typedef size_t (*pg_copy_pt)(void *data, const char **chunk);

/*
 * Called when a connection is made ("error" is NULL), and when one failed or
 * was lost while idle, with the server's SQLSTATE or "".  In these cases it is
 * closed already.
 */
typedef void (*pg_ready_pt)(void *data, const char *error,
    const char *sqlstate);


/*
 * "conf" must outlive the connection.  A conninfo from a file is read again at
 * each pg_connect().
 */
pg_t *pg_create(const conf_t *conf, const char *name, pg_ready_pt ready,
    void *data);
void pg_destroy(pg_t *pg);

void pg_connect(pg_t *pg);
/* Drops the session without calling a handler. */
void pg_close(pg_t *pg);

pg_state_t pg_state(const pg_t *pg);
/* Whether a thread connects, also for a session that was dropped meanwhile. */
bool pg_on_thread(const pg_t *pg);
PGconn *pg_conn(const pg_t *pg);

/*
 * Sends a query string.  At most one of its statements is a COPY, which
 * takes its bytes from "copy".  Only when PG_IDLE.
 */
void pg_query(pg_t *pg, const char *sql, pg_copy_pt copy, pg_done_pt done,
    void *data);

/*
 * Leaves the transaction open if the next query fails.  Without this call it
 * is rolled back before "done" is called.
 */
void pg_keep_failed(pg_t *pg);

/* When the query under way was sent (ms, monotonic); 0: none is. */
int64_t pg_busy_since(const pg_t *pg);

/*
 * Writes the SQLSTATE (6 bytes) of the last failure, of a query or of a
 * connection, once; "" after that.
 */
void pg_take_failure(pg_t *pg, char *sqlstate);

/* For poll(): -1 when closed. */
int pg_fd(const pg_t *pg);
short pg_events(const pg_t *pg);
void pg_io(pg_t *pg, short revents);

/* Call pg_tick() at pg_deadline() (ms, monotonic; 0: none) or before. */
void pg_tick(pg_t *pg, int64_t now);
int64_t pg_deadline(const pg_t *pg);


#endif
