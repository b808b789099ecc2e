/* The plan of a table's rows: where each column takes its value from. */

#include <stdio.h>
#include <stdlib.h>

#include "row/form.h"
#include "row/json.h"
#include "row/row_impl.h"
#include "row/transform.h"
#include "row/where.h"


static int row_plan_columns(row_plan_t *plan, char *reason, size_t size);
static int row_plan_column(row_plan_t *plan, row_column_t *column,
    char *reason, size_t size);
static void row_plan_binary(const row_spec_t *spec, size_t i,
    row_column_t *column);
static int row_plan_fits(const row_column_t *column, char *reason,
    size_t size);
static int row_plan_fixed(row_plan_t *plan, row_column_t *column,
    const char *json, const char *key, char *reason, size_t size);
static int row_plan_fallback(row_plan_t *plan, row_column_t *column,
    const row_writer_t *writer);
static int row_plan_value(row_plan_t *plan);
static void row_plan_fields(row_plan_t *plan, const conf_column_t *column);


row_plan_t *
row_plan_create(const row_spec_t *spec, char *reason, size_t size)
{
    row_plan_t  *plan;

    snprintf(reason, size, "out of memory");

    plan = calloc(1, sizeof(row_plan_t));
    if (plan == NULL) {
        return NULL;
    }

    plan->spec = *spec;
    plan->ctx.nul = spec->nul;
    row_paths_init(&plan->paths);
    row_paths_init(&plan->inner);
    plan->change = spec->format == CONF_FORMAT_DEBEZIUM;
    plan->paths.change = plan->change;
    plan->key.change = plan->change;

    if (row_plan_columns(plan, reason, size) == -1
        || row_plan_value(plan) == -1)
    {
        row_plan_free(plan);
        return NULL;
    }

    return plan;
}


void
row_plan_free(row_plan_t *plan)
{
    size_t  i;

    if (plan == NULL) {
        return;
    }

    for (i = 0; i < plan->ncolumns; i++) {
        buf_free(&plan->columns[i].fallback[0]);
        buf_free(&plan->columns[i].fallback[1]);
    }

    row_format_free(&plan->format);
    row_key_free(&plan->key);
    buf_free(&plan->schema.text);
    change_unavailable_free(&plan->unavailable);
    row_paths_free(&plan->paths);
    row_paths_free(&plan->inner);
    row_ctx_free(&plan->ctx);
    free(plan->where_slots);
    free(plan->delete_slots);
    free(plan->columns);
    free(plan);
}


static int
row_plan_columns(row_plan_t *plan, char *reason, size_t size)
{
    size_t                i;
    uint32_t              bits;
    row_column_t         *column;
    const conf_column_t  *cc;

    bits = 0;
    plan->columns = calloc(plan->spec.ncolumns + 1, sizeof(row_column_t));
    if (plan->columns == NULL) {
        return -1;
    }

    plan->tuples = true;

    for (i = 0; i < plan->spec.ncolumns; i++) {
        cc = &plan->spec.columns[i];

        if (cc->from == CONF_FROM_IDENTITY) {
            continue;
        }

        column = &plan->columns[plan->ncolumns++];
        column->conf = cc;
        column->type = plan->spec.types[i] ? plan->spec.types[i] : "text";
        row_plan_binary(&plan->spec, i, column);
        plan->tuples &= column->binary != BINARY_NONE;

        if (plan->spec.keeps && plan->spec.keeps[i]) {
            column->bit = ++bits;
        }

        if (row_plan_column(plan, column, reason, size) == -1) {
            return -1;
        }
    }

    if (plan->spec.keeps) {
        plan->ctx.nmentions = bits / 8 + 1;
        plan->ctx.mentions = calloc(1, plan->ctx.nmentions);
    }

    return plan->spec.keeps && plan->ctx.mentions == NULL ? -1 : 0;
}


static int
row_plan_column(row_plan_t *plan, row_column_t *column, char *reason,
    size_t size)
{
    const conf_column_t  *cc = column->conf;

    column->ntransforms = cc->ntransforms;
    column->digest = cc->ntransforms && column->kind == TYPE_BYTEA
                     && cc->transforms[cc->ntransforms - 1].kind
                        == CONF_SHA256;
    column->missing = cc->on_missing ? cc->on_missing
                      : cc->required ? CONF_ON_REJECT
                      : cc->fallback ? CONF_ON_DEFAULT : CONF_ON_NULL;
    column->null = cc->on_null ? cc->on_null
                   : cc->required ? CONF_ON_REJECT : CONF_ON_NULL;

    column->paths = plan->spec.each && cc->root != CONF_ROOT_RECORD
                    ? &plan->inner : &plan->paths;

    if (cc->from == CONF_FROM_PATH) {
        column->slot = row_path_add(column->paths, cc->pointer);
        if (column->slot == JSON_NONE) {
            return -1;
        }
    }

    row_plan_fields(plan, cc);

    if (row_form_state(column, plan->change
                               && (cc->from == CONF_FROM_PATH
                                   || cc->from == CONF_FROM_KEY_FIELD),
                       reason, size)
        == -1)
    {
        return -1;
    }

    column->from = cc->from == CONF_FROM_PATH
                   && (column->form || plan->change) ? ROW_FROM_FORMED
                                                     : cc->from;

    if (row_plan_fits(column, reason, size) == -1
        || row_transform_ready(&plan->ctx, column, reason, size) == -1)
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


/* What a tuple has of the column. */

static void
row_plan_binary(const row_spec_t *spec, size_t i, row_column_t *column)
{
    type_kind_t  kind;

    static const binary_kind_t  times[] = {
        [TYPE_TIMESTAMPTZ] = BINARY_TIMESTAMPTZ,
        [TYPE_TIMESTAMP] = BINARY_TIMESTAMP,
        [TYPE_DATE] = BINARY_DATE,
        [TYPE_TIME] = BINARY_TIME
    };

    column->kind = type_kind(column->type);
    column->element = type_element(column->type);
    column->binary = binary_kind(spec->receives ? spec->receives[i] : NULL);
    column->array = spec->arrays ? spec->arrays[i] : 0;

    kind = column->kind == TYPE_ARRAY ? column->element : column->kind;
    column->instant = type_is_time(kind) && times[kind] == column->binary
                      && (column->kind == TYPE_ARRAY) == (column->array != 0);
}


/* What kind of value the column asks for. */

static void
row_plan_fields(row_plan_t *plan, const conf_column_t *column)
{
    size_t    len;
    uint32_t  index;

    plan->key.used |= column->from == CONF_FROM_KEY_FIELD;

    if (column->from == CONF_FROM_REST) {
        plan->parse = true;
        plan->fields = true;

    } else if (column->from == CONF_FROM_PATH) {
        plan->parse = true;

        /* the empty path is the value itself */
        if (json_pointer_count(column->pointer)
            && (plan->spec.each == NULL || column->root != CONF_ROOT_RECORD))
        {
            (void) json_pointer_ref(column->pointer, 0, &len, &index);
            plan->fields = true;
            plan->elements |= index != JSON_NONE;
        }
    }
}


/* Whether the source of a column goes with the type of the table. */

static int
row_plan_fits(const row_column_t *column, char *reason, size_t size)
{
    bool                  number, time;
    type_kind_t           kind;
    const conf_column_t  *cc = column->conf;

    kind = column->kind == TYPE_ARRAY ? column->element : column->kind;
    number = cc->from == CONF_FROM_OFFSET || cc->from == CONF_FROM_PARTITION
             || cc->from == CONF_FROM_ELEMENT;
    time = cc->from == CONF_FROM_TIMESTAMP;

    if (cc->unit && !type_is_time(kind)
        && strncmp(column->type, "interval", 8) != 0)
    {
        snprintf(reason, size, "column \"%s\": \"unit\" goes with a date or "
                 "time, not with type %s", cc->name, column->type);
        return -1;
    }

    if ((number && (kind == TYPE_BOOLEAN || kind > TYPE_FLOAT)
         && kind != TYPE_JSON)
        || (time && !type_is_time(kind) && kind != TYPE_TEXT
            && kind != TYPE_OTHER && kind != TYPE_BIGINT
            && kind != TYPE_NUMERIC)
        || ((number || time) && column->kind == TYPE_ARRAY))
    {
        snprintf(reason, size, "column \"%s\": the record's %s does not fit "
                 "type %s", cc->name, number ? "number" : "timestamp",
                 column->type);
        return -1;
    }

    if ((cc->from == CONF_FROM_REST || cc->from == CONF_FROM_HEADERS
         || cc->on_null == CONF_ON_JSON)
        && column->kind != TYPE_JSON)
    {
        snprintf(reason, size, "column \"%s\": %s into json or jsonb, not "
                 "into type %s", cc->name,
                 cc->from == CONF_FROM_REST ? "the rest goes"
                 : cc->from == CONF_FROM_HEADERS ? "all headers go"
                 : "JSON's null goes", column->type);
        return -1;
    }

    if (cc->ntransforms && kind == TYPE_JSON) {
        snprintf(reason, size, "column \"%s\": \"transform\" makes text, not "
                 "type %s", cc->name, column->type);
        return -1;
    }

    return 0;
}


/* Converts a constant or default once, as if a record had held it. */

static int
row_plan_fixed(row_plan_t *plan, row_column_t *column, const char *json,
    const char *key, char *reason, size_t size)
{
    int             rc;
    row_ctx_t      *ctx = &plan->ctx;
    json_error_t    err;
    record_fault_t  fault;

    ctx->fault = &fault;

    if (json_parse(&ctx->doc, json, strlen(json), &err) == -1) {
        snprintf(reason, size, "column \"%s\": \"%s\": %s",
                 column->conf->name, key, err.reason);
        return -1;
    }

    rc = row_plan_fallback(plan, column, &row_line);

    if (rc == 0 && column->binary) {
        rc = row_plan_fallback(plan, column, &row_tuple);

        if (rc == ROW_DOUBT) {
            column->fallback[1].len = 0;
            rc = 0;
        }
    }

    if (rc != 0) {
        snprintf(reason, size, "\"%s\" of %s", key,
                 rc == 1 ? fault.reason : "a column: out of memory");
        return -1;
    }

    return 0;
}


/* The field of the document's value, which no transform changes. */

static int
row_plan_fallback(row_plan_t *plan, row_column_t *column,
    const row_writer_t *writer)
{
    row_ctx_t     *ctx = &plan->ctx;
    row_column_t   as;

    as = *column;
    as.form = FORM_NONE;
    as.unit = column->conf->unit;
    as.ntransforms = 0;
    as.digest = false;
    ctx->writer = writer;
    ctx->text = &column->fallback[writer->tuple];

    return ctx->doc.tokens[0].type == JSON_NULL ? writer->null(ctx)
                                                : row_token(ctx, &as, 0);
}


/* Adds the paths of the filter and of the format. */

static int
row_plan_value(row_plan_t *plan)
{
    size_t               i;
    bool                 rest;
    const conf_where_t  *where = plan->spec.where;

    if (where && where->pointer == NULL && where->header == NULL
        && where->nparts == 0)
    {
        plan->spec.where = NULL;

    } else if (where && !plan->spec.no_fields
               && row_where_paths(where, &plan->paths, &plan->where_slots)
                  == -1)
    {
        return -1;
    }

    if (plan->spec.delete_when
        && row_where_paths(plan->spec.delete_when, &plan->paths,
                           &plan->delete_slots)
           == -1)
    {
        return -1;
    }

    if (change_unavailable_init(&plan->unavailable, plan->spec.unavailable)) {
        return -1;
    }

    plan->more = plan->change || plan->key.used || plan->spec.delete_when;
    plan->parse |= plan->where_slots || plan->delete_slots
                   || plan->spec.format == CONF_FORMAT_CLOUDEVENTS
                   || plan->change;

    for (i = 0, rest = plan->spec.news != NULL; i < plan->ncolumns; i++) {
        rest |= plan->columns[i].conf->from == CONF_FROM_REST;
    }

    if (plan->spec.each) {
        plan->parse = true;
        plan->each_slot = row_path_add(&plan->paths, plan->spec.each);

        if (plan->each_slot == JSON_NONE
            || row_paths_ready(&plan->inner, rest) == -1)
        {
            return -1;
        }

        rest = false;
    }

    return row_format_init(&plan->format, plan->spec.format, &plan->paths)
           || row_paths_ready(&plan->paths, rest) ? -1 : 0;
}


bool
row_plan_tuples(const row_plan_t *plan)
{
    return plan->tuples;
}
