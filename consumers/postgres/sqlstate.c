/* What the daemon does after an error of PostgreSQL: one table, by SQLSTATE. */

#include <stdio.h>
#include <string.h>

#include "postgres/sqlstate.h"


typedef struct {
    const char         *prefix;    /* of the SQLSTATE: a class or a code */
    sqlstate_action_t   action;
} sqlstate_rule_t;


/*
 * The codes are those of PostgreSQL's manual, appendix A.  A longer prefix
 * stands before its class.  A code that no line names holds.  So does an error
 * that a function raises with a warning's code (01, 02): it ends the
 * transaction like any other.
 */
static const sqlstate_rule_t  sqlstate_rules[] = {
    { "SL001", SQLSTATE_FENCED },
    { "08",    SQLSTATE_RECONNECT },
    { "22",    SQLSTATE_ROW },
    { "23503", SQLSTATE_ROW_LATER },    /* the row referred to may yet come */
    { "23",    SQLSTATE_ROW },
    { "25006", SQLSTATE_RECONNECT },    /* read only: the primary moved */
    { "25",    SQLSTATE_RETRY },
    { "40",    SQLSTATE_RETRY },
    { "44",    SQLSTATE_ROW },
    { "53",    SQLSTATE_RETRY },
    { "54",    SQLSTATE_ROW },
    { "55",    SQLSTATE_RETRY },
    { "57P",   SQLSTATE_RECONNECT },
    { "57",    SQLSTATE_RETRY },
    { "58",    SQLSTATE_RETRY },
    { "P0",    SQLSTATE_ROW },
    { "XX",    SQLSTATE_RETRY },
    { "0A",    SQLSTATE_HOLD },
    { "21",    SQLSTATE_HOLD },
    { "28",    SQLSTATE_HOLD },
    { "3D",    SQLSTATE_HOLD },
    { "3F",    SQLSTATE_HOLD },
    { "42",    SQLSTATE_HOLD }
};


sqlstate_action_t
sqlstate_action(const char *state, const char *constraint,
    const char *function)
{
    size_t  i;

    if (state == NULL || state[0] == '\0') {
        return SQLSTATE_OK;
    }

    /* "no partition of relation found for row" names no constraint */
    if (strcmp(state, "23514") == 0
        && (constraint == NULL || constraint[0] == '\0'))
    {
        return SQLSTATE_HOLD;
    }

    /* row-level security refuses a row with the code of a missing grant */
    if (strcmp(state, "42501") == 0 && function != NULL
        && strcmp(function, "ExecWithCheckOptions") == 0)
    {
        return SQLSTATE_ROW;
    }

    for (i = 0; i < sizeof(sqlstate_rules) / sizeof(sqlstate_rules[0]); i++) {
        if (strncmp(state, sqlstate_rules[i].prefix,
                    strlen(sqlstate_rules[i].prefix)) == 0)
        {
            return sqlstate_rules[i].action;
        }
    }

    return SQLSTATE_HOLD;
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
