/*
 * An attempt to connect, on a thread of its own: a resolver and libpq's own
 * time-outs may block it, not the loop.  One thread at the most.
 */

#ifndef SLUICE_ATTEMPT_H
#define SLUICE_ATTEMPT_H


#include <libpq-fe.h>
#include <stdbool.h>


typedef struct attempt_s  attempt_t;


/* "name" is copied.  NULL: no memory, or no descriptor. */
attempt_t *attempt_create(const char *name);

/* Never waits: a thread that runs frees the attempt at its end. */
void attempt_destroy(attempt_t *attempt);

/*
 * Begins, or goes on with the attempt that was left if that has not ended: with
 * the old conninfo then.  Frees "conninfo".  -1: no thread.
 */
int attempt_start(attempt_t *attempt, char *conninfo);

/* Nobody waits any more: the connection is closed once it is there. */
void attempt_leave(attempt_t *attempt);

bool attempt_busy(const attempt_t *attempt);

/* For poll(): readable at the end. */
int attempt_fd(const attempt_t *attempt);

/*
 * Whether it has ended.  *conn is the caller's then: a connection, also a
 * failed one with its error, or NULL (no memory).
 */
bool attempt_take(attempt_t *attempt, PGconn **conn);


#endif
