/*
 * JSON Schema 2020-12: checking tokens.  Nesting is bounded by the record's
 * depth times the schemas for one value, work by a number of steps.
 */

#include <stdio.h>
#include <string.h>

#include "schema/schema_impl.h"


static int schema_apply(schema_checker_t *c, const schema_node_t *node,
    const schema_rule_t *rule, uint32_t token, const schema_path_t *path);
static int schema_apply_object(schema_checker_t *c, const schema_node_t *node,
    const schema_rule_t *rule, uint32_t token, const schema_path_t *path);
static int schema_apply_array(schema_checker_t *c, const schema_node_t *node,
    const schema_rule_t *rule, uint32_t token, const schema_path_t *path);
static int schema_check_prefix(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
static int schema_check_items(schema_checker_t *c, const schema_node_t *node,
    const schema_rule_t *rule, uint32_t token, const schema_path_t *path);
static int schema_check_any(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
static int schema_check_one(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
static int schema_check_not(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
static int schema_check_if(schema_checker_t *c, const schema_node_t *node,
    const schema_rule_t *rule, uint32_t token, const schema_path_t *path);


/* By json_type_t; of a number it depends on its digits. */

const schema_type_t  schema_kinds[] = {
    { "null",    SCHEMA_NULL    },
    { "boolean", SCHEMA_BOOLEAN },
    { "boolean", SCHEMA_BOOLEAN },
    { "number",  SCHEMA_NUMBER  },
    { "string",  SCHEMA_STRING  },
    { "array",   SCHEMA_ARRAY   },
    { "object",  SCHEMA_OBJECT  }
};


int
schema_check(const schema_t *schema, const json_doc_t *doc, uint32_t root,
    schema_violation_t *violation)
{
    int                  rc;
    schema_checker_t     c;
    const json_token_t  *t;

    t = &doc->tokens[root];

    c.schema = schema;
    c.doc = doc;
    c.violation = violation;
    c.work = schema->work;
    c.steps = SCHEMA_STEPS + SCHEMA_STEPS_BYTE * (int64_t) (t->end - t->start);
    c.quiet = 0;

    rc = schema_walk(&c, schema->root, root, NULL);

    if (c.work->size + c.work->nslots > 0) {
        schema_scratch_trim(c.work);
    }

    return rc == SCHEMA_FITS ? 0 : -1;
}


int
schema_walk(schema_checker_t *c, const schema_node_t *node, uint32_t token,
    const schema_path_t *path)
{
    int                   rc;
    uint8_t               bits;
    uint16_t              i;
    const schema_rule_t  *rule;

    if (node->never) {
        return schema_violate(c, "false", path, "no value is allowed here");
    }

    bits = schema_kinds[c->doc->tokens[token].type].bit;

    for (i = 0; i < node->nrules; i++) {
        rule = &node->rules[i];

        if (c->steps-- <= 0) {
            return schema_stop(c, schema_keyword_name(rule->keyword), path,
                               schema_too_costly);
        }

        /* most of what records are checked for */
        if (rule->keyword == SCHEMA_TYPE && (rule->u.types & bits)) {
            continue;
        }

        rc = schema_apply(c, node, rule, token, path);

        if (rc != SCHEMA_FITS) {
            return rc;
        }
    }

    return SCHEMA_FITS;
}


/* Keywords bind their own type only. */

static int
schema_apply(schema_checker_t *c, const schema_node_t *node,
    const schema_rule_t *rule, uint32_t token, const schema_path_t *path)
{
    int       rc;
    uint32_t  i;

    switch (rule->keyword) {

    case SCHEMA_TYPE:
        return schema_check_type(c, rule, token, path);

    case SCHEMA_ENUM:
    case SCHEMA_CONST:
        return schema_check_value(c, rule, token, path);

    case SCHEMA_REF:
        return schema_walk(c, rule->u.node, token, path);

    case SCHEMA_ALL_OF:
        for (i = 0; i < rule->u.nodes.n; i++) {
            rc = schema_walk(c, rule->u.nodes.list[i], token, path);
            if (rc != SCHEMA_FITS) {
                return rc;
            }
        }

        return SCHEMA_FITS;

    case SCHEMA_ANY_OF:
        return schema_check_any(c, rule, token, path);

    case SCHEMA_ONE_OF:
        return schema_check_one(c, rule, token, path);

    case SCHEMA_NOT:
        return schema_check_not(c, rule, token, path);

    case SCHEMA_IF:
        return schema_check_if(c, node, rule, token, path);

    default:
        break;
    }

    switch (c->doc->tokens[token].type) {

    case JSON_OBJECT:
        return schema_apply_object(c, node, rule, token, path);

    case JSON_ARRAY:
        return schema_apply_array(c, node, rule, token, path);

    case JSON_STRING:
        switch (rule->keyword) {

        case SCHEMA_MIN_LENGTH:
        case SCHEMA_MAX_LENGTH:
            return schema_check_length(c, rule, token, path);

        case SCHEMA_PATTERN:
            return schema_pattern_check(c, rule->u.pattern, token, path);

        case SCHEMA_FORMAT:
            return schema_check_format(c, rule, token, path);

        default:
            return SCHEMA_FITS;
        }

    case JSON_NUMBER:
        return schema_check_number(c, rule, token, path);

    default:
        return SCHEMA_FITS;
    }
}


static int
schema_apply_object(schema_checker_t *c, const schema_node_t *node,
    const schema_rule_t *rule, uint32_t token, const schema_path_t *path)
{
    switch (rule->keyword) {

    case SCHEMA_REQUIRED:
        return schema_check_required(c, "required", &rule->u.names, token,
                                     path);

    case SCHEMA_PROPERTIES:
        return schema_check_properties(c, &rule->u.names, token, path);

    case SCHEMA_ADDITIONAL:
        return schema_check_additional(c, node, rule, token, path);

    case SCHEMA_DEPENDENT:
        return schema_check_dependents(c, rule, token, path);

    case SCHEMA_MIN_PROPERTIES:
    case SCHEMA_MAX_PROPERTIES:
        return schema_check_count(c, rule, token, path);

    default:
        return SCHEMA_FITS;
    }
}


static int
schema_apply_array(schema_checker_t *c, const schema_node_t *node,
    const schema_rule_t *rule, uint32_t token, const schema_path_t *path)
{
    switch (rule->keyword) {

    case SCHEMA_PREFIX_ITEMS:
        return schema_check_prefix(c, rule, token, path);

    case SCHEMA_ITEMS:
        return schema_check_items(c, node, rule, token, path);

    case SCHEMA_UNIQUE:
        return schema_check_unique(c, token, path);

    case SCHEMA_MIN_ITEMS:
    case SCHEMA_MAX_ITEMS:
        return schema_check_count(c, rule, token, path);

    default:
        return SCHEMA_FITS;
    }
}


static int
schema_check_prefix(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    int                rc;
    uint32_t           i, end;
    schema_path_t      here;
    const json_doc_t  *doc;

    doc = c->doc;
    end = doc->tokens[token].next;

    here.up = path;
    here.name = NULL;
    here.token = JSON_NONE;
    here.index = 0;

    for (i = token + 1; i < end && here.index < rule->u.nodes.n;
         i = doc->tokens[i].next)
    {
        rc = schema_walk(c, rule->u.nodes.list[here.index], i, &here);
        if (rc != SCHEMA_FITS) {
            return rc;
        }

        here.index++;
    }

    return SCHEMA_FITS;
}


static int
schema_check_items(schema_checker_t *c, const schema_node_t *node,
    const schema_rule_t *rule, uint32_t token, const schema_path_t *path)
{
    int                rc;
    uint32_t           i, end;
    schema_path_t      here;
    const json_doc_t  *doc;

    doc = c->doc;
    end = doc->tokens[token].next;

    here.up = path;
    here.name = NULL;
    here.token = JSON_NONE;
    here.index = 0;

    for (i = token + 1; i < end; i = doc->tokens[i].next, here.index++) {
        c->steps--;

        if (here.index < node->nprefix) {
            continue;
        }

        if (rule->u.node->never) {
            return schema_violate(c, "items", &here, "at most %u item%s "
                                  "allowed", node->nprefix,
                                  node->nprefix == 1 ? "" : "s");
        }

        rc = schema_walk(c, rule->u.node, i, &here);
        if (rc != SCHEMA_FITS) {
            return rc;
        }
    }

    return SCHEMA_FITS;
}


static int
schema_try(schema_checker_t *c, const schema_node_t *node, uint32_t token,
    const schema_path_t *path)
{
    int  rc, quiet;

    quiet = c->quiet;
    c->quiet = 1;

    rc = schema_walk(c, node, token, path);

    c->quiet = quiet;

    return rc;
}


static int
schema_check_any(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    int       rc;
    uint32_t  i;

    for (i = 0; i < rule->u.nodes.n; i++) {
        rc = schema_try(c, rule->u.nodes.list[i], token, path);
        if (rc != SCHEMA_VIOLATES) {
            return rc;
        }
    }

    return schema_violate(c, "anyOf", path, "fits none of %u schemas",
                          rule->u.nodes.n);
}


static int
schema_check_one(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    int       rc;
    uint32_t  i, first;

    first = JSON_NONE;

    for (i = 0; i < rule->u.nodes.n; i++) {
        rc = schema_try(c, rule->u.nodes.list[i], token, path);

        if (rc == SCHEMA_STOPS) {
            return rc;
        }

        if (rc == SCHEMA_VIOLATES) {
            continue;
        }

        if (first != JSON_NONE) {
            return schema_violate(c, "oneOf", path, "fits schemas %u and %u, "
                                  "must fit one", first, i);
        }

        first = i;
    }

    if (first != JSON_NONE) {
        return SCHEMA_FITS;
    }

    return schema_violate(c, "oneOf", path, "fits none of %u schemas",
                          rule->u.nodes.n);
}


static int
schema_check_not(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    int  rc;

    rc = schema_try(c, rule->u.node, token, path);

    switch (rc) {

    case SCHEMA_FITS:
        return schema_violate(c, "not", path,
                              "fits the schema that it must not");

    case SCHEMA_VIOLATES:
        return SCHEMA_FITS;

    default:
        return rc;
    }
}


static int
schema_check_if(schema_checker_t *c, const schema_node_t *node,
    const schema_rule_t *rule, uint32_t token, const schema_path_t *path)
{
    int                   rc;
    const schema_node_t  *branch;

    /* without "then" and "else" it is of no effect */
    if (node->then == NULL && node->otherwise == NULL) {
        return SCHEMA_FITS;
    }

    rc = schema_try(c, rule->u.node, token, path);

    if (rc == SCHEMA_STOPS) {
        return rc;
    }

    /* what it says is more to the point than that it was asked */

    branch = rc == SCHEMA_FITS ? node->then : node->otherwise;

    return branch == NULL ? SCHEMA_FITS : schema_walk(c, branch, token, path);
}
