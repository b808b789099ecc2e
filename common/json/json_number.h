/* Decimal numbers as written: compared and divided without rounding. */

#ifndef SLUICE_JSON_NUMBER_H
#define SLUICE_JSON_NUMBER_H


#include <stdint.h>

#include "json/json_hash.h"


#pragma GCC visibility push(hidden)


/*
 * 0.DIGITS * 10^exponent, without zeros at either end of DIGITS.  They
 * stay in the text, where a point may stand between them.
 */
typedef struct {
    const char  *digits;
    uint32_t     n;           /* 0: the number is zero */
    int32_t      exponent;
    int          negative;    /* never of zero */
} json_number_t;


/* The text must have passed the JSON reader, and outlive the number. */
void json_number(const char *p, const char *end, json_number_t *number);

/* Returns -1, 0 or 1: "a" is less, equal or greater.  1.0 equals 10e-1. */
int json_number_compare(const json_number_t *a, const json_number_t *b);

int json_number_is_integer(const json_number_t *number);

/* Equal numbers have one hash, however they are written. */
uint64_t json_number_hash(const json_number_t *number,
    const json_seed_t *seed);

/* Whether "number" is a multiple of divisor * 10^exponent. */
int json_number_divides(const json_number_t *number, uint64_t divisor,
    uint32_t digits, int32_t exponent);

/* The next digit at *p, stepping over a point. */

static inline unsigned
json_digit(const char **p)
{
    if (**p == '.') {
        (*p)++;
    }

    return (unsigned) (*(*p)++ - '0');
}


#pragma GCC visibility pop


#endif
