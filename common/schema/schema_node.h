/* A compiled schema: nodes with rules, and the memory of its checks. */

#ifndef SLUICE_SCHEMA_NODE_H
#define SLUICE_SCHEMA_NODE_H


#include "json/json_number.h"
#include "schema/schema.h"
#include "schema/schema_keyword.h"


typedef struct schema_node_s     schema_node_t;
typedef struct schema_pattern_s  schema_pattern_t;
typedef struct schema_chunk_s    schema_chunk_t;

typedef int schema_format_t(const char *p, const char *end);


typedef struct {
    const char     *name;      /* decoded, "len" bytes, then NUL */
    size_t          len;
    schema_node_t  *node;      /* NULL but in "properties" */
} schema_member_t;


typedef struct {
    schema_member_t  *members;    /* as the text has them */
    uint32_t          n;
    uint32_t          mask;       /* of "slots", a power of two less one */
    uint32_t         *slots;      /* index + 1; NULL of few names */
} schema_names_t;


typedef struct {
    uint64_t  hash;
    uint32_t  token;    /* JSON_NONE: empty */
} schema_slot_t;


typedef struct {
    schema_slot_t  *slots;
    uint32_t        mask;    /* a power of two less one */
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


typedef struct {
    schema_keyword_t  keyword;

    union {
        uint8_t             types;
        uint64_t            count;
        uint32_t            token;    /* of the schema's own text */
        schema_names_t      names;
        schema_values_t     values;
        json_number_t       number;
        schema_nodes_t      nodes;
        schema_pattern_t   *pattern;

        schema_node_t      *sub[3];   /* one schema; of "if" with branches */

        struct {
            schema_node_t         *sub;
            const schema_names_t  *properties;
        } additional;

        struct {
            schema_node_t  *sub;
            uint32_t        nprefix;
        } items;

        struct {
            schema_dependent_t  *list;
            uint32_t             n;
        } dependents;

        struct {
            schema_format_t  *check;
            const char       *name;
        } format;

        struct {
            uint64_t  divisor;     /* no zero at its end */
            int32_t   exponent;    /* divisor * 10^exponent */
            uint32_t  digits;
        } multiple;
    } u;
} schema_rule_t;


struct schema_node_s {
    schema_rule_t  *rules;       /* as the text has them */
    uint16_t        nrules;
    uint8_t         never;       /* the schema "false" */
    uint8_t         visiting;    /* while loops are searched */
    uint32_t        height;      /* of schemas for one value below */
    uint32_t        token;
};


/*
 * Working memory, kept from one check to the next.  A schema belongs to one
 * thread and runs one check at a time.
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


/* The number of an array's elements or an object's members. */

static inline uint32_t
schema_count(const json_doc_t *doc, uint32_t token)
{
    uint32_t  i, n, end, name;

    n = 0;
    end = doc->tokens[token].next;
    name = doc->tokens[token].type == JSON_OBJECT;

    for (i = token + 1; i < end; i = doc->tokens[i + name].next) {
        n++;
    }

    return n;
}


#endif
