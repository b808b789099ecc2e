/* Values of the configuration: units, times, nearest names. */

#ifndef SLUICE_CONF_VALUE_H
#define SLUICE_CONF_VALUE_H


#include <stddef.h>
#include <stdint.h>


/* The candidate nearest to a misspelt name, by edit distance. */
typedef struct {
    const char  *name;
    const char  *best;       /* NULL: none is near */
    size_t       distance;
} conf_near_t;


void conf_near_init(conf_near_t *near, const char *name);
void conf_near_try(conf_near_t *near, const char *candidate);

/* "8m", "512k", "1g", "4096": bytes.  Returns 0, or -1 if malformed. */
int conf_parse_size(const char *s, int64_t *bytes);

/* "20ms", "10s", "5m", "2h", "30d": milliseconds; a unit is a must. */
int conf_parse_time(const char *s, int64_t *ms);

#define CONF_PRINTED  24

/* The shortest text for them, at most CONF_PRINTED bytes with its NUL. */
void conf_print_size(char *out, int64_t bytes);
void conf_print_time(char *out, int64_t ms);

/*
 * RFC 3339, section 5.6, "2026-01-31T12:00:00.5+01:00": milliseconds since
 * 1970 UTC.
 */
int conf_parse_date(const char *s, int64_t *ms);


#endif
