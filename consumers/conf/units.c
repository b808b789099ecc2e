/* Values of the configuration: units, times, nearest names. */

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "conf/units.h"


#define CONF_NAME_MAX  64


typedef struct {
    const char  *name;
    int64_t      factor;
} conf_unit_t;


static int conf_parse_unit(const char *s, const conf_unit_t *units,
    int64_t *value);
static size_t conf_distance(const char *a, const char *b);


static const conf_unit_t  conf_size_units[] = {
    { "",  1 },
    { "k", 1024 },
    { "K", 1024 },
    { "m", 1024 * 1024 },
    { "M", 1024 * 1024 },
    { "g", 1024 * 1024 * 1024 },
    { "G", 1024 * 1024 * 1024 },
    { NULL, 0 }
};


static const conf_unit_t  conf_time_units[] = {
    { "ms", 1 },
    { "s",  1000 },
    { "m",  60 * 1000 },
    { "h",  60 * 60 * 1000 },
    { "d",  24 * 60 * 60 * 1000 },
    { NULL, 0 }
};


/* Levenshtein's distance, in two rows. */

static size_t
conf_distance(const char *a, const char *b)
{
    size_t  i, j, la, lb, best, row[2][CONF_NAME_MAX + 1];

    la = strlen(a);
    lb = strlen(b);

    if (la > CONF_NAME_MAX || lb > CONF_NAME_MAX) {
        return CONF_NAME_MAX;
    }

    for (j = 0; j <= lb; j++) {
        row[0][j] = j;
    }

    for (i = 1; i <= la; i++) {
        row[i & 1][0] = i;

        for (j = 1; j <= lb; j++) {
            best = row[(i - 1) & 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (row[(i - 1) & 1][j] + 1 < best) {
                best = row[(i - 1) & 1][j] + 1;
            }
            if (row[i & 1][j - 1] + 1 < best) {
                best = row[i & 1][j - 1] + 1;
            }
            row[i & 1][j] = best;
        }
    }

    return row[la & 1][lb];
}


void
conf_near_init(conf_near_t *near, const char *name)
{
    near->name = name;
    near->best = NULL;
    /* farther than a third of the name is another word */
    near->distance = strlen(name) / 3 + 2;
}


void
conf_near_try(conf_near_t *near, const char *candidate)
{
    size_t  distance;

    distance = conf_distance(near->name, candidate);

    if (distance < near->distance) {
        near->distance = distance;
        near->best = candidate;
    }
}


static int
conf_parse_unit(const char *s, const conf_unit_t *units, int64_t *value)
{
    int64_t  n;

    if (!isdigit((unsigned char) *s)) {
        return -1;
    }

    for (n = 0; isdigit((unsigned char) *s); s++) {
        if (n > INT64_MAX / 10 - 10) {
            return -1;
        }
        n = n * 10 + (*s - '0');
    }

    for ( /* void */ ; units->name; units++) {
        if (strcmp(s, units->name) == 0) {
            return __builtin_mul_overflow(n, units->factor, value) ? -1 : 0;
        }
    }

    return -1;
}


int
conf_parse_size(const char *s, int64_t *bytes)
{
    return conf_parse_unit(s, conf_size_units, bytes);
}


int
conf_parse_time(const char *s, int64_t *ms)
{
    return conf_parse_unit(s, conf_time_units, ms);
}


static void
conf_print_unit(char *out, const conf_unit_t *units, int64_t value)
{
    const conf_unit_t  *best;

    for (best = units++; units->name; units++) {
        if (value && value % units->factor == 0
            && units->factor > best->factor)
        {
            best = units;
        }
    }

    snprintf(out, CONF_PRINTED, "%lld%s", (long long) (value / best->factor),
             best->name);
}


void
conf_print_size(char *out, int64_t bytes)
{
    conf_print_unit(out, conf_size_units, bytes);
}


void
conf_print_time(char *out, int64_t ms)
{
    conf_print_unit(out, conf_time_units, ms);
}


/* "n" digits as a number; moves the cursor. */

static int
conf_digits(const char **s, int n)
{
    int  value;

    for (value = 0; n; n--, (*s)++) {
        if (!isdigit((unsigned char) **s)) {
            return -1;
        }
        value = value * 10 + (**s - '0');
    }

    return value;
}


static bool
conf_skip(const char **s, const char *any)
{
    if (**s == '\0' || strchr(any, **s) == NULL) {
        return false;
    }

    (*s)++;

    return true;
}


int
conf_parse_date(const char *s, int64_t *ms)
{
    int  year, month, day, hour, minute, second;
    int  millis, scale, sign, hours, minutes;

    if ((year = conf_digits(&s, 4)) == -1 || !conf_skip(&s, "-")
        || (month = conf_digits(&s, 2)) == -1 || !conf_skip(&s, "-")
        || (day = conf_digits(&s, 2)) == -1 || !conf_skip(&s, "Tt ")
        || (hour = conf_digits(&s, 2)) == -1 || !conf_skip(&s, ":")
        || (minute = conf_digits(&s, 2)) == -1 || !conf_skip(&s, ":")
        || (second = conf_digits(&s, 2)) == -1)
    {
        return -1;
    }

    millis = 0;

    if (conf_skip(&s, ".")) {
        if (!isdigit((unsigned char) *s)) {
            return -1;
        }
        for (scale = 100; isdigit((unsigned char) *s); s++, scale /= 10) {
            millis += (*s - '0') * scale;
        }
    }

    hours = minutes = sign = 0;

    if (*s == '+' || *s == '-') {
        sign = *s++ == '-' ? -1 : 1;

        if ((hours = conf_digits(&s, 2)) == -1 || !conf_skip(&s, ":")
            || (minutes = conf_digits(&s, 2)) == -1
            || hours > 23 || minutes > 59)
        {
            return -1;
        }

    } else if (!conf_skip(&s, "Zz")) {
        return -1;
    }

    if (*s != '\0' || !clock_is_date(year, month, day) || hour > 23
        || minute > 59 || second > 59)
    {
        return -1;
    }

    *ms = (clock_days(year, month, day) * 86400 + hour * 3600 + minute * 60
           + second - sign * (hours * 3600 + minutes * 60)) * 1000 + millis;

    return 0;
}
