/* PostgreSQL's types as far as a column's text depends on them. */

#ifndef SLUICE_TYPES_H
#define SLUICE_TYPES_H


typedef enum {
    TYPE_OTHER = 0,     /* PostgreSQL judges the text */
    TYPE_TEXT,
    TYPE_BOOLEAN,
    TYPE_SMALLINT,
    TYPE_INTEGER,
    TYPE_BIGINT,
    TYPE_NUMERIC,
    TYPE_FLOAT,
    TYPE_TIME,          /* dates and times, taken as ISO 8601 text */
    TYPE_UUID,
    TYPE_JSON,
    TYPE_BYTEA
} type_kind_t;


/*
 * The kind of a type as SQL writes it or format_type() does:
 * "numeric(12,2)", "timestamp(3) with time zone".  TYPE_OTHER if unknown.
 */
type_kind_t type_kind(const char *name);

/* The known name nearest to "name", or NULL if none is near. */
const char *type_nearest(const char *name);


#endif
