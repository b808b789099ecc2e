/* Checks whether records can be stored a second time without damage. */

#ifndef SLUICE_REPEAT_H
#define SLUICE_REPEAT_H


#include "tools/tool.h"


/*
 * Checks that the topic was not created again since its records were stored,
 * and that a record stored twice makes one row in each table.  tool->log must
 * be known.  Returns 0, or -1 after an error line that names the way out.
 */
int repeat_check(tool_t *tool);

/*
 * Makes "into" the table of "conf", a copy of the configuration, and refuses it
 * with "route".  "schema" is the caller's to free.  Returns 0 or -1.
 */
int repeat_into(conf_t *conf, char *into, char **schema);


#endif
