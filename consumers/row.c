/* A record becomes a line of COPY's text format, in one pass over tokens. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "row.h"
#include "types.h"


#define ROW_MS_DAY  86400000


typedef struct row_column_s  row_column_t;

/* Appends one field; 0, 1 with a fault, -1 when memory is short. */
typedef int (*row_field_pt)(row_plan_t *plan, const row_column_t *column,
    const batch_record_t *record, buf_t *text, batch_fault_t *fault);


struct row_column_s {
    const conf_column_t  *conf;
    row_field_pt          field;
    type_kind_t           kind;
    const char           *type;        /* for messages */
    char                 *fallback;    /* escaped for COPY */
    size_t                fallback_len;
};


struct row_plan_s {
    json_doc_t     doc;
    buf_t          scratch;
    row_column_t  *columns;
    size_t         ncolumns;
    int            parse;       /* a column comes from inside the value */
    int64_t        day;         /* whose date "date" holds */
    char           date[16];
};


static int row_from_path(row_plan_t *plan, const row_column_t *column,
    const batch_record_t *record, buf_t *text, batch_fault_t *fault);
static int row_from_meta(row_plan_t *plan, const row_column_t *column,
    const batch_record_t *record, buf_t *text, batch_fault_t *fault);
static int row_from_bytes(row_plan_t *plan, const row_column_t *column,
    const batch_record_t *record, buf_t *text, batch_fault_t *fault);
static int row_from_timestamp(row_plan_t *plan, const row_column_t *column,
    const batch_record_t *record, buf_t *text, batch_fault_t *fault);
static int row_string(row_plan_t *plan, const row_column_t *column,
    uint32_t token, buf_t *text, batch_fault_t *fault);
static int row_scalar(row_plan_t *plan, const row_column_t *column,
    const json_token_t *token, buf_t *text, batch_fault_t *fault);
static int row_check_integer(const row_column_t *column, const char *s,
    size_t len, batch_fault_t *fault);
static int row_fault(batch_fault_t *fault, const char *sqlstate,
    const row_column_t *column, const char *what);
static int row_null(buf_t *text);


static const char *const  row_json_names[] = {
    "null", "false", "true", "a number", "a string", "an array", "an object"
};


row_plan_t *
row_plan_create(const conf_t *conf, const char *const *types)
{
    buf_t                 escaped;
    size_t                i;
    row_plan_t           *plan;
    row_column_t         *column;
    const conf_column_t  *cc;

    plan = calloc(1, sizeof(row_plan_t));
    if (plan == NULL) {
        return NULL;
    }

    plan->day = INT64_MIN;
    plan->columns = calloc(conf->ncolumns, sizeof(row_column_t));
    if (plan->columns == NULL) {
        goto failed;
    }

    for (i = 0; i < conf->ncolumns; i++) {
        cc = &conf->columns[i];

        if (cc->from == CONF_FROM_IDENTITY) {
            continue;
        }

        column = &plan->columns[plan->ncolumns++];
        column->conf = cc;
        column->type = types[i] ? types[i] : "text";
        column->kind = types[i] ? type_kind(types[i]) : TYPE_TEXT;

        column->field = cc->from == CONF_FROM_PATH ? row_from_path
                        : cc->from == CONF_FROM_TIMESTAMP ? row_from_timestamp
                        : cc->from == CONF_FROM_KEY ? row_from_bytes
                        : cc->from == CONF_FROM_VALUE ? row_from_bytes
                        : row_from_meta;

        plan->parse |= cc->from == CONF_FROM_PATH;

        if (cc->fallback) {
            memset(&escaped, 0, sizeof(buf_t));
            if (buf_add_copy(&escaped, cc->fallback, strlen(cc->fallback))
                == -1)
            {
                goto failed;
            }
            column->fallback = escaped.data ? escaped.data : strdup("");
            column->fallback_len = escaped.len;
        }
    }

    return plan;

failed:

    row_plan_free(plan);

    return NULL;
}


void
row_plan_free(row_plan_t *plan)
{
    size_t  i;

    if (plan == NULL) {
        return;
    }

    for (i = 0; i < plan->ncolumns; i++) {
        free(plan->columns[i].fallback);
    }

    free(plan->columns);
    buf_free(&plan->scratch);
    json_doc_free(&plan->doc);
    free(plan);
}


int
row_convert(row_plan_t *plan, const batch_record_t *record, buf_t *text,
    batch_fault_t *fault)
{
    int            rc;
    size_t         i, start;
    json_error_t   err;
    row_column_t  *column;

    if (plan->parse) {

        if (record->value == NULL) {
            return row_fault(fault, "22004", NULL, "the value is null");
        }

        if (json_parse(&plan->doc, record->value, record->value_len, &err)
            == -1)
        {
            if (err.reason == json_no_memory) {
                return -1;
            }
            snprintf(fault->sqlstate, sizeof(fault->sqlstate), "22032");
            snprintf(fault->reason, BATCH_REASON,
                     "the value is not JSON: %s at byte %zu", err.reason,
                     err.offset);
            return 1;
        }
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


static int
row_fault(batch_fault_t *fault, const char *sqlstate,
    const row_column_t *column, const char *what)
{
    snprintf(fault->sqlstate, sizeof(fault->sqlstate), "%s", sqlstate);

    if (column) {
        snprintf(fault->reason, BATCH_REASON, "column \"%s\": %s",
                 column->conf->name, what);
    } else {
        snprintf(fault->reason, BATCH_REASON, "%s", what);
    }

    return 1;
}


static int
row_null(buf_t *text)
{
    if (buf_reserve(text, 2) == -1) {
        return -1;
    }

    memcpy(text->data + text->len, "\\N", 2);
    text->len += 2;

    return 0;
}


static int
row_missing(const row_column_t *column, buf_t *text, batch_fault_t *fault,
    int is_null)
{
    if (column->conf->required) {
        return row_fault(fault, "23502", column, is_null
                         ? "the value is null" : "the value is missing");
    }

    if (column->fallback == NULL || is_null) {
        return row_null(text);
    }

    if (buf_reserve(text, column->fallback_len + 1) == -1) {
        return -1;
    }

    memcpy(text->data + text->len, column->fallback, column->fallback_len);
    text->len += column->fallback_len;

    return 0;
}


static int
row_from_path(row_plan_t *plan, const row_column_t *column,
    const batch_record_t *record, buf_t *text, batch_fault_t *fault)
{
    uint32_t             i;
    const json_token_t  *token;

    (void) record;

    i = json_find(&plan->doc, 0, column->conf->pointer);

    if (i == JSON_NONE) {
        return row_missing(column, text, fault, 0);
    }

    token = &plan->doc.tokens[i];

    if (token->type == JSON_NULL) {
        return row_missing(column, text, fault, 1);
    }

    if (column->kind == TYPE_JSON) {
        /* a string's token lies between its quotes */
        i = token->type == JSON_STRING;
        return buf_add_copy(text, plan->doc.text + token->start - i,
                            token->end - token->start + 2 * i);
    }

    if (token->type == JSON_STRING) {
        return row_string(plan, column, i, text, fault);
    }

    return row_scalar(plan, column, token, text, fault);
}


static int
row_string(row_plan_t *plan, const row_column_t *column, uint32_t token,
    buf_t *text, batch_fault_t *fault)
{
    size_t               len;
    const char          *s;
    const json_token_t  *t;

    t = &plan->doc.tokens[token];
    s = plan->doc.text + t->start;
    len = t->end - t->start;

    if (t->escaped) {
        plan->scratch.len = 0;
        if (buf_reserve(&plan->scratch, len + 1) == -1) {
            return -1;
        }
        s = plan->scratch.data;
        len = json_unescape(&plan->doc, token, plan->scratch.data);
    }

    switch (column->kind) {

    case TYPE_SMALLINT:
    case TYPE_INTEGER:
    case TYPE_BIGINT:
        if (row_check_integer(column, s, len, fault)) {
            return 1;
        }
        break;

    default:
        break;
    }

    if (t->escaped) {
        return buf_add_copy(text, s, len);
    }

    /* JSON has no raw control character in a string, so nothing to escape */

    if (buf_reserve(text, len + 1) == -1) {
        return -1;
    }

    if (len) {
        memcpy(text->data + text->len, s, len);
        text->len += len;
    }

    return 0;
}


/* Numbers, true, false, arrays and objects. */

static int
row_scalar(row_plan_t *plan, const row_column_t *column,
    const json_token_t *token, buf_t *text, batch_fault_t *fault)
{
    int          fits;
    char         what[128];
    size_t       len;
    const char  *s;

    s = plan->doc.text + token->start;
    len = token->end - token->start;

    switch (column->kind) {

    case TYPE_SMALLINT:
    case TYPE_INTEGER:
    case TYPE_BIGINT:
        fits = token->type == JSON_NUMBER;
        if (fits && row_check_integer(column, s, len, fault)) {
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

    case TYPE_TIME:
    case TYPE_UUID:
    case TYPE_BYTEA:
        fits = 0;
        break;

    default:
        fits = 1;
        break;
    }

    if (!fits) {
        snprintf(what, sizeof(what), "%s does not fit type %s",
                 row_json_names[token->type], column->type);
        return row_fault(fault, "22P02", column, what);
    }

    return buf_add_copy(text, s, len);
}


static int
row_check_integer(const row_column_t *column, const char *s, size_t len,
    batch_fault_t *fault)
{
    size_t    i;
    uint64_t  n, max;

    max = column->kind == TYPE_SMALLINT ? INT16_MAX
          : column->kind == TYPE_INTEGER ? INT32_MAX : INT64_MAX;
    i = 0;

    if (len && s[0] == '-') {
        max++;
        i++;
    }

    if (i == len) {
        return row_fault(fault, "22P02", column, "not a whole number");
    }

    for (n = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9') {
            return row_fault(fault, "22P02", column, "not a whole number");
        }

        if (n > max / 10 || n * 10 > max - (uint64_t) (s[i] - '0')) {
            return row_fault(fault, "22003", column,
                             "the number is out of range");
        }

        n = n * 10 + (uint64_t) (s[i] - '0');
    }

    return 0;
}


static int
row_from_meta(row_plan_t *plan, const row_column_t *column,
    const batch_record_t *record, buf_t *text, batch_fault_t *fault)
{
    (void) plan;
    (void) fault;

    if (column->conf->from == CONF_FROM_TOPIC) {
        return buf_add_copy(text, record->topic, strlen(record->topic));
    }

    if (buf_reserve(text, 20) == -1) {
        return -1;
    }

    text->len = (size_t) (buf_put_int(text->data + text->len,
                          column->conf->from == CONF_FROM_OFFSET
                          ? record->offset : record->partition)
                          - text->data);

    return 0;
}


/* "2026-01-31 12:00:00.123+00", or milliseconds for a number's type. */

static int
row_from_timestamp(row_plan_t *plan, const row_column_t *column,
    const batch_record_t *record, buf_t *text, batch_fault_t *fault)
{
    int         ms;
    char       *p;
    time_t      seconds;
    int64_t     day;
    struct tm   tm;

    if (record->timestamp < 0) {
        return row_missing(column, text, fault, 1);
    }

    if (buf_reserve(text, 48) == -1) {
        return -1;
    }

    p = text->data + text->len;

    if (column->kind == TYPE_BIGINT || column->kind == TYPE_NUMERIC) {
        text->len = (size_t) (buf_put_int(p, record->timestamp)
                              - text->data);
        return 0;
    }

    day = record->timestamp / ROW_MS_DAY;
    ms = (int) (record->timestamp % ROW_MS_DAY);

    if (day != plan->day) {
        seconds = (time_t) (day * (ROW_MS_DAY / 1000));

        if (gmtime_r(&seconds, &tm) == NULL || tm.tm_year > 9999 - 1900) {
            return row_fault(fault, "22008", column,
                             "the timestamp is out of range");
        }

        strftime(plan->date, sizeof(plan->date), "%Y-%m-%d ", &tm);
        plan->day = day;
    }

    memcpy(p, plan->date, 11);
    p[11] = (char) ('0' + ms / 36000000);
    p[12] = (char) ('0' + ms / 3600000 % 10);
    p[13] = ':';
    p[14] = (char) ('0' + ms / 600000 % 6);
    p[15] = (char) ('0' + ms / 60000 % 10);
    p[16] = ':';
    p[17] = (char) ('0' + ms / 10000 % 6);
    p[18] = (char) ('0' + ms / 1000 % 10);
    p[19] = '.';
    p[20] = (char) ('0' + ms / 100 % 10);
    p[21] = (char) ('0' + ms / 10 % 10);
    p[22] = (char) ('0' + ms % 10);
    memcpy(p + 23, "+00", 3);

    text->len += 26;

    return 0;
}


static int
row_from_bytes(row_plan_t *plan, const row_column_t *column,
    const batch_record_t *record, buf_t *text, batch_fault_t *fault)
{
    size_t       len;
    const char  *s;

    (void) plan;

    if (column->conf->from == CONF_FROM_KEY) {
        s = record->key;
        len = record->key_len;
    } else {
        s = record->value;
        len = record->value_len;
    }

    if (s == NULL) {
        return row_missing(column, text, fault, 1);
    }

    if (column->kind == TYPE_BYTEA) {
        return buf_add_bytea(text, s, len);
    }

    if (!buf_is_text(s, len)) {
        return row_fault(fault, "22021", column,
                         "not UTF-8 text, or a zero byte in it");
    }

    return buf_add_copy(text, s, len);
}
