/* JSON Schema subset: compiling, through cJSON. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "schema_impl.h"


typedef struct {
    const json_doc_t  *doc;
    size_t             len;
    schema_error_t    *err;
} schema_compiler_t;


static schema_t *schema_node(schema_compiler_t *c, const cJSON *json,
    uint32_t token, const schema_path_t *path);
static int schema_keyword(schema_compiler_t *c, schema_t *schema,
    const cJSON *json, uint32_t token, const schema_path_t *path);
static int schema_type(schema_compiler_t *c, schema_t *schema,
    const cJSON *json, uint32_t token, const schema_path_t *path);
static int schema_required(schema_compiler_t *c, schema_t *schema,
    const cJSON *json, uint32_t token, const schema_path_t *path);
static int schema_properties(schema_compiler_t *c, schema_t *schema,
    const cJSON *json, uint32_t token, const schema_path_t *path);
static int schema_min_length(schema_compiler_t *c, schema_t *schema,
    const cJSON *json, uint32_t token, const schema_path_t *path);
static int schema_refuse(schema_compiler_t *c, uint32_t token,
    const schema_path_t *path, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));


static const struct {
    const char        *name;
    schema_keyword_t   keyword;
} schema_keywords[] = {
    { "type",        SCHEMA_TYPE       },
    { "required",    SCHEMA_REQUIRED   },
    { "properties",  SCHEMA_PROPERTIES },
    { "minLength",   SCHEMA_MIN_LENGTH },
    { "title",       SCHEMA_ANNOTATION },
    { "description", SCHEMA_ANNOTATION },
    { "default",     SCHEMA_ANNOTATION },
    { "examples",    SCHEMA_ANNOTATION },
    { "deprecated",  SCHEMA_ANNOTATION },
    { "$comment",    SCHEMA_ANNOTATION },
    { "$schema",     SCHEMA_ANNOTATION },
    { "$id",         SCHEMA_ANNOTATION },
    { NULL,          SCHEMA_UNKNOWN    }
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
    cJSON              *json;
    unsigned            column;
    schema_t           *schema;
    const char         *end;
    json_doc_t          doc;
    json_error_t        bad;
    schema_compiler_t   c;

    memset(&doc, 0, sizeof(json_doc_t));
    memset(err, 0, sizeof(schema_error_t));

    if (json_parse(&doc, text, len, &bad) != 0) {
        json_position(text, len, bad.offset, &err->line, &column);
        (void) snprintf(err->reason, sizeof(err->reason),
                        "not JSON: %s in column %u", bad.reason, column);
        json_doc_free(&doc);
        return NULL;
    }

    schema = NULL;
    end = text;

    json = cJSON_ParseWithLengthOpts(text, len, &end, 0);

    if (json == NULL) {
        /* what passed above is beyond cJSON only in this */
        json_position(text, len, (size_t) (end - text), &err->line, &column);
        (void) snprintf(err->reason, sizeof(err->reason),
                        "number of more than 63 characters, or out of memory");

    } else {
        c.doc = &doc;
        c.len = len;
        c.err = err;

        schema = schema_node(&c, json, 0, NULL);
    }

    cJSON_Delete(json);
    json_doc_free(&doc);

    return schema;
}


static void
schema_members_free(schema_member_t *members, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        free(members[i].name);
        schema_free(members[i].schema);
    }

    free(members);
}


void
schema_free(schema_t *schema)
{
    if (schema == NULL) {
        return;
    }

    schema_members_free(schema->required, schema->nrequired);
    schema_members_free(schema->properties, schema->nproperties);
    free(schema);
}


/* cJSON's members and the tokens are in the same order: they go in step. */

static schema_t *
schema_node(schema_compiler_t *c, const cJSON *json, uint32_t token,
    const schema_path_t *path)
{
    uint32_t        i;
    schema_t       *schema;
    const cJSON    *item;
    schema_path_t   here;

    if (!cJSON_IsObject(json) && !cJSON_IsBool(json)) {
        (void) schema_refuse(c, token, path,
                             "a schema must be an object or a boolean");
        return NULL;
    }

    schema = calloc(1, sizeof(schema_t));
    if (schema == NULL) {
        (void) schema_refuse(c, token, path, "%s", json_no_memory);
        return NULL;
    }

    schema->never = (uint8_t) cJSON_IsFalse(json);

    i = token + 1;

    cJSON_ArrayForEach(item, json) {
        here.up = path;
        here.name = item->string;
        here.len = strlen(item->string);

        if (schema_keyword(c, schema, item, i + 1, &here) != 0) {
            schema_free(schema);
            return NULL;
        }

        i = c->doc->tokens[i + 1].next;
    }

    return schema;
}


static int
schema_keyword(schema_compiler_t *c, schema_t *schema, const cJSON *json,
    uint32_t token, const schema_path_t *path)
{
    int               rc;
    char              name[48];
    size_t            i;
    schema_keyword_t  keyword;

    for (i = 0; schema_keywords[i].name != NULL; i++) {
        if (strcmp(schema_keywords[i].name, path->name) == 0) {
            break;
        }
    }

    keyword = schema_keywords[i].keyword;

    switch (keyword) {

    case SCHEMA_TYPE:
        rc = schema_type(c, schema, json, token, path);
        break;

    case SCHEMA_REQUIRED:
        rc = schema_required(c, schema, json, token, path);
        break;

    case SCHEMA_PROPERTIES:
        rc = schema_properties(c, schema, json, token, path);
        break;

    case SCHEMA_MIN_LENGTH:
        rc = schema_min_length(c, schema, json, token, path);
        break;

    case SCHEMA_ANNOTATION:
        return 0;

    default:
        /* the name's own token: a value may begin on another line */
        return schema_refuse(c, token - 1, path, "keyword \"%s\" is not known",
                             schema_printable(path->name, path->len, name,
                                              sizeof(name)));
    }

    if (rc == 0) {
        schema->order[schema->keywords++] = (uint8_t) keyword;
    }

    return rc;
}


static int
schema_add_type(schema_compiler_t *c, schema_t *schema, const cJSON *json,
    uint32_t token, const schema_path_t *path)
{
    size_t  i;

    for (i = 0; cJSON_IsString(json) && schema_types[i].name != NULL; i++) {

        if (strcmp(schema_types[i].name, json->valuestring) != 0) {
            continue;
        }

        if (schema->types & schema_types[i].bit) {
            return schema_refuse(c, token, path, "the type is named twice");
        }

        schema->types |= schema_types[i].bit;

        return 0;
    }

    return schema_refuse(c, token, path, "type must be null, boolean, integer, "
                         "number, string, array or object");
}


static int
schema_type(schema_compiler_t *c, schema_t *schema, const cJSON *json,
    uint32_t token, const schema_path_t *path)
{
    int             n;
    char            index[16];
    uint32_t        i;
    const cJSON    *item;
    schema_path_t   here;

    if (cJSON_IsString(json)) {
        return schema_add_type(c, schema, json, token, path);
    }

    if (!cJSON_IsArray(json) || json->child == NULL) {
        return schema_refuse(c, token, path,
                             "type must be a name or an array of names");
    }

    i = token + 1;
    n = 0;

    cJSON_ArrayForEach(item, json) {
        here.up = path;
        here.name = index;
        here.len = (size_t) snprintf(index, sizeof(index), "%d", n++);

        if (schema_add_type(c, schema, item, i, &here) != 0) {
            return -1;
        }

        i = c->doc->tokens[i].next;
    }

    return 0;
}


static int
schema_add_member(schema_compiler_t *c, schema_member_t *member,
    const char *name, uint32_t token, const schema_path_t *path)
{
    member->name = strdup(name);

    if (member->name == NULL) {
        return schema_refuse(c, token, path, "%s", json_no_memory);
    }

    member->len = strlen(name);

    return 0;
}


static int
schema_required(schema_compiler_t *c, schema_t *schema, const cJSON *json,
    uint32_t token, const schema_path_t *path)
{
    char            index[24];
    size_t          k;
    uint32_t        i;
    const cJSON    *item;
    schema_path_t   here;

    if (!cJSON_IsArray(json)) {
        return schema_refuse(c, token, path,
                             "required must be an array of member names");
    }

    k = (size_t) cJSON_GetArraySize(json);

    schema->required = calloc(k + 1, sizeof(schema_member_t));
    if (schema->required == NULL) {
        return schema_refuse(c, token, path, "%s", json_no_memory);
    }

    i = token + 1;

    cJSON_ArrayForEach(item, json) {
        here.up = path;
        here.name = index;
        here.len = (size_t) snprintf(index, sizeof(index), "%zu",
                                     schema->nrequired);

        if (!cJSON_IsString(item)) {
            return schema_refuse(c, i, &here, "a member name must be a string");
        }

        for (k = 0; k < schema->nrequired; k++) {
            if (strcmp(schema->required[k].name, item->valuestring) == 0) {
                return schema_refuse(c, i, &here, "the member is named twice");
            }
        }

        if (schema_add_member(c, &schema->required[k], item->valuestring, i,
                              &here)
            != 0)
        {
            return -1;
        }

        schema->nrequired++;
        i = c->doc->tokens[i].next;
    }

    return 0;
}


static int
schema_properties(schema_compiler_t *c, schema_t *schema, const cJSON *json,
    uint32_t token, const schema_path_t *path)
{
    size_t            n;
    uint32_t          i;
    const cJSON      *item;
    schema_path_t     here;
    schema_member_t  *member;

    if (!cJSON_IsObject(json)) {
        return schema_refuse(c, token, path,
                             "properties must be an object of schemas");
    }

    n = (size_t) cJSON_GetArraySize(json);

    schema->properties = calloc(n + 1, sizeof(schema_member_t));
    if (schema->properties == NULL) {
        return schema_refuse(c, token, path, "%s", json_no_memory);
    }

    i = token + 1;

    cJSON_ArrayForEach(item, json) {
        here.up = path;
        here.name = item->string;
        here.len = strlen(item->string);

        member = &schema->properties[schema->nproperties++];

        if (schema_add_member(c, member, item->string, i, &here) != 0) {
            return -1;
        }

        member->schema = schema_node(c, item, i + 1, &here);
        if (member->schema == NULL) {
            return -1;
        }

        i = c->doc->tokens[i + 1].next;
    }

    return 0;
}


static int
schema_min_length(schema_compiler_t *c, schema_t *schema, const cJSON *json,
    uint32_t token, const schema_path_t *path)
{
    const json_token_t  *t;

    t = &c->doc->tokens[token];

    if (!cJSON_IsNumber(json) || json->valuedouble < 0
        || !schema_is_integer(c->doc->text + t->start, c->doc->text + t->end))
    {
        return schema_refuse(c, token, path,
                             "minLength must be a non-negative integer");
    }

    /* no text is that long */
    schema->min_length = json->valuedouble < JSON_MAX_LEN
                         ? (uint64_t) json->valuedouble : UINT64_MAX;

    return 0;
}


/* Sets the error: the pointer, then what is wrong there; returns -1. */

static int
schema_refuse(schema_compiler_t *c, uint32_t token, const schema_path_t *path,
    const char *fmt, ...)
{
    char      pointer[SCHEMA_POINTER_MAX], what[90], where[150];
    va_list   args;
    unsigned  column;

    va_start(args, fmt);
    (void) vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);

    schema_pointer(path, pointer);
    (void) schema_printable(pointer, strlen(pointer), where, sizeof(where));

    (void) snprintf(c->err->reason, sizeof(c->err->reason), "\"%s\": %s",
                    where, what);

    json_position(c->doc->text, c->len, c->doc->tokens[token].start,
                  &c->err->line, &column);

    return -1;
}
