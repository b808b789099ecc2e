/* Decimals as Kafka Connect writes them: base64 of a whole number's bytes. */

#ifndef SLUICE_ROW_DECIMAL_H
#define SLUICE_ROW_DECIMAL_H


#include "row/field.h"


/*
 * A whole number in two's complement, first byte first, in base64; "scale" of
 * its digits are decimals.
 */
int row_decimal(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len, int32_t scale);


#endif
