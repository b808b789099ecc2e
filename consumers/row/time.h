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

/*
 * The point of time that PostgreSQL reads from the text whatever the session's
 * settings are: ISO 8601, in UTC if the type has a zone.  Returns 1 for any
 * other text.
 */
int row_time_read(type_kind_t kind, const char *s, size_t len,
    row_moment_t *moment);

/* As row_time(), of "us" since 1970, with 3 or 6 digits of the fraction. */
int row_instant(row_ctx_t *ctx, const row_column_t *column, int64_t us,
    size_t digits);


#endif
