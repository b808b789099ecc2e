/* Checks that need more than one key of the configuration. */

#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "conf/check.h"
#include "conf/types.h"


#define CONF_TABLES_MAX  64      /* of one route */


static int conf_check_table(conf_reader_t *cr, conf_t *conf, uint32_t place);
static int conf_check_columns(conf_reader_t *cr, conf_t *conf);
static void conf_inherit(const conf_t *conf, conf_column_t *column);
static int conf_check_column(conf_reader_t *cr, const conf_t *conf,
    const conf_column_t *column);
static int conf_check_type(conf_reader_t *cr, const conf_t *conf,
    const conf_column_t *column);
static int conf_check_fields(conf_reader_t *cr, const conf_t *conf);
static int conf_check_each(conf_reader_t *cr, const conf_t *conf,
    uint32_t place);
static int conf_check_mode(conf_reader_t *cr, const conf_t *conf,
    uint32_t place);
static int conf_check_named(conf_reader_t *cr, const conf_t *conf,
    uint32_t place, const char *key, const char *name);
static int conf_check_registry(conf_reader_t *cr, const conf_t *conf);
static bool conf_is_url(const char *s);
static int conf_check_route(conf_reader_t *cr, conf_t *conf);
static int conf_route_alias(conf_reader_t *cr, const conf_t *conf,
    conf_route_t *route);
static int conf_targets(conf_reader_t *cr, conf_t *conf);
static int conf_compare_tables(const void *a, const void *b);
static int conf_compare_routes(const void *a, const void *b);


/* The token of a key outside "route", for messages. */

static uint32_t
conf_place(const conf_reader_t *cr, const char *key)
{
    uint32_t  value;

    value = json_member(&cr->doc, 0, key, strlen(key));

    return value == JSON_NONE ? 0 : value - 1;
}


/* Whether a topic is named; a pattern leaves out what the daemon writes. */

static bool
conf_reads(const conf_t *conf, const char *topic)
{
    size_t  i;

    for (i = 0; i < conf_topics(conf); i++) {
        if (strcmp(conf_topic(conf, i), topic) == 0) {
            return true;
        }
    }

    return false;
}


int
conf_check(conf_reader_t *cr, conf_t *conf)
{
    PQconninfoOption  *options;

    if (conf_check_topics(cr, conf) == -1) {
        return -1;
    }

    if (conf_property(conf, "bootstrap.servers") == NULL
        && conf_property(conf, "metadata.broker.list") == NULL)
    {
        return conf_fail(cr, 0, "property \"bootstrap.servers\" of \"kafka\" "
                         "is missing");
    }

    if (conf->dead_topic && conf_reads(conf, conf->dead_topic)) {
        return conf_fail(cr, 0, "\"dead_letters.topic\" cannot be \"topic\": "
                         "the daemon would read its own dead letters");
    }

    if (conf->receipts_topic
        && (conf_reads(conf, conf->receipts_topic)
            || (conf->dead_topic
                && strcmp(conf->receipts_topic, conf->dead_topic) == 0)))
    {
        return conf_fail(cr, 0, "\"receipts.topic\" needs a topic of its own: "
                         "it cannot be \"topic\" or \"dead_letters.topic\"");
    }

    /* libpq's own message may hold a part of the password */
    options = PQconninfoParse(conf->postgres, NULL);
    if (options == NULL) {
        return conf_fail(cr, 0, "key \"postgres\" is not a conninfo string or "
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
    }

    if (conf_check_registry(cr, conf) == -1
        || conf_check_table(cr, conf, 0) == -1
        || (conf->nroutes && conf_check_route(cr, conf) == -1))
    {
        return -1;
    }

    return conf_targets(cr, conf) == -1
           || (conf->several && conf_fill_topics(cr, conf) == -1) ? -1 : 0;
}


/* One table's own keys; "place" is the table's, 0 for the configuration's. */

static int
conf_check_table(conf_reader_t *cr, conf_t *conf, uint32_t place)
{
    return conf_check_columns(cr, conf) == -1
           || conf_check_fields(cr, conf) == -1
           || conf_check_mode(cr, conf, place) == -1
           || conf_check_grow(cr, conf, place) == -1
           || (conf->each && conf_check_each(cr, conf, place) == -1) ? -1 : 0;
}


/* What the elements of one record have in common cannot be their key. */

static int
conf_check_each(conf_reader_t *cr, const conf_t *conf, uint32_t place)
{
    bool                  apart;
    size_t                i;
    const conf_column_t  *column;

    place = place ? place : conf_place(cr, "each");

    if (conf->mode == CONF_MODE_UPSERT_DELETE || conf->mode == CONF_MODE_UPDATE)
    {
        return conf_fail(cr, place, "\"each\" goes with \"mode\" append, "
                         "ignore and upsert: in the others a record is one "
                         "row");
    }

    apart = conf->key.n == 0 || conf->columns_auto;

    for (i = 0; i < conf->ncolumns; i++) {
        column = &conf->columns[i];

        if (conf_is_key(&conf->key, column->name)) {
            apart |= column->from == CONF_FROM_ELEMENT
                     || (column->from == CONF_FROM_PATH
                         && column->root != CONF_ROOT_RECORD);
        }
    }

    return apart ? 0 : conf_fail(cr, place, "\"key\" is the same for all "
                                 "elements of a record: add a column with "
                                 "\"meta\": \"element\" to it");
}


/* Checks each column, then adds that of "rest" to them. */

static int
conf_check_columns(conf_reader_t *cr, conf_t *conf)
{
    bool            filled, twice;
    size_t          i;
    conf_column_t  *column;

    if (conf->columns_auto && conf->create_table) {
        return conf_fail(cr, 0, "\"create_table\" cannot create a table whose "
                         "\"columns\" are \"auto\"");
    }

    filled = conf->ncolumns == 0;
    twice = false;

    for (i = 0; i < conf->ncolumns; i++) {
        column = &conf->columns[i];
        cr->column = column->name;

        conf_inherit(conf, column);

        if (conf_check_column(cr, conf, column) == -1
            || conf_check_type(cr, conf, column) == -1)
        {
            return -1;
        }

        filled |= column->from != CONF_FROM_IDENTITY;
        twice |= conf->rest && strcmp(column->name, conf->rest) == 0;
    }

    cr->column = NULL;

    if (!filled) {
        /* the tokens of the first name and of "columns" precede it */
        return conf_fail(cr, conf->columns[0].token - 2, "no column of "
                         "\"columns\" is filled from the record");
    }

    if (twice) {
        return conf_fail(cr, 0, "\"rest\" and \"columns\" both fill column "
                         "\"%s\"", conf->rest);
    }

    if (conf->rest && conf->ncolumns) {
        column = &conf->columns[conf->ncolumns++];
        column->from = CONF_FROM_REST;
        column->name = conf->rest;
    }

    return 0;
}


/* Sources that always have a value. */

static bool
conf_is_there(const conf_column_t *column)
{
    return column->from == CONF_FROM_TOPIC
           || column->from == CONF_FROM_PARTITION
           || column->from == CONF_FROM_OFFSET
           || column->from == CONF_FROM_HEADERS
           || column->from == CONF_FROM_ELEMENT
           || column->from == CONF_FROM_CONSTANT
           || column->from == CONF_FROM_IDENTITY;
}


/* The table's "on_missing", for a column that does not say. */

static void
conf_inherit(const conf_t *conf, conf_column_t *column)
{
    if (column->on_missing == CONF_ON_UNSET && !column->required
        && column->fallback == NULL && !conf_is_there(column)
        && (conf->on_missing == CONF_ON_REJECT
            || conf_may_keep(conf, column->name)))
    {
        column->on_missing = conf->on_missing;
    }
}


static int
conf_check_column(conf_reader_t *cr, const conf_t *conf,
    const conf_column_t *column)
{
    bool         always;
    type_kind_t  kind;

    kind = column->type ? type_kind(column->type) : TYPE_OTHER;
    always = conf_is_there(column);

    const conf_rule_t  rules[] = {
        { conf_type(cr, column->token) == JSON_OBJECT
          && conf_given(cr, column->token,
                        "path|key|meta|header|constant|generated") != 1,
          "it needs one of \"path\", \"key\", \"meta\", \"header\", "
          "\"constant\" and \"generated\"" },

        { column->required && column->fallback,
          "it cannot be required and have a default" },

        { column->required && (column->on_missing || column->on_null),
          "\"required\" already decides \"on_missing\" and \"on_null\"" },

        { always && (column->fallback || column->on_missing
                     || column->on_null),
          "a value that is always there takes no \"default\", "
          "\"on_missing\" or \"on_null\"" },

        { column->from == CONF_FROM_ELEMENT && conf->each == NULL,
          "\"element\" goes with \"each\"" },

        { column->root && (conf->each == NULL || column->pointer == NULL),
          "\"root\" goes with \"path\", in a table with \"each\"" },

        { column->on_null == CONF_ON_JSON && column->from != CONF_FROM_PATH,
          "\"on_null\" \"json\" goes with \"path\": elsewhere is no null of "
          "JSON" },

        { (column->on_missing == CONF_ON_KEEP
           || column->on_null == CONF_ON_KEEP)
          && !conf_may_keep(conf, column->name),
          conf->mode < CONF_MODE_UPSERT
          ? "\"keep\" goes with \"mode\" upsert, upsert_delete and update"
          : "a column of \"key\" or \"newer\" cannot \"keep\" what is "
            "there" },

        { !column->fallback && (column->on_missing == CONF_ON_DEFAULT
                                || column->on_null == CONF_ON_DEFAULT),
          "it has no \"default\"" },

        { column->fallback && column->on_missing
          && column->on_missing != CONF_ON_DEFAULT
          && column->on_null != CONF_ON_DEFAULT,
          "its \"default\" is never used" },

        { (column->ntransforms || column->unit)
          && (column->from == CONF_FROM_TIMESTAMP
              || (always && column->from != CONF_FROM_TOPIC)),
          "\"transform\" and \"unit\" go only with \"path\", \"key\", "
          "\"header\", and \"meta\" key, value and topic" },

        { column->encoding && column->from != CONF_FROM_PATH
          && column->from != CONF_FROM_KEY_FIELD,
          "\"encoding\" goes only with \"path\" and \"key\"" },

        { column->from == CONF_FROM_IDENTITY
          && (column->required
              || (column->type && kind != TYPE_SMALLINT
                  && kind != TYPE_INTEGER && kind != TYPE_BIGINT)),
          "an identity column has a whole number's type and no other key" }
    };

    return conf_rules(cr, column->token, rules,
                            sizeof(rules) / sizeof(rules[0]));
}


/* Whether a type is one of PostgreSQL's, only its catalogue can tell. */

static int
conf_check_type(conf_reader_t *cr, const conf_t *conf,
    const conf_column_t *column)
{
    const char  *near;

    if (column->type == NULL || type_is_word(column->type)
        || conf->create_table || conf->evolve == CONF_EVOLVE_ADD)
    {
        return 0;
    }

    near = type_nearest(column->type);

    return conf_fail(cr, column->token,
                     near ? "unknown type, did you mean \"%s\"?"
                     : "a \"type\" that the manual does not list goes with "
                       "\"create_table\" and \"evolve\" only: a table that "
                       "is there has its own%s", near ? near : "");
}


static int
conf_check_fields(conf_reader_t *cr, const conf_t *conf)
{
    bool    fields;
    size_t  i;

    if (conf->format != CONF_FORMAT_TEXT && conf->format != CONF_FORMAT_BYTES)
    {
        return 0;
    }

    fields = conf->columns_auto || conf->nwhere || conf->ndelete_when
             || conf->each;

    for (i = 0; i < conf->ncolumns; i++) {
        fields |= conf->columns[i].from == CONF_FROM_PATH
                  || conf->columns[i].from == CONF_FROM_REST;
    }

    return !fields
           ? 0 : conf_fail(cr, 0, "a value of \"format\" \"%s\" has no "
                           "fields: columns take it whole by \"meta\": "
                           "\"value\"", conf->format == CONF_FORMAT_TEXT
                                        ? "text" : "bytes");
}


static int
conf_check_mode(conf_reader_t *cr, const conf_t *conf, uint32_t place)
{
    size_t    i;
    uint32_t  key, newer;

    key = place ? place : conf_place(cr, "key");
    newer = place ? place : conf_place(cr, "newer");

    if (conf->deletes && conf->table_name
        && conf->mode != CONF_MODE_UPSERT_DELETE)
    {
        return conf_fail(cr, place ? place : conf_place(cr, "delete_when"),
                         "\"delete_when\" goes with \"mode\" "
                         "upsert_delete");
    }

    if (conf->key.n == 0 && conf->mode >= CONF_MODE_UPSERT) {
        return conf_fail(cr, place ? place : conf_place(cr, "mode"),
                         "this \"mode\" needs \"key\"");
    }

    if (conf->key.n && conf->mode == CONF_MODE_APPEND) {
        return conf_fail(cr, key, "\"key\" goes with \"mode\" ignore, "
                         "upsert, upsert_delete and update");
    }

    if (conf->on_missing == CONF_ON_KEEP && conf->mode < CONF_MODE_UPSERT) {
        return conf_fail(cr, place ? place : conf_place(cr, "on_missing"),
                         "\"keep\" goes with \"mode\" upsert, "
                         "upsert_delete and update");
    }

    if (conf->absent && conf->mode != CONF_MODE_UPDATE) {
        return conf_fail(cr, place ? place : conf_place(cr, "absent"),
                         "\"absent\" goes with \"mode\" update");
    }

    if (conf->newer && conf->mode < CONF_MODE_UPSERT) {
        return conf_fail(cr, newer, "\"newer\" goes with \"mode\" upsert, "
                         "upsert_delete and update");
    }

    for (i = 0; i < conf->key.n; i++) {
        if (conf_check_named(cr, conf, key, "key", conf->key.names[i]) == -1)
        {
            return -1;
        }
    }

    return conf->newer == NULL
           ? 0 : conf_check_named(cr, conf, newer, "newer", conf->newer);
}


static int
conf_check_named(conf_reader_t *cr, const conf_t *conf, uint32_t place,
    const char *key, const char *name)
{
    size_t  i;

    /* "auto": the columns are the table's, which is read later */

    if (conf->columns_auto) {
        return 0;
    }

    for (i = 0; i < conf->ncolumns; i++) {
        if (strcmp(conf->columns[i].name, name) == 0
            && conf->columns[i].from != CONF_FROM_IDENTITY)
        {
            return 0;
        }
    }

    return conf_fail(cr, place, "\"%s\" names \"%s\", which is not a column "
                     "filled from the record", key, name);
}


static int
conf_check_registry(conf_reader_t *cr, const conf_t *conf)
{
    bool      avro, url;
    size_t    i;
    uint32_t  place;

    place = conf_place(cr, "registry");

    if (place == 0) {
        return 0;
    }

    avro = conf->registry_value == CONF_FRAME_AVRO
           || conf->registry_key == CONF_FRAME_AVRO;
    url = true;

    for (i = 0; i < conf->registry_url.n; i++) {
        url &= conf_is_url(conf->registry_url.names[i]);
    }

    const conf_rule_t  rules[] = {
        { conf->registry_value == CONF_FRAME_PLAIN
          && conf->registry_key == CONF_FRAME_PLAIN,
          "\"registry\" needs a \"value\" or \"key\" that is json or avro" },

#if !(SLUICE_CURL)
        { avro,
          "this sluice-consumer is built without libcurl, and Avro needs it "
          "to ask the registry: build it with libcurl's headers installed" },
#endif

        { avro && conf->registry_url.n == 0,
          "Avro needs \"registry.url\", for the schemas" },

        { !url,
          "\"registry.url\" takes URLs such as \"https://registry:8081\", "
          "without a user and a password" },

        { (conf->registry_user != NULL) != (conf->registry_password != NULL),
          "\"registry.user\" and \"registry.password\" go together" },

        { conf->registry_user && conf->registry_authorization,
          "\"registry.user\" and \"registry.authorization\" both fill one "
          "header" },

        { (conf->registry_certificate != NULL)
          != (conf->registry_certificate_key != NULL),
          "\"registry.certificate\" and \"registry.certificate_key\" go "
          "together" }
    };

    return conf_rules(cr, place, rules,
                      sizeof(rules) / sizeof(rules[0]));
}


static bool
conf_is_url(const char *s)
{
    size_t  n;

    n = strncmp(s, "http://", 7) == 0 ? 7
        : strncmp(s, "https://", 8) == 0 ? 8 : 0;

    return n && s[n] && s[n] != '/' && strpbrk(s, "@?# \t\r\n") == NULL;
}


static int
conf_check_route(conf_reader_t *cr, conf_t *conf)
{
    size_t         i;
    uint32_t       place;
    conf_route_t  *route;

    place = conf_place(cr, "route");

    if (conf_given(cr, place + 1, "path|header") != 1) {
        return conf_fail(cr, place, "\"route\" needs one of \"path\" and "
                         "\"header\"");
    }

    if ((conf->route_default == CONF_ROUTE_TABLE) != (conf->table != NULL)) {
        return conf_fail(cr, place, conf->table
                         ? "\"table\" beside \"route\" takes the rest, so "
                           "\"route.default\" must be \"table\""
                         : "\"route.default\" \"table\" needs \"table\" and "
                           "\"columns\"");
    }

    for (i = 0; i < conf->nroutes; i++) {
        route = &conf->routes[i];

        if (route->alias) {
            continue;
        }

        /* the rest is the same in each table */
        memcpy((char *) route->conf + offsetof(conf_t, file),
               (char *) conf + offsetof(conf_t, file),
               sizeof(conf_t) - offsetof(conf_t, file));

        if (conf_check_table(cr, route->conf, route->token) == -1) {
            return -1;
        }
    }

    for (i = 0; i < conf->nroutes; i++) {
        if (conf->routes[i].alias
            && conf_route_alias(cr, conf, &conf->routes[i]) == -1)
        {
            return -1;
        }
    }

    return 0;
}


static int
conf_route_alias(conf_reader_t *cr, const conf_t *conf, conf_route_t *route)
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


/* Sorts the tables by name, so that all daemons lock them in one order. */

static int
conf_targets(conf_reader_t *cr, conf_t *conf)
{
    size_t         i, n;
    uint32_t       place;
    conf_route_t  *route;

    place = conf_place(cr, "route");
    conf->targets = conf_alloc(cr, (conf->nroutes + 1) * sizeof(conf_t *));
    if (conf->targets == NULL) {
        return -1;
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
        return conf_fail(cr, place, "\"route\" has more than %d tables",
                         CONF_TABLES_MAX);
    }

    qsort(conf->targets, conf->ntargets, sizeof(conf_t *),
          conf_compare_tables);

    for (i = 1; i < conf->ntargets; i++) {
        if (conf_compare_tables(&conf->targets[i - 1], &conf->targets[i]) == 0
            && (conf->targets[i - 1]->mode || conf->targets[i]->mode))
        {
            return conf_fail(cr, place, "table \"%s\" is there twice, and rows "
                             "of one key need one order: let one value name "
                             "the other", conf->targets[i]->table);
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
        /* offsets need a name that no table has by accident */
        conf->table = (char *) "(route)";
    }

    return 0;
}


static int
conf_compare_tables(const void *a, const void *b)
{
    const conf_t *const  *p = a, *const *q = b;

    return strcmp((*p)->table, (*q)->table);
}


static int
conf_compare_routes(const void *a, const void *b)
{
    const conf_route_t  *p = a, *q = b;

    return strcmp(p->value, q->value);
}
