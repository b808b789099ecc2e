/* Compares whole values; order of members and form of numbers do not count. */

#ifndef SLUICE_SCHEMA_VALUE_H
#define SLUICE_SCHEMA_VALUE_H


#include "schema/schema_checker.h"
#include "schema/schema_compiler.h"


#pragma GCC visibility push(hidden)


/* A table of the elements of the array at "token" of the schema's text. */
int schema_values(schema_compiler_t *c, schema_values_t *values,
    uint32_t token);

/* Whether the value is one of them; -1: out of memory. */
int schema_values_have(schema_checker_t *c, const schema_values_t *values,
    uint32_t token);

/* Whether it equals a value of the schema's text; -1: out of memory. */
int schema_equals_own(schema_checker_t *c, uint32_t own, uint32_t token);

/* SCHEMA_FITS or another; *first and *second are the equal elements. */
int schema_unique(schema_checker_t *c, uint32_t array, uint32_t *first,
    uint32_t *second, const schema_path_t *path);


#pragma GCC visibility pop


#endif
