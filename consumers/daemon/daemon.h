/*
 * The daemon: one thread, one loop over Kafka, PostgreSQL, HTTP, signals.
 *
 * Room: the loop, its states and troubles, metrics and health.
 */

#ifndef SLUICE_DAEMON_H
#define SLUICE_DAEMON_H


#include "conf/conf.h"


#define DAEMON_RELOAD  256    /* run again, by exec: no exit status */


/* Options of a replay's run; all zero for the service. */
typedef struct {
    const int64_t  *until;     /* by partition: the offset before which it
                                  ends; NULL: the run ends by a signal */
    int32_t         nuntil;    /* partitions in "until" */

    /*
     * Called when all partitions have reached their ends.  Returns the exit
     * status of the process.
     */
    int           (*proof)(const conf_t *conf);
} daemon_options_t;


/*
 * Runs until a signal stops it or a replay reaches its end; "options" may be
 * NULL.  Returns the exit status, or DAEMON_RELOAD after a SIGHUP with a valid
 * configuration: the caller then calls exec(), which ends threads and
 * connections.
 */
int daemon_run(const conf_t *conf, const daemon_options_t *options);


#endif
