/* "dead-letters replay": stores dead letters in the table. */

#ifndef SLUICE_DEAD_REPLAY_H
#define SLUICE_DEAD_REPLAY_H


#include "tools/tool.h"


/* run() of a command_t, on a dead_t.  Fails if a dead letter stays. */
int dead_replay_run(tool_t *tool);


#endif
