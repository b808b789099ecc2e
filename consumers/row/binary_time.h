/* Dates and times as PostgreSQL's binary input reads them. */

#ifndef SLUICE_BINARY_TIME_H
#define SLUICE_BINARY_TIME_H


#include "base/buf.h"
#include "conf/types.h"


/* The day read last: rows of one batch are mostly of one day. */
typedef struct {
    char     date[16];    /* its text */
    size_t   len;         /* 0: none */
    int64_t  days;        /* since 2000-01-01 */
} binary_day_t;


/*
 * Reads "2026-01-31 12:34:56.789+00", or the part that the kind has, with "T"
 * and "Z", with " BC", and "infinity".  Sets *n to microseconds since
 * 2000-01-01 in UTC, to days of a date, to microseconds of a time of day.
 * Returns 0; 1 for any other text.
 */
int binary_time(type_kind_t kind, binary_day_t *day, const char *s,
    size_t len, int64_t *n);


#endif
