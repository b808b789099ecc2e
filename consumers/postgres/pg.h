/*
 * A connection to PostgreSQL that never blocks: one query string a time.
 *
 * Room: the connection, SQL text, catalogue, DDL, SQLSTATEs.
 */

#ifndef SLUICE_PG_H
#define SLUICE_PG_H


#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>


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
    char          context[1024];
} pg_reply_t;


/*
 * Called once a query string, from pg_io(); "rows" is freed behind it.  It
 * may send the next query.
 */
typedef void (*pg_done_pt)(void *data, const pg_reply_t *reply);

/*
 * The next bytes of a COPY FROM STDIN: sets *chunk and returns how many, 0
 * at the end.  They stay valid until the next call.
 */
typedef size_t (*pg_copy_pt)(void *data, const char **chunk);

/*
 * Connected (error NULL), or not, with the server's SQLSTATE or "".  A failed
 * connection is closed before the call.
 */
typedef void (*pg_ready_pt)(void *data, const char *error,
    const char *sqlstate);


/* "conninfo" and "name" must outlive the connection. */
pg_t *pg_create(const char *conninfo, const char *name, pg_ready_pt ready,
    void *data);
void pg_destroy(pg_t *pg);

void pg_connect(pg_t *pg);
/* Drops the session; no handler is called any more. */
void pg_close(pg_t *pg);

pg_state_t pg_state(const pg_t *pg);
PGconn *pg_conn(const pg_t *pg);

/*
 * Sends a query string.  At most one of its statements is a COPY, which
 * takes its bytes from "copy".  Only when PG_IDLE.
 */
void pg_query(pg_t *pg, const char *sql, pg_copy_pt copy, pg_done_pt done,
    void *data);

/*
 * Lets the next query's failure leave its transaction as it is; otherwise it
 * is rolled back before "done" is called.
 */
void pg_keep_failed(pg_t *pg);

/* ms, monotonic, since when the query has been under way; 0: none is. */
int64_t pg_busy_since(const pg_t *pg);

/*
 * The SQLSTATE (6 bytes) that ended the last query or attempt to connect
 * that failed; "" when it was taken already.
 */
void pg_take_failure(pg_t *pg, char *sqlstate);

/* For poll(): -1 when closed. */
int pg_fd(const pg_t *pg);
short pg_events(const pg_t *pg);
void pg_io(pg_t *pg, short revents);

/* To be called at least at pg_deadline() (ms, monotonic; 0: none). */
void pg_tick(pg_t *pg, int64_t now);
int64_t pg_deadline(const pg_t *pg);


#endif
