/* Shared by the schema's compiler and its checker; nobody else includes it. */

#ifndef SLUICE_SCHEMA_IMPL_H
#define SLUICE_SCHEMA_IMPL_H


#pragma GCC visibility push(hidden)

#include "schema.h"


#define SCHEMA_NULL      0x01
#define SCHEMA_BOOLEAN   0x02
#define SCHEMA_INTEGER   0x04
#define SCHEMA_NUMBER    0x08
#define SCHEMA_STRING    0x10
#define SCHEMA_ARRAY     0x20
#define SCHEMA_OBJECT    0x40


typedef enum {
    SCHEMA_TYPE = 0,
    SCHEMA_REQUIRED,
    SCHEMA_PROPERTIES,
    SCHEMA_MIN_LENGTH,
    SCHEMA_KEYWORDS,
    SCHEMA_ANNOTATION,
    SCHEMA_UNKNOWN
} schema_keyword_t;


typedef struct {
    const char  *name;
    uint8_t      bit;
} schema_type_t;


typedef struct {
    char      *name;
    size_t     len;
    schema_t  *schema;    /* NULL in "required" */
} schema_member_t;


struct schema_s {
    uint8_t           never;                     /* the schema "false" */
    uint8_t           types;
    uint8_t           keywords;
    uint8_t           order[SCHEMA_KEYWORDS];    /* as the text has them */
    uint64_t          min_length;                /* code points */
    size_t            nrequired;
    size_t            nproperties;
    schema_member_t  *required;
    schema_member_t  *properties;
};


/* The way from the root, on the stack of who walks it. */

typedef struct schema_path_s  schema_path_t;

struct schema_path_s {
    const schema_path_t  *up;      /* NULL: this is the root */
    const char           *name;
    size_t                len;
};


/* Ended by a NULL name. */
extern const schema_type_t  schema_types[];

/* The path as a JSON Pointer of at most SCHEMA_POINTER_MAX bytes with NUL. */
void schema_pointer(const schema_path_t *path, char *out);

/* "len" bytes for people: cut at "size" bytes with NUL, no control bytes. */
const char *schema_printable(const char *s, size_t len, char *out,
    size_t size);

/* Whether a number's text is an integer: 1.0, 1e2 and 10e-1 are. */
int schema_is_integer(const char *p, const char *end);


#pragma GCC visibility pop


#endif
