/* Parses numbers with units and times; finds the nearest name. */

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
 * Each returns 0, or -1 if "s" is malformed.  A count is a whole number of
 * JSON, also as "1e4".  A size is in bytes: "8m", "512k", "1g", "4096".  A time
 * has a unit and is in milliseconds: "20ms", "10s", "5m", "2h", "30d".  A date
 * (RFC 3339, section 5.6) is in milliseconds since 1970 UTC:
 * "2026-01-31T12:00:00.5+01:00".
 */
int conf_parse_count(const char *s, int64_t *n);
int conf_parse_size(const char *s, int64_t *bytes);
int conf_parse_time(const char *s, int64_t *ms);
int conf_parse_date(const char *s, int64_t *ms);


#endif
