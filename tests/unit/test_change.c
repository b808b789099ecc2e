/* Changes that Debezium writes become rows, by envelope, schema and form. */

#include <stdio.h>
#include <stdlib.h>

#include "row/row.h"
#include "row/tombstone.h"
#include "tap.h"


#define ENVELOPE(op, before, after)                                           \
    "{\"before\":" before ",\"after\":" after ",\"source\":{\"lsn\":7,"       \
    "\"table\":\"t\"},\"op\":\"" op "\",\"ts_ms\":8}"

/* what JsonConverter writes, of a row with a column "a" of that schema */
#define SCHEMA(schema, payload)                                               \
    "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"struct\","      \
    "\"fields\":[{" schema ",\"field\":\"a\"}],\"field\":\"before\"},{"       \
    "\"type\":\"struct\",\"fields\":[{" schema ",\"field\":\"a\"}],"          \
    "\"field\":\"after\"}],\"name\":\"x.Envelope\"},\"payload\":" payload "}"

#define NAMED(type, name)  "\"type\":\"" type "\",\"name\":\"" name "\""
#define AFTER(value)       ENVELOPE("u", "null", "{\"a\":" value "}")
#define ROW(type, name, value)  SCHEMA(NAMED(type, name), AFTER(value))
#define DECIMAL(scale)                                                        \
    NAMED("bytes", "org.apache.kafka.connect.data.Decimal") ","               \
    "\"parameters\":{\"scale\":\"" scale "\"}"
#define BITS  NAMED("bytes", "io.debezium.data.Bits")
#define TIME  "io.debezium.time."
#define NONE  "__debezium_unavailable_value"


/* The line of "c", of "k" and of "lsn", or why there is none. */
typedef struct {
    const char  *column;     /* its object in the configuration */
    const char  *type;
    const char  *value;
    const char  *line;       /* NULL: refused */
    const char  *sqlstate;   /* then with this */
} case_t;


static const case_t  cases[] = {
    /* the row in its envelope, and alone */
    { "\"/a\"", "text", ENVELOPE("c", "null", "{\"a\":\"x\"}"), "x", NULL },
    { "\"/a\"", "text", ENVELOPE("r", "null", "{\"a\":\"x\"}"), "x", NULL },
    { "\"/a\"", "text", ENVELOPE("u", "{\"a\":\"y\"}", "{\"a\":\"x\"}"), "x",
      NULL },
    { "\"/a\"", "text", ENVELOPE("d", "{\"a\":\"y\"}", "null"), "y", NULL },
    { "\"/a\"", "text", "{\"a\":\"x\"}", "x", NULL },
    { "\"/a\"", "text", "{\"schema\":null,\"payload\":{\"a\":\"x\"}}", "x",
      NULL },
    { "\"/a\"", "text", "{\"payload\":{\"a\":\"x\"},\"schema\":{}}", "x",
      NULL },
    { "\"/schema\"", "text", "{\"schema\":{},\"payload\":1,\"a\":2}", "{}",
      NULL },
    { "\"/op\"", "text", "{\"op\":\"d\",\"source\":\"{}\"}", "d", NULL },
    { "\"/a\"", "text", ENVELOPE("c", "null", "null"), NULL, "22004" },
    { "\"/a\"", "text", ENVELOPE("d", "null", "null"), NULL, "22004" },
    { "\"/a\"", "text", ENVELOPE("t", "null", "null"), NULL, "0A000" },
    { "\"/a\"", "text", ENVELOPE("x", "null", "{}"), NULL, "22023" },
    { "\"/a\"", "text", ENVELOPE("cc", "null", "{}"), NULL, "22023" },
    { "\"/a\"", "text", "[]", NULL, "2203C" },
    { "\"/a\"", "text", "{", NULL, "22032" },

    /* what the envelope has, by the names of ExtractNewRecordState */
    { "\"/__op\"", "text", AFTER("1"), "u", NULL },
    { "\"/__ts_ms\"", "bigint", AFTER("1"), "8", NULL },
    { "\"/__source_lsn\"", "bigint", AFTER("1"), "7", NULL },
    { "\"/__table\"", "text", AFTER("1"), "t", NULL },
    { "\"/__source\"", "jsonb", AFTER("1"), "{\"lsn\":7,\"table\":\"t\"}",
      NULL },
    { "\"/__op\"", "text", "{\"a\":1,\"__op\":\"c\"}", "c", NULL },
    { "\"/__none\"", "text", AFTER("1"), "\\N", NULL },
    { "\"\"", "jsonb", AFTER("1"), "{\"a\":1}", NULL },

    /* times, by their schema */
    { "\"/a\"", "date", ROW("int32", TIME "Date", "19756"), "2024-02-03",
      NULL },
    { "\"/a\"", "date", ROW("int32", TIME "Date", "-735160"),
      "0044-03-15 BC", NULL },
    { "\"/a\"", "date", ROW("int32", TIME "Date", "-2147472692"), "infinity",
      NULL },
    { "\"/a\"", "date", ROW("int32", TIME "Date", "-2147472691"),
      "-infinity", NULL },
    { "\"/a\"", "date", ROW("int32", TIME "Date", "2147483648"), NULL,
      "22008" },
    { "\"/a\"", "date", ROW("int32", TIME "Date", "1.5"), NULL, "22007" },
    { "\"/a\"", "time", ROW("int32", TIME "Time", "45296789"),
      "12:34:56.789000", NULL },
    { "\"/a\"", "time", ROW("int64", TIME "MicroTime", "45296789012"),
      "12:34:56.789012", NULL },
    { "\"/a\"", "time", ROW("int64", TIME "MicroTime", "86400000000"),
      "24:00:00.000000", NULL },
    { "\"/a\"", "time", ROW("int64", TIME "NanoTime", "45296789012345"),
      "12:34:56.789012", NULL },
    { "\"/a\"", "timestamp", ROW("int64", TIME "Timestamp", "1706963696789"),
      "2024-02-03 12:34:56.789000", NULL },
    { "\"/a\"", "timestamp",
      ROW("int64", TIME "MicroTimestamp", "1706963696789012"),
      "2024-02-03 12:34:56.789012", NULL },
    { "\"/a\"", "timestamp",
      ROW("int64", TIME "NanoTimestamp", "1706963696789012345"),
      "2024-02-03 12:34:56.789012", NULL },
    { "\"/a\"", "timestamp",
      ROW("int64", TIME "MicroTimestamp", "9223372036825200000"), "infinity",
      NULL },
    { "\"/a\"", "timestamp",
      ROW("int64", TIME "MicroTimestamp", "-9223372036832400000"),
      "-infinity", NULL },
    { "\"/a\"", "timestamp",
      ROW("int64", "org.apache.kafka.connect.data.Timestamp",
          "1706963696789"), "2024-02-03 12:34:56.789000", NULL },
    { "\"/a\"", "date",
      ROW("int32", "org.apache.kafka.connect.data.Date", "19756"),
      "2024-02-03", NULL },
    { "\"/a\"", "time",
      ROW("int32", "org.apache.kafka.connect.data.Time", "45296789"),
      "12:34:56.789000", NULL },
    { "\"/a\"", "bigint", ROW("int64", TIME "Timestamp", "1706963696789"),
      "1706963696789", NULL },
    { "\"/a\"", "timestamptz",
      ROW("string", TIME "ZonedTimestamp", "\"2024-02-03T11:34:56.789012Z\""),
      "2024-02-03T11:34:56.789012Z", NULL },
    { "\"/a\"", "timestamptz",
      ROW("string", TIME "ZonedTimestamp", "\"-0043-03-15T00:00:00.0Z\""),
      "0044-03-15 00:00:00.0+00 BC", NULL },
    { "\"/a\"", "timestamptz",
      ROW("string", TIME "ZonedTimestamp", "\"+10000-01-01T00:00:00Z\""),
      "10000-01-01 00:00:00+00", NULL },
    { "\"/a\"", "timestamptz",
      ROW("string", TIME "ZonedTimestamp", "\"infinity\""), "infinity",
      NULL },
    { "\"/a\"", "time with time zone",
      ROW("string", TIME "ZonedTime", "\"10:34:56Z\""), "10:34:56Z", NULL },
    { "\"/a\"", "interval",
      ROW("string", TIME "Interval", "\"P1Y2M3DT4H5M6.789S\""),
      "P1Y2M3DT4H5M6.789S", NULL },
    { "\"/a\"", "interval", ROW("int64", TIME "MicroDuration", "-1500000"),
      "-1500000 microseconds", NULL },
    { "\"/a\"", "interval", ROW("int64", TIME "NanoDuration", "1500000"),
      "1500 microseconds", NULL },
    { "\"/a\"", "date[]",
      SCHEMA("\"type\":\"array\",\"items\":{" NAMED("int32", TIME "Date")
             "}", AFTER("[0,null]")), "{\"1970-01-01\",NULL}", NULL },

    /* the same stated, or by the type */
    { "\"/a\"", "date", AFTER("19756"), "2024-02-03", NULL },
    { "\"/a\"", "timestamp", AFTER("1706963696789012"), NULL, "22007" },
    { "{ \"path\": \"/a\", \"unit\": \"us\" }", "timestamp",
      AFTER("1706963696789012"), "2024-02-03 12:34:56.789012", NULL },
    { "{ \"path\": \"/a\", \"unit\": \"us\" }", "timestamp",
      ROW("int64", TIME "Timestamp", "1706963696789"),
      "2024-02-03 12:34:56.789000", NULL },
    { "{ \"path\": \"/a\", \"unit\": \"ms\" }", "timestamp",
      SCHEMA("\"type\":\"int64\"", AFTER("1706963696789")),
      "2024-02-03 12:34:56.789000", NULL },
    { "{ \"path\": \"/a\", \"unit\": \"us\" }", "interval", AFTER("1"),
      "1 microseconds", NULL },

    /* decimals */
    { "\"/a\"", "numeric", SCHEMA(DECIMAL("3"), AFTER("\"MDk=\"")), "12.345",
      NULL },
    { "\"/a\"", "numeric", SCHEMA(DECIMAL("2"), AFTER("\"/qc=\"")), "-3.45",
      NULL },
    { "\"/a\"", "numeric", SCHEMA(DECIMAL("2"), AFTER("\"BQ==\"")), "0.05",
      NULL },
    { "\"/a\"", "numeric", SCHEMA(DECIMAL("0"), AFTER("\"AA==\"")), "0",
      NULL },
    { "\"/a\"", "numeric", SCHEMA(DECIMAL("2"), AFTER("\"AA==\"")), "0.00",
      NULL },
    { "\"/a\"", "numeric", SCHEMA(DECIMAL("0"), AFTER("\"gA==\"")), "-128",
      NULL },
    { "\"/a\"", "numeric", SCHEMA(DECIMAL("-2"), AFTER("\"BQ==\"")), "500",
      NULL },
    { "\"/a\"", "numeric", SCHEMA(DECIMAL("12"), AFTER("\"AQ==\"")),
      "0.000000000001", NULL },
    { "\"/a\"", "numeric",
      SCHEMA(DECIMAL("0"), AFTER("\"AMWyzoq8K1RXmsg8\"")),
      "239002777724224842535454780", NULL },
    { "\"/a\"", "bigint", SCHEMA(DECIMAL("0"), AFTER("\"MDk=\"")), "12345",
      NULL },
    { "\"/a\"", "integer", SCHEMA(DECIMAL("1"), AFTER("\"MDk=\"")), NULL,
      "22P02" },
    { "\"/a\"", "numeric", SCHEMA(DECIMAL("3"), AFTER("\"?\"")), NULL,
      "22P02" },
    { "\"/a\"", "numeric", SCHEMA(DECIMAL("3"), AFTER("\"\"")), NULL,
      "22003" },
    { "\"/a\"", "numeric", SCHEMA(DECIMAL("99999"), AFTER("\"BQ==\"")), NULL,
      "22003" },
    { "\"/a\"", "numeric", SCHEMA(DECIMAL("3"), AFTER("1.5")), "1.5", NULL },
    { "\"/a\"", "numeric", AFTER("\"1.5\""), "1.5", NULL },
    { "\"/a\"", "numeric", AFTER("1.5"), "1.5", NULL },
    { "\"/a\"", "numeric",
      AFTER("{\"scale\":3,\"value\":\"Qu0SOwvYIDqD\"}"),
      "1234567890123456789.123", NULL },
    { "\"/a\"", "numeric", AFTER("{\"scale\":1e9,\"value\":\"BQ==\"}"), NULL,
      "22003" },
    { "\"/a\"", "numeric", AFTER("{\"scale\":1}"), NULL, "22P02" },
    { "{ \"path\": \"/a\", \"encoding\": \"decimal\" }", "numeric(12,3)",
      AFTER("\"MDk=\""), "12.345", NULL },
    { "{ \"path\": \"/a\", \"encoding\": \"decimal\" }", "numeric(12,3)[]",
      AFTER("[\"MDk=\",null]"), "{\"12.345\",NULL}", NULL },

    /* bits, bytes, JSON, and parts of a value */
    { "\"/a\"", "bit(5)", SCHEMA(BITS, AFTER("\"BQ==\"")), "00101", NULL },
    { "\"/a\"", "bit(2)", SCHEMA(BITS, AFTER("\"BQ==\"")), NULL, "22026" },
    { "\"/a\"", "bit(12)", SCHEMA(BITS, AFTER("\"AQY=\"")), "011000000001",
      NULL },
    { "\"/a\"", "bit varying(20)", SCHEMA(BITS, AFTER("\"BQ==\"")), "101",
      NULL },
    { "\"/a\"", "bit(1)", SCHEMA("\"type\":\"boolean\"", AFTER("true")), "1",
      NULL },
    { "\"/a\"", "bytea", SCHEMA(BITS, AFTER("\"BQ==\"")), "\\\\x05", NULL },
    { "{ \"path\": \"/a\", \"encoding\": \"bits\" }", "bit(5)",
      AFTER("\"BQ==\""), "00101", NULL },
    { "\"/a\"", "bytea", SCHEMA("\"type\":\"bytes\"", AFTER("\"3q2+7w==\"")),
      "\\\\xdeadbeef", NULL },
    { "{ \"path\": \"/a\", \"encoding\": \"hex\" }", "bytea",
      AFTER("\"deadbeef\""), "\\\\xdeadbeef", NULL },
    { "{ \"path\": \"/a\", \"encoding\": \"hex\" }", "bytea", AFTER("\"f\""),
      NULL, "22P02" },
    { "\"/a\"", "jsonb",
      ROW("string", "io.debezium.data.Json", "\"{\\\"b\\\": 1}\""),
      "{\"b\": 1}", NULL },
    { "\"/a\"", "jsonb", AFTER("\"{\\\"b\\\": 1}\""), "{\"b\": 1}", NULL },
    { "\"/a\"", "jsonb", SCHEMA("\"type\":\"string\"", AFTER("\"x\"")),
      "\"x\"", NULL },
    { "\"/a\"", "jsonb", AFTER("{\"b\":1}"), "{\"b\":1}", NULL },
    { "\"/a\"", "point", AFTER("{\"x\":1.5,\"y\":2.0,\"wkb\":\"AQ==\"}"),
      "(1.5,2.0)", NULL },
    { "\"/a\"", "geometry",
      AFTER("{\"wkb\":\"AQEAAAAAAAAAAAD4PwAAAAAAAABA\",\"srid\":4326}"),
      "0101000020e6100000000000000000f83f0000000000000040", NULL },
    { "\"/a\"", "geometry",
      AFTER("{\"wkb\":\"AQEAAAAAAAAAAAD4PwAAAAAAAABA\",\"srid\":null}"),
      "0101000000000000000000f83f0000000000000040", NULL },
    { "\"/a\"", "geometry", AFTER("{\"wkb\":\"AQ==\"}"), NULL, "22P02" },
    { "\"/a\"", "bytea", AFTER("{\"wkb\":\"AQI=\",\"srid\":4326}"),
      "\\\\x0102", NULL },
    { "\"/a\"", "hstore", AFTER("{\"a\":\"1\\\"\",\"b\":null}"),
      "\"a\"=>\"1\\\\\"\",\"b\"=>NULL", NULL },
    { "\"/a\"", "hstore", AFTER("{}"), "", NULL },
    { "\"/a\"", "double precision", AFTER("\"NaN\""), "NaN", NULL },
    { "{ \"path\": \"/a\", \"encoding\": \"decimal\", \"transform\": "
      "{ \"mask\": 2 } }", "text", AFTER("\"MDk=\""), "***45", NULL },

    /* what the connector does not know */
    { "\"/a\"", "text", AFTER("\"" NONE "\""), NULL, "22004" },
    { "\"/a\"", "bytea",
      AFTER("\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\""), NULL, "22004" },
    { "\"/a\"", "text",
      AFTER("\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\""),
      "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==", NULL },
    { "\"/a\"", "text[]", AFTER("[\"" NONE "\"]"), NULL, "22004" },
    { "\"/a\"", "text[]", AFTER("[\"" NONE "\",\"x\"]"),
      "{\"" NONE "\",\"x\"}", NULL },
    { "\"/a\"", "text[]", AFTER("[]"), "{}", NULL },
    { "\"/a\"", "uuid[]",
      AFTER("[\"b68a35a7-17ad-35b3-af2a-ae46edb4545a\"]"), NULL, "22004" },
    { "\"/a\"", "integer[]",
      AFTER("[95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,"
            "108,97,98,108,101,95,118,97,108,117,101]"), NULL, "22004" },
    { "\"/a\"", "hstore", AFTER("{\"" NONE "\":\"" NONE "\"}"), NULL,
      "22004" },
    { "\"/a\"", "jsonb", AFTER("\"{\\\"" NONE "\\\":\\\"" NONE "\\\"}\""),
      NULL, "22004" }
};


static const conf_t *
configure(const char *column)
{
    char           err[CONF_ERROR_MAX], text[1024];
    const conf_t  *conf;

    snprintf(text, sizeof(text), "{ \"topic\": \"t\", \"group\": \"g\","
             "\"start\": \"latest\", \"postgres\": \"dbname=x\","
             "\"table\": \"t\", \"format\": \"debezium\","
             "\"kafka\": { \"bootstrap.servers\": \"b\" },"
             "\"columns\": { \"c\": %s, \"k\": { \"key\": \"/id\" } } }",
             column);

    conf = conf_parse("f", text, strlen(text), err);
    if (conf == NULL) {
        printf("# %s\n", err);
    }

    return conf;
}


static void
record_of(record_t *record, const char *key, const char *value)
{
    memset(record, 0, sizeof(record_t));
    record->topic = "t";
    record->key = key;
    record->key_len = key ? strlen(key) : 0;
    record->value = value;
    record->value_len = value ? strlen(value) : 0;
}


static void
test_case(const case_t *c)
{
    int              rc;
    buf_t            text;
    char             reason[256], line[512];
    record_t         record;
    row_plan_t      *plan;
    const conf_t    *conf;
    record_fault_t   fault;
    const char      *types[] = { c->type, "bigint" };

    conf = configure(c->column);

    /* rows that may be there, which no column keeps */
    const row_spec_t  spec = {
        .columns = conf->columns, .types = types, .ncolumns = conf->ncolumns,
        .format = conf->format, .unavailable = conf->unavailable,
        .mode = strstr(c->value, "\"d\"") ? CONF_MODE_APPEND
                                          : CONF_MODE_UPSERT
    };

    reason[0] = '\0';
    plan = row_plan_create(&spec, reason, sizeof(reason));
    memset(&text, 0, sizeof(buf_t));
    memset(&fault, 0, sizeof(record_fault_t));
    record_of(&record, "{\"schema\":{},\"payload\":{\"id\":5}}", c->value);

    rc = plan ? row_convert(plan, &record, NULL, &text, &fault) : -2;
    buf_add(&text, "", 0);

    if (c->line) {
        snprintf(line, sizeof(line), "%s\t5\n", c->line);
        ok(rc == 0 && strcmp(text.data, line) == 0, "%s of %s", c->type,
           c->value);
        if (rc || strcmp(text.data, line)) {
            printf("# %d, %s%s, %s\n", rc, reason, fault.reason, text.data);
        }

    } else {
        ok(rc == 1 && strcmp(fault.sqlstate, c->sqlstate) == 0,
           "%s: no %s of %s", c->sqlstate, c->type, c->value);
        if (rc != 1 || strcmp(fault.sqlstate, c->sqlstate)) {
            printf("# %d, %s%s, %s\n", rc, reason, fault.reason, text.data);
        }
    }

    buf_free(&text);
    row_plan_free(plan);
    conf_free(conf);
}


/* A schema is followed from one record to the next. */

static void
test_schemas(void)
{
    size_t              i;
    buf_t               text;
    record_t            record;
    row_plan_t         *plan;
    const conf_t       *conf;
    record_fault_t      fault;
    char                reason[256];
    static const char  *types[] = { "timestamp", "bigint" };

    static const char  *values[] = {
        ROW("int64", TIME "Timestamp", "1000"),
        ROW("int64", TIME "Timestamp", "2000"),
        ROW("int64", TIME "MicroTimestamp", "3000000"),
        AFTER("4000000"),
        ROW("int64", TIME "Timestamp", "5000")
    };

    conf = configure("{ \"path\": \"/a\", \"unit\": \"us\" }");

    const row_spec_t  spec = {
        .columns = conf->columns, .types = types, .ncolumns = 2,
        .format = conf->format, .unavailable = conf->unavailable
    };

    plan = row_plan_create(&spec, reason, sizeof(reason));
    memset(&text, 0, sizeof(buf_t));

    for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        record_of(&record, NULL, values[i]);
        is(row_convert(plan, &record, NULL, &text, &fault), 0, "a row");
    }

    buf_add(&text, "", 0);
    is_str(text.data, "1970-01-01 00:00:01.000000\t\\N\n"
           "1970-01-01 00:00:02.000000\t\\N\n"
           "1970-01-01 00:00:03.000000\t\\N\n"
           "1970-01-01 00:00:04.000000\t\\N\n"
           "1970-01-01 00:00:05.000000\t\\N\n", "each by its own schema");

    buf_free(&text);
    row_plan_free(plan);
    conf_free(conf);
}


/* Which records are rows, delete a row, or are none, by the mode. */

static void
test_kinds(void)
{
    size_t              i;
    buf_t               text;
    record_t            record;
    row_plan_t         *plan;
    const conf_t       *conf;
    record_fault_t      fault;
    char                reason[256];
    static const char  *types[] = { "text", "bigint" };

    static const struct {
        const char   *value;
        conf_mode_t   mode;
        int           rc;
    } kinds[] = {
        { AFTER("1"), CONF_MODE_UPSERT_DELETE, 0 },
        { ENVELOPE("d", "{}", "null"), CONF_MODE_UPSERT_DELETE,
          ROW_DELETES },
        { ENVELOPE("d", "{}", "null"), CONF_MODE_UPSERT, ROW_FILTERED },
        { ENVELOPE("d", "{}", "null"), CONF_MODE_IGNORE, ROW_FILTERED },
        { ENVELOPE("d", "{}", "null"), CONF_MODE_APPEND, 0 },
        { NULL, CONF_MODE_APPEND, ROW_FILTERED },
        { NULL, CONF_MODE_UPSERT, ROW_FILTERED },
        { "{\"op\":\"m\",\"source\":{},\"message\":{}}",
          CONF_MODE_UPSERT_DELETE, ROW_FILTERED },
        { ENVELOPE("c", "null", "{\"a\":\"" NONE "\"}"), CONF_MODE_APPEND,
          0 },
        { ENVELOPE("c", "null", "{\"a\":\"" NONE "\"}"),
          CONF_MODE_UPSERT_DELETE, 1 },
    };

    conf = configure("\"/a\"");

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const row_spec_t  spec = {
            .columns = conf->columns, .types = types, .ncolumns = 2,
            .format = conf->format, .unavailable = conf->unavailable,
            .mode = kinds[i].mode
        };

        plan = row_plan_create(&spec, reason, sizeof(reason));
        memset(&text, 0, sizeof(buf_t));
        record_of(&record, NULL, kinds[i].value);
        is(row_convert(plan, &record, NULL, &text, &fault), kinds[i].rc,
           kinds[i].value ? kinds[i].value : "a tombstone");
        buf_free(&text);
        row_plan_free(plan);
    }

    conf_free(conf);
}


/* The row to delete, by the key or by the row that was. */

static void
test_deletes(void)
{
    int                 rc;
    size_t              i;
    bool                tuple;
    buf_t               text;
    char                reason[256];
    record_t            record;
    tombstone_t        *tombstone;
    const conf_t       *conf;
    record_fault_t      fault;
    static const char  *types[] = { "numeric", "bigint" };
    static char        *names[] = { (char *) "c" };
    static const conf_names_t  key = { names, 1 };

    static const struct {
        const char  *key;
        const char  *value;
        const char  *line;
    } deletes[] = {
        { "{\"a\":1}", NULL, "1\t\\N\n" },
        { "{\"schema\":{\"type\":\"struct\",\"fields\":[{" DECIMAL("3")
          ",\"field\":\"a\"}]},\"payload\":{\"a\":\"MDk=\"}}", NULL,
          "12.345\t\\N\n" },
        { "7", NULL, "7\t\\N\n" },
        { NULL, NULL, NULL },
        { "{\"a\":1}", ENVELOPE("d", "{\"a\":0}", "null"), "1\t\\N\n" },
        { NULL, ENVELOPE("d", "{\"a\":2}", "null"), "2\t\\N\n" },
        { "{\"b\":1}", ENVELOPE("d", "{\"a\":2}", "null"), "2\t\\N\n" },
        { "\"x\"", ENVELOPE("d", "{\"a\":2}", "null"), "2\t\\N\n" },
        { NULL, ENVELOPE("d", "null", "null"), NULL },
        { NULL, "{\"a\":3,\"__deleted\":\"true\"}", "3\t\\N\n" },
    };

    conf = configure("\"/a\"");

    const row_spec_t  spec = {
        .columns = conf->columns, .types = types, .ncolumns = 2,
        .format = conf->format, .unavailable = conf->unavailable,
        .mode = CONF_MODE_UPSERT_DELETE, .key = &key
    };

    tombstone = tombstone_create(&spec, reason, sizeof(reason));

    for (i = 0; i < sizeof(deletes) / sizeof(deletes[0]); i++) {
        memset(&text, 0, sizeof(buf_t));
        tuple = false;
        record_of(&record, deletes[i].key, deletes[i].value);
        rc = tombstone_convert(tombstone, &record, &tuple, &text, &fault);
        buf_add(&text, "", 0);
        is(rc, deletes[i].line == NULL, "a row to delete");
        is_str(text.data, deletes[i].line ? deletes[i].line : "", "this one");
        buf_free(&text);
    }

    tombstone_free(tombstone);
    conf_free(conf);
}


int
main(void)
{
    size_t  i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        test_case(&cases[i]);
    }

    test_schemas();
    test_kinds();
    test_deletes();

    return tap_done();
}
