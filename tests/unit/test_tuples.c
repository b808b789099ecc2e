/* Lines of COPY's text format become tuples of its binary one. */

#include <stdlib.h>

#include "store/tuples.h"
#include "tap.h"


typedef struct {
    const char    *receive;    /* PostgreSQL's function */
    const char    *field;      /* as COPY's text has it */
    const char    *hex;        /* length and bytes; NULL: PostgreSQL judges */
} case_t;


static const case_t  cases[] = {
    { "textrecv", "abc", "00000003616263" },
    { "textrecv", "", "00000000" },
    { "textrecv", "\\N", "ffffffff" },
    { "varcharrecv", "\\\\N", "000000025c4e" },
    { "bpcharrecv", "\\b\\t\\n\\v\\f\\r\\\\", "00000007" "08090a0b0c0d5c" },
    { "enum_recv", "a\\tb\\\\c\xc3\xa9", "00000007" "6109625c63c3a9" },
    { "json_recv", "\\\\.", "000000025c2e" },
    { "jsonb_recv", "{\"a\":\"\\\\n\"}", "0000000b" "017b2261223a225c6e227d" },
    { "jsonb_recv", "\\N", "ffffffff" },
    { "bytearecv", "\\\\x00ff5c", "0000000300ff5c" },
    { "bytearecv", "\\\\x", "00000000" },
    { "bytearecv", "\\\\x0", NULL },
    { "bytearecv", "\\\\x0g", NULL },
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
    { "date_recv", "0001-12-31 BC", "00000004fff4dbf8" },
    { "date_recv", "-infinity", "0000000480000000" },
    { "date_recv", "1/8/1999", NULL },
    { "time_recv", "24:00:00", "00000008000000141dd76000" },
    { "time_recv", "24:00:01", NULL },
    { "point_recv", "(1,1)", NULL }
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
    int              i;
    char             line[256], hex[256];
    buf_t            out;
    tuples_t         binary;
    tuples_column_t  column;

    memset(&out, 0, sizeof(buf_t));
    memset(&binary, 0, sizeof(tuples_t));
    memset(&column, 0, sizeof(tuples_column_t));
    column.kind = binary_kind(tc->receive);
    binary.columns = &column;
    binary.ncolumns = 1;

    snprintf(line, sizeof(line), "%s\n", tc->field);

    /* once more with the date that was read before */

    for (i = 0; i < 2; i++) {
        out.len = 0;
        hex[0] = '\0';
        is(tuples_add(&binary, line, strlen(line), &out), tc->hex == NULL,
           tc->field);

        if (tc->hex) {
            to_hex(&out, 2, hex);
            is_str(hex, tc->hex, tc->receive);
        }
    }

    buf_free(&out);
}


static const struct {
    const char  *field;
    const char  *hex;
} arrays[] = {
    { "{}", "00000000" "00000001" "00000017" },
    { "{7,NULL}", "00000001" "00000001" "00000017" "0000000200000001"
      "0000000400000007" "ffffffff" },
    { "{\"-1\",null}", "00000001" "00000001" "00000017" "0000000200000001"
      "00000004ffffffff" "ffffffff" },
    { "{{1},{2}}", "00000002" "00000001" "00000017" "0000000200000001"
      "0000000100000001" "0000000400000001" "0000000400000002" },
    { "", NULL },
    { "{", NULL },
    { "{1", NULL },
    { "{1,}", NULL },
    { "{1}x", NULL },
    { "{\"NULL\"}", NULL },
    { "{{1},{2,3}}", NULL },
    { "{{1},2}", NULL },
    { "{{}}", NULL },
    { "{ 1}", NULL },
    { "[2:2]={1}", NULL },
    { "{x}", NULL },
    { "{{{{{{{1}}}}}}}", NULL }
};


static void
test_arrays(void)
{
    char             line[256], hex[256];
    size_t           i;
    buf_t            out;
    tuples_t         binary;
    tuples_column_t  column = { BINARY_INTEGER, 23 };

    memset(&out, 0, sizeof(buf_t));
    memset(&binary, 0, sizeof(tuples_t));
    binary.columns = &column;
    binary.ncolumns = 1;

    for (i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        out.len = 0;
        snprintf(line, sizeof(line), "%s\n", arrays[i].field);
        is(tuples_add(&binary, line, strlen(line), &out),
           arrays[i].hex == NULL, arrays[i].field);

        if (arrays[i].hex) {
            to_hex(&out, 6, hex);
            is_str(hex, arrays[i].hex, "an array");
        }
    }

    out.len = 0;
    column = (tuples_column_t) { BINARY_TEXT, 25 };
    snprintf(line, sizeof(line), "{\"a\\\\\\\\b\\\\\"\\tc\"}\n");
    is(tuples_add(&binary, line, strlen(line), &out), 0, "escapes");
    to_hex(&out, 26, hex);
    is_str(hex, "00000006" "615c62220963", "of an array, of COPY");

    buf_free(&out);
    buf_free(&binary.array);
    buf_free(&binary.text);
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
    binary.columns = calloc(4, sizeof(tuples_column_t));
    binary.columns[0].kind = BINARY_TEXT;
    binary.columns[1].kind = BINARY_TEXT;
    binary.columns[2].kind = BINARY_SMALLINT;
    binary.columns[3].kind = BINARY_TEXT;
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
    target_t       target;
    tuples_t       binary;
    const char    *receives[] = { "textrecv", "int4recv", "point_recv" };
    uint32_t       elements[] = { 0, 23, 0 };
    conf_column_t  columns[3];

    memset(&binary, 0, sizeof(tuples_t));
    memset(&target, 0, sizeof(target_t));
    memset(columns, 0, sizeof(columns));
    target.columns = columns;
    target.receives = receives;
    target.elements = elements;
    columns[0].from = columns[1].from = columns[2].from = CONF_FROM_PATH;

    target.ncolumns = 2;
    is(tuples_prepare(&binary, &target), 1, "types it knows");
    is(binary.ncolumns, 2, "columns");
    is(binary.columns[1].kind, BINARY_INTEGER, "of an array's elements");
    is(binary.columns[1].element, 23, "and their type");

    target.ncolumns = 3;
    is(tuples_prepare(&binary, &target), 0, "one more that it does not know");
    ok(binary.columns == NULL, "nothing is kept");

    columns[2].from = CONF_FROM_IDENTITY;
    is(tuples_prepare(&binary, &target), 1, "which no row fills");
    is(binary.ncolumns, 2, "columns");

    receives[0] = NULL;
    is(tuples_prepare(&binary, &target), 0, "a column that is not there");

    tuples_free(&binary);
}


int
main(void)
{
    size_t  i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        test_case(&cases[i]);
    }

    test_arrays();
    test_line();
    test_prepare();

    return tap_done();
}
