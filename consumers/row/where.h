/* The filter "where": which records are stored. */

#ifndef SLUICE_WHERE_H
#define SLUICE_WHERE_H


#include "row/path.h"


/*
 * Whether the record is stored.  "slots" are those of the condition's fields in
 * "paths", which the record's document has resolved, by their numbers.  NULL:
 * the record has no fields, and what is asked of one holds.
 */
bool row_where(const conf_where_t *where, const row_ctx_t *ctx,
    const row_paths_t *paths, const uint32_t *slots);

/*
 * Adds the paths of the condition's fields, and their slots to "slots", which
 * grows by malloc().  Returns -1 when memory is short.
 */
int row_where_paths(const conf_where_t *where, row_paths_t *paths,
    uint32_t **slots);


#endif
