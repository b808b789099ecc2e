/* The daemon's configuration file: strict check first, then the table. */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "conf/setters.h"
#include "conf/units.h"


#define CONF_FILE_MAX  (1024 * 1024)    /* bytes */
#define CONF_NAME_LEN  63               /* bytes of an SQL name, NAMEDATALEN */


static int conf_complete(conf_reader_t *cr, conf_t *conf);


int
conf_fail(conf_reader_t *cr, uint32_t token, const char *fmt, ...)
{
    int                  n;
    char                *p;
    va_list              ap;
    unsigned             line, column;
    const json_token_t  *at;

    at = &cr->doc.tokens[token];
    json_position(cr->text, cr->len, at->start - (at->type == JSON_STRING),
                  &line, &column);

    n = snprintf(cr->err, CONF_ERROR_MAX, "%s:%u:%u: %s%s%s", cr->file, line,
                 column, cr->column ? "column \"" : "",
                 cr->column ? cr->column : "", cr->column ? "\": " : "");
    if (n < 0 || n >= CONF_ERROR_MAX) {
        return -1;
    }

    va_start(ap, fmt);
    vsnprintf(cr->err + n, CONF_ERROR_MAX - (size_t) n, fmt, ap);
    va_end(ap);

    /* a name in the file may hold anything: one line all the same */

    for (p = cr->err + strlen(cr->file); *p; p++) {
        if ((unsigned char) *p < 0x20 || *p == 0x7f) {
            *p = '?';
        }
    }

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
    name->secret = value->secret = false;

    iter->token = cr->doc.tokens[value->token].next;
    iter->next = iter->next->next;

    return 1;
}


int
conf_set_ignored(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope)
{
    (void) scope;

    return cJSON_IsString(node->item)
           ? 0 : conf_fail(cr, node->token, "\"%s\" must be a string",
                           key->path);
}


int
conf_set_start(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope)
{
    conf_t      *conf = scope;
    const char  *s;

    (void) key;

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

int
conf_set_table(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope)
{
    conf_t      *conf = scope;
    size_t       len;
    const char  *s, *dot;

    (void) key;

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


int
conf_set_listen(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope)
{
    char        *end;
    long         port;
    conf_t      *conf = scope;
    size_t       len;
    const char  *s, *colon;

    (void) key;

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
    PQconninfoOption  *options;

    if (conf_property(conf, "bootstrap.servers") == NULL
        && conf_property(conf, "metadata.broker.list") == NULL)
    {
        return conf_fail(cr, 0, "property \"bootstrap.servers\" of \"kafka\" "
                         "is missing");
    }

    if (conf->dead_topic && strcmp(conf->dead_topic, conf->topic) == 0) {
        return conf_fail(cr, 0, "\"dead_letters.topic\" cannot be \"topic\": "
                         "it would read its own dead letters");
    }

    /* libpq's own message may hold a part of the password */
    options = PQconninfoParse(conf->postgres, NULL);
    if (options == NULL) {
        return conf_fail(cr, 0, "key \"postgres\" is no conninfo string or "
                         "URI of libpq");
    }

    PQconninfoFree(options);

    if (conf->nroutes == 0 || conf->table || conf->ncolumns
        || conf->columns_auto)
    {
        if (conf->table == NULL
            || (conf->ncolumns == 0 && !conf->columns_auto))
        {
            return conf_fail(cr, 0, "key \"%s\" is missing",
                             conf->table ? "columns" : "table");
        }

        if (conf_complete_record(cr, conf) == -1) {
            return -1;
        }
    }

    return conf_check_mode(cr, conf, 0) == -1 ? -1
                                              : conf_complete_route(cr, conf);
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

    root.item = tree;
    root.token = 0;
    root.secret = false;
    conf->file = strdup(file);

    if (!cJSON_IsObject(tree)) {
        conf_fail(&cr, 0, "a configuration is a JSON object");
        goto failed;
    }

    if (conf_walk(&cr, &root, "", conf) == -1
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


bool
conf_is_key(const conf_t *conf, const char *name)
{
    size_t  i;

    for (i = 0; i < conf->key.n; i++) {
        if (strcmp(conf->key.names[i], name) == 0) {
            return true;
        }
    }

    return false;
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
        conf_column_release(&conf->columns[i]);
    }

    conf_where_free(&conf->where);

    conf_route_free(conf);
    conf_release("", conf);
    free(conf->properties);
    free(conf->columns);
    free(conf->file);
    free(conf->start_text);
    free(conf->table);
    free(conf->until);
    free(conf->table_schema);
    free(conf->table_name);
    free(conf->listen);
    free(conf->listen_host);
    free(conf);
}
