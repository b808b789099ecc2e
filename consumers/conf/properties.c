/* librdkafka's properties of the configuration, and strings from files. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

#include "conf/owned.h"
#include "conf/setters.h"


#define CONF_SECRET_MAX  65536    /* bytes of a file named by { "file": } */


static int conf_prove(conf_reader_t *cr, const conf_node_t *name,
    const conf_node_t *item, const char *value);
static char *conf_expand(const char *s);
static char *conf_get_file(conf_reader_t *cr, const cJSON *item,
    uint32_t token);


/* librdkafka knows its own properties best. */

static int
conf_prove(conf_reader_t *cr, const conf_node_t *name,
    const conf_node_t *item, const char *value)
{
    char                 text[256];
    const char          *reason;
    rd_kafka_conf_t     *rkconf;
    rd_kafka_conf_res_t  res;

    rkconf = rd_kafka_conf_new();
    res = rd_kafka_conf_set(rkconf, name->item->string, value, text,
                            sizeof(text));
    rd_kafka_conf_destroy(rkconf);

    if (res == RD_KAFKA_CONF_OK) {
        return 0;
    }

    /* the reason may hold the value, which may be a secret */
    reason = res == RD_KAFKA_CONF_UNKNOWN ? "librdkafka knows no such property"
             : item->secret ? "its value is invalid" : text;

    return conf_fail(cr, name->token, "property \"%s\": %s",
                     name->item->string, reason);
}


int
conf_read_kafka(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope)
{
    char             *value;
    conf_t           *conf = scope;
    const char       *reason;
    conf_iter_t       iter;
    conf_node_t       name, item;
    conf_property_t  *property;

    (void) key;

    if (!cJSON_IsObject(node->item) || node->item->child == NULL) {
        return conf_fail(cr, node->token, "\"kafka\" must be an object of "
                         "librdkafka's properties");
    }

    conf->properties = calloc((size_t) cJSON_GetArraySize(node->item),
                              sizeof(conf_property_t));
    if (conf->properties == NULL) {
        return conf_fail(cr, 0, "out of memory");
    }

    json_position(cr->text, cr->len, cr->doc.tokens[node->token].start,
                  &conf->kafka_line, &conf->kafka_column);

    conf_iter_init(&iter, node);

    while (conf_iter_next(cr, &iter, &name, &item)) {

        reason = conf_kafka_refusal(name.item->string);
        if (reason) {
            return conf_fail(cr, name.token, "property \"%s\" cannot be "
                             "given: %s", name.item->string, reason);
        }

        if (cJSON_IsNumber(item.item) || cJSON_IsBool(item.item)) {
            value = strndup(cr->text + cr->doc.tokens[item.token].start,
                            cr->doc.tokens[item.token].end
                            - cr->doc.tokens[item.token].start);

        } else if (conf_resolve(cr, &item) == -1
                   || conf_get_secret(cr, &item, name.item->string, &value)
                      == -1)
        {
            return -1;
        }

        if (value && conf_prove(cr, &name, &item, value) == -1) {
            free(value);
            return -1;
        }

        property = &conf->properties[conf->nproperties++];
        property->name = strdup(name.item->string);
        property->value = value;

        if (property->name == NULL || value == NULL) {
            return conf_fail(cr, 0, "out of memory");
        }
    }

    return 0;
}


/* The one variable a unit file needs; any other "$" stands for itself. */

static char *
conf_expand(const char *s)
{
    static const char  name[] = "${CREDENTIALS_DIRECTORY}";

    char        *out;
    size_t       before, len;
    const char  *at, *directory;

    at = strstr(s, name);
    directory = getenv("CREDENTIALS_DIRECTORY");

    if (at == NULL || directory == NULL) {
        return strdup(s);
    }

    before = (size_t) (at - s);
    len = strlen(s) + strlen(directory) + 1;
    out = malloc(len);

    if (out) {
        snprintf(out, len, "%.*s%s%s", (int) before, s, directory,
                 at + sizeof(name) - 1);
    }

    return out;
}


/* The file's text, to be freed by cJSON_free(). */

static char *
conf_get_file(conf_reader_t *cr, const cJSON *item, uint32_t token)
{
    char    *path, *text, *found;
    FILE    *fp;
    size_t   len;

    fp = NULL;
    found = NULL;
    text = cJSON_malloc(CONF_SECRET_MAX + 1);
    path = conf_expand(item->valuestring);

    if (path == NULL || text == NULL) {
        conf_fail(cr, 0, "out of memory");
        goto failed;
    }

    fp = fopen(path, "re");
    if (fp == NULL) {
        conf_fail(cr, token, "could not open \"%s\": %s", path,
                  strerror(errno));
        goto failed;
    }

    len = fread(text, 1, CONF_SECRET_MAX, fp);

    if (ferror(fp) || len == CONF_SECRET_MAX || memchr(text, '\0', len)) {
        conf_fail(cr, token, "could not read \"%s\": %s", path,
                  ferror(fp) ? strerror(errno) : "not a short text");
        goto failed;
    }

    while (len && (text[len - 1] == '\n' || text[len - 1] == '\r')) {
        len--;
    }

    text[len] = '\0';
    found = text;
    text = NULL;

failed:

    if (fp) {
        fclose(fp);
    }

    cJSON_free(text);
    free(path);

    return found;
}


int
conf_resolve(conf_reader_t *cr, conf_node_t *node)
{
    char         *text;
    cJSON        *item;
    conf_iter_t   iter;
    conf_node_t   name, path;

    item = node->item;

    if (!cJSON_IsObject(item) || cJSON_GetArraySize(item) != 1) {
        return 0;
    }

    conf_iter_init(&iter, node);
    conf_iter_next(cr, &iter, &name, &path);

    if (strcmp(name.item->string, "file") != 0 || !cJSON_IsString(path.item))
    {
        return 0;
    }

    text = conf_get_file(cr, path.item, path.token);
    if (text == NULL) {
        return -1;
    }

    cJSON_Delete(item->child);
    item->child = NULL;
    item->type = cJSON_String;
    item->valuestring = text;
    node->secret = true;

    return 0;
}


int
conf_get_secret(conf_reader_t *cr, const conf_node_t *node,
    const char *name, char **value)
{
    if (!cJSON_IsString(node->item)) {
        return conf_fail(cr, node->token, "\"%s\" must be a string or "
                         "{ \"file\": PATH }", name);
    }

    *value = node->secret ? strdup(node->item->valuestring)
                          : conf_expand(node->item->valuestring);

    return *value ? 0 : conf_fail(cr, 0, "out of memory");
}
