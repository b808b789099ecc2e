/*
 * libFuzzer target of record -> row.  Input: the plan (byte 0), the lengths
 * of key and header (bytes 1 and 2), key, header, value.  What the line
 * holds is compared with what the pointers and the JSON reader say.
 */

#include <endian.h>

#include "base/text.h"
#include "fuzz.h"
#include "row/copy.h"
#include "row/row.h"


static const conf_transform_t  tidy[] = {
    { CONF_TRIM, 0 }, { CONF_LOWER, 0 }, { CONF_UPPER, 0 }, { CONF_MASK, 2 }
};

static const conf_transform_t  hash[] = { { CONF_SHA256, 0 } };
static const conf_transform_t  lenient[] = { { CONF_CAST, 0 } };

#define DO(list)  .transforms = (conf_transform_t *) (uintptr_t) list,       \
                  .ntransforms = sizeof(list) / sizeof(conf_transform_t)
#define TEXT      { .name = "t", .path = "/t" }


/* The first is text, from a path, so that it can be foretold. */

static conf_column_t  plain[] = {
    TEXT, { .name = "i", .path = "/i" }, { .name = "n", .path = "/a/0/n" },
    { .name = "j", .path = "" }, { .name = "b", .path = "/b" },
    { .name = "k", .from = CONF_FROM_KEY },
    { .name = "v", .from = CONF_FROM_VALUE },
    { .name = "h", .from = CONF_FROM_HEADER, .header = (char *) "h" },
    { .name = "r", .from = CONF_FROM_REST }
};

static const char *const  plain_types[] = {
    "text", "integer", "numeric", "jsonb", "bytea", "text", "bytea", "text",
    "jsonb"
};

static const char *const  plain_receives[] = {
    "textrecv", "int4recv", "numeric_recv", "jsonb_recv", "bytearecv",
    "uuid_recv", "bytearecv", "float8recv", "json_recv"
};

static conf_column_t  times[] = {
    TEXT, { .name = "z", .path = "/z", .unit = CONF_UNIT_MS },
    { .name = "s", .path = "/z", .unit = CONF_UNIT_S },
    { .name = "d", .path = "/z" }, { .name = "c", .path = "/z" },
    { .name = "l", .path = "/l", .unit = CONF_UNIT_NS }
};

static const char *const  times_types[] = {
    "text", "timestamptz", "timestamp", "date", "time", "timestamptz[]"
};

static const char *const  times_receives[] = {
    "timestamptz_recv", "timestamptz_recv", "timestamp_recv", "date_recv",
    "time_recv", "timestamptz_recv"
};

static conf_column_t  lists[] = {
    TEXT, { .name = "a", .path = "/l" }, { .name = "b", .path = "/l" },
    { .name = "c", .path = "/m" }
};

static const char *const  lists_types[] = {
    "text", "text[]", "jsonb[]", "bytea[]"
};

static const char *const  lists_receives[] = {
    "float4recv", "textrecv", "jsonb_recv", "bytearecv"
};

static conf_column_t  changed[] = {
    TEXT, { .name = "a", .path = "/t", DO(tidy) },
    { .name = "b", .path = "/t", DO(hash) },
    { .name = "c", .path = "/t", DO(hash) },
    { .name = "d", .path = "/i", DO(lenient) },
    { .name = "e", .path = "/i", DO(lenient) },
    { .name = "f", .from = CONF_FROM_KEY, DO(tidy) }
};

static const char *const  changed_types[] = {
    "text", "text", "text", "bytea", "integer", "boolean", "text"
};

static const char *const  changed_receives[] = {
    "textrecv", "varcharrecv", "textrecv", "bytearecv", "int8recv",
    "boolrecv", "date_recv"
};

static conf_column_t  whole[] = {
    { .name = "v", .from = CONF_FROM_VALUE }
};

static const char *const  whole_types[] = { "text" };
static const char *const  whole_receives[] = { "boolrecv" };

/* OIDs of elements: a column is an array where its type says so */
static const uint32_t  plain_arrays[9], changed_arrays[7], whole_arrays[1];
static const uint32_t  times_arrays[] = { 0, 0, 0, 0, 0, 1184 };
static const uint32_t  lists_arrays[] = { 0, 25, 3802, 17 };


static conf_value_t  choices[] = {
    { .type = JSON_STRING, .text = "a", .len = 1 },
    { .type = JSON_NUMBER, .number = { .digits = "1", .n = 1, .exponent = 1 } },
    { .type = JSON_NULL }
};

static conf_where_t  filter = { .values = choices, .nvalues = 3 };


#define PLAN(list)  .columns = list, .types = list##_types,                  \
                    .receives = list##_receives, .arrays = list##_arrays,   \
                    .ncolumns = sizeof(list) / sizeof(conf_column_t)

static const row_spec_t  specs[] = {
    { PLAN(plain) }, { PLAN(times) }, { PLAN(lists) }, { PLAN(changed) },
    { PLAN(plain), .nul = CONF_NUL_STRIP },
    { PLAN(changed), .nul = CONF_NUL_REPLACE },
    { PLAN(times), .format = CONF_FORMAT_CLOUDEVENTS },
    { PLAN(lists), .format = CONF_FORMAT_DEBEZIUM, .unavailable = "a" },
    { PLAN(whole), .format = CONF_FORMAT_TEXT },
    { PLAN(lists), .where = &filter }
};

#define PLANS  (sizeof(specs) / sizeof(specs[0]))


static row_plan_t  *plans[PLANS];
static json_doc_t   doc;


static void
prepare_paths(conf_column_t *columns, size_t ncolumns)
{
    size_t       i;
    const char  *wrong;

    for (i = 0; i < ncolumns; i++) {
        if (columns[i].path) {
            columns[i].pointer = json_pointer_compile(
                columns[i].path, strlen(columns[i].path), &wrong);
        }
    }
}


#define PREPARE(list)  prepare_paths(list, sizeof(list) / sizeof(list[0]))

static void
prepare(void)
{
    char         reason[256];
    size_t       i;
    const char  *wrong;

    filter.pointer = json_pointer_compile("/w", 2, &wrong);
    PREPARE(plain);
    PREPARE(times);
    PREPARE(lists);
    PREPARE(changed);

    for (i = 0; i < PLANS; i++) {
        plans[i] = row_plan_create(&specs[i], reason, sizeof(reason));
        demand(plans[i] != NULL, reason);
    }
}


/* A line of COPY's text format: as many fields, each well-formed. */

static void
check_line(const buf_t *line, size_t ncolumns)
{
    char    *text;
    size_t   i, n, tabs, start;

    demand(line->len > 0 && line->data[line->len - 1] == '\n', "a line ends");
    text = malloc(line->len);

    for (i = 0, n = 0, tabs = 0, start = 0; i < line->len - 1; i++) {

        if (line->data[i] == '\t') {
            tabs++;
            start = i + 1;
            continue;
        }

        demand((unsigned char) line->data[i] >= 0x20
               || strchr("\b\t\n\v\f\r", line->data[i]) == NULL,
               "what COPY escapes is escaped");

        if (line->data[i] == '\\') {
            i++;
            demand(i < line->len - 1 && line->data[i]
                   && strchr("bfnrtv\\N", line->data[i]), "an escape is one");
            demand(line->data[i] != 'N'
                   || (i == start + 1 && strchr("\t\n", line->data[i + 1])),
                   "a null is all of its field");
        }

        text[n++] = line->data[i];
    }

    demand(tabs == ncolumns - 1, "as many fields as columns");
    demand(text_is_utf8(text, n), "it is text");
    free(text);
}


/* The first field is what the pointer and the JSON reader say. */

static void
check_first(const row_spec_t *spec, const char *value, size_t len,
    const buf_t *line)
{
    char                *text;
    size_t               n;
    buf_t                expected;
    uint32_t             i;
    json_error_t         err;
    const json_token_t  *t;

    if (spec->format != CONF_FORMAT_JSON
        || json_parse(&doc, value, len, &err) != 0)
    {
        return;
    }

    memset(&expected, 0, sizeof(buf_t));
    i = json_find(&doc, 0, spec->columns[0].pointer);
    t = i == JSON_NONE ? NULL : &doc.tokens[i];

    if (t == NULL || t->type == JSON_NULL) {
        demand(copy_add_null(&expected) == 0, "memory");

    } else if (t->type == JSON_STRING) {
        text = malloc(t->end - t->start + 1);
        n = json_unescape(&doc, i, text);
        demand(copy_add_text(&expected, text, n) == 0, "memory");
        free(text);

    } else {
        demand(copy_add_text(&expected, doc.text + t->start,
                            t->end - t->start) == 0, "memory");
    }

    demand(line->len > expected.len
           && (expected.len == 0
               || memcmp(line->data, expected.data, expected.len) == 0)
           && strchr("\t\n", line->data[expected.len]),
           "the field is the one the pointer names");
    buf_free(&expected);
}


/* A tuple of COPY's binary format: as many fields, each as long as it says. */

static void
check_tuple(const buf_t *tuple, size_t ncolumns)
{
    size_t    i, at;
    uint16_t  fields;
    uint32_t  len;

    demand(tuple->len > 2, "a tuple begins");
    memcpy(&fields, tuple->data, 2);
    demand(be16toh(fields) == ncolumns, "with the number of its fields");

    for (i = 0, at = 2; i < ncolumns; i++) {
        demand(tuple->len - at >= 4, "a field has a length");
        memcpy(&len, tuple->data + at, 4);
        len = be32toh(len);
        at += 4;
        demand(len == UINT32_MAX || len <= tuple->len - at, "and its bytes");
        at += len == UINT32_MAX ? 0 : len;
    }

    demand(at == tuple->len, "and nothing is behind the last");
}


/* The record as a tuple, where it is one, or else the line again. */

static void
check_other(size_t plan, const record_t *record, const buf_t *line, int wanted)
{
    int             rc;
    bool            tuple;
    buf_t           text;
    record_fault_t  fault;

    memset(&text, 0, sizeof(buf_t));
    tuple = true;
    rc = row_convert(plans[plan], record, &tuple, &text, &fault);
    demand(rc == wanted, "a tuple fails as a line does");

    if (rc != 0) {
        demand(text.len == 0, "and leaves nothing");

    } else if (tuple) {
        check_tuple(&text, specs[plan].ncolumns);

    } else {
        demand(text.len == line->len
               && memcmp(text.data, line->data, text.len) == 0,
               "what is no tuple is the line");
    }

    buf_free(&text);
}


static void
check_record(size_t plan, const record_t *record)
{
    int            rc;
    buf_t          text, again;
    record_fault_t  fault;

    memset(&text, 0, sizeof(buf_t));
    memset(&again, 0, sizeof(buf_t));
    memset(&fault, 0, sizeof(record_fault_t));

    rc = row_convert(plans[plan], record, NULL, &text, &fault);
    check_other(plan, record, &text, rc);

    switch (rc) {

    case 0:
        check_line(&text, specs[plan].ncolumns);
        check_first(&specs[plan], record->value, record->value_len, &text);
        demand(row_convert(plans[plan], record, NULL, &again, &fault) == 0
               && again.len == text.len
               && memcmp(again.data, text.data, text.len) == 0,
               "the same record makes the same line");
        break;

    case 1:
        demand(strlen(fault.sqlstate) == 5, "a fault has an SQLSTATE");
        demand(fault.reason[0]
               && strnlen(fault.reason, RECORD_REASON) < RECORD_REASON,
               "and a reason");
        demand(text.len == 0, "and leaves nothing");
        break;

    case ROW_FILTERED:
        demand((plan == PLANS - 1
                || specs[plan].format == CONF_FORMAT_DEBEZIUM)
               && text.len == 0,
               "filtered where there is a filter, and leaves nothing");
        break;

    default:
        demand(0, "there is memory");
    }

    buf_free(&text);
    buf_free(&again);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char            *key, *header, *value;
    size_t           key_len, header_len, plan;
    record_header_t   headers[6];
    record_t   record;

    if (size < 3) {
        return 0;
    }

    if (plans[0] == NULL) {
        prepare();
    }

    plan = data[0] % PLANS;
    key_len = data[1] < size - 3 ? data[1] : size - 3;
    header_len = data[2] < size - 3 - key_len ? data[2] : size - 3 - key_len;

    memset(&record, 0, sizeof(record_t));
    record.topic = "t";
    record.timestamp = 1769860800123;
    record.value_len = size - 3 - key_len - header_len;
    record.key_len = key_len;

    data += 3;
    key = copy((const char *) data, key_len, "", "");
    header = copy((const char *) data + key_len, header_len, "", "");
    value = copy((const char *) data + key_len + header_len,
                 record.value_len, "", "");

    headers[0] = (record_header_t) { "h", header, header_len };
    headers[1] = (record_header_t) { "content-type", header, header_len };
    headers[2] = (record_header_t) { "ce_specversion", "1.0", 3 };
    headers[3] = (record_header_t) { "ce_id", key, key_len };
    headers[4] = (record_header_t) { "ce_type", header, header_len };
    headers[5] = (record_header_t) { "ce_source", "/", 1 };

    record.key = key_len ? key : NULL;
    record.value = value;
    record.header = headers;
    /* without what is CloudEvents' binary mode it is the structured one */
    record.nheaders = key_len % 2 ? 6 : 2;

    check_record(plan, &record);

    free(key);
    free(header);
    free(value);

    return 0;
}
