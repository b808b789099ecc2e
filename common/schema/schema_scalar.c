/* JSON Schema 2020-12: what is said of a value by itself. */

#include <stdio.h>
#include <string.h>

#include "schema/schema_impl.h"


/* Kept out of the functions that call each other: they share one stack. */
static int schema_violate_type(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
    __attribute__((noinline));
static int schema_violate_number(schema_checker_t *c, const schema_rule_t *rule,
    const char *what, const schema_path_t *path)
    __attribute__((noinline));
static uint64_t schema_length(const json_doc_t *doc, uint32_t token);


static int
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


int
schema_check_type(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    json_number_t      number;
    const json_token_t  *t;

    t = &c->doc->tokens[token];

    if (rule->u.types & schema_kinds[t->type].bit) {
        return SCHEMA_FITS;
    }

    if (t->type == JSON_NUMBER && (rule->u.types & SCHEMA_INTEGER)) {
        json_number(c->doc->text + t->start, c->doc->text + t->end, &number);

        if (json_number_is_integer(&number)) {
            return SCHEMA_FITS;
        }
    }

    return schema_violate_type(c, rule, token, path);
}


int
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


int
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


int
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


int
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

    c->steps -= (int64_t) (len / 4);

    if (rule->u.format.check(text, text + len)) {
        return SCHEMA_FITS;
    }

    return schema_violate(c, "format", path, "is no %s", rule->u.format.name);
}


/* A bound is named by its first digits: no reason holds a thousand. */

static int
schema_violate_number(schema_checker_t *c, const schema_rule_t *rule,
    const char *what, const schema_path_t *path)
{
    return schema_violate(c, schema_keyword_name(rule->keyword), path, "%s",
                          what);
}


int
schema_check_number(schema_checker_t *c, const schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    int                  order;
    const char          *what;
    json_number_t      number;
    const json_token_t  *t;

    if (rule->keyword < SCHEMA_MINIMUM || rule->keyword > SCHEMA_MULTIPLE) {
        return SCHEMA_FITS;
    }

    t = &c->doc->tokens[token];
    c->steps -= (t->end - t->start) / 8;

    json_number(c->doc->text + t->start, c->doc->text + t->end, &number);

    if (rule->keyword == SCHEMA_MULTIPLE) {
        if (json_number_divides(&number, rule->u.multiple.divisor,
                                  rule->u.multiple.digits,
                                  rule->u.multiple.exponent))
        {
            return SCHEMA_FITS;
        }

        return schema_violate_number(c, rule, "is not a multiple of what it "
                                     "must be", path);
    }

    order = json_number_compare(&number, &rule->u.number);
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
