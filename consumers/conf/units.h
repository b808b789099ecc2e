/* Values of the configuration: numbers, units, times, nearest names. */

#ifndef SLUICE_CONF_UNITS_H
#define SLUICE_CONF_UNITS_H


#include <stddef.h>
#include <stdint.h>


/* The candidate nearest to a misspelt name, by edit distance. */
typedef struct {
    const char  *name;
    const char  *best;       /* "len" bytes; NULL: none is near */
    size_t       len;
    size_t       distance;
} conf_near_t;


void conf_near_init(conf_near_t *near, const char *name);
void conf_near_try(conf_near_t *near, const char *candidate, size_t len);

/*
 * Each returns 0, or -1 if "s" is malformed: a whole number of JSON, also as
 * "1e4"; bytes, "8m", "512k", "1g", "4096"; milliseconds, "20ms", "10s", "5m",
 * "2h", "30d", whose unit is a must; milliseconds since 1970 UTC of RFC 3339,
 * section 5.6, "2026-01-31T12:00:00.5+01:00".
 */
int conf_parse_count(const char *s, int64_t *n);
int conf_parse_size(const char *s, int64_t *bytes);
int conf_parse_time(const char *s, int64_t *ms);
int conf_parse_date(const char *s, int64_t *ms);


#endif
