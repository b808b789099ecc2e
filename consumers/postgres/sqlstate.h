/* Whose fault an SQLSTATE is. */

#ifndef SLUICE_SQLSTATE_H
#define SLUICE_SQLSTATE_H


#include "postgres/pg.h"


#define SQL_REASON  (PG_REASON + 128)


typedef enum {
    SQLSTATE_OK = 0,
    SQLSTATE_ROW,          /* dead letter for the record */
    SQLSTATE_ROW_LATER,    /* retry a while, then the row's */
    SQLSTATE_RETRY,        /* roll back, the same batch again */
    SQLSTATE_RECONNECT,    /* the session is of no use any more */
    SQLSTATE_FENCED,       /* another daemon took the partition over */
    SQLSTATE_HOLD          /* somebody has to mend it; nothing is skipped */
} sqlstate_action_t;


/* How a piece of work ended, and why it did not go well. */
typedef struct {
    sqlstate_action_t  action;
    char               reason[SQL_REASON];
} outcome_t;

/* Called once, when a piece of work has ended. */
typedef void (*outcome_pt)(void *data, const outcome_t *outcome);


/*
 * "state" is an error's five characters, which are never SQLSTATE_OK; NULL or
 * empty where there was none.  "constraint" is the constraint's name,
 * "function" the server's source function, each NULL where the report has
 * none.
 */
sqlstate_action_t sqlstate_action(const char *state, const char *constraint,
    const char *function);

/* What a reply means; "what", "could not do this", begins the reason. */
void sqlstate_outcome(outcome_t *outcome, const pg_reply_t *reply,
    const char *what);


#endif
