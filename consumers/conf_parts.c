/* The columns of the configuration. */

#include <stdlib.h>
#include <string.h>

#include "conf_set.h"
#include "types.h"


static int conf_column(conf_reader_t *cr, const conf_node_t *name,
    conf_node_t *node, conf_column_t *column);
static int conf_column_check(conf_reader_t *cr, const conf_node_t *node,
    conf_column_t *column);


int
conf_read_columns(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope)
{
    int          n;
    conf_t      *conf = scope;
    size_t       i, filled;
    conf_iter_t  iter;
    conf_node_t  name, value;

    (void) key;

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
        cr->column = NULL;
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
    conf_node_t *node, conf_column_t *column)
{
    if (name->item->string[0] == '\0' || strlen(name->item->string) > 63) {
        return conf_fail(cr, name->token, "a column's name has 1 to 63 "
                         "bytes");
    }

    column->name = strdup(name->item->string);
    if (column->name == NULL) {
        return conf_fail(cr, 0, "out of memory");
    }

    cr->column = column->name;

    if (conf_resolve(cr, node) == -1) {
        return -1;
    }

    if (cJSON_IsString(node->item)) {
        return conf_column_path(cr, NULL, node, column);
    }

    if (!cJSON_IsObject(node->item)) {
        return conf_fail(cr, node->token, "it must be a JSON Pointer or an "
                         "object");
    }

    if (conf_walk(cr, node, "columns.*.", column) == -1) {
        return -1;
    }

    if (column->sources != 1) {
        return conf_fail(cr, node->token, "it needs one of \"path\", "
                         "\"meta\" and \"generated\"");
    }

    return conf_column_check(cr, node, column);
}


int
conf_column_path(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope)
{
    const char     *reason;
    conf_column_t  *column = scope;

    (void) key;

    if (!cJSON_IsString(node->item)) {
        return conf_fail(cr, node->token, "\"path\" must be a JSON Pointer");
    }

    column->sources++;
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


int
conf_column_meta(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope)
{
    int             choice;
    conf_column_t  *column = scope;

    choice = conf_choice(cr, key, node);
    if (choice == -1) {
        return -1;
    }

    column->sources++;
    column->from = CONF_FROM_TOPIC + (unsigned) choice;

    return 0;
}


int
conf_column_generated(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope)
{
    conf_column_t  *column = scope;

    column->sources++;
    column->from = CONF_FROM_IDENTITY;

    return conf_choice(cr, key, node) == -1 ? -1 : 0;
}


int
conf_column_type(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope)
{
    const char     *name, *near;
    conf_column_t  *column = scope;

    (void) key;
    name = cJSON_IsString(node->item) ? node->item->valuestring : "";

    if (type_kind(name) == TYPE_OTHER) {
        near = type_nearest(name);
        return conf_fail(cr, node->token, near
                         ? "unknown type, did you mean \"%s\"?"
                         : "unknown type%s", near ? near : "");
    }

    column->type = strdup(name);

    return column->type ? 0 : conf_fail(cr, 0, "out of memory");
}


int
conf_column_default(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope)
{
    cJSON               *item;
    conf_node_t          value;
    conf_column_t       *column = scope;
    const json_token_t  *token;

    (void) key;
    value = *node;
    token = &cr->doc.tokens[node->token];

    if (conf_resolve(cr, &value) == -1) {
        return -1;
    }

    item = value.item;

    if (cJSON_IsString(item)) {
        column->fallback = strdup(item->valuestring);

    } else if (cJSON_IsNumber(item) || cJSON_IsBool(item)) {
        column->fallback = strndup(cr->text + token->start,
                                   token->end - token->start);

    } else {
        return conf_fail(cr, node->token, "\"default\" must be a string, a "
                         "number, true or false");
    }

    return column->fallback ? 0 : conf_fail(cr, 0, "out of memory");
}


static int
conf_column_check(conf_reader_t *cr, const conf_node_t *node,
    conf_column_t *column)
{
    type_kind_t  kind;

    kind = column->type ? type_kind(column->type) : TYPE_OTHER;

    if (column->required && column->fallback) {
        return conf_fail(cr, node->token, "it cannot be required and have a "
                         "default");
    }

    if (column->fallback && column->from != CONF_FROM_PATH) {
        return conf_fail(cr, node->token, "\"default\" goes with \"path\" "
                         "only");
    }

    if (kind == TYPE_BYTEA && column->from != CONF_FROM_KEY
        && column->from != CONF_FROM_VALUE)
    {
        return conf_fail(cr, node->token, "bytea goes with \"meta\" key or "
                         "value only");
    }

    if (column->from == CONF_FROM_IDENTITY
        && (column->required
            || (column->type && kind != TYPE_SMALLINT && kind != TYPE_INTEGER
                && kind != TYPE_BIGINT)))
    {
        return conf_fail(cr, node->token, "an identity column has a whole "
                         "number's type and no other key");
    }

    return 0;
}
