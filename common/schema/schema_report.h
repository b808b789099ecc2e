/* A value's place in its text as a JSON Pointer, and names for people. */

#ifndef SLUICE_SCHEMA_REPORT_H
#define SLUICE_SCHEMA_REPORT_H


#include "schema/schema.h"


typedef struct schema_path_s  schema_path_t;

/* A step of the path from the root; each stands on the stack. */

struct schema_path_s {
    const schema_path_t  *up;       /* NULL: this is the root */
    const char           *name;     /* NULL: see "token" */
    size_t                len;
    uint32_t              token;    /* a name of "doc"; JSON_NONE: an index */
    uint32_t              index;
};


#pragma GCC visibility push(hidden)


/*
 * The path as a JSON Pointer of at most SCHEMA_POINTER_MAX bytes with NUL;
 * "doc" holds the tokens it names.
 */
void schema_pointer(const json_doc_t *doc, const schema_path_t *path,
    char *out);

/*
 * "len" bytes, or a string token, for people: cut at "size" bytes with NUL,
 * without control characters.  Both return "out".
 */
const char *schema_printable(const char *s, size_t len, char *out,
    size_t size);
const char *schema_printable_token(const json_doc_t *doc, uint32_t token,
    char *out, size_t size);


#pragma GCC visibility pop


#endif
