/* Shared by the parts of the schema; nobody else includes it. */

#ifndef SLUICE_SCHEMA_IMPL_H
#define SLUICE_SCHEMA_IMPL_H


#pragma GCC visibility push(hidden)

#include "json/json_number.h"
#include "schema/schema.h"


#define SCHEMA_NULL      0x01
#define SCHEMA_BOOLEAN   0x02
#define SCHEMA_INTEGER   0x04
#define SCHEMA_NUMBER    0x08
#define SCHEMA_STRING    0x10
#define SCHEMA_ARRAY     0x20
#define SCHEMA_OBJECT    0x40

/* What a part of a check answers. */
#define SCHEMA_FITS       0
#define SCHEMA_VIOLATES  -1
#define SCHEMA_STOPS     -2    /* no verdict, *violation is set: unwind */

#define SCHEMA_MAX_CHAIN   64           /* schemas for one value, nested */
#define SCHEMA_MAX_UNIQUE  (1 << 20)    /* items of one array */
#define SCHEMA_STEPS       1000000      /* of one check, some ns each */
#define SCHEMA_STEPS_BYTE  64           /* more for each byte checked */
#define SCHEMA_MATCH_STEPS 100000       /* of one pattern on one string */

#define SCHEMA_LINEAR    16    /* names looked for one by one up to here */


typedef enum {
    SCHEMA_TYPE = 0,
    SCHEMA_REQUIRED,
    SCHEMA_PROPERTIES,
    SCHEMA_ADDITIONAL,
    SCHEMA_DEPENDENT,
    SCHEMA_MIN_PROPERTIES,
    SCHEMA_MAX_PROPERTIES,
    SCHEMA_PREFIX_ITEMS,
    SCHEMA_ITEMS,
    SCHEMA_MIN_ITEMS,
    SCHEMA_MAX_ITEMS,
    SCHEMA_UNIQUE,
    SCHEMA_ENUM,
    SCHEMA_CONST,
    SCHEMA_MIN_LENGTH,
    SCHEMA_MAX_LENGTH,
    SCHEMA_PATTERN,
    SCHEMA_FORMAT,
    SCHEMA_MINIMUM,
    SCHEMA_MAXIMUM,
    SCHEMA_EXCL_MINIMUM,
    SCHEMA_EXCL_MAXIMUM,
    SCHEMA_MULTIPLE,
    SCHEMA_REF,
    SCHEMA_ALL_OF,
    SCHEMA_ANY_OF,
    SCHEMA_ONE_OF,
    SCHEMA_NOT,
    SCHEMA_IF,
    SCHEMA_KEYWORDS,

    /* these leave no rule */
    SCHEMA_THEN,
    SCHEMA_ELSE,
    SCHEMA_DEFS,
    SCHEMA_DIALECT,
    SCHEMA_ID,
    SCHEMA_ANNOTATION,
    SCHEMA_UNKNOWN
} schema_keyword_t;


typedef struct schema_node_s      schema_node_t;
typedef struct schema_compiler_s  schema_compiler_t;
typedef struct schema_path_s      schema_path_t;
typedef struct schema_pattern_s   schema_pattern_t;
typedef struct schema_chunk_s     schema_chunk_t;


typedef struct {
    const char  *name;
    uint8_t      bit;
} schema_type_t;


typedef struct {
    const char     *name;      /* decoded, "len" bytes, then NUL */
    size_t          len;
    schema_node_t  *node;      /* NULL but in "properties" */
} schema_member_t;


typedef struct {
    schema_member_t  *members;    /* as the text has them */
    uint32_t          n;
    uint32_t          mask;       /* of "slots", a power of two less one */
    uint32_t         *slots;      /* index + 1; NULL up to SCHEMA_LINEAR */
} schema_names_t;


typedef struct {
    uint64_t  hash;
    uint32_t  token;    /* JSON_NONE: empty */
} schema_slot_t;


typedef struct {
    schema_slot_t  *slots;
    uint32_t        mask;
    uint32_t        n;
} schema_values_t;


typedef struct {
    schema_node_t  **list;
    uint32_t         n;
} schema_nodes_t;


typedef struct {
    schema_member_t  name;
    schema_names_t   needs;
} schema_dependent_t;


typedef int (*schema_format_pt)(const char *p, const char *end);


typedef struct {
    schema_keyword_t  keyword;

    union {
        uint8_t                types;
        uint64_t               count;
        uint32_t               token;    /* of the schema's own text */
        schema_names_t         names;
        schema_values_t        values;
        json_number_t        number;
        schema_node_t         *node;
        schema_nodes_t         nodes;
        schema_pattern_t      *pattern;

        struct {
            schema_dependent_t  *list;
            uint32_t             n;
        } dependents;

        struct {
            schema_format_pt   check;
            const char        *name;
        } format;

        struct {
            uint64_t  divisor;     /* no zero at its end */
            int32_t   exponent;    /* divisor * 10^exponent */
            uint32_t  digits;
        } multiple;
    } u;
} schema_rule_t;


struct schema_node_s {
    schema_rule_t         *rules;         /* as the text has them */
    uint16_t               nrules;
    uint8_t                never;         /* the schema "false" */
    uint8_t                visiting;      /* while loops are looked for */
    uint32_t               height;        /* of schemas for one value below */
    uint32_t               token;
    uint32_t               nprefix;
    const schema_names_t  *properties;
    schema_node_t         *then;
    schema_node_t         *otherwise;
};


/*
 * What a check works with, kept from one to the next.  One check at a time:
 * a schema belongs to one thread.
 */
typedef struct {
    json_seed_t     seed;
    char           *text;       /* decoded strings */
    size_t          size;
    schema_slot_t  *slots;      /* elements of one array */
    size_t          nslots;
    void           *match;      /* PCRE2's, shared by the patterns */
    void           *limits;
} schema_scratch_t;


struct schema_s {
    schema_node_t     *root;
    json_doc_t         doc;         /* of its own copy of the text */
    char              *text;
    schema_chunk_t    *chunks;
    schema_pattern_t  *patterns;    /* linked, to be freed */
    schema_scratch_t   scratch;
    schema_scratch_t  *work;        /* &scratch: a check's schema is const */
};


struct schema_compiler_s {
    schema_t        *schema;
    size_t           len;
    schema_node_t  **nodes;    /* by token: the schema that begins there */
    schema_error_t  *err;
};


typedef struct {
    const schema_t      *schema;
    const json_doc_t    *doc;
    schema_violation_t  *violation;
    schema_scratch_t    *work;
    int64_t              steps;    /* left */
    int                  quiet;    /* a violation is not the record's yet */
} schema_checker_t;


/* The way from the root, on the stack of who walks it. */

struct schema_path_s {
    const schema_path_t  *up;       /* NULL: this is the root */
    const char           *name;     /* NULL: see "token" */
    size_t                len;
    uint32_t              token;    /* a name of "doc"; JSON_NONE: an index */
    uint32_t              index;
};


/* schema.c */

/* Ended by a NULL name. */
extern const schema_type_t  schema_types[];

/* By json_type_t; of a number it depends on its digits. */
extern const schema_type_t  schema_kinds[];

const char *schema_keyword_name(schema_keyword_t keyword);

/* Zeroed memory that lives as long as the schema; NULL with the error set. */
void *schema_alloc(schema_compiler_t *c, size_t size);

/* Sets the error: the pointer, then what is wrong there; returns -1. */
int schema_refuse(schema_compiler_t *c, uint32_t token,
    const schema_path_t *path, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The same; finds the way to the token itself. */
int schema_refuse_token(schema_compiler_t *c, uint32_t token,
    const char *what);

/* The schema at "token", or NULL with the error set. */
schema_node_t *schema_node(schema_compiler_t *c, uint32_t token,
    const schema_path_t *path);

/* A string of the schema, decoded and ended by NUL, or NULL. */
char *schema_decode(schema_compiler_t *c, uint32_t token, size_t *len);

static inline const json_token_t *
schema_token(const schema_compiler_t *c, uint32_t token)
{
    return &c->schema->doc.tokens[token];
}


/* schema_keywords.c: reads a keyword's value at "token" into the rule. */

int schema_rule(schema_compiler_t *c, schema_node_t *node,
    schema_rule_t *rule, uint32_t token, const schema_path_t *path);

/* schema_refs.c: finds what "$ref" names; refuses loops. */

int schema_resolve(schema_compiler_t *c);

/* schema_names.c: looking up member names. */

int schema_names_index(schema_compiler_t *c, schema_names_t *names);

/* The index of the name at "token", or names->n. */
uint32_t schema_names_find(schema_checker_t *c, const schema_names_t *names,
    uint32_t token);

/*
 * The value of an object's member, or JSON_NONE.  Clients mostly send
 * members in one order: the search starts at *hint, behind the one before.
 */
uint32_t schema_member(schema_checker_t *c, uint32_t object,
    const schema_member_t *member, uint32_t *hint);

/* schema_value.c: comparing whole values. */

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

/* A string's decoded bytes, until the next call; NULL: out of memory. */
const char *schema_text(schema_scratch_t *work, const json_doc_t *doc,
    uint32_t token, size_t *len);

/* Returns memory beyond what is worth keeping. */
void schema_scratch_trim(schema_scratch_t *work);

/* schema_format.c */

/* NULL: the format is not known. */
schema_format_pt schema_format(const char *name, const char **kept);

/* schema_check.c: SCHEMA_FITS or another, as all below. */

int schema_walk(schema_checker_t *c, const schema_node_t *node,
    uint32_t token, const schema_path_t *path);

/* schema_object.c */

int schema_check_required(schema_checker_t *c, const char *keyword,
    const schema_names_t *names, uint32_t token, const schema_path_t *path);
int schema_check_dependents(schema_checker_t *c,
    const schema_rule_t *rule, uint32_t token, const schema_path_t *path);
int schema_check_properties(schema_checker_t *c,
    const schema_names_t *names, uint32_t token, const schema_path_t *path);
int schema_check_additional(schema_checker_t *c,
    const schema_node_t *node, const schema_rule_t *rule, uint32_t token,
    const schema_path_t *path);

/* schema_scalar.c */

int schema_check_type(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
int schema_check_unique(schema_checker_t *c, uint32_t token,
    const schema_path_t *path);
int schema_check_count(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
int schema_check_value(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
int schema_check_length(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
int schema_check_format(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
int schema_check_number(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);

/* schema_pattern.c */

schema_pattern_t *schema_pattern_compile(schema_compiler_t *c,
    const char *text, size_t len, uint32_t token, const schema_path_t *path);
void schema_patterns_free(schema_t *schema);

/* SCHEMA_FITS or another. */
int schema_pattern_check(schema_checker_t *c, const schema_pattern_t *pattern,
    uint32_t token, const schema_path_t *path);

/* schema_report.c */

/* Sets the violation unless quiet; returns SCHEMA_VIOLATES. */
int schema_violate(schema_checker_t *c, const char *keyword,
    const schema_path_t *path, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The same, quiet or not; returns SCHEMA_STOPS. */
int schema_stop(schema_checker_t *c, const char *keyword,
    const schema_path_t *path, const char *reason);

/*
 * The path as a JSON Pointer of at most SCHEMA_POINTER_MAX bytes with NUL;
 * "doc" holds the tokens it names.
 */
void schema_pointer(const json_doc_t *doc, const schema_path_t *path,
    char *out);

/* "len" bytes for people: cut at "size" bytes with NUL, no control bytes. */
const char *schema_printable(const char *s, size_t len, char *out,
    size_t size);

/* The same of a string token. */
const char *schema_printable_token(const json_doc_t *doc, uint32_t token,
    char *out, size_t size);


extern const char  schema_too_costly[];


#pragma GCC visibility pop


#endif
