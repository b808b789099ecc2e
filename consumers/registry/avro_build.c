/* What a compiled Avro schema is made of: nodes, parts and names. */

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"
#include "registry/avro_build_impl.h"


int
avro_wrong(avro_compiler_t *c, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    (void) vsnprintf(c->reason, c->size, fmt, args);
    va_end(args);

    return -1;
}


int
avro_resolve(avro_compiler_t *c)
{
    uint32_t            i, n;
    avro_node_t        *nodes;
    const avro_name_t  *name;

    nodes = (avro_node_t *) (void *) c->schema->nodes.data;
    n = (uint32_t) (c->schema->nodes.len / sizeof(avro_node_t));

    for (i = 0; i < n; i++) {
        if (nodes[i].type != AVRO_NAMED) {
            continue;
        }

        name = (const avro_name_t *) (const void *) c->names.data
               + nodes[i].first;

        if (name->node == AVRO_NONE) {
            return avro_wrong(c, "type \"%.*s\" is not defined",
                              (int) name->len, c->full.data + name->text);
        }

        nodes[i].first = name->node;
    }

    return 0;
}


uint32_t
avro_add(avro_compiler_t *c, avro_type_t type)
{
    uint32_t     n;
    avro_node_t  node = { 0 };

    n = (uint32_t) (c->schema->nodes.len / sizeof(avro_node_t));

    if (n == AVRO_NODES) {
        return avro_wrong(c, "it has more than %d types", AVRO_NODES);
    }

    node.type = (uint8_t) type;

    return buf_append(&c->schema->nodes, (const char *) &node,
                      sizeof(avro_node_t))
           == 0 ? n : (uint32_t) avro_wrong(c, "out of memory");
}


int
avro_add_parts(avro_compiler_t *c, uint32_t node, size_t n)
{
    buf_t  *parts = &c->schema->parts;

    if (n > AVRO_NODES || buf_reserve(parts, n * sizeof(avro_part_t)) == -1) {
        return avro_wrong(c, n > AVRO_NODES ? "a type has too many parts"
                                            : "out of memory");
    }

    avro_at(c, node)->first = (uint32_t) (parts->len / sizeof(avro_part_t));
    avro_at(c, node)->n = (uint32_t) n;
    memset(parts->data + parts->len, 0, n * sizeof(avro_part_t));
    parts->len += n * sizeof(avro_part_t);

    return 0;
}


int
avro_set_part(avro_compiler_t *c, uint32_t of, size_t i, uint32_t name,
    uint32_t node)
{
    size_t        start, len;
    char         *s;
    buf_t        *text = &c->schema->text;
    avro_part_t  *part;

    start = text->len;

    if (name != JSON_NONE) {
        len = c->doc.tokens[name].end - c->doc.tokens[name].start;
        c->strings.len = 0;

        if (buf_reserve(&c->strings, len + 1) == -1) {
            return avro_wrong(c, "out of memory");
        }

        s = c->strings.data;
        len = json_unescape(&c->doc, name, s);
        buf_add(text, "\"", 1);
        text_add_json(text, s, len);
        buf_add(text, "\":", node == AVRO_NONE ? 1 : 2);
    }

    if (buf_failed(text)) {
        return avro_wrong(c, "out of memory");
    }

    part = (avro_part_t *) (void *) c->schema->parts.data
           + avro_at(c, of)->first + i;
    part->text = (uint32_t) start;
    part->len = (uint32_t) (text->len - start);
    part->node = node;

    return 0;
}


uint32_t
avro_each(const avro_compiler_t *c, uint32_t array, uint32_t after)
{
    uint32_t  next;

    next = after == JSON_NONE ? array + 1 : c->doc.tokens[after].next;

    return next < c->doc.tokens[array].next ? next : JSON_NONE;
}


size_t
avro_count(const avro_compiler_t *c, uint32_t array)
{
    size_t    n;
    uint32_t  i;

    for (n = 0, i = JSON_NONE; (i = avro_each(c, array, i)) != JSON_NONE; ) {
        n++;
    }

    return n;
}


uint32_t
avro_member(const avro_compiler_t *c, uint32_t object, const char *name,
    json_type_t type)
{
    uint32_t  token;

    token = json_member(&c->doc, object, name, strlen(name));

    return token != JSON_NONE && c->doc.tokens[token].type == type
           ? token : JSON_NONE;
}


uint32_t
avro_name(avro_compiler_t *c, const char *s, size_t len, avro_space_t space)
{
    size_t        start = c->full.len;
    uint32_t      i, n;
    avro_name_t   name;
    avro_name_t  *names;

    if (buf_reserve(&c->full, space.len + len + 2) == -1) {
        return avro_wrong(c, "out of memory");
    }

    if (space.len && memchr(s, '.', len) == NULL) {
        memcpy(c->full.data + start, c->full.data + space.text, space.len);
        c->full.len += space.len;
        c->full.data[c->full.len++] = '.';
    }

    memcpy(c->full.data + c->full.len, s, len);
    c->full.len += len;

    name.text = (uint32_t) start;
    name.len = (uint32_t) (c->full.len - start);
    name.node = AVRO_NONE;

    names = (avro_name_t *) (void *) c->names.data;
    n = (uint32_t) (c->names.len / sizeof(avro_name_t));

    for (i = 0; i < n; i++) {
        if (names[i].len == name.len
            && memcmp(c->full.data + names[i].text, c->full.data + start,
                      name.len)
               == 0)
        {
            c->full.len = start;
            return i;
        }
    }

    if (n == AVRO_NAMES) {
        return avro_wrong(c, "it has more than %d named types", AVRO_NAMES);
    }

    return buf_append(&c->names, (const char *) &name, sizeof(avro_name_t))
           == 0 ? n : (uint32_t) avro_wrong(c, "out of memory");
}
