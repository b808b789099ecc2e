/* What the daemon does after an error of PostgreSQL: one table, by SQLSTATE. */

#include <stdio.h>
#include <string.h>

#include "postgres/sqlstate.h"


typedef struct {
    const char         *prefix;    /* of the SQLSTATE: a class or a code */
    sqlstate_action_t   action;
    bool                row;       /* a row may be the cause */
    unsigned            tries;     /* before fewer records are read; 0: their
                                      number is no cause */
} sqlstate_rule_t;


static const sqlstate_rule_t *sqlstate_rule(const char *state);


/*
 * The codes are those of PostgreSQL's manual, appendix A.  A longer prefix
 * stands before its class.  A code that no line names holds.  So does an error
 * that a function raises with a warning's code (01, 02): it ends the
 * transaction like any other.
 */
static const sqlstate_rule_t  sqlstate_rules[] = {
    { "SL001", SQLSTATE_FENCED, false, 0 },
    { "SL",    SQLSTATE_HOLD, false, 0 },
    { "08",    SQLSTATE_RECONNECT, false, 0 },
    { "22",    SQLSTATE_ROW, true, 0 },
    /* the row referred to may yet come */
    { "23503", SQLSTATE_ROW_LATER, true, 0 },
    { "23",    SQLSTATE_ROW, true, 0 },
    /* read only: the primary moved */
    { "25006", SQLSTATE_RECONNECT, false, 0 },
    { "25",    SQLSTATE_RETRY, false, 0 },
    /* a savepoint that the last string was to make */
    { "3B",    SQLSTATE_RETRY, false, 0 },
    { "40",    SQLSTATE_RETRY, false, 0 },
    { "44",    SQLSTATE_ROW, true, 0 },
    { "53",    SQLSTATE_RETRY, true, 3 },
    { "54",    SQLSTATE_ROW, true, 0 },
    /* a lock that somebody holds */
    { "55P03", SQLSTATE_RETRY, false, 0 },
    { "55",    SQLSTATE_RETRY, true, 0 },
    { "57P",   SQLSTATE_RECONNECT, false, 0 },
    /* the try took a minute */
    { "57014", SQLSTATE_RETRY, true, 1 },
    { "57",    SQLSTATE_RETRY, true, 0 },
    { "58",    SQLSTATE_RETRY, true, 0 },
    { "P0",    SQLSTATE_ROW, true, 0 },
    { "XX",    SQLSTATE_RETRY, true, 0 },
    { "28",    SQLSTATE_HOLD, false, 0 },
    { "3D",    SQLSTATE_HOLD, false, 0 },
    { "3F",    SQLSTATE_HOLD, false, 0 },
    { "42501", SQLSTATE_HOLD, false, 0 },
    { "42P01", SQLSTATE_HOLD, false, 0 },
    { "",      SQLSTATE_HOLD, true, 0 }
};


static const sqlstate_rule_t *
sqlstate_rule(const char *state)
{
    const sqlstate_rule_t  *rule;

    rule = sqlstate_rules;

    while (strncmp(state, rule->prefix, strlen(rule->prefix)) != 0) {
        rule++;
    }

    return rule;
}


/* "no partition of relation found for row" names no constraint. */

bool
sqlstate_no_partition(const char *state, const char *constraint)
{
    return strcmp(state, "23514") == 0
           && (constraint == NULL || constraint[0] == '\0');
}


sqlstate_action_t
sqlstate_action(const char *state, const char *constraint,
    const char *function)
{
    if (state == NULL || state[0] == '\0') {
        return SQLSTATE_OK;
    }

    if (sqlstate_no_partition(state, constraint)) {
        return SQLSTATE_HOLD;
    }

    /* row-level security refuses a row with the code of a missing grant */
    if (strcmp(state, "42501") == 0 && function != NULL
        && strcmp(function, "ExecWithCheckOptions") == 0)
    {
        return SQLSTATE_ROW;
    }

    return sqlstate_rule(state)->action;
}


/*
 * Some types report a wrong value in class 42: a tsquery, or a regclass whose
 * name does not exist.  The context has one line then, that of COPY.  An error
 * of what a trigger or a function does has more.
 */

bool
sqlstate_may_be_row(const pg_reply_t *reply)
{
    if (sqlstate_no_partition(reply->sqlstate, reply->constraint)) {
        return false;
    }

    return sqlstate_rule(reply->sqlstate)->row
           || (strcmp(reply->sqlstate, "42P01") == 0 && reply->in_copy);
}


unsigned
sqlstate_tries(const char *state)
{
    return sqlstate_rule(state)->tries;
}


void
sqlstate_outcome(outcome_t *outcome, const pg_reply_t *reply, const char *what)
{
    outcome->reason[0] = '\0';

    if (reply->lost) {
        outcome->action = SQLSTATE_RECONNECT;

    } else {
        outcome->action = sqlstate_action(reply->sqlstate, reply->constraint,
                                          reply->function);
    }

    if (outcome->action != SQLSTATE_OK) {
        snprintf(outcome->reason, sizeof(outcome->reason), "%s: %s (%s)",
                 what, reply->reason, reply->sqlstate);
    }
}


void
sqlstate_end(outcome_pt done, void *data, sqlstate_action_t action,
    const char *reason)
{
    outcome_t  outcome;

    outcome.action = action;
    snprintf(outcome.reason, sizeof(outcome.reason), "%s", reason);
    done(data, &outcome);
}
