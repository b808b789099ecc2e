/* The strict JSON reader: what it takes, what it refuses and where. */

#include "json_test.h"


/* Accepted.  A text may not hold NUL here: those are tested below. */

static const char *const  good[] = {
    "null", "true", "false", "0", "-0", "1", "-1", "\"\"", "[]", "{}",
    " null ", "\t\r\n [ \t\r\n ] \t\r\n ", " { } ", "[null]", "[[]]",
    "[[],[]]", "[{}]", "[{},{}]", "{\"\":0}", "{\"a\":{}}", "{\"a\":[]}",
    "[1,2,3]", "[ 1 , 2 , 3 ]", "[true,false,null,0,\"\",[],{}]",
    "{\"a\":1,\"b\":2}", "{ \"a\" : 1 , \"b\" : 2 }",
    "{\"a\":{\"a\":{\"a\":1}}}", "[{\"a\":1},{\"a\":1}]",
    "{\"a\":1,\"A\":2}", "{\"a\":1,\"aa\":2,\"aaa\":3}",
    "{\"a\":{\"b\":1},\"b\":{\"a\":1}}", "{\"\\u0061\":1,\"b\":2}",
    "{\"a\":1,\"\\\\u0061\":2}", "{\"a\":1,\"\":2}",
    "0.0", "-0.0", "0.1", "-0.1", "1.0", "10", "10.01", "123456789",
    "0e0", "0E0", "0e+0", "0e-0", "1e1", "1E1", "1e+1", "1e-1", "1.5e10",
    "-1.5E-10", "1e00001", "1e+0000", "0.000000001", "9007199254740993",
    "1e15000", "1e-15000", "1E+015000", "[1e1,-1]", "-12.0340e+05",
    "\"a\"", "\" \"", "\"\\\"\"", "\"\\\\\"", "\"\\/\"", "\"/\"",
    "\"\\b\\f\\n\\r\\t\"", "\"\\u0001\"", "\"\\u001f\"", "\"\\u0020\"",
    "\"\\u007f\"", "\"\\u0080\"", "\"\\u07ff\"", "\"\\u0800\"",
    "\"\\uffff\"", "\"\\uFFFE\"", "\"\\uAbCd\"", "\"\\ud7ff\"",
    "\"\\ue000\"", "\"\\ud800\\udc00\"", "\"\\uDBFF\\uDFFF\"",
    "\"\\ud83d\\ude00\\ud83d\\ude00\"", "\"\x7f\"", "\"\xc2\x80\"",
    "\"\xdf\xbf\"", "\"\xe0\xa0\x80\"", "\"\xed\x9f\xbf\"",
    "\"\xee\x80\x80\"", "\"\xef\xbf\xbf\"", "\"\xf0\x90\x80\x80\"",
    "\"\xf4\x8f\xbf\xbf\"", "\"\xef\xbb\xbf\"", "\"a\xef\xbb\xbf\"",
    "\"\xe2\x80\xa8\xe2\x80\xa9\"", "\"[{,:}]\"", "\"\\\\\\\\\\\"\"",
    "{\"\xd0\xba\":\"\xd0\xb7\"}", "[\"\\\\\",\"\\\\\"]",
    "{\"__proto__\":1,\"constructor\":2}"
};


static const struct {
    const char  *text;
    const char  *reason;
    size_t       offset;
} bad[] = {
    { "",                  "empty text",                         0 },
    { " ",                 "empty text",                         1 },
    { "\n\t\r ",           "empty text",                         4 },
    { "\xef\xbb\xbf",      "byte order mark",                    0 },
    { "\xef\xbb\xbf{}",    "byte order mark",                    0 },
    { " \xef\xbb\xbf{}",   "unexpected character",               1 },
    { "{}\xef\xbb\xbf",    "bytes behind the value",             2 },
    { "\xff\xfe{\x01",     "unexpected character",               0 },
    { "\xc2\xa0" "1",      "unexpected character",               0 },
    { "\f1",               "unexpected character",               0 },
    { "\v1",               "unexpected character",               0 },
    { "1\f",               "bytes behind the value",             1 },

    { "nul",               "unexpected character",               0 },
    { "n",                 "unexpected character",               0 },
    { "nulL",              "unexpected character",               0 },
    { "NULL",              "unexpected character",               0 },
    { "True",              "unexpected character",               0 },
    { "tru",               "unexpected character",               0 },
    { "fals",              "unexpected character",               0 },
    { "undefined",         "unexpected character",               0 },
    { "NaN",               "unexpected character",               0 },
    { "Infinity",          "unexpected character",               0 },
    { "-Infinity",         "unexpected character",               1 },
    { "-NaN",              "unexpected character",               1 },
    { "nulll",             "bytes behind the value",             4 },
    { "true false",        "bytes behind the value",             5 },
    { "{} {}",             "bytes behind the value",             3 },
    { "{}}",               "bytes behind the value",             2 },
    { "[]]",               "bytes behind the value",             2 },
    { "{},",               "bytes behind the value",             2 },
    { "1,",                "bytes behind the value",             1 },
    { "1 2",               "bytes behind the value",             2 },
    { "\"a\"b",            "bytes behind the value",             3 },
    { "\"\"\"",            "bytes behind the value",             2 },
    { "{}//",              "bytes behind the value",             2 },
    { "{}\x1a",            "bytes behind the value",             2 },
    { "/**/{}",            "unexpected character",               0 },
    { "[1/**/]",           "unexpected character",               2 },
    { "#1",                "unexpected character",               0 },
    { "'a'",               "unexpected character",               0 },
    { "a",                 "unexpected character",               0 },
    { ",",                 "unexpected character",               0 },
    { ":",                 "unexpected character",               0 },
    { "]",                 "unexpected character",               0 },
    { "}",                 "unexpected character",               0 },

    { "[",                 "unexpected end of the text",         1 },
    { "[ ",                "unexpected end of the text",         2 },
    { "[1",                "unexpected end of the text",         2 },
    { "[1,",               "unexpected end of the text",         3 },
    { "[1 ",               "unexpected end of the text",         3 },
    { "[[",                "unexpected end of the text",         2 },
    { "[[]",               "unexpected end of the text",         3 },
    { "[,",                "unexpected character",               1 },
    { "[,1]",              "unexpected character",               1 },
    { "[1,]",              "unexpected character",               3 },
    { "[1,,2]",            "unexpected character",               3 },
    { "[1 2]",             "unexpected character",               3 },
    { "[1:2]",             "unexpected character",               2 },
    { "[1}",               "unexpected character",               2 },
    { "[}",                "unexpected character",               1 },
    { "[\"a\":1]",         "unexpected character",               4 },
    { "[\"a\" \"b\"]",     "unexpected character",               5 },
    { "[[]1]",             "unexpected character",               3 },
    { "[{}1]",             "unexpected character",               3 },
    { "[null,tru]",        "unexpected character",               6 },

    { "{",                 "unexpected end of the text",         1 },
    { "{ ",                "unexpected end of the text",         2 },
    { "{\"a\"",            "unexpected end of the text",         4 },
    { "{\"a\" ",           "unexpected end of the text",         5 },
    { "{\"a\":",           "unexpected end of the text",         5 },
    { "{\"a\": ",          "unexpected end of the text",         6 },
    { "{\"a\":1",          "unexpected end of the text",         6 },
    { "{\"a\":1,",         "unexpected end of the text",         7 },
    { "{\"a\":1, ",        "unexpected end of the text",         8 },
    { "{\"a",              "unexpected end of the text",         3 },
    { "{,}",               "unexpected character",               1 },
    { "{1:2}",             "unexpected character",               1 },
    { "{a:1}",             "unexpected character",               1 },
    { "{'a':1}",           "unexpected character",               1 },
    { "{null:1}",          "unexpected character",               1 },
    { "{[]:1}",            "unexpected character",               1 },
    { "{\"a\"}",           "unexpected character",               4 },
    { "{\"a\",1}",         "unexpected character",               4 },
    { "{\"a\":}",          "unexpected character",               5 },
    { "{\"a\"::1}",        "unexpected character",               5 },
    { "{\"a\" 1}",         "unexpected character",               5 },
    { "{\"a\":1,}",        "unexpected character",               7 },
    { "{\"a\":1,,\"b\":2}", "unexpected character",              7 },
    { "{\"a\":1 \"b\":2}", "unexpected character",               7 },
    { "{\"a\":1]",         "unexpected character",               6 },
    { "{]",                "unexpected character",               1 },
    { "{\"a\":1,2}",       "unexpected character",               7 },
    { "{\"a\":1 2}",       "unexpected character",               7 },

    { "{\"a\":1,\"a\":1}",          "duplicate member",          7 },
    { "{\"a\":1,\"b\":1, \"a\":1}", "duplicate member",         14 },
    { "{\"\":1,\"\":1}",            "duplicate member",          6 },
    { "{\"a\":1,\"\\u0061\":1}",    "duplicate member",          7 },
    { "{\"\\u0061\":1,\"a\":1}",    "duplicate member",         12 },
    { "{\"\\u0061\":1,\"\\u0061\":1}", "duplicate member",      12 },
    { "{\"/\":1,\"\\/\":1}",        "duplicate member",          7 },
    { "{\"\\n\":1,\"\\u000A\":1}",  "duplicate member",          8 },
    { "{\"\\\\\":1,\"\\u005c\":1}", "duplicate member",          8 },
    { "{\"\xc3\xa9\":1,\"\\u00e9\":1}",     "duplicate member",  8 },
    { "{\"\xe4\xb8\xad\":1,\"\\u4E2D\":1}", "duplicate member",  9 },
    { "{\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\uDE00\":1}",
                                    "duplicate member",         10 },
    { "[{\"x\":{\"a\":1,\"a\":2}}]", "duplicate member",        13 },
    { "{\"a\":{\"b\":1},\"a\":2}",  "duplicate member",         13 },
    { "{\"a\":[{\"a\":1}],\"a\":2}", "duplicate member",        15 },

    { "-",                 "unexpected end of the text",         1 },
    { "[-]",               "unexpected character",               2 },
    { "--1",               "unexpected character",               1 },
    { "+1",                "unexpected character",               0 },
    { "-a",                "unexpected character",               1 },
    { "01",                "leading zero in a number",           0 },
    { "00",                "leading zero in a number",           0 },
    { "-01",               "leading zero in a number",           1 },
    { "[1,012]",           "leading zero in a number",           3 },
    { "00.1",              "leading zero in a number",           0 },
    { "0x10",              "bytes behind the value",             1 },
    { "[0x10]",            "unexpected character",               2 },
    { ".5",                "unexpected character",               0 },
    { "-.5",               "unexpected character",               1 },
    { "1.",                "unexpected end of the text",         2 },
    { "[1.]",              "unexpected character",               3 },
    { "1.e1",              "unexpected character",               2 },
    { "1.-1",              "unexpected character",               2 },
    { "1..1",              "unexpected character",               2 },
    { "1.1.1",             "bytes behind the value",             3 },
    { "1e",                "unexpected end of the text",         2 },
    { "1e+",               "unexpected end of the text",         3 },
    { "1e-",               "unexpected end of the text",         3 },
    { "[1e]",              "unexpected character",               3 },
    { "1e+-1",             "unexpected character",               3 },
    { "1e1.5",             "bytes behind the value",             3 },
    { "1ee1",              "unexpected character",               2 },
    { "1e1e1",             "bytes behind the value",             3 },
    { "1_000",             "bytes behind the value",             1 },
    { "1,000",             "bytes behind the value",             1 },
    { "1f",                "bytes behind the value",             1 },
    { "\xef\xbc\x91",      "unexpected character",               0 },
    { "1e400000",          "exponent of a number is too large",  0 },
    { "1e-400000",         "exponent of a number is too large",  0 },
    { "[1e15001]",         "exponent of a number is too large",  1 },
    { "-1e-15001",         "exponent of a number is too large",  0 },
    { "0e15001",           "exponent of a number is too large",  0 },
    { "1e4294967296",      "exponent of a number is too large",  0 },
    { "1e4294967297",      "exponent of a number is too large",  0 },
    { "1e18446744073709551617", "exponent of a number is too large", 0 },
    { "1.5e-16383",        "exponent of a number is too large",  0 },

    { "\"",                "unexpected end of the text",         1 },
    { "\"a",               "unexpected end of the text",         2 },
    { "\"abcdefgh",        "unexpected end of the text",         9 },
    { "\"abcdefghi",       "unexpected end of the text",        10 },
    { "\"\\",              "unexpected end of the text",         2 },
    { "\"\\\"",            "unexpected end of the text",         3 },
    { "\"\\u",             "invalid escape in a string",         1 },
    { "\"\\u0\"",          "invalid escape in a string",         1 },
    { "\"\\u004",          "invalid escape in a string",         1 },
    { "\"\\u004\"",        "invalid escape in a string",         1 },
    { "\"\\u004g\"",       "invalid escape in a string",         1 },
    { "\"\\u 041\"",       "invalid escape in a string",         1 },
    { "\"\\u-041\"",       "invalid escape in a string",         1 },
    { "\"\\U0041\"",       "invalid escape in a string",         1 },
    { "\"\\x41\"",         "invalid escape in a string",         1 },
    { "\"\\a\"",           "invalid escape in a string",         1 },
    { "\"\\v\"",           "invalid escape in a string",         1 },
    { "\"\\0\"",           "invalid escape in a string",         1 },
    { "\"\\'\"",           "invalid escape in a string",         1 },
    { "\"\\\n\"",          "invalid escape in a string",         1 },
    { "\"\\\xc3\xa9\"",    "invalid escape in a string",         1 },
    { "\"ab\\u0000\"",     "NUL in a string",                    3 },
    { "{\"\\u0000\":1}",   "NUL in a string",                    2 },
    { "\"\\ud800\"",       "lone surrogate in a string",         1 },
    { "\"\\udbff\"",       "lone surrogate in a string",         1 },
    { "\"\\udc00\"",       "lone surrogate in a string",         1 },
    { "\"\\udfff\"",       "lone surrogate in a string",         1 },
    { "\"\\ud800",         "lone surrogate in a string",         1 },
    { "\"\\ud800\\",       "lone surrogate in a string",         1 },
    { "\"\\ud800\\u",      "lone surrogate in a string",         1 },
    { "\"\\ud800\\udc0",   "lone surrogate in a string",         1 },
    { "\"\\ud800\\udc0\"", "lone surrogate in a string",         1 },
    { "\"\\ud800\\ud800\"", "lone surrogate in a string",        1 },
    { "\"\\ud800\\u0041\"", "lone surrogate in a string",        1 },
    { "\"\\ud800\\ue000\"", "lone surrogate in a string",        1 },
    { "\"\\ud800x\\udc00\"", "lone surrogate in a string",       1 },
    { "\"\\ud800\\n12345\"", "lone surrogate in a string",       1 },
    { "\"\\udc00\\ud800\"", "lone surrogate in a string",        1 },
    { "\"\\ud83d\\ude00\\ude00\"", "lone surrogate in a string", 13 },

    { "\"\n\"",            "control character in a string",      1 },
    { "\"\t\"",            "control character in a string",      1 },
    { "\"a\x01\"",         "control character in a string",      2 },
    { "\"a\x1f\"",         "control character in a string",      2 },
    { "\"12345678\x1f\"",  "control character in a string",      9 },
    { "{\"a\nb\":1}",      "control character in a string",      3 },
    { "\"\x80\"",          "invalid UTF-8",                      1 },
    { "\"\xbf\"",          "invalid UTF-8",                      1 },
    { "\"\xc0\x80\"",      "invalid UTF-8",                      1 },
    { "\"\xc0\xaf\"",      "invalid UTF-8",                      1 },
    { "\"\xc1\xbf\"",      "invalid UTF-8",                      1 },
    { "\"\xc2\"",          "invalid UTF-8",                      1 },
    { "\"\xc2",            "invalid UTF-8",                      1 },
    { "\"\xc2\x41\"",      "invalid UTF-8",                      1 },
    { "\"\xe0\x80\xaf\"",  "invalid UTF-8",                      1 },
    { "\"\xe0\x9f\xbf\"",  "invalid UTF-8",                      1 },
    { "\"\xe4\xb8\"",      "invalid UTF-8",                      1 },
    { "\"\xe4\xb8",        "invalid UTF-8",                      1 },
    { "\"\xe4\"",          "invalid UTF-8",                      1 },
    { "\"\xed\xa0\x80\"",  "invalid UTF-8",                      1 },
    { "\"\xed\xaf\xbf\xed\xb0\x80\"", "invalid UTF-8",           1 },
    { "\"\xed\xbf\xbf\"",  "invalid UTF-8",                      1 },
    { "\"\xf0\x80\x80\xaf\"", "invalid UTF-8",                   1 },
    { "\"\xf0\x8f\xbf\xbf\"", "invalid UTF-8",                   1 },
    { "\"\xf0\x9f\x98\"",  "invalid UTF-8",                      1 },
    { "\"\xf0\x9f\x98",    "invalid UTF-8",                      1 },
    { "\"\xf4\x90\x80\x80\"", "invalid UTF-8",                   1 },
    { "\"\xf5\x80\x80\x80\"", "invalid UTF-8",                   1 },
    { "\"\xf8\x88\x80\x80\x80\"", "invalid UTF-8",               1 },
    { "\"\xfe\"",          "invalid UTF-8",                      1 },
    { "\"\xff\"",          "invalid UTF-8",                      1 },
    { "\"ok \xe4\xb8\xad\x80\"", "invalid UTF-8",                7 },
    { "\"ascii \xe9t\xe9\"", "invalid UTF-8",                    7 },
    { "{\"\xff\":1}",      "invalid UTF-8",                      2 }
};


static void
test_tables(void)
{
    size_t       i, offset;
    const char  *reason;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        reason = parse(good[i], strlen(good[i]), NULL);
        ok(reason == NULL, "takes good[%zu]: %s", i, reason ? reason : "");
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        offset = 0;
        reason = parse(bad[i].text, strlen(bad[i].text), &offset);

        if (!ok(reason != NULL && strcmp(reason, bad[i].reason) == 0
                && offset == bad[i].offset,
                "refuses bad[%zu]: %s", i, bad[i].reason))
        {
            printf("# got %s at %zu\n", reason ? reason : "none", offset);
        }
    }

    is_str(parse("", 0, NULL), "empty text", "no text at all");
    is_str(parse("\0", 1, NULL), "unexpected character", "NUL alone");
    is_str(parse("1\0", 2, NULL), "bytes behind the value", "NUL behind");
    is_str(parse("[\0]", 3, NULL), "unexpected character", "NUL within");
    is_str(parse("\"\0\"", 3, NULL), "control character in a string",
           "NUL in a string");
    is_str(parse("{\"a\0\":1}", 8, NULL), "control character in a string",
           "NUL in a name");
}


static void
test_prefixes(void)
{
    int          fine;
    size_t       i, n;
    const char  *text;

    /* no prefix of an object is a text */
    text = "{\"a\\u00e9\xc3\xa9\": [1.5e-3, true, false, null, {\"b\":\"\"}]}";

    for (fine = 1, n = 0; n < strlen(text); n++) {
        fine &= parse(text, n, NULL) != NULL;
    }

    ok(fine, "every prefix of an object is refused");
    ok(parse(text, n, NULL) == NULL, "the whole object is taken");

    for (fine = 1, i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        for (n = 0; n < strlen(good[i]); n++) {
            (void) parse(good[i], n, NULL);
        }

        fine &= parse(good[i], n, NULL) == NULL;
    }

    ok(fine, "a refused text leaves nothing behind");
}


/* A value of which nobody knows yet where it ends. */

static void
test_behind(void)
{
    size_t         i;
    json_error_t   err;
    json_parser_t  ps;

    static const struct {
        const char  *text;
        size_t       behind;    /* 0: refused */
    } texts[] = {
        { "{\"a\":[1]}, 2]", 9 },
        { " \"x\"\"y\"", 4 },
        { "12]", 2 },
        { "true1", 4 },
        { "[]\xff", 2 },
        { "", 0 },
        { "[1", 0 },
        { "]", 0 },
    };

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_begin(&ps, &doc, texts[i].text, strlen(texts[i].text), 0);

        if (json_read(&ps, &doc, 100, &err) == JSON_READ) {
            ok(json_behind(&ps) == texts[i].behind, "the end of %s",
               texts[i].text);

        } else {
            ok(texts[i].behind == 0, "no value: %s", texts[i].text);
        }
    }
}


static void
test_reuse(void)
{
    json_error_t  err;

    is(json_parse(&doc, NULL, 0, &err), -1, "NULL is no text");
    is_str(err.reason, "empty text", "but an empty one");

    json_doc_free(&doc);
    is(doc.size, 0, "a freed document is empty");
    ok(parse_text("{\"a\":1}") == NULL, "and may be used again");

    json_doc_free(&doc);
    json_doc_free(&doc);
}


int
main(void)
{
    test_tables();
    test_prefixes();
    test_behind();
    test_reuse();

    json_doc_free(&doc);

    return tap_done();
}
