/* The daemon's configuration file: strict check first, then one key table. */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "conf_impl.h"
#include "conf_value.h"


#define CONF_FILE_MAX  (1024 * 1024)    /* bytes */
#define CONF_NAME_LEN  63               /* bytes of an SQL name, NAMEDATALEN */


typedef int (*conf_set_pt)(conf_reader_t *cr, const conf_node_t *node,
    conf_t *conf);


typedef enum {
    CONF_STRING = 0,
    CONF_SECRET,
    CONF_BOOL,
    CONF_COUNT,
    CONF_SIZE,
    CONF_TIME,
    CONF_SHARE,
    CONF_CUSTOM
} conf_kind_t;


typedef struct {
    const char   *name;        /* "batch.rows": key "rows" of "batch" */
    conf_kind_t   kind;
    size_t        offset;      /* in conf_t */
    int64_t       min;
    int64_t       max;
    conf_set_pt   set;         /* CONF_CUSTOM */
} conf_key_t;


static int conf_object(conf_reader_t *cr, const conf_node_t *object,
    const char *prefix, conf_t *conf);
static int conf_set(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, conf_t *conf);
static int conf_set_start(conf_reader_t *cr, const conf_node_t *node,
    conf_t *conf);
static int conf_set_table(conf_reader_t *cr, const conf_node_t *node,
    conf_t *conf);
static int conf_set_listen(conf_reader_t *cr, const conf_node_t *node,
    conf_t *conf);
static int conf_set_section(conf_reader_t *cr, const conf_node_t *node,
    conf_t *conf);
static int conf_complete(conf_reader_t *cr, conf_t *conf);


static const conf_key_t  conf_keys[] = {
    { "batch",                   CONF_CUSTOM, 0, 0, 0, conf_set_section },
    { "batch.bytes",             CONF_SIZE,
      offsetof(conf_t, batch_bytes), 64 * 1024, 1024LL * 1024 * 1024, NULL },
    { "batch.linger",            CONF_TIME,
      offsetof(conf_t, batch_linger), 0, 3600 * 1000, NULL },
    { "batch.rows",              CONF_COUNT,
      offsetof(conf_t, batch_rows), 1, 1000000, NULL },
    { "columns",                 CONF_CUSTOM, 0, 0, 0, conf_read_columns },
    { "create_table",            CONF_BOOL,
      offsetof(conf_t, create_table), 0, 0, NULL },
    { "dead_letters",            CONF_CUSTOM, 0, 0, 0, conf_set_section },
    { "dead_letters.hold_above", CONF_SHARE,
      offsetof(conf_t, hold_above), 0, 1, NULL },
    { "flush_timeout",           CONF_TIME,
      offsetof(conf_t, flush_timeout), 100, 3600 * 1000, NULL },
    { "group",                   CONF_STRING,
      offsetof(conf_t, group), 0, 0, NULL },
    { "kafka",                   CONF_CUSTOM, 0, 0, 0, conf_read_kafka },
    { "listen",                  CONF_CUSTOM, 0, 0, 0, conf_set_listen },
    { "postgres",                CONF_SECRET,
      offsetof(conf_t, postgres), 0, 0, NULL },
    { "start",                   CONF_CUSTOM, 0, 0, 0, conf_set_start },
    { "table",                   CONF_CUSTOM, 0, 0, 0, conf_set_table },
    { "topic",                   CONF_STRING,
      offsetof(conf_t, topic), 0, 0, NULL }
};


#define CONF_NKEYS  (sizeof(conf_keys) / sizeof(conf_keys[0]))


int
conf_fail(conf_reader_t *cr, uint32_t token, const char *fmt, ...)
{
    int       n;
    va_list   ap;
    unsigned  line, column;

    json_position(cr->text, cr->len, cr->doc.tokens[token].start, &line,
                  &column);

    n = snprintf(cr->err, CONF_ERROR_MAX, "%s:%u: ", cr->file, line);
    if (n < 0 || n >= CONF_ERROR_MAX) {
        return -1;
    }

    va_start(ap, fmt);
    vsnprintf(cr->err + n, CONF_ERROR_MAX - (size_t) n, fmt, ap);
    va_end(ap);

    return -1;
}


void
conf_iter_init(conf_iter_t *iter, const conf_node_t *object)
{
    iter->next = object->item->child;
    iter->token = object->token + 1;
}


/* cJSON keeps the order of the text, so tokens and items go side by side. */

int
conf_iter_next(conf_reader_t *cr, conf_iter_t *iter, conf_node_t *name,
    conf_node_t *value)
{
    if (iter->next == NULL) {
        return 0;
    }

    name->item = iter->next;
    name->token = iter->token;
    value->item = iter->next;
    value->token = iter->token + 1;

    iter->token = cr->doc.tokens[value->token].next;
    iter->next = iter->next->next;

    return 1;
}


static int
conf_object(conf_reader_t *cr, const conf_node_t *object, const char *prefix,
    conf_t *conf)
{
    char               full[128];
    size_t             i, plen;
    conf_iter_t        iter;
    conf_near_t        near;
    conf_node_t        name, value;
    const conf_key_t  *key;

    plen = strlen(prefix);
    conf_iter_init(&iter, object);

    while (conf_iter_next(cr, &iter, &name, &value)) {

        if (snprintf(full, sizeof(full), "%s%s", prefix, name.item->string)
            >= (int) sizeof(full))
        {
            return conf_fail(cr, name.token, "unknown key");
        }

        conf_near_init(&near, full);
        key = NULL;

        for (i = 0; i < CONF_NKEYS; i++) {
            if (strncmp(conf_keys[i].name, prefix, plen) != 0
                || strchr(conf_keys[i].name + plen, '.') != NULL)
            {
                continue;
            }
            if (strcmp(conf_keys[i].name, full) == 0) {
                key = &conf_keys[i];
                break;
            }
            conf_near_try(&near, conf_keys[i].name);
        }

        if (key == NULL || strchr(name.item->string, '.') != NULL) {
            return conf_fail(cr, name.token, near.best
                             ? "unknown key \"%s\", did you mean \"%s\"?"
                             : "unknown key \"%s\"", name.item->string,
                             near.best ? near.best + plen : "");
        }

        if (conf_set(cr, key, &value, conf) == -1) {
            return -1;
        }
    }

    return 0;
}


static int
conf_set_section(conf_reader_t *cr, const conf_node_t *node, conf_t *conf)
{
    char  prefix[64];

    if (!cJSON_IsObject(node->item)) {
        return conf_fail(cr, node->token, "\"%s\" must be an object",
                         node->item->string);
    }

    snprintf(prefix, sizeof(prefix), "%s.", node->item->string);

    return conf_object(cr, node, prefix, conf);
}


static int
conf_set_number(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, int64_t *number)
{
    int    rc;
    cJSON *item;

    item = node->item;

    if (key->kind == CONF_COUNT) {
        if (!cJSON_IsNumber(item)
            || item->valuedouble != (double) (int64_t) item->valuedouble)
        {
            return conf_fail(cr, node->token, "\"%s\" must be a whole number",
                             key->name);
        }
        *number = (int64_t) item->valuedouble;

    } else {
        rc = -1;
        if (cJSON_IsString(item)) {
            rc = key->kind == CONF_SIZE
                 ? conf_parse_size(item->valuestring, number)
                 : conf_parse_time(item->valuestring, number);
        }
        if (rc == -1) {
            return conf_fail(cr, node->token, "\"%s\" must be a %s",
                             key->name, key->kind == CONF_SIZE
                             ? "size such as \"8m\""
                             : "time such as \"20ms\" or \"10s\"");
        }
    }

    if (*number < key->min || *number > key->max) {
        return conf_fail(cr, node->token, "\"%s\" must be between %lld and "
                         "%lld%s", key->name, (long long) key->min,
                         (long long) key->max,
                         key->kind == CONF_TIME ? " ms"
                         : key->kind == CONF_SIZE ? " bytes" : "");
    }

    return 0;
}


static int
conf_set(conf_reader_t *cr, const conf_key_t *key, const conf_node_t *node,
    conf_t *conf)
{
    void   *field;
    cJSON  *item;

    item = node->item;
    field = (char *) conf + key->offset;

    switch (key->kind) {

    case CONF_STRING:
        if (!cJSON_IsString(item) || item->valuestring[0] == '\0') {
            return conf_fail(cr, node->token, "\"%s\" must be a string that "
                             "is not empty", key->name);
        }
        *(char **) field = strdup(item->valuestring);
        return *(char **) field ? 0 : conf_fail(cr, 0, "out of memory");

    case CONF_SECRET:
        return conf_get_secret(cr, node, field);

    case CONF_BOOL:
        if (!cJSON_IsBool(item)) {
            return conf_fail(cr, node->token, "\"%s\" must be true or false",
                             key->name);
        }
        *(bool *) field = cJSON_IsTrue(item);
        return 0;

    case CONF_SHARE:
        if (!cJSON_IsNumber(item) || item->valuedouble < 0
            || item->valuedouble > 1)
        {
            return conf_fail(cr, node->token, "\"%s\" must be a share between "
                             "0 and 1", key->name);
        }
        *(double *) field = item->valuedouble;
        return 0;

    case CONF_COUNT:
    case CONF_SIZE:
    case CONF_TIME:
        return conf_set_number(cr, key, node, field);

    case CONF_CUSTOM:
        break;
    }

    return key->set(cr, node, conf);
}


static int
conf_set_start(conf_reader_t *cr, const conf_node_t *node, conf_t *conf)
{
    const char  *s;

    s = cJSON_IsString(node->item) ? node->item->valuestring : "";

    if (strcmp(s, "earliest") == 0) {
        conf->start = CONF_START_EARLIEST;

    } else if (strcmp(s, "latest") == 0) {
        conf->start = CONF_START_LATEST;

    } else if (conf_parse_date(s, &conf->start_time) == 0) {
        conf->start = CONF_START_TIME;

    } else {
        return conf_fail(cr, node->token, "\"start\" must be \"earliest\", "
                         "\"latest\" or a time such as "
                         "\"2026-01-31T12:00:00Z\"");
    }

    conf->start_text = strdup(s);

    return conf->start_text ? 0 : conf_fail(cr, 0, "out of memory");
}


/*
 * NAME or SCHEMA.NAME, each as it is in the catalogue: nothing is folded to
 * lower case, nothing is taken as SQL.
 */

static int
conf_set_table(conf_reader_t *cr, const conf_node_t *node, conf_t *conf)
{
    size_t       len;
    const char  *s, *dot;

    s = cJSON_IsString(node->item) ? node->item->valuestring : "";
    dot = strchr(s, '.');
    len = dot ? (size_t) (dot - s) : 0;

    if (dot && (len == 0 || len > CONF_NAME_LEN)) {
        return conf_fail(cr, node->token, "\"table\" must be NAME or "
                         "SCHEMA.NAME, names of 1 to %d bytes",
                         CONF_NAME_LEN);
    }

    conf->table = strdup(s);
    conf->table_schema = dot ? strndup(s, len) : NULL;

    s = dot ? dot + 1 : s;

    if (*s == '\0' || strlen(s) > CONF_NAME_LEN) {
        return conf_fail(cr, node->token, "\"table\" must be NAME or "
                         "SCHEMA.NAME, names of 1 to %d bytes",
                         CONF_NAME_LEN);
    }

    conf->table_name = strdup(s);

    if (conf->table == NULL || conf->table_name == NULL
        || (dot && conf->table_schema == NULL))
    {
        return conf_fail(cr, 0, "out of memory");
    }

    return 0;
}


static int
conf_set_listen(conf_reader_t *cr, const conf_node_t *node, conf_t *conf)
{
    char        *end;
    long         port;
    size_t       len;
    const char  *s, *colon;

    s = cJSON_IsString(node->item) ? node->item->valuestring : "";
    colon = strrchr(s, ':');
    port = colon ? strtol(colon + 1, &end, 10) : 0;

    if (colon == NULL || colon == s || port < 1 || port > 65535
        || *end != '\0')
    {
        return conf_fail(cr, node->token, "\"listen\" must be ADDRESS:PORT "
                         "such as \"127.0.0.1:9465\"");
    }

    len = (size_t) (colon - s);

    if (s[0] == '[' && s[len - 1] == ']') {
        s++;
        len -= 2;
    }

    conf->listen = strdup(node->item->valuestring);
    conf->listen_host = strndup(s, len);
    conf->listen_port = (uint16_t) port;

    return conf->listen && conf->listen_host
           ? 0 : conf_fail(cr, 0, "out of memory");
}


static int
conf_complete(conf_reader_t *cr, conf_t *conf)
{
    const char        *missing;
    PQconninfoOption  *options;

    missing = conf->topic == NULL ? "topic"
              : conf->group == NULL ? "group"
              : conf->start_text == NULL ? "start"
              : conf->nproperties == 0 ? "kafka"
              : conf->postgres == NULL ? "postgres"
              : conf->table == NULL ? "table"
              : conf->ncolumns == 0 ? "columns" : NULL;

    if (missing) {
        return conf_fail(cr, 0, "key \"%s\" is missing", missing);
    }

    if (conf_property(conf, "bootstrap.servers") == NULL
        && conf_property(conf, "metadata.broker.list") == NULL)
    {
        return conf_fail(cr, 0, "property \"bootstrap.servers\" of \"kafka\" "
                         "is missing");
    }

    /* libpq's own message may hold a part of the password */
    options = PQconninfoParse(conf->postgres, NULL);
    if (options == NULL) {
        return conf_fail(cr, 0, "key \"postgres\" is no conninfo string or "
                         "URI of libpq");
    }

    PQconninfoFree(options);

    return 0;
}


conf_t *
conf_parse(const char *file, const char *text, size_t len, char *err)
{
    cJSON         *tree;
    conf_t        *conf;
    unsigned       line, column;
    conf_node_t    root;
    json_error_t   jerr;
    conf_reader_t  cr;

    memset(&cr, 0, sizeof(cr));
    cr.file = file;
    cr.text = text;
    cr.len = len;
    cr.err = err;

    if (json_parse(&cr.doc, text, len, &jerr) == -1) {
        json_position(text, len, jerr.offset, &line, &column);
        snprintf(err, CONF_ERROR_MAX, "%s:%u:%u: %s", file, line, column,
                 jerr.reason);
        json_doc_free(&cr.doc);
        return NULL;
    }

    conf = calloc(1, sizeof(conf_t));
    tree = cJSON_ParseWithLength(text, len);

    if (conf == NULL || tree == NULL) {
        conf_fail(&cr, 0, "out of memory");
        goto failed;
    }

    conf->batch_rows = 10000;
    conf->batch_bytes = 8 * 1024 * 1024;
    conf->batch_linger = 20;
    conf->flush_timeout = 10000;
    conf->hold_above = 0.2;

    root.item = tree;
    root.token = 0;
    conf->file = strdup(file);

    if (!cJSON_IsObject(tree)) {
        conf_fail(&cr, 0, "a configuration is a JSON object");
        goto failed;
    }

    if (conf_object(&cr, &root, "", conf) == -1
        || conf_complete(&cr, conf) == -1)
    {
        goto failed;
    }

    cJSON_Delete(tree);
    json_doc_free(&cr.doc);

    return conf;

failed:

    cJSON_Delete(tree);
    json_doc_free(&cr.doc);
    conf_free(conf);

    return NULL;
}


conf_t *
conf_read(const char *file, char *err)
{
    char    *text;
    FILE    *fp;
    conf_t  *conf;
    size_t   len;

    fp = fopen(file, "re");
    if (fp == NULL) {
        snprintf(err, CONF_ERROR_MAX, "%s: %s", file, strerror(errno));
        return NULL;
    }

    conf = NULL;
    text = malloc(CONF_FILE_MAX + 1);

    if (text == NULL) {
        snprintf(err, CONF_ERROR_MAX, "%s: out of memory", file);
        goto failed;
    }

    len = fread(text, 1, CONF_FILE_MAX + 1, fp);

    if (ferror(fp)) {
        snprintf(err, CONF_ERROR_MAX, "%s: %s", file, strerror(errno));
        goto failed;
    }

    if (len > CONF_FILE_MAX) {
        snprintf(err, CONF_ERROR_MAX, "%s: larger than %d bytes", file,
                 CONF_FILE_MAX);
        goto failed;
    }

    conf = conf_parse(file, text, len, err);

failed:

    free(text);
    fclose(fp);

    return conf;
}


const char *
conf_property(const conf_t *conf, const char *name)
{
    size_t  i;

    for (i = 0; i < conf->nproperties; i++) {
        if (strcmp(conf->properties[i].name, name) == 0) {
            return conf->properties[i].value;
        }
    }

    return NULL;
}


void
conf_free(conf_t *conf)
{
    size_t  i;

    if (conf == NULL) {
        return;
    }

    for (i = 0; i < conf->nproperties; i++) {
        free(conf->properties[i].name);
        free(conf->properties[i].value);
    }

    for (i = 0; i < conf->ncolumns; i++) {
        free(conf->columns[i].name);
        free(conf->columns[i].path);
        free(conf->columns[i].type);
        free(conf->columns[i].fallback);
        json_pointer_free(conf->columns[i].pointer);
    }

    free(conf->properties);
    free(conf->columns);
    free(conf->file);
    free(conf->topic);
    free(conf->group);
    free(conf->start_text);
    free(conf->postgres);
    free(conf->table);
    free(conf->table_schema);
    free(conf->table_name);
    free(conf->listen);
    free(conf->listen_host);
    free(conf);
}
