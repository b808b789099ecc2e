/* What the daemon does after an error of PostgreSQL: one table, by SQLSTATE. */

#include <stdio.h>
#include <string.h>

#include "postgres/sqlstate.h"


typedef struct {
    const char         *prefix;    /* of the SQLSTATE: a class or a code */
    sqlstate_action_t   action;
    bool                row;       /* a row may be the cause */
} sqlstate_rule_t;


static const sqlstate_rule_t *sqlstate_rule(const char *state);
static bool sqlstate_no_partition(const char *state, const char *constraint);


/*
 * The codes are those of PostgreSQL's manual, appendix A.  A longer prefix
 * stands before its class.  A code that no line names holds.  So does an error
 * that a function raises with a warning's code (01, 02): it ends the
 * transaction like any other.
 */
static const sqlstate_rule_t  sqlstate_rules[] = {
    { "SL001", SQLSTATE_FENCED, false },
    { "SL",    SQLSTATE_HOLD, false },
    { "08",    SQLSTATE_RECONNECT, false },
    { "22",    SQLSTATE_ROW, true },
    /* the row referred to may yet come */
    { "23503", SQLSTATE_ROW_LATER, true },
    { "23",    SQLSTATE_ROW, true },
    /* read only: the primary moved */
    { "25006", SQLSTATE_RECONNECT, false },
    { "25",    SQLSTATE_RETRY, false },
    /* a savepoint that the last string was to make */
    { "3B",    SQLSTATE_RETRY, false },
    { "40",    SQLSTATE_RETRY, false },
    { "44",    SQLSTATE_ROW, true },
    { "53",    SQLSTATE_RETRY, true },
    { "54",    SQLSTATE_ROW, true },
    /* a lock that somebody holds */
    { "55P03", SQLSTATE_RETRY, false },
    { "55",    SQLSTATE_RETRY, true },
    { "57P",   SQLSTATE_RECONNECT, false },
    { "57",    SQLSTATE_RETRY, true },
    { "58",    SQLSTATE_RETRY, true },
    { "P0",    SQLSTATE_ROW, true },
    { "XX",    SQLSTATE_RETRY, true },
    { "28",    SQLSTATE_HOLD, false },
    { "3D",    SQLSTATE_HOLD, false },
    { "3F",    SQLSTATE_HOLD, false },
    { "42501", SQLSTATE_HOLD, false },
    { "42P01", SQLSTATE_HOLD, false },
    { "",      SQLSTATE_HOLD, true }
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

static bool
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


bool
sqlstate_may_be_row(const char *state, const char *constraint)
{
    return sqlstate_rule(state)->row
           && !sqlstate_no_partition(state, constraint);
}


bool
sqlstate_is_size(const char *state)
{
    return strncmp(state, "53", 2) == 0 || strcmp(state, "57014") == 0;
}


/*
 * Some types report a wrong value in class 42: a tsquery, or a regclass whose
 * name does not exist.  COPY then names the column on the first line of the
 * context.  A missing grant is not a value's fault.
 */

static bool
sqlstate_of_value(const pg_reply_t *reply)
{
    const char  *p;

    if (strncmp(reply->sqlstate, "42", 2) != 0
        || strcmp(reply->sqlstate, "42501") == 0
        || strncmp(reply->context, "COPY ", 5) != 0)
    {
        return false;
    }

    p = strstr(reply->context, ", line ");

    if (p == NULL) {
        return false;
    }

    p += sizeof(", line ") - 1;
    p += strspn(p, "0123456789");

    return strncmp(p, ", column ", sizeof(", column ") - 1) == 0;
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

        if (outcome->action == SQLSTATE_HOLD && sqlstate_of_value(reply)) {
            outcome->action = SQLSTATE_ROW;
        }
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
