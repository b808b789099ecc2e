/* Clocks, and the days of the calendar. */

#ifndef SLUICE_CLOCK_H
#define SLUICE_CLOCK_H


#include <stdint.h>


/* The monotonic clock, for deadlines and durations: ms and us. */
int64_t clock_ms(void);
int64_t clock_us(void);

/* The time of day: ms since 1970. */
int64_t clock_wall(void);

/* The date of so many days since 1970-01-01; year 0 is 1 BC. */
void clock_date(int64_t days, int64_t *year, int *month, int *day);

/*
 * The offset from UTC at "p", before "end": "Z", "+01", "+0130", "+01:30" or
 * "+01:30:15" as seconds, of 15 hours at most.  Returns behind it, or NULL.
 */
const char *clock_offset(const char *p, const char *end, int *offset);

#define CLOCK_PRINTED  32

/*
 * Writes "2026-01-31T12:34:56.789" of "ms" since 1970, CLOCK_PRINTED bytes at
 * most with its NUL; "between" is the 'T'.  Returns behind the digits.
 */
char *clock_print(char *p, int64_t ms, char between);


#endif
