/*
 * Values that JSON holds in a form of their own, as Kafka Connect's
 * JsonConverter and Debezium write them: numbers and bits in base64, a
 * struct's members, the text of another JSON value.
 */

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "row/form.h"
#include "row/number.h"
#include "row/struct.h"
#include "row/text.h"


/* What the name of a schema says of its values. */
typedef struct {
    const char    *name;
    form_t         form;
    conf_epoch_t   unit;
} form_name_t;


static int row_form_string(row_ctx_t *ctx, const row_column_t *column,
    uint32_t token);
static int row_form_hex(row_ctx_t *ctx, const row_column_t *column,
    const char *s, size_t len);
static int row_form_bits(row_ctx_t *ctx, const row_column_t *column,
    const char *s, size_t len);
static int row_form_infinity(row_ctx_t *ctx, const row_column_t *column,
    const json_token_t *t);
static int row_form_interval(row_ctx_t *ctx, const row_column_t *column,
    const json_token_t *t);


#define TIME    "io.debezium.time."
#define DATA    "io.debezium.data."
#define CONNECT "org.apache.kafka.connect.data."

static const form_name_t  form_names[] = {
    { TIME "Date",           FORM_OBJECT,  CONF_UNIT_DAYS },
    { TIME "Time",           FORM_OBJECT,  CONF_UNIT_MS },
    { TIME "MicroTime",      FORM_OBJECT,  CONF_UNIT_US },
    { TIME "NanoTime",       FORM_OBJECT,  CONF_UNIT_NS },
    { TIME "Timestamp",      FORM_OBJECT,  CONF_UNIT_MS },
    { TIME "MicroTimestamp", FORM_OBJECT,  CONF_UNIT_US },
    { TIME "NanoTimestamp",  FORM_OBJECT,  CONF_UNIT_NS },
    { TIME "MicroDuration",  FORM_OBJECT,  CONF_UNIT_US },
    { TIME "NanoDuration",   FORM_OBJECT,  CONF_UNIT_NS },
    { CONNECT "Date",        FORM_OBJECT,  CONF_UNIT_DAYS },
    { CONNECT "Time",        FORM_OBJECT,  CONF_UNIT_MS },
    { CONNECT "Timestamp",   FORM_OBJECT,  CONF_UNIT_MS },
    { CONNECT "Decimal",     FORM_DECIMAL, CONF_UNIT_NONE },
    { DATA "Bits",           FORM_BITS,    CONF_UNIT_NONE },
    { DATA "Json",           FORM_JSON,    CONF_UNIT_NONE }
};


static bool
row_type_is(const row_column_t *column, const char *name)
{
    size_t  len;

    len = strlen(name);

    return strncmp(column->type, name, len) == 0
           && strchr("[( ", column->type[len]) != NULL;
}


/* The number behind "between" in the type's parentheses, or -1. */

static int32_t
row_type_number(const char *type, char between)
{
    const char  *p;

    p = strchr(type, between);

    return p ? (int32_t) strtol(p + 1, NULL, 10) : -1;
}


static void
row_form_bits_of(row_column_t *column)
{
    const char  *type = column->type;

    column->bits = row_type_is(column, "bit varying") ? -1
                   : row_type_is(column, "bit") ? row_type_number(type, '(')
                   : 0;

    if (column->bits == -1 && type[3] != ' ') {
        column->bits = 1;
    }
}


int
row_form_state(row_column_t *column, bool change, char *reason, size_t size)
{
    type_kind_t           kind;
    const char           *words;
    const conf_column_t  *cc = column->conf;

    static const form_t  forms[] = {
        [CONF_ENCODING_NONE] = FORM_NONE, [CONF_ENCODING_BASE64] = FORM_NONE,
        [CONF_ENCODING_HEX] = FORM_HEX, [CONF_ENCODING_DECIMAL] = FORM_DECIMAL,
        [CONF_ENCODING_BITS] = FORM_BITS, [CONF_ENCODING_JSON] = FORM_JSON
    };

    kind = column->kind == TYPE_ARRAY ? column->element : column->kind;
    row_form_bits_of(column);

    column->unit = cc->unit;
    column->form = forms[cc->encoding];
    column->scale = row_type_number(column->type, ',');

    if (column->scale == -1) {
        column->scale = 0;
    }

    words = (cc->encoding == CONF_ENCODING_BASE64
             || cc->encoding == CONF_ENCODING_HEX) && kind != TYPE_BYTEA
            ? "base64 and hex go with type bytea"
            : cc->encoding == CONF_ENCODING_JSON && kind != TYPE_JSON
            ? "json goes with types json and jsonb"
            : cc->encoding == CONF_ENCODING_BITS && column->bits == 0
              && kind != TYPE_BYTEA
            ? "bits go with types bit, bit varying and bytea"
            : cc->encoding == CONF_ENCODING_DECIMAL && kind == TYPE_NUMERIC
              && strchr(column->type, '(') == NULL
            ? "decimal needs a type with its decimals, such as numeric(12,2)"
            : NULL;

    if (words) {
        snprintf(reason, size, "column \"%s\": \"encoding\" %s, not with type "
                 "%s", cc->name, words, column->type);
        return -1;
    }

    if (change && column->form == FORM_NONE) {
        column->form = kind == TYPE_JSON
                       && cc->encoding == CONF_ENCODING_NONE
                       ? FORM_JSON : FORM_OBJECT;
    }

    if (change && column->unit == CONF_UNIT_NONE && kind == TYPE_DATE) {
        column->unit = CONF_UNIT_DAYS;
    }

    if (column->unit && column->form == FORM_NONE && !type_is_time(kind)) {
        column->form = FORM_OBJECT;
    }

    return 0;
}


void
row_form_name(row_column_t *column, const json_doc_t *doc, uint32_t schema)
{
    size_t              i;
    char                number[12], reason[1];
    int64_t             n;
    uint32_t            name, items, value;
    const form_name_t  *known;

    (void) row_form_state(column, true, reason, sizeof(reason));

    items = json_member(doc, schema, "items", 5);
    if (items != JSON_NONE) {
        schema = items;
    }

    name = json_member(doc, schema, "name", 4);

    if (name == JSON_NONE && schema != JSON_NONE && column->form == FORM_JSON
        && column->conf->encoding == CONF_ENCODING_NONE)
    {
        /* a text, which may look like JSON and is none */
        column->form = FORM_OBJECT;
    }

    if (name == JSON_NONE || doc->tokens[name].type != JSON_STRING) {
        return;
    }

    for (i = 0; i < sizeof(form_names) / sizeof(form_names[0]); i++) {
        known = &form_names[i];

        if (json_equals(doc, name, known->name, strlen(known->name))) {
            column->form = known->form;
            column->unit = known->unit;
            break;
        }
    }

    value = json_member(doc, json_member(doc, schema, "parameters", 10),
                        "scale", 5);

    if (column->form == FORM_DECIMAL && value != JSON_NONE
        && doc->tokens[value].end - doc->tokens[value].start < sizeof(number)
        && text_get_int(number, json_unescape(doc, value, number), 4, &n)
           == 0)
    {
        column->scale = (int32_t) n;
    }
}


int
row_form(row_ctx_t *ctx, const row_column_t *column, uint32_t token)
{
    const json_token_t  *t = &ctx->doc.tokens[token];

    switch (t->type) {

    case JSON_STRING:
        return column->form == FORM_OBJECT || column->kind == TYPE_ARRAY
               ? FORM_AS_IS : row_form_string(ctx, column, token);

    case JSON_OBJECT:
        return column->kind == TYPE_JSON || column->kind == TYPE_TEXT
               ? FORM_AS_IS : row_struct(ctx, column, token);

    case JSON_NUMBER:
        return column->kind == TYPE_STRING && column->unit
               ? row_form_interval(ctx, column, t)
               : column->kind == TYPE_TIMESTAMP || column->kind == TYPE_DATE
               ? row_form_infinity(ctx, column, t) : FORM_AS_IS;

    case JSON_TRUE:
    case JSON_FALSE:
        return column->bits && column->kind != TYPE_ARRAY
               ? ctx->writer->plain(ctx, column,
                                    t->type == JSON_TRUE ? "1" : "0", 1)
               : FORM_AS_IS;

    default:
        return FORM_AS_IS;
    }
}


static int
row_form_string(row_ctx_t *ctx, const row_column_t *column, uint32_t token)
{
    size_t       len;
    const char  *s;

    if (row_unescape(ctx, token, &s, &len) == -1) {
        return -1;
    }

    switch (column->form) {

    case FORM_HEX:
        return row_form_hex(ctx, column, s, len);

    case FORM_DECIMAL:
        return column->kind == TYPE_JSON
               ? FORM_AS_IS
               : row_decimal(ctx, column, s, len, column->scale);

    case FORM_BITS:
        return column->bits
               ? row_form_bits(ctx, column, s, len) : FORM_AS_IS;

    default:
        return column->kind == TYPE_JSON
               ? ctx->writer->text(ctx, column, s, len) : FORM_AS_IS;
    }
}


static int
row_form_hex(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len)
{
    char   *end;
    buf_t  *out = &ctx->formed;

    out->len = 0;

    if (buf_reserve(out, len / 2 + 1) == -1) {
        return -1;
    }

    end = len % 2 ? NULL : text_get_hex(out->data, s, len);

    return end ? ctx->writer->bytes(ctx, column, out->data,
                                    (size_t) (end - out->data))
               : row_fault(ctx, column, "22P02", "not hexadecimal");
}


/*
 * The last bits come first.  A bit varying begins with a one: Debezium writes
 * no zeros before it.
 */

static int
row_form_bits(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len)
{
    int             rc;
    char           *p;
    size_t          i, n, count;
    const uint8_t  *bytes;

    rc = row_base64(ctx, column, s, len);
    if (rc != 0) {
        return rc;
    }

    bytes = (const uint8_t *) ctx->decoded.data;
    n = ctx->decoded.len * 8;

    while (n && (bytes[(n - 1) / 8] >> (n - 1) % 8 & 1) == 0) {
        n--;
    }

    count = column->bits > 0 ? (size_t) column->bits : n;

    if (n > count) {
        return row_fault(ctx, column, "22026", "%zu bits do not fit type %s",
                         n, column->type);
    }

    ctx->formed.len = 0;

    if (buf_reserve(&ctx->formed, count + 1) == -1) {
        return -1;
    }

    p = ctx->formed.data;

    for (i = count; i--; ) {
        *p++ = i < n && bytes[i / 8] >> i % 8 & 1 ? '1' : '0';
    }

    return row_formed(ctx, column, ctx->formed.data, count);
}


static int
row_form_interval(row_ctx_t *ctx, const row_column_t *column,
    const json_token_t *t)
{
    int      rc;
    int64_t  us;
    char     text[48];

    rc = row_unix(ctx->doc.text + t->start, t->end - t->start, column->unit,
                  &us);

    return rc ? row_fault(ctx, column, "22008", "the interval is out of range")
              : row_formed(ctx, column, text,
                           (size_t) snprintf(text, sizeof(text),
                                             "%lld microseconds",
                                             (long long) us));
}


/*
 * The numbers that Debezium's connector for PostgreSQL writes for infinity.  No
 * date or timestamp of PostgreSQL's is one of them.
 */

static int
row_form_infinity(row_ctx_t *ctx, const row_column_t *column,
    const json_token_t *t)
{
    size_t       i, len;
    const char  *s;

    static const struct {
        const char  *number;
        const char  *text;
    } infinities[] = {
        { "9223372036825200000", "infinity" },
        { "-9223372036832400000", "-infinity" },
        { "-2147472692", "infinity" },
        { "-2147472691", "-infinity" },
        { "-622191234", "infinity" },      /* in a snapshot, both */
        { "-625821272", "-infinity" }
    };

    s = ctx->doc.text + t->start;
    len = t->end - t->start;

    for (i = column->kind == TYPE_DATE ? 2 : 0;
         i < (column->kind == TYPE_DATE ? 6U : 2U); i++)
    {
        if (len == strlen(infinities[i].number)
            && memcmp(s, infinities[i].number, len) == 0)
        {
            return ctx->writer->plain(ctx, column, infinities[i].text,
                                      strlen(infinities[i].text));
        }
    }

    return FORM_AS_IS;
}
