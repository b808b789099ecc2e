/* The configuration's objects, read by the table of keys. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/keys.h"
#include "conf/units.h"


#define CONF_PATH_MAX  128
#define CONF_KEYS_MAX  256    /* rows of the table, for the map of seen ones */
#define CONF_NAMES_MAX 32


static int conf_unknown(conf_reader_t *cr, const conf_node_t *name,
    const char *prefix);
static int conf_absent(conf_reader_t *cr, const conf_node_t *object,
    const conf_key_t *key, void *scope);
static int conf_set_string(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, char **field);
static int conf_set_number(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, int64_t *number);
static int conf_set_names(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, conf_names_t *names);


const char *
conf_below(const conf_key_t *key, const char *prefix)
{
    size_t  len;

    len = strlen(prefix);

    return strncmp(key->path, prefix, len) == 0
           && strchr(key->path + len, '.') == NULL ? key->path + len : NULL;
}


bool
conf_is_string(const conf_key_t *key)
{
    switch (key->kind) {
    case CONF_STRING:
    case CONF_SECRET:
    case CONF_SIZE:
    case CONF_TIME:
    case CONF_ENUM:
    case CONF_TEXT:
        return true;
    default:
        return false;
    }
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
conf_walk(conf_reader_t *cr, const conf_node_t *object, const char *prefix,
    void *scope)
{
    bool         seen[CONF_KEYS_MAX];
    size_t       i;
    conf_iter_t  iter;
    conf_node_t  name, value;
    const char  *below;

    memset(seen, 0, sizeof(seen));

    if (object) {
        conf_iter_init(&iter, object);

        while (conf_iter_next(cr, &iter, &name, &value)) {

            for (i = 0; i < conf_nkeys; i++) {
                below = conf_below(&conf_keys[i], prefix);
                if (below && strcmp(below, name.item->string) == 0) {
                    break;
                }
            }

            if (i == conf_nkeys) {
                return conf_unknown(cr, &name, prefix);
            }

            seen[i] = true;

            if (conf_set(cr, &conf_keys[i], &value, scope) == -1) {
                return -1;
            }
        }
    }

    for (i = 0; i < conf_nkeys; i++) {
        if (!seen[i] && conf_below(&conf_keys[i], prefix)
            && conf_absent(cr, object, &conf_keys[i], scope) == -1)
        {
            return -1;
        }
    }

    return 0;
}


/* Names the nearest key of this object, else the same word elsewhere. */

static int
conf_unknown(conf_reader_t *cr, const conf_node_t *name, const char *prefix)
{
    size_t        i;
    const char   *word, *below, *elsewhere, *leaf;
    conf_near_t   near;

    word = name->item->string;
    elsewhere = NULL;
    conf_near_init(&near, word);

    for (i = 0; i < conf_nkeys; i++) {
        below = conf_below(&conf_keys[i], prefix);
        if (below) {
            conf_near_try(&near, below);
        }

        leaf = strrchr(conf_keys[i].path, '.');
        leaf = leaf ? leaf + 1 : conf_keys[i].path;
        if (strcmp(leaf, word) == 0 || strcmp(conf_keys[i].path, word) == 0) {
            elsewhere = conf_keys[i].path;
        }
    }

    if (near.best && (near.distance == 1 || elsewhere == NULL)) {
        return conf_fail(cr, name->token, "unknown key \"%s\", did you mean "
                         "\"%s\"?", word, near.best);
    }

    if (elsewhere) {
        return conf_fail(cr, name->token, "unknown key \"%s\" here, did you "
                         "mean \"%s\"?", word, elsewhere);
    }

    return conf_fail(cr, name->token, "unknown key \"%s\"", word);
}


static int
conf_absent(conf_reader_t *cr, const conf_node_t *object,
    const conf_key_t *key, void *scope)
{
    int          rc;
    char         prefix[CONF_PATH_MAX];
    conf_node_t  node;

    if (key->kind == CONF_SECTION) {
        snprintf(prefix, sizeof(prefix), "%s.", key->path);
        return conf_walk(cr, NULL, prefix, scope);
    }

    if (key->required && object) {
        return conf_fail(cr, object->token, "key \"%s\" is missing",
                         conf_name(key));
    }

    if (key->fallback == NULL) {
        return 0;
    }

    memset(&node, 0, sizeof(conf_node_t));
    node.item = cJSON_Parse(key->fallback);

    rc = node.item ? conf_set(cr, key, &node, scope)
                   : conf_fail(cr, 0, "out of memory");
    cJSON_Delete(node.item);

    return rc;
}


int
conf_set(conf_reader_t *cr, const conf_key_t *key, conf_node_t *node,
    void *scope)
{
    int     choice;
    char    prefix[CONF_PATH_MAX];
    void   *field;
    cJSON  *item;

    item = node->item;
    field = (char *) scope + key->offset;

    if (conf_is_string(key) && conf_resolve(cr, node) == -1) {
        return -1;
    }

    if (key->set) {
        return key->set(cr, key, node, scope);
    }

    switch (key->kind) {

    case CONF_SECTION:
        if (!cJSON_IsObject(item)) {
            return conf_fail(cr, node->token, "\"%s\" must be an object",
                             conf_name(key));
        }
        snprintf(prefix, sizeof(prefix), "%s.", key->path);
        return conf_walk(cr, node, prefix, scope);

    case CONF_STRING:
        return conf_set_string(cr, key, node, field);

    case CONF_SECRET:
        return conf_get_secret(cr, node, conf_name(key), field);

    case CONF_BOOL:
        if (!cJSON_IsBool(item)) {
            return conf_fail(cr, node->token, "\"%s\" must be true or false",
                             conf_name(key));
        }
        *(bool *) field = cJSON_IsTrue(item);
        return 0;

    case CONF_SHARE:
        if (!cJSON_IsNumber(item) || item->valuedouble < 0
            || item->valuedouble > 1)
        {
            return conf_fail(cr, node->token, "\"%s\" must be a share between "
                             "0 and 1", conf_name(key));
        }
        *(double *) field = item->valuedouble;
        return 0;

    case CONF_ENUM:
        choice = conf_choice(cr, key, node);
        *(int *) field = (int) key->min + choice;
        return choice == -1 ? -1 : 0;

    case CONF_NAMES:
        return conf_set_names(cr, key, node, field);

    default:
        return conf_set_number(cr, key, node, field);
    }
}


static int
conf_set_string(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, char **field)
{
    if (!cJSON_IsString(node->item) || node->item->valuestring[0] == '\0') {
        return conf_fail(cr, node->token, "\"%s\" must be a string that is "
                         "not empty", conf_name(key));
    }

    *field = strdup(node->item->valuestring);

    return *field ? 0 : conf_fail(cr, 0, "out of memory");
}


static int
conf_set_number(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, int64_t *number)
{
    int    rc;
    cJSON *item;

    item = node->item;

    if (key->kind == CONF_COUNT) {
        if (!cJSON_IsNumber(item) || item->valuedouble > 9e15
            || item->valuedouble < -9e15
            || item->valuedouble != (double) (int64_t) item->valuedouble)
        {
            return conf_fail(cr, node->token, "\"%s\" must be a whole number",
                             conf_name(key));
        }
        *number = (int64_t) item->valuedouble;

    } else {
        rc = !cJSON_IsString(item) ? -1 : key->kind == CONF_SIZE
             ? conf_parse_size(item->valuestring, number)
             : conf_parse_time(item->valuestring, number);
        if (rc == -1) {
            return conf_fail(cr, node->token, "\"%s\" must be a %s",
                             conf_name(key), key->kind == CONF_SIZE
                             ? "size such as \"8m\""
                             : "time such as \"20ms\" or \"10s\"");
        }
    }

    if (*number < key->min || *number > key->max) {
        return conf_fail(cr, node->token, "\"%s\" must be between %lld and "
                         "%lld%s", conf_name(key), (long long) key->min,
                         (long long) key->max,
                         key->kind == CONF_TIME ? " ms"
                         : key->kind == CONF_SIZE ? " bytes" : "");
    }

    return 0;
}


static int
conf_set_names(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, conf_names_t *names)
{
    int           n;
    size_t        i;
    const cJSON  *item;

    n = cJSON_IsArray(node->item) ? cJSON_GetArraySize(node->item) : 0;

    if (n < 1 || n > CONF_NAMES_MAX) {
        return conf_fail(cr, node->token, "\"%s\" must be an array of 1 to "
                         "%d strings", conf_name(key), CONF_NAMES_MAX);
    }

    names->names = calloc((size_t) n, sizeof(char *));
    if (names->names == NULL) {
        return conf_fail(cr, 0, "out of memory");
    }

    cJSON_ArrayForEach(item, node->item) {
        if (!cJSON_IsString(item) || item->valuestring[0] == '\0') {
            return conf_fail(cr, node->token, "\"%s\" must be an array of "
                             "strings that are not empty", conf_name(key));
        }

        for (i = 0; i < names->n; i++) {
            if (strcmp(names->names[i], item->valuestring) == 0) {
                return conf_fail(cr, node->token, "\"%s\" holds \"%s\" "
                                 "twice", conf_name(key), item->valuestring);
            }
        }

        names->names[names->n] = strdup(item->valuestring);
        if (names->names[names->n++] == NULL) {
            return conf_fail(cr, 0, "out of memory");
        }
    }

    return 0;
}


int
conf_choice(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node)
{
    int          n;
    char         one[CONF_PATH_MAX], nearest[CONF_PATH_MAX];
    size_t       len;
    const char  *s, *at;
    conf_near_t  near;

    s = cJSON_IsString(node->item) ? node->item->valuestring : "";
    conf_near_init(&near, s);
    nearest[0] = '\0';

    for (n = 0, at = key->choices; *at; n++) {
        len = strcspn(at, "|");
        snprintf(one, sizeof(one), "%.*s", (int) len, at);

        if (strcmp(one, s) == 0) {
            return n;
        }

        near.best = NULL;
        conf_near_try(&near, one);
        if (near.best) {
            memcpy(nearest, one, len + 1);
        }

        at += len + (at[len] == '|');
    }

    if (nearest[0] && !node->secret) {
        return conf_fail(cr, node->token, "unknown \"%s\" \"%s\", did you "
                         "mean \"%s\"?", conf_name(key), s, nearest);
    }

    return conf_fail(cr, node->token, "\"%s\" must be one of %s",
                     conf_name(key), key->choices);
}


void
conf_release(const char *prefix, void *scope)
{
    char           below[CONF_PATH_MAX];
    size_t         i, n;
    conf_names_t  *names;

    for (i = 0; i < conf_nkeys; i++) {
        if (conf_below(&conf_keys[i], prefix) == NULL || conf_keys[i].set) {
            continue;
        }

        switch (conf_keys[i].kind) {

        case CONF_SECTION:
            snprintf(below, sizeof(below), "%s.", conf_keys[i].path);
            conf_release(below, scope);
            break;

        case CONF_STRING:
        case CONF_SECRET:
            free(*(char **) ((char *) scope + conf_keys[i].offset));
            break;

        case CONF_NAMES:
            names = (conf_names_t *) ((char *) scope + conf_keys[i].offset);
            for (n = 0; n < names->n; n++) {
                free(names->names[n]);
            }
            free(names->names);
            break;

        default:
            break;
        }
    }
}
