/* Avro's binary encoding (1.12) becomes JSON. */

#ifndef SLUICE_AVRO_H
#define SLUICE_AVRO_H


#include "registry/avro_schema.h"


#define AVRO_DEPTH    64             /* values within values */
#define AVRO_ITEMS    (1 << 20)      /* of all arrays and maps of a value */
#define AVRO_JSON     (16 << 20)     /* bytes of JSON */
#define AVRO_DECIMAL_MAX  400        /* bytes of a decimal */


/*
 * Appends one value of "len" bytes to "out".  Numbers keep their digits, a
 * decimal is a number; bytes are base64; dates and times are ISO 8601, those
 * with a time zone in UTC; a duration is an ISO 8601 duration; a union is the
 * value that it has.  Returns 0; 1 with a text in "reason" ("size" bytes)
 * where the bytes are no such value; -1 when memory is short.
 */
int avro_read(const avro_schema_t *schema, const char *s, size_t len,
    buf_t *out, char *reason, size_t size);


#endif
