/* Setters of "$schema", "postgres", "start", "listen", "where", "registry". */

#include <string.h>

#include "base/text.h"
#include "conf/setters.h"
#include "conf/units.h"


#define CONF_PARTS_MAX  64    /* conditions of one "all" or "any" */


int
conf_set_ignored(conf_reader_t *cr, const conf_key_t *key, uint32_t token,
    void *scope)
{
    return conf_type(cr, token) == JSON_STRING
           ? 0 : conf_must(cr, key, token, "a string");
}


int
conf_set_postgres(conf_reader_t *cr, const conf_key_t *key, uint32_t token,
    void *scope)
{
    conf_t  *conf = scope;

    if (conf_type(cr, token) != JSON_STRING) {
        return conf_must(cr, key, token, "a string or { \"file\": PATH }");
    }

    conf->postgres = conf_expand(cr, token);
    conf->postgres_file = cr->words[token].file;

    return conf->postgres ? 0 : -1;
}


int
conf_set_start(conf_reader_t *cr, const conf_key_t *key, uint32_t token,
    void *scope)
{
    conf_t  *conf = scope;

    conf->start_text = conf_string(cr, token);

    if (strcmp(conf->start_text, "earliest") == 0) {
        conf->start = CONF_START_EARLIEST;

    } else if (strcmp(conf->start_text, "latest") == 0) {
        conf->start = CONF_START_LATEST;

    } else if (conf_parse_date(conf->start_text, &conf->start_time) == 0) {
        conf->start = CONF_START_TIME;

    } else {
        return conf_must(cr, key, token, "\"earliest\", \"latest\" or a time "
                         "such as \"2026-01-31T12:00:00Z\"");
    }

    return 0;
}


int
conf_set_listen(conf_reader_t *cr, const conf_key_t *key, uint32_t token,
    void *scope)
{
    char        *s, *colon;
    conf_t      *conf = scope;
    int64_t      port;
    const char  *digits;

    s = conf_string(cr, token);
    colon = strrchr(s, ':');
    digits = colon ? colon + 1 + strspn(colon + 1, " ") : "";

    if (colon == NULL || colon == s
        || text_get_int(digits, strlen(digits), 8, &port) != 0
        || port < 1 || port > 65535)
    {
        return conf_must(cr, key, token, "ADDRESS:PORT such as "
                         "\"127.0.0.1:9465\"");
    }

    conf->listen = s;
    conf->listen_port = (uint16_t) port;
    conf->listen_host = s[0] == '[' && colon[-1] == ']'
                        ? conf_copy(cr, s + 1, (size_t) (colon - s) - 2)
                        : conf_copy(cr, s, (size_t) (colon - s));

    return conf->listen_host ? 0 : -1;
}


/* The password or the header, and its file. */

int
conf_set_registry_secret(conf_reader_t *cr, const conf_key_t *key,
    uint32_t token, void *scope)
{
    char    *value;
    conf_t  *conf = scope;

    if (conf_type(cr, token) != JSON_STRING) {
        return conf_must(cr, key, token, "a string or { \"file\": PATH }");
    }

    value = conf_expand(cr, token);
    if (value == NULL) {
        return -1;
    }

    if (strcspn(value, "\r\n") < strlen(value)) {
        return conf_must(cr, key, token, "one line");
    }

    if (strcmp(key->path, "registry.password") == 0) {
        conf->registry_password = value;
        conf->registry_password_file = cr->words[token].file;

    } else {
        conf->registry_authorization = value;
        conf->registry_authorization_file = cr->words[token].file;
    }

    return 0;
}


/* Of a field or header, what is asked of it; or of other conditions, one. */

static int
conf_condition(conf_reader_t *cr, uint32_t token, conf_where_t *where)
{
    unsigned  given, asked, parts;

    if (conf_type(cr, token) != JSON_OBJECT) {
        return conf_fail(cr, token, "a condition of \"where\" must be an "
                         "object");
    }

    if (conf_walk(cr, token, "where", where) == -1) {
        return -1;
    }

    given = conf_given(cr, token, "path|header");
    asked = conf_given(cr, token, "equals|in|exists");
    parts = conf_given(cr, token, "all|any");

    return given + parts == 1 && asked == given
           ? 0 : conf_fail(cr, token, "\"where\" needs one of \"path\" and "
                           "\"header\", and one of \"equals\", \"in\" and "
                           "\"exists\"; or one of \"all\" and \"any\" alone");
}


/* Numbers the fields that are asked. */

static void
conf_number_fields(conf_where_t *where, uint32_t *n)
{
    size_t  i;

    where->field = *n;
    *n += where->pointer != NULL;

    for (i = 0; i < where->nparts; i++) {
        conf_number_fields(&where->parts[i], n);
    }
}


int
conf_set_where(conf_reader_t *cr, const conf_key_t *key, uint32_t token,
    void *scope)
{
    conf_t  *conf = scope;

    /* an empty one takes every record */

    if ((conf_type(cr, token) != JSON_OBJECT || conf_count(cr, token))
        && conf_condition(cr, token, &conf->where) == -1)
    {
        return -1;
    }

    conf_number_fields(&conf->where, &conf->nwhere);

    return 0;
}


int
conf_set_delete_when(conf_reader_t *cr, const conf_key_t *key,
    uint32_t token, void *scope)
{
    conf_t  *conf = scope;

    if (conf_condition(cr, token, &conf->delete_when) == -1) {
        return -1;
    }

    conf_number_fields(&conf->delete_when, &conf->ndelete_when);
    conf->deletes = true;

    return 0;
}


/* The conditions of "all" or "any". */

int
conf_set_parts(conf_reader_t *cr, const conf_key_t *key, uint32_t token,
    void *scope)
{
    size_t         n;
    uint32_t       i;
    conf_where_t  *where = scope;

    n = conf_type(cr, token) == JSON_ARRAY ? conf_count(cr, token) : 0;

    if (n < 1 || n > CONF_PARTS_MAX) {
        return conf_must(cr, key, token, "an array of 1 to 64 conditions");
    }

    where->any = strcmp(key->path, "where.any") == 0;
    where->nparts = 0;
    where->parts = conf_alloc(cr, n * sizeof(conf_where_t));
    if (where->parts == NULL) {
        return -1;
    }

    for (i = token + 1; where->nparts < n; i = conf_next(cr, token, i)) {
        if (conf_condition(cr, i, &where->parts[where->nparts++]) == -1) {
            return -1;
        }
    }

    return 0;
}


/* One value of "equals", or the elements of "in". */

int
conf_set_values(conf_reader_t *cr, const conf_key_t *key, uint32_t token,
    void *scope)
{
    bool           in;
    char          *s;
    size_t         n;
    uint32_t       i;
    conf_where_t  *where = scope;
    conf_value_t  *value;

    in = strcmp(key->path, "where.in") == 0;
    n = in ? 0 : 1;

    if (in && conf_type(cr, token) == JSON_ARRAY) {
        n = conf_count(cr, token);
    }

    if (n == 0) {
        return conf_must(cr, key, token, "an array with at least one value");
    }

    if (!in && conf_resolve(cr, token) == -1) {
        return -1;
    }

    where->nvalues = 0;
    where->values = conf_alloc(cr, n * sizeof(conf_value_t));
    if (where->values == NULL) {
        return -1;
    }

    for (i = in ? token + 1 : token; where->nvalues < n;
         i = conf_next(cr, token, i))
    {
        s = cr->words[i].text;

        if (s == NULL) {
            return conf_fail(cr, token, "what \"where\" compares with must be "
                             "a string, a number, true, false or null");
        }

        value = &where->values[where->nvalues++];
        value->type = conf_type(cr, i);
        value->text = s;
        value->len = strlen(s);

        if (value->type == JSON_NUMBER) {
            json_number(s, s + value->len, &value->number);
        }
    }

    return 0;
}
