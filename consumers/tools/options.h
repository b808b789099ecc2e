/* Reads the options of a command line by tables. */

#ifndef SLUICE_OPTIONS_H
#define SLUICE_OPTIONS_H


#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>


typedef enum {
    OPTION_FLAG = 0,      /* bool */
    OPTION_TEXT,          /* const char * */
    OPTION_NAME,          /* const char *, the option's own name */
    OPTION_MAYBE,         /* const char *, "" where no "=TEXT" follows */
    OPTION_NUMBER,        /* const char *, of digits */
    OPTION_TIME,          /* int64_t, ms, more than 0: "30d" */
    OPTION_PARTITIONS     /* buf_t, "1,2": the option may be repeated */
} option_kind_t;


typedef struct {
    const char     *name;      /* without its dashes; NULL ends a table */
    option_kind_t   kind;
    size_t          offset;    /* of the member that is set, which has the
                                  kind's type */
    char            letter;    /* of its short form, or 0 */
} option_t;


#define OPTION(name, kind, type, member)                                      \
    { name, OPTION_##kind, offsetof(type, member), 0 }
#define OPTION_END  { NULL, OPTION_FLAG, 0, 0 }


/* A table, which may be NULL, and the structure whose members it sets. */
typedef struct {
    const option_t  *options;
    void            *structure;
} options_t;


/*
 * Takes the options of two tables out of argv; with "first", only those before
 * the first operand.  What is left moves to argv[1] and behind.  Returns how
 * many words are left, or -1 after an error line.
 */
int options_read(const options_t tables[2], bool first, int argc,
    char **argv);

/* A whole number without a sign, within a bigint.  Returns 0 or -1. */
int options_number(const char *s, int64_t *n);

/* An RFC 3339 time in ms since 1970.  Returns 0, or -1 after an error line. */
int options_date(const char *s, int64_t *ms);


#endif
