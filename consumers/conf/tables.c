/* Setters of a table's keys: its name, its columns, its values in "route". */

#include <string.h>

#include "conf/setters.h"
#include "conf/types.h"
#include "conf/units.h"


#define CONF_NAME_LEN        63      /* bytes of an SQL name, NAMEDATALEN */
#define CONF_TRANSFORMS_MAX  16      /* of one column */
#define CONF_KEEP_MAX        1000    /* characters "mask" leaves */
#define CONF_ROUTES_MAX      1024    /* values */


static int conf_table_array(conf_reader_t *cr, uint32_t token, conf_t *conf);
static int conf_column(conf_reader_t *cr, uint32_t token,
    conf_column_t *column);
static int conf_transform(conf_reader_t *cr, const conf_key_t *key,
    uint32_t token, conf_transform_t *transform);
static int conf_route(conf_reader_t *cr, uint32_t name, conf_route_t *route);


/*
 * NAME, SCHEMA.NAME or an array of both, each exactly as in the catalogue: not
 * folded to lower case, not read as SQL.
 */

int
conf_set_table(conf_reader_t *cr, const conf_key_t *key, uint32_t token,
    void *scope)
{
    bool         array;
    conf_t      *conf = scope;
    const char  *dot;

    if (conf_resolve(cr, token) == -1) {
        return -1;
    }

    array = conf_type(cr, token) == JSON_ARRAY;

    if (array ? conf_table_array(cr, token, conf) == -1
              : !conf_is_table(conf_string(cr, token), &dot))
    {
        return conf_must(cr, key, token, "NAME, SCHEMA.NAME or [\"SCHEMA\", "
                         "\"NAME\"], names of 1 to 63 bytes; quotes are part "
                         "of a name, so in the array alone");
    }

    if (!array) {
        conf->table = conf_string(cr, token);
        conf->table_name = dot ? conf->table + (dot - conf->table) + 1
                               : conf->table;
        conf->table_schema = dot ? conf_copy(cr, conf->table,
                                             (size_t) (dot - conf->table))
                                 : NULL;

        if (dot && conf->table_schema == NULL) {
            return -1;
        }

    } else if (conf_table_key(cr, conf) == -1) {
        return -1;
    }

    return conf->table_schema == NULL
           || strcmp(conf->table_schema, "sluice") != 0
           ? 0 : conf_fail(cr, token, "\"table\" cannot be in schema "
                           "\"sluice\", which holds Sluice's own tables");
}


static bool
conf_is_name(const char *s, size_t len)
{
    return len >= 1 && len <= CONF_NAME_LEN && s[0] != '\0';
}


bool
conf_is_table(const char *s, const char **dot)
{
    const char  *name;

    *dot = strchr(s, '.');
    name = *dot ? *dot + 1 : s;

    return strchr(s, '"') == NULL && conf_is_name(name, strlen(name))
           && (*dot == NULL || conf_is_name(s, (size_t) (*dot - s)));
}


/* ["NAME"] or ["SCHEMA", "NAME"]. */

static int
conf_table_array(conf_reader_t *cr, uint32_t token, conf_t *conf)
{
    char      *name;
    size_t     n;
    uint32_t   i;

    n = conf_count(cr, token);
    conf->table_schema = NULL;
    conf->table_name = NULL;

    for (i = token + 1; n == 1 || n == 2; i = conf_next(cr, token, i)) {
        name = conf_string(cr, i);

        if (!conf_is_name(name, strlen(name))) {
            return -1;
        }

        conf->table_schema = conf->table_name;
        conf->table_name = name;

        if (conf_next(cr, token, i) == 0) {
            return 0;
        }
    }

    return -1;
}


/*
 * The key of an array's offsets is the string of the same table, if there is
 * one.  Else it is written as in SQL, since no string begins with a quote.
 */

int
conf_table_key(conf_reader_t *cr, conf_t *conf)
{
    char        *p;
    bool         quoted;
    size_t       i;
    const char  *s, *names[2];

    names[0] = conf->table_schema;
    names[1] = conf->table_name;
    s = names[0] ? names[0] : names[1];
    quoted = strchr(s, '.') != NULL || s[0] == '"';

    conf->table = conf_alloc(cr, 4 * CONF_NAME_LEN + sizeof("\"\".\"\""));
    if (conf->table == NULL) {
        return -1;
    }

    for (p = conf->table, i = names[0] == NULL; i < 2; i++) {

        if (p != conf->table) {
            *p++ = '.';
        }

        if (quoted) {
            *p++ = '"';
        }

        for (s = names[i]; *s; *p++ = *s++) {
            if (quoted && *s == '"') {
                *p++ = '"';
            }
        }

        if (quoted) {
            *p++ = '"';
        }
    }

    return 0;
}


int
conf_set_columns(conf_reader_t *cr, const conf_key_t *key, uint32_t token,
    void *scope)
{
    int             rc;
    size_t          n;
    conf_t         *conf = scope;
    uint32_t        name;
    conf_column_t  *column;

    if (strcmp(conf_string(cr, token), "auto") == 0) {
        conf->columns_auto = true;
        return 0;
    }

    n = conf_type(cr, token) == JSON_OBJECT ? conf_count(cr, token) : 0;
    if (n == 0) {
        return conf_must(cr, key, token, "\"auto\" or an object with at least "
                         "one column");
    }

    /* one more, for the column of "rest" */
    conf->columns = conf_alloc(cr, (n + 1) * sizeof(conf_column_t));
    if (conf->columns == NULL) {
        return -1;
    }

    for (name = token + 1; name; name = conf_next(cr, token, name)) {
        column = &conf->columns[conf->ncolumns++];
        column->name = cr->words[name].text;
        column->token = name + 1;

        if (!conf_is_name(column->name, strlen(column->name))) {
            return conf_fail(cr, name, "a column's name must have 1 to %d "
                             "bytes",
                             CONF_NAME_LEN);
        }

        cr->column = column->name;
        rc = conf_column(cr, name + 1, column);
        cr->column = rc == -1 ? cr->column : NULL;

        if (rc == -1) {
            return -1;
        }
    }

    return 0;
}


/* A string is short for an object with that "path". */

static int
conf_column(conf_reader_t *cr, uint32_t token, conf_column_t *column)
{
    if (conf_resolve(cr, token) == -1) {
        return -1;
    }

    if (conf_type(cr, token) == JSON_STRING) {
        column->pointer = conf_pointer(cr, token);
        column->path = cr->words[token].text;
        return column->pointer ? 0 : -1;
    }

    if (conf_type(cr, token) != JSON_OBJECT) {
        return conf_fail(cr, token, "it must be a JSON Pointer or an object");
    }

    if (conf_walk(cr, token, "columns.*", column) == -1) {
        return -1;
    }

    if (column->pointer) {
        column->path = cr->words[json_member(&cr->doc, token, "path", 4)].text;

    } else if (column->key) {
        column->from = CONF_FROM_KEY_FIELD;

    } else if (column->header) {
        column->from = CONF_FROM_HEADER;

    } else if (column->constant) {
        column->from = CONF_FROM_CONSTANT;
    }

    return 0;
}


int
conf_set_type(conf_reader_t *cr, const conf_key_t *key, uint32_t token,
    void *scope)
{
    const char     *near;
    type_parts_t    parts;
    conf_column_t  *column = scope;

    column->type = conf_string(cr, token);

    if (type_is_word(column->type) || type_parse(column->type, &parts) == 0) {
        return 0;
    }

    near = type_nearest(column->type);

    return conf_fail(cr, token, near ? "unknown type, did you mean \"%s\"?"
                                     : "unknown type%s", near ? near : "");
}


int
conf_set_transform(conf_reader_t *cr, const conf_key_t *key, uint32_t token,
    void *scope)
{
    bool            array;
    size_t          n;
    uint32_t        i;
    conf_column_t  *column = scope;

    array = conf_type(cr, token) == JSON_ARRAY;
    n = array ? conf_count(cr, token) : 1;

    if (n < 1 || n > CONF_TRANSFORMS_MAX) {
        return conf_must(cr, key, token, "one to 16 transforms");
    }

    column->transforms = conf_alloc(cr, n * sizeof(conf_transform_t));
    if (column->transforms == NULL) {
        return -1;
    }

    for (i = array ? token + 1 : token; column->ntransforms < n;
         i = conf_next(cr, token, i))
    {
        if (conf_transform(cr, key, i,
                           &column->transforms[column->ntransforms++])
            == -1)
        {
            return -1;
        }
    }

    return 0;
}


static int
conf_transform(conf_reader_t *cr, const conf_key_t *key, uint32_t token,
    conf_transform_t *transform)
{
    int       kind;
    int64_t   keep;
    uint32_t  mask;

    mask = conf_count(cr, token) == 1
           ? json_member(&cr->doc, token, "mask", 4) : JSON_NONE;

    if (mask != JSON_NONE) {
        if (conf_type(cr, mask) != JSON_NUMBER
            || conf_parse_count(cr->words[mask].text, &keep) == -1
            || keep < 0 || keep > CONF_KEEP_MAX)
        {
            return conf_fail(cr, token, "\"mask\" must be the number of "
                             "characters that stay, 0 to %d", CONF_KEEP_MAX);
        }

        transform->kind = CONF_MASK;
        transform->keep = (size_t) keep;
        return 0;
    }

    if (conf_type(cr, token) != JSON_STRING) {
        return conf_must(cr, key, token, "trim, lower, upper, sha256, mask, "
                         "{ \"mask\": 4 } or cast");
    }

    kind = conf_choice(cr, key, token);
    transform->kind = CONF_TRIM + (unsigned) kind;

    return kind == -1 ? -1 : 0;
}


int
conf_set_routes(conf_reader_t *cr, const conf_key_t *key, uint32_t token,
    void *scope)
{
    size_t     n;
    conf_t    *conf = scope;
    uint32_t   name;

    n = conf_type(cr, token) == JSON_OBJECT ? conf_count(cr, token) : 0;

    if (n < 1 || n > CONF_ROUTES_MAX) {
        return conf_must(cr, key, token, "an object of 1 to 1024 tables");
    }

    conf->routes = conf_alloc(cr, n * sizeof(conf_route_t));
    if (conf->routes == NULL) {
        return -1;
    }

    for (name = token + 1; name; name = conf_next(cr, token, name)) {
        if (conf_route(cr, name, &conf->routes[conf->nroutes++]) == -1) {
            return -1;
        }
    }

    return 0;
}


/* A table, or another value that has the same table. */

static int
conf_route(conf_reader_t *cr, uint32_t name, conf_route_t *route)
{
    route->token = name;
    route->value = cr->words[name].text;

    switch (conf_type(cr, name + 1)) {

    case JSON_STRING:
        route->alias = cr->words[name + 1].text;
        return 0;

    case JSON_OBJECT:
        route->conf = conf_alloc(cr, sizeof(conf_t));
        return route->conf ? conf_walk(cr, name + 1, "route.tables.*",
                                       route->conf)
                           : -1;

    default:
        return conf_fail(cr, name + 1, "a table of \"route\" must be an "
                         "object, or the value of another one");
    }
}
