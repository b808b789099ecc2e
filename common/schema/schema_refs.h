/* Finds the schema that "$ref" names; refuses loops. */

#ifndef SLUICE_SCHEMA_REFS_H
#define SLUICE_SCHEMA_REFS_H


#include "schema/schema_compiler.h"


#pragma GCC visibility push(hidden)


/* Once all nodes are made.  Returns 0, or -1 with the error set. */
int schema_resolve(schema_compiler_t *c);


#pragma GCC visibility pop


#endif
