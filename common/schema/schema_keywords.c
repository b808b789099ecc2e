/* JSON Schema 2020-12: reading each keyword's value at load. */

#include <string.h>

#include "schema/schema_impl.h"


#define SCHEMA_DIALECT_URI  "https://json-schema.org/draft/2020-12/schema"
#define SCHEMA_MULTIPLE_MAX  18    /* digits of "multipleOf": uint64_t * 10 */


static int schema_read_type(schema_compiler_t *c, schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
static int schema_read_name_list(schema_compiler_t *c, schema_names_t *names,
    const char *keyword, uint32_t token, const schema_path_t *path);
static int schema_read_properties(schema_compiler_t *c, schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
static int schema_read_dependents(schema_compiler_t *c, schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
static int schema_read_defs(schema_compiler_t *c, uint32_t token,
    const schema_path_t *path);
static int schema_read_node(schema_compiler_t *c, schema_node_t **node,
    uint32_t token, const schema_path_t *path);
static int schema_read_nodes(schema_compiler_t *c, schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
static int schema_read_count(schema_compiler_t *c, schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
static int schema_read_number(schema_compiler_t *c, schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
static int schema_read_multiple(schema_compiler_t *c, schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
static int schema_read_enum(schema_compiler_t *c, schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
static int schema_read_boolean(schema_compiler_t *c, uint32_t token,
    const schema_path_t *path);
static int schema_read_pattern(schema_compiler_t *c, schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
static int schema_read_format(schema_compiler_t *c, schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
static int schema_read_ref(schema_compiler_t *c, schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
static int schema_read_root(schema_compiler_t *c, schema_rule_t *rule,
    uint32_t token, const schema_path_t *path);
static int schema_read_annotation(schema_compiler_t *c, uint32_t token,
    const schema_path_t *path);


/* Returns 1: the rule is to be checked, 0: it is not, -1: an error is set. */

int
schema_rule(schema_compiler_t *c, schema_node_t *node, schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    switch (rule->keyword) {

    case SCHEMA_TYPE:
        return schema_read_type(c, rule, token, path);

    case SCHEMA_REQUIRED:
        return schema_read_name_list(c, &rule->u.names, "required", token,
                                     path);

    case SCHEMA_PROPERTIES:
        return schema_read_properties(c, rule, token, path);

    case SCHEMA_DEPENDENT:
        return schema_read_dependents(c, rule, token, path);

    case SCHEMA_MIN_PROPERTIES:
    case SCHEMA_MAX_PROPERTIES:
    case SCHEMA_MIN_ITEMS:
    case SCHEMA_MAX_ITEMS:
    case SCHEMA_MIN_LENGTH:
    case SCHEMA_MAX_LENGTH:
        return schema_read_count(c, rule, token, path);

    case SCHEMA_ADDITIONAL:
    case SCHEMA_ITEMS:
    case SCHEMA_NOT:
    case SCHEMA_IF:
        return schema_read_node(c, &rule->u.node, token, path);

    case SCHEMA_PREFIX_ITEMS:
    case SCHEMA_ALL_OF:
    case SCHEMA_ANY_OF:
    case SCHEMA_ONE_OF:
        return schema_read_nodes(c, rule, token, path);

    case SCHEMA_UNIQUE:
        return schema_read_boolean(c, token, path);

    case SCHEMA_ENUM:
        return schema_read_enum(c, rule, token, path);

    case SCHEMA_CONST:
        rule->u.token = token;
        return 1;

    case SCHEMA_PATTERN:
        return schema_read_pattern(c, rule, token, path);

    case SCHEMA_FORMAT:
        return schema_read_format(c, rule, token, path);

    case SCHEMA_MINIMUM:
    case SCHEMA_MAXIMUM:
    case SCHEMA_EXCL_MINIMUM:
    case SCHEMA_EXCL_MAXIMUM:
        return schema_read_number(c, rule, token, path);

    case SCHEMA_MULTIPLE:
        return schema_read_multiple(c, rule, token, path);

    case SCHEMA_REF:
        return schema_read_ref(c, rule, token, path);

    case SCHEMA_THEN:
        return schema_read_node(c, &node->then, token, path) == -1 ? -1 : 0;

    case SCHEMA_ELSE:
        return schema_read_node(c, &node->otherwise, token, path) == -1 ? -1
                                                                        : 0;

    case SCHEMA_DEFS:
        return schema_read_defs(c, token, path);

    case SCHEMA_DIALECT:
    case SCHEMA_ID:
        return schema_read_root(c, rule, token, path);

    default:
        return schema_read_annotation(c, token, path);
    }
}


static void
schema_down(schema_path_t *here, const schema_path_t *path, uint32_t index)
{
    here->up = path;
    here->name = NULL;
    here->token = JSON_NONE;
    here->index = index;
}


static uint32_t
schema_elements(schema_compiler_t *c, uint32_t token)
{
    uint32_t  i, n, end;

    n = 0;
    end = schema_token(c, token)->next;

    for (i = token + 1; i < end; i = schema_token(c, i)->next) {
        n++;
    }

    return n;
}


static int
schema_add_type(schema_compiler_t *c, schema_rule_t *rule, uint32_t token,
    const schema_path_t *path)
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
            return schema_refuse(c, token, path, "the type is named twice");
        }

        rule->u.types |= schema_types[i].bit;

        return 1;
    }

    return schema_refuse(c, token, path, "type must be null, boolean, integer, "
                         "number, string, array or object");
}


static int
schema_read_type(schema_compiler_t *c, schema_rule_t *rule, uint32_t token,
    const schema_path_t *path)
{
    uint32_t              i;
    schema_path_t         here;
    const json_token_t   *t;

    t = schema_token(c, token);

    if (t->type == JSON_STRING) {
        return schema_add_type(c, rule, token, path);
    }

    if (t->type != JSON_ARRAY || t->next == token + 1) {
        return schema_refuse(c, token, path,
                             "type must be a name or an array of names");
    }

    schema_down(&here, path, 0);

    for (i = token + 1; i < t->next; i = schema_token(c, i)->next) {
        if (schema_add_type(c, rule, i, &here) == -1) {
            return -1;
        }

        here.index++;
    }

    return 1;
}


static int
schema_read_member(schema_compiler_t *c, schema_member_t *member,
    uint32_t token)
{
    member->name = schema_decode(c, token, &member->len);

    return member->name == NULL ? -1 : 0;
}


/* Names are few in what people write: found twice by comparing each. */

static int
schema_read_name_list(schema_compiler_t *c, schema_names_t *names,
    const char *keyword, uint32_t token, const schema_path_t *path)
{
    uint32_t             i, k;
    schema_path_t        here;
    const json_token_t  *t;

    t = schema_token(c, token);

    if (t->type != JSON_ARRAY) {
        return schema_refuse(c, token, path,
                             "%s must be an array of member names", keyword);
    }

    k = schema_elements(c, token);

    if (k > JSON_MAX_MEMBERS) {
        return schema_refuse(c, token, path, "more than %d member names",
                             JSON_MAX_MEMBERS);
    }

    names->members = schema_alloc(c, k * sizeof(schema_member_t));
    if (names->members == NULL) {
        return -1;
    }

    for (i = token + 1; i < t->next; i = schema_token(c, i)->next) {
        schema_down(&here, path, names->n);

        if (schema_token(c, i)->type != JSON_STRING) {
            return schema_refuse(c, i, &here, "a member name must be a string");
        }

        for (k = 0; k < names->n; k++) {
            if (json_equals(&c->schema->doc, i, names->members[k].name,
                            names->members[k].len))
            {
                return schema_refuse(c, i, &here, "the member is named twice");
            }
        }

        if (schema_read_member(c, &names->members[names->n], i) != 0) {
            return -1;
        }

        names->n++;
    }

    return schema_names_index(c, names) == 0 ? 1 : -1;
}


static int
schema_read_properties(schema_compiler_t *c, schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    uint32_t             i;
    schema_path_t        here;
    schema_names_t      *names;
    schema_member_t     *member;
    const json_token_t  *t;

    t = schema_token(c, token);

    if (t->type != JSON_OBJECT) {
        return schema_refuse(c, token, path,
                             "properties must be an object of schemas");
    }

    names = &rule->u.names;

    /* names and values are elements alike */
    names->members = schema_alloc(c, schema_elements(c, token) / 2
                                     * sizeof(schema_member_t));
    if (names->members == NULL) {
        return -1;
    }

    schema_down(&here, path, 0);

    for (i = token + 1; i < t->next; i = schema_token(c, i + 1)->next) {
        here.token = i;
        member = &names->members[names->n++];

        if (schema_read_member(c, member, i) != 0) {
            return -1;
        }

        member->node = schema_node(c, i + 1, &here);
        if (member->node == NULL) {
            return -1;
        }
    }

    return schema_names_index(c, names) == 0 ? 1 : -1;
}


static int
schema_read_dependents(schema_compiler_t *c, schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    uint32_t              i;
    schema_path_t         here;
    schema_dependent_t   *dependent;
    const json_token_t   *t;

    t = schema_token(c, token);

    if (t->type != JSON_OBJECT) {
        return schema_refuse(c, token, path, "dependentRequired must be an "
                             "object of arrays of member names");
    }

    rule->u.dependents.list = schema_alloc(c, schema_elements(c, token) / 2
                                              * sizeof(schema_dependent_t));
    if (rule->u.dependents.list == NULL) {
        return -1;
    }

    schema_down(&here, path, 0);

    for (i = token + 1; i < t->next; i = schema_token(c, i + 1)->next) {
        here.token = i;
        dependent = &rule->u.dependents.list[rule->u.dependents.n++];

        if (schema_read_member(c, &dependent->name, i) != 0
            || schema_read_name_list(c, &dependent->needs,
                                     "dependentRequired", i + 1, &here)
               == -1)
        {
            return -1;
        }
    }

    return 1;
}


static int
schema_read_defs(schema_compiler_t *c, uint32_t token,
    const schema_path_t *path)
{
    uint32_t             i;
    schema_path_t        here;
    const json_token_t  *t;

    t = schema_token(c, token);

    if (t->type != JSON_OBJECT) {
        return schema_refuse(c, token, path,
                             "$defs must be an object of schemas");
    }

    schema_down(&here, path, 0);

    for (i = token + 1; i < t->next; i = schema_token(c, i + 1)->next) {
        here.token = i;

        if (schema_node(c, i + 1, &here) == NULL) {
            return -1;
        }
    }

    return 0;
}


static int
schema_read_node(schema_compiler_t *c, schema_node_t **node, uint32_t token,
    const schema_path_t *path)
{
    *node = schema_node(c, token, path);

    return *node == NULL ? -1 : 1;
}


static int
schema_read_nodes(schema_compiler_t *c, schema_rule_t *rule, uint32_t token,
    const schema_path_t *path)
{
    uint32_t             i;
    schema_path_t        here;
    schema_nodes_t      *nodes;
    const json_token_t  *t;

    t = schema_token(c, token);

    if (t->type != JSON_ARRAY || t->next == token + 1) {
        return schema_refuse(c, token, path,
                             "%s must be an array of one or more schemas",
                             schema_keyword_name(rule->keyword));
    }

    nodes = &rule->u.nodes;

    nodes->list = schema_alloc(c, schema_elements(c, token)
                                  * sizeof(schema_node_t *));
    if (nodes->list == NULL) {
        return -1;
    }

    for (i = token + 1; i < t->next; i = schema_token(c, i)->next) {
        schema_down(&here, path, nodes->n);

        if (schema_read_node(c, &nodes->list[nodes->n++], i, &here) == -1) {
            return -1;
        }
    }

    return 1;
}


static int
schema_read_count(schema_compiler_t *c, schema_rule_t *rule, uint32_t token,
    const schema_path_t *path)
{
    int32_t              i;
    const char          *p;
    json_number_t      number;
    const json_token_t  *t;

    t = schema_token(c, token);

    memset(&number, 0, sizeof(json_number_t));

    if (t->type == JSON_NUMBER) {
        json_number(c->schema->text + t->start, c->schema->text + t->end,
                      &number);
    }

    if (t->type != JSON_NUMBER || number.negative
        || !json_number_is_integer(&number))
    {
        return schema_refuse(c, token, path,
                             "%s must be a non-negative integer",
                             schema_keyword_name(rule->keyword));
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


static int
schema_read_number(schema_compiler_t *c, schema_rule_t *rule, uint32_t token,
    const schema_path_t *path)
{
    const json_token_t  *t;

    t = schema_token(c, token);

    if (t->type != JSON_NUMBER) {
        return schema_refuse(c, token, path, "%s must be a number",
                             schema_keyword_name(rule->keyword));
    }

    json_number(c->schema->text + t->start, c->schema->text + t->end,
                  &rule->u.number);

    return 1;
}


static int
schema_read_multiple(schema_compiler_t *c, schema_rule_t *rule,
    uint32_t token, const schema_path_t *path)
{
    uint32_t             i;
    uint64_t             divisor;
    const char          *p;
    json_number_t      number;
    const json_token_t  *t;

    t = schema_token(c, token);

    memset(&number, 0, sizeof(json_number_t));

    if (t->type == JSON_NUMBER) {
        json_number(c->schema->text + t->start, c->schema->text + t->end,
                      &number);
    }

    if (t->type != JSON_NUMBER || number.negative || number.n == 0) {
        return schema_refuse(c, token, path,
                             "multipleOf must be a number above 0");
    }

    if (number.n > SCHEMA_MULTIPLE_MAX) {
        return schema_refuse(c, token, path, "multipleOf has more than %d "
                             "significant digits", SCHEMA_MULTIPLE_MAX);
    }

    p = number.digits;
    divisor = 0;

    for (i = 0; i < number.n; i++) {
        divisor = divisor * 10 + json_digit(&p);
    }

    rule->u.multiple.divisor = divisor;
    rule->u.multiple.digits = number.n;
    rule->u.multiple.exponent = number.exponent - (int32_t) number.n;

    return 1;
}


static int
schema_read_enum(schema_compiler_t *c, schema_rule_t *rule, uint32_t token,
    const schema_path_t *path)
{
    if (schema_token(c, token)->type != JSON_ARRAY) {
        return schema_refuse(c, token, path, "enum must be an array");
    }

    return schema_values(c, &rule->u.values, token) == 0 ? 1 : -1;
}


/* "uniqueItems": false asks for nothing. */

static int
schema_read_boolean(schema_compiler_t *c, uint32_t token,
    const schema_path_t *path)
{
    uint8_t  type;

    type = schema_token(c, token)->type;

    if (type != JSON_TRUE && type != JSON_FALSE) {
        return schema_refuse(c, token, path, "the value must be a boolean");
    }

    return type == JSON_TRUE;
}


static char *
schema_read_string(schema_compiler_t *c, const char *keyword, uint32_t token,
    const schema_path_t *path, size_t *len)
{
    if (schema_token(c, token)->type != JSON_STRING) {
        (void) schema_refuse(c, token, path, "%s must be a string", keyword);
        return NULL;
    }

    return schema_decode(c, token, len);
}


static int
schema_read_pattern(schema_compiler_t *c, schema_rule_t *rule, uint32_t token,
    const schema_path_t *path)
{
    char    *text;
    size_t   len;

    text = schema_read_string(c, "pattern", token, path, &len);
    if (text == NULL) {
        return -1;
    }

    rule->u.pattern = schema_pattern_compile(c, text, len, token, path);

    return rule->u.pattern == NULL ? -1 : 1;
}


static int
schema_read_format(schema_compiler_t *c, schema_rule_t *rule, uint32_t token,
    const schema_path_t *path)
{
    char    *text, name[32];
    size_t   len;

    text = schema_read_string(c, "format", token, path, &len);
    if (text == NULL) {
        return -1;
    }

    rule->u.format.check = schema_format(text, &rule->u.format.name);

    if (rule->u.format.check == NULL) {
        return schema_refuse(c, token, path, "format \"%s\" is not known",
                             schema_printable(text, len, name, sizeof(name)));
    }

    return 1;
}


/* What it names is found once all schemas are read. */

static int
schema_read_ref(schema_compiler_t *c, schema_rule_t *rule, uint32_t token,
    const schema_path_t *path)
{
    char    *text;
    size_t   len;

    text = schema_read_string(c, "$ref", token, path, &len);
    if (text == NULL) {
        return -1;
    }

    if (text[0] != '#' || (text[1] != '\0' && text[1] != '/')) {
        return schema_refuse(c, token, path, "$ref must be \"#\" or begin "
                             "with \"#/\": other files are not read");
    }

    rule->u.token = token;

    return 1;
}


/* Below the root they would begin a schema of its own, with its own "#". */

static int
schema_read_root(schema_compiler_t *c, schema_rule_t *rule, uint32_t token,
    const schema_path_t *path)
{
    size_t       len;
    const char  *keyword, *text;

    keyword = schema_keyword_name(rule->keyword);

    text = schema_read_string(c, keyword, token, path, &len);
    if (text == NULL) {
        return -1;
    }

    if (path->up != NULL) {
        return schema_refuse(c, token, path,
                             "%s is taken at the root only", keyword);
    }

    if (rule->keyword == SCHEMA_DIALECT
        && strcmp(text, SCHEMA_DIALECT_URI) != 0
        && strcmp(text, SCHEMA_DIALECT_URI "#") != 0)
    {
        return schema_refuse(c, token, path, "$schema must be "
                             SCHEMA_DIALECT_URI);
    }

    return 0;
}


static int
schema_read_annotation(schema_compiler_t *c, uint32_t token,
    const schema_path_t *path)
{
    size_t       i;
    uint8_t      type;
    json_doc_t  *doc;

    static const struct {
        const char  *name;
        uint8_t      type;
        const char  *what;
    } kinds[] = {
        { "title",       JSON_STRING, "a string"  },
        { "description", JSON_STRING, "a string"  },
        { "$comment",    JSON_STRING, "a string"  },
        { "examples",    JSON_ARRAY,  "an array"  },
        { "deprecated",  JSON_TRUE,   "a boolean" },
        { "readOnly",    JSON_TRUE,   "a boolean" },
        { "writeOnly",   JSON_TRUE,   "a boolean" }
    };

    doc = &c->schema->doc;
    type = doc->tokens[token].type;
    type = type == JSON_FALSE ? JSON_TRUE : type;

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (type != kinds[i].type
            && json_equals(doc, token - 1, kinds[i].name,
                           strlen(kinds[i].name)))
        {
            return schema_refuse(c, token, path, "%s must be %s",
                                 kinds[i].name, kinds[i].what);
        }
    }

    return 0;
}
