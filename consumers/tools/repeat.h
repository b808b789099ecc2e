/* Whether records may be read a second time without harm to their rows. */

#ifndef SLUICE_REPEAT_H
#define SLUICE_REPEAT_H


#include "tools/tool.h"


/*
 * Whether the topic is still the one whose records are stored, and whether a
 * record that is read twice leaves one row in each table.  Kafka has to have
 * been asked.  Returns 0, or -1 with the way out said.
 */
int repeat_check(tool_t *tool);

/* Whether --into TABLE, or NULL, can be meant.  Returns 0, or -1, said. */
int repeat_check_into(const conf_t *conf, const char *into);


#endif
