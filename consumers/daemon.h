/* The daemon: one thread, one loop over Kafka, PostgreSQL, HTTP, signals. */

#ifndef SLUICE_DAEMON_H
#define SLUICE_DAEMON_H


#include "conf.h"


/* Runs until it is told to stop; returns the exit status. */
int daemon_run(const conf_t *conf);


#endif
