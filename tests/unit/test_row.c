/* Records become lines of COPY's text format. */

#include <stdio.h>
#include <stdlib.h>

#include "row/row.h"
#include "tap.h"


typedef struct {
    const char  *column;     /* its object in the configuration */
    const char  *type;       /* of the table, used without one of its own */
    const char  *value;
    const char  *line;       /* NULL: refused */
    const char  *sqlstate;   /* then with this */
} case_t;


#define PATH(type)  "{ \"path\": \"/a\", \"type\": \"" type "\" }"


static const case_t  cases[] = {
    { "\"/a\"", NULL, "{\"a\":\"x\"}", "x", NULL },
    { "\"/a\"", NULL, "{\"a\":\"\"}", "", NULL },
    { "\"/a\"", NULL, "{\"a\":\"a\\tb\\n\\\\N\\r\\b\\f\"}",
      "a\\tb\\n\\\\N\\r\\b\\f", NULL },
    { "\"/a\"", NULL, "{\"a\":\"\\u000b\"}", "\\v", NULL },
    { "\"/a\"", NULL, "{\"a\":\"\\\\.\"}", "\\\\.", NULL },
    { "\"/a\"", NULL, "{\"a\":\"\\u00e9\\ud83d\\ude00\"}",
      "\xc3\xa9\xf0\x9f\x98\x80", NULL },
    { "\"/a\"", NULL, "{\"a\":1.50}", "1.50", NULL },
    { "\"/a\"", NULL, "{\"a\":true}", "true", NULL },
    { "\"/a\"", NULL, "{\"a\":[1, 2]}", "[1, 2]", NULL },
    { "\"/a\"", NULL, "{\"a\":[\"\\n\",\n1]}", "[\"\\\\n\",\\n1]", NULL },
    { "\"/a\"", NULL, "{\"a\":null}", "\\N", NULL },
    { "\"/a\"", NULL, "{}", "\\N", NULL },
    { "\"/a/1/b\"", NULL, "{\"a\":[0,{\"b\":\"deep\"}]}", "deep", NULL },
    { "\"\"", "jsonb", " {\"a\" : 1.10 } ", "{\"a\" : 1.10 }", NULL },
    { "\"/a\"", "jsonb", "{\"a\":\"x\\\"y\"}", "\"x\\\\\"y\"", NULL },
    { "\"\"", NULL, "not json", NULL, "22032" },
    { "\"\"", NULL, "{\"a\":1,\"a\":2}", NULL, "22032" },
    { "\"\"", NULL, "{\"a\":\"\\u0000\"}", NULL, "22032" },
    { "\"\"", NULL, "", NULL, "22032" },
    { "\"\"", NULL, NULL, NULL, "22004" },
    { "{ \"path\": \"/a\", \"required\": true }", NULL, "{}", NULL, "23502" },
    { "{ \"path\": \"/a\", \"required\": true }", NULL, "{\"a\":null}", NULL,
      "23502" },
    { "{ \"path\": \"/a\", \"default\": \"E\\tR\" }", NULL, "{}", "E\\tR",
      NULL },
    { "{ \"path\": \"/a\", \"default\": \"\" }", NULL, "{}", "", NULL },
    { "{ \"path\": \"/a\", \"default\": \"x\" }", NULL, "{\"a\":null}",
      "\\N", NULL },
    { PATH("bigint"), NULL, "{\"a\":9223372036854775807}",
      "9223372036854775807", NULL },
    { PATH("bigint"), NULL, "{\"a\":9223372036854775808}", NULL, "22003" },
    { PATH("bigint"), NULL, "{\"a\":-9223372036854775808}",
      "-9223372036854775808", NULL },
    { PATH("bigint"), NULL, "{\"a\":-9223372036854775809}", NULL, "22003" },
    { PATH("integer"), NULL, "{\"a\":2147483648}", NULL, "22003" },
    { PATH("smallint"), NULL, "{\"a\":-32768}", "-32768", NULL },
    { PATH("smallint"), NULL, "{\"a\":32768}", NULL, "22003" },
    { PATH("integer"), NULL, "{\"a\":1.5}", NULL, "22P02" },
    { PATH("integer"), NULL, "{\"a\":1e3}", NULL, "22P02" },
    { PATH("integer"), NULL, "{\"a\":\"12\"}", "12", NULL },
    { PATH("integer"), NULL, "{\"a\":\"x\"}", NULL, "22P02" },
    { PATH("integer"), NULL, "{\"a\":\"\"}", NULL, "22P02" },
    { PATH("integer"), NULL, "{\"a\":\"-\"}", NULL, "22P02" },
    { PATH("integer"), NULL, "{\"a\":true}", NULL, "22P02" },
    { PATH("numeric(40,20)"), NULL,
      "{\"a\":12345678901234567890.12345678901234567890}",
      "12345678901234567890.12345678901234567890", NULL },
    { PATH("numeric"), NULL, "{\"a\":\"1.5\"}", "1.5", NULL },
    { PATH("numeric"), NULL, "{\"a\":{}}", NULL, "22P02" },
    { PATH("double precision"), NULL, "{\"a\":1e300}", "1e300", NULL },
    { PATH("boolean"), NULL, "{\"a\":false}", "false", NULL },
    { PATH("boolean"), NULL, "{\"a\":1}", NULL, "22P02" },
    { PATH("timestamptz"), NULL, "{\"a\":\"2026-01-31T12:00:00Z\"}",
      "2026-01-31T12:00:00Z", NULL },
    { PATH("timestamptz"), NULL, "{\"a\":1}", NULL, "22007" },
    { PATH("uuid"), NULL, "{\"a\":[]}", NULL, "22P02" },
    { "\"/a\"", "integer", "{\"a\":\"x\"}", NULL, "22P02" },
    { "\"/a\"", "character varying(3)", "{\"a\":7}", "7", NULL },
    { "{ \"meta\": \"topic\" }", NULL, "x", "the.topic", NULL },
    { "{ \"meta\": \"partition\" }", "integer", "x", "3", NULL },
    { "{ \"meta\": \"offset\" }", "bigint", "x", "-12", NULL },
    { "{ \"meta\": \"timestamp\" }", "timestamp with time zone", "x",
      "2026-01-31 12:34:56.789+00", NULL },
    { "{ \"meta\": \"timestamp\" }", "bigint", "x", "1769862896789", NULL },
    { "{ \"meta\": \"key\" }", NULL, "x", "k\\t1", NULL },
    { "{ \"meta\": \"key\", \"type\": \"bytea\" }", NULL, "x",
      "\\\\x6b0931", NULL },
    { "{ \"meta\": \"value\" }", NULL, "\xc3\xa9", "\xc3\xa9", NULL },
    { "{ \"meta\": \"value\" }", NULL, "\xc3", NULL, "22021" },
    { "{ \"meta\": \"value\" }", NULL, "\xed\xa0\x80", NULL, "22021" },
    { "{ \"meta\": \"value\", \"type\": \"bytea\" }", NULL, "\xff",
      "\\\\xff", NULL },
    { "{ \"meta\": \"value\" }", NULL, NULL, "\\N", NULL }
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
             "\"columns\": %s }", columns);

    conf = conf_parse("f", text, strlen(text), err);
    if (conf == NULL) {
        printf("# %s\n", err);
    }

    return conf;
}


static row_plan_t *
plan_of(const conf_t *conf, const char *const *types, char *reason,
    size_t size)
{
    const row_spec_t  spec = {
        .columns = conf->columns, .types = types, .ncolumns = conf->ncolumns
    };

    return row_plan_create(&spec, reason, size);
}


static void
record_of(record_t *record, const char *value)
{
    memset(record, 0, sizeof(record_t));
    record->topic = "the.topic";
    record->key = "k\t1";
    record->key_len = 3;
    record->value = value;
    record->value_len = value ? strlen(value) : 0;
    record->offset = -12;
    record->partition = 3;
    record->timestamp = 1769862896789;
}


static void
test_case(const case_t *tc)
{
    int             rc;
    char            columns[512], name[1024], reason[256];
    buf_t           text;
    const conf_t   *conf;
    const char     *type;
    row_plan_t     *plan;
    record_fault_t  fault;
    record_t        record;

    snprintf(columns, sizeof(columns), "{ \"c\": %s }", tc->column);
    conf = configure(columns);

    if (!ok(conf != NULL, "%s", columns)) {
        return;
    }

    type = conf->columns[0].type ? conf->columns[0].type : tc->type;
    plan = plan_of(conf, &type, reason, sizeof(reason));
    if (!ok(plan != NULL, "a plan of %s: %s", columns, plan ? "" : reason)) {
        return;
    }
    memset(&text, 0, sizeof(text));
    memset(&fault, 0, sizeof(fault));
    record_of(&record, tc->value);

    rc = row_convert(plan, &record, NULL, &text, &fault);
    snprintf(name, sizeof(name), "%s of %s", columns,
             tc->value ? tc->value : "null");

    if (tc->line) {
        buf_add(&text, "", 0);
        snprintf(columns, sizeof(columns), "%s\n", tc->line);
        is_str(rc == 0 ? text.data : fault.reason, columns, name);

    } else {
        is_str(fault.sqlstate, tc->sqlstate, name);
        ok(rc == 1 && text.len == 0, "nothing is left of it");
    }

    buf_free(&text);
    row_plan_free(plan);
    conf_free(conf);
}


static void
test_columns(void)
{
    char            reason[256];
    buf_t           text;
    const conf_t   *conf;
    row_plan_t     *plan;
    record_fault_t  fault;
    record_t        record;
    const char     *types[4] = { "bigint", "text", "text", "integer" };

    conf = configure("{ \"id\": { \"generated\": \"identity\" },"
                     " \"a\": \"/a\", \"b\": \"/b\","
                     " \"p\": { \"meta\": \"partition\" } }");
    plan = plan_of(conf, types, reason, sizeof(reason));
    memset(&text, 0, sizeof(text));

    record_of(&record, "{\"b\":\"B\",\"a\":\"A\"}");
    is(row_convert(plan, &record, NULL, &text, &fault), 0, "a row of three");
    record_of(&record, "{\"b\":\"B\"");
    is(row_convert(plan, &record, NULL, &text, &fault), 1, "a bad one");
    record_of(&record, "{\"b\":\"C\"}");
    is(row_convert(plan, &record, NULL, &text, &fault), 0, "a row without a");
    buf_add(&text, "", 0);

    is_str(text.data, "A\tB\t3\n\\N\tC\t3\n",
           "columns in their order, lines one behind the other");

    buf_free(&text);
    row_plan_free(plan);
    conf_free(conf);
}


/* The bits of what a record mentions stand before its fields. */

static void
test_mentions(void)
{
    bool             tuple;
    char             columns[512], reason[256];
    buf_t            text;
    size_t           i;
    row_spec_t       spec;
    record_t         record;
    row_plan_t      *plan;
    const conf_t    *conf;
    record_fault_t   fault;
    const char      *keeps[11], *receives[11];

    snprintf(columns, sizeof(columns), "{ \"id\": \"/id\"");

    for (i = 0; i < 10; i++) {
        snprintf(columns + strlen(columns), 64, ", \"%c\": { \"path\": "
                 "\"/%c\" }", (int) ('a' + i), (int) ('a' + i));
    }

    snprintf(columns + strlen(columns), 8, " }");
    conf = configure(columns);

    for (i = 0; i < 11; i++) {
        keeps[i] = i ? "NULL" : NULL;
        receives[i] = "textrecv";
        conf->columns[i].on_missing = i ? CONF_ON_KEEP : CONF_ON_UNSET;
    }

    memset(&spec, 0, sizeof(row_spec_t));
    spec.columns = conf->columns;
    spec.types = (const char *[11]) { NULL };
    spec.receives = receives;
    spec.keeps = keeps;
    spec.ncolumns = 11;
    plan = row_plan_create(&spec, reason, sizeof(reason));
    memset(&text, 0, sizeof(text));

    record_of(&record, "{\"id\":\"1\",\"b\":\"B\",\"i\":null}");
    is(row_convert(plan, &record, NULL, &text, &fault), 0, "a line");
    buf_add(&text, "", 0);
    is_str(text.data, "\\\\x02fd\t1\t\\N\tB\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N"
           "\t\\N\t\\N\n", "with b, and i, which is null");

    tuple = true;
    text.len = 0;
    is(row_convert(plan, &record, &tuple, &text, &fault), 0, "a tuple");
    ok(tuple && memcmp(text.data, "\0\14\0\0\0\2\2\375\0\0\0\1" "1", 13) == 0,
       "of twelve fields, with the same bits");

    buf_free(&text);
    row_plan_free(plan);
    conf_free(conf);
}


/* What only the table's type can tell, told before any record comes. */

static void
test_plans(void)
{
    char           columns[512], reason[256];
    size_t         i;
    const conf_t  *conf;
    row_plan_t    *plan;

    static const struct {
        const char  *column;
        const char  *type;
        const char  *reason;     /* NULL: it fits */
    } plans[] = {
        { "{ \"path\": \"/a\", \"unit\": \"ms\" }", "text",
          "column \"c\": \"unit\" goes with a date or time, not with type "
          "text" },
        { "{ \"path\": \"/a\", \"unit\": \"ms\" }", "date[]", NULL },
        { "{ \"path\": \"/a\", \"transform\": \"trim\" }", "jsonb",
          "column \"c\": \"transform\" makes text, not type jsonb" },
        { "{ \"path\": \"/a\", \"default\": \"x\" }", "integer",
          "\"default\" of column \"c\": not a whole number" },
        { "{ \"path\": \"/a\", \"default\": \"x\" }", "bytea",
          "\"default\" of column \"c\": not base64" },
        { "{ \"path\": \"/a\", \"default\": \"now\" }",
          "timestamp with time zone",
          "\"default\" of column \"c\": not an ISO 8601 time" },
        { "{ \"path\": \"/a\", \"default\": [1, \"2\"] }", "integer[]", NULL },
        { "{ \"constant\": {} }", "boolean",
          "\"constant\" of column \"c\": an object does not fit type "
          "boolean" },
        { "{ \"constant\": null }", "uuid", NULL },
        { "{ \"meta\": \"offset\" }", "uuid",
          "column \"c\": the record's number does not fit type uuid" },
        { "{ \"meta\": \"offset\" }", "double precision", NULL },
        { "{ \"meta\": \"offset\" }", "text", NULL },
        { "{ \"meta\": \"partition\" }", "bigint[]",
          "column \"c\": the record's number does not fit type bigint[]" },
        { "{ \"meta\": \"timestamp\" }", "integer",
          "column \"c\": the record's timestamp does not fit type integer" },
        { "{ \"meta\": \"timestamp\" }", "date", NULL },
        { "{ \"meta\": \"timestamp\" }", "numeric(20,0)", NULL }
    };

    for (i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
        snprintf(columns, sizeof(columns), "{ \"c\": %s }", plans[i].column);
        conf = configure(columns);
        reason[0] = '\0';
        plan = plan_of(conf, &plans[i].type, reason, sizeof(reason));

        if (plans[i].reason) {
            is_str(reason, plans[i].reason, columns);
            ok(plan == NULL, "is no plan");

        } else {
            ok(plan != NULL, "%s into %s", columns, plans[i].type);
        }

        row_plan_free(plan);
        conf_free(conf);
    }
}


int
main(void)
{
    size_t  i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        test_case(&cases[i]);
    }

    test_columns();
    test_mentions();
    test_plans();

    return tap_done();
}
