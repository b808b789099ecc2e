/* The filter "where": which records become rows at all. */

#ifndef SLUICE_WHERE_H
#define SLUICE_WHERE_H


#include "row/path.h"


typedef struct row_where_s  row_where_t;


/*
 * Adds the field's path to "paths"; the configuration has to outlive the
 * filter.  Returns NULL when memory is short or, with a text in "reason"
 * ("size" bytes), where the values are no JSON.
 */
row_where_t *row_where_create(const conf_where_t *conf, row_paths_t *paths,
    char *reason, size_t size);
void row_where_free(row_where_t *where);

/*
 * Whether the record is stored: 1, or 0; -1 when memory is short.  "paths"
 * is what the record's document has resolved.
 */
int row_where(row_where_t *where, const row_ctx_t *ctx,
    const row_paths_t *paths);


#endif
