/* An Avro schema (1.12, "Schema Declaration"), compiled for avro_read(). */

#ifndef SLUICE_AVRO_SCHEMA_H
#define SLUICE_AVRO_SCHEMA_H


#include "base/buf.h"


#define AVRO_NODES   65536     /* of one schema */
#define AVRO_NAMES   4096      /* named types of one schema */
#define AVRO_NESTED  64        /* types within types */
#define AVRO_SCALE   900       /* digits behind a decimal's point */

#define AVRO_NONE    UINT32_MAX


typedef enum {
    AVRO_NULL = 0,
    AVRO_BOOLEAN,
    AVRO_INT,
    AVRO_LONG,
    AVRO_FLOAT,
    AVRO_DOUBLE,
    AVRO_BYTES,
    AVRO_STRING,
    AVRO_RECORD,
    AVRO_ENUM,
    AVRO_ARRAY,
    AVRO_MAP,
    AVRO_UNION,
    AVRO_FIXED,
    AVRO_NAMED         /* a type that is defined elsewhere: see "first" */
} avro_type_t;


/* What a value means beyond its type; what Avro does not know is plain. */
typedef enum {
    AVRO_PLAIN = 0,
    AVRO_DECIMAL,
    AVRO_UUID,
    AVRO_DATE,
    AVRO_TIME_MILLIS,
    AVRO_TIME_MICROS,
    AVRO_TIMESTAMP_MILLIS,
    AVRO_TIMESTAMP_MICROS,
    AVRO_TIMESTAMP_NANOS,
    AVRO_LOCAL_MILLIS,
    AVRO_LOCAL_MICROS,
    AVRO_LOCAL_NANOS,
    AVRO_DURATION
} avro_logical_t;


/*
 * "first" is that of "n" parts: a record's fields, an enum's symbols, a
 * union's branches, what an array or map holds.  Of AVRO_NAMED it is the node.
 */
typedef struct {
    uint8_t   type;       /* avro_type_t */
    uint8_t   logical;    /* avro_logical_t */
    uint16_t  scale;      /* of a decimal */
    uint32_t  first;
    uint32_t  n;
    uint32_t  size;       /* bytes of a fixed */
} avro_node_t;


/* A name is ready for JSON: "name": of a field, "SYMBOL" of an enum. */
typedef struct {
    uint32_t  text;       /* in "text" of the schema */
    uint32_t  len;
    uint32_t  node;       /* AVRO_NONE of a symbol */
} avro_part_t;


typedef struct {
    buf_t     nodes;      /* avro_node_t; the first text's type is "root" */
    buf_t     parts;      /* avro_part_t */
    buf_t     text;
    uint32_t  root;
} avro_schema_t;


typedef struct {
    const char  *s;
    size_t       len;
} avro_text_t;


static inline const avro_node_t *
avro_node(const avro_schema_t *schema, uint32_t i)
{
    return (const avro_node_t *) (const void *) schema->nodes.data + i;
}


static inline const avro_part_t *
avro_part(const avro_schema_t *schema, uint32_t i)
{
    return (const avro_part_t *) (const void *) schema->parts.data + i;
}


/*
 * Compiles the first text; the others define types that it names.  NULL with
 * a text in "reason" ("size" bytes).
 */
avro_schema_t *avro_schema_compile(const avro_text_t *texts, size_t n,
    char *reason, size_t size);
void avro_schema_free(avro_schema_t *schema);

/* Bytes of memory that it holds. */
size_t avro_schema_size(const avro_schema_t *schema);


#endif
