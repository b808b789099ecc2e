/* The filter of the configuration, and what of the record has to agree. */

#include <stdlib.h>
#include <string.h>

#include "conf/setters.h"


static int conf_where_value(conf_reader_t *cr, const conf_node_t *node,
    const cJSON *item);


int
conf_where_path(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope)
{
    conf_t      *conf = scope;
    const char  *s, *reason;

    (void) key;

    if (!cJSON_IsString(node->item)) {
        return conf_fail(cr, node->token, "\"where.path\" must be a JSON "
                         "Pointer");
    }

    s = node->item->valuestring;
    conf->where.pointer = json_pointer_compile(s, strlen(s), &reason);

    return conf->where.pointer
           ? 0 : conf_fail(cr, node->token, "\"%s\" is no JSON Pointer: %s",
                           s, reason);
}


int
conf_where_header(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope)
{
    conf_t  *conf = scope;

    (void) key;

    if (!cJSON_IsString(node->item) || node->item->valuestring[0] == '\0') {
        return conf_fail(cr, node->token, "\"where.header\" must be a "
                         "header's name");
    }

    conf->where.header = strdup(node->item->valuestring);

    return conf->where.header ? 0 : conf_fail(cr, 0, "out of memory");
}


static int
conf_where_value(conf_reader_t *cr, const conf_node_t *node,
    const cJSON *item)
{
    return cJSON_IsString(item) || cJSON_IsNumber(item) || cJSON_IsBool(item)
           || cJSON_IsNull(item)
           ? 0 : conf_fail(cr, node->token, "what \"where\" compares with "
                           "must be a string, a number, true, false or null");
}


int
conf_where_equals(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope)
{
    size_t       len;
    char        *value;
    conf_t      *conf = scope;
    conf_node_t  resolved;

    (void) key;
    resolved = *node;

    if (conf_resolve(cr, &resolved) == -1
        || conf_where_value(cr, &resolved, resolved.item) == -1)
    {
        return -1;
    }

    conf->where.conditions++;
    conf->where.kind = CONF_WHERE_IN;

    value = conf_json(cr, &resolved);
    len = value ? strlen(value) : 0;

    if (value && (conf->where.values = malloc(len + 3))) {
        conf->where.values[0] = '[';
        memcpy(conf->where.values + 1, value, len);
        memcpy(conf->where.values + 1 + len, "]", 2);
    }

    free(value);

    return conf->where.values ? 0 : conf_fail(cr, 0, "out of memory");
}


int
conf_where_in(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope)
{
    conf_t       *conf = scope;
    const cJSON  *item;

    (void) key;

    if (!cJSON_IsArray(node->item) || node->item->child == NULL) {
        return conf_fail(cr, node->token, "\"where.in\" must be an array "
                         "with at least one value");
    }

    cJSON_ArrayForEach(item, node->item) {
        if (conf_where_value(cr, node, item) == -1) {
            return -1;
        }
    }

    conf->where.conditions++;
    conf->where.kind = CONF_WHERE_IN;
    free(conf->where.values);
    conf->where.values = conf_json(cr, node);

    return conf->where.values ? 0 : conf_fail(cr, 0, "out of memory");
}


int
conf_where_exists(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope)
{
    conf_t  *conf = scope;

    (void) key;

    if (!cJSON_IsBool(node->item)) {
        return conf_fail(cr, node->token, "\"where.exists\" must be true or "
                         "false");
    }

    conf->where.conditions++;
    conf->where.kind = cJSON_IsTrue(node->item) ? CONF_WHERE_EXISTS
                                                : CONF_WHERE_ABSENT;

    return 0;
}


void
conf_where_free(conf_where_t *where)
{
    json_pointer_free(where->pointer);
    free(where->header);
    free(where->values);
}


/* The column of "rest" joins the others, unless they are the table's. */

static int
conf_complete_rest(conf_reader_t *cr, conf_t *conf)
{
    size_t          i;
    conf_column_t  *columns;

    if (conf->rest == NULL || conf->columns_auto) {
        return 0;
    }

    for (i = 0; i < conf->ncolumns; i++) {
        if (strcmp(conf->columns[i].name, conf->rest) == 0) {
            return conf_fail(cr, 0, "\"rest\" and \"columns\" both fill "
                             "column \"%s\"", conf->rest);
        }
    }

    columns = realloc(conf->columns,
                      (conf->ncolumns + 1) * sizeof(conf_column_t));
    if (columns == NULL) {
        return conf_fail(cr, 0, "out of memory");
    }

    conf->columns = columns;
    memset(&columns[conf->ncolumns], 0, sizeof(conf_column_t));
    columns[conf->ncolumns].from = CONF_FROM_REST;
    columns[conf->ncolumns].name = strdup(conf->rest);

    return columns[conf->ncolumns++].name
           ? 0 : conf_fail(cr, 0, "out of memory");
}


int
conf_complete_record(conf_reader_t *cr, conf_t *conf)
{
    bool    fields;
    size_t  i;

    if ((conf->where.pointer != NULL) + (conf->where.header != NULL) > 1
        || (conf->where.pointer || conf->where.header
            ? conf->where.conditions != 1 : conf->where.conditions != 0))
    {
        return conf_fail(cr, 0, "\"where\" needs one of \"path\" and "
                         "\"header\", and one of \"equals\", \"in\" and "
                         "\"exists\"");
    }

    if (conf->columns_auto && conf->create_table) {
        return conf_fail(cr, 0, "\"columns\" \"auto\" are the table's, so "
                         "\"create_table\" cannot make it");
    }

    if (conf_complete_rest(cr, conf) == -1) {
        return -1;
    }

    fields = conf->columns_auto || conf->where.pointer;

    for (i = 0; i < conf->ncolumns; i++) {
        fields |= conf->columns[i].from == CONF_FROM_PATH
                  || conf->columns[i].from == CONF_FROM_REST;
    }

    if (fields && (conf->format == CONF_FORMAT_TEXT
                   || conf->format == CONF_FORMAT_BYTES))
    {
        return conf_fail(cr, 0, "a value of \"format\" \"%s\" has no fields: "
                         "columns take it whole by \"meta\": \"value\"",
                         conf->format == CONF_FORMAT_TEXT ? "text" : "bytes");
    }

    return 0;
}
