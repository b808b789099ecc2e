/* PostgreSQL's types, as far as the conversion of a value depends on them. */

#ifndef SLUICE_TYPES_H
#define SLUICE_TYPES_H


#include <stdbool.h>


#define TYPE_NAME_MAX  64      /* PostgreSQL's NAMEDATALEN */


typedef enum {
    TYPE_OTHER = 0,     /* PostgreSQL judges the text */
    TYPE_TEXT,
    TYPE_BOOLEAN,
    TYPE_SMALLINT,
    TYPE_INTEGER,
    TYPE_BIGINT,
    TYPE_NUMERIC,
    TYPE_FLOAT,
    TYPE_TIMESTAMPTZ,
    TYPE_TIMESTAMP,
    TYPE_DATE,
    TYPE_TIME,
    TYPE_STRING,        /* uuid, inet, interval: PostgreSQL judges a string */
    TYPE_JSON,
    TYPE_BYTEA,
    TYPE_ARRAY
} type_kind_t;


/* A type by its name in the catalogue. */
typedef struct {
    char         schema[TYPE_NAME_MAX];      /* "": found by search_path */
    char         name[TYPE_NAME_MAX];
    char         modifier[TYPE_NAME_MAX];    /* "(Point,4326)", or "" */
    const char  *arrays;                     /* "[]" of an array, or "" */
} type_parts_t;


/*
 * The kind of a type as SQL writes it or format_type() does:
 * "numeric(12,2)", "timestamp(3) with time zone", "text[]".  TYPE_OTHER if
 * unknown.
 */
type_kind_t type_kind(const char *name);

/* The kind of an array's elements. */
type_kind_t type_element(const char *name);

/* Whether its kind, or that of its elements, is known. */
bool type_is_known(const char *name);

/* Whether SQL takes it, or its elements, as it stands: a word of the list. */
bool type_is_word(const char *name);

/*
 * Takes any other type apart: [SCHEMA.]NAME[(MODIFIER)][[]].  A modifier is of
 * letters, digits and commas.  Returns -1 if it is none.
 */
int type_parse(const char *text, type_parts_t *parts);

static inline bool
type_is_time(type_kind_t kind)
{
    return kind >= TYPE_TIMESTAMPTZ && kind <= TYPE_TIME;
}

/* The known name nearest to "name", or NULL if none is near. */
const char *type_nearest(const char *name);


#endif
