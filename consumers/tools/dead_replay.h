/* "dead-letters replay": into the table, as their records would go now. */

#ifndef SLUICE_DEAD_REPLAY_H
#define SLUICE_DEAD_REPLAY_H


#include "tools/tool.h"


/* As a subcommand's run(), on a dead_t.  Fails where one stays. */
int dead_replay_run(tool_t *tool);


#endif
