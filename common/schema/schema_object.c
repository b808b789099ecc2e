/* JSON Schema 2020-12: what is said of an object's members. */

#include <string.h>

#include "schema/schema_impl.h"


#define SCHEMA_NAME  80    /* bytes of a member name in a reason */


/* Kept out of the functions that call each other: they share one stack. */
static int schema_violate_missing(schema_checker_t *c, const char *keyword,
    const schema_member_t *member, const schema_path_t *path)
    __attribute__((noinline));
static int schema_violate_additional(schema_checker_t *c, uint32_t token,
    const schema_path_t *path)
    __attribute__((noinline));


static int
schema_violate_missing(schema_checker_t *c, const char *keyword,
    const schema_member_t *member, const schema_path_t *path)
{
    char  name[SCHEMA_NAME];

    return schema_violate(c, keyword, path, "member \"%s\" is missing",
                          schema_printable(member->name, member->len, name,
                                           sizeof(name)));
}


/* Many names are looked up by the object's members first: linear. */

int
schema_check_required(schema_checker_t *c, const char *keyword,
    const schema_names_t *names, uint32_t token, const schema_path_t *path)
{
    uint32_t           i, k, n, end, hint;
    const json_doc_t  *doc;

    doc = c->doc;

    if (names->slots != NULL) {
        n = 0;
        end = doc->tokens[token].next;

        for (k = token + 1; k < end; k = doc->tokens[k + 1].next) {
            n += schema_names_find(c, names, k) < names->n;
        }

        if (n == names->n) {
            return SCHEMA_FITS;
        }

        if (c->quiet) {
            return SCHEMA_VIOLATES;
        }
    }

    hint = token + 1;

    for (i = 0; i < names->n; i++) {
        if (schema_member(c, token, &names->members[i], &hint) == JSON_NONE) {
            return schema_violate_missing(c, keyword, &names->members[i],
                                          path);
        }
    }

    return SCHEMA_FITS;
}


int
schema_check_dependents(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    int                        rc;
    uint32_t                   i, hint;
    const schema_dependent_t  *dependent;

    hint = token + 1;

    for (i = 0; i < rule->u.dependents.n; i++) {
        dependent = &rule->u.dependents.list[i];

        if (c->steps <= 0) {
            return schema_stop(c, "dependentRequired", path,
                               schema_too_costly);
        }

        if (schema_member(c, token, &dependent->name, &hint) == JSON_NONE) {
            continue;
        }

        rc = schema_check_required(c, "dependentRequired", &dependent->needs,
                                   token, path);
        if (rc != SCHEMA_FITS) {
            return rc;
        }
    }

    return SCHEMA_FITS;
}


/* By the object's members: whether all fit, in no order worth reporting. */

static int
schema_properties_fit(schema_checker_t *c, const schema_names_t *names,
    uint32_t token, const schema_path_t *path)
{
    int                rc, quiet;
    uint32_t           i, k, end;
    schema_path_t      here;
    const json_doc_t  *doc;

    doc = c->doc;
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


int
schema_check_properties(schema_checker_t *c, const schema_names_t *names,
    uint32_t token, const schema_path_t *path)
{
    int                     rc;
    uint32_t                i, value, hint;
    schema_path_t           here;
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
    char  name[SCHEMA_NAME];

    return schema_violate(c, "additionalProperties", path,
                          "member \"%s\" is not allowed",
                          schema_printable_token(c->doc, token, name,
                                                 sizeof(name)));
}


int
schema_check_additional(schema_checker_t *c, const schema_node_t *node,
    const schema_rule_t *rule, uint32_t token, const schema_path_t *path)
{
    int                    rc;
    uint32_t               k, end;
    schema_path_t          here;
    const json_doc_t      *doc;
    const schema_names_t  *names;

    doc = c->doc;
    names = node->properties;
    end = doc->tokens[token].next;

    here.up = path;
    here.name = NULL;

    for (k = token + 1; k < end; k = doc->tokens[k + 1].next) {
        c->steps--;

        if (names != NULL && schema_names_find(c, names, k) < names->n) {
            continue;
        }

        here.token = k;

        if (rule->u.node->never) {
            return schema_violate_additional(c, k, &here);
        }

        rc = schema_walk(c, rule->u.node, k + 1, &here);
        if (rc != SCHEMA_FITS) {
            return rc;
        }
    }

    return SCHEMA_FITS;
}
