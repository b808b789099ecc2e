/* Reads the configuration's objects by the table of keys. */

#include <stdlib.h>
#include <string.h>

#include "conf/units.h"
#include "conf/walk.h"


#define CONF_NAMES_MAX  32


static int conf_unknown(conf_reader_t *cr, uint32_t name, const char *parent);
static int conf_absent(conf_reader_t *cr, uint32_t object, const char *parent,
    const conf_key_t *key, void *scope);
static int conf_set_number(conf_reader_t *cr, const conf_key_t *key,
    uint32_t token, int64_t *number);
static int conf_set_names(conf_reader_t *cr, const conf_key_t *key,
    uint32_t token, conf_names_t *names);


#define CONF_IS_STRING  (1 << JSON_STRING)
#define CONF_IS_NUMBER  (1 << JSON_NUMBER)
#define CONF_IS_BOOL    (1 << JSON_TRUE | 1 << JSON_FALSE)
#define CONF_IS_OBJECT  (1 << JSON_OBJECT)
#define CONF_IS_ANY     0xff    /* what reads it judges */


/* The values of a kind: their types, and what they must be, in messages. */

static const struct {
    uint8_t      types;
    bool         file;      /* also { "file": PATH } */
    const char  *words;
} conf_kinds[] = {
    [CONF_STRING] = { CONF_IS_STRING, true, "a string that is not empty" },
    [CONF_SECRET] = { CONF_IS_STRING, true, "a string or { \"file\": PATH }" },
    [CONF_BOOL] = { CONF_IS_BOOL, false, "true or false" },
    [CONF_COUNT] = { CONF_IS_NUMBER, false, "a whole number" },
    [CONF_SIZE] = { CONF_IS_STRING, true, "a size such as \"8m\"" },
    [CONF_TIME] = { CONF_IS_STRING, true, "a time such as \"20ms\" or "
                                          "\"10s\"" },
    [CONF_SHARE] = { CONF_IS_NUMBER, false, "a share between 0 and 1" },
    [CONF_ENUM] = { CONF_IS_ANY, true, NULL },
    [CONF_NAMES] = { CONF_IS_ANY, false, NULL },
    [CONF_POINTER] = { CONF_IS_STRING, true, "a JSON Pointer" },
    [CONF_JSON] = { CONF_IS_ANY, true, NULL },
    [CONF_SECTION] = { CONF_IS_OBJECT, false, "an object" },
    [CONF_TEXT] = { CONF_IS_ANY, true, NULL },
    [CONF_CUSTOM] = { CONF_IS_ANY, false, NULL }
};


/* The key's own name if the object at the path "parent" has it, else NULL. */

static const char *
conf_below(const conf_key_t *key, const char *parent)
{
    size_t       len;
    const char  *name;

    if (key->also && strcmp(key->also, parent) == 0) {
        return key->path;
    }

    len = strlen(parent);
    name = key->path + len + (len > 0);

    return strncmp(key->path, parent, len) == 0
           && (len == 0 || key->path[len] == '.')
           && strchr(name, '.') == NULL ? name : NULL;
}


/* As messages call it: "batch.rows", but "required" of a column. */

static const char *
conf_name(const conf_key_t *key)
{
    const char  *star;

    star = strstr(key->path, "*.");

    return star ? star + 2 : key->path;
}


int
conf_must(conf_reader_t *cr, const conf_key_t *key, uint32_t token,
    const char *words)
{
    return conf_fail(cr, token, "\"%s\" must be %s", conf_name(key), words);
}


int
conf_walk(conf_reader_t *cr, uint32_t object, const char *parent, void *scope)
{
    bool               seen[CONF_KEYS_MAX];
    uint32_t           name;
    const char        *below;
    const conf_key_t  *key;

    memset(seen, 0, sizeof(seen));
    name = object == JSON_NONE ? 0 : conf_next(cr, object, 0);

    for ( /* void */ ; name; name = conf_next(cr, object, name)) {

        for (key = cr->keys; key->path; key++) {
            below = conf_below(key, parent);
            if (below && strcmp(below, cr->words[name].text) == 0) {
                break;
            }
        }

        if (key->path == NULL) {
            return conf_unknown(cr, name, parent);
        }

        seen[key - cr->keys] = true;

        if (conf_set(cr, key, name + 1, scope) == -1) {
            return -1;
        }
    }

    for (key = cr->keys; key->path; key++) {
        if (!seen[key - cr->keys] && conf_below(key, parent)
            && conf_absent(cr, object, parent, key, scope) == -1)
        {
            return -1;
        }
    }

    return 0;
}


/* Suggests the nearest key of this object, else that name elsewhere. */

static int
conf_unknown(conf_reader_t *cr, uint32_t name, const char *parent)
{
    const char        *word, *below, *elsewhere, *leaf;
    conf_near_t        near;
    const conf_key_t  *key;

    word = cr->words[name].text;
    elsewhere = NULL;
    conf_near_init(&near, word);

    for (key = cr->keys; key->path; key++) {
        below = conf_below(key, parent);
        if (below) {
            conf_near_try(&near, below, strlen(below));
        }

        leaf = strrchr(key->path, '.');
        leaf = leaf ? leaf + 1 : key->path;
        if (strcmp(leaf, word) == 0 || strcmp(key->path, word) == 0) {
            elsewhere = key->path;
        }
    }

    if (near.best && (near.distance == 1 || elsewhere == NULL)) {
        return conf_fail(cr, name, "unknown key \"%s\", did you mean "
                         "\"%s\"?", word, near.best);
    }

    if (elsewhere) {
        return conf_fail(cr, name, "unknown key \"%s\" here, did you mean "
                         "\"%s\"?", word, elsewhere);
    }

    return conf_fail(cr, name, "unknown key \"%s\"", word);
}


/* A default is JSON of its own and is read as the file is. */

static int
conf_absent(conf_reader_t *cr, uint32_t object, const char *parent,
    const conf_key_t *key, void *scope)
{
    int            rc;
    bool           required;
    conf_reader_t  own;

    required = key->also && strcmp(key->also, parent) == 0
               ? key->also_required : key->required;

    if (key->kind == CONF_SECTION) {
        return conf_walk(cr, JSON_NONE, key->path, scope);
    }

    if (required && object != JSON_NONE) {
        return conf_fail(cr, object, "key \"%s\" is missing", conf_name(key));
    }

    if (key->fallback == NULL) {
        return 0;
    }

    own = *cr;
    rc = conf_load(&own, key->fallback, strlen(key->fallback));
    rc = rc == -1 ? -1 : conf_set(&own, key, 0, scope);
    conf_unload(&own);

    return rc;
}


int
conf_set(conf_reader_t *cr, const conf_key_t *key, uint32_t token, void *scope)
{
    int          choice;
    void        *field;
    const char  *words;

    if (conf_kinds[key->kind].file && conf_resolve(cr, token) == -1) {
        return -1;
    }

    if (key->set) {
        return key->set(cr, key, token, scope);
    }

    field = (char *) scope + key->offset;
    words = key->kind == CONF_STRING && key->form ? key->form
                                                  : conf_kinds[key->kind].words;

    if (!(conf_kinds[key->kind].types & 1 << conf_type(cr, token))) {
        return conf_must(cr, key, token, words);
    }

    switch (key->kind) {

    case CONF_SECTION:
        return conf_walk(cr, token, key->path, scope);

    case CONF_STRING:
        *(char **) field = conf_string(cr, token);
        return **(char **) field ? 0 : conf_must(cr, key, token, words);

    case CONF_POINTER:
        *(json_pointer_t **) field = conf_pointer(cr, token);
        return *(json_pointer_t **) field ? 0 : -1;

    case CONF_JSON:
        *(char **) field = conf_json(cr, token);
        return *(char **) field ? 0 : -1;

    case CONF_BOOL:
        *(bool *) field = conf_type(cr, token) == JSON_TRUE;
        return 0;

    case CONF_SHARE:
        *(double *) field = strtod(cr->words[token].text, NULL);
        return *(double *) field >= 0 && *(double *) field <= 1
               ? 0 : conf_must(cr, key, token, words);

    case CONF_ENUM:
        choice = conf_choice(cr, key, token);
        *(int *) field = key->first + choice;
        return choice == -1 ? -1 : 0;

    case CONF_NAMES:
        return conf_set_names(cr, key, token, field);

    default:
        return conf_set_number(cr, key, token, field);
    }
}


/* A count, size or time. */

static int
conf_number(conf_kind_t kind, const char *s, int64_t *number)
{
    return kind == CONF_SIZE ? conf_parse_size(s, number)
           : kind == CONF_TIME ? conf_parse_time(s, number)
           : conf_parse_count(s, number);
}


static int
conf_set_number(conf_reader_t *cr, const conf_key_t *key, uint32_t token,
    int64_t *number)
{
    int64_t  min, max;

    if (conf_number(key->kind, cr->words[token].text, number) == -1) {
        return conf_must(cr, key, token, conf_kinds[key->kind].words);
    }

    (void) conf_number(key->kind, key->min, &min);
    (void) conf_number(key->kind, key->max, &max);

    if (*number < min || *number > max) {
        return conf_fail(cr, token, "\"%s\" must be between %s and %s",
                         conf_name(key), key->min, key->max);
    }

    return 0;
}


static int
conf_set_names(conf_reader_t *cr, const conf_key_t *key, uint32_t token,
    conf_names_t *names)
{
    char      *s;
    size_t     i, n;
    uint32_t   item;

    n = conf_type(cr, token) == JSON_ARRAY ? conf_count(cr, token) : 0;

    if (n < 1 || n > CONF_NAMES_MAX) {
        return conf_fail(cr, token, "\"%s\" must be an array of 1 to %d "
                         "strings", conf_name(key), CONF_NAMES_MAX);
    }

    names->names = conf_alloc(cr, n * sizeof(char *));
    if (names->names == NULL) {
        return -1;
    }

    for (item = token + 1; names->n < n; item = conf_next(cr, token, item)) {
        s = conf_string(cr, item);

        if (*s == '\0') {
            return conf_must(cr, key, token, "an array of strings that are "
                             "not empty");
        }

        for (i = 0; i < names->n; i++) {
            if (strcmp(names->names[i], s) == 0) {
                return conf_fail(cr, token, "\"%s\" holds \"%s\" twice",
                                 conf_name(key), s);
            }
        }

        names->names[names->n++] = s;
    }

    return 0;
}


int
conf_choice(conf_reader_t *cr, const conf_key_t *key, uint32_t token)
{
    int          n;
    size_t       len;
    const char  *s, *at;
    conf_near_t  near;

    s = conf_string(cr, token);
    conf_near_init(&near, s);

    for (n = 0, at = key->choices; *at; n++) {
        len = strcspn(at, "|");

        if (strlen(s) == len && memcmp(s, at, len) == 0) {
            return n;
        }

        conf_near_try(&near, at, len);
        at += len + (at[len] == '|');
    }

    if (near.best && !cr->words[token].secret) {
        return conf_fail(cr, token, "unknown \"%s\" \"%s\", did you mean "
                         "\"%.*s\"?", conf_name(key), s, (int) near.len,
                         near.best);
    }

    return conf_fail(cr, token, "\"%s\" must be one of %s", conf_name(key),
                     key->choices);
}
