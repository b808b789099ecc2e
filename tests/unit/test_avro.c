/* Avro schemas are compiled, and values become JSON or are refused. */

#include "registry/avro.h"
#include "tap.h"


typedef struct {
    const char  *schema;
    const char  *bytes;
    size_t       len;
    const char  *json;       /* NULL: refused, */
    const char  *reason;     /* for this */
} case_t;

#define BYTES(s)  s, sizeof(s) - 1


/* Avro's specification 1.12, "Binary Encoding" and "Logical Types". */

static const case_t  cases[] = {
    { "\"null\"", BYTES(""), "null", NULL },
    { "\"boolean\"", BYTES("\1"), "true", NULL },
    { "\"boolean\"", BYTES("\2"), NULL, "a boolean is neither 0 nor 1 at byte "
      "1" },
    { "\"int\"", BYTES("\x7f"), "-64", NULL },
    { "{\"type\":\"int\"}", BYTES("\x80\x01"), "64", NULL },
    { "\"int\"", BYTES("\xfe\xff\xff\xff\x0f"), "2147483647", NULL },
    { "\"int\"", BYTES("\x80\x80\x80\x80\x10"), NULL, "an int has more than 32 "
      "bits at byte 5" },
    { "\"long\"", BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
      "-9223372036854775808", NULL },
    { "\"long\"", BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), NULL,
      "a number has more than 64 bits at byte 10" },
    { "\"long\"", BYTES("\x80"), NULL, "the value ends too early at byte 1" },
    { "\"long\"", BYTES("\2\2"), NULL, "bytes behind the value at byte 1" },
    { "\"float\"", BYTES("\xcd\xcc\xcc\x3d"), "0.1", NULL },
    { "\"double\"", BYTES("\x9a\x99\x99\x99\x99\x99\xb9\x3f"), "0.1", NULL },
    { "\"double\"", BYTES("\x33\x33\x33\x33\x33\x33\xd3\x3f"),
      "0.3", NULL },
    { "\"double\"", BYTES("\0\0\0\0\0\0\xf0\x7f"), "\"Infinity\"", NULL },
    { "\"double\"", BYTES("\0\0\0\0\0\0\xf8\x7f"), "\"NaN\"", NULL },
    { "\"bytes\"", BYTES("\6abc"), "\"YWJj\"", NULL },
    { "\"bytes\"", BYTES("\0"), "\"\"", NULL },
    { "\"string\"", BYTES("\6a\"b"), "\"a\\u0022b\"", NULL },
    { "\"string\"", BYTES("\4\0\1"), "\"\\u0000\\u0001\"", NULL },
    { "\"string\"", BYTES("\2\xff"), NULL, "a string is not UTF-8 at byte 2" },
    { "\"string\"", BYTES("\x08""abc"), NULL, "a string or bytes are longer "
      "than the value at byte 1" },
    { "\"string\"", BYTES("\1"), NULL, "a string or bytes are longer than the "
      "value at byte 1" },

    { "{\"type\":\"record\",\"name\":\"a.b\",\"fields\":[{\"name\":\"x\","
      "\"type\":\"int\"},{\"name\":\"y\",\"type\":[\"null\",\"b\"]}]}",
      BYTES("\2\2\4\0"), "{\"x\":1,\"y\":{\"x\":2,\"y\":null}}", NULL },
    { "[\"null\",\"int\"]", BYTES("\4"), NULL, "there is no such branch of a "
      "union or symbol of an enum at byte 1" },
    { "[\"null\",\"int\"]", BYTES("\1"), NULL, "there is no such branch of a "
      "union or symbol of an enum at byte 1" },
    { "{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"A\",\"B\"]}",
      BYTES("\2"), "\"B\"", NULL },
    { "{\"type\":\"array\",\"items\":\"int\"}", BYTES("\4\2\4\2\6\0"),
      "[1,2,3]", NULL },
    { "{\"type\":\"array\",\"items\":\"int\"}", BYTES("\3\4\2\4\0"), "[1,2]",
      NULL },
    { "{\"type\":\"array\",\"items\":\"string\"}", BYTES("\2\2,\0"),
      "[\",\"]", NULL },
    { "{\"type\":\"array\",\"items\":\"int\"}", BYTES("\0"), "[]", NULL },
    { "{\"type\":\"array\",\"items\":\"null\"}",
      BYTES("\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"), NULL, "arrays and "
      "maps have more than 1048576 items at byte 10" },
    { "{\"type\":\"array\",\"items\":\"null\"}",
      BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\0"), NULL, "arrays and "
      "maps have more than 1048576 items at byte 11" },
    { "{\"type\":\"map\",\"values\":\"long\"}", BYTES("\4\2a\2\2b\4\0"),
      "{\"a\":1,\"b\":2}", NULL },
    { "{\"type\":\"map\",\"values\":\"long\"}", BYTES("\0"), "{}", NULL },
    { "{\"type\":\"fixed\",\"name\":\"f\",\"size\":3}", BYTES("abc"),
      "\"YWJj\"", NULL },
    { "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"r\","
      "\"type\":\"r\"}]}", BYTES(""), NULL, "more than 64 values within each "
      "other at byte 0" },

    { "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":9,"
      "\"scale\":2}", BYTES("\4\x04\xd2"), "12.34", NULL },
    { "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":9,"
      "\"scale\":2}", BYTES("\2\xff"), "-0.01", NULL },
    { "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":9,"
      "\"scale\":3}", BYTES("\0"), "0.000", NULL },
    { "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":40}",
      BYTES("\x12\x80\0\0\0\0\0\0\0\0"), "-2361183241434822606848", NULL },
    { "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"scale\":901}",
      BYTES("\2a"), "\"YQ==\"", NULL },
    { "{\"type\":\"fixed\",\"name\":\"f\",\"size\":2,\"logicalType\":"
      "\"decimal\",\"scale\":1}", BYTES("\xff\x9c"), "-10.0", NULL },
    { "{\"type\":\"fixed\",\"name\":\"f\",\"size\":16,\"logicalType\":"
      "\"uuid\"}", BYTES("\x12\x3e\x45\x67\xe8\x9b\x12\xd3\xa4\x56\x42\x66\x14"
      "\x17\x40\0"), "\"123e4567-e89b-12d3-a456-426614174000\"", NULL },
    { "{\"type\":\"int\",\"logicalType\":\"date\"}", BYTES("\1"),
      "\"1969-12-31\"", NULL },
    { "{\"type\":\"int\",\"logicalType\":\"date\"}",
      BYTES("\xff\xff\xff\xff\x0f"), NULL, "the date is out of range at byte "
      "5" },
    { "{\"type\":\"int\",\"logicalType\":\"time-millis\"}",
      BYTES("\xfe\xef\xb2\x52"), "\"23:59:59.999\"", NULL },
    { "{\"type\":\"int\",\"logicalType\":\"time-millis\"}", BYTES("\1"), NULL,
      "the time of day is out of range at byte 1" },
    { "{\"type\":\"long\",\"logicalType\":\"time-micros\"}", BYTES("\2"),
      "\"00:00:00.000001\"", NULL },
    { "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}", BYTES("\1"),
      "\"1969-12-31T23:59:59.999Z\"", NULL },
    { "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}", BYTES("\0"),
      "\"1970-01-01T00:00:00.000000Z\"", NULL },
    { "{\"type\":\"long\",\"logicalType\":\"timestamp-nanos\"}", BYTES("\2"),
      "\"1970-01-01T00:00:00.000000001Z\"", NULL },
    { "{\"type\":\"long\",\"logicalType\":\"local-timestamp-millis\"}",
      BYTES("\2"), "\"1970-01-01T00:00:00.001\"", NULL },
    { "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}",
      BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), NULL, "the timestamp "
      "is out of range at byte 10" },
    { "{\"type\":\"fixed\",\"name\":\"f\",\"size\":12,\"logicalType\":"
      "\"duration\"}", BYTES("\1\0\0\0\2\0\0\0\xd3\x04\0\0"),
      "\"P1M2DT1.235S\"", NULL },
    { "{\"type\":\"string\",\"logicalType\":\"date\"}", BYTES("\2a"),
      "\"a\"", NULL }
};


/* Schemas that are refused, and why. */

static const struct {
    const char  *schema;
    const char  *reason;
} refused[] = {
    { "", "empty text at byte 0" },
    { "1", "a type is neither a name, an object nor an array" },
    { "{}", "an object has no \"type\"" },
    { "\"nothing\"", "type \"nothing\" is not defined" },
    { "{\"type\":\"record\",\"fields\":[]}", "a record, enum or fixed has no "
      "\"name\"" },
    { "{\"type\":\"record\",\"name\":\"r\"}", "a record has no \"fields\"" },
    { "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"x\"}]}",
      "a field has no \"name\" or no \"type\"" },
    { "{\"type\":\"enum\",\"name\":\"r\"}", "an enum has no \"symbols\"" },
    { "{\"type\":\"enum\",\"name\":\"r\",\"symbols\":[1]}", "a symbol of an "
      "enum is no string" },
    { "{\"type\":\"fixed\",\"name\":\"r\",\"size\":-1}", "a fixed has no "
      "\"size\"" },
    { "{\"type\":\"array\"}", "an array or map has no \"items\"" },
    { "[{\"type\":\"fixed\",\"name\":\"r\",\"size\":1},{\"type\":\"fixed\","
      "\"name\":\"r\",\"size\":1}]", "type \"r\" is defined twice" }
};


static void
test_values(void)
{
    int             rc;
    char            reason[128];
    buf_t           out;
    size_t          i;
    avro_text_t     text;
    avro_schema_t  *schema;

    memset(&out, 0, sizeof(buf_t));

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        text.s = cases[i].schema;
        text.len = strlen(text.s);
        reason[0] = '\0';
        schema = avro_schema_compile(&text, 1, reason, sizeof(reason));

        if (!ok(schema != NULL, "%s is compiled", cases[i].schema)) {
            printf("# %s\n", reason);
            continue;
        }

        out.len = 0;
        rc = avro_read(schema, cases[i].bytes, cases[i].len, &out, reason,
                       sizeof(reason));
        is(rc, cases[i].json == NULL, "taken or refused");
        buf_add(&out, "", 1);
        is_str(rc == 0 ? out.data : reason,
               cases[i].json ? cases[i].json : cases[i].reason, "as");
        avro_schema_free(schema);
    }

    buf_free(&out);
}


static void
test_refused(void)
{
    char            reason[128];
    size_t          i;
    avro_text_t     text;
    avro_schema_t  *schema;

    for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        text.s = refused[i].schema;
        text.len = strlen(text.s);
        schema = avro_schema_compile(&text, 1, reason, sizeof(reason));
        ok(schema == NULL, "%s is refused", text.s);
        is_str(reason, refused[i].reason, "for");
        avro_schema_free(schema);
    }
}


/* A type of another text, whatever their order is. */

static void
test_references(void)
{
    char            reason[128];
    buf_t           out;
    avro_schema_t  *schema;

    static const avro_text_t  texts[] = {
        { BYTES("{\"type\":\"record\",\"name\":\"shop.order\",\"fields\":["
                "{\"name\":\"to\",\"type\":\"shop.address\"}]}") },
        { BYTES("{\"type\":\"record\",\"name\":\"address\",\"namespace\":"
                "\"shop\",\"fields\":[{\"name\":\"city\",\"type\":\"name\"}"
                "]}") },
        { BYTES("{\"type\":\"fixed\",\"name\":\"shop.name\",\"size\":0}") }
    };

    memset(&out, 0, sizeof(buf_t));
    schema = avro_schema_compile(texts, 3, reason, sizeof(reason));
    ok(schema != NULL, "three texts are compiled");

    if (schema) {
        is(avro_read(schema, "", 0, &out, reason, sizeof(reason)), 0, "read");
        buf_add(&out, "", 1);
        is_str(out.data, "{\"to\":{\"city\":\"\"}}", "as");
        ok(avro_schema_size(schema) > 0, "its size is known");
    }

    avro_schema_free(schema);
    ok(avro_schema_compile(texts, 2, reason, sizeof(reason)) == NULL,
       "one is missing");
    is_str(reason, "type \"shop.name\" is not defined", "which is said");
    buf_free(&out);
}


int
main(void)
{
    test_values();
    test_refused();
    test_references();

    return tap_done();
}
