/*
 * A record without a value becomes the row to delete; so does one whose value
 * says that it deletes its row.
 */

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "row/change.h"
#include "row/tombstone.h"


struct tombstone_s {
    row_plan_t           *plan;
    row_plan_t           *given;       /* of a record with a value */
    bool                  change;      /* it is one of Debezium's */
    conf_column_t        *columns;     /* the table's, null but for the key */
    unsigned              paths;       /* key columns out of the value */
    const conf_column_t  *path;        /* the last one of these */
    json_doc_t            doc;
    buf_t                 value;
};


static int tombstone_columns(tombstone_t *t, const row_spec_t *spec);
static int tombstone_by_key(tombstone_t *t, const record_t *record,
    bool *tuple, buf_t *text, record_fault_t *fault);
static int tombstone_value(tombstone_t *t, const record_t *record,
    record_fault_t *fault);
static bool tombstone_is_object(tombstone_t *t, const record_t *record);
static void tombstone_nest(buf_t *value, const json_pointer_t *pointer,
    const char *key, size_t len);


tombstone_t *
tombstone_create(const row_spec_t *spec, char *reason, size_t size)
{
    row_spec_t    own;
    tombstone_t  *t;

    snprintf(reason, size, "out of memory");

    t = calloc(1, sizeof(tombstone_t));
    if (t == NULL) {
        return NULL;
    }

    t->change = spec->format == CONF_FORMAT_DEBEZIUM;

    if (tombstone_columns(t, spec) == 0) {
        own = *spec;
        own.columns = t->columns;
        own.delete_when = NULL;
        own.mode = CONF_MODE_APPEND;
        own.where = NULL;

        if (t->change || spec->delete_when) {
            t->given = row_plan_create(&own, reason, size);
            if (t->given == NULL) {
                tombstone_free(t);
                return NULL;
            }
        }

        own.where = spec->where;

        if (!t->change) {
            own.format = CONF_FORMAT_JSON;
        }

        own.no_fields = true;

        t->plan = row_plan_create(&own, reason, size);
    }

    if (t->plan == NULL) {
        tombstone_free(t);
        return NULL;
    }

    return t;
}


void
tombstone_free(tombstone_t *t)
{
    if (t == NULL) {
        return;
    }

    row_plan_free(t->plan);
    row_plan_free(t->given);
    json_doc_free(&t->doc);
    buf_free(&t->value);
    free(t->columns);
    free(t);
}


static int
tombstone_columns(tombstone_t *t, const row_spec_t *spec)
{
    size_t                i;
    conf_column_t        *column;
    const conf_column_t  *own;

    static char  null[] = "null";

    t->columns = calloc(spec->ncolumns, sizeof(conf_column_t));
    if (t->columns == NULL) {
        return -1;
    }

    for (i = 0; i < spec->ncolumns; i++) {
        own = &spec->columns[i];
        column = &t->columns[i];

        if (conf_is_key(spec->key, own->name)) {
            *column = *own;
            column->on_missing = CONF_ON_REJECT;
            column->on_null = CONF_ON_REJECT;

            if (own->from == CONF_FROM_PATH) {
                t->paths++;
                t->path = own;
            }

        } else {
            column->name = own->name;
            column->from = own->from == CONF_FROM_IDENTITY
                           ? CONF_FROM_IDENTITY : CONF_FROM_CONSTANT;
            column->constant = null;
        }
    }

    return 0;
}


int
tombstone_convert(tombstone_t *t, const record_t *record, bool *tuple,
    buf_t *text, record_fault_t *fault)
{
    int   rc;
    bool  wanted;

    if (record->value == NULL) {
        return tombstone_by_key(t, record, tuple, text, fault);
    }

    wanted = *tuple;

    if (t->change && t->paths && tombstone_is_object(t, record)) {
        rc = tombstone_by_key(t, record, tuple, text, fault);

        if (rc != 1) {
            return rc;
        }

        *tuple = wanted;
    }

    return row_convert(t->given, record, tuple, text, fault);
}


static int
tombstone_by_key(tombstone_t *t, const record_t *record, bool *tuple,
    buf_t *text, record_fault_t *fault)
{
    int             rc;
    record_t        made;
    record_fault_t  other;

    made = *record;
    made.value = "{}";
    made.value_len = 2;

    if (t->paths) {
        rc = tombstone_value(t, record, fault);

        if (rc == 1) {
            /* "where" may leave out a record that has no key */
            return row_convert(t->plan, &made, tuple, text, &other)
                   == ROW_FILTERED ? ROW_FILTERED : 1;
        }

        if (rc == -1) {
            return -1;
        }

        made.value = t->value.data;
        made.value_len = t->value.len;
    }

    return row_convert(t->plan, &made, tuple, text, fault);
}


/* Whether the record's key is an object that may have the key's columns. */

static bool
tombstone_is_object(tombstone_t *t, const record_t *record)
{
    uint32_t      root, schema;
    json_error_t  err;

    if (record->key == NULL
        || json_parse(&t->doc, record->key, record->key_len, &err) == -1)
    {
        return false;
    }

    root = t->change ? change_payload(&t->doc, &schema) : 0;

    return t->doc.tokens[root].type == JSON_OBJECT
           && (t->paths > 1 || json_find(&t->doc, root, t->path->pointer)
                               != JSON_NONE);
}


/* Makes a value that holds the key where the plan looks for the key. */

static int
tombstone_value(tombstone_t *t, const record_t *record, record_fault_t *fault)
{
    if (record->key == NULL || record->key_len == 0) {
        return record_fault(fault, "22004", "the record has neither a value "
                            "nor a key, so nothing says which row it is "
                            "about");
    }

    t->value.len = 0;

    if (tombstone_is_object(t, record)) {
        buf_add(&t->value, record->key, record->key_len);

    } else if (t->paths > 1) {
        return record_fault(fault, "22004", "the record has no value, and "
                            "its key is no JSON object with the table's key "
                            "in it");

    } else if (!text_is_utf8(record->key, record->key_len)) {
        return record_fault(fault, "22004", "the record has no value, and "
                            "its key is not UTF-8 text");

    } else {
        tombstone_nest(&t->value, t->path->pointer, record->key,
                       record->key_len);
    }

    if (buf_failed(&t->value)) {
        buf_free(&t->value);
        return -1;
    }

    return 0;
}


/* {"order":{"id":"key"}} for /order/id */

static void
tombstone_nest(buf_t *value, const json_pointer_t *pointer, const char *key,
    size_t len)
{
    size_t       n;
    uint32_t     i, index, depth;
    const char  *name;

    depth = json_pointer_count(pointer);

    for (i = 0; i < depth; i++) {
        name = json_pointer_ref(pointer, i, &n, &index);
        buf_add(value, "{\"", 2);
        text_add_json(value, name, n);
        buf_add(value, "\":", 2);
    }

    buf_add(value, "\"", 1);
    text_add_json(value, key, len);
    buf_add(value, "\"", 1);

    for (i = 0; i < depth; i++) {
        buf_add(value, "}", 1);
    }
}
