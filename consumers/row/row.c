/* A record becomes a line of COPY's text format: the plan, and its columns. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "record/headers.h"
#include "row/copy.h"
#include "row/row_impl.h"


static int row_plan_column(row_plan_t *plan, const conf_column_t *cc,
    const char *type, char *reason, size_t size);
static int row_plan_fits(const row_column_t *column, const conf_column_t *cc,
    char *reason, size_t size);
static int row_plan_fixed(row_plan_t *plan, row_column_t *column,
    const char *json, const char *key, char *reason, size_t size);
static int row_from_path(row_plan_t *plan, const row_column_t *column,
    const record_t *record, buf_t *text, record_fault_t *fault);
static int row_from_number(row_plan_t *plan, const row_column_t *column,
    const record_t *record, buf_t *text, record_fault_t *fault);
static int row_from_topic(row_plan_t *plan, const row_column_t *column,
    const record_t *record, buf_t *text, record_fault_t *fault);
static int row_from_key(row_plan_t *plan, const row_column_t *column,
    const record_t *record, buf_t *text, record_fault_t *fault);
static int row_from_value(row_plan_t *plan, const row_column_t *column,
    const record_t *record, buf_t *text, record_fault_t *fault);
static int row_from_header(row_plan_t *plan, const row_column_t *column,
    const record_t *record, buf_t *text, record_fault_t *fault);
static int row_from_timestamp(row_plan_t *plan, const row_column_t *column,
    const record_t *record, buf_t *text, record_fault_t *fault);
static int row_from_constant(row_plan_t *plan, const row_column_t *column,
    const record_t *record, buf_t *text, record_fault_t *fault);


static const row_field_pt  row_fields[] = {
    [CONF_FROM_PATH] = row_from_path,
    [CONF_FROM_TOPIC] = row_from_topic,
    [CONF_FROM_PARTITION] = row_from_number,
    [CONF_FROM_OFFSET] = row_from_number,
    [CONF_FROM_TIMESTAMP] = row_from_timestamp,
    [CONF_FROM_KEY] = row_from_key,
    [CONF_FROM_VALUE] = row_from_value,
    [CONF_FROM_HEADER] = row_from_header,
    [CONF_FROM_CONSTANT] = row_from_constant,
    [CONF_FROM_REST] = row_rest
};


row_plan_t *
row_plan_create(const row_spec_t *spec, char *reason, size_t size)
{
    bool         rest;
    size_t       i;
    row_plan_t  *plan;

    snprintf(reason, size, "out of memory");

    plan = calloc(1, sizeof(row_plan_t));
    if (plan == NULL) {
        return NULL;
    }

    plan->spec = *spec;
    plan->day = INT64_MIN;
    plan->root.slot = JSON_NONE;
    plan->columns = calloc(spec->ncolumns + 1, sizeof(row_column_t));
    rest = false;

    if (plan->columns == NULL) {
        goto failed;
    }

    for (i = 0; i < spec->ncolumns; i++) {
        if (spec->columns[i].from != CONF_FROM_IDENTITY
            && row_plan_column(plan, &spec->columns[i], spec->types[i],
                               reason, size)
               == -1)
        {
            goto failed;
        }

        rest |= spec->columns[i].from == CONF_FROM_REST;
    }

    if (row_where_ready(plan, reason, size) == -1
        || row_format_ready(plan) == -1 || row_path_ready(plan, rest) == -1)
    {
        goto failed;
    }

    return plan;

failed:

    row_plan_free(plan);

    return NULL;
}


static int
row_plan_column(row_plan_t *plan, const conf_column_t *cc, const char *type,
    char *reason, size_t size)
{
    row_column_t  *column;

    column = &plan->columns[plan->ncolumns++];

    column->field = row_fields[cc->from];
    column->name = cc->name;
    column->type = type ? type : "text";
    column->kind = type_kind(column->type);
    column->element = type_element(column->type);
    column->unit = cc->unit;
    column->header = cc->header;
    column->transforms = cc->transforms;
    column->ntransforms = cc->ntransforms;
    column->digest = cc->ntransforms && column->kind == TYPE_BYTEA
                     && cc->transforms[cc->ntransforms - 1].kind
                        == CONF_SHA256;
    column->slot = cc->from == CONF_FROM_PARTITION;
    column->missing = cc->on_missing ? cc->on_missing
                      : cc->required ? CONF_ON_REJECT
                      : cc->fallback ? CONF_ON_DEFAULT : CONF_ON_NULL;
    column->null = cc->on_null ? cc->on_null
                   : cc->required ? CONF_ON_REJECT : CONF_ON_NULL;

    if (cc->from == CONF_FROM_PATH) {
        plan->parse = true;
        column->slot = row_path_add(plan, cc->pointer);
        if (column->slot == JSON_NONE) {
            return -1;
        }
    }

    plan->parse |= cc->from == CONF_FROM_REST;

    if (row_plan_fits(column, cc, reason, size) == -1
        || row_transform_ready(plan, column, reason, size) == -1)
    {
        return -1;
    }

    if (cc->from == CONF_FROM_CONSTANT) {
        return row_plan_fixed(plan, column, cc->constant, "constant", reason,
                              size);
    }

    return cc->fallback == NULL
           ? 0 : row_plan_fixed(plan, column, cc->fallback, "default",
                                reason, size);
}


/* What only the table's type can tell. */

static int
row_plan_fits(const row_column_t *column, const conf_column_t *cc,
    char *reason, size_t size)
{
    bool         number;
    type_kind_t  kind;

    kind = column->kind == TYPE_ARRAY ? column->element : column->kind;

    if (cc->unit && !type_is_time(kind)) {
        snprintf(reason, size, "column \"%s\": \"unit\" goes with a date or "
                 "time, not with type %s", column->name, column->type);
        return -1;
    }

    number = cc->from == CONF_FROM_OFFSET || cc->from == CONF_FROM_PARTITION;

    if ((number && (kind == TYPE_BOOLEAN || kind > TYPE_FLOAT)
         && kind != TYPE_JSON)
        || (cc->from == CONF_FROM_TIMESTAMP && !type_is_time(kind)
            && kind != TYPE_TEXT && kind != TYPE_OTHER && kind != TYPE_BIGINT
            && kind != TYPE_NUMERIC)
        || ((number || cc->from == CONF_FROM_TIMESTAMP)
            && column->kind == TYPE_ARRAY))
    {
        snprintf(reason, size, "column \"%s\": the record's %s does not fit "
                 "type %s", column->name, number ? "number" : "timestamp",
                 column->type);
        return -1;
    }

    if (cc->from == CONF_FROM_REST && column->kind != TYPE_JSON) {
        snprintf(reason, size, "column \"%s\": the rest goes into json or "
                 "jsonb, not into type %s", column->name, column->type);
        return -1;
    }

    if (cc->ntransforms && kind == TYPE_JSON) {
        snprintf(reason, size, "column \"%s\": \"transform\" makes text, not "
                 "type %s", column->name, column->type);
        return -1;
    }

    return 0;
}


/* A constant or default: converted once, as if a record had held it. */

static int
row_plan_fixed(row_plan_t *plan, row_column_t *column, const char *json,
    const char *key, char *reason, size_t size)
{
    int            rc;
    buf_t          text;
    row_column_t   as;
    json_error_t   err;
    record_fault_t  fault;

    as = *column;
    as.ntransforms = 0;
    as.digest = false;
    memset(&text, 0, sizeof(buf_t));

    if (json_parse(&plan->doc, json, strlen(json), &err) == -1) {
        snprintf(reason, size, "column \"%s\": \"%s\": %s", column->name,
                 key, err.reason);
        return -1;
    }

    rc = plan->doc.tokens[0].type == JSON_NULL
         ? copy_add_null(&text) : row_token(plan, &as, 0, &text, &fault);

    if (rc == 0 && text.data == NULL) {
        rc = buf_reserve(&text, 1);
    }

    if (rc != 0) {
        snprintf(reason, size, "\"%s\" of %s", key,
                 rc == 1 ? fault.reason : "a column: out of memory");
        buf_free(&text);
        return -1;
    }

    column->fallback = text.data;
    column->fallback_len = text.len;

    return 0;
}


void
row_plan_free(row_plan_t *plan)
{
    size_t  i;

    if (plan == NULL) {
        return;
    }

    for (i = 0; plan->columns && i < plan->ncolumns; i++) {
        free(plan->columns[i].fallback);
    }

    row_where_free(plan);
    row_path_free(&plan->root);
    row_transform_free(plan);
    free(plan->columns);
    free(plan->found);
    free(plan->rest);
    buf_free(&plan->scratch);
    buf_free(&plan->work[0]);
    buf_free(&plan->work[1]);
    buf_free(&plan->cleaned);
    buf_free(&plan->clean_text);
    buf_free(&plan->event_text);
    buf_free(&plan->array);
    buf_free(&plan->element);
    json_doc_free(&plan->doc);
    free(plan);
}


int
row_convert(row_plan_t *plan, const record_t *record, buf_t *text,
    record_fault_t *fault)
{
    int            rc;
    size_t         i, start;
    row_column_t  *column;

    if (plan->parse) {
        rc = row_document(plan, record, fault);
        if (rc != 0) {
            return rc;
        }

    } else if (plan->spec.format == CONF_FORMAT_TEXT && record->value
               && !row_is_text(plan, record->value, record->value_len))
    {
        return row_fault(fault, "22021", NULL, "the value is not UTF-8 text, "
                         "or has a zero byte in it");
    }

    if (plan->where && !row_where(plan, record)) {
        return ROW_FILTERED;
    }

    start = text->len;

    for (i = 0; i < plan->ncolumns; i++) {
        column = &plan->columns[i];

        rc = column->field(plan, column, record, text, fault);

        if (rc != 0 || buf_reserve(text, 1) == -1) {
            text->len = start;
            return rc ? rc : -1;
        }

        text->data[text->len++] = '\t';
    }

    text->data[text->len - 1] = '\n';

    return 0;
}


int
row_fault(record_fault_t *fault, const char *sqlstate,
    const row_column_t *column, const char *what)
{
    snprintf(fault->sqlstate, sizeof(fault->sqlstate), "%s", sqlstate);

    if (column) {
        snprintf(fault->reason, RECORD_REASON, "column \"%s\": %s",
                 column->name, what);
    } else {
        snprintf(fault->reason, RECORD_REASON, "%s", what);
    }

    return 1;
}


int
row_absent(const row_column_t *column, bool is_null, buf_t *text,
    record_fault_t *fault)
{
    switch (is_null ? column->null : column->missing) {

    case CONF_ON_REJECT:
        return row_fault(fault, "23502", column, is_null
                         ? "the value is null" : "the value is missing");

    case CONF_ON_DEFAULT:
        return row_from_constant(NULL, column, NULL, text, NULL);

    default:
        return copy_add_null(text);
    }
}


int
row_put(const row_column_t *column, const char *s, size_t len, buf_t *text)
{
    if (!column->plain) {
        return copy_add_text(text, s, len);
    }

    if (buf_reserve(text, len + 1) == -1) {
        return -1;
    }

    memcpy(text->data + text->len, s, len);
    text->len += len;

    return 0;
}


static int
row_from_path(row_plan_t *plan, const row_column_t *column,
    const record_t *record, buf_t *text, record_fault_t *fault)
{
    uint32_t  token;

    (void) record;

    token = plan->found[column->slot];

    if (token == JSON_NONE) {
        return row_absent(column, false, text, fault);
    }

    if (plan->doc.tokens[token].type == JSON_NULL) {
        return row_absent(column, true, text, fault);
    }

    return row_token(plan, column, token, text, fault);
}


static int
row_from_constant(row_plan_t *plan, const row_column_t *column,
    const record_t *record, buf_t *text, record_fault_t *fault)
{
    (void) plan;
    (void) record;
    (void) fault;

    if (buf_reserve(text, column->fallback_len + 1) == -1) {
        return -1;
    }

    memcpy(text->data + text->len, column->fallback, column->fallback_len);
    text->len += column->fallback_len;

    return 0;
}


/* The partition (slot 1) or the offset (slot 0). */

static int
row_from_number(row_plan_t *plan, const row_column_t *column,
    const record_t *record, buf_t *text, record_fault_t *fault)
{
    char  *end;

    (void) plan;

    if (buf_reserve(text, 20) == -1) {
        return -1;
    }

    end = text_put_int(text->data + text->len,
                      column->slot ? record->partition : record->offset);

    if ((column->kind == TYPE_SMALLINT || column->kind == TYPE_INTEGER)
        && row_integer(column, text->data + text->len,
                       (size_t) (end - text->data) - text->len, fault))
    {
        return 1;
    }

    text->len = (size_t) (end - text->data);

    return 0;
}


static int
row_from_topic(row_plan_t *plan, const row_column_t *column,
    const record_t *record, buf_t *text, record_fault_t *fault)
{
    return row_bytes(plan, column, record->topic, strlen(record->topic), text,
                     fault);
}


static int
row_from_key(row_plan_t *plan, const row_column_t *column,
    const record_t *record, buf_t *text, record_fault_t *fault)
{
    return record->key
           ? row_bytes(plan, column, record->key, record->key_len, text,
                       fault)
           : row_absent(column, true, text, fault);
}


static int
row_from_value(row_plan_t *plan, const row_column_t *column,
    const record_t *record, buf_t *text, record_fault_t *fault)
{
    return record->value
           ? row_bytes(plan, column, record->value, record->value_len, text,
                       fault)
           : row_absent(column, true, text, fault);
}


static int
row_from_header(row_plan_t *plan, const row_column_t *column,
    const record_t *record, buf_t *text, record_fault_t *fault)
{
    const record_header_t  *header;

    header = headers_find(record, column->header);

    if (header == NULL || header->value == NULL) {
        return row_absent(column, header != NULL, text, fault);
    }

    return row_bytes(plan, column, header->value, header->len, text, fault);
}


/* A time, or milliseconds for a number's type. */

static int
row_from_timestamp(row_plan_t *plan, const row_column_t *column,
    const record_t *record, buf_t *text, record_fault_t *fault)
{
    if (record->timestamp < 0) {
        return row_absent(column, true, text, fault);
    }

    if (column->kind == TYPE_BIGINT || column->kind == TYPE_NUMERIC) {
        if (buf_reserve(text, 20) == -1) {
            return -1;
        }
        text->len = (size_t) (text_put_int(text->data + text->len,
                                          record->timestamp) - text->data);
        return 0;
    }

    if (record->timestamp > INT64_MAX / 1000) {
        return row_fault(fault, "22008", column,
                         "the timestamp is out of range");
    }

    return row_instant(plan, column, record->timestamp * 1000, 3, text,
                       fault);
}
