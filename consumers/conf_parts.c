/* The parts of the configuration that are lists: columns, properties. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

#include "conf_impl.h"
#include "conf_kafka.h"
#include "conf_value.h"
#include "types.h"


#define CONF_SECRET_MAX  65536    /* bytes of a file named by { "file": } */


typedef struct {
    const char   *name;
    conf_from_t   from;
} conf_meta_t;


static int conf_column(conf_reader_t *cr, const conf_node_t *name,
    const conf_node_t *node, conf_column_t *column);
static int conf_column_key(conf_reader_t *cr, const conf_node_t *name,
    const conf_node_t *node, conf_column_t *column, unsigned *sources);
static int conf_column_path(conf_reader_t *cr, const conf_node_t *node,
    conf_column_t *column);
static int conf_column_meta(conf_reader_t *cr, const conf_node_t *node,
    conf_column_t *column);
static int conf_column_check(conf_reader_t *cr, const conf_node_t *node,
    conf_column_t *column);
static char *conf_expand(const char *s);
static int conf_get_file(conf_reader_t *cr, const conf_node_t *node,
    char **value);


static const conf_meta_t  conf_metas[] = {
    { "key",       CONF_FROM_KEY },
    { "offset",    CONF_FROM_OFFSET },
    { "partition", CONF_FROM_PARTITION },
    { "timestamp", CONF_FROM_TIMESTAMP },
    { "topic",     CONF_FROM_TOPIC },
    { "value",     CONF_FROM_VALUE }
};


static const char *const  conf_column_keys[] = {
    "default", "generated", "meta", "path", "required", "type"
};


int
conf_read_columns(conf_reader_t *cr, const conf_node_t *node, conf_t *conf)
{
    int          n;
    size_t       i, filled;
    conf_iter_t  iter;
    conf_node_t  name, value;

    if (!cJSON_IsObject(node->item) || node->item->child == NULL) {
        return conf_fail(cr, node->token, "\"columns\" must be an object "
                         "with at least one column");
    }

    n = cJSON_GetArraySize(node->item);
    conf->columns = calloc((size_t) n, sizeof(conf_column_t));
    if (conf->columns == NULL) {
        return conf_fail(cr, 0, "out of memory");
    }

    conf_iter_init(&iter, node);

    while (conf_iter_next(cr, &iter, &name, &value)) {
        conf->ncolumns++;
        if (conf_column(cr, &name, &value,
                        &conf->columns[conf->ncolumns - 1])
            == -1)
        {
            return -1;
        }
    }

    for (i = 0, filled = 0; i < conf->ncolumns; i++) {
        filled += conf->columns[i].from != CONF_FROM_IDENTITY;
    }

    if (filled == 0) {
        return conf_fail(cr, node->token, "no column of \"columns\" is "
                         "filled from the record");
    }

    return 0;
}


static int
conf_column(conf_reader_t *cr, const conf_node_t *name,
    const conf_node_t *node, conf_column_t *column)
{
    unsigned     sources;
    conf_iter_t  iter;
    conf_node_t  key, value;

    if (name->item->string[0] == '\0' || strlen(name->item->string) > 63) {
        return conf_fail(cr, name->token, "a column's name has 1 to 63 "
                         "bytes");
    }

    column->name = strdup(name->item->string);
    if (column->name == NULL) {
        return conf_fail(cr, 0, "out of memory");
    }

    if (cJSON_IsString(node->item)) {
        return conf_column_path(cr, node, column);
    }

    if (!cJSON_IsObject(node->item)) {
        return conf_fail(cr, node->token, "column \"%s\" must be a JSON "
                         "Pointer or an object", column->name);
    }

    sources = 0;
    conf_iter_init(&iter, node);

    while (conf_iter_next(cr, &iter, &key, &value)) {
        if (conf_column_key(cr, &key, &value, column, &sources) == -1) {
            return -1;
        }
    }

    if (sources != 1) {
        return conf_fail(cr, node->token, "column \"%s\" needs one of "
                         "\"path\", \"meta\" and \"generated\"",
                         column->name);
    }

    return conf_column_check(cr, node, column);
}


static int
conf_column_key(conf_reader_t *cr, const conf_node_t *name,
    const conf_node_t *node, conf_column_t *column, unsigned *sources)
{
    size_t               i;
    cJSON               *item;
    conf_near_t          near;
    const char          *key;
    const json_token_t  *token;

    key = name->item->string;
    item = node->item;
    token = &cr->doc.tokens[node->token];

    if (strcmp(key, "path") == 0) {
        (*sources)++;
        return conf_column_path(cr, node, column);
    }

    if (strcmp(key, "meta") == 0) {
        (*sources)++;
        return conf_column_meta(cr, node, column);
    }

    if (strcmp(key, "generated") == 0) {
        (*sources)++;
        column->from = CONF_FROM_IDENTITY;
        return cJSON_IsString(item)
               && strcmp(item->valuestring, "identity") == 0
               ? 0 : conf_fail(cr, node->token, "\"generated\" can only be "
                               "\"identity\"");
    }

    if (strcmp(key, "required") == 0) {
        column->required = cJSON_IsTrue(item);
        return cJSON_IsBool(item)
               ? 0 : conf_fail(cr, node->token, "\"required\" must be true "
                               "or false");
    }

    if (strcmp(key, "type") == 0) {
        if (!cJSON_IsString(item)
            || type_kind(item->valuestring) == TYPE_OTHER)
        {
            key = cJSON_IsString(item) ? type_nearest(item->valuestring)
                                       : NULL;
            return conf_fail(cr, node->token, key
                             ? "unknown type, did you mean \"%s\"?"
                             : "unknown type%s", key ? key : "");
        }
        column->type = strdup(item->valuestring);
        return column->type ? 0 : conf_fail(cr, 0, "out of memory");
    }

    if (strcmp(key, "default") == 0) {
        if (cJSON_IsString(item)) {
            column->fallback = strdup(item->valuestring);

        } else if (cJSON_IsNumber(item) || cJSON_IsBool(item)) {
            column->fallback = strndup(cr->text + token->start,
                                       token->end - token->start);
        } else {
            return conf_fail(cr, node->token, "\"default\" must be a string, "
                             "a number, true or false");
        }
        return column->fallback ? 0 : conf_fail(cr, 0, "out of memory");
    }

    conf_near_init(&near, key);

    for (i = 0; i < sizeof(conf_column_keys) / sizeof(char *); i++) {
        conf_near_try(&near, conf_column_keys[i]);
    }

    return conf_fail(cr, name->token, near.best
                     ? "unknown key \"%s\" of column \"%s\", did you mean "
                       "\"%s\"?"
                     : "unknown key \"%s\" of column \"%s\"", key,
                     column->name, near.best ? near.best : "");
}


static int
conf_column_path(conf_reader_t *cr, const conf_node_t *node,
    conf_column_t *column)
{
    const char  *reason;

    if (!cJSON_IsString(node->item)) {
        return conf_fail(cr, node->token, "\"path\" must be a JSON Pointer");
    }

    column->from = CONF_FROM_PATH;
    column->path = strdup(node->item->valuestring);
    if (column->path == NULL) {
        return conf_fail(cr, 0, "out of memory");
    }

    column->pointer = json_pointer_compile(column->path,
                                           strlen(column->path), &reason);
    if (column->pointer == NULL) {
        return conf_fail(cr, node->token, "\"%s\" is no JSON Pointer: %s",
                         column->path, reason);
    }

    return 0;
}


static int
conf_column_meta(conf_reader_t *cr, const conf_node_t *node,
    conf_column_t *column)
{
    size_t        i;
    const char   *s;
    conf_near_t   near;

    s = cJSON_IsString(node->item) ? node->item->valuestring : "";
    conf_near_init(&near, s);

    for (i = 0; i < sizeof(conf_metas) / sizeof(conf_metas[0]); i++) {
        if (strcmp(s, conf_metas[i].name) == 0) {
            column->from = conf_metas[i].from;
            return 0;
        }
        conf_near_try(&near, conf_metas[i].name);
    }

    return conf_fail(cr, node->token, near.best
                     ? "unknown \"meta\" \"%s\", did you mean \"%s\"?"
                     : "unknown \"meta\" \"%s\": key, offset, partition, "
                       "timestamp, topic and value are known", s,
                     near.best ? near.best : "");
}


static int
conf_column_check(conf_reader_t *cr, const conf_node_t *node,
    conf_column_t *column)
{
    type_kind_t  kind;

    kind = column->type ? type_kind(column->type) : TYPE_OTHER;

    if (column->required && column->fallback) {
        return conf_fail(cr, node->token, "column \"%s\" cannot be required "
                         "and have a default", column->name);
    }

    if (column->fallback && column->from != CONF_FROM_PATH) {
        return conf_fail(cr, node->token, "column \"%s\": \"default\" goes "
                         "with \"path\" only", column->name);
    }

    if (kind == TYPE_BYTEA && column->from != CONF_FROM_KEY
        && column->from != CONF_FROM_VALUE)
    {
        return conf_fail(cr, node->token, "column \"%s\": bytea goes with "
                         "\"meta\" key or value only", column->name);
    }

    if (column->from == CONF_FROM_IDENTITY
        && (column->required
            || (column->type && kind != TYPE_SMALLINT && kind != TYPE_INTEGER
                && kind != TYPE_BIGINT)))
    {
        return conf_fail(cr, node->token, "identity column \"%s\" has a "
                         "whole number's type and no other key",
                         column->name);
    }

    return 0;
}


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
             : cJSON_IsObject(item->item) ? "its value is invalid" : text;

    return conf_fail(cr, name->token, "property \"%s\": %s",
                     name->item->string, reason);
}


int
conf_read_kafka(conf_reader_t *cr, const conf_node_t *node, conf_t *conf)
{
    char             *value;
    unsigned          column;
    const char       *reason;
    conf_iter_t       iter;
    conf_node_t       name, item;
    conf_property_t  *property;

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
                  &conf->kafka_line, &column);

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

        } else if (conf_get_secret(cr, &item, &value) == -1) {
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


static int
conf_get_file(conf_reader_t *cr, const conf_node_t *node, char **value)
{
    int      rc;
    char    *path, *text;
    FILE    *fp;
    size_t   len;

    text = NULL;
    fp = NULL;
    rc = -1;
    path = conf_expand(node->item->valuestring);

    if (path == NULL || (text = malloc(CONF_SECRET_MAX + 1)) == NULL) {
        conf_fail(cr, 0, "out of memory");
        goto failed;
    }

    fp = fopen(path, "re");
    if (fp == NULL) {
        conf_fail(cr, node->token, "could not open \"%s\": %s", path,
                  strerror(errno));
        goto failed;
    }

    len = fread(text, 1, CONF_SECRET_MAX, fp);

    if (ferror(fp) || len == CONF_SECRET_MAX || memchr(text, '\0', len)) {
        conf_fail(cr, node->token, "could not read \"%s\": %s", path,
                  ferror(fp) ? strerror(errno) : "not a short text");
        goto failed;
    }

    while (len && (text[len - 1] == '\n' || text[len - 1] == '\r')) {
        len--;
    }

    text[len] = '\0';
    *value = text;
    text = NULL;
    rc = 0;

failed:

    if (fp) {
        fclose(fp);
    }

    free(text);
    free(path);

    return rc;
}


int
conf_get_secret(conf_reader_t *cr, const conf_node_t *node, char **value)
{
    conf_node_t  name, path;
    conf_iter_t  iter;

    if (cJSON_IsString(node->item)) {
        *value = conf_expand(node->item->valuestring);
        return *value ? 0 : conf_fail(cr, 0, "out of memory");
    }

    if (cJSON_IsObject(node->item) && cJSON_GetArraySize(node->item) == 1) {
        conf_iter_init(&iter, node);
        conf_iter_next(cr, &iter, &name, &path);

        if (strcmp(name.item->string, "file") == 0
            && cJSON_IsString(path.item))
        {
            return conf_get_file(cr, &path, value);
        }
    }

    return conf_fail(cr, node->token, "\"%s\" must be a string or "
                     "{ \"file\": PATH }", node->item->string);
}
