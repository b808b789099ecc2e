/* Checks of the keywords that hold no other schema. */

#include <stdio.h>
#include <string.h>

#include "schema/schema_leaf.h"
#include "schema/schema_names.h"
#include "schema/schema_value.h"


#define SCHEMA_NAME  80    /* bytes of a member name in a reason */


static int schema_require(schema_checker_t *c, const char *keyword,
    const schema_names_t *names, uint32_t token, const schema_path_t *path);
static uint64_t schema_length(const json_doc_t *doc, uint32_t token);


static void
schema_number(schema_checker_t *c, uint32_t token, json_number_t *number)
{
    const json_token_t  *t = &c->doc->tokens[token];

    json_number(c->doc->text + t->start, c->doc->text + t->end, number);
}


static inline void
schema_charge_number(schema_checker_t *c, uint32_t token)
{
    const json_token_t  *t = &c->doc->tokens[token];

    c->steps -= (t->end - t->start) / 4;
}


int
schema_check_type(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    char            wanted[80];
    size_t          i, len;
    uint8_t         type;
    const char     *is;
    json_number_t   number;

    type = c->doc->tokens[token].type;

    if (rule->u.types & schema_kinds[type].bit) {
        return SCHEMA_FITS;
    }

    is = schema_kinds[type].name;

    if (type == JSON_NUMBER && (rule->u.types & SCHEMA_INTEGER)) {
        schema_charge_number(c, token);
        schema_number(c, token, &number);

        if (json_number_is_integer(&number)) {
            return SCHEMA_FITS;
        }

        is = "number with a fraction";
    }

    for (i = 0, len = 0; !c->quiet && schema_types[i].name != NULL; i++) {
        if (rule->u.types & schema_types[i].bit) {
            len += (size_t) snprintf(wanted + len, sizeof(wanted) - len,
                                     "%s%s", len ? " or " : "",
                                     schema_types[i].name);
        }
    }

    return schema_violate(c, "type", path, "is %s, must be %s", is, wanted);
}


int
schema_check_value(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    int          rc;
    const char  *keyword;

    keyword = schema_keywords[rule->keyword];

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


int
schema_check_required(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    return schema_require(c, "required", &rule->u.names, token, path);
}


/* Many names: the object's members are looked up first, which is linear. */

static int
schema_require(schema_checker_t *c, const char *keyword,
    const schema_names_t *names, uint32_t token, const schema_path_t *path)
{
    char                    name[SCHEMA_NAME];
    uint32_t                i, k, n, end, hint;
    const json_doc_t       *doc = c->doc;
    const schema_member_t  *member;

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
        member = &names->members[i];

        if (schema_member(c, token, member, &hint) == JSON_NONE) {
            return schema_violate(c, keyword, path, "member \"%s\" is missing",
                                  schema_printable(member->name, member->len,
                                                   name, sizeof(name)));
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

        rc = schema_require(c, "dependentRequired", &dependent->needs, token,
                            path);
        if (rc != SCHEMA_FITS) {
            return rc;
        }
    }

    return SCHEMA_FITS;
}


static int
schema_compare_count(schema_checker_t *c, const schema_rule_t *rule,
    uint64_t count, int least, const char *one, const schema_path_t *path)
{
    if (least ? count >= rule->u.count : count <= rule->u.count) {
        return SCHEMA_FITS;
    }

    return schema_violate(c, schema_keywords[rule->keyword], path,
                          "has %llu %s%s, at %s %llu %s",
                          (unsigned long long) count, one,
                          count == 1 ? "" : "s", least ? "least" : "most",
                          (unsigned long long) rule->u.count,
                          least ? "needed" : "allowed");
}


int
schema_check_count(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    uint32_t  n;

    n = schema_count(c->doc, token);
    c->steps -= n / 2;

    return schema_compare_count(c, rule, n, rule->keyword == SCHEMA_MIN_ITEMS
                                || rule->keyword == SCHEMA_MIN_PROPERTIES,
                                c->doc->tokens[token].type == JSON_OBJECT
                                ? "member" : "item", path);
}


int
schema_check_unique(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
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


int
schema_check_length(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    int                  least;
    uint64_t             bytes;
    const json_token_t  *t = &c->doc->tokens[token];

    bytes = t->end - t->start;
    least = rule->keyword == SCHEMA_MIN_LENGTH;

    /* an unescaped code point has one to four bytes */
    if (least ? !t->escaped && bytes / 4 >= rule->u.count
              : bytes <= rule->u.count)
    {
        return SCHEMA_FITS;
    }

    c->steps -= (int64_t) (bytes / 4);

    return schema_compare_count(c, rule, schema_length(c->doc, token), least,
                                "character", path);
}


static uint64_t
schema_length(const json_doc_t *doc, uint32_t token)
{
    uint64_t             length;
    const char          *p, *end;
    const json_token_t  *t = &doc->tokens[token];

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


int
schema_check_format(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    size_t       len;
    const char  *text;

    text = schema_text(c->work, c->doc, token, &len);
    if (text == NULL) {
        return schema_stop(c, "format", path, json_no_memory);
    }

    c->steps -= 4 + (int64_t) (len / 4);
    schema_charge_text(c, c->doc, token);

    if (rule->u.format.check(text, text + len)) {
        return SCHEMA_FITS;
    }

    return schema_violate(c, "format", path, "is no %s", rule->u.format.name);
}


/* The reason does not name the bound, which may have 1,000 digits. */

int
schema_check_bound(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    int            order, fits;
    json_number_t  number;

    static const char *const  reasons[] = {
        [SCHEMA_MINIMUM] = "is below the minimum",
        [SCHEMA_MAXIMUM] = "is above the maximum",
        [SCHEMA_EXCL_MINIMUM] = "is not above the minimum",
        [SCHEMA_EXCL_MAXIMUM] = "is not below the maximum"
    };

    schema_charge_number(c, token);
    schema_number(c, token, &number);
    order = json_number_compare(&number, &rule->u.number);

    fits = rule->keyword == SCHEMA_MINIMUM ? order >= 0
           : rule->keyword == SCHEMA_MAXIMUM ? order <= 0
           : rule->keyword == SCHEMA_EXCL_MINIMUM ? order > 0
           : order < 0;

    return fits ? SCHEMA_FITS
                : schema_violate(c, schema_keywords[rule->keyword], path, "%s",
                                 reasons[rule->keyword]);
}


int
schema_check_multiple(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    json_number_t        number;
    const json_token_t  *t;

    /* a division for each digit */
    t = &c->doc->tokens[token];
    c->steps -= 2 * (int64_t) (t->end - t->start);
    schema_number(c, token, &number);

    if (json_number_divides(&number, rule->u.multiple.divisor,
                            rule->u.multiple.digits,
                            rule->u.multiple.exponent))
    {
        return SCHEMA_FITS;
    }

    return schema_violate(c, "multipleOf", path, "is not a multiple of what "
                          "it must be");
}
