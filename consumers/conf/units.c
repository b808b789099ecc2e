/* Parses numbers with units and times; finds the nearest name. */

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "calendar.h"
#include "conf/units.h"


#define CONF_NAME_MAX  64


typedef struct {
    char     name[4];
    int64_t  factor;
} conf_unit_t;


static const conf_unit_t  conf_size_units[] = {
    { "",  1 },
    { "k", 1024 },
    { "K", 1024 },
    { "m", 1024 * 1024 },
    { "M", 1024 * 1024 },
    { "g", 1024 * 1024 * 1024 },
    { "G", 1024 * 1024 * 1024 },
    { "",  0 }
};


static const conf_unit_t  conf_time_units[] = {
    { "ms", 1 },
    { "s",  1000 },
    { "m",  60 * 1000 },
    { "h",  60 * 60 * 1000 },
    { "d",  24 * 60 * 60 * 1000 },
    { "",   0 }
};


/* Levenshtein's distance, in two rows. */

static size_t
conf_distance(const char *a, const char *b, size_t lb)
{
    size_t  i, j, la, best, row[2][CONF_NAME_MAX + 1];

    la = strlen(a);

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
    near->len = 0;
    /* farther than a third of the name is another word */
    near->distance = strlen(name) / 3 + 2;
}


void
conf_near_try(conf_near_t *near, const char *candidate, size_t len)
{
    size_t  distance;

    distance = conf_distance(near->name, candidate, len);

    if (distance < near->distance) {
        near->distance = distance;
        near->best = candidate;
        near->len = len;
    }
}


int
conf_parse_count(const char *s, int64_t *n)
{
    double  value;

    value = strtod(s, NULL);

    /* a double holds each of them */
    if (value > 9e15 || value < -9e15 || value != (double) (int64_t) value) {
        return -1;
    }

    *n = (int64_t) value;

    return 0;
}


static int
conf_parse_unit(const char *s, const conf_unit_t *units, int64_t *value)
{
    size_t   digits;
    int64_t  n;

    digits = strspn(s, "0123456789");

    if (text_get_int(s, digits, sizeof(int64_t), &n) != 0) {
        return -1;
    }

    s += digits;

    for ( /* void */ ; units->factor; units++) {
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


int
conf_parse_date(const char *s, int64_t *ms)
{
    return calendar_time(s, s + strlen(s), ms) == 0 ? 0 : -1;
}
