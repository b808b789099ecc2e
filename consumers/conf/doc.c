/* The table of keys as text: help, manual and JSON Schema. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/doc.h"
#include "conf/keys.h"
#include "conf/units.h"


#define DOC_FORM     512
#define DOC_COLUMNS  78


static void doc_form(char *out, const conf_key_t *key);
static void doc_text(void);
static void doc_wrapped(const char *s);
static void doc_markdown(void);
static void doc_mdoc(void);
static void doc_escaped(const char *s);
static int doc_schema(void);
static cJSON *doc_object(const char *prefix);
static cJSON *doc_key(const conf_key_t *key);
static void doc_string(cJSON *value, const conf_key_t *key);


int
conf_doc(const char *format)
{
    if (strcmp(format, "text") == 0) {
        doc_text();

    } else if (strcmp(format, "markdown") == 0) {
        doc_markdown();

    } else if (strcmp(format, "mdoc") == 0) {
        doc_mdoc();

    } else if (strcmp(format, "schema") == 0) {
        return doc_schema();

    } else {
        return -1;
    }

    return 0;
}


/* What a key takes, in words; names stand between backquotes. */

static void
doc_form(char *out, const conf_key_t *key)
{
    char         low[CONF_PRINTED], high[CONF_PRINTED];
    size_t       n, len;
    const char  *at;

    switch (key->kind) {

    case CONF_STRING:
    case CONF_SECRET:
        snprintf(out, DOC_FORM, "a string");
        return;

    case CONF_BOOL:
        snprintf(out, DOC_FORM, "`true` or `false`");
        return;

    case CONF_COUNT:
        snprintf(out, DOC_FORM, "a whole number, %lld to %lld",
                 (long long) key->min, (long long) key->max);
        return;

    case CONF_SIZE:
        conf_print_size(low, key->min);
        conf_print_size(high, key->max);
        snprintf(out, DOC_FORM, "a size in bytes, `%s` to `%s`", low, high);
        return;

    case CONF_TIME:
        conf_print_time(low, key->min);
        conf_print_time(high, key->max);
        snprintf(out, DOC_FORM, "a time, `%s` to `%s`", low, high);
        return;

    case CONF_SHARE:
        snprintf(out, DOC_FORM, "a share, 0 to 1");
        return;

    case CONF_NAMES:
        snprintf(out, DOC_FORM, "an array of strings");
        return;

    case CONF_SECTION:
        snprintf(out, DOC_FORM, "an object");
        return;

    default:
        break;
    }

    if (key->form) {
        snprintf(out, DOC_FORM, "%s", key->form);
        return;
    }

    for (n = 0, at = key->choices; *at && n < DOC_FORM; ) {
        len = strcspn(at, "|");
        n += (size_t) snprintf(out + n, DOC_FORM - n, "%s`%.*s`",
                               at == key->choices ? ""
                               : at[len] == '\0' ? " or " : ", ",
                               (int) len, at);
        at += len + (at[len] == '|');
    }
}


static void
doc_text(void)
{
    char               form[DOC_FORM];
    size_t             i;
    const char        *leaf;
    const conf_key_t  *key;

    for (i = 0; i < conf_nkeys; i++) {
        key = &conf_keys[i];
        leaf = strrchr(key->path, '.');
        doc_form(form, key);

        printf("%s%s", i ? "\n" : "", key->path);
        if (key->required) {
            printf(" (required)");
        }
        if (key->fallback) {
            printf(" (default %s)", key->fallback);
        }
        printf("\n");

        doc_wrapped(form);
        doc_wrapped(key->doc);
        if (key->example) {
            printf("    \"%s\": %s\n", leaf ? leaf + 1 : key->path,
                   key->example);
        }
    }
}


static void
doc_wrapped(const char *s)
{
    size_t  column, len;

    for (column = 0; *s; s += len + strspn(s + len, " ")) {
        len = strcspn(s, " ");

        if (column == 0 || column + 1 + len > DOC_COLUMNS) {
            column = (size_t) printf("%s   ", column ? "\n" : "");
        }
        column += len + 1;

        putchar(' ');
        for (size_t i = 0; i < len; i++) {
            putchar(s[i] == '`' ? '"' : s[i]);
        }
    }

    putchar('\n');
}


static void
doc_markdown(void)
{
    char               form[DOC_FORM];
    size_t             i;
    const conf_key_t  *key;

    printf("| key | takes | default | meaning |\n"
           "| --- | --- | --- | --- |\n");

    for (i = 0; i < conf_nkeys; i++) {
        key = &conf_keys[i];
        doc_form(form, key);

        printf("| `%s` | %s | ", key->path, form);
        if (key->fallback) {
            printf("`%s`", key->fallback);
        } else {
            printf("%s", key->required ? "required" : "–");
        }
        printf(" | %s |\n", key->doc);
    }
}


static void
doc_mdoc(void)
{
    char               form[DOC_FORM];
    size_t             i;
    const char        *leaf;
    const conf_key_t  *key;

    printf(".Bl -tag -width Ds\n");

    for (i = 0; i < conf_nkeys; i++) {
        key = &conf_keys[i];
        leaf = strrchr(key->path, '.');
        doc_form(form, key);

        printf(".It Cm %s\n", key->path);
        form[0] = (char) (form[0] >= 'a' && form[0] <= 'z'
                          ? form[0] - 'a' + 'A' : form[0]);
        doc_escaped(form);
        if (key->required) {
            printf("; required");
        } else if (key->fallback) {
            printf("; default ");
            doc_escaped(key->fallback);
        }
        printf(".\n");

        doc_escaped(key->doc);
        printf("\n");

        if (key->example) {
            printf(".Bd -literal -compact\n\"%s\": ",
                   leaf ? leaf + 1 : key->path);
            doc_escaped(key->example);
            printf("\n.Ed\n");
        }
    }

    printf(".El\n");
}


/* A sentence a line, as mdoc(7) wants it; names in bold. */

static void
doc_escaped(const char *s)
{
    bool  bold;

    for (bold = false; *s; s++) {

        switch (*s) {

        case '`':
            bold = !bold;
            printf("%s", bold ? "\\fB" : "\\fP");
            break;

        case '\\':
            printf("\\e");
            break;

        case ' ':
            putchar(s[-1] == '.' ? '\n' : ' ');
            break;

        default:
            putchar(*s);
        }
    }
}


static int
doc_schema(void)
{
    char   *text, *p;
    cJSON  *schema, *file;

    schema = doc_object("");
    cJSON_AddStringToObject(schema, "$schema",
                            "http://json-schema.org/draft-07/schema#");
    cJSON_AddStringToObject(schema, "title",
                            "Configuration of sluice-consumer");

    file = cJSON_Parse("{ \"file\": { \"type\": \"object\", \"required\": "
                       "[\"file\"], \"properties\": { \"file\": { \"type\": "
                       "\"string\" } }, \"additionalProperties\": false, "
                       "\"description\": \"The content of a file, without "
                       "its last line end. ${CREDENTIALS_DIRECTORY} is "
                       "replaced in its name.\" } }");
    cJSON_AddItemToObject(schema, "$defs", file);

    text = cJSON_Print(schema);
    cJSON_Delete(schema);

    if (text == NULL || file == NULL) {
        cJSON_free(text);
        return -1;
    }

    /* tabs inside of strings are escaped */
    for (p = text; *p; p++) {
        if (*p != '\t') {
            putchar(*p);
        } else {
            printf("%s", p[-1] == ':' ? " " : "  ");
        }
    }

    putchar('\n');
    cJSON_free(text);

    return 0;
}


/* The schema of an object whose keys lie right below a prefix. */

static cJSON *
doc_object(const char *prefix)
{
    cJSON       *object, *properties, *required;
    size_t       i;
    const char  *name;

    object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "type", "object");
    properties = cJSON_AddObjectToObject(object, "properties");
    required = cJSON_CreateArray();

    for (i = 0; i < conf_nkeys; i++) {
        name = conf_below(&conf_keys[i], prefix);
        if (name == NULL) {
            continue;
        }

        cJSON_AddItemToObject(properties, name, doc_key(&conf_keys[i]));
        if (conf_keys[i].required) {
            cJSON_AddItemToArray(required, cJSON_CreateString(name));
        }
    }

    if (cJSON_GetArraySize(required)) {
        cJSON_AddItemToObject(object, "required", required);
    } else {
        cJSON_Delete(required);
    }

    cJSON_AddFalseToObject(object, "additionalProperties");

    return object;
}


static void
doc_string(cJSON *value, const conf_key_t *key)
{
    cJSON       *any, *string, *choices;
    char         one[DOC_FORM];
    size_t       len;
    const char  *at;

    any = cJSON_AddArrayToObject(value, "anyOf");
    string = cJSON_CreateObject();
    cJSON_AddStringToObject(string, "type", "string");

    if (key->kind == CONF_SIZE) {
        cJSON_AddStringToObject(string, "pattern", "^[0-9]+[kKmMgG]?$");

    } else if (key->kind == CONF_TIME) {
        cJSON_AddStringToObject(string, "pattern", "^[0-9]+(ms|s|m|h|d)$");

    } else if (key->kind == CONF_STRING) {
        cJSON_AddNumberToObject(string, "minLength", 1);

    } else if (key->choices && key->form == NULL) {
        choices = cJSON_AddArrayToObject(string, "enum");
        for (at = key->choices; *at; at += len + (at[len] == '|')) {
            len = strcspn(at, "|");
            snprintf(one, sizeof(one), "%.*s", (int) len, at);
            cJSON_AddItemToArray(choices, cJSON_CreateString(one));
        }
    }

    cJSON_AddItemToArray(any, string);
    cJSON_AddItemToArray(any, cJSON_Parse("{ \"$ref\": \"#/$defs/file\" }"));
}


/* What a row's own fragment of a schema and the rows below it say. */

static void
doc_custom(cJSON **value, const conf_key_t *key)
{
    char    text[1024], prefix[128];
    cJSON  *rest, *any;
    size_t  i;

    snprintf(text, sizeof(text), "{ %s }", key->schema);
    *value = cJSON_Parse(text);

    snprintf(prefix, sizeof(prefix), "%s.*.", key->path);

    for (i = 0; i < conf_nkeys; i++) {
        if (conf_below(&conf_keys[i], prefix)) {
            rest = cJSON_AddObjectToObject(*value, "additionalProperties");
            any = cJSON_AddArrayToObject(rest, "anyOf");
            cJSON_AddItemToArray(any,
                                 cJSON_Parse("{ \"type\": \"string\" }"));
            cJSON_AddItemToArray(any, doc_object(prefix));
            cJSON_AddItemToArray(any, cJSON_Parse("{ \"$ref\": "
                                                  "\"#/$defs/file\" }"));
            return;
        }
    }
}


static cJSON *
doc_key(const conf_key_t *key)
{
    char    prefix[128];
    cJSON  *value;

    value = cJSON_CreateObject();

    if (conf_is_string(key)) {
        doc_string(value, key);

    } else if (key->kind == CONF_BOOL) {
        cJSON_AddStringToObject(value, "type", "boolean");

    } else if (key->kind == CONF_COUNT || key->kind == CONF_SHARE) {
        cJSON_AddStringToObject(value, "type", key->kind == CONF_COUNT
                                               ? "integer" : "number");
        cJSON_AddNumberToObject(value, "minimum", (double) key->min);
        cJSON_AddNumberToObject(value, "maximum", key->kind == CONF_COUNT
                                                  ? (double) key->max : 1);

    } else if (key->kind == CONF_NAMES) {
        cJSON_Delete(value);
        value = cJSON_Parse("{ \"type\": \"array\", \"minItems\": 1, "
                            "\"uniqueItems\": true, \"items\": { \"type\": "
                            "\"string\", \"minLength\": 1 } }");

    } else if (key->kind == CONF_SECTION) {
        cJSON_Delete(value);
        snprintf(prefix, sizeof(prefix), "%s.", key->path);
        value = doc_object(prefix);

    } else {
        cJSON_Delete(value);
        doc_custom(&value, key);
    }

    cJSON_AddStringToObject(value, "description", key->doc);
    if (key->fallback) {
        cJSON_AddItemToObject(value, "default", cJSON_Parse(key->fallback));
    }
    if (key->example) {
        cJSON_AddItemToArray(cJSON_AddArrayToObject(value, "examples"),
                             cJSON_Parse(key->example));
    }

    return value;
}
