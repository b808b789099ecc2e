/* A JSON value becomes a field, by the column's type. */

#include <stdio.h>
#include <string.h>

#include "row/row_impl.h"


static int row_string(row_plan_t *plan, const row_column_t *column,
    uint32_t token, buf_t *text, record_fault_t *fault);
static int row_scalar(row_plan_t *plan, const row_column_t *column,
    const json_token_t *token, buf_t *text, record_fault_t *fault);
static int row_transformed(row_plan_t *plan, const row_column_t *column,
    uint32_t token, buf_t *text, record_fault_t *fault);
static int row_decode(row_plan_t *plan, uint32_t token, const char **s,
    size_t *len);
static int row_elements(row_plan_t *plan, const row_column_t *element,
    uint32_t token, record_fault_t *fault);
static int row_quote(buf_t *out, const buf_t *element);
static int row_misfit(const row_column_t *column, const json_token_t *token,
    record_fault_t *fault);


static const char *const  row_json_names[] = {
    "null", "false", "true", "a number", "a string", "an array", "an object"
};


int
row_token(row_plan_t *plan, const row_column_t *column, uint32_t token,
    buf_t *text, record_fault_t *fault)
{
    uint32_t             quote;
    const json_token_t  *t;

    t = &plan->doc.tokens[token];

    if (column->kind == TYPE_JSON) {
        /* a string's token lies between its quotes */
        quote = t->type == JSON_STRING;
        return row_put(column, plan->doc.text + t->start - quote,
                       t->end - t->start + 2 * quote, text);
    }

    if (column->kind == TYPE_ARRAY && t->type == JSON_ARRAY) {
        return row_array(plan, column, token, text, fault);
    }

    if (column->ntransforms) {
        return row_transformed(plan, column, token, text, fault);
    }

    if (t->type == JSON_STRING) {
        return row_string(plan, column, token, text, fault);
    }

    return row_scalar(plan, column, t, text, fault);
}


/* The text of a string; decoded into "scratch" where it has escapes. */

static int
row_decode(row_plan_t *plan, uint32_t token, const char **s, size_t *len)
{
    const json_token_t  *t;

    t = &plan->doc.tokens[token];
    *s = plan->doc.text + t->start;
    *len = t->end - t->start;

    if (t->escaped) {
        plan->scratch.len = 0;
        if (buf_reserve(&plan->scratch, *len + 1) == -1) {
            return -1;
        }
        *len = json_unescape(&plan->doc, token, plan->scratch.data);
        *s = plan->scratch.data;
    }

    return 0;
}


static int
row_string(row_plan_t *plan, const row_column_t *column, uint32_t token,
    buf_t *text, record_fault_t *fault)
{
    size_t               len;
    const char          *s;
    const json_token_t  *t;

    t = &plan->doc.tokens[token];

    if (!t->escaped
        && (column->kind == TYPE_TEXT || column->kind == TYPE_OTHER
            || column->kind == TYPE_STRING))
    {
        /* no control character and no backslash: nothing for COPY to escape */

        len = t->end - t->start;

        if (buf_reserve(text, len + 1) == -1) {
            return -1;
        }

        memcpy(text->data + text->len, plan->doc.text + t->start, len);
        text->len += len;

        return 0;
    }

    if (row_decode(plan, token, &s, &len) == -1) {
        return -1;
    }

    return row_text(plan, column, s, len, text, fault);
}


static int
row_misfit(const row_column_t *column, const json_token_t *token,
    record_fault_t *fault)
{
    char  what[128];

    snprintf(what, sizeof(what), "%s does not fit type %s",
             row_json_names[token->type], column->type);

    return row_fault(fault, "22P02", column, what);
}


/* Numbers, true, false, arrays and objects. */

static int
row_scalar(row_plan_t *plan, const row_column_t *column,
    const json_token_t *token, buf_t *text, record_fault_t *fault)
{
    bool         fits;
    size_t       len;
    const char  *s;

    s = plan->doc.text + token->start;
    len = token->end - token->start;

    switch (column->kind) {

    case TYPE_SMALLINT:
    case TYPE_INTEGER:
    case TYPE_BIGINT:
        fits = token->type == JSON_NUMBER;
        if (fits && row_integer(column, s, len, fault)) {
            return 1;
        }
        break;

    case TYPE_NUMERIC:
    case TYPE_FLOAT:
        fits = token->type == JSON_NUMBER;
        break;

    case TYPE_BOOLEAN:
        fits = token->type == JSON_TRUE || token->type == JSON_FALSE;
        break;

    case TYPE_TIMESTAMPTZ:
    case TYPE_TIMESTAMP:
    case TYPE_DATE:
    case TYPE_TIME:
        if (token->type == JSON_NUMBER) {
            return row_time(plan, column, s, len, text, fault);
        }
        fits = false;
        break;

    case TYPE_STRING:
    case TYPE_BYTEA:
    case TYPE_ARRAY:
        fits = false;
        break;

    default:
        fits = true;
        break;
    }

    if (!fits) {
        return row_misfit(column, token, fault);
    }

    if (token->type < JSON_ARRAY) {
        /* nothing to escape in a number, true and false */

        if (buf_reserve(text, len) == -1) {
            return -1;
        }

        memcpy(text->data + text->len, s, len);
        text->len += len;

        return 0;
    }

    return row_put(column, s, len, text);
}


/* What is no string is transformed as it was written. */

static int
row_transformed(row_plan_t *plan, const row_column_t *column, uint32_t token,
    buf_t *text, record_fault_t *fault)
{
    int                  rc;
    size_t               len;
    const char          *s;
    const json_token_t  *t;

    t = &plan->doc.tokens[token];

    if (t->type == JSON_STRING) {
        if (row_decode(plan, token, &s, &len) == -1) {
            return -1;
        }

    } else {
        s = plan->doc.text + t->start;
        len = t->end - t->start;
    }

    rc = row_transform(plan, column, &s, &len, fault);
    if (rc != 0) {
        return rc;
    }

    return column->digest ? row_put_bytea(column, s, len, text)
                          : row_text(plan, column, s, len, text, fault);
}


/* PostgreSQL's manual, "Array Input and Output Syntax". */

int
row_array(row_plan_t *plan, const row_column_t *column, uint32_t token,
    buf_t *text, record_fault_t *fault)
{
    int           rc;
    row_column_t  element;

    element = *column;
    element.kind = column->element;
    element.plain = true;

    plan->array.len = 0;
    rc = row_elements(plan, &element, token, fault);

    return rc ? rc : row_put(column, plan->array.data, plan->array.len, text);
}


static int
row_elements(row_plan_t *plan, const row_column_t *element, uint32_t token,
    record_fault_t *fault)
{
    int        rc;
    char       before;
    uint32_t   i, end;
    uint8_t    type;

    end = plan->doc.tokens[token].next;
    before = '{';
    rc = 0;

    for (i = token + 1; i < end; i = plan->doc.tokens[i].next) {

        if (buf_reserve(&plan->array, 8) == -1) {
            return -1;
        }

        plan->array.data[plan->array.len++] = before;
        before = ',';
        type = plan->doc.tokens[i].type;

        if (type == JSON_NULL && element->kind != TYPE_JSON) {
            memcpy(plan->array.data + plan->array.len, "NULL", 4);
            plan->array.len += 4;
            continue;
        }

        if (type == JSON_ARRAY && element->kind != TYPE_JSON) {
            rc = row_elements(plan, element, i, fault);

        } else {
            plan->element.len = 0;
            rc = row_token(plan, element, i, &plan->element, fault);
            if (rc == 0) {
                rc = row_quote(&plan->array, &plan->element);
            }
        }

        if (rc != 0) {
            return rc;
        }
    }

    if (buf_reserve(&plan->array, 2) == -1) {
        return -1;
    }

    if (before == '{') {
        plan->array.data[plan->array.len++] = '{';
    }

    plan->array.data[plan->array.len++] = '}';

    return 0;
}


static int
row_quote(buf_t *out, const buf_t *element)
{
    char    *p;
    size_t   i;

    if (buf_reserve(out, element->len * 2 + 2) == -1) {
        return -1;
    }

    p = out->data + out->len;
    *p++ = '"';

    for (i = 0; i < element->len; i++) {
        if (element->data[i] == '"' || element->data[i] == '\\') {
            *p++ = '\\';
        }
        *p++ = element->data[i];
    }

    *p++ = '"';
    out->len = (size_t) (p - out->data);

    return 0;
}
