/* JSON Schema 2020-12: compiling.  Tokens become nodes with rules. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/schema_impl.h"


#define SCHEMA_CHUNK  4096    /* bytes allocated at once */


/* Memory that goes with the schema. */

struct schema_chunk_s {
    schema_chunk_t  *next;
    size_t           used;
    size_t           size;
    _Alignas(16) unsigned char  data[];
};


static int schema_take(schema_compiler_t *c, const char *text, size_t len);
static int schema_keywords(schema_compiler_t *c, schema_node_t *node,
    const schema_path_t *path);
static schema_keyword_t schema_keyword(schema_compiler_t *c, uint32_t token);
static void schema_join(schema_node_t *node);


static const struct {
    const char        *name;
    schema_keyword_t   keyword;
} schema_keyword_names[] = {
    { "type",                 SCHEMA_TYPE           },
    { "required",             SCHEMA_REQUIRED       },
    { "properties",           SCHEMA_PROPERTIES     },
    { "additionalProperties", SCHEMA_ADDITIONAL     },
    { "dependentRequired",    SCHEMA_DEPENDENT      },
    { "minProperties",        SCHEMA_MIN_PROPERTIES },
    { "maxProperties",        SCHEMA_MAX_PROPERTIES },
    { "prefixItems",          SCHEMA_PREFIX_ITEMS   },
    { "items",                SCHEMA_ITEMS          },
    { "minItems",             SCHEMA_MIN_ITEMS      },
    { "maxItems",             SCHEMA_MAX_ITEMS      },
    { "uniqueItems",          SCHEMA_UNIQUE         },
    { "enum",                 SCHEMA_ENUM           },
    { "const",                SCHEMA_CONST          },
    { "minLength",            SCHEMA_MIN_LENGTH     },
    { "maxLength",            SCHEMA_MAX_LENGTH     },
    { "pattern",              SCHEMA_PATTERN        },
    { "format",               SCHEMA_FORMAT         },
    { "minimum",              SCHEMA_MINIMUM        },
    { "maximum",              SCHEMA_MAXIMUM        },
    { "exclusiveMinimum",     SCHEMA_EXCL_MINIMUM   },
    { "exclusiveMaximum",     SCHEMA_EXCL_MAXIMUM   },
    { "multipleOf",           SCHEMA_MULTIPLE       },
    { "$ref",                 SCHEMA_REF            },
    { "allOf",                SCHEMA_ALL_OF         },
    { "anyOf",                SCHEMA_ANY_OF         },
    { "oneOf",                SCHEMA_ONE_OF         },
    { "not",                  SCHEMA_NOT            },
    { "if",                   SCHEMA_IF             },
    { "then",                 SCHEMA_THEN           },
    { "else",                 SCHEMA_ELSE           },
    { "$defs",                SCHEMA_DEFS           },
    { "$schema",              SCHEMA_DIALECT        },
    { "$id",                  SCHEMA_ID             },
    { "title",                SCHEMA_ANNOTATION     },
    { "description",          SCHEMA_ANNOTATION     },
    { "default",              SCHEMA_ANNOTATION     },
    { "examples",             SCHEMA_ANNOTATION     },
    { "deprecated",           SCHEMA_ANNOTATION     },
    { "readOnly",             SCHEMA_ANNOTATION     },
    { "writeOnly",            SCHEMA_ANNOTATION     },
    { "$comment",             SCHEMA_ANNOTATION     },
    { NULL,                   SCHEMA_UNKNOWN        }
};

const schema_type_t  schema_types[] = {
    { "null",    SCHEMA_NULL    },
    { "boolean", SCHEMA_BOOLEAN },
    { "integer", SCHEMA_INTEGER },
    { "number",  SCHEMA_NUMBER  },
    { "string",  SCHEMA_STRING  },
    { "array",   SCHEMA_ARRAY   },
    { "object",  SCHEMA_OBJECT  },
    { NULL,      0              }
};


schema_t *
schema_compile(const char *text, size_t len, schema_error_t *err)
{
    int                 rc;
    schema_t           *schema;
    schema_compiler_t   c;

    memset(err, 0, sizeof(schema_error_t));
    err->line = 1;

    schema = calloc(1, sizeof(schema_t));
    if (schema == NULL) {
        (void) snprintf(err->reason, sizeof(err->reason), "%s",
                        json_no_memory);
        return NULL;
    }

    schema->work = &schema->scratch;
    json_seed(&schema->work->seed);

    c.schema = schema;
    c.len = len;
    c.nodes = NULL;
    c.err = err;

    rc = schema_take(&c, text, len);

    if (rc == 0) {
        schema->root = schema_node(&c, 0, NULL);
        rc = schema->root == NULL ? -1 : schema_resolve(&c);
    }

    free(c.nodes);

    if (rc != 0) {
        schema_free(schema);
        return NULL;
    }

    err->line = 0;

    return schema;
}


/* Keeps a copy of the text, which "enum" and its like compare against. */

static int
schema_take(schema_compiler_t *c, const char *text, size_t len)
{
    unsigned       column;
    schema_t      *schema;
    json_error_t   bad;

    schema = c->schema;

    schema->text = malloc(len + 1);
    if (schema->text == NULL) {
        goto no_memory;
    }

    if (len > 0) {
        memcpy(schema->text, text, len);
    }

    if (json_parse(&schema->doc, schema->text, len, &bad) != 0) {
        json_position(schema->text, len, bad.offset, &c->err->line, &column);
        (void) snprintf(c->err->reason, sizeof(c->err->reason),
                        "not JSON: %s in column %u", bad.reason, column);
        return -1;
    }

    c->nodes = calloc(schema->doc.count, sizeof(schema_node_t *));
    if (c->nodes == NULL) {
        goto no_memory;
    }

    return 0;

no_memory:

    (void) snprintf(c->err->reason, sizeof(c->err->reason), "%s",
                    json_no_memory);
    return -1;
}


void
schema_free(schema_t *schema)
{
    schema_chunk_t  *chunk, *next;

    if (schema == NULL) {
        return;
    }

    schema_patterns_free(schema);

    for (chunk = schema->chunks; chunk != NULL; chunk = next) {
        next = chunk->next;
        free(chunk);
    }

    json_doc_free(&schema->doc);
    free(schema->scratch.text);
    free(schema->scratch.slots);
    free(schema->text);
    free(schema);
}


void *
schema_alloc(schema_compiler_t *c, size_t size)
{
    void            *p;
    size_t           room;
    schema_chunk_t  *chunk;

    size = (size + 15) & ~(size_t) 15;
    chunk = c->schema->chunks;

    if (chunk == NULL || chunk->size - chunk->used < size) {
        room = size > SCHEMA_CHUNK ? size : SCHEMA_CHUNK;

        chunk = calloc(1, sizeof(schema_chunk_t) + room);
        if (chunk == NULL) {
            (void) schema_refuse(c, 0, NULL, "%s", json_no_memory);
            return NULL;
        }

        chunk->size = room;
        chunk->next = c->schema->chunks;
        c->schema->chunks = chunk;
    }

    p = chunk->data + chunk->used;
    chunk->used += size;

    return p;
}


char *
schema_decode(schema_compiler_t *c, uint32_t token, size_t *len)
{
    char                *text;
    const json_token_t  *t;

    t = schema_token(c, token);

    text = schema_alloc(c, (size_t) (t->end - t->start) + 1);
    if (text == NULL) {
        return NULL;
    }

    *len = json_unescape(&c->schema->doc, token, text);
    text[*len] = '\0';

    return text;
}


schema_node_t *
schema_node(schema_compiler_t *c, uint32_t token, const schema_path_t *path)
{
    uint8_t         type;
    schema_node_t  *node;

    type = schema_token(c, token)->type;

    if (type != JSON_OBJECT && type != JSON_TRUE && type != JSON_FALSE) {
        (void) schema_refuse(c, token, path,
                             "a schema must be an object or a boolean");
        return NULL;
    }

    node = schema_alloc(c, sizeof(schema_node_t));
    if (node == NULL) {
        return NULL;
    }

    node->token = token;
    node->never = type == JSON_FALSE;
    c->nodes[token] = node;

    if (type == JSON_OBJECT && schema_keywords(c, node, path) != 0) {
        return NULL;
    }

    return node;
}


static int
schema_keywords(schema_compiler_t *c, schema_node_t *node,
    const schema_path_t *path)
{
    int             rc;
    char            name[48];
    size_t          n;
    uint32_t        i, end;
    schema_path_t   here;
    schema_rule_t   rule;

    n = 0;
    end = schema_token(c, node->token)->next;

    for (i = node->token + 1; i < end; i = schema_token(c, i + 1)->next) {
        n += schema_keyword(c, i) < SCHEMA_KEYWORDS;
    }

    node->rules = schema_alloc(c, n * sizeof(schema_rule_t));
    if (node->rules == NULL) {
        return -1;
    }

    for (i = node->token + 1; i < end; i = schema_token(c, i + 1)->next) {
        memset(&rule, 0, sizeof(schema_rule_t));
        rule.keyword = schema_keyword(c, i);

        here.up = path;
        here.name = NULL;
        here.token = i;

        if (rule.keyword == SCHEMA_UNKNOWN) {
            /* the name's own token: a value may begin on another line */
            return schema_refuse(c, i, &here, "keyword \"%s\" is not known",
                                 schema_printable_token(&c->schema->doc, i,
                                                        name, sizeof(name)));
        }

        rc = schema_rule(c, node, &rule, i + 1, &here);
        if (rc == -1) {
            return -1;
        }

        if (rc == 1) {
            node->rules[node->nrules++] = rule;
        }
    }

    schema_join(node);

    return 0;
}


static schema_keyword_t
schema_keyword(schema_compiler_t *c, uint32_t token)
{
    size_t  i;

    for (i = 0; schema_keyword_names[i].name != NULL; i++) {
        if (json_equals(&c->schema->doc, token, schema_keyword_names[i].name,
                        strlen(schema_keyword_names[i].name)))
        {
            break;
        }
    }

    return schema_keyword_names[i].keyword;
}


const char *
schema_keyword_name(schema_keyword_t keyword)
{
    size_t  i;

    for (i = 0; schema_keyword_names[i].name != NULL; i++) {
        if (schema_keyword_names[i].keyword == keyword) {
            return schema_keyword_names[i].name;
        }
    }

    return "schema";
}


/* Keywords that lean on others, which may stand behind them. */

static void
schema_join(schema_node_t *node)
{
    uint16_t        i;
    schema_rule_t  *rule;

    for (i = 0; i < node->nrules; i++) {
        rule = &node->rules[i];

        if (rule->keyword == SCHEMA_PROPERTIES) {
            node->properties = &rule->u.names;
        }

        if (rule->keyword == SCHEMA_PREFIX_ITEMS) {
            node->nprefix = rule->u.nodes.n;
        }
    }
}


int
schema_refuse(schema_compiler_t *c, uint32_t token, const schema_path_t *path,
    const char *fmt, ...)
{
    char      pointer[SCHEMA_POINTER_MAX], what[90], where[150];
    va_list   args;
    unsigned  column;

    va_start(args, fmt);
    (void) vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);

    schema_pointer(&c->schema->doc, path, pointer);
    (void) schema_printable(pointer, strlen(pointer), where, sizeof(where));

    (void) snprintf(c->err->reason, sizeof(c->err->reason), "\"%s\": %s",
                    where, what);

    json_position(c->schema->text, c->len, schema_token(c, token)->start,
                  &c->err->line, &column);

    return -1;
}


int
schema_refuse_token(schema_compiler_t *c, uint32_t token, const char *what)
{
    uint32_t       at, i, next, index;
    json_doc_t    *doc;
    schema_path_t  way[JSON_MAX_DEPTH], *path;

    doc = &c->schema->doc;
    path = NULL;

    for (at = 0; at != token; at = i) {
        next = path == NULL ? 0 : (uint32_t) (path - way) + 1;
        index = 0;
        i = at + 1;

        if (doc->tokens[at].type == JSON_OBJECT) {
            while (doc->tokens[i + 1].next <= token) {
                i = doc->tokens[i + 1].next;
            }

            way[next].token = i++;

        } else {
            for ( ; doc->tokens[i].next <= token; i = doc->tokens[i].next) {
                index++;
            }

            way[next].token = JSON_NONE;
        }

        way[next].up = path;
        way[next].name = NULL;
        way[next].index = index;
        path = &way[next];
    }

    return schema_refuse(c, token, path, "%s", what);
}
