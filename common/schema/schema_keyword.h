/* Names of keywords and types. */

#ifndef SLUICE_SCHEMA_KEYWORD_H
#define SLUICE_SCHEMA_KEYWORD_H


#include "json/json.h"


#define SCHEMA_NULL      0x01
#define SCHEMA_BOOLEAN   0x02
#define SCHEMA_INTEGER   0x04
#define SCHEMA_NUMBER    0x08
#define SCHEMA_STRING    0x10
#define SCHEMA_ARRAY     0x20
#define SCHEMA_OBJECT    0x40
#define SCHEMA_ANY       0x7f


/*
 * A keyword's SCHEMA_... and name; schema_read_...() reads its value at load;
 * then the types of the values that the keyword restricts, and
 * schema_check_...(), which checks them.
 */
#define SCHEMA_RULES(X)                                                      \
    X(TYPE,           "type",                 type,       ANY,    type)      \
    X(REQUIRED,       "required",             required,   OBJECT, required)  \
    X(PROPERTIES,     "properties",           properties, OBJECT, properties) \
    X(ADDITIONAL,     "additionalProperties", node,       OBJECT, additional) \
    X(DEPENDENT,      "dependentRequired",    dependents, OBJECT, dependents) \
    X(MIN_PROPERTIES, "minProperties",        count,      OBJECT, count)     \
    X(MAX_PROPERTIES, "maxProperties",        count,      OBJECT, count)     \
    X(PREFIX_ITEMS,   "prefixItems",          nodes,      ARRAY,  prefix)    \
    X(ITEMS,          "items",                node,       ARRAY,  items)     \
    X(MIN_ITEMS,      "minItems",             count,      ARRAY,  count)     \
    X(MAX_ITEMS,      "maxItems",             count,      ARRAY,  count)     \
    X(UNIQUE,         "uniqueItems",          unique,     ARRAY,  unique)    \
    X(ENUM,           "enum",                 enum,       ANY,    value)     \
    X(CONST,          "const",                const,      ANY,    value)     \
    X(MIN_LENGTH,     "minLength",            count,      STRING, length)    \
    X(MAX_LENGTH,     "maxLength",            count,      STRING, length)    \
    X(PATTERN,        "pattern",              pattern,    STRING, pattern)   \
    X(FORMAT,         "format",               format,     STRING, format)    \
    X(MINIMUM,        "minimum",              bound,      NUMBER, bound)     \
    X(MAXIMUM,        "maximum",              bound,      NUMBER, bound)     \
    X(EXCL_MINIMUM,   "exclusiveMinimum",     bound,      NUMBER, bound)     \
    X(EXCL_MAXIMUM,   "exclusiveMaximum",     bound,      NUMBER, bound)     \
    X(MULTIPLE,       "multipleOf",           multiple,   NUMBER, multiple)  \
    X(REF,            "$ref",                 ref,        ANY,    ref)       \
    X(ALL_OF,         "allOf",                nodes,      ANY,    all)       \
    X(ANY_OF,         "anyOf",                nodes,      ANY,    any)       \
    X(ONE_OF,         "oneOf",                nodes,      ANY,    any)       \
    X(NOT,            "not",                  node,       ANY,    not)       \
    X(IF,             "if",                   node,       ANY,    if)

/* Keywords that leave no rule. */
#define SCHEMA_OTHERS(X)                                                     \
    X(THEN,           "then",                 node)                          \
    X(ELSE,           "else",                 node)                          \
    X(DEFS,           "$defs",                defs)                          \
    X(DIALECT,        "$schema",              root)                          \
    X(ID,             "$id",                  root)                          \
    X(TITLE,          "title",                annotation)                    \
    X(DESCRIPTION,    "description",          annotation)                    \
    X(COMMENT,        "$comment",             annotation)                    \
    X(DEFAULT,        "default",              annotation)                    \
    X(EXAMPLES,       "examples",             annotation)                    \
    X(DEPRECATED,     "deprecated",           annotation)                    \
    X(READ_ONLY,      "readOnly",             annotation)                    \
    X(WRITE_ONLY,     "writeOnly",            annotation)

#define SCHEMA_NUMBERED(keyword, ...)  SCHEMA_##keyword,

typedef enum {
    SCHEMA_RULES(SCHEMA_NUMBERED)
    SCHEMA_OTHERS(SCHEMA_NUMBERED)
    SCHEMA_UNKNOWN
} schema_keyword_t;


typedef struct {
    const char  *name;
    uint8_t      bit;
} schema_type_t;


#pragma GCC visibility push(hidden)


/* By keyword; SCHEMA_UNKNOWN has none. */
extern const char *const  schema_keywords[];

/* As "type" names them; ended by a NULL name. */
extern const schema_type_t  schema_types[];

/* By json_type_t; a number may be an integer too, by its digits. */
extern const schema_type_t  schema_kinds[];

/* The keyword whose name is at "token". */
schema_keyword_t schema_keyword(const json_doc_t *doc, uint32_t token);


#pragma GCC visibility pop


#endif
