/* Finds the schema that "$ref" names; refuses loops. */

#include "schema/schema_refs.h"
#include "schema/schema_report.h"


#define SCHEMA_MAX_CHAIN  64    /* schemas for one value, nested */


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
    char            *text, name[48];
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
        return schema_refuse(c, token, "$ref is not a URI reference");
    }

    pointer = json_pointer_compile(text + 1, len - 1, &reason);
    if (pointer == NULL) {
        return schema_refuse(c, token, "%s", reason);
    }

    target = json_find(&c->schema->doc, 0, pointer);
    json_pointer_free(pointer);

    if (target == JSON_NONE || c->nodes[target] == NULL) {
        return schema_refuse(c, token, "$ref names no schema here: %s",
                             schema_printable(text, len, name, sizeof(name)));
    }

    rule->u.sub[0] = c->nodes[target];

    return 0;
}


static int
schema_unpercent(char *text, size_t *len)
{
    int     high, low;
    char   *to = text;
    size_t  i;

    for (i = 0; i < *len; i++) {
        if (text[i] != '%') {
            *to++ = text[i];
            continue;
        }

        if (*len - i < 3) {
            return -1;
        }

        high = json_hex((uint8_t) text[i + 1]);
        low = json_hex((uint8_t) text[i + 2]);

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
 * Measures how many schemas apply to one value, each inside the other.  Each
 * needs its part of the stack, and a loop has no end.
 */

static int
schema_measure(schema_compiler_t *c, schema_node_t *node, uint32_t depth)
{
    uint16_t               i;
    uint32_t               k, n;
    schema_rule_t         *rule;
    schema_node_t *const  *list;

    if (node->height != 0) {
        return 0;
    }

    node->visiting = 1;

    for (i = 0; i < node->nrules; i++) {
        rule = &node->rules[i];
        list = rule->u.sub;

        switch (rule->keyword) {

        case SCHEMA_REF:
        case SCHEMA_NOT:
            n = 1;
            break;

        case SCHEMA_IF:
            n = 3;
            break;

        case SCHEMA_ALL_OF:
        case SCHEMA_ANY_OF:
        case SCHEMA_ONE_OF:
            n = rule->u.nodes.n;
            list = rule->u.nodes.list;
            break;

        default:
            n = 0;
            break;
        }

        for (k = 0; k < n; k++) {
            if (list[k] != NULL
                && schema_measure_node(c, node, list[k], depth) != 0)
            {
                return -1;
            }
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
    if (below->visiting) {
        return schema_refuse(c, node->token, "the schema applies itself to "
                             "the same value without end");
    }

    if (depth < SCHEMA_MAX_CHAIN && schema_measure(c, below, depth + 1) != 0) {
        return -1;
    }

    if (depth >= SCHEMA_MAX_CHAIN || below->height >= SCHEMA_MAX_CHAIN) {
        return schema_refuse(c, node->token, "more schemas one inside the "
                             "other for one value than are taken");
    }

    if (node->height < below->height) {
        node->height = below->height;
    }

    return 0;
}
