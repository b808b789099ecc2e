/* The filter "where": which records are stored. */

#ifndef SLUICE_WHERE_H
#define SLUICE_WHERE_H


#include "row/path.h"


/*
 * Whether the record is stored.  "slot" is that of the field's path in
 * "paths", which the record's document has resolved.
 */
bool row_where(const conf_where_t *where, const row_ctx_t *ctx,
    const row_paths_t *paths, uint32_t slot);


#endif
