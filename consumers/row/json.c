/* A JSON value becomes a field, by the column's type. */

#include "row/form.h"
#include "row/json.h"
#include "row/text.h"
#include "row/time.h"
#include "row/transform.h"
#include "row/tuple.h"


#define ROW_DIMENSIONS  6    /* of an array, PostgreSQL's MAXDIM */


static int row_string(row_ctx_t *ctx, const row_column_t *column,
    uint32_t token);
static int row_scalar(row_ctx_t *ctx, const row_column_t *column,
    const json_token_t *token);
static bool row_fits(type_kind_t kind, const json_token_t *token);
static int row_transformed(row_ctx_t *ctx, const row_column_t *column,
    uint32_t token);
static int row_array(row_ctx_t *ctx, const row_column_t *column,
    uint32_t token);
static int row_elements(row_ctx_t *ctx, const row_column_t *element,
    uint32_t token);
static int row_element(row_ctx_t *ctx, const row_column_t *element,
    uint32_t token);
static int row_array_tuple(row_ctx_t *ctx, const row_column_t *column,
    uint32_t token);
static bool row_is_list(const row_ctx_t *ctx, const row_column_t *element,
    uint32_t token);
static int32_t row_count(const row_ctx_t *ctx, uint32_t token);
static int row_elements_tuple(row_ctx_t *ctx, const row_column_t *element,
    uint32_t token, const int32_t *sizes, int ndims);


const char *const  row_json_names[] = {
    "null", "false", "true", "a number", "a string", "an array", "an object"
};


int
row_value(row_ctx_t *ctx, const row_column_t *column, uint32_t token)
{
    int  rc;

    rc = column->form ? row_form(ctx, column, token) : FORM_AS_IS;

    return rc == FORM_AS_IS ? row_token(ctx, column, token) : rc;
}


int
row_token(row_ctx_t *ctx, const row_column_t *column, uint32_t token)
{
    uint32_t             quote;
    const json_token_t  *t = &ctx->doc.tokens[token];

    if (column->kind == TYPE_JSON) {
        /* a string's token lies between its quotes */
        quote = t->type == JSON_STRING;
        return ctx->writer->text(ctx, column,
                                 ctx->doc.text + t->start - quote,
                                 t->end - t->start + 2 * quote);
    }

    if (column->kind == TYPE_ARRAY && t->type == JSON_ARRAY) {
        return ctx->writer->tuple ? row_array_tuple(ctx, column, token)
                                  : row_array(ctx, column, token);
    }

    if (column->ntransforms) {
        return row_transformed(ctx, column, token);
    }

    return t->type == JSON_STRING ? row_string(ctx, column, token)
                                  : row_scalar(ctx, column, t);
}


static int
row_string(row_ctx_t *ctx, const row_column_t *column, uint32_t token)
{
    size_t               len;
    const char          *s;
    const json_token_t  *t = &ctx->doc.tokens[token];

    if (t->escaped) {
        return row_unescape(ctx, token, &s, &len) == -1
               ? -1 : row_text(ctx, column, s, len);
    }

    if (column->kind == TYPE_TEXT || column->kind == TYPE_OTHER
        || column->kind == TYPE_STRING)
    {
        /* no control character and no backslash: nothing for COPY to escape */
        return ctx->writer->plain(ctx, column, ctx->doc.text + t->start,
                                  t->end - t->start);
    }

    return row_text(ctx, column, ctx->doc.text + t->start, t->end - t->start);
}


/* Numbers, true, false, arrays and objects. */

static int
row_scalar(row_ctx_t *ctx, const row_column_t *column,
    const json_token_t *token)
{
    size_t             len;
    const char        *s;
    const type_kind_t  kind = column->kind;

    s = ctx->doc.text + token->start;
    len = token->end - token->start;

    if (!row_fits(kind, token)) {
        return row_fault(ctx, column, "22P02", "%s does not fit type %s",
                         row_json_names[token->type], column->type);
    }

    if (kind >= TYPE_SMALLINT && kind <= TYPE_BIGINT) {
        return row_text(ctx, column, s, len);
    }

    if (type_is_time(kind)) {
        /* 20240102 as a string is a date, as a number it is none */
        return column->unit
               ? row_time(ctx, column, s, len)
               : row_fault(ctx, column, "22007", ROW_TIME_UNIT);
    }

    /* a number, true or false has nothing to escape */

    return token->type < JSON_ARRAY
           ? ctx->writer->plain(ctx, column, s, len)
           : ctx->writer->text(ctx, column, s, len);
}


/* Whether a type takes a value that is no string. */

static bool
row_fits(type_kind_t kind, const json_token_t *token)
{
    switch (kind) {

    case TYPE_OTHER:
    case TYPE_TEXT:
    case TYPE_JSON:
        return true;

    case TYPE_BOOLEAN:
        return token->type == JSON_TRUE || token->type == JSON_FALSE;

    case TYPE_STRING:
    case TYPE_BYTEA:
    case TYPE_ARRAY:
        return false;

    default:
        return token->type == JSON_NUMBER;
    }
}


/* A value that is no string is transformed as it was written. */

static int
row_transformed(row_ctx_t *ctx, const row_column_t *column, uint32_t token)
{
    int                  rc;
    size_t               len;
    const char          *s;
    const json_token_t  *t = &ctx->doc.tokens[token];

    s = ctx->doc.text + t->start;
    len = t->end - t->start;

    if (t->type == JSON_STRING && row_unescape(ctx, token, &s, &len) == -1) {
        return -1;
    }

    rc = row_transform(ctx, column, &s, &len);
    if (rc != 0) {
        return rc;
    }

    return column->digest
           ? ctx->writer->bytes(ctx, column, s, len)
           : row_text(ctx, column, s, len);
}


/* PostgreSQL's manual, "Array Input and Output Syntax". */

static int
row_array(row_ctx_t *ctx, const row_column_t *column, uint32_t token)
{
    int            rc;
    buf_t         *text;
    row_column_t   element;

    element = *column;
    element.kind = column->element;
    element.plain = true;

    text = ctx->text;
    ctx->text = &ctx->element;
    ctx->whole.len = 0;

    rc = row_elements(ctx, &element, token);

    ctx->text = text;

    return rc ? rc : ctx->writer->text(ctx, column, ctx->whole.data,
                                       ctx->whole.len);
}


static int
row_elements(row_ctx_t *ctx, const row_column_t *element, uint32_t token)
{
    int         rc;
    char        before;
    uint32_t    i, end;

    end = ctx->doc.tokens[token].next;
    before = '{';

    for (i = token + 1; i < end; i = ctx->doc.tokens[i].next) {

        if (buf_append(&ctx->whole, &before, 1) == -1) {
            return -1;
        }

        before = ',';
        rc = row_element(ctx, element, i);
        if (rc != 0) {
            return rc;
        }
    }

    return buf_append(&ctx->whole, before == '{' ? "{}" : "}",
                      before == '{' ? 2 : 1);
}


/* An array, NULL, or a value in quotes. */

static int
row_element(row_ctx_t *ctx, const row_column_t *element, uint32_t token)
{
    int           rc;
    char         *p;
    size_t        i;
    buf_t        *array = &ctx->whole;
    const char   *s;
    const uint8_t type = ctx->doc.tokens[token].type;

    if (element->kind != TYPE_JSON && type == JSON_NULL) {
        return buf_append(array, "NULL", 4);
    }

    if (element->kind != TYPE_JSON && type == JSON_ARRAY) {
        return row_elements(ctx, element, token);
    }

    ctx->text->len = 0;

    rc = row_value(ctx, element, token);
    if (rc != 0) {
        return rc;
    }

    if (buf_reserve(array, ctx->text->len * 2 + 2) == -1) {
        return -1;
    }

    s = ctx->text->data;
    p = array->data + array->len;
    *p++ = '"';

    for (i = 0; i < ctx->text->len; i++) {
        if (s[i] == '"' || s[i] == '\\') {
            *p++ = '\\';
        }
        *p++ = s[i];
    }

    *p++ = '"';
    array->len = (size_t) (p - array->data);

    return 0;
}


/* The dimensions are those of the first elements, token behind token. */

static int
row_array_tuple(row_ctx_t *ctx, const row_column_t *column, uint32_t token)
{
    int            rc, ndims;
    size_t         start;
    int32_t        sizes[ROW_DIMENSIONS];
    uint32_t       first;
    row_column_t   element;

    if (column->array == 0) {
        return ROW_DOUBT;
    }

    element = *column;
    element.kind = column->element;
    element.array = 0;
    first = token;
    ndims = 0;

    do {
        if (ndims == ROW_DIMENSIONS) {
            return ROW_DOUBT;
        }

        sizes[ndims] = row_count(ctx, first);

        if (sizes[ndims] == 0 && ndims) {
            /* of an empty array in an array PostgreSQL judges */
            return ROW_DOUBT;
        }

    } while (sizes[ndims++] && row_is_list(ctx, &element, ++first));

    ndims -= sizes[0] == 0;
    start = ctx->text->len;

    if (row_tuple_array(ctx, column->array, sizes, ndims) == -1) {
        return -1;
    }

    rc = ndims ? row_elements_tuple(ctx, &element, token, sizes, ndims) : 0;

    if (rc == 0) {
        binary_put_int(ctx->text->data + start, ctx->text->len - start - 4,
                       4);
    }

    return rc;
}


/* Whether an element is an array of elements, and not one of type json. */

static bool
row_is_list(const row_ctx_t *ctx, const row_column_t *element, uint32_t token)
{
    return element->kind != TYPE_JSON
           && ctx->doc.tokens[token].type == JSON_ARRAY;
}


static int32_t
row_count(const row_ctx_t *ctx, uint32_t token)
{
    int32_t   n;
    uint32_t  i, end;

    end = ctx->doc.tokens[token].next;

    for (i = token + 1, n = 0; i < end; i = ctx->doc.tokens[i].next) {
        n++;
    }

    return n;
}


/* All arrays of one depth have as many elements. */

static int
row_elements_tuple(row_ctx_t *ctx, const row_column_t *element,
    uint32_t token, const int32_t *sizes, int ndims)
{
    int       rc;
    int32_t   n;
    uint32_t  i, end;

    end = ctx->doc.tokens[token].next;
    n = 0;

    for (i = token + 1; i < end; i = ctx->doc.tokens[i].next, n++) {

        if (row_is_list(ctx, element, i) != (ndims > 1)) {
            return ROW_DOUBT;
        }

        if (ndims > 1) {
            rc = row_elements_tuple(ctx, element, i, sizes + 1, ndims - 1);

        } else if (element->kind != TYPE_JSON
                   && ctx->doc.tokens[i].type == JSON_NULL)
        {
            rc = ctx->writer->null(ctx);

        } else {
            rc = row_value(ctx, element, i);
        }

        if (rc != 0) {
            return rc;
        }
    }

    return n == sizes[0] ? 0 : ROW_DOUBT;
}
