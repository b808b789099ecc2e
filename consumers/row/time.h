/* Times: ISO 8601 as it is written, Unix time in its unit, both in UTC. */

#ifndef SLUICE_TIME_H
#define SLUICE_TIME_H


#include "row/field.h"


#define ROW_TIME_UNIT  "a number is a time only with \"unit\""


/*
 * A text or number becomes a date, a time or both, as the column's type and
 * its "unit" say.
 */
int row_time(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len);

/* The same of "us" since 1970, with 3 or 6 digits of the fraction. */
int row_instant(row_ctx_t *ctx, const row_column_t *column, int64_t us,
    size_t digits);


#endif
