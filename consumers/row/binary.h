/* The text of a value becomes what its type's binary input reads. */

#ifndef SLUICE_BINARY_H
#define SLUICE_BINARY_H


#include <endian.h>

#include "base/buf.h"


typedef enum {
    BINARY_NONE = 0,    /* the text alone is known */
    BINARY_TEXT,
    BINARY_JSONB,
    BINARY_BYTEA,
    BINARY_BOOLEAN,
    BINARY_SMALLINT,
    BINARY_INTEGER,
    BINARY_BIGINT,
    BINARY_REAL,
    BINARY_DOUBLE,
    BINARY_NUMERIC,
    BINARY_UUID,
    BINARY_TIMESTAMPTZ,
    BINARY_TIMESTAMP,
    BINARY_DATE,
    BINARY_TIME,
    BINARY_INTERVAL,
    BINARY_INET,
    BINARY_CIDR,
    BINARY_MACADDR,
    BINARY_MACADDR8,
    BINARY_BIT,
    BINARY_XML
} binary_kind_t;


/*
 * What a function of PostgreSQL's own reads, by its name (pg_proc.prosrc of
 * pg_type.typreceive); NULL: BINARY_NONE.
 */
binary_kind_t binary_kind(const char *receive);

/*
 * Appends the bytes that such a function makes the same value of as the type's
 * text input makes of "s"; not of a date or time, which tuple.c reads.  Returns
 * 0; 1, with a part of the bytes appended, where the type may refuse the text;
 * -1 when memory is short.
 */
int binary_put(binary_kind_t kind, const char *s, size_t len, buf_t *out);


/* Writes the low "size" bytes of "n" in network byte order. */

static inline void
binary_put_int(char *p, uint64_t n, size_t size)
{
    n = htobe64(n << (64 - 8 * size));
    memcpy(p, &n, size);
}


#endif
