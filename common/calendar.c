/* The days of the Gregorian calendar. */

#include "calendar.h"


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
