/* The schema's text, memory, strings and errors; knows no keyword. */

#ifndef SLUICE_SCHEMA_COMPILER_H
#define SLUICE_SCHEMA_COMPILER_H


#include "schema/schema_node.h"


typedef struct {
    schema_t        *schema;
    size_t           len;      /* of its text */
    schema_node_t  **nodes;    /* by token: the schema that begins there */
    schema_error_t  *err;
} schema_compiler_t;


#pragma GCC visibility push(hidden)


/*
 * Parses a copy of the text, which stays with the schema: "enum" and "const"
 * compare with it.  Returns 0, or -1 with the error set.
 */
int schema_take(schema_compiler_t *c, const char *text, size_t len);

/* Zeroed memory that lives as long as the schema; NULL with the error set. */
void *schema_alloc(schema_compiler_t *c, size_t size);

/* Frees what schema_alloc() gave. */
void schema_chunks_free(schema_t *schema);

/* A string of the schema, decoded, with a NUL; NULL with the error set. */
char *schema_decode(schema_compiler_t *c, uint32_t token, size_t *len);

/*
 * Sets the error: the JSON Pointer of the value at "token" (of a member's
 * name, its value's), what is wrong there, the token's line.  Returns -1.
 */
int schema_refuse(schema_compiler_t *c, uint32_t token, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));


#pragma GCC visibility pop


static inline const json_token_t *
schema_token(const schema_compiler_t *c, uint32_t token)
{
    return &c->schema->doc.tokens[token];
}


#endif
