/* Reads the values of keywords that hold no other schema. */

#include <string.h>

#include "schema/schema_format.h"
#include "schema/schema_names.h"
#include "schema/schema_pattern.h"
#include "schema/schema_rule.h"
#include "schema/schema_value.h"


#define SCHEMA_DIALECT_URI   "https://json-schema.org/draft/2020-12/schema"
#define SCHEMA_MULTIPLE_MAX  18    /* digits of "multipleOf": uint64_t * 10 */


static int schema_read_names(schema_compiler_t *c, schema_names_t *names,
    const char *keyword, uint32_t token);


static int
schema_add_type(schema_compiler_t *c, schema_rule_t *rule, uint32_t token)
{
    size_t  i;

    for (i = 0; schema_types[i].name != NULL; i++) {

        if (schema_token(c, token)->type != JSON_STRING
            || !json_equals(&c->schema->doc, token, schema_types[i].name,
                            strlen(schema_types[i].name)))
        {
            continue;
        }

        if (rule->u.types & schema_types[i].bit) {
            return schema_refuse(c, token, "the type is named twice");
        }

        rule->u.types |= schema_types[i].bit;

        return 1;
    }

    return schema_refuse(c, token, "type must be null, boolean, integer, "
                         "number, string, array or object");
}


int
schema_read_type(schema_compiler_t *c, schema_rule_t *rule, uint32_t token)
{
    uint32_t             i;
    const json_token_t  *t;

    t = schema_token(c, token);

    if (t->type == JSON_STRING) {
        return schema_add_type(c, rule, token);
    }

    if (t->type != JSON_ARRAY || t->next == token + 1) {
        return schema_refuse(c, token,
                             "type must be a name or an array of names");
    }

    for (i = token + 1; i < t->next; i = schema_token(c, i)->next) {
        if (schema_add_type(c, rule, i) == -1) {
            return -1;
        }
    }

    return 1;
}


int
schema_members_alloc(schema_compiler_t *c, schema_names_t *names,
    uint32_t token)
{
    names->members = schema_alloc(c, schema_count(&c->schema->doc, token)
                                     * sizeof(schema_member_t));

    return names->members == NULL ? -1 : 0;
}


int
schema_read_member(schema_compiler_t *c, schema_member_t *member,
    uint32_t token)
{
    member->name = schema_decode(c, token, &member->len);

    return member->name == NULL ? -1 : 0;
}


int
schema_read_required(schema_compiler_t *c, schema_rule_t *rule, uint32_t token)
{
    return schema_read_names(c, &rule->u.names, "required", token);
}


/* People write few names: each is compared with the ones before. */

static int
schema_read_names(schema_compiler_t *c, schema_names_t *names,
    const char *keyword, uint32_t token)
{
    uint32_t             i, k;
    const json_token_t  *t;

    t = schema_token(c, token);

    if (t->type != JSON_ARRAY) {
        return schema_refuse(c, token, "%s must be an array of member names",
                             keyword);
    }

    if (schema_count(&c->schema->doc, token) > JSON_MAX_MEMBERS) {
        return schema_refuse(c, token, "more than %d member names",
                             JSON_MAX_MEMBERS);
    }

    if (schema_members_alloc(c, names, token) == -1) {
        return -1;
    }

    for (i = token + 1; i < t->next; i = schema_token(c, i)->next) {

        if (schema_token(c, i)->type != JSON_STRING) {
            return schema_refuse(c, i, "a member name must be a string");
        }

        for (k = 0; k < names->n; k++) {
            if (json_equals(&c->schema->doc, i, names->members[k].name,
                            names->members[k].len))
            {
                return schema_refuse(c, i, "the member is named twice");
            }
        }

        if (schema_read_member(c, &names->members[names->n++], i) == -1) {
            return -1;
        }
    }

    return schema_names_index(c, names) == 0 ? 1 : -1;
}


int
schema_read_dependents(schema_compiler_t *c, schema_rule_t *rule,
    uint32_t token)
{
    uint32_t              i;
    schema_dependent_t   *dependent;
    const json_token_t   *t;

    t = schema_token(c, token);

    if (t->type != JSON_OBJECT) {
        return schema_refuse(c, token, "dependentRequired must be an object "
                             "of arrays of member names");
    }

    rule->u.dependents.list = schema_alloc(c, sizeof(schema_dependent_t)
                                           * schema_count(&c->schema->doc,
                                                          token));
    if (rule->u.dependents.list == NULL) {
        return -1;
    }

    for (i = token + 1; i < t->next; i = schema_token(c, i + 1)->next) {
        dependent = &rule->u.dependents.list[rule->u.dependents.n++];

        if (schema_read_member(c, &dependent->name, i) == -1
            || schema_read_names(c, &dependent->needs, "dependentRequired",
                                 i + 1)
               == -1)
        {
            return -1;
        }
    }

    return 1;
}


/* Whether the value is a number; *number is zero if not. */

static int
schema_read_number(schema_compiler_t *c, uint32_t token,
    json_number_t *number)
{
    const json_token_t  *t;

    t = schema_token(c, token);
    memset(number, 0, sizeof(json_number_t));

    if (t->type != JSON_NUMBER) {
        return 0;
    }

    json_number(c->schema->text + t->start, c->schema->text + t->end, number);

    return 1;
}


int
schema_read_count(schema_compiler_t *c, schema_rule_t *rule, uint32_t token)
{
    int32_t         i;
    const char     *p;
    json_number_t   number;

    if (!schema_read_number(c, token, &number) || number.negative
        || !json_number_is_integer(&number))
    {
        return schema_refuse(c, token, "%s must be a non-negative integer",
                             schema_keywords[rule->keyword]);
    }

    /* no text is that long */
    if (number.n > 0 && number.exponent > 18) {
        rule->u.count = UINT64_MAX;
        return 1;
    }

    p = number.digits;

    for (i = 0; number.n > 0 && i < number.exponent; i++) {
        rule->u.count = rule->u.count * 10
                        + ((uint32_t) i < number.n ? json_digit(&p) : 0);
    }

    return 1;
}


int
schema_read_bound(schema_compiler_t *c, schema_rule_t *rule, uint32_t token)
{
    return schema_read_number(c, token, &rule->u.number)
           ? 1 : schema_refuse(c, token, "%s must be a number",
                               schema_keywords[rule->keyword]);
}


int
schema_read_multiple(schema_compiler_t *c, schema_rule_t *rule, uint32_t token)
{
    uint32_t        i;
    const char     *p;
    json_number_t   number;

    if (!schema_read_number(c, token, &number) || number.negative
        || number.n == 0)
    {
        return schema_refuse(c, token, "multipleOf must be a number above 0");
    }

    if (number.n > SCHEMA_MULTIPLE_MAX) {
        return schema_refuse(c, token, "multipleOf has more than %d "
                             "significant digits", SCHEMA_MULTIPLE_MAX);
    }

    p = number.digits;

    for (i = 0; i < number.n; i++) {
        rule->u.multiple.divisor = rule->u.multiple.divisor * 10
                                   + json_digit(&p);
    }

    rule->u.multiple.digits = number.n;
    rule->u.multiple.exponent = number.exponent - (int32_t) number.n;

    return 1;
}


int
schema_read_enum(schema_compiler_t *c, schema_rule_t *rule, uint32_t token)
{
    if (schema_token(c, token)->type != JSON_ARRAY) {
        return schema_refuse(c, token, "enum must be an array");
    }

    return schema_values(c, &rule->u.values, token) == 0 ? 1 : -1;
}


int
schema_read_const(schema_compiler_t *c, schema_rule_t *rule, uint32_t token)
{
    rule->u.token = token;

    return 1;
}


/* "uniqueItems": false asks for nothing. */

int
schema_read_unique(schema_compiler_t *c, schema_rule_t *rule, uint32_t token)
{
    uint8_t  type;

    type = schema_token(c, token)->type;

    if (type != JSON_TRUE && type != JSON_FALSE) {
        return schema_refuse(c, token, "the value must be a boolean");
    }

    return type == JSON_TRUE;
}


static char *
schema_read_string(schema_compiler_t *c, const schema_rule_t *rule,
    uint32_t token, size_t *len)
{
    if (schema_token(c, token)->type != JSON_STRING) {
        (void) schema_refuse(c, token, "%s must be a string",
                             schema_keywords[rule->keyword]);
        return NULL;
    }

    return schema_decode(c, token, len);
}


int
schema_read_pattern(schema_compiler_t *c, schema_rule_t *rule, uint32_t token)
{
    char    *text;
    size_t   len;

    text = schema_read_string(c, rule, token, &len);
    if (text == NULL) {
        return -1;
    }

    rule->u.pattern = schema_pattern_compile(c, text, len, token);

    return rule->u.pattern == NULL ? -1 : 1;
}


int
schema_read_format(schema_compiler_t *c, schema_rule_t *rule, uint32_t token)
{
    char    *text, name[32];
    size_t   len;

    text = schema_read_string(c, rule, token, &len);
    if (text == NULL) {
        return -1;
    }

    rule->u.format.check = schema_format(text, &rule->u.format.name);

    if (rule->u.format.check == NULL) {
        return schema_refuse(c, token, "format \"%s\" is not known",
                             schema_printable(text, len, name, sizeof(name)));
    }

    return 1;
}


/* schema_resolve() finds what the reference names. */

int
schema_read_ref(schema_compiler_t *c, schema_rule_t *rule, uint32_t token)
{
    char    *text;
    size_t   len;

    text = schema_read_string(c, rule, token, &len);
    if (text == NULL) {
        return -1;
    }

    if (text[0] != '#' || (text[1] != '\0' && text[1] != '/')) {
        return schema_refuse(c, token, "$ref must be \"#\" or begin with "
                             "\"#/\": other files are not read");
    }

    rule->u.token = token;

    return 1;
}


int
schema_read_root(schema_compiler_t *c, schema_rule_t *rule, uint32_t token)
{
    size_t       len;
    const char  *text;

    text = schema_read_string(c, rule, token, &len);
    if (text == NULL) {
        return -1;
    }

    if (rule->keyword == SCHEMA_DIALECT
        && strcmp(text, SCHEMA_DIALECT_URI) != 0
        && strcmp(text, SCHEMA_DIALECT_URI "#") != 0)
    {
        return schema_refuse(c, token, "$schema must be " SCHEMA_DIALECT_URI);
    }

    return 0;
}


int
schema_read_annotation(schema_compiler_t *c, schema_rule_t *rule,
    uint32_t token)
{
    uint8_t      bit;
    const char  *what;

    bit = schema_kinds[schema_token(c, token)->type].bit;

    switch (rule->keyword) {

    case SCHEMA_DEFAULT:
        return 0;

    case SCHEMA_TITLE:
    case SCHEMA_DESCRIPTION:
    case SCHEMA_COMMENT:
        what = bit == SCHEMA_STRING ? NULL : "a string";
        break;

    case SCHEMA_EXAMPLES:
        what = bit == SCHEMA_ARRAY ? NULL : "an array";
        break;

    default:
        what = bit == SCHEMA_BOOLEAN ? NULL : "a boolean";
        break;
    }

    return what == NULL
           ? 0 : schema_refuse(c, token, "%s must be %s",
                               schema_keywords[rule->keyword], what);
}
