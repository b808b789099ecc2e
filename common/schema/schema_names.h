/* Looks up member names of a schema and of an object. */

#ifndef SLUICE_SCHEMA_NAMES_H
#define SLUICE_SCHEMA_NAMES_H


#include "schema/schema_checker.h"
#include "schema/schema_compiler.h"


#pragma GCC visibility push(hidden)


/* Makes the table of many names.  Returns 0, or -1 with the error set. */
int schema_names_index(schema_compiler_t *c, schema_names_t *names);

/* The index of the name at "token", or names->n. */
uint32_t schema_names_find(schema_checker_t *c, const schema_names_t *names,
    uint32_t token);

/*
 * The value of an object's member, or JSON_NONE.  The search starts at *hint,
 * behind the member found last, as clients mostly keep the schema's order.
 */
uint32_t schema_member(schema_checker_t *c, uint32_t object,
    const schema_member_t *member, uint32_t *hint);


#pragma GCC visibility pop


#endif
