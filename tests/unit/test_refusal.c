/* What is read from libpq's text about a connection that failed. */

#include <stdio.h>

#include "postgres/pg_impl.h"
#include "tap.h"


#define HOST(name)  "connection to server at \"" name "\", port 5432 failed: "
#define PLACE       "LOCATION:  some_function, postmaster.c:2247\n"

#define REFUSED                                                               \
    "Connection refused\n\tIs the server running on that host?\n"
#define STARTING  "FATAL:  57P03: the database system is starting up\n"
#define PASSWORD  "FATAL:  28P01: password authentication failed\n"
#define DATABASE  "FATAL:  3D000: database \"x\" does not exist\n"


static const struct {
    const char  *error;
    const char  *sqlstate;
    const char  *end;        /* of the reason */
    const char  *what;
} cases[] = {
    { HOST("a") REFUSED, "", "on that host?", "no server answered" },
    { HOST("a") PASSWORD PLACE, "28P01", "authentication failed",
      "the server refused" },
    { HOST("a") DATABASE "DETAIL:  It was dropped just now.\n" PLACE, "3D000",
      "dropped just now.", "with a detail" },
    { HOST("a") DATABASE "HINT:  Check: it was dropped.\n" PLACE, "3D000",
      "it was dropped.", "with a hint that looks like a code" },
    { HOST("a") STARTING PLACE HOST("b") PASSWORD PLACE, "28P01",
      "authentication failed", "the last of two servers decides" },
    { HOST("a") REFUSED HOST("b") PASSWORD PLACE, "28P01",
      "authentication failed", "the second one answered" },
    { HOST("a") STARTING PLACE HOST("b") REFUSED, "57P03", "on that host?",
      "the first one answered" },
    { "", "", "", "an empty text" }
};


int
main(void)
{
    char    reason[PG_REASON], sqlstate[6];
    size_t  i, len, n;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        pg_refusal(cases[i].error, reason, sqlstate);

        is_str(sqlstate, cases[i].sqlstate, cases[i].what);

        len = strlen(reason);
        n = strlen(cases[i].end);
        ok(len >= n && strcmp(reason + len - n, cases[i].end) == 0
           && strstr(reason, "LOCATION") == NULL
           && strchr(reason, '\n') == NULL, "on one line: %s", reason);
    }

    return tap_done();
}
