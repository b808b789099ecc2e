/* "$ref": what it names, and that a check of it ends. */

#include <stdio.h>
#include <string.h>

#include "schema/schema_impl.h"


static int schema_resolve_one(schema_compiler_t *c, schema_rule_t *rule);
static int schema_unpercent(char *text, size_t *len);
static int schema_measure(schema_compiler_t *c, schema_node_t *node,
    uint32_t depth);
static int schema_measure_node(schema_compiler_t *c, schema_node_t *node,
    schema_node_t *below, uint32_t depth);


int
schema_resolve(schema_compiler_t *c)
{
    uint16_t        k;
    uint32_t        i;
    schema_node_t  *node;

    for (i = 0; i < c->schema->doc.count; i++) {
        node = c->nodes[i];

        for (k = 0; node != NULL && k < node->nrules; k++) {
            if (node->rules[k].keyword == SCHEMA_REF
                && schema_resolve_one(c, &node->rules[k]) != 0)
            {
                return -1;
            }
        }
    }

    for (i = 0; i < c->schema->doc.count; i++) {
        if (c->nodes[i] != NULL && schema_measure(c, c->nodes[i], 1) != 0) {
            return -1;
        }
    }

    return 0;
}


/* RFC 6901, section 6: a fragment holds the pointer, percent-encoded. */

static int
schema_resolve_one(schema_compiler_t *c, schema_rule_t *rule)
{
    char            *text, what[90], name[48];
    size_t           len;
    uint32_t         token, target;
    const char      *reason;
    json_pointer_t  *pointer;

    token = rule->u.token;
    reason = NULL;

    text = schema_decode(c, token, &len);
    if (text == NULL) {
        return -1;
    }

    if (schema_unpercent(text, &len) != 0) {
        return schema_refuse_token(c, token, "$ref is not a URI reference");
    }

    pointer = json_pointer_compile(text + 1, len - 1, &reason);
    if (pointer == NULL) {
        return schema_refuse_token(c, token, reason);
    }

    target = json_find(&c->schema->doc, 0, pointer);
    json_pointer_free(pointer);

    if (target == JSON_NONE || c->nodes[target] == NULL) {
        (void) snprintf(what, sizeof(what), "$ref names no schema here: %s",
                        schema_printable(text, len, name, sizeof(name)));
        return schema_refuse_token(c, token, what);
    }

    rule->u.node = c->nodes[target];

    return 0;
}


static int
schema_hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}


static int
schema_unpercent(char *text, size_t *len)
{
    int     high, low;
    char   *to;
    size_t  i;

    to = text;

    for (i = 0; i < *len; i++) {
        if (text[i] != '%') {
            *to++ = text[i];
            continue;
        }

        if (*len - i < 3) {
            return -1;
        }

        high = schema_hex(text[i + 1]);
        low = schema_hex(text[i + 2]);

        if (high == -1 || low == -1 || (high | low) == 0) {
            return -1;
        }

        *to++ = (char) (high << 4 | low);
        i += 2;
    }

    *len = (size_t) (to - text);
    *to = '\0';

    return 0;
}


/*
 * How many schemas apply to one value one inside the other: without end where
 * they loop, and each takes its part of the stack.
 */

static int
schema_measure(schema_compiler_t *c, schema_node_t *node, uint32_t depth)
{
    uint16_t        i;
    uint32_t        k;
    schema_rule_t  *rule;

    if (node->height != 0) {
        return 0;
    }

    node->visiting = 1;

    for (i = 0; i < node->nrules; i++) {
        rule = &node->rules[i];

        switch (rule->keyword) {

        case SCHEMA_REF:
        case SCHEMA_NOT:
            if (schema_measure_node(c, node, rule->u.node, depth) != 0) {
                return -1;
            }
            break;

        case SCHEMA_IF:
            if (schema_measure_node(c, node, rule->u.node, depth) != 0
                || schema_measure_node(c, node, node->then, depth) != 0
                || schema_measure_node(c, node, node->otherwise, depth) != 0)
            {
                return -1;
            }
            break;

        case SCHEMA_ALL_OF:
        case SCHEMA_ANY_OF:
        case SCHEMA_ONE_OF:
            for (k = 0; k < rule->u.nodes.n; k++) {
                if (schema_measure_node(c, node, rule->u.nodes.list[k], depth)
                    != 0)
                {
                    return -1;
                }
            }
            break;

        default:
            break;
        }
    }

    node->visiting = 0;
    node->height++;

    return 0;
}


static int
schema_measure_node(schema_compiler_t *c, schema_node_t *node,
    schema_node_t *below, uint32_t depth)
{
    if (below == NULL) {
        return 0;
    }

    if (below->visiting) {
        return schema_refuse_token(c, node->token, "the schema applies itself "
                                   "to the same value without end");
    }

    if (depth < SCHEMA_MAX_CHAIN && schema_measure(c, below, depth + 1) != 0) {
        return -1;
    }

    if (depth >= SCHEMA_MAX_CHAIN || below->height >= SCHEMA_MAX_CHAIN) {
        return schema_refuse_token(c, node->token, "more schemas one inside "
                                   "the other for one value than are taken");
    }

    if (node->height < below->height) {
        node->height = below->height;
    }

    return 0;
}
