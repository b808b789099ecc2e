/*
 * What a daemon does before and with its first batch, done without a record in
 * a transaction that is rolled back.  What returns -1 has printed a line that
 * begins with tool->section.
 */

#ifndef SLUICE_REHEARSE_H
#define SLUICE_REHEARSE_H


#include "postgres/target.h"
#include "tools/tool.h"


/* Opens the transaction, as a daemon does; the end of the session ends it. */
int rehearse_begin(tool_t *tool);

/*
 * What has no schema is found by the role's search_path from here on, or no
 * more if "own".  Returns 0 or -1.
 */
int rehearse_path(tool_t *tool, bool own);

/*
 * Makes and looks up the table of "conf", one of the configuration's, plans
 * its rows and stores none of them by each statement of its mode.  "target"
 * holds what was found, after -1, too.  The table is as before afterwards.
 */
int rehearse_table(tool_t *tool, const conf_t *conf, target_t *target);

/*
 * Makes schema "sluice" where a daemon would, and claims, moves and stores
 * what a batch does there, for a partition that no topic has.
 */
int rehearse_own(tool_t *tool);


#endif
