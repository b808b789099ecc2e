/* Reads the values of keywords that hold no other schema. */

#ifndef SLUICE_SCHEMA_RULE_H
#define SLUICE_SCHEMA_RULE_H


#include "schema/schema_compiler.h"


/*
 * Reads a keyword's value at "token" into the rule.  Returns 1: the rule is to
 * be checked, 0: it is not, -1: an error is set.
 */
typedef int schema_read_t(schema_compiler_t *c, schema_rule_t *rule,
    uint32_t token);


#pragma GCC visibility push(hidden)


schema_read_t  schema_read_type;
schema_read_t  schema_read_required;
schema_read_t  schema_read_dependents;
schema_read_t  schema_read_count;
schema_read_t  schema_read_unique;
schema_read_t  schema_read_enum;
schema_read_t  schema_read_const;
schema_read_t  schema_read_pattern;
schema_read_t  schema_read_format;
schema_read_t  schema_read_bound;
schema_read_t  schema_read_multiple;
schema_read_t  schema_read_ref;
schema_read_t  schema_read_root;          /* $schema, $id */
schema_read_t  schema_read_annotation;

/* Room for the members of an object, in names->members; -1: error is set. */
int schema_members_alloc(schema_compiler_t *c, schema_names_t *names,
    uint32_t token);

/* A member's name, without its schema.  Returns 0, or -1 with the error set. */
int schema_read_member(schema_compiler_t *c, schema_member_t *member,
    uint32_t token);


#pragma GCC visibility pop


#endif
