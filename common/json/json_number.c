/* Decimal numbers as written: compared and divided without rounding. */

#include "json/json_number.h"


/* The text was checked by the JSON reader; exponents fit an int32_t. */

void
json_number(const char *p, const char *end, json_number_t *number)
{
    int          negative;
    int32_t      point, digits, first, last, exponent;
    const char  *from;

    number->negative = *p == '-';
    p += *p == '-';

    point = -1;
    digits = 0;
    first = -1;
    last = 0;
    from = p;

    for ( ; p < end && *p != 'e' && *p != 'E'; p++) {

        if (*p == '.') {
            point = digits;
            continue;
        }

        if (*p != '0') {
            last = digits;

            if (first == -1) {
                first = digits;
                from = p;
            }
        }

        digits++;
    }

    number->digits = from;
    number->exponent = 0;
    number->n = 0;

    if (first == -1) {
        number->negative = 0;
        return;
    }

    if (point == -1) {
        point = digits;
    }

    exponent = 0;

    if (p < end) {
        p++;
        negative = *p == '-';
        p += *p == '-' || *p == '+';

        for ( ; p < end; p++) {
            exponent = exponent * 10 + (*p - '0');
        }

        if (negative) {
            exponent = -exponent;
        }
    }

    number->n = (uint32_t) (last - first + 1);
    number->exponent = point - first + exponent;
}


int
json_number_is_integer(const json_number_t *number)
{
    return number->exponent >= (int32_t) number->n;
}


int
json_number_compare(const json_number_t *a, const json_number_t *b)
{
    int          sign;
    uint32_t     i;
    unsigned     x, y;
    const char  *p, *q;

    if (a->negative != b->negative) {
        return a->negative ? -1 : 1;
    }

    sign = a->negative ? -1 : 1;

    if (a->n == 0 || b->n == 0) {
        return a->n == b->n ? 0 : a->n == 0 ? -sign : sign;
    }

    if (a->exponent != b->exponent) {
        return a->exponent < b->exponent ? -sign : sign;
    }

    p = a->digits;
    q = b->digits;

    for (i = 0; i < a->n && i < b->n; i++) {
        x = json_digit(&p);
        y = json_digit(&q);

        if (x != y) {
            return x < y ? -sign : sign;
        }
    }

    /* neither ends with a zero: the longer one is farther from zero */
    return a->n == b->n ? 0 : a->n < b->n ? -sign : sign;
}


uint64_t
json_number_hash(const json_number_t *number, const json_seed_t *seed)
{
    uint32_t     i;
    uint64_t     hash, word;
    const char  *p = number->digits;

    hash = json_mix(seed->start ^ (uint32_t) number->exponent, seed->factor);
    word = (uint64_t) number->negative;

    for (i = 0; i < number->n; i++) {
        word = word * 10 + json_digit(&p);

        if (i % 16 == 15) {
            hash = json_mix(hash ^ word, seed->factor) + seed->start;
            word = 0;
        }
    }

    return json_mix(hash ^ word ^ (uint64_t) number->n << 32, seed->factor);
}


/*
 * Of the powers of ten by which the number exceeds the divisor, only as many
 * matter as the divisor has factors 2 or 5: fewer than four for each digit.
 */

int
json_number_divides(const json_number_t *number, uint64_t divisor,
    uint32_t digits, int32_t exponent)
{
    int32_t      spare;
    uint32_t     i;
    uint64_t     rest;
    const char  *p;

    if (number->n == 0) {
        return 1;
    }

    spare = number->exponent - (int32_t) number->n - exponent;

    /* its last digit is not zero: ten does not divide it */
    if (spare < 0) {
        return 0;
    }

    if (spare > 4 * (int32_t) digits) {
        spare = 4 * (int32_t) digits;
    }

    p = number->digits;
    rest = 0;

    for (i = 0; i < number->n; i++) {
        rest = (rest * 10 + json_digit(&p)) % divisor;
    }

    while (spare-- > 0) {
        rest = rest * 10 % divisor;
    }

    return rest == 0;
}
