/* Fields out of what stands beside a record's value. */

#ifndef SLUICE_BESIDE_H
#define SLUICE_BESIDE_H


#include "row/field.h"


/* Bytes, such as the key; NULL is a null. */
int row_from_bytes(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len);

/* The column's header, or all of them as an object. */
int row_from_header(row_ctx_t *ctx, const row_column_t *column);
int row_from_headers(row_ctx_t *ctx, const row_column_t *column);

/* A number, such as the offset. */
int row_from_number(row_ctx_t *ctx, const row_column_t *column, int64_t n);

/* The record's timestamp.  A column of numbers gets milliseconds. */
int row_from_timestamp(row_ctx_t *ctx, const row_column_t *column);


#endif
