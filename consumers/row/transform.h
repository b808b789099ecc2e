/* The transforms of a column: each makes text of text. */

#ifndef SLUICE_TRANSFORM_H
#define SLUICE_TRANSFORM_H


#include "row/field.h"


/*
 * Prepares what a column's transforms need.  Returns -1 with a text in
 * "reason" ("size" bytes) where the system lacks it.
 */
int row_transform_ready(row_ctx_t *ctx, const row_column_t *column,
    char *reason, size_t size);

/*
 * Replaces *s and *len by what the column's transforms make of them, in
 * memory of "ctx".  The text has to be UTF-8.
 */
int row_transform(row_ctx_t *ctx, const row_column_t *column, const char **s,
    size_t *len);


#endif
