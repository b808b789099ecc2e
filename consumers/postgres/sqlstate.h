/* What the daemon does after an error of PostgreSQL. */

#ifndef SLUICE_SQLSTATE_H
#define SLUICE_SQLSTATE_H


#include "postgres/pg.h"


#define SQL_REASON  (PG_REASON + 128)


typedef enum {
    SQLSTATE_OK = 0,
    SQLSTATE_ROW,          /* dead letter for the record */
    SQLSTATE_ROW_LATER,    /* retry a while, then as SQLSTATE_ROW */
    SQLSTATE_RETRY,        /* roll back, then the same batch again */
    SQLSTATE_SMALLER,      /* roll back, then read fewer records at a time */
    SQLSTATE_RECONNECT,    /* the session is lost */
    SQLSTATE_FENCED,       /* another daemon took the partition over */
    SQLSTATE_HOLD          /* wait until a person mends it; skip nothing */
} sqlstate_action_t;


/* How a piece of work ended; "reason" is "" where it went well. */
typedef struct {
    sqlstate_action_t  action;
    char               reason[SQL_REASON];
} outcome_t;

/* Called once, when a piece of work has ended. */
typedef void (*outcome_pt)(void *data, const outcome_t *outcome);


/*
 * The action for an SQLSTATE, an error's five characters; NULL and "" give
 * SQLSTATE_OK, nothing else does.  "constraint" is the constraint's name,
 * "function" the function of the server's source, each NULL where the report
 * has none.
 */
sqlstate_action_t sqlstate_action(const char *state, const char *constraint,
    const char *function);

/*
 * Whether one row's value may be the cause of an error, so that it is worth
 * to look for that row.  It never is where a grant or a table is missing, a
 * lock is held or the server is going down.
 */
bool sqlstate_may_be_row(const pg_reply_t *reply);

/* Whether no partition of a table takes a row. */
bool sqlstate_no_partition(const char *state, const char *constraint);

/*
 * Where less work in one transaction may help (time, memory, locks, disk): how
 * many tries fail before fewer records are read at a time; else 0.
 */
unsigned sqlstate_tries(const char *state);

/* The outcome of a query; "what", "could not do this", begins the reason. */
void sqlstate_outcome(outcome_t *outcome, const pg_reply_t *reply,
    const char *what);

/* Calls "done" with that outcome; a longer reason is cut. */
void sqlstate_end(outcome_pt done, void *data, sqlstate_action_t action,
    const char *reason);


#endif
