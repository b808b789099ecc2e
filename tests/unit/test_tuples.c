/* Lines of COPY's text format become tuples of its binary one. */

#include <stdlib.h>

#include "store/tuples.h"
#include "tap.h"


typedef struct {
    type_kind_t  kind;
    const char    *field;      /* as COPY's text has it */
    const char    *hex;        /* length and bytes */
} case_t;


static const case_t  cases[] = {
    { TYPE_TEXT, "abc", "00000003616263" },
    { TYPE_TEXT, "", "00000000" },
    { TYPE_TEXT, "\\N", "ffffffff" },
    { TYPE_TEXT, "\\\\N", "000000025c4e" },
    { TYPE_TEXT, "\\b\\t\\n\\v\\f\\r\\\\", "00000007" "08090a0b0c0d5c" },
    { TYPE_TEXT, "a\\tb\\\\c\xc3\xa9", "00000007" "6109625c63c3a9" },
    { TYPE_TEXT, "\\\\.", "000000025c2e" },
    { TYPE_JSON, "{\"a\":\"\\\\n\"}", "0000000b" "017b2261223a225c6e227d" },
    { TYPE_JSON, "\\N", "ffffffff" },
    { TYPE_BYTEA, "\\\\x00ff5c", "0000000300ff5c" },
    { TYPE_BYTEA, "\\\\x", "00000000" },
    { TYPE_SMALLINT, "-32768", "000000028000" },
    { TYPE_SMALLINT, "32767", "000000027fff" },
    { TYPE_SMALLINT, "32768", "00000003000000" },
    { TYPE_INTEGER, "-2147483648", "0000000480000000" },
    { TYPE_INTEGER, "2147483647", "000000047fffffff" },
    { TYPE_INTEGER, "2147483648", "000000050000000000" },
    { TYPE_INTEGER, "007", "0000000400000007" },
    { TYPE_INTEGER, "", "000000050000000000" },
    { TYPE_INTEGER, "-", "000000050000000000" },
    { TYPE_INTEGER, "1x", "000000050000000000" },
    { TYPE_BIGINT, "9223372036854775807", "000000087fffffffffffffff" },
    { TYPE_BIGINT, "-9223372036854775808", "000000088000000000000000" },
    { TYPE_BIGINT, "9223372036854775808", "00000009000000000000000000" },
    { TYPE_BIGINT, "-1", "00000008ffffffffffffffff" },
    { TYPE_TIMESTAMPTZ, "2000-01-01 00:00:00.000+00",
      "000000080000000000000000" },
    { TYPE_TIMESTAMPTZ, "2000-03-01 00:00:00.001+00",
      "00000008000004b6fe7a83e8" },
    { TYPE_TIMESTAMPTZ, "1970-01-01 00:00:00.000+00",
      "00000008fffca2fec4c82000" },
    { TYPE_TIMESTAMPTZ, "2026-01-31 12:34:56.789+00",
      "000000080002ecad160bc608" },
    { TYPE_TIMESTAMPTZ, "infinity",
      "00000009000000000000000000" }
};


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
test_case(const case_t *tc)
{
    char      line[256], hex[256];
    buf_t     out;
    tuples_t  binary;

    memset(&out, 0, sizeof(buf_t));
    memset(&binary, 0, sizeof(tuples_t));
    binary.kinds = calloc(1, sizeof(type_kind_t));
    binary.kinds[0] = tc->kind;
    binary.ncolumns = 1;

    snprintf(line, sizeof(line), "%s\n", tc->field);
    is(tuples_add(&binary, line, strlen(line), &out), 0, tc->field);
    to_hex(&out, 2, hex);

    /* what PostgreSQL refuses is told by its length alone */
    if (strcmp(tc->hex, "00000001") == 0) {
        hex[8] = '\0';
    }

    is_str(hex, tc->hex, "as PostgreSQL reads it");

    /* with the date it has parsed before */
    out.len = 0;
    (void) tuples_add(&binary, line, strlen(line), &out);
    hex[0] = '\0';
    to_hex(&out, 2, hex);
    ok(strncmp(hex, tc->hex, strlen(tc->hex)) == 0, "once more");

    buf_free(&out);
    tuples_free(&binary);
}


static void
test_line(void)
{
    char        hex[256];
    buf_t       out;
    tuples_t    binary;
    const bool  gone = true;
    const char  line[] = "a\\tb\t\\N\t7\t\n";

    memset(&out, 0, sizeof(buf_t));
    memset(&binary, 0, sizeof(tuples_t));
    binary.kinds = calloc(4, sizeof(type_kind_t));
    binary.kinds[2] = TYPE_SMALLINT;
    binary.ncolumns = 4;

    (void) tuples_add(&binary, line, sizeof(line) - 1, &out);
    (void) tuples_add(&binary, line, sizeof(line) - 1, &out);
    to_hex(&out, 0, hex);
    is_str(hex, "0004" "00000003610962" "ffffffff" "000000020007" "00000000"
           "0004" "00000003610962" "ffffffff" "000000020007" "00000000",
           "tuples one behind the other");

    out.len = 0;
    (void) tuples_add_staged(&binary, 258, NULL, line, sizeof(line) - 1,
                             &out);
    (void) tuples_add_staged(&binary, 3, &gone, line, sizeof(line) - 1,
                             &out);
    to_hex(&out, 0, hex);
    is_str(hex, "0005" "0000000400000102"
           "00000003610962" "ffffffff" "000000020007" "00000000"
           "0006" "0000000400000003" "0000000101"
           "00000003610962" "ffffffff" "000000020007" "00000000",
           "behind a row's place, and whether it is a tombstone");

    buf_free(&out);
    tuples_free(&binary);
}


static void
test_prepare(void)
{
    size_t                i;
    const char           *type, *table;
    target_t              target;
    tuples_t              binary;
    conf_column_t         column;

    static const struct {
        const char   *type;
        const char   *table;
        conf_from_t   from;
        int           wanted;
    } pairs[] = {
        { "text", "text", CONF_FROM_PATH, 1 },
        { "numeric", "character varying(9)", CONF_FROM_PATH, 1 },
        { "bigint", "bigint", CONF_FROM_PATH, 1 },
        { "text", "bigint", CONF_FROM_PATH, 0 },
        { "bigint", "integer", CONF_FROM_OFFSET, 0 },
        { "text", "bytea", CONF_FROM_KEY, 0 },
        { "numeric(9,2)", "numeric(9,2)", CONF_FROM_PATH, 0 },
        { "jsonb", "jsonb", CONF_FROM_PATH, 1 },
        { "timestamp with time zone", "timestamp with time zone",
          CONF_FROM_TIMESTAMP, 1 },
        { "timestamp with time zone", "timestamp with time zone",
          CONF_FROM_PATH, 0 },
        { "uuid", "uuid", CONF_FROM_PATH, 0 },
        { "text", NULL, CONF_FROM_PATH, 0 }
    };

    memset(&binary, 0, sizeof(tuples_t));
    memset(&target, 0, sizeof(target_t));
    target.columns = &column;
    target.ncolumns = 1;

    for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        memset(&column, 0, sizeof(conf_column_t));
        column.from = pairs[i].from;
        type = pairs[i].type;
        table = pairs[i].table;
        target.types = &type;
        target.table_types = &table;
        is(tuples_prepare(&binary, &target), pairs[i].wanted, type);
    }

    tuples_free(&binary);
}


int
main(void)
{
    size_t  i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        test_case(&cases[i]);
    }

    test_line();
    test_prepare();

    return tap_done();
}
