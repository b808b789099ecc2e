/* The columns of the configuration. */

#include <stdlib.h>
#include <string.h>

#include "conf/setters.h"
#include "conf/types.h"
#include "conf/units.h"


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

    if (cJSON_IsString(node->item)
        && strcmp(node->item->valuestring, "auto") == 0)
    {
        conf->columns_auto = true;
        return 0;
    }

    if (!cJSON_IsObject(node->item) || node->item->child == NULL) {
        return conf_fail(cr, node->token, "\"columns\" must be \"auto\" or an "
                         "object with at least one column");
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
                         "\"meta\", \"header\", \"constant\" and "
                         "\"generated\"");
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

    if (!type_is_known(name)) {
        near = type_nearest(name);
        return conf_fail(cr, node->token, near
                         ? "unknown type, did you mean \"%s\"?"
                         : "unknown type%s", near ? near : "");
    }

    column->type = strdup(name);

    return column->type ? 0 : conf_fail(cr, 0, "out of memory");
}


int
conf_column_header(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope)
{
    conf_column_t  *column = scope;

    (void) key;

    if (!cJSON_IsString(node->item) || node->item->valuestring[0] == '\0') {
        return conf_fail(cr, node->token, "\"header\" must be a header's "
                         "name");
    }

    column->sources++;
    column->from = CONF_FROM_HEADER;
    column->header = strdup(node->item->valuestring);

    return column->header ? 0 : conf_fail(cr, 0, "out of memory");
}


/* A value as JSON; numbers keep their digits. */

char *
conf_json(conf_reader_t *cr, const conf_node_t *node)
{
    const json_token_t  *token;

    if (cJSON_IsString(node->item)) {
        return cJSON_PrintUnformatted(node->item);
    }

    token = &cr->doc.tokens[node->token];

    return strndup(cr->text + token->start, token->end - token->start);
}


int
conf_column_constant(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope)
{
    conf_node_t     value;
    conf_column_t  *column = scope;

    (void) key;
    value = *node;

    if (conf_resolve(cr, &value) == -1) {
        return -1;
    }

    column->sources++;
    column->from = CONF_FROM_CONSTANT;
    column->constant = conf_json(cr, &value);

    return column->constant ? 0 : conf_fail(cr, 0, "out of memory");
}


int
conf_column_default(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope)
{
    conf_node_t     value;
    conf_column_t  *column = scope;

    (void) key;
    value = *node;

    if (conf_resolve(cr, &value) == -1) {
        return -1;
    }

    column->fallback = conf_json(cr, &value);

    return column->fallback ? 0 : conf_fail(cr, 0, "out of memory");
}


static int
conf_transform(conf_reader_t *cr, const conf_node_t *node,
    const cJSON *item, conf_transform_t *transform)
{
    size_t        i;
    const cJSON  *keep;
    const char   *name;
    conf_near_t   near;

    /* in the order of conf_transform_kind_t */
    static const char *const  names[] = {
        "trim", "lower", "upper", "sha256", "mask", "cast"
    };

    keep = cJSON_IsObject(item) && cJSON_GetArraySize(item) == 1
           ? item->child : NULL;

    if (keep && strcmp(keep->string, "mask") == 0) {
        if (!cJSON_IsNumber(keep) || keep->valuedouble < 0
            || keep->valuedouble > 1000
            || keep->valuedouble != (double) (int) keep->valuedouble)
        {
            return conf_fail(cr, node->token, "\"mask\" must be 0 to 1000 "
                             "characters that stay");
        }

        transform->kind = CONF_MASK;
        transform->keep = (size_t) keep->valuedouble;
        return 0;
    }

    name = cJSON_IsString(item) ? item->valuestring : "";
    conf_near_init(&near, name);

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            transform->kind = CONF_TRIM + (unsigned) i;
            return 0;
        }
        conf_near_try(&near, names[i]);
    }

    return conf_fail(cr, node->token, near.best
                     ? "unknown \"transform\" \"%s\", did you mean \"%s\"?"
                     : "\"transform\" must be trim, lower, upper, sha256, "
                       "mask, { \"mask\": 4 } or cast", name,
                     near.best ? near.best : "");
}


int
conf_column_transform(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope)
{
    int             n;
    const cJSON    *item;
    conf_column_t  *column = scope;

    (void) key;
    n = cJSON_IsArray(node->item) ? cJSON_GetArraySize(node->item) : 1;

    if (n < 1 || n > 16) {
        return conf_fail(cr, node->token, "\"transform\" must be one to 16 "
                         "transforms");
    }

    column->transforms = calloc((size_t) n, sizeof(conf_transform_t));
    if (column->transforms == NULL) {
        return conf_fail(cr, 0, "out of memory");
    }

    if (!cJSON_IsArray(node->item)) {
        column->ntransforms = 1;
        return conf_transform(cr, node, node->item, column->transforms);
    }

    cJSON_ArrayForEach(item, node->item) {
        if (conf_transform(cr, node, item,
                           &column->transforms[column->ntransforms++])
            == -1)
        {
            return -1;
        }
    }

    return 0;
}


void
conf_column_release(conf_column_t *column)
{
    conf_release("columns.*.", column);
    free(column->name);
    free(column->path);
    free(column->header);
    free(column->constant);
    free(column->type);
    free(column->fallback);
    free(column->transforms);
    json_pointer_free(column->pointer);
}


static int
conf_column_check(conf_reader_t *cr, const conf_node_t *node,
    conf_column_t *column)
{
    bool         always;
    type_kind_t  kind;

    kind = column->type ? type_kind(column->type) : TYPE_OTHER;

    /* of these there is always one, and no other than Kafka's */
    always = column->from == CONF_FROM_TOPIC
             || column->from == CONF_FROM_PARTITION
             || column->from == CONF_FROM_OFFSET
             || column->from == CONF_FROM_CONSTANT
             || column->from == CONF_FROM_IDENTITY;

    if (column->required && column->fallback) {
        return conf_fail(cr, node->token, "it cannot be required and have a "
                         "default");
    }

    if (column->required && (column->on_missing || column->on_null)) {
        return conf_fail(cr, node->token, "\"required\" says what "
                         "\"on_missing\" and \"on_null\" are");
    }

    if (always && (column->fallback || column->on_missing
                   || column->on_null))
    {
        return conf_fail(cr, node->token, "what is always there needs no "
                         "\"default\", \"on_missing\" or \"on_null\"");
    }

    if (!column->fallback && (column->on_missing == CONF_ON_DEFAULT
                              || column->on_null == CONF_ON_DEFAULT))
    {
        return conf_fail(cr, node->token, "it has no \"default\"");
    }

    if (column->fallback && column->on_missing
        && column->on_missing != CONF_ON_DEFAULT
        && column->on_null != CONF_ON_DEFAULT)
    {
        return conf_fail(cr, node->token, "its \"default\" is never used");
    }

    if ((column->ntransforms || column->unit)
        && (column->from == CONF_FROM_TIMESTAMP
            || (always && column->from != CONF_FROM_TOPIC)))
    {
        return conf_fail(cr, node->token, "\"transform\" and \"unit\" go "
                         "with \"path\", \"header\", and \"meta\" key, "
                         "value and topic only");
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
