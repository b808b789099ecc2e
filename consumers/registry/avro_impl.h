/* Inside the reader of Avro: what types and logical types share. */

#ifndef SLUICE_AVRO_IMPL_H
#define SLUICE_AVRO_IMPL_H


#include "registry/avro.h"


typedef struct {
    const avro_schema_t  *schema;
    const char           *start;
    const char           *p;
    const char           *end;
    buf_t                *out;
    unsigned              depth;
    uint32_t              items;      /* so far */
    char                 *reason;
    size_t                size;
} avro_reader_t;


/*
 * All of avro_logical.c, and return 0; 1 with the reason set; -1 when memory
 * is short.  avro_bad() sets one of printf's format, with the place, and
 * returns 1.
 */
int avro_bad(avro_reader_t *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* A whole number, or the bytes of a string or a fixed. */
int avro_put_number(avro_reader_t *r, avro_logical_t logical, int64_t n);
int avro_put_bytes(avro_reader_t *r, const avro_node_t *node, const char *s,
    size_t len);


#endif
