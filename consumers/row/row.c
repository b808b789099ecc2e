/*
 * A record becomes a line or a tuple of COPY: the plan of a table's columns,
 * and where each takes its value from.  Other units convert the values.
 */

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "row/beside.h"
#include "row/json.h"
#include "row/row_impl.h"
#include "row/text.h"
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
static int row_has_fields(row_plan_t *plan);
static int row_fields(row_plan_t *plan, bool tuple);
static int row_mentions(row_ctx_t *ctx);
static int row_field(row_plan_t *plan, const row_column_t *column);


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
    row_paths_free(&plan->paths);
    row_paths_free(&plan->inner);
    row_ctx_free(&plan->ctx);
    free(plan->where_slots);
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

    if (cc->unit && !type_is_time(kind)) {
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

    plan->parse |= plan->where_slots != NULL;

    plan->parse |= plan->spec.format == CONF_FORMAT_CLOUDEVENTS;

    for (i = 0, rest = false; i < plan->ncolumns; i++) {
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


int
row_convert(row_plan_t *plan, const record_t *record, bool *tuple,
    buf_t *text, record_fault_t *fault)
{
    int  rc;

    rc = row_begin(plan, record, text, fault);

    return rc ? rc : row_append(plan, tuple);
}


int
row_begin(row_plan_t *plan, const record_t *record, buf_t *text,
    record_fault_t *fault)
{
    int          rc;
    size_t       len;
    row_ctx_t   *ctx = &plan->ctx;
    const char  *s;

    ctx->record = record;
    ctx->text = text;
    ctx->fault = fault;

    if (plan->parse) {
        rc = row_document(ctx, &plan->format, &plan->paths);
        if (rc != 0) {
            return rc;
        }

    } else if (plan->spec.format == CONF_FORMAT_TEXT && record->value) {
        s = record->value;
        len = record->value_len;
        rc = row_clean(ctx, &s, &len);
        if (rc != 0) {
            return rc == -1 ? -1
                   : row_fault(ctx, NULL, "22021", "the value is not UTF-8 "
                               "text, or has a zero byte in it");
        }
    }

    if (plan->spec.where
        && !row_where(plan->spec.where, ctx, &plan->paths, plan->where_slots))
    {
        return ROW_FILTERED;
    }

    return 0;
}


int
row_append(row_plan_t *plan, bool *tuple)
{
    int      rc;
    bool     line;
    size_t   start;
    buf_t   *text = plan->ctx.text;

    rc = plan->fields && !plan->spec.any_value ? row_has_fields(plan) : 0;
    if (rc != 0) {
        return rc;
    }

    start = text->len;
    line = tuple == NULL || !*tuple || !plan->tuples;
    rc = line ? ROW_DOUBT : row_fields(plan, true);

    if (rc == ROW_DOUBT) {
        line = true;
        text->len = start;
        rc = row_fields(plan, false);
    }

    if (tuple) {
        *tuple = !line;
    }

    if (rc != 0) {
        text->len = start;
    }

    return rc;
}


static int
row_fields(row_plan_t *plan, bool tuple)
{
    int         rc;
    size_t      i, start;
    buf_t      *text = plan->ctx.text;
    row_ctx_t  *ctx = &plan->ctx;

    ctx->writer = tuple ? &row_tuple : &row_line;

    if (tuple) {
        if (buf_reserve(text, 8) == -1) {
            return -1;
        }

        binary_put_int(text->data + text->len,
                       plan->ncolumns + (ctx->nmentions != 0), 2);
        text->len += 2;
    }

    start = text->len;

    if (ctx->nmentions) {
        memset(ctx->mentions, 0xff, ctx->nmentions);

        if (row_mentions(ctx) == -1) {
            return -1;
        }
    }

    for (i = 0; i < plan->ncolumns; i++) {
        rc = row_field(plan, &plan->columns[i]);

        if (rc != 0) {
            return rc;
        }

        if (!tuple && buf_append(text, i + 1 < plan->ncolumns ? "\t" : "\n",
                                 1)
                      == -1)
        {
            return -1;
        }
    }

    if (ctx->nmentions) {
        i = text->len;
        text->len = start;
        (void) row_mentions(ctx);
        text->len = i;
    }

    return 0;
}


/* The field of what the record mentions, which is known at the row's end. */

static int
row_mentions(row_ctx_t *ctx)
{
    char   *p;
    buf_t  *text = ctx->text;

    if (buf_reserve(text, 2 * ctx->nmentions + 8) == -1) {
        return -1;
    }

    p = text->data + text->len;

    if (ctx->writer->tuple) {
        binary_put_int(p, ctx->nmentions, 4);
        memcpy(p + 4, ctx->mentions, ctx->nmentions);
        p += 4 + ctx->nmentions;

    } else {
        memcpy(p, "\\\\x", 3);
        p = text_put_hex(p + 3, (char *) ctx->mentions, ctx->nmentions);
        *p++ = '\t';
    }

    text->len = (size_t) (p - text->data);

    return 0;
}


/* Of another value all fields would be missing: a row of nulls. */

static int
row_has_fields(row_plan_t *plan)
{
    json_type_t  type;

    type = plan->ctx.doc.tokens[plan->ctx.root].type;

    return type == JSON_OBJECT || (type == JSON_ARRAY && plan->elements)
           ? 0 : row_fault(&plan->ctx, NULL, "2203C", "the value is %s, not "
                           "an object with fields", row_json_names[type]);
}


static int
row_field(row_plan_t *plan, const row_column_t *column)
{
    uint32_t         token;
    row_ctx_t       *ctx = &plan->ctx;
    const record_t  *record = ctx->record;

    switch (column->conf->from) {

    case CONF_FROM_PATH:
        token = column->paths->found[column->slot];

        if (token == JSON_NONE
            || (ctx->doc.tokens[token].type == JSON_NULL
                && column->null != CONF_ON_JSON))
        {
            return row_absent(ctx, column, token != JSON_NONE);
        }

        return row_token(ctx, column, token);

    case CONF_FROM_TOPIC:
        return row_from_bytes(ctx, column, record->topic,
                              strlen(record->topic));

    case CONF_FROM_PARTITION:
        return row_from_number(ctx, column, record->partition);

    case CONF_FROM_OFFSET:
        return row_from_number(ctx, column, record->offset);

    case CONF_FROM_ELEMENT:
        return row_from_number(ctx, column, ctx->nth);

    case CONF_FROM_TIMESTAMP:
        return row_from_timestamp(ctx, column);

    case CONF_FROM_KEY:
        return row_from_bytes(ctx, column, record->key, record->key_len);

    case CONF_FROM_VALUE:
        return row_from_bytes(ctx, column, record->value, record->value_len);

    case CONF_FROM_HEADER:
        return row_from_header(ctx, column);

    case CONF_FROM_HEADERS:
        return row_from_headers(ctx, column);

    case CONF_FROM_REST:
        return row_rest(ctx, column->paths, column);

    default:
        return row_fallback(ctx, column);
    }
}
