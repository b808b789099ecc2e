/* The days of the Gregorian calendar, and the times of RFC 3339. */

#ifndef SLUICE_CALENDAR_H
#define SLUICE_CALENDAR_H


#include <stdint.h>


#pragma GCC visibility push(hidden)

/* Whether there is such a date; any numbers may be asked for. */
int calendar_has(int64_t year, int month, int day);

/* Days since 1970-01-01 of a date that there is; year 0 is 1 BC. */
int64_t calendar_days(int64_t year, int month, int day);

/* "2026-01-31" before "end" as days since 1970: 0, or -1 if it is none. */
int calendar_date(const char *p, const char *end, int64_t *days);

/*
 * A date-time of RFC 3339, section 5.6, as ms since 1970; a space may stand for
 * its "T".  Returns 0; 1 for a leap second (section 5.7), which counts as the
 * first of the next day; -1 if it is none.
 */
int calendar_time(const char *p, const char *end, int64_t *ms);

/* "n" digits at "p" as a number, -1 if there are fewer before "end". */

static inline int
calendar_digits(const char *p, const char *end, int n)
{
    int  value;

    if (end - p < n) {
        return -1;
    }

    for (value = 0; n; n--, p++) {
        if (*p < '0' || *p > '9') {
            return -1;
        }
        value = value * 10 + (*p - '0');
    }

    return value;
}

#pragma GCC visibility pop


#endif
