/* "pattern", by PCRE2 with a bounded number of steps. */

#ifndef SLUICE_SCHEMA_PATTERN_H
#define SLUICE_SCHEMA_PATTERN_H


#include "schema/schema_checker.h"
#include "schema/schema_compiler.h"


#pragma GCC visibility push(hidden)


/* The pattern at "token", decoded; NULL with the error set. */
schema_pattern_t *schema_pattern_compile(schema_compiler_t *c,
    const char *text, size_t len, uint32_t token);
void schema_patterns_free(schema_t *schema);

schema_check_t  schema_check_pattern;


#pragma GCC visibility pop


#endif
