/* Clocks, and the days of the calendar. */

#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "calendar.h"


#define CLOCK_MS_DAY  86400000
#define CLOCK_1970    719468    /* days from 0000-03-01 to 1970-01-01 */


static int64_t
clock_read(clockid_t id)
{
    struct timespec  ts;

    clock_gettime(id, &ts);

    return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


int64_t
clock_ms(void)
{
    return clock_read(CLOCK_MONOTONIC) / 1000;
}


int64_t
clock_us(void)
{
    return clock_read(CLOCK_MONOTONIC);
}


int64_t
clock_wall(void)
{
    return clock_read(CLOCK_REALTIME) / 1000;
}


/* Years begin in March here: see calendar_days(). */

void
clock_date(int64_t days, int64_t *year, int *month, int *day)
{
    int64_t  era, of_era, y, of_year, m;

    days += CLOCK_1970;
    era = (days >= 0 ? days : days - 146096) / 146097;
    of_era = days - era * 146097;
    y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    of_year = of_era - (365 * y + y / 4 - y / 100);
    m = (5 * of_year + 2) / 153;

    *day = (int) (of_year - (153 * m + 2) / 5 + 1);
    *month = (int) (m < 10 ? m + 3 : m - 9);
    *year = y + era * 400 + (*month <= 2);
}


const char *
clock_offset(const char *p, const char *end, int *offset)
{
    int  sign, hours, minutes, seconds;

    if (p < end && (*p == 'Z' || *p == 'z')) {
        *offset = 0;
        return p + 1;
    }

    if (p == end || (*p != '+' && *p != '-')) {
        return NULL;
    }

    sign = *p++ == '-' ? -1 : 1;
    hours = calendar_digits(p, end, 2);
    minutes = 0;
    seconds = 0;
    p += 2;

    if (p < end && hours != -1) {
        p += *p == ':';
        minutes = calendar_digits(p, end, 2);
        p += 2;

        if (p < end && *p == ':' && minutes != -1) {
            seconds = calendar_digits(p + 1, end, 2);
            p += 3;
        }
    }

    if (hours < 0 || minutes < 0 || seconds < 0 || hours > 15
        || minutes > 59 || seconds > 59)
    {
        return NULL;
    }

    *offset = sign * (hours * 3600 + minutes * 60 + seconds);

    return p;
}


char *
clock_print(char *p, int64_t ms, char between)
{
    int      month, day, rest;
    int64_t  days, year;

    days = ms / CLOCK_MS_DAY - (ms % CLOCK_MS_DAY < 0);
    rest = (int) (ms - days * CLOCK_MS_DAY);
    clock_date(days, &year, &month, &day);

    return p + snprintf(p, CLOCK_PRINTED,
                        "%04lld-%02d-%02d%c%02d:%02d:%02d.%03d",
                        (long long) year, month, day, between,
                        rest / 3600000, rest / 60000 % 60,
                        rest / 1000 % 60, rest % 1000);
}
