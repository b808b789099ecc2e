/* Decimal numbers, read digit by digit: a double would lose some. */

#ifndef SLUICE_NUMBER_H
#define SLUICE_NUMBER_H


#include "base/buf.h"
#include "conf/conf.h"


/*
 * The microseconds that "s" is in its unit, rounded to the nearest.  Returns
 * 0; 1 if they are out of range; -1 if "s" is no number.
 */
int row_unix(const char *s, size_t len, conf_epoch_t unit, int64_t *us);

/*
 * The exponent behind a number's digits: 0 of nothing, else "e" or "E" and a
 * number, cut at a hundred thousand.  Returns -1 if no number follows.
 */
int row_exponent(const char *p, const char *end, long *exponent);

/*
 * The same number in its shortest form, in "out": "12" of "12.00", "+12" and
 * "1.2e1".  Returns 0; 1 if "s" is no number, or not whole, or has more than
 * 41 digits; -1 when memory is short.
 */
int row_whole(const char **s, size_t *len, buf_t *out);


#endif
