/* Compiles Avro schemas: JSON becomes a table of nodes. */

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "registry/avro_build_impl.h"


static uint32_t avro_compile(avro_compiler_t *c, uint32_t token,
    avro_space_t space);
static uint32_t avro_compile_word(avro_compiler_t *c, uint32_t token,
    uint32_t object, avro_space_t space);
static uint32_t avro_compile_object(avro_compiler_t *c, uint32_t token,
    avro_space_t space);
static int avro_compile_named(avro_compiler_t *c, uint32_t token,
    uint32_t node, avro_space_t *space);
static int avro_compile_fields(avro_compiler_t *c, uint32_t token,
    uint32_t node, avro_space_t space);
static int avro_compile_symbols(avro_compiler_t *c, uint32_t token,
    uint32_t node);
static int avro_compile_items(avro_compiler_t *c, uint32_t token,
    uint32_t node, const char *member, avro_space_t space);
static uint32_t avro_compile_union(avro_compiler_t *c, uint32_t token,
    avro_space_t space);
static void avro_compile_logical(avro_compiler_t *c, uint32_t token,
    uint32_t node);


/* By avro_type_t. */
static const char *const  avro_types[] = {
    "null", "boolean", "int", "long", "float", "double", "bytes", "string",
    "record", "enum", "array", "map", "union", "fixed", "error"
};


static const struct {
    const char      *name;
    avro_type_t      type;
    avro_logical_t   logical;
} avro_logicals[] = {
    { "decimal", AVRO_BYTES, AVRO_DECIMAL },
    { "decimal", AVRO_FIXED, AVRO_DECIMAL },
    { "uuid", AVRO_STRING, AVRO_UUID },
    { "uuid", AVRO_FIXED, AVRO_UUID },
    { "date", AVRO_INT, AVRO_DATE },
    { "time-millis", AVRO_INT, AVRO_TIME_MILLIS },
    { "time-micros", AVRO_LONG, AVRO_TIME_MICROS },
    { "timestamp-millis", AVRO_LONG, AVRO_TIMESTAMP_MILLIS },
    { "timestamp-micros", AVRO_LONG, AVRO_TIMESTAMP_MICROS },
    { "timestamp-nanos", AVRO_LONG, AVRO_TIMESTAMP_NANOS },
    { "local-timestamp-millis", AVRO_LONG, AVRO_LOCAL_MILLIS },
    { "local-timestamp-micros", AVRO_LONG, AVRO_LOCAL_MICROS },
    { "local-timestamp-nanos", AVRO_LONG, AVRO_LOCAL_NANOS },
    { "duration", AVRO_FIXED, AVRO_DURATION }
};


avro_schema_t *
avro_schema_compile(const avro_text_t *texts, size_t n, char *reason,
    size_t size)
{
    size_t           i;
    uint32_t         node;
    json_error_t     err;
    avro_compiler_t  c = { 0 };

    c.reason = reason;
    c.size = size;
    snprintf(reason, size, "out of memory");

    c.schema = calloc(1, sizeof(avro_schema_t));
    node = c.schema ? 0 : AVRO_NONE;

    for (i = 0; i < n && node != AVRO_NONE; i++) {

        if (json_parse(&c.doc, texts[i].s, texts[i].len, &err) == -1) {
            snprintf(reason, size, "%s at byte %zu", err.reason, err.offset);
            node = AVRO_NONE;
            break;
        }

        node = avro_compile(&c, 0, (avro_space_t) { 0, 0 });

        if (i == 0) {
            c.schema->root = node;
        }
    }

    if (node == AVRO_NONE || avro_resolve(&c) == -1) {
        avro_schema_free(c.schema);
        c.schema = NULL;
    }

    json_doc_free(&c.doc);
    buf_free(&c.strings);
    buf_free(&c.names);
    buf_free(&c.full);

    return c.schema;
}


void
avro_schema_free(avro_schema_t *schema)
{
    if (schema) {
        buf_free(&schema->nodes);
        buf_free(&schema->parts);
        buf_free(&schema->text);
        free(schema);
    }
}


size_t
avro_schema_size(const avro_schema_t *schema)
{
    return sizeof(avro_schema_t) + schema->nodes.size + schema->parts.size
           + schema->text.size;
}


static uint32_t
avro_compile(avro_compiler_t *c, uint32_t token, avro_space_t space)
{
    uint32_t  node;

    if (++c->nested > AVRO_NESTED) {
        return avro_wrong(c, "it has more than %d types within each other",
                          AVRO_NESTED);
    }

    switch (c->doc.tokens[token].type) {

    case JSON_STRING:
        node = avro_compile_word(c, token, JSON_NONE, space);
        break;

    case JSON_ARRAY:
        node = avro_compile_union(c, token, space);
        break;

    case JSON_OBJECT:
        node = avro_compile_object(c, token, space);
        break;

    default:
        node = avro_wrong(c, "a type is neither a name, an object nor an "
                          "array");
        break;
    }

    c->nested--;

    return node;
}


/* A primitive type, with what "object" says of it, or a type by its name. */

static uint32_t
avro_compile_word(avro_compiler_t *c, uint32_t token, uint32_t object,
    avro_space_t space)
{
    uint32_t             i, name, node;
    const char          *s;
    const json_token_t  *t;

    for (i = AVRO_NULL; i <= AVRO_STRING; i++) {
        if (json_equals(&c->doc, token, avro_types[i], strlen(avro_types[i])))
        {
            node = avro_add(c, (avro_type_t) i);
            if (node != AVRO_NONE && object != JSON_NONE) {
                avro_compile_logical(c, object, node);
            }
            return node;
        }
    }

    t = &c->doc.tokens[token];
    s = c->doc.text + t->start;
    name = avro_name(c, s, t->end - t->start, space);
    node = name == AVRO_NONE ? AVRO_NONE : avro_add(c, AVRO_NAMED);

    if (node != AVRO_NONE) {
        avro_at(c, node)->first = name;
    }

    return node;
}


static uint32_t
avro_compile_object(avro_compiler_t *c, uint32_t token, avro_space_t space)
{
    int       rc;
    uint32_t  type, which, node;

    type = json_member(&c->doc, token, "type", 4);

    if (type == JSON_NONE) {
        return avro_wrong(c, "an object has no \"type\"");
    }

    if (c->doc.tokens[type].type != JSON_STRING) {
        return avro_compile(c, type, space);
    }

    for (which = AVRO_RECORD; which <= AVRO_NAMED; which++) {
        if (json_equals(&c->doc, type, avro_types[which],
                        strlen(avro_types[which])))
        {
            break;
        }
    }

    if (which > AVRO_NAMED || which == AVRO_UNION) {
        return avro_compile_word(c, type, token, space);
    }

    /* an "error" is a record */
    which = which == AVRO_NAMED ? AVRO_RECORD : which;
    node = avro_add(c, (avro_type_t) which);

    if (node == AVRO_NONE) {
        return AVRO_NONE;
    }

    switch (which) {

    case AVRO_ARRAY:
        rc = avro_compile_items(c, token, node, "items", space);
        break;

    case AVRO_MAP:
        rc = avro_compile_items(c, token, node, "values", space);
        break;

    default:
        rc = avro_compile_named(c, token, node, &space);

        if (rc == 0 && which == AVRO_RECORD) {
            rc = avro_compile_fields(c, token, node, space);

        } else if (rc == 0 && which == AVRO_ENUM) {
            rc = avro_compile_symbols(c, token, node);
        }
    }

    return rc == -1 ? AVRO_NONE : node;
}


/* Defines a name; *space becomes that of the names in the type. */

static int
avro_compile_named(avro_compiler_t *c, uint32_t token, uint32_t node,
    avro_space_t *space)
{
    int64_t              size;
    uint32_t             name, own, fixed;
    avro_name_t         *entry;
    const json_token_t  *t;

    name = avro_member(c, token, "name", JSON_STRING);
    own = avro_member(c, token, "namespace", JSON_STRING);

    if (name == JSON_NONE) {
        return avro_wrong(c, "a record, enum or fixed has no \"name\"");
    }

    if (own != JSON_NONE) {
        t = &c->doc.tokens[own];
        space->text = (uint32_t) c->full.len;
        space->len = t->end - t->start;

        if (buf_append(&c->full, c->doc.text + t->start, space->len) == -1) {
            return avro_wrong(c, "out of memory");
        }
    }

    t = &c->doc.tokens[name];
    name = avro_name(c, c->doc.text + t->start, t->end - t->start, *space);

    if (name == AVRO_NONE) {
        return -1;
    }

    entry = (avro_name_t *) (void *) c->names.data + name;

    if (entry->node != AVRO_NONE) {
        return avro_wrong(c, "type \"%.*s\" is defined twice", (int) entry->len,
                          c->full.data + entry->text);
    }

    entry->node = node;

    /* names in it are of the namespace that its full name has */
    space->text = entry->text;

    for (space->len = entry->len; space->len; space->len--) {
        if (c->full.data[entry->text + space->len - 1] == '.') {
            space->len--;
            break;
        }
    }

    if (avro_at(c, node)->type != AVRO_FIXED) {
        return 0;
    }

    fixed = avro_member(c, token, "size", JSON_NUMBER);
    t = fixed == JSON_NONE ? NULL : &c->doc.tokens[fixed];

    if (t == NULL
        || text_get_int(c->doc.text + t->start, t->end - t->start, 4, &size)
           != 0
        || size < 0)
    {
        return avro_wrong(c, "a fixed has no \"size\"");
    }

    avro_at(c, node)->size = (uint32_t) size;
    avro_compile_logical(c, token, node);

    return 0;
}


static int
avro_compile_fields(avro_compiler_t *c, uint32_t token, uint32_t node,
    avro_space_t space)
{
    size_t    n;
    uint32_t  fields, i, name, type, child;

    fields = avro_member(c, token, "fields", JSON_ARRAY);

    if (fields == JSON_NONE) {
        return avro_wrong(c, "a record has no \"fields\"");
    }

    if (avro_add_parts(c, node, avro_count(c, fields)) == -1) {
        return -1;
    }

    n = 0;

    for (i = JSON_NONE; (i = avro_each(c, fields, i)) != JSON_NONE; n++) {
        name = avro_member(c, i, "name", JSON_STRING);
        type = json_member(&c->doc, i, "type", 4);

        if (name == JSON_NONE || type == JSON_NONE) {
            return avro_wrong(c, "a field has no \"name\" or no \"type\"");
        }

        child = avro_compile(c, type, space);

        if (child == AVRO_NONE
            || avro_set_part(c, node, n, name, child) == -1)
        {
            return -1;
        }
    }

    return 0;
}


static int
avro_compile_symbols(avro_compiler_t *c, uint32_t token, uint32_t node)
{
    size_t    n;
    uint32_t  symbols, i;

    symbols = avro_member(c, token, "symbols", JSON_ARRAY);

    if (symbols == JSON_NONE) {
        return avro_wrong(c, "an enum has no \"symbols\"");
    }

    if (avro_add_parts(c, node, avro_count(c, symbols)) == -1) {
        return -1;
    }

    n = 0;

    for (i = JSON_NONE; (i = avro_each(c, symbols, i)) != JSON_NONE; n++) {

        if (c->doc.tokens[i].type != JSON_STRING) {
            return avro_wrong(c, "a symbol of an enum is no string");
        }

        if (avro_set_part(c, node, n, i, AVRO_NONE) == -1) {
            return -1;
        }
    }

    return 0;
}


static int
avro_compile_items(avro_compiler_t *c, uint32_t token, uint32_t node,
    const char *member, avro_space_t space)
{
    uint32_t  items, child;

    items = json_member(&c->doc, token, member, strlen(member));

    if (items == JSON_NONE) {
        return avro_wrong(c, "an array or map has no \"%s\"", member);
    }

    if (avro_add_parts(c, node, 1) == -1) {
        return -1;
    }

    child = avro_compile(c, items, space);

    return child == AVRO_NONE
           ? -1 : avro_set_part(c, node, 0, JSON_NONE, child);
}


static uint32_t
avro_compile_union(avro_compiler_t *c, uint32_t token, avro_space_t space)
{
    size_t    n;
    uint32_t  node, i, child;

    node = avro_add(c, AVRO_UNION);

    if (node == AVRO_NONE
        || avro_add_parts(c, node, avro_count(c, token)) == -1)
    {
        return AVRO_NONE;
    }

    n = 0;

    for (i = JSON_NONE; (i = avro_each(c, token, i)) != JSON_NONE; n++) {
        child = avro_compile(c, i, space);

        if (child == AVRO_NONE
            || avro_set_part(c, node, n, JSON_NONE, child) == -1)
        {
            return AVRO_NONE;
        }
    }

    return node;
}


/* As Avro asks, a logical type that is unknown or invalid is ignored. */

static void
avro_compile_logical(avro_compiler_t *c, uint32_t token, uint32_t node)
{
    size_t               i;
    int64_t              scale;
    uint32_t             logical, member;
    avro_node_t         *at;
    const json_token_t  *t;

    logical = avro_member(c, token, "logicalType", JSON_STRING);
    at = avro_at(c, node);

    if (logical == JSON_NONE) {
        return;
    }

    for (i = 0; i < sizeof(avro_logicals) / sizeof(avro_logicals[0]); i++) {
        if (avro_logicals[i].type == at->type
            && json_equals(&c->doc, logical, avro_logicals[i].name,
                           strlen(avro_logicals[i].name)))
        {
            at->logical = (uint8_t) avro_logicals[i].logical;
        }
    }

    if ((at->logical == AVRO_UUID && at->type == AVRO_FIXED && at->size != 16)
        || (at->logical == AVRO_DURATION && at->size != 12))
    {
        at->logical = AVRO_PLAIN;
    }

    member = avro_member(c, token, "scale", JSON_NUMBER);

    if (at->logical == AVRO_DECIMAL && member != JSON_NONE) {
        t = &c->doc.tokens[member];

        if (text_get_int(c->doc.text + t->start, t->end - t->start, 4, &scale)
            == 0 && scale >= 0 && scale <= AVRO_SCALE)
        {
            at->scale = (uint16_t) scale;

        } else {
            at->logical = AVRO_PLAIN;
        }
    }
}
