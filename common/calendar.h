/* The days of the Gregorian calendar. */

#ifndef SLUICE_CALENDAR_H
#define SLUICE_CALENDAR_H


#include <stdint.h>


#pragma GCC visibility push(hidden)

/* Whether there is such a date; any numbers may be asked for. */
int calendar_has(int64_t year, int month, int day);

#pragma GCC visibility pop


#endif
