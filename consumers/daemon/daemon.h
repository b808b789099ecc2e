/*
 * The daemon: one thread, one loop over Kafka, PostgreSQL, HTTP, signals.
 *
 * Room: the loop, its states and troubles, metrics and health.
 */

#ifndef SLUICE_DAEMON_H
#define SLUICE_DAEMON_H


#include "conf/conf.h"


#define DAEMON_RELOAD  (-1)    /* run again, by exec */


/*
 * Runs until it is told to stop; returns the exit status, or DAEMON_RELOAD
 * when SIGHUP found a configuration that can be used.  Threads and
 * connections are then left to exec.  "proof", or NULL, is called at the end
 * of a run that went well and says the exit status: what is taken down behind
 * it may take long, and the process ends with it then.
 */
int daemon_run(const conf_t *conf, int (*proof)(const conf_t *conf));


#endif
