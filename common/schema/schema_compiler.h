/* The bottom of compiling: memory of the schema, its strings, refusals. */

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
 * Keeps a copy of the text, which "enum" and its like compare against, as
 * tokens.  Returns 0, or -1 with the error set.
 */
int schema_take(schema_compiler_t *c, const char *text, size_t len);

/* Zeroed memory that lives as long as the schema; NULL with the error set. */
void *schema_alloc(schema_compiler_t *c, size_t size);

/* Frees what schema_alloc() gave. */
void schema_chunks_free(schema_t *schema);

/* A string of the schema, decoded and ended by NUL, or NULL. */
char *schema_decode(schema_compiler_t *c, uint32_t token, size_t *len);

/*
 * Sets the error: the pointer of the value, or of a name's value, at "token",
 * then what is wrong there; its line is the token's.  Returns -1.
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
