/* Whether records may be read a second time without spoiling rows. */

#ifndef SLUICE_REPEAT_H
#define SLUICE_REPEAT_H


#include "tools/tool.h"


/*
 * Checks that the topic is the one whose records are stored, and that a record
 * that is read twice leaves one row in each table.  tool->log must be known.
 * Returns 0, or -1 after an error line that names the way out.
 */
int repeat_check(tool_t *tool);

/* Refuses --into with "route"; "into" may be NULL.  Returns 0 or -1. */
int repeat_check_into(const conf_t *conf, const char *into);


#endif
