/* Decimal numbers as they are written, without a trip through a double. */

#include "row/row_impl.h"


#define ROW_EXPONENT  100000    /* beyond any number that could fit */
#define ROW_DIGITS    40        /* of an integer, more than any type holds */


static int row_exponent(const char *p, const char *end, long *exponent);
static int row_scale(int64_t *n, long exponent);


/* What stands behind the digits: nothing, or "e" and a number. */

static int
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
row_unix(const char *s, size_t len, conf_epoch_t unit, int64_t *us)
{
    int          scale;
    bool         point, negative;
    long         exponent;
    int64_t      n;
    const char  *p, *end, *digits;

    /* of the units' exponents, microseconds being 0 */
    static const int  units[] = {
        [CONF_UNIT_S] = 6, [CONF_UNIT_MS] = 3, [CONF_UNIT_US] = 0,
        [CONF_UNIT_NS] = -3
    };

    p = s;
    end = s + len;
    negative = p < end && *p == '-';
    p += negative;
    digits = p;
    point = false;
    n = 0;
    scale = units[unit];

    for ( /* void */ ; p < end && *p != 'e' && *p != 'E'; p++) {

        if (*p == '.' && !point && p > digits && p + 1 < end) {
            point = true;
            continue;
        }

        if (*p < '0' || *p > '9') {
            return -1;
        }

        if (n > INT64_MAX / 10 - 1) {
            /* digits beyond the eighteenth: of a fraction they are nothing */
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
row_exact(const char **s, size_t *len, buf_t *out)
{
    bool         negative;
    long         point, exponent;
    size_t       n, first;
    const char  *p, *end;

    p = *s;
    end = p + *len;
    negative = p < end && *p == '-';
    p += p < end && (*p == '-' || *p == '+');

    if (buf_reserve(out, *len + ROW_DIGITS + 8) == -1) {
        return -1;
    }

    /* the digits, behind a place for the sign; "point" of them before it */

    n = 1;
    point = -1;

    for ( /* void */ ; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.' && point == -1) {
            point = (long) n - 1;

        } else if (*p < '0' || *p > '9') {
            return 1;

        } else {
            out->data[n++] = *p;
        }
    }

    if (n == 1 || row_exponent(p, end, &exponent) == -1) {
        return 1;
    }

    point = (point == -1 ? (long) n - 1 : point) + exponent;

    for (first = 1; first < n && out->data[first] == '0'; first++) {
        /* void */
    }

    while (n > first && out->data[n - 1] == '0') {
        n--;
    }

    if (first == n) {
        *s = "0";
        *len = 1;
        return 0;
    }

    if (point < (long) n - 1 || point - (long) first > ROW_DIGITS) {
        return 1;
    }

    while ((long) n - 1 < point) {
        out->data[n++] = '0';
    }

    out->data[--first] = '-';
    first += !negative;

    *s = out->data + first;
    *len = n - first;

    return 0;
}
