/*
 * A record becomes a line or a tuple of COPY, by the plan of its table's
 * columns.  Other units convert the values.
 */

#include "base/text.h"
#include "row/beside.h"
#include "row/json.h"
#include "row/row_impl.h"
#include "row/text.h"
#include "row/where.h"


static int row_clean_value(row_ctx_t *ctx);
static int row_more(row_plan_t *plan);
static int row_has_fields(row_plan_t *plan);
static int row_fields(row_plan_t *plan, bool tuple);
static void row_news(row_plan_t *plan);
static int row_mentions(row_ctx_t *ctx);
static int row_field(row_plan_t *plan, const row_column_t *column);
static int row_formed_field(row_plan_t *plan, const row_column_t *column);


int
row_convert(row_plan_t *plan, const record_t *record, bool *tuple,
    buf_t *text, record_fault_t *fault)
{
    int  rc;

    rc = row_begin(plan, record, text, fault);

    return rc ? rc : row_append(plan, tuple);
}


/* "inline" here and below: each record passes both in row_convert(). */

inline int
row_begin(row_plan_t *plan, const record_t *record, buf_t *text,
    record_fault_t *fault)
{
    int         rc;
    row_ctx_t  *ctx = &plan->ctx;

    ctx->record = record;
    ctx->text = text;
    ctx->fault = fault;

    rc = plan->parse ? row_document(ctx, &plan->format, &plan->paths)
         : plan->spec.format == CONF_FORMAT_TEXT ? row_clean_value(ctx) : 0;

    if (rc != 0) {
        return rc;
    }

    if (plan->spec.where
        && !row_where(plan->spec.where, ctx, &plan->paths, plan->where_slots))
    {
        return ROW_FILTERED;
    }

    return plan->more ? row_more(plan) : 0;
}


/* Whether a value that is text as it is can be stored. */

static int
row_clean_value(row_ctx_t *ctx)
{
    int          rc;
    size_t       len = ctx->record->value_len;
    const char  *s = ctx->record->value;

    rc = s ? row_clean(ctx, &s, &len) : 0;

    return rc == 0 || rc == -1
           ? rc : row_fault(ctx, NULL, "22021", "the value is not UTF-8 text, "
                            "or has a zero byte in it");
}


/*
 * Whether the record is a row, or deletes one, or is none; and what the schemas
 * of key and value say of its columns.
 */

static int
row_more(row_plan_t *plan)
{
    int         rc;
    bool        deletes;
    row_ctx_t  *ctx = &plan->ctx;

    deletes = plan->spec.delete_when
              && row_where(plan->spec.delete_when, ctx, &plan->paths,
                           plan->delete_slots);

    rc = row_change(ctx, &plan->format, deletes, plan->spec.mode);

    if (rc == 0 && plan->key.used) {
        rc = row_key_read(ctx, &plan->key, plan->columns, plan->ncolumns);
    }

    if (rc || !plan->change) {
        return rc;
    }

    ctx->root = plan->format.change.row;

    if (ctx->root == JSON_NONE && plan->fields && !plan->spec.any_value) {
        return row_fault(ctx, NULL, "22004", "the change has no row");
    }

    return change_forms(&plan->schema, plan->columns, plan->ncolumns,
                        CONF_FROM_PATH, &ctx->doc,
                        plan->format.change.schema);
}


inline int
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

    } else if (plan->spec.news) {
        row_news(plan);
    }

    return rc;
}


/* A name that memory is too short for is told by the next record. */

static void
row_news(row_plan_t *plan)
{
    size_t               i, n, len;
    uint32_t             name;
    json_type_t          type;
    const char          *s;
    row_ctx_t           *ctx = &plan->ctx;
    const row_paths_t   *paths = plan->spec.each ? &plan->inner
                                                 : &plan->paths;

    for (i = 0, n = 0; i < paths->nrest && n < ROW_NEWS; i++) {
        name = paths->rest[i];
        type = ctx->doc.tokens[name + 1].type;

        if (type != JSON_NULL && row_unescape(ctx, name, &s, &len) == 0) {
            plan->spec.news(plan->spec.news_data, s, len, type);
            n++;
        }
    }
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

    switch (column->from) {

    case CONF_FROM_PATH:
        token = column->paths->found[column->slot];

        if (token == JSON_NONE
            || (ctx->doc.tokens[token].type == JSON_NULL
                && column->null != CONF_ON_JSON))
        {
            return row_absent(ctx, column, token != JSON_NONE);
        }

        return row_token(ctx, column, token);

    case ROW_FROM_FORMED:
        return row_formed_field(plan, column);

    case CONF_FROM_KEY_FIELD:
        return row_key_field(ctx, &plan->key, column);

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


static int
row_formed_field(row_plan_t *plan, const row_column_t *column)
{
    uint32_t    token;
    row_ctx_t  *ctx = &plan->ctx;

    token = column->paths->found[column->slot];

    if (token == JSON_NONE
        || (ctx->doc.tokens[token].type == JSON_NULL
            && column->null != CONF_ON_JSON))
    {
        return row_absent(ctx, column, token != JSON_NONE);
    }

    return plan->change && change_is_unavailable(&plan->unavailable, &ctx->doc,
                                                 column, token)
           ? change_keep(ctx, column, plan->format.change.kind,
                         plan->spec.mode)
           : row_value(ctx, column, token);
}
