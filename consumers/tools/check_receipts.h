/*
 * --check: whether "receipts.topic" exists or may be created, and whether it
 * may be produced to.
 */

#ifndef SLUICE_CHECK_RECEIPTS_H
#define SLUICE_CHECK_RECEIPTS_H


#include "tools/tool.h"


/*
 * To be called when tool_ask() has found the cluster.  A topic that exists gets
 * an empty receipt.  Prints what is found; returns 0 or -1.
 */
int check_receipts(tool_t *tool);


#endif
