/* Text and bytes become a field, by the column's type. */

#ifndef SLUICE_ROW_TEXT_H
#define SLUICE_ROW_TEXT_H


#include "row/field.h"


/* UTF-8 without a zero byte, as a string of JSON would hold it. */
int row_text(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len);

/*
 * Any bytes (a key, a header, a whole value): transformed, and text unless
 * the column is of bytea.
 */
int row_bytes(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len);

/* A text that was made of a value: transformed, and then as row_text(). */
int row_formed(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len);

/* The bytes that base64 stands for, of either alphabet, in ctx->decoded. */
int row_base64(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len);

/*
 * A decimal as Kafka Connect writes it: base64 of a whole number in two's
 * complement, first byte first; "scale" of its digits are decimals.
 */
int row_decimal(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len, int32_t scale);

/* A whole number; a column of an integer type takes one within its range. */
int row_integer(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len);

/*
 * Takes zero bytes out of *s as "nul" says, in memory of "ctx"; sets no fault.
 * Returns 0; 1 if it is no UTF-8 then, or has a zero byte that "nul" rejects;
 * -1 when memory is short.
 */
int row_clean(row_ctx_t *ctx, const char **s, size_t *len);

#define ROW_REPLACEMENT  "\xef\xbf\xbd"    /* U+FFFD, of CONF_NUL_REPLACE */


#endif
