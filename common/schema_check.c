/*
 * JSON Schema 2020-12: checking tokens.  Nesting is bounded by the record's
 * depth times the schemas for one value, work by a number of steps.
 */

#include <stdio.h>
#include <string.h>

#include "schema_impl.h"


#define SCHEMA_NAME  80    /* bytes of a member name in a reason */


static int schema_walk(schema_checker_t *c, const schema_node_t *node,
    uint32_t token, const schema_path_t *path);
static int schema_apply(schema_checker_t *c, const schema_node_t *node,
    const schema_rule_t *rule, uint32_t token, const schema_path_t *path);
static int schema_apply_object(schema_checker_t *c, const schema_node_t *node,
    const schema_rule_t *rule, uint32_t token, const schema_path_t *path);
static int schema_apply_array(schema_checker_t *c, const schema_node_t *node,
    const schema_rule_t *rule, uint32_t token, const schema_path_t *path);
static int schema_check_type(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
static int schema_check_required(schema_checker_t *c, const char *keyword,
    const schema_names_t *names, uint32_t token, const schema_path_t *path);
static int schema_check_dependents(schema_checker_t *c,
    const schema_rule_t *rule, uint32_t token, const schema_path_t *path);
static int schema_check_properties(schema_checker_t *c,
    const schema_names_t *names, uint32_t token, const schema_path_t *path);
static int schema_check_additional(schema_checker_t *c,
    const schema_node_t *node, const schema_rule_t *rule, uint32_t token,
    const schema_path_t *path);
static int schema_check_prefix(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
static int schema_check_items(schema_checker_t *c, const schema_node_t *node,
    const schema_rule_t *rule, uint32_t token, const schema_path_t *path);
static int schema_check_unique(schema_checker_t *c, uint32_t token,
    const schema_path_t *path);
static int schema_check_count(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
static int schema_check_value(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
static int schema_check_length(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
static int schema_check_format(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
static int schema_check_number(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
static int schema_check_any(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
static int schema_check_one(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
static int schema_check_not(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
static int schema_check_if(schema_checker_t *c, const schema_node_t *node,
    const schema_rule_t *rule, uint32_t token, const schema_path_t *path);
static uint64_t schema_length(const json_doc_t *doc, uint32_t token);


/* By json_type_t; of a number it depends on its digits. */

static const struct {
    const char  *name;
    uint8_t      bits;
} schema_kinds[] = {
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


static int
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

    bits = schema_kinds[c->doc->tokens[token].type].bits;

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


/* Kept out of the functions that call each other: they share one stack. */

static __attribute__((noinline)) int
schema_violate_type(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    char         wanted[80];
    size_t       i, len;
    uint8_t      type;
    const char  *is;

    type = c->doc->tokens[token].type;
    is = schema_kinds[type].name;

    if (type == JSON_NUMBER && (rule->u.types & SCHEMA_INTEGER)) {
        is = "number with a fraction";
    }

    len = 0;

    for (i = 0; schema_types[i].name != NULL; i++) {
        if (rule->u.types & schema_types[i].bit) {
            len += (size_t) snprintf(wanted + len, sizeof(wanted) - len,
                                     "%s%s", len ? " or " : "",
                                     schema_types[i].name);
        }
    }

    return schema_violate(c, "type", path, "is %s, must be %s", is, wanted);
}


static int
schema_check_type(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    schema_number_t      number;
    const json_token_t  *t;

    t = &c->doc->tokens[token];

    if (rule->u.types & schema_kinds[t->type].bits) {
        return SCHEMA_FITS;
    }

    if (t->type == JSON_NUMBER && (rule->u.types & SCHEMA_INTEGER)) {
        schema_number(c->doc->text + t->start, c->doc->text + t->end, &number);

        if (schema_number_is_integer(&number)) {
            return SCHEMA_FITS;
        }
    }

    return schema_violate_type(c, rule, token, path);
}


static __attribute__((noinline)) int
schema_violate_missing(schema_checker_t *c, const char *keyword,
    const schema_member_t *member, const schema_path_t *path)
{
    char  name[SCHEMA_NAME];

    return schema_violate(c, keyword, path, "member \"%s\" is missing",
                          schema_printable(member->name, member->len, name,
                                           sizeof(name)));
}


/* Many names are looked up by the object's members first: linear. */

static int
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


static int
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


static int
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


static __attribute__((noinline)) int
schema_violate_additional(schema_checker_t *c, uint32_t token,
    const schema_path_t *path)
{
    char  name[SCHEMA_NAME];

    return schema_violate(c, "additionalProperties", path,
                          "member \"%s\" is not allowed",
                          schema_printable_token(c->doc, token, name,
                                                 sizeof(name)));
}


static int
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
schema_check_unique(schema_checker_t *c, uint32_t token,
    const schema_path_t *path)
{
    int                rc;
    uint32_t           i, n, first, second, from;
    const json_doc_t  *doc;

    rc = schema_unique(c, token, &first, &second, path);

    if (rc != SCHEMA_VIOLATES || c->quiet) {
        return rc;
    }

    doc = c->doc;
    from = 0;
    n = 0;

    for (i = token + 1; i < second; i = doc->tokens[i].next) {
        from = i == first ? n : from;
        n++;
    }

    return schema_violate(c, "uniqueItems", path, "items %u and %u are equal",
                          from, n);
}


static int
schema_compare_count(schema_checker_t *c, const schema_rule_t *rule,
    uint64_t count, int least, const char *one, const char *many,
    const schema_path_t *path)
{
    if (least ? count >= rule->u.count : count <= rule->u.count) {
        return SCHEMA_FITS;
    }

    return schema_violate(c, schema_keyword_name(rule->keyword), path,
                          "has %llu %s, at %s %llu %s",
                          (unsigned long long) count, count == 1 ? one : many,
                          least ? "least" : "most",
                          (unsigned long long) rule->u.count,
                          least ? "needed" : "allowed");
}


static int
schema_check_count(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    int                least, object;
    uint32_t           i, n, end;
    const json_doc_t  *doc;

    doc = c->doc;
    n = 0;
    end = doc->tokens[token].next;
    object = doc->tokens[token].type == JSON_OBJECT;

    for (i = token + 1; i < end; i = doc->tokens[i + (uint32_t) object].next) {
        n++;
    }

    c->steps -= n / 2;
    least = rule->keyword == SCHEMA_MIN_ITEMS
            || rule->keyword == SCHEMA_MIN_PROPERTIES;

    return schema_compare_count(c, rule, n, least, object ? "member" : "item",
                                object ? "members" : "items", path);
}


static int
schema_check_value(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    int          rc;
    const char  *keyword;

    keyword = schema_keyword_name(rule->keyword);

    rc = rule->keyword == SCHEMA_ENUM
         ? schema_values_have(c, &rule->u.values, token)
         : schema_equals_own(c, rule->u.token, token);

    if (rc == 1) {
        return SCHEMA_FITS;
    }

    if (rc == -1) {
        return schema_stop(c, keyword, path, json_no_memory);
    }

    if (c->steps <= 0) {
        return schema_stop(c, keyword, path, schema_too_costly);
    }

    if (rule->keyword == SCHEMA_CONST) {
        return schema_violate(c, keyword, path, "is not the value allowed");
    }

    return schema_violate(c, keyword, path, "is none of the %u values allowed",
                          rule->u.values.n);
}


static int
schema_check_length(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    int                  least;
    uint64_t             bytes;
    const json_token_t  *t;

    t = &c->doc->tokens[token];
    bytes = t->end - t->start;
    least = rule->keyword == SCHEMA_MIN_LENGTH;

    /* a code point takes one byte at least, four at most, unescaped */
    if (least ? !t->escaped && bytes / 4 >= rule->u.count
              : bytes <= rule->u.count)
    {
        return SCHEMA_FITS;
    }

    c->steps -= (int64_t) (bytes / 8);

    return schema_compare_count(c, rule, schema_length(c->doc, token), least,
                                "character", "characters", path);
}


static uint64_t
schema_length(const json_doc_t *doc, uint32_t token)
{
    uint64_t             length;
    const char          *p, *end;
    const json_token_t  *t;

    t = &doc->tokens[token];
    p = doc->text + t->start;
    end = doc->text + t->end;
    length = 0;

    while (p < end) {

        if (*p != '\\') {
            /* continuation bytes are 10xxxxxx */
            length += (*p & 0xc0) != 0x80;
            p++;
            continue;
        }

        length++;

        if (p[1] != 'u') {
            p += 2;

        } else if ((p[2] | 0x20) == 'd' && strchr("89abAB", p[3]) != NULL) {
            p += 12;

        } else {
            p += 6;
        }
    }

    return length;
}


static int
schema_check_format(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    size_t       len;
    const char  *text;

    text = schema_text(c->work, c->doc, token, &len);
    if (text == NULL) {
        return schema_stop(c, "format", path, json_no_memory);
    }

    c->steps -= (int64_t) (len / 4);

    if (rule->u.format.check(text, text + len)) {
        return SCHEMA_FITS;
    }

    return schema_violate(c, "format", path, "is no %s", rule->u.format.name);
}


/* A bound is named by its first digits: no reason holds a thousand. */

static __attribute__((noinline)) int
schema_violate_number(schema_checker_t *c, const schema_rule_t *rule,
    const char *what, const schema_path_t *path)
{
    return schema_violate(c, schema_keyword_name(rule->keyword), path, "%s",
                          what);
}


static int
schema_check_number(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    int                  order;
    const char          *what;
    schema_number_t      number;
    const json_token_t  *t;

    if (rule->keyword < SCHEMA_MINIMUM || rule->keyword > SCHEMA_MULTIPLE) {
        return SCHEMA_FITS;
    }

    t = &c->doc->tokens[token];
    c->steps -= (t->end - t->start) / 8;

    schema_number(c->doc->text + t->start, c->doc->text + t->end, &number);

    if (rule->keyword == SCHEMA_MULTIPLE) {
        if (schema_number_divides(&number, rule->u.multiple.divisor,
                                  rule->u.multiple.digits,
                                  rule->u.multiple.exponent))
        {
            return SCHEMA_FITS;
        }

        return schema_violate_number(c, rule, "is not a multiple of what it "
                                     "must be", path);
    }

    order = schema_number_compare(&number, &rule->u.number);
    what = NULL;

    switch (rule->keyword) {

    case SCHEMA_MINIMUM:
        what = order < 0 ? "is below the minimum" : NULL;
        break;

    case SCHEMA_MAXIMUM:
        what = order > 0 ? "is above the maximum" : NULL;
        break;

    case SCHEMA_EXCL_MINIMUM:
        what = order <= 0 ? "is not above the minimum" : NULL;
        break;

    default:
        what = order >= 0 ? "is not below the maximum" : NULL;
        break;
    }

    return what == NULL ? SCHEMA_FITS
                        : schema_violate_number(c, rule, what, path);
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
    const char           *what;
    const schema_node_t  *branch;

    /* without "then" and "else" it is of no effect */
    if (node->then == NULL && node->otherwise == NULL) {
        return SCHEMA_FITS;
    }

    rc = schema_try(c, rule->u.node, token, path);

    if (rc == SCHEMA_STOPS) {
        return rc;
    }

    branch = rc == SCHEMA_FITS ? node->then : node->otherwise;
    what = rc == SCHEMA_FITS ? "fits \"if\" but not \"then\""
                             : "fits neither \"if\" nor \"else\"";

    if (branch == NULL) {
        return SCHEMA_FITS;
    }

    rc = schema_try(c, branch, token, path);

    if (rc != SCHEMA_VIOLATES) {
        return rc;
    }

    return schema_violate(c, "if", path, "%s", what);
}
