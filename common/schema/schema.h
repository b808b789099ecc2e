/*
 * A subset of JSON Schema 2020-12, compiled once, checked against tokens.
 *
 * Room: JSON Schema: compiled once, checked in bounded time.
 */

#ifndef SLUICE_SCHEMA_H
#define SLUICE_SCHEMA_H


#include "json/json.h"


#define SCHEMA_POINTER_MAX  256    /* bytes of an instance's JSON Pointer */
#define SCHEMA_REASON_MAX   256

#define SCHEMA_STEPS_MAX    1600000    /* of one check, about 5 ns each */


#pragma GCC visibility push(hidden)


typedef struct schema_s  schema_t;


typedef struct {
    /* NUL-terminated, names keyword and JSON Pointer */
    char      reason[SCHEMA_REASON_MAX];
    unsigned  line;    /* in the schema's text, from 1 */
} schema_error_t;


typedef struct {
    /* JSON Pointer of the instance, NUL-terminated; cut at a reference token
       and ended by "/..." if it is too long */
    char         pointer[SCHEMA_POINTER_MAX];
    const char  *keyword;    /* static: "required" */
    /* for people: 'member "title" is missing' */
    char         reason[SCHEMA_REASON_MAX];
} schema_violation_t;


/*
 * Compiles the schema in "text" of "len" bytes.  Keywords: those of
 * docs/reference/module.md, kafka_schema; any other is an error, as what is
 * not checked must not look checked.  Boolean schemas are taken.  Returns NULL
 * with *err set.  The text may be freed afterwards.  A schema has working
 * memory of its own: one check at a time.
 */
schema_t *schema_compile(const char *text, size_t len, schema_error_t *err);
void schema_free(schema_t *schema);

/*
 * Checks the value at token "root".  Returns 0, or -1 with *violation set to
 * the first one in document order of the schema, or to the keyword at which
 * the number of steps or memory ran out.  Lengths count code points; 1.0 is
 * an integer (JSON Schema Core 2020-12, section 4.2.1).  Warm, it allocates
 * nothing.
 *
 * What the check costs is taken off *steps (about 5 ns each).  It
 * ends where they are spent (*steps is then 0 or less), or after
 * SCHEMA_STEPS_MAX of them.
 */
int schema_check(const schema_t *schema, const json_doc_t *doc, uint32_t root,
    int64_t *steps, schema_violation_t *violation);


#pragma GCC visibility pop


#endif
