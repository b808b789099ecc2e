/* Whose fault each class of SQLSTATE is. */

#include <stdio.h>
#include <string.h>

#include "postgres/sqlstate.h"
#include "tap.h"


static const struct {
    const char         *state;
    const char         *constraint;
    const char         *function;
    sqlstate_action_t   action;
} cases[] = {
    { "00000", NULL, NULL, SQLSTATE_HOLD },
    { "01000", NULL, NULL, SQLSTATE_HOLD },
    { "02000", NULL, NULL, SQLSTATE_HOLD },
    { "SL001", NULL, NULL, SQLSTATE_FENCED },
    { "SL002", NULL, NULL, SQLSTATE_HOLD },
    { "08006", NULL, NULL, SQLSTATE_RECONNECT },
    { "0A000", NULL, NULL, SQLSTATE_HOLD },
    { "21000", NULL, NULL, SQLSTATE_HOLD },
    { "22P02", NULL, NULL, SQLSTATE_ROW },
    { "22003", NULL, NULL, SQLSTATE_ROW },
    { "23502", NULL, NULL, SQLSTATE_ROW },
    { "23503", "t_fkey", NULL, SQLSTATE_ROW_LATER },
    { "23505", "t_pkey", NULL, SQLSTATE_ROW },
    { "23514", "t_check", NULL, SQLSTATE_ROW },
    { "23514", "", NULL, SQLSTATE_HOLD },
    { "23514", NULL, NULL, SQLSTATE_HOLD },
    { "25006", NULL, NULL, SQLSTATE_RECONNECT },
    { "25P02", NULL, NULL, SQLSTATE_RETRY },
    { "28P01", NULL, NULL, SQLSTATE_HOLD },
    { "3D000", NULL, NULL, SQLSTATE_HOLD },
    { "38000", NULL, NULL, SQLSTATE_HOLD },
    { "3B001", NULL, NULL, SQLSTATE_RETRY },
    { "3F000", NULL, NULL, SQLSTATE_HOLD },
    { "40001", NULL, NULL, SQLSTATE_RETRY },
    { "40P01", NULL, NULL, SQLSTATE_RETRY },
    { "42P01", NULL, NULL, SQLSTATE_HOLD },
    { "42501", NULL, "aclcheck_error", SQLSTATE_HOLD },
    { "42501", NULL, "ExecWithCheckOptions", SQLSTATE_ROW },
    { "44000", NULL, NULL, SQLSTATE_ROW },
    { "53100", NULL, NULL, SQLSTATE_RETRY },
    { "54000", NULL, NULL, SQLSTATE_ROW },
    { "55P03", NULL, NULL, SQLSTATE_RETRY },
    { "57014", NULL, NULL, SQLSTATE_RETRY },
    { "57P01", NULL, NULL, SQLSTATE_RECONNECT },
    { "58030", NULL, NULL, SQLSTATE_RETRY },
    { "P0001", NULL, NULL, SQLSTATE_ROW },
    { "XX000", NULL, NULL, SQLSTATE_RETRY },
    { "ZZ999", NULL, NULL, SQLSTATE_HOLD }
};


/* What no row can cause. */
static const char *const  never[] = {
    "SL001", "SL002", "08006", "25006", "25P02", "28P01", "3B001", "3D000",
    "3F000", "40001", "40P01", "42501", "42P01", "55P03", "57P01"
};

static const char *const  perhaps[] = {
    "01000", "0A000", "21000", "22P02", "23505", "38000", "42601", "42883",
    "53100", "53200", "54000", "55000", "57014", "58030", "P0001", "XX000",
    "ZZ999"
};


static bool
may_be_row(const char *state, const char *constraint, bool in_copy)
{
    pg_reply_t  reply;

    memset(&reply, 0, sizeof(reply));
    snprintf(reply.sqlstate, sizeof(reply.sqlstate), "%s", state);
    snprintf(reply.constraint, sizeof(reply.constraint), "%s", constraint);
    reply.in_copy = in_copy;

    return sqlstate_may_be_row(&reply);
}


int
main(void)
{
    size_t  i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is(sqlstate_action(cases[i].state, cases[i].constraint,
                           cases[i].function),
           cases[i].action, cases[i].state);
    }

    for (i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        is(may_be_row(never[i], "c", false), 0, never[i]);
    }

    for (i = 0; i < sizeof(perhaps) / sizeof(perhaps[0]); i++) {
        is(may_be_row(perhaps[i], "c", false), 1, perhaps[i]);
    }

    is(may_be_row("23514", "", false), 0, "no partition for a row");
    is(may_be_row("23514", "c", false), 1, "a check that is violated");
    is(may_be_row("42P01", "", true), 1, "a value that names no table");

    is(sqlstate_tries("57014"), 1, "a statement's time is not waited again");
    is(sqlstate_tries("53200"), 3, "memory may be there at the next try");
    is(sqlstate_tries("XX000"), 0, "fewer records are not the first cure");

    is(sqlstate_action(NULL, NULL, NULL), SQLSTATE_OK, "no SQLSTATE");
    is(sqlstate_action("", NULL, NULL), SQLSTATE_OK, "an empty one");

    return tap_done();
}
