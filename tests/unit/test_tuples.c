/* Values become fields of tuples, or are left to PostgreSQL. */

#include <stdlib.h>

#include "base/text.h"
#include "row/row.h"
#include "tap.h"


typedef struct {
    const char    *receive;    /* PostgreSQL's function */
    const char    *text;       /* in a column that is configured as text */
    const char    *hex;        /* length and bytes; NULL: PostgreSQL judges */
} case_t;


static const case_t  cases[] = {
    { "textrecv", "abc", "00000003616263" },
    { "textrecv", "", "00000000" },
    { "varcharrecv", "\\N", "000000025c4e" },
    { "bpcharrecv", "\b\t\n\v\f\r\\", "00000007" "08090a0b0c0d5c" },
    { "enum_recv", "a\tb\\c\xc3\xa9", "00000007" "6109625c63c3a9" },
    { "json_recv", "\\.", "000000025c2e" },
    { "jsonb_recv", "{\"a\":\"\\n\"}", "0000000b" "017b2261223a225c6e227d" },
    { "bytearecv", "\\x00ff5c", "0000000300ff5c" },
    { "bytearecv", "\\x", "00000000" },
    { "bytearecv", "\\x0", NULL },
    { "bytearecv", "\\x0g", NULL },
    { "bytearecv", "", NULL },
    { "bytearecv", "abc", NULL },
    { "int2recv", "-32768", "000000028000" },
    { "int2recv", "32767", "000000027fff" },
    { "int2recv", "32768", NULL },
    { "int4recv", "-2147483648", "0000000480000000" },
    { "int4recv", "2147483647", "000000047fffffff" },
    { "int4recv", "2147483648", NULL },
    { "int4recv", "007", "0000000400000007" },
    { "int4recv", "", NULL },
    { "int4recv", "-", NULL },
    { "int4recv", "1x", NULL },
    { "int8recv", "9223372036854775807", "000000087fffffffffffffff" },
    { "int8recv", "-9223372036854775808", "000000088000000000000000" },
    { "int8recv", "9223372036854775808", NULL },
    { "int8recv", "-1", "00000008ffffffffffffffff" },
    { "boolrecv", "t", "0000000101" },
    { "boolrecv", "FALSE", "0000000100" },
    { "boolrecv", "of", "0000000100" },
    { "boolrecv", "o", NULL },
    { "boolrecv", "truely", NULL },
    { "boolrecv", "", NULL },
    { "float8recv", "1.5", "000000083ff8000000000000" },
    { "float8recv", "-0", "000000088000000000000000" },
    { "float8recv", "4.9e-324", "000000080000000000000001" },
    { "float8recv", "NaN", "000000087ff8000000000000" },
    { "float8recv", "-Infinity", "00000008fff0000000000000" },
    { "float8recv", "1e400", NULL },
    { "float8recv", "1e-400", NULL },
    { "float8recv", "0x10", NULL },
    { "float8recv", "-nan", NULL },
    { "float8recv", "1e", NULL },
    { "float8recv", "", NULL },
    { "float4recv", "1.1", "000000043f8ccccd" },
    { "float4recv", "1e39", NULL },
    { "numeric_recv", "0", "000000080000000000000000" },
    { "numeric_recv", "-0.00", "000000080000000000000002" },
    { "numeric_recv", "12345.67", "0000000e0003000100000002" "000109291a2c" },
    { "numeric_recv", "-.00001", "0000000a0001fffe40000005" "03e8" },
    { "numeric_recv", "1e5", "0000000a0001000100000000" "000a" },
    { "numeric_recv", "20000e-1", "0000000a0001000000000001" "07d0" },
    { "numeric_recv", "+1.", "0000000a0001000000000000" "0001" },
    { "numeric_recv", "NaN", "0000000800000000c0000000" },
    { "numeric_recv", "-inf", "0000000800000000f0000000" },
    { "numeric_recv", ".", NULL },
    { "numeric_recv", "1e131072", NULL },
    { "numeric_recv", "1e-16384", NULL },
    { "numeric_recv", "1e", NULL },
    { "numeric_recv", "1 ", NULL },
    { "uuid_recv", "00112233-4455-6677-8899-aAbBcCdDeEfF",
      "00000010" "00112233445566778899aabbccddeeff" },
    { "uuid_recv", "{0011-22334455-66778899-aabb-ccddeeff}",
      "00000010" "00112233445566778899aabbccddeeff" },
    { "uuid_recv", "001-12233445566778899aabbccddeeff", NULL },
    { "uuid_recv", "00112233445566778899aabbccddeef", NULL },
    { "uuid_recv", "00112233445566778899aabbccddeeff-", NULL },
    { "timestamptz_recv", "2000-01-01 00:00:00.000+00",
      "000000080000000000000000" },
    { "timestamptz_recv", "2000-03-01 00:00:00.001+00",
      "00000008000004b6fe7a83e8" },
    { "timestamptz_recv", "1970-01-01T01:00:00+01:00",
      "00000008fffca2fec4c82000" },
    { "timestamptz_recv", "2026-01-31 12:34:56.789+00",
      "000000080002ecad160bc608" },
    { "timestamptz_recv", "infinity", "000000087fffffffffffffff" },
    { "timestamptz_recv", "2000-01-01 00:00:00", NULL },
    { "timestamptz_recv", "2000-01-01 00:00:00 UTC", NULL },
    { "timestamptz_recv", "2000-02-30 00:00:00Z", NULL },
    { "timestamptz_recv", "294277-01-01 00:00:00Z", NULL },
    { "timestamptz_recv", "now", NULL },
    { "timestamp_recv", "2000-01-01 00:00:60", "000000080000000003938700" },
    { "timestamp_recv", "2000-01-01 00:00:00Z", NULL },
    { "timestamp_recv", "2000-01-01 24:00:00.1", NULL },
    { "date_recv", "2000-02-29", "000000040000003b" },
    { "date_recv", "0001-12-31 BC", NULL },
    { "date_recv", "-infinity", "0000000480000000" },
    { "date_recv", "1/8/1999", NULL },
    { "time_recv", "24:00:00", "00000008000000141dd76000" },
    { "time_recv", "24:00:01", NULL },
    { "point_recv", "(1,1)", NULL }
};


/* Of a column that is configured as what the table has. */

static const struct {
    const char  *column;     /* its object in the configuration */
    const char  *receive;
    uint32_t     array;      /* the OID of its elements' type */
    const char  *value;      /* JSON */
    const char  *hex;
} own[] = {
#define TYPE(type)   "{ \"path\": \"/v\", \"type\": \"" type "\" }"
#define UNIT(type)   "{ \"path\": \"/v\", \"type\": \"" type "\","       \
                     " \"unit\": \"ms\" }"
#define LIST(n, m)   "0000000" n "00000001" "00000017" m
    { TYPE("text"), "textrecv", 0, "null", "ffffffff" },
    { TYPE("jsonb"), "jsonb_recv", 0, "null", "ffffffff" },
    { TYPE("jsonb"), "jsonb_recv", 0, "\"a\\n\"", "00000006" "0122615c6e22" },
    { TYPE("bytea"), "bytearecv", 0, "\"/wBc\"", "00000003ff005c" },
    { TYPE("bytea"), "textrecv", 0, "\"/wBc\"", NULL },
    { TYPE("boolean"), "boolrecv", 0, "true", "0000000101" },
    { TYPE("bigint"), "int4recv", 0, "-7", "00000004fffffff9" },
    { TYPE("bigint"), "int4recv", 0, "2147483648", NULL },
    { TYPE("integer"), "int8recv", 0, "7", "000000080000000000000007" },
    { TYPE("integer"), "textrecv", 0, "\"007\"", "00000003303037" },
    { TYPE("numeric"), "numeric_recv", 0, "1.50",
      "0000000c0002000000000002" "00011388" },
    { TYPE("double precision"), "float8recv", 0, "0.1",
      "000000083fb999999999999a" },
    { UNIT("timestamptz"), "timestamptz_recv", 0, "946684800001",
      "0000000800000000000003e8" },
    { UNIT("timestamptz"), "timestamptz_recv", 0, "-99999999999999",
      "00000008fe995d86673e23e8" },
    { UNIT("date"), "date_recv", 0, "946684799999", "00000004ffffffff" },
    { UNIT("date"), "date_recv", 0, "-62135596800001",
      "00000004fff4dbf8" },
    { UNIT("timestamptz"), "textrecv", 0, "946684800000",
      "0000001d" "323030302d30312d30312030303a30303a30302e3030303030302b3030" },
    { TYPE("timestamptz"), "timestamptz_recv", 0,
      "\"2000-01-01T02:00:00.0000015+02:00\"", "000000080000000000000002" },
    { TYPE("timestamptz"), "timestamptz_recv", 0,
      "\"2000-01-01T02:00:00.0000025+02:00\"", "000000080000000000000002" },
    { TYPE("timestamptz"), "timestamptz_recv", 0, "\"20000101T000001\"",
      "0000000800000000000f4240" },
    { TYPE("timestamptz"), "timestamptz_recv", 0, "\"-infinity\"",
      "000000088000000000000000" },
    { TYPE("timestamptz"), "timestamptz_recv", 0,
      "\"294277-01-01T00:00:00Z\"", NULL },
    { TYPE("timestamp"), "timestamp_recv", 0, "\"1999-12-31T23:59:59Z\"",
      "00000008fffffffffff0bdc0" },
    { TYPE("time"), "time_recv", 0, "\"00:30:00+01:00\"",
      "0000000800000013b28d8e00" },
    { TYPE("timestamp"), "timestamptz_recv", 0, "\"2000-01-01T00:00:00\"",
      NULL },
    { TYPE("integer[]"), "int4recv", 23, "[]", LIST("0", "") },
    { TYPE("integer[]"), "int4recv", 23, "[7,null]",
      LIST("1", "0000000200000001" "0000000400000007" "ffffffff") },
    { TYPE("integer[]"), "int4recv", 23, "[[1],[2]]",
      LIST("2", "0000000200000001" "0000000100000001"
           "0000000400000001" "0000000400000002") },
    { TYPE("integer[]"), "int4recv", 23, "\"{}\"", LIST("0", "") },
    { TYPE("integer[]"), "int4recv", 23, "\"{1}\"", NULL },
    { TYPE("integer[]"), "int4recv", 23, "[[1],[2,3]]", NULL },
    { TYPE("integer[]"), "int4recv", 23, "[[1],2]", NULL },
    { TYPE("integer[]"), "int4recv", 23, "[1,[2]]", NULL },
    { TYPE("integer[]"), "int4recv", 23, "[[],[1]]", NULL },
    { TYPE("integer[]"), "int4recv", 23, "[[[[[[[1]]]]]]]", NULL },
    { TYPE("integer[]"), "textrecv", 0, "[1]", NULL },
    { TYPE("text[]"), "textrecv", 23, "[\"a\\\\b\\\"\\tc\"]",
      LIST("1", "0000000100000001" "00000006615c62220963") },
    { TYPE("jsonb[]"), "jsonb_recv", 23, "[null,[1]]",
      LIST("1", "0000000200000001" "00000005016e756c6c" "00000004015b315d") }
};


static const conf_t *
configure(const char *columns)
{
    char           err[CONF_ERROR_MAX], text[1024];
    const conf_t  *conf;

    snprintf(text, sizeof(text), "{ \"topic\": \"t\", \"group\": \"g\","
             "\"start\": \"latest\", \"postgres\": \"dbname=x\","
             "\"table\": \"t\","
             "\"kafka\": { \"bootstrap.servers\": \"b\" },"
             "\"columns\": { %s } }", columns);

    conf = conf_parse("f", text, strlen(text), err);
    if (conf == NULL) {
        printf("# %s\n", err);
    }

    return conf;
}


static row_plan_t *
plan_of(const conf_t *conf, const char *const *receives,
    const uint32_t *arrays)
{
    size_t       i;
    char         reason[256];
    const char  *types[8];
    row_spec_t   spec;
    row_plan_t  *plan;

    memset(&spec, 0, sizeof(row_spec_t));
    spec.columns = conf->columns;
    spec.ncolumns = conf->ncolumns;
    spec.types = types;
    spec.receives = receives;
    spec.arrays = arrays;

    for (i = 0; i < conf->ncolumns; i++) {
        types[i] = conf->columns[i].type;
    }

    plan = row_plan_create(&spec, reason, sizeof(reason));
    ok(plan != NULL, "a plan: %s", plan ? "" : reason);

    return plan;
}


static int
convert(row_plan_t *plan, const char *value, bool *tuple, buf_t *out)
{
    record_t        record;
    record_fault_t  fault;

    memset(&record, 0, sizeof(record_t));
    record.topic = "t";
    record.value = value;
    record.value_len = strlen(value);
    *tuple = true;

    return row_convert(plan, &record, tuple, out, &fault);
}


static void
to_hex(const buf_t *buf, size_t from, char *hex)
{
    size_t  i;

    for (i = from; i < buf->len; i++) {
        snprintf(hex + (i - from) * 2, 3, "%02x",
                 (unsigned char) buf->data[i]);
    }
}


static void
test_value(const char *column, const char *receive, uint32_t array,
    const char *value, const char *hex)
{
    char           text[256];
    bool           tuple;
    buf_t          out;
    row_plan_t    *plan;
    const conf_t  *conf;

    memset(&out, 0, sizeof(buf_t));
    snprintf(text, sizeof(text), "\"v\": %s", column);
    conf = configure(text);
    plan = plan_of(conf, &receive, &array);

    is(convert(plan, value, &tuple, &out), 0, value);
    is(tuple, hex != NULL, value);

    if (hex) {
        /* of an array from its elements' header on */
        to_hex(&out, array ? 6 : 2, text);
        is_str(text, hex, column);

    } else {
        is(out.data[out.len - 1], '\n', "a line");
    }

    buf_free(&out);
    row_plan_free(plan);
    conf_free(conf);
}


static void
test_case(const case_t *tc)
{
    buf_t  value;

    memset(&value, 0, sizeof(buf_t));
    buf_addf(&value, "{\"v\":\"");
    text_add_json(&value, tc->text, strlen(tc->text));
    buf_addf(&value, "\"}");

    test_value(TYPE("text"), tc->receive, 0, value.data, tc->hex);

    buf_free(&value);
}


static void
test_own(size_t i)
{
    char  value[256];

    snprintf(value, sizeof(value), "{\"v\":%s}", own[i].value);
    test_value(own[i].column, own[i].receive, own[i].array, value,
               own[i].hex);
}


static void
test_rows(void)
{
    char            hex[256];
    bool            tuple;
    buf_t           out;
    row_plan_t     *plan;
    const conf_t   *conf;

    static const uint32_t     arrays[4];
    static const char *const  receives[] = {
        "textrecv", "point_recv", "int2recv", "int4recv"
    };

    memset(&out, 0, sizeof(buf_t));
    conf = configure("\"a\": " TYPE("text") ","
                     "\"i\": { \"generated\": \"identity\" },"
                     "\"b\": { \"path\": \"/b\", \"type\": \"smallint\","
                     " \"default\": 7 },"
                     "\"c\": { \"path\": \"/c\", \"type\": \"text\","
                     " \"default\": \"x\" }");
    plan = plan_of(conf, receives, arrays);
    ok(row_plan_tuples(plan), "a type that no row fills need not be known");

    is(convert(plan, "{\"v\":\"a\",\"c\":\"1\"}", &tuple, &out), 0,
       "a row");
    is(convert(plan, "{\"c\":2}", &tuple, &out), 0, "another one");
    ok(tuple, "which is a tuple");
    to_hex(&out, 0, hex);
    is_str(hex, "0003" "0000000161" "000000020007" "0000000400000001"
           "0003" "ffffffff" "000000020007" "0000000400000002",
           "one behind the other, with a default");

    out.len = 0;
    is(convert(plan, "{\"v\":\"a\\t\"}", &tuple, &out), 0, "a third");
    ok(!tuple && out.len == 8 && memcmp(out.data, "a\\t\t7\tx\n", 8) == 0,
       "is a line, as its default is no integer");

    out.len = 0;
    is(convert(plan, "{\"v\":\"a\",\"b\":\"x\"}", &tuple, &out), 1,
       "a fault");
    is(out.len, 0, "leaves nothing");

    row_plan_free(plan);
    plan = plan_of(conf, NULL, NULL);
    ok(!row_plan_tuples(plan), "of types that nobody told");
    is(convert(plan, "{\"v\":\"a\"}", &tuple, &out), 0, "a row");
    ok(!tuple, "is a line");

    buf_free(&out);
    row_plan_free(plan);
    conf_free(conf);
}


int
main(void)
{
    size_t  i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        test_case(&cases[i]);
    }

    for (i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        test_own(i);
    }

    test_rows();

    return tap_done();
}
