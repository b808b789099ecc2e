/* Decimal numbers, read digit by digit: a double would lose some. */

#include "row/number.h"


#define ROW_EXPONENT  100000    /* beyond any number that could fit */
#define ROW_DIGITS    41        /* of an integer, more than any type holds */


static int row_scale(int64_t *n, long exponent);


int
row_unix(const char *s, size_t len, conf_epoch_t unit, int64_t *us)
{
    int          scale;
    bool         point, negative;
    long         exponent;
    int64_t      n;
    const char  *p, *end, *digits;

    /* exponents of the units in microseconds */
    static const int  units[] = {
        [CONF_UNIT_S] = 6, [CONF_UNIT_MS] = 3, [CONF_UNIT_US] = 0,
        [CONF_UNIT_NS] = -3
    };

    end = s + len;
    negative = len && *s == '-';
    digits = s + negative;
    point = false;
    n = 0;
    scale = units[unit];

    for (p = digits; p < end && *p != 'e' && *p != 'E'; p++) {

        if (*p == '.' && !point && p > digits && p + 1 < end) {
            point = true;
            continue;
        }

        if (*p < '0' || *p > '9') {
            return -1;
        }

        if (n > INT64_MAX / 10 - 1) {
            /* beyond the eighteenth digit only whole digits count */
            scale += !point;
            continue;
        }

        n = n * 10 + (*p - '0');
        scale -= point;
    }

    if (p == digits || row_exponent(p, end, &exponent) == -1) {
        return -1;
    }

    if (row_scale(&n, exponent + scale) == 1) {
        return 1;
    }

    *us = negative ? -n : n;

    return 0;
}


int
row_exponent(const char *p, const char *end, long *exponent)
{
    long  n;
    bool  negative;

    *exponent = 0;

    if (p == end) {
        return 0;
    }

    p++;
    negative = p < end && *p == '-';
    p += p < end && (*p == '-' || *p == '+');

    if (p == end) {
        return -1;
    }

    for (n = 0; p < end; p++) {
        if (*p < '0' || *p > '9') {
            return -1;
        }
        n = n < ROW_EXPONENT ? n * 10 + (*p - '0') : n;
    }

    *exponent = negative ? -n : n;

    return 0;
}


/* n * 10^exponent, rounded to the nearest; 1 if it is out of range. */

static int
row_scale(int64_t *n, long exponent)
{
    for ( /* void */ ; exponent > 0 && *n; exponent--) {
        if (__builtin_mul_overflow(*n, 10, n)) {
            return 1;
        }
    }

    for ( /* void */ ; exponent < -1 && *n; exponent++) {
        *n /= 10;
    }

    if (exponent == -1) {
        *n = (*n + 5) / 10;
    }

    return 0;
}


int
row_whole(const char **s, size_t *len, buf_t *out)
{
    bool         negative;
    char        *first, *last;
    long         exponent;
    const char  *p, *end, *point;

    if (buf_reserve(out, *len + ROW_DIGITS + 8) == -1) {
        return -1;
    }

    p = *s;
    end = p + *len;
    negative = p < end && *p == '-';
    p += p < end && (*p == '-' || *p == '+');

    first = out->data + 1;    /* behind room for a sign */
    last = first;
    point = NULL;

    for ( /* void */ ; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.' && point == NULL) {
            point = p + 1;

        } else if (*p < '0' || *p > '9') {
            return 1;

        } else {
            *last++ = *p;
        }
    }

    if (last == first || row_exponent(p, end, &exponent) == -1) {
        return 1;
    }

    exponent -= point ? p - point : 0;

    while (first < last && *first == '0') {
        first++;
    }

    while (last > first && last[-1] == '0') {
        last--;
        exponent++;
    }

    if (first == last) {
        *first = '0';
        *s = first;
        *len = 1;
        return 0;
    }

    if (exponent < 0 || last - first + exponent > ROW_DIGITS) {
        return 1;
    }

    while (exponent--) {
        *last++ = '0';
    }

    if (negative) {
        *--first = '-';
    }

    *s = first;
    *len = (size_t) (last - first);

    return 0;
}
