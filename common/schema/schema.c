/* Compiles a JSON Schema (2020-12): its tokens become nodes with rules. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/schema_checker.h"
#include "schema/schema_names.h"
#include "schema/schema_pattern.h"
#include "schema/schema_refs.h"
#include "schema/schema_rule.h"


static schema_node_t *schema_node(schema_compiler_t *c, uint32_t token);
static int schema_rules(schema_compiler_t *c, schema_node_t *node);
static void schema_join(schema_node_t *node, schema_node_t *const *branches);

static schema_read_t  schema_read_properties;
static schema_read_t  schema_read_defs;
static schema_read_t  schema_read_node;
static schema_read_t  schema_read_nodes;


#define SCHEMA_READ(keyword, name, read, ...)  schema_read_##read,

/* By keyword. */

static schema_read_t *const  schema_readers[] = {
    SCHEMA_RULES(SCHEMA_READ)
    SCHEMA_OTHERS(SCHEMA_READ)
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
    c.nodes = NULL;
    c.err = err;

    rc = schema_take(&c, text, len);

    if (rc == 0) {
        schema->root = schema_node(&c, 0);
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


void
schema_free(schema_t *schema)
{
    if (schema == NULL) {
        return;
    }

    schema_patterns_free(schema);
    schema_chunks_free(schema);
    schema_scratch_free(&schema->scratch);
    json_doc_free(&schema->doc);
    free(schema->text);
    free(schema);
}


static schema_node_t *
schema_node(schema_compiler_t *c, uint32_t token)
{
    uint8_t         type;
    schema_node_t  *node;

    type = schema_token(c, token)->type;

    if (type != JSON_OBJECT && type != JSON_TRUE && type != JSON_FALSE) {
        (void) schema_refuse(c, token,
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

    return type == JSON_OBJECT && schema_rules(c, node) != 0 ? NULL : node;
}


static int
schema_rules(schema_compiler_t *c, schema_node_t *node)
{
    int             rc;
    char            name[48];
    uint32_t        i, end;
    json_doc_t     *doc = &c->schema->doc;
    schema_node_t  *branches[2];
    schema_rule_t   rule;

    end = doc->tokens[node->token].next;
    branches[0] = branches[1] = NULL;

    node->rules = schema_alloc(c, schema_count(doc, node->token)
                                  * sizeof(schema_rule_t));
    if (node->rules == NULL) {
        return -1;
    }

    for (i = node->token + 1; i < end; i = doc->tokens[i + 1].next) {
        memset(&rule, 0, sizeof(schema_rule_t));
        rule.keyword = schema_keyword(doc, i);

        if (rule.keyword == SCHEMA_UNKNOWN) {
            /* the name's token, as its value may begin on another line */
            return schema_refuse(c, i, "keyword \"%s\" is not known",
                                 schema_printable_token(doc, i, name,
                                                        sizeof(name)));
        }

        /* below the root they would begin another schema, with its own "#" */
        if (node->token != 0 && doc->tokens[i + 1].type == JSON_STRING
            && (rule.keyword == SCHEMA_DIALECT || rule.keyword == SCHEMA_ID))
        {
            return schema_refuse(c, i + 1, "%s is taken at the root only",
                                 schema_keywords[rule.keyword]);
        }

        rc = schema_readers[rule.keyword](c, &rule, i + 1);
        if (rc == -1) {
            return -1;
        }

        if (rule.keyword == SCHEMA_THEN || rule.keyword == SCHEMA_ELSE) {
            branches[rule.keyword == SCHEMA_ELSE] = rule.u.sub[0];

        } else if (rc == 1) {
            node->rules[node->nrules++] = rule;
        }
    }

    schema_join(node, branches);

    return 0;
}


/* Gives some keywords what they need of others, which may stand later. */

static void
schema_join(schema_node_t *node, schema_node_t *const *branches)
{
    uint32_t               nprefix;
    schema_rule_t         *rule, *end;
    const schema_names_t  *properties;

    nprefix = 0;
    properties = NULL;
    end = node->rules + node->nrules;

    for (rule = node->rules; rule < end; rule++) {
        if (rule->keyword == SCHEMA_PROPERTIES) {
            properties = &rule->u.names;

        } else if (rule->keyword == SCHEMA_PREFIX_ITEMS) {
            nprefix = rule->u.nodes.n;
        }
    }

    for (rule = node->rules; rule < end; rule++) {
        switch (rule->keyword) {

        case SCHEMA_ADDITIONAL:
            rule->u.additional.properties = properties;
            break;

        case SCHEMA_ITEMS:
            rule->u.items.nprefix = nprefix;
            break;

        case SCHEMA_IF:
            rule->u.sub[1] = branches[0];
            rule->u.sub[2] = branches[1];
            break;

        default:
            break;
        }
    }
}


static int
schema_read_properties(schema_compiler_t *c, schema_rule_t *rule,
    uint32_t token)
{
    uint32_t          i, end;
    schema_names_t   *names;
    schema_member_t  *member;

    if (schema_token(c, token)->type != JSON_OBJECT) {
        return schema_refuse(c, token,
                             "properties must be an object of schemas");
    }

    names = &rule->u.names;
    end = schema_token(c, token)->next;

    if (schema_members_alloc(c, names, token) == -1) {
        return -1;
    }

    for (i = token + 1; i < end; i = schema_token(c, i + 1)->next) {
        member = &names->members[names->n++];

        if (schema_read_member(c, member, i) == -1) {
            return -1;
        }

        member->node = schema_node(c, i + 1);
        if (member->node == NULL) {
            return -1;
        }
    }

    return schema_names_index(c, names) == 0 ? 1 : -1;
}


static int
schema_read_defs(schema_compiler_t *c, schema_rule_t *rule, uint32_t token)
{
    uint32_t  i, end;

    if (schema_token(c, token)->type != JSON_OBJECT) {
        return schema_refuse(c, token, "$defs must be an object of schemas");
    }

    end = schema_token(c, token)->next;

    for (i = token + 1; i < end; i = schema_token(c, i + 1)->next) {
        if (schema_node(c, i + 1) == NULL) {
            return -1;
        }
    }

    return 0;
}


static int
schema_read_node(schema_compiler_t *c, schema_rule_t *rule, uint32_t token)
{
    rule->u.sub[0] = schema_node(c, token);

    return rule->u.sub[0] == NULL ? -1 : 1;
}


static int
schema_read_nodes(schema_compiler_t *c, schema_rule_t *rule, uint32_t token)
{
    uint32_t         i;
    schema_nodes_t  *nodes;
    json_token_t     t;

    t = *schema_token(c, token);

    if (t.type != JSON_ARRAY || t.next == token + 1) {
        return schema_refuse(c, token,
                             "%s must be an array of one or more schemas",
                             schema_keywords[rule->keyword]);
    }

    nodes = &rule->u.nodes;

    nodes->list = schema_alloc(c, schema_count(&c->schema->doc, token)
                                  * sizeof(schema_node_t *));
    if (nodes->list == NULL) {
        return -1;
    }

    for (i = token + 1; i < t.next; i = schema_token(c, i)->next) {
        nodes->list[nodes->n] = schema_node(c, i);

        if (nodes->list[nodes->n++] == NULL) {
            return -1;
        }
    }

    return 1;
}
