/* Inside the compiler of Avro schemas: its state, and what it adds. */

#ifndef SLUICE_AVRO_BUILD_IMPL_H
#define SLUICE_AVRO_BUILD_IMPL_H


#include "json/json.h"
#include "registry/avro_schema.h"


/* A type's full name. */
typedef struct {
    uint32_t  text;       /* in "full" */
    uint32_t  len;
    uint32_t  node;       /* AVRO_NONE: not defined so far */
} avro_name_t;


typedef struct {
    avro_schema_t  *schema;
    json_doc_t      doc;
    buf_t           strings;     /* the document's, decoded, one by one */
    buf_t           names;       /* avro_name_t */
    buf_t           full;        /* their texts */
    unsigned        nested;
    char           *reason;
    size_t          size;
} avro_compiler_t;


/* A namespace, in "full"; len 0: none. */
typedef struct {
    uint32_t  text;
    uint32_t  len;
} avro_space_t;


static inline avro_node_t *
avro_at(avro_compiler_t *c, uint32_t node)
{
    return (avro_node_t *) (void *) c->schema->nodes.data + node;
}


/*
 * Where these fail they set the reason.  avro_wrong() sets one of printf's
 * format and returns -1, which is AVRO_NONE of a node.
 */
int avro_wrong(avro_compiler_t *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* A node more, or AVRO_NONE. */
uint32_t avro_add(avro_compiler_t *c, avro_type_t type);

/* Makes room for a node's parts, which are filled one by one; or -1. */
int avro_add_parts(avro_compiler_t *c, uint32_t node, size_t n);

/*
 * Fills the part "i" of "of": the token "name", JSON_NONE for none, and
 * "node", which is AVRO_NONE of a symbol.  Or -1.
 */
int avro_set_part(avro_compiler_t *c, uint32_t of, size_t i, uint32_t name,
    uint32_t node);

/* The place of a full name in "names", which gets it if it is new. */
uint32_t avro_name(avro_compiler_t *c, const char *s, size_t len,
    avro_space_t space);

/* Whether every name that is used is also defined; or -1. */
int avro_resolve(avro_compiler_t *c);

/* The elements of an array, one a call; JSON_NONE before and behind them. */
uint32_t avro_each(const avro_compiler_t *c, uint32_t array, uint32_t after);
size_t avro_count(const avro_compiler_t *c, uint32_t array);

/* The value of a member if it is of that type, else JSON_NONE. */
uint32_t avro_member(const avro_compiler_t *c, uint32_t object,
    const char *name, json_type_t type);


#endif
