/* Checks that need more than one key of the configuration. */

#ifndef SLUICE_CONF_CHECK_H
#define SLUICE_CONF_CHECK_H


#include "conf/reader.h"


/*
 * Checks the configuration once all its keys are read, and completes it: the
 * column of "rest", what the tables of "route" share, conf->targets.  Returns
 * 0, or -1 by conf_fail().
 */
int conf_check(conf_reader_t *cr, conf_t *conf);

/*
 * topics.c: checks "topics" before the tables are known, and makes the
 * configuration and the target of each topic.
 */
int conf_check_topics(conf_reader_t *cr, conf_t *conf);
int conf_fill_topics(conf_reader_t *cr, conf_t *conf);

/*
 * grow.c: checks what the daemon adds to a table, "partitions" and "evolve".
 * "place" is where the table is, 0 for the configuration's own.
 */
int conf_check_grow(conf_reader_t *cr, const conf_t *conf, uint32_t place);


#endif
