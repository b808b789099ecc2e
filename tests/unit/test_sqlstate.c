/* Whose fault each class of SQLSTATE is. */

#include <stdio.h>

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


int
main(void)
{
    size_t  i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is(sqlstate_action(cases[i].state, cases[i].constraint,
                           cases[i].function),
           cases[i].action, cases[i].state);
    }

    is(sqlstate_action(NULL, NULL, NULL), SQLSTATE_OK, "no SQLSTATE");
    is(sqlstate_action("", NULL, NULL), SQLSTATE_OK, "an empty one");

    return tap_done();
}
