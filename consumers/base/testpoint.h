/* Places at which a test stops or kills the daemon: tests/lib/testpoint.c. */

#ifndef SLUICE_TESTPOINT_H
#define SLUICE_TESTPOINT_H


#include <stddef.h>
#include <stdint.h>


#ifdef SLUICE_TEST_POINTS

/*
 * SLUICE_TEST_STOP=NAME[:N] acts when NAME is reached for the Nth time (1):
 * SIGSTOP, or what SLUICE_TEST_SIGNAL says ("KILL", "ABRT").  Names:
 * before-copy, in-copy, after-copy, before-commit, after-commit,
 * after-partition.
 */
void testpoint(const char *name);
void testpoint_copy(size_t row);

/* SLUICE_TEST_GROUP: the group in Kafka alone; offsets stay the group's. */
const char *testpoint_group(const char *group);

/* SLUICE_TEST_TIMES=N: what has lasted so many ms counts as N times that. */
int64_t testpoint_lasted(int64_t ms);

#else

#define testpoint(name)
#define testpoint_copy(row)
#define testpoint_group(group)  (group)
#define testpoint_lasted(ms)    (ms)

#endif


#endif
