/*
 * Checks tokens by a compiled schema.  The record's depth times the schemas
 * for one value bounds the stack, a number of steps bounds the time.
 */

#include "schema/schema_leaf.h"
#include "schema/schema_names.h"
#include "schema/schema_pattern.h"


static int schema_walk(schema_checker_t *c, const schema_node_t *node,
    uint32_t token, const schema_path_t *path);

static schema_check_t  schema_check_properties;
static schema_check_t  schema_check_additional;
static schema_check_t  schema_check_prefix;
static schema_check_t  schema_check_items;
static schema_check_t  schema_check_ref;
static schema_check_t  schema_check_all;
static schema_check_t  schema_check_any;
static schema_check_t  schema_check_not;
static schema_check_t  schema_check_if;

/* Not inlined: its buffer would be in each frame of the recursion. */
static int schema_violate_additional(schema_checker_t *c, uint32_t token,
    const schema_path_t *path)
    __attribute__((noinline));


#define SCHEMA_CHECK(keyword, name, read, types, check)                      \
    { SCHEMA_##types, schema_check_##check },

/* By keyword. */

static const struct {
    uint8_t          types;
    schema_check_t  *check;
} schema_checks[] = {
    SCHEMA_RULES(SCHEMA_CHECK)
};


int
schema_check(const schema_t *schema, const json_doc_t *doc, uint32_t root,
    int64_t *steps, schema_violation_t *violation)
{
    int               rc;
    int64_t           most;
    schema_checker_t  c;

    most = *steps < SCHEMA_STEPS_MAX ? *steps : SCHEMA_STEPS_MAX;

    c.schema = schema;
    c.doc = doc;
    c.violation = violation;
    c.work = schema->work;
    c.steps = most;
    c.quiet = 0;

    rc = schema_walk(&c, schema->root, root, NULL);

    *steps -= most - c.steps;

    if (c.work->size + c.work->nslots > 0) {
        schema_scratch_trim(c.work);
    }

    return rc == SCHEMA_FITS ? 0 : -1;
}


static int
schema_walk(schema_checker_t *c, const schema_node_t *node, uint32_t token,
    const schema_path_t *path)
{
    int                   rc;
    uint8_t               bits;
    const schema_rule_t  *rule, *end;

    if (node->never) {
        return schema_violate(c, "false", path, "no value is allowed here");
    }

    bits = schema_kinds[c->doc->tokens[token].type].bit;
    end = node->rules + node->nrules;

    for (rule = node->rules; rule < end; rule++) {

        if (c->steps-- <= 0) {
            return schema_stop(c, schema_keywords[rule->keyword], path,
                               schema_too_costly);
        }

        /* the most frequent case */
        if (rule->keyword == SCHEMA_TYPE && (rule->u.types & bits)) {
            continue;
        }

        if (!(schema_checks[rule->keyword].types & bits)) {
            continue;
        }

        rc = schema_checks[rule->keyword].check(c, rule, token, path);

        if (rc != SCHEMA_FITS) {
            return rc;
        }
    }

    return SCHEMA_FITS;
}


/* Whether all members fit, in the object's order, which reports nothing. */

static int
schema_properties_fit(schema_checker_t *c, const schema_names_t *names,
    uint32_t token, const schema_path_t *path)
{
    int                rc, quiet;
    uint32_t           i, k, end;
    schema_path_t      here;
    const json_doc_t  *doc = c->doc;

    end = doc->tokens[token].next;
    quiet = c->quiet;
    rc = SCHEMA_FITS;

    here.up = path;
    here.name = NULL;

    c->quiet = 1;

    for (k = token + 1; k < end; k = doc->tokens[k + 1].next) {
        i = schema_names_find(c, names, k);

        if (i == names->n) {
            continue;
        }

        here.token = k;

        rc = schema_walk(c, names->members[i].node, k + 1, &here);
        if (rc != SCHEMA_FITS) {
            break;
        }
    }

    c->quiet = quiet;

    return rc;
}


static int
schema_check_properties(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    int                     rc;
    uint32_t                i, value, hint;
    schema_path_t           here;
    const schema_names_t   *names = &rule->u.names;
    const schema_member_t  *member;

    if (names->slots != NULL) {
        rc = schema_properties_fit(c, names, token, path);

        if (rc != SCHEMA_VIOLATES || c->quiet) {
            return rc;
        }
    }

    hint = token + 1;

    for (i = 0; i < names->n; i++) {
        member = &names->members[i];

        value = schema_member(c, token, member, &hint);
        if (value == JSON_NONE) {
            continue;
        }

        here.up = path;
        here.name = member->name;
        here.len = member->len;

        rc = schema_walk(c, member->node, value, &here);
        if (rc != SCHEMA_FITS) {
            return rc;
        }
    }

    return SCHEMA_FITS;
}


static int
schema_violate_additional(schema_checker_t *c, uint32_t token,
    const schema_path_t *path)
{
    char  name[80];

    return schema_violate(c, "additionalProperties", path,
                          "member \"%s\" is not allowed",
                          schema_printable_token(c->doc, token, name,
                                                 sizeof(name)));
}


static int
schema_check_additional(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    int                    rc;
    uint32_t               k, end;
    schema_path_t          here;
    const json_doc_t      *doc = c->doc;
    const schema_names_t  *names = rule->u.additional.properties;

    end = doc->tokens[token].next;

    here.up = path;
    here.name = NULL;

    for (k = token + 1; k < end; k = doc->tokens[k + 1].next) {
        c->steps--;

        if (names != NULL && schema_names_find(c, names, k) < names->n) {
            continue;
        }

        here.token = k;

        if (rule->u.sub[0]->never) {
            return schema_violate_additional(c, k, &here);
        }

        rc = schema_walk(c, rule->u.sub[0], k + 1, &here);
        if (rc != SCHEMA_FITS) {
            return rc;
        }
    }

    return SCHEMA_FITS;
}


/* The place of an array's first element. */

static inline schema_path_t
schema_first(const schema_path_t *array)
{
    return (schema_path_t) { .up = array, .token = JSON_NONE };
}


static int
schema_check_prefix(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    int            rc;
    uint32_t       i, end;
    schema_path_t  here;

    i = token + 1;
    end = c->doc->tokens[token].next;
    here = schema_first(path);

    for ( /* void */ ; i < end && here.index < rule->u.nodes.n; here.index++) {
        rc = schema_walk(c, rule->u.nodes.list[here.index], i, &here);
        if (rc != SCHEMA_FITS) {
            return rc;
        }

        i = c->doc->tokens[i].next;
    }

    return SCHEMA_FITS;
}


static int
schema_check_items(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    int            rc;
    uint32_t       i, end, nprefix;
    schema_path_t  here;

    end = c->doc->tokens[token].next;
    nprefix = rule->u.items.nprefix;
    here = schema_first(path);

    for (i = token + 1; i < end; i = c->doc->tokens[i].next, here.index++) {
        c->steps--;

        if (here.index < nprefix) {
            continue;
        }

        if (rule->u.sub[0]->never) {
            return schema_violate(c, "items", &here, "at most %u item%s "
                                  "allowed", nprefix, nprefix == 1 ? "" : "s");
        }

        rc = schema_walk(c, rule->u.sub[0], i, &here);
        if (rc != SCHEMA_FITS) {
            return rc;
        }
    }

    return SCHEMA_FITS;
}


static int
schema_check_ref(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    c->steps -= 2;

    return schema_walk(c, rule->u.sub[0], token, path);
}


static int
schema_check_all(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    int       rc;
    uint32_t  i;

    for (i = 0; i < rule->u.nodes.n; i++) {
        rc = schema_walk(c, rule->u.nodes.list[i], token, path);
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
    c->steps--;

    rc = schema_walk(c, node, token, path);

    c->quiet = quiet;

    return rc;
}


/* "anyOf" and "oneOf". */

static int
schema_check_any(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    int       rc;
    uint32_t  i, first;

    first = JSON_NONE;

    for (i = 0; i < rule->u.nodes.n; i++) {
        rc = schema_try(c, rule->u.nodes.list[i], token, path);

        if (rc == SCHEMA_VIOLATES) {
            continue;
        }

        if (rc == SCHEMA_STOPS || rule->keyword == SCHEMA_ANY_OF) {
            return rc;
        }

        if (first != JSON_NONE) {
            return schema_violate(c, "oneOf", path, "fits schemas %u and %u, "
                                  "must fit one", first, i);
        }

        first = i;
    }

    return first != JSON_NONE
           ? SCHEMA_FITS
           : schema_violate(c, schema_keywords[rule->keyword], path,
                            "fits none of %u schemas", rule->u.nodes.n);
}


static int
schema_check_not(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    int  rc;

    rc = schema_try(c, rule->u.sub[0], token, path);

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
schema_check_if(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    int                         rc;
    const schema_node_t        *branch;
    schema_node_t *const       *branches = &rule->u.sub[1];

    /* without "then" and "else" the keyword has no effect */
    if (branches[0] == NULL && branches[1] == NULL) {
        return SCHEMA_FITS;
    }

    rc = schema_try(c, rule->u.sub[0], token, path);

    if (rc == SCHEMA_STOPS) {
        return rc;
    }

    /* the branch reports its own violation */

    branch = branches[rc == SCHEMA_VIOLATES];

    return branch == NULL ? SCHEMA_FITS : schema_walk(c, branch, token, path);
}
