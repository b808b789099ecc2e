/* What the configuration's keys ask of each other. */

#ifndef SLUICE_CONF_CHECK_H
#define SLUICE_CONF_CHECK_H


#include "conf/reader.h"


/*
 * Checks what was read key by key, and completes it: the column of "rest",
 * what each table of "route" has from the configuration, conf->targets.
 * Returns 0, or -1 by conf_fail().
 */
int conf_check(conf_reader_t *cr, conf_t *conf);


#endif
