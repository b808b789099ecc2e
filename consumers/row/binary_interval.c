/*
 * An interval in binary: ISO 8601 ("P1DT2H") and PostgreSQL's own spelling ("1
 * day 02:03:04") of what is not negative.  Any other is left to PostgreSQL.
 */

#include "row/binary_impl.h"


#define INTERVAL_DIGITS  6    /* of a number: no sum is too large */


/* In the order in which they stand; each at most once. */
typedef enum {
    INTERVAL_YEARS = 0,
    INTERVAL_MONTHS,
    INTERVAL_WEEKS,
    INTERVAL_DAYS,
    INTERVAL_HOURS,
    INTERVAL_MINUTES,
    INTERVAL_SECONDS,
    INTERVAL_UNITS
} interval_unit_t;


typedef struct {
    const char  *p;
    const char  *end;
    int64_t      units[INTERVAL_UNITS];
    int64_t      fraction;               /* us */
    int          next;                   /* the first unit that may follow */
} interval_t;


static bool interval_iso(interval_t *in);
static bool interval_words(interval_t *in);
static bool interval_clock(interval_t *in, int64_t hours);
static bool interval_number(interval_t *in, int64_t *n);
static bool interval_fraction(interval_t *in);
static bool interval_set(interval_t *in, int unit, int64_t n);


/* interval_recv(): microseconds, days, months. */

int
binary_interval(const char *s, size_t len, buf_t *out)
{
    char        *p;
    int64_t      us;
    interval_t   in = { 0 };

    in.p = s;
    in.end = s + len;

    if (!(len && *s == 'P' ? interval_iso(&in) : interval_words(&in))) {
        return 1;
    }

    if (buf_reserve(out, 16) == -1) {
        return -1;
    }

    us = ((in.units[INTERVAL_HOURS] * 60 + in.units[INTERVAL_MINUTES]) * 60
          + in.units[INTERVAL_SECONDS]) * 1000000 + in.fraction;
    p = out->data + out->len;

    binary_put_int(p, (uint64_t) us, 8);
    binary_put_int(p + 8, (uint64_t) (in.units[INTERVAL_WEEKS] * 7
                                      + in.units[INTERVAL_DAYS]), 4);
    binary_put_int(p + 12, (uint64_t) (in.units[INTERVAL_YEARS] * 12
                                       + in.units[INTERVAL_MONTHS]), 4);
    out->len += 16;

    return 0;
}


/* "P1Y2M3DT4H5M6.7S", "P2W" */

static bool
interval_iso(interval_t *in)
{
    int          unit;
    bool         time;
    int64_t      n;
    const char  *letter;

    static const char  letters[] = "YMWDHMS";

    in->p++;
    time = false;

    do {
        if (!time && in->p < in->end && *in->p == 'T') {
            time = true;
            in->p++;
        }

        if (!interval_number(in, &n)) {
            return false;
        }

        if (time && in->p < in->end && *in->p == '.') {
            in->next = in->next > INTERVAL_SECONDS ? in->next
                                                   : INTERVAL_SECONDS;
            if (!interval_fraction(in)) {
                return false;
            }
        }

        letter = time ? letters + INTERVAL_HOURS : letters;
        letter = in->p < in->end && *in->p ? strchr(letter, *in->p) : NULL;
        unit = letter ? (int) (letter - letters) : -1;

        if (unit == -1 || (unit >= INTERVAL_HOURS) != time
            || !interval_set(in, unit, n))
        {
            return false;
        }

        in->p++;
    } while (in->p < in->end);

    return true;
}


/* "1 year 2 mons 3 days 04:05:06.7", "90 minutes" */

static bool
interval_words(interval_t *in)
{
    size_t   i, len;
    int64_t  n;

    static const struct {
        const char       *name;
        interval_unit_t   unit;
    } words[] = {
        { "year",   INTERVAL_YEARS },   { "years",   INTERVAL_YEARS },
        { "mon",    INTERVAL_MONTHS },  { "mons",    INTERVAL_MONTHS },
        { "month",  INTERVAL_MONTHS },  { "months",  INTERVAL_MONTHS },
        { "week",   INTERVAL_WEEKS },   { "weeks",   INTERVAL_WEEKS },
        { "day",    INTERVAL_DAYS },    { "days",    INTERVAL_DAYS },
        { "hour",   INTERVAL_HOURS },   { "hours",   INTERVAL_HOURS },
        { "min",    INTERVAL_MINUTES }, { "mins",    INTERVAL_MINUTES },
        { "minute", INTERVAL_MINUTES }, { "minutes", INTERVAL_MINUTES },
        { "sec",    INTERVAL_SECONDS }, { "secs",    INTERVAL_SECONDS },
        { "second", INTERVAL_SECONDS }, { "seconds", INTERVAL_SECONDS }
    };

    for ( ;; ) {

        if (!interval_number(in, &n) || in->p == in->end) {
            return false;
        }

        if (*in->p == ':') {
            return interval_clock(in, n);
        }

        if (*in->p++ != ' ') {
            return false;
        }

        for (len = 0; in->p + len < in->end && in->p[len] != ' '; len++) {
            /* void */
        }

        for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
            if (strlen(words[i].name) == len
                && memcmp(in->p, words[i].name, len) == 0)
            {
                break;
            }
        }

        if (i == sizeof(words) / sizeof(words[0])
            || !interval_set(in, words[i].unit, n))
        {
            return false;
        }

        in->p += len;

        if (in->p == in->end) {
            return true;
        }

        in->p++;
    }
}


/* ":MM:SS", and a fraction, behind the hours. */

static bool
interval_clock(interval_t *in, int64_t hours)
{
    int          unit;
    int64_t      n;
    const char  *first;

    if (!interval_set(in, INTERVAL_HOURS, hours)) {
        return false;
    }

    for (unit = INTERVAL_MINUTES; unit <= INTERVAL_SECONDS; unit++) {

        if (in->end - in->p < 3 || *in->p != ':') {
            return false;
        }

        first = ++in->p;

        if (!interval_number(in, &n) || in->p - first != 2 || n > 59
            || !interval_set(in, unit, n))
        {
            return false;
        }
    }

    if (in->p < in->end && *in->p == '.' && !interval_fraction(in)) {
        return false;
    }

    return in->p == in->end;
}


static bool
interval_number(interval_t *in, int64_t *n)
{
    const char  *first = in->p;

    *n = 0;

    while (in->p < in->end && *in->p >= '0' && *in->p <= '9') {
        *n = *n * 10 + (*in->p++ - '0');

        if (in->p - first > INTERVAL_DIGITS) {
            return false;
        }
    }

    return in->p > first;
}


/* A point and up to six digits. */

static bool
interval_fraction(interval_t *in)
{
    int64_t  n;

    const char  *first = ++in->p;

    if (!interval_number(in, &n)) {
        return false;
    }

    for (in->fraction = n; in->p - first < 6; first--) {
        in->fraction *= 10;
    }

    return true;
}


/*
 * Weeks and days are one field to PostgreSQL, which has rules of its own for
 * both at once.
 */

static bool
interval_set(interval_t *in, int unit, int64_t n)
{
    if (unit < in->next) {
        return false;
    }

    in->units[unit] = n;
    in->next = unit == INTERVAL_WEEKS ? INTERVAL_HOURS : unit + 1;

    return true;
}
