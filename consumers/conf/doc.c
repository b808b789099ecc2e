/* Prints the table of keys for people and for tests/manual. */

#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "conf/doc.h"
#include "conf/keys.h"


#define DOC_TAKES    512
#define DOC_COLUMNS  78


static void doc_text(void);
static void doc_wrapped(const char *s);
static int doc_json(void);


static const struct {
    const char  *name;
    const char  *takes;
} doc_kinds[] = {
    [CONF_STRING] = { "string", "a string" },
    [CONF_SECRET] = { "secret", "a string" },
    [CONF_BOOL] = { "bool", "`true` or `false`" },
    [CONF_COUNT] = { "count", "a whole number, %s to %s" },
    [CONF_SIZE] = { "size", "a size in bytes, `%s` to `%s`" },
    [CONF_TIME] = { "time", "a time, `%s` to `%s`" },
    [CONF_SHARE] = { "share", "a share, 0 to 1" },
    [CONF_ENUM] = { "enum", NULL },
    [CONF_NAMES] = { "names", "an array of strings" },
    [CONF_POINTER] = { "pointer", "a JSON Pointer (RFC 6901)" },
    [CONF_JSON] = { "json", "any JSON value" },
    [CONF_SECTION] = { "section", "an object" },
    [CONF_TEXT] = { "text", NULL },
    [CONF_CUSTOM] = { "custom", NULL }
};


int
conf_doc(const char *format)
{
    if (strcmp(format, "text") == 0) {
        doc_text();
        return 0;
    }

    if (strcmp(format, "json") == 0) {
        return doc_json();
    }

    if (strcmp(format, "schema") == 0) {
        fprintf(stderr, "the JSON Schema is installed as a file: "
                "sluice-consumer.schema.json in /usr/local/share/sluice or "
                "/usr/share/sluice\n");

    } else {
        fprintf(stderr, "--help-config takes \"text\" or \"json\"\n");
    }

    return -1;
}


/* What a key takes, in words; names stand between backquotes. */

static void
doc_takes(char *out, const conf_key_t *key)
{
    size_t       n, len;
    const char  *at;

    if (key->form) {
        snprintf(out, DOC_TAKES, "%s", key->form);
        return;
    }

    if (doc_kinds[key->kind].takes) {
        snprintf(out, DOC_TAKES, doc_kinds[key->kind].takes, key->min,
                 key->max);
        return;
    }

    for (n = 0, at = key->choices; *at && n < DOC_TAKES; ) {
        len = strcspn(at, "|");
        n += (size_t) snprintf(out + n, DOC_TAKES - n, "%s`%.*s`",
                               at == key->choices ? ""
                               : at[len] == '\0' ? " or " : ", ",
                               (int) len, at);
        at += len + (at[len] == '|');
    }
}


static void
doc_text(void)
{
    char               takes[DOC_TAKES];
    const char        *leaf;
    const conf_key_t  *key;

    for (key = conf_keys; key->path; key++) {
        leaf = strrchr(key->path, '.');
        doc_takes(takes, key);

        printf("%s%s", key > conf_keys ? "\n" : "", key->path);
        if (key->required) {
            printf(" (required)");
        }
        if (key->fallback) {
            printf(" (default %s)", key->fallback);
        }
        printf("\n");

        doc_wrapped(takes);
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
    size_t  i, column, len;

    for (column = 0; *s; s += len + strspn(s + len, " ")) {
        len = strcspn(s, " ");

        if (column == 0 || column + 1 + len > DOC_COLUMNS) {
            column = (size_t) printf("%s   ", column ? "\n" : "");
        }
        column += len + 1;

        putchar(' ');
        for (i = 0; i < len; i++) {
            putchar(s[i] == '`' ? '"' : s[i]);
        }
    }

    putchar('\n');
}


static int
doc_json(void)
{
    char              *text, takes[DOC_TAKES];
    cJSON             *list, *object;
    size_t             i;
    const conf_key_t  *key;

    list = cJSON_CreateArray();

    for (key = conf_keys; key->path; key++) {
        doc_takes(takes, key);

        const char *const  members[][2] = {
            { "path", key->path },
            { "also", key->also },
            { "kind", doc_kinds[key->kind].name },
            { "takes", takes },
            { "min", key->min },
            { "max", key->max },
            { "choices", key->choices },
            { "schema", key->schema },
            { "default", key->fallback },
            { "example", key->example },
            { "doc", key->doc }
        };

        object = cJSON_CreateObject();
        cJSON_AddItemToArray(list, object);
        cJSON_AddBoolToObject(object, "required", key->required);
        cJSON_AddBoolToObject(object, "also_required", key->also_required);

        for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
            if (members[i][1]) {
                cJSON_AddStringToObject(object, members[i][0], members[i][1]);
            }
        }
    }

    text = cJSON_Print(list);
    cJSON_Delete(list);

    if (text == NULL) {
        return -1;
    }

    printf("%s\n", text);
    cJSON_free(text);

    return 0;
}
