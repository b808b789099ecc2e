/* --check: the configuration against the live broker and database. */

#ifndef SLUICE_CHECK_H
#define SLUICE_CHECK_H


#include "conf/conf.h"


/* Prints what would happen; returns the exit status. */
int check_run(const conf_t *conf);


#endif
