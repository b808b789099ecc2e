/* "route": one topic into several tables, by a field or a header. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/setters.h"


#define CONF_TABLES_MAX  64      /* of one route */
#define CONF_ROUTES_MAX  1024    /* values */


static int conf_route(conf_reader_t *cr, const conf_node_t *name,
    conf_node_t *node, conf_route_t *route);
static int conf_route_alias(conf_reader_t *cr, conf_t *conf,
    conf_route_t *route);
static void conf_inherit(conf_t *table, const conf_t *conf);
static int conf_route_targets(conf_reader_t *cr, conf_t *conf);
static int conf_compare_tables(const void *a, const void *b);
static int conf_compare_routes(const void *a, const void *b);


int
conf_route_path(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope)
{
    conf_t      *conf = scope;
    const char  *s, *reason;

    (void) key;

    s = cJSON_IsString(node->item) ? node->item->valuestring : "?";
    conf->route_pointer = json_pointer_compile(s, strlen(s), &reason);

    if (conf->route_pointer == NULL) {
        return conf_fail(cr, node->token, "\"route.path\" must be a JSON "
                         "Pointer: %s", reason);
    }

    return 0;
}


int
conf_route_tables(conf_reader_t *cr, const conf_key_t *key,
    const conf_node_t *node, void *scope)
{
    int          n;
    conf_t      *conf = scope;
    conf_iter_t  iter;
    conf_node_t  name, value;

    (void) key;

    n = cJSON_IsObject(node->item) ? cJSON_GetArraySize(node->item) : 0;

    if (n == 0 || n > CONF_ROUTES_MAX) {
        return conf_fail(cr, node->token, "\"route.tables\" must be an object "
                         "of 1 to %d tables", CONF_ROUTES_MAX);
    }

    conf->routes = calloc((size_t) n, sizeof(conf_route_t));
    if (conf->routes == NULL) {
        return conf_fail(cr, 0, "out of memory");
    }

    conf_iter_init(&iter, node);

    while (conf_iter_next(cr, &iter, &name, &value)) {
        if (conf_route(cr, &name, &value, &conf->routes[conf->nroutes++])
            == -1)
        {
            return -1;
        }
    }

    return 0;
}


/* A table, or the name of another value that goes into the same one. */

static int
conf_route(conf_reader_t *cr, const conf_node_t *name, conf_node_t *node,
    conf_route_t *route)
{
    route->token = name->token;
    route->value = strdup(name->item->string);

    if (route->value == NULL) {
        return conf_fail(cr, 0, "out of memory");
    }

    if (cJSON_IsString(node->item)) {
        route->alias = strdup(node->item->valuestring);
        return route->alias ? 0 : conf_fail(cr, 0, "out of memory");
    }

    if (!cJSON_IsObject(node->item)) {
        return conf_fail(cr, node->token, "a table of \"route\" must be an "
                         "object, or the value of another one");
    }

    route->conf = calloc(1, sizeof(conf_t));
    if (route->conf == NULL) {
        return conf_fail(cr, 0, "out of memory");
    }

    return conf_walk(cr, node, "route.tables.*.", route->conf);
}


/* What is the table's own stays, all else is the configuration's. */

static void
conf_inherit(conf_t *table, const conf_t *conf)
{
    conf_t  own;

    own = *table;
    *table = *conf;

    table->table = own.table;
    table->table_schema = own.table_schema;
    table->table_name = own.table_name;
    table->columns = own.columns;
    table->ncolumns = own.ncolumns;
    table->columns_auto = own.columns_auto;
    table->rest = own.rest;
    table->create_table = own.create_table;
    table->evolve = own.evolve;
    table->mode = own.mode;
    table->key = own.key;
    table->newer = own.newer;
    table->targets = NULL;
    table->ntargets = 0;
    table->routes = NULL;
    table->nroutes = 0;
}


static int
conf_route_alias(conf_reader_t *cr, conf_t *conf, conf_route_t *route)
{
    size_t  i;

    for (i = 0; i < conf->nroutes; i++) {
        if (conf->routes[i].alias == NULL
            && strcmp(conf->routes[i].value, route->alias) == 0)
        {
            route->conf = conf->routes[i].conf;
            return 0;
        }
    }

    return conf_fail(cr, route->token, "\"%s\" of \"route.tables\" names "
                     "\"%s\", which has no table there", route->value,
                     route->alias);
}


int
conf_complete_route(conf_reader_t *cr, conf_t *conf)
{
    size_t         i;
    conf_route_t  *route;

    if (conf->nroutes == 0) {
        return conf_route_targets(cr, conf);
    }

    if ((conf->route_pointer != NULL) + (conf->route_header != NULL) != 1) {
        return conf_fail(cr, conf_place(cr, "route"), "\"route\" needs one of "
                         "\"path\" and \"header\"");
    }

    if ((conf->route_default == CONF_ROUTE_TABLE) != (conf->table != NULL)) {
        return conf_fail(cr, conf_place(cr, "route"), conf->table
                         ? "\"table\" beside \"route\" takes the rest, so "
                           "\"route.default\" must be \"table\""
                         : "\"route.default\" \"table\" needs \"table\" and "
                           "\"columns\"");
    }

    for (i = 0; i < conf->nroutes; i++) {
        route = &conf->routes[i];

        if (route->alias == NULL) {
            conf_inherit(route->conf, conf);
            if (conf_complete_record(cr, route->conf) == -1
                || conf_check_mode(cr, route->conf, route->token) == -1)
            {
                return -1;
            }
        }
    }

    for (i = 0; i < conf->nroutes; i++) {
        if (conf->routes[i].alias
            && conf_route_alias(cr, conf, &conf->routes[i]) == -1)
        {
            return -1;
        }
    }

    return conf_route_targets(cr, conf);
}


/* In the order of their names: all daemons lock tables alike. */

static int
conf_route_targets(conf_reader_t *cr, conf_t *conf)
{
    size_t         i, n;
    conf_route_t  *route;

    conf->targets = calloc(conf->nroutes + 1, sizeof(conf_t *));
    if (conf->targets == NULL) {
        return conf_fail(cr, 0, "out of memory");
    }

    if (conf->table) {
        conf->targets[conf->ntargets++] = conf;
    }

    for (i = 0; i < conf->nroutes; i++) {
        if (conf->routes[i].alias == NULL) {
            conf->targets[conf->ntargets++] = conf->routes[i].conf;
        }
    }

    if (conf->ntargets > CONF_TABLES_MAX) {
        return conf_fail(cr, conf_place(cr, "route"), "\"route\" has more than "
                         "%d tables", CONF_TABLES_MAX);
    }

    qsort(conf->targets, conf->ntargets, sizeof(conf_t *),
          conf_compare_tables);

    for (i = 1; i < conf->ntargets; i++) {
        if (conf_compare_tables(&conf->targets[i - 1], &conf->targets[i]) == 0
            && (conf->targets[i - 1]->mode || conf->targets[i]->mode))
        {
            return conf_fail(cr, conf_place(cr, "route"), "table \"%s\" is "
                             "there twice, and rows that meet need one order: "
                             "let one value name the other",
                             conf->targets[i]->table);
        }
    }

    for (i = 0; i < conf->nroutes; i++) {
        route = &conf->routes[i];

        for (n = 0; conf->targets[n] != route->conf; n++) { /* void */ }

        route->target = (uint16_t) n;
    }

    if (conf->nroutes) {
        qsort(conf->routes, conf->nroutes, sizeof(conf_route_t),
              conf_compare_routes);
    }

    if (conf->table == NULL) {
        /* offsets need a name; no table can have this one by accident */
        conf->table = strdup("(route)");
        return conf->table ? 0 : conf_fail(cr, 0, "out of memory");
    }

    return 0;
}


static int
conf_compare_tables(const void *a, const void *b)
{
    const conf_t *const *p = a, *const *q = b;

    return strcmp((*p)->table, (*q)->table);
}


static int
conf_compare_routes(const void *a, const void *b)
{
    const conf_route_t  *p = a, *q = b;

    return strcmp(p->value, q->value);
}


void
conf_route_free(conf_t *conf)
{
    size_t         i, n;
    conf_t        *table;
    conf_route_t  *route;

    for (i = 0; i < conf->nroutes; i++) {
        route = &conf->routes[i];
        table = route->alias ? NULL : route->conf;

        if (table) {
            for (n = 0; n < table->ncolumns; n++) {
                conf_column_release(&table->columns[n]);
            }

            conf_release("route.tables.*.", table);
            free(table->columns);
            free(table->table);
            free(table->table_schema);
            free(table->table_name);
            free(table);
        }

        free(route->value);
        free(route->alias);
    }

    free(conf->routes);
    free(conf->targets);
    json_pointer_free(conf->route_pointer);
}
