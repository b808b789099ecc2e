/* PostgreSQL's types, as far as the conversion of a value depends on them. */

#ifndef SLUICE_TYPES_H
#define SLUICE_TYPES_H


#include <stdbool.h>


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


/*
 * The kind of a type as SQL writes it or format_type() does:
 * "numeric(12,2)", "timestamp(3) with time zone", "text[]".  TYPE_OTHER if
 * unknown.
 */
type_kind_t type_kind(const char *name);

/* The kind of an array's elements. */
type_kind_t type_element(const char *name);

/* Whether it is one of the types, or an array of one, that are known. */
bool type_is_known(const char *name);

static inline bool
type_is_time(type_kind_t kind)
{
    return kind >= TYPE_TIMESTAMPTZ && kind <= TYPE_TIME;
}

/* The known name nearest to "name", or NULL if none is near. */
const char *type_nearest(const char *name);


#endif
