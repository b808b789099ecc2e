/*
 * The daemon: one thread, one loop over Kafka, PostgreSQL, HTTP, signals.
 *
 * Room: the loop, its states and troubles, metrics and health.
 */

#ifndef SLUICE_DAEMON_H
#define SLUICE_DAEMON_H


#include "conf/conf.h"


#define DAEMON_RELOAD  256    /* run again, by exec: no exit status */


/* How a run differs from the service's; all zero: not at all. */
typedef struct {
    const int64_t  *until;     /* the offset a partition ends before, by its
                                  number; NULL: it runs until it is told to
                                  stop */
    int32_t         nuntil;    /* partitions that "until" knows */

    /*
     * Called at the end of a run that came to it; says the exit status.  What
     * is taken down behind it may take long, and the process ends with it
     * then.
     */
    int           (*proof)(const conf_t *conf);
} daemon_options_t;


/*
 * Runs until it is told to stop, or has come to its end; "options" may be
 * NULL.  Returns the exit status, or DAEMON_RELOAD when SIGHUP found a
 * configuration that can be used: threads and connections are then left to
 * exec.
 */
int daemon_run(const conf_t *conf, const daemon_options_t *options);


#endif
