/*
 * Dates and times as PostgreSQL's binary input reads them.  It knows ISO 8601
 * in the forms that row_time() writes or leaves as they are, whatever DateStyle
 * and TimeZone are; no names of zones and months, no words but "infinity".
 */

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "calendar.h"
#include "row/binary_time.h"


#define BINARY_EPOCH  10957    /* days from 1970-01-01 to 2000-01-01 */
#define BINARY_US     1000000LL
#define BINARY_DAY    (86400 * BINARY_US)

/* PostgreSQL's src/include/datatype/timestamp.h: 4714-11-24 BC to 294277 */
#define BINARY_FIRST  (-2451545 * BINARY_DAY)
#define BINARY_END    9223371331200000000LL


static int binary_infinity(type_kind_t kind, const char *s, size_t len,
    int64_t *n);
static int binary_date(binary_day_t *day, const char **p, const char *end,
    bool bc, int64_t *days);
static int binary_clock(const char **p, const char *end, int64_t *us);
static int binary_fraction(const char **p, const char *end, int64_t *us);


int
binary_time(type_kind_t kind, binary_day_t *day, const char *s, size_t len,
    int64_t *n)
{
    int          offset;
    bool         bc;
    int64_t      days, us;
    const char  *p, *end;

    if (kind != TYPE_TIME && binary_infinity(kind, s, len, n) == 0) {
        return 0;
    }

    p = s;
    end = s + len;
    offset = 0;
    days = us = 0;
    bc = kind != TYPE_TIME && len > 3 && memcmp(end - 3, " BC", 3) == 0;
    end -= bc ? 3 : 0;

    if (kind != TYPE_TIME) {
        if (binary_date(day, &p, end, bc, &days)) {
            return 1;
        }

        if (kind == TYPE_DATE) {
            *n = days;
            return p < end;
        }

        if (p == end || (*p != 'T' && *p != 't' && *p != ' ')) {
            return 1;
        }

        p++;
    }

    if (binary_clock(&p, end, &us)) {
        return 1;
    }

    if (kind == TYPE_TIMESTAMPTZ) {
        p = clock_offset(p, end, &offset);

        if (p == NULL) {
            return 1;
        }
    }

    *n = us;

    if (kind == TYPE_TIME) {
        return p < end || us > BINARY_DAY;
    }

    /* of six digits of a year at most, and so no overflow */

    if (p < end || days > 150000000 || days < -2500000) {
        return 1;
    }

    if (__builtin_mul_overflow(days, BINARY_DAY, n)
        || __builtin_add_overflow(*n, us - offset * BINARY_US, n))
    {
        return 1;
    }

    return *n < BINARY_FIRST || *n >= BINARY_END;
}


/* The largest and the smallest number of the type. */

static int
binary_infinity(type_kind_t kind, const char *s, size_t len, int64_t *n)
{
    bool  negative;

    negative = len && *s == '-';

    if (len != 8U + negative || memcmp(s + negative, "infinity", 8) != 0) {
        return 1;
    }

    *n = kind == TYPE_DATE ? (negative ? INT32_MIN : INT32_MAX)
                           : (negative ? INT64_MIN : INT64_MAX);

    return 0;
}


/* "2026-01-31", with four to six digits of the year. */

static int
binary_date(binary_day_t *day, const char **p, const char *end, bool bc,
    int64_t *days)
{
    int          n, year, month, mday;
    const char  *s;

    s = *p;

    if (day->len && !bc && (size_t) (end - s) >= day->len
        && memcmp(s, day->date, day->len) == 0)
    {
        *p = s + day->len;
        *days = day->days;
        return 0;
    }

    for (n = 0; s + n < end && s[n] >= '0' && s[n] <= '9'; n++) { /* void */ }

    if (n < 4 || n > 6 || end - s < n + 6 || s[n] != '-' || s[n + 3] != '-') {
        return 1;
    }

    year = clock_digits(s, end, n);
    month = clock_digits(s + n + 1, end, 2);
    mday = clock_digits(s + n + 4, end, 2);
    *p = s + n + 6;

    if (year < 1 || !calendar_has(bc ? 1 - year : year, month, mday)) {
        return 1;
    }

    *days = clock_days(bc ? 1 - year : year, month, mday) - BINARY_EPOCH;

    /* November of 4714 BC begins PostgreSQL's calendar */

    if (*days < -2451545) {
        return 1;
    }

    if (!bc) {
        day->len = (size_t) n + 6;
        memcpy(day->date, s, day->len);
        day->days = *days;
    }

    return 0;
}


/* "12:34", "12:34:56" or "12:34:56.789"; a leap second has number 60. */

static int
binary_clock(const char **p, const char *end, int64_t *us)
{
    int          hours, minutes, seconds;
    int64_t      fraction;
    const char  *s;

    s = *p;
    hours = clock_digits(s, end, 2);
    seconds = 0;
    fraction = 0;

    if (hours == -1 || end - s < 5 || s[2] != ':') {
        return 1;
    }

    minutes = clock_digits(s + 3, end, 2);
    s += 5;

    if (s < end && *s == ':') {
        seconds = clock_digits(s + 1, end, 2);
        s += 3;

        if (seconds == -1 || (s < end && *s == '.'
                              && binary_fraction(&s, end, &fraction)))
        {
            return 1;
        }
    }

    *p = s;
    *us = (hours * 3600 + minutes * 60 + seconds) * BINARY_US + fraction;

    return minutes < 0 || minutes > 59 || seconds > 60 || hours > 24
           || (hours == 24 && *us != BINARY_DAY);
}


/* Beyond six digits as ParseFractionalSecond() rounds it. */

static int
binary_fraction(const char **p, const char *end, int64_t *us)
{
    int          digits;
    char        *last;
    const char  *s;

    *us = 0;

    for (s = *p + 1, digits = 0; s < end && *s >= '0' && *s <= '9'; s++) {
        *us = digits++ < 6 ? *us * 10 + (*s - '0') : *us;
    }

    if (digits > 6) {
        *us = (int64_t) rint(strtod(*p, &last) * 1000000);
        if (last != s) {
            return 1;
        }
    }

    for ( /* void */ ; digits < 6; digits++) {
        *us *= 10;
    }

    *p = s;

    return 0;
}
