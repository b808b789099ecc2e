/*
 * Stops or kills the daemon at a named place.  Linked only into the daemon of
 * the tests.
 */

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/testpoint.h"


void
testpoint(const char *name)
{
    static unsigned  reached;

    int          number;
    size_t       len;
    unsigned     wanted;
    const char  *stop, *colon, *how;

    stop = getenv("SLUICE_TEST_STOP");
    if (stop == NULL) {
        return;
    }

    colon = strchr(stop, ':');
    len = colon ? (size_t) (colon - stop) : strlen(stop);
    wanted = colon ? (unsigned) strtoul(colon + 1, NULL, 10) : 1;

    if (strlen(name) != len || strncmp(name, stop, len) != 0
        || ++reached != wanted)
    {
        return;
    }

    how = getenv("SLUICE_TEST_SIGNAL");
    number = how == NULL ? SIGSTOP
             : strcmp(how, "KILL") == 0 ? SIGKILL
             : strcmp(how, "ABRT") == 0 ? SIGABRT : SIGSTOP;

    log_info("test point \"%s\" was reached", name);
    raise(number);
}


void
testpoint_copy(size_t row)
{
    if (row) {
        testpoint("in-copy");
    }
}


const char *
testpoint_group(const char *group)
{
    const char  *other;

    other = getenv("SLUICE_TEST_GROUP");

    return other ? other : group;
}


int64_t
testpoint_lasted(int64_t ms)
{
    const char  *times;

    times = getenv("SLUICE_TEST_TIMES");

    return times ? ms * strtol(times, NULL, 10) : ms;
}
