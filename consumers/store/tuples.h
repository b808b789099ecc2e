/* Lines of COPY's text format become tuples of its binary one. */

#ifndef SLUICE_BINARY_H
#define SLUICE_BINARY_H


#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "postgres/target.h"


/*
 * PostgreSQL takes a quarter less time for these tuples than for the lines
 * they come from: it neither looks for delimiters nor reads digits.
 */

typedef enum {
    BINARY_TEXT = 0,       /* text, varchar, char, json */
    BINARY_JSONB,
    BINARY_BYTEA,
    BINARY_INT2,
    BINARY_INT4,
    BINARY_INT8,
    BINARY_TIMESTAMPTZ     /* as row_convert() writes a record's timestamp */
} binary_kind_t;


typedef struct {
    binary_kind_t  *kinds;         /* of the columns of a COPY, in order */
    uint32_t       *oids;          /* their types in the table */
    size_t          ncolumns;
    char            date[16];      /* the date parsed last, and its days */
    int64_t         days;          /* since 1970-01-01 */
} binary_t;


/* PostgreSQL's manual, COPY, Binary Format: signature, flags, extension. */
#define BINARY_HEADER      "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0"
#define BINARY_HEADER_LEN  19


/*
 * Whether every line of a table's columns, with the types that the row's plan
 * was given, can become a tuple.  Fills "binary" then.  Returns 1, 0 where
 * text has to do, -1 when memory is short.
 */
int binary_prepare(binary_t *binary, const target_t *target);
void binary_free(binary_t *binary);

/*
 * Appends the tuple of a line that ends with its line feed.  A value that is
 * not of its column's type becomes one that PostgreSQL refuses with an error
 * of class 22, as it would refuse the text.  Returns -1 when memory is short.
 */
int binary_add(binary_t *binary, const char *line, size_t len, buf_t *out);

/*
 * The same behind an integer, a row's place in its batch, and a boolean where
 * "gone" is not NULL.
 */
int binary_add_staged(binary_t *binary, int32_t place, const bool *gone,
    const char *line, size_t len, buf_t *out);


#endif
