/* The options of a subcommand, read by a table of them. */

#ifndef SLUICE_OPTIONS_H
#define SLUICE_OPTIONS_H


#include <stddef.h>
#include <stdint.h>


typedef enum {
    OPTION_FLAG = 0,      /* bool */
    OPTION_TEXT,          /* const char * */
    OPTION_NUMBER,        /* const char *, of digits */
    OPTION_TIME,          /* int64_t, ms, more than 0: "30d" */
    OPTION_PARTITIONS     /* buf_t, "1,2": the option may be repeated */
} option_kind_t;


typedef struct {
    const char     *name;      /* without its dashes; NULL ends a table */
    option_kind_t   kind;
    size_t          offset;    /* of what is set, which is of the kind's
                                  type, in the subcommand's structure */
} option_t;


/*
 * Takes the options out of argv into "structure"; what else is in argv moves
 * to argv[1] and behind.  "options" may be NULL.  Returns how many that are,
 * or -1: an option was refused, and it was said why.
 */
int options_read(const option_t *options, void *structure, int argc,
    char **argv);

/* A whole number without a sign, of at most 18 digits.  Returns 0 or -1. */
int options_number(const char *s, int64_t *n);

/* An RFC 3339 time in ms since 1970.  Returns 0, or -1: refused, as above. */
int options_date(const char *s, int64_t *ms);


#endif
