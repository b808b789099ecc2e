/* The daemon: one thread, one loop over Kafka, PostgreSQL, HTTP, signals. */

#ifndef SLUICE_DAEMON_H
#define SLUICE_DAEMON_H


#include "conf.h"


#define DAEMON_RELOAD  (-1)    /* run again, by exec */


/*
 * Runs until it is told to stop; returns the exit status, or DAEMON_RELOAD
 * when SIGHUP found a configuration that can be used.  Threads and
 * connections are then left to exec.
 */
int daemon_run(conf_t *conf);


#endif
