/* The days of the Gregorian calendar, and the times of RFC 3339. */

#include "calendar.h"


#define CALENDAR_1970  719468    /* days from 0000-03-01 to 1970-01-01 */


int
calendar_has(int64_t year, int month, int day)
{
    int  leap;

    static const int  days[] = {
        31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
    };

    if (month < 1 || month > 12 || day < 1) {
        return 0;
    }

    leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return day <= days[month - 1] + (month == 2 && leap);
}


/* Years begin in March here, so that the leap day is their last. */

int64_t
calendar_days(int64_t year, int month, int day)
{
    int64_t  era, of_era;

    year -= month <= 2;
    era = (year >= 0 ? year : year - 399) / 400;
    of_era = year - era * 400;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100
           + (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
           - CALENDAR_1970;
}


int
calendar_date(const char *p, const char *end, int64_t *days)
{
    int  year, month, day;

    if (end - p < 10 || p[4] != '-' || p[7] != '-') {
        return -1;
    }

    year = calendar_digits(p, end, 4);
    month = calendar_digits(p + 5, end, 2);
    day = calendar_digits(p + 8, end, 2);

    if (year == -1 || !calendar_has(year, month, day)) {
        return -1;
    }

    *days = calendar_days(year, month, day);

    return 0;
}


int
calendar_time(const char *p, const char *end, int64_t *ms)
{
    int      hour, minute, second, scale, east;
    int64_t  days, seconds;

    if (end - p < 20 || calendar_date(p, end, &days) == -1
        || ((p[10] | 0x20) != 't' && p[10] != ' ') || p[13] != ':'
        || p[16] != ':')
    {
        return -1;
    }

    hour = calendar_digits(p + 11, end, 2);
    minute = calendar_digits(p + 14, end, 2);
    second = calendar_digits(p + 17, end, 2);

    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0
        || second > 60)
    {
        return -1;
    }

    seconds = days * 86400 + hour * 3600 + minute * 60 + second;
    *ms = 0;
    p += 19;

    if (*p == '.') {
        if (calendar_digits(++p, end, 1) == -1) {
            return -1;
        }

        for (scale = 100; p < end && *p >= '0' && *p <= '9'; p++) {
            *ms += (*p - '0') * scale;
            scale /= 10;
        }
    }

    if (end - p == 6 && (*p == '+' || *p == '-') && p[3] == ':') {
        east = *p == '-' ? -1 : 1;
        hour = calendar_digits(p + 1, end, 2);
        minute = calendar_digits(p + 4, end, 2);

        if (hour < 0 || hour > 23 || minute < 0 || minute > 59) {
            return -1;
        }

        seconds -= east * (hour * 3600 + minute * 60);

    } else if (end - p != 1 || (*p | 0x20) != 'z') {
        return -1;
    }

    *ms += seconds * 1000;

    return second < 60 ? 0 : seconds % 86400 == 0 ? 1 : -1;
}
