/* The strict JSON reader: bytes, code points, tokens, decoding, pointers. */

#include "json_test.h"


/* Each byte at each place of a string, beside a reader byte by byte. */

static void
test_bytes(void)
{
    int       wrong;
    char      text[48];
    unsigned  c, at, len;

    wrong = 0;

    for (len = 1; len < 24; len++) {
        for (at = 0; at < len; at++) {
            for (c = 0; c < 256; c++) {
                memset(text, 'a', sizeof(text));
                text[0] = '"';
                text[1 + at] = (char) c;
                text[1 + len] = '"';

                wrong += (parse(text, len + 2, NULL) == NULL)
                         != (c >= 0x20 && c < 0x80 && c != '"' && c != '\\');
            }
        }
    }

    is(wrong, 0, "each byte at each place of a string");
}


static size_t
encode(uint32_t c, char *out)
{
    if (c < 0x80) {
        out[0] = (char) c;
        return 1;
    }

    if (c < 0x800) {
        out[0] = (char) (0xc0 | c >> 6);
        out[1] = (char) (0x80 | (c & 0x3f));
        return 2;
    }

    if (c < 0x10000) {
        out[0] = (char) (0xe0 | c >> 12);
        out[1] = (char) (0x80 | (c >> 6 & 0x3f));
        out[2] = (char) (0x80 | (c & 0x3f));
        return 3;
    }

    out[0] = (char) (0xf0 | c >> 18);
    out[1] = (char) (0x80 | (c >> 12 & 0x3f));
    out[2] = (char) (0x80 | (c >> 6 & 0x3f));
    out[3] = (char) (0x80 | (c & 0x3f));

    return 4;
}


static void
test_code_points(void)
{
    int           raw, escapes, decoded;
    char          text[32], out[32], utf8[8];
    size_t        n, len;
    uint32_t      c;
    json_error_t  err;

    raw = escapes = decoded = 0;

    for (c = 0; c <= 0x110000; c++) {
        text[0] = '"';
        n = encode(c, text + 1);
        text[1 + n] = '"';

        raw += (json_parse(&doc, text, n + 2, &err) == 0)
               != (c >= 0x20 && c != '"' && c != '\\' && c < 0x110000
                   && (c < 0xd800 || c > 0xdfff));

        if (c < 0x10000) {
            len = (size_t) snprintf(text, sizeof(text), "\"\\u%04x\"", c);

        } else {
            len = (size_t) snprintf(text, sizeof(text), "\"\\u%04X\\u%04x\"",
                                    0xd800 + ((c - 0x10000) >> 10),
                                    0xdc00 + (c & 0x3ff));
        }

        if (json_parse(&doc, text, len, &err) != 0) {
            escapes += c != 0 && c < 0x110000 && (c < 0xd800 || c > 0xdfff);
            continue;
        }

        escapes += c == 0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff);

        n = encode(c, utf8);
        len = json_unescape(&doc, 0, out);
        decoded += len != n || memcmp(out, utf8, n) != 0
                   || !json_equals(&doc, 0, utf8, n);
    }

    is(raw, 0, "every code point as UTF-8, surrogates refused");
    is(escapes, 0, "every code point escaped, surrogates refused");
    is(decoded, 0, "every escape decodes to its code point");
}


/* Whether a string may hold these bytes as they are, by the definition. */

static int
is_plain_utf8(const char *s, size_t len)
{
    char      utf8[4];
    size_t    i, n;
    uint32_t  c;

    for ( ; len > 0; s += n, len -= n) {
        c = (uint8_t) s[0];
        n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        c &= n == 1 ? 0x7f : 0x7f >> n;

        if (n > len) {
            return 0;
        }

        for (i = 1; i < n; i++) {
            c = c << 6 | (s[i] & 0x3f);
        }

        if (c < 0x20 || c == '"' || c == '\\' || c > 0x10ffff
            || (c >= 0xd800 && c <= 0xdfff)
            || encode(c, utf8) != n || memcmp(s, utf8, n) != 0)
        {
            return 0;
        }
    }

    return 1;
}


static void
test_utf8(void)
{
    int       wrong;
    char      text[6];
    size_t    valid;
    unsigned  i, rest;

    static const uint8_t  second[] = {
        0x00, 0x1f, 0x20, 0x41, 0x5c, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0,
        0xbf, 0xc0, 0xc2, 0xe0, 0xf0, 0xff
    };

    static const uint8_t  third[] = {
        0x41, 0x7f, 0x80, 0xbf, 0xc0, 0xc2, 0xe1, 0xff
    };

    wrong = 0;
    valid = 0;

    for (i = 0; i < 256 * sizeof(second) * sizeof(third) * sizeof(third);
         i++)
    {
        rest = i;
        text[0] = '"';
        text[1] = (char) (rest % 256);
        rest /= 256;
        text[2] = (char) second[rest % sizeof(second)];
        rest /= sizeof(second);
        text[3] = (char) third[rest % sizeof(third)];
        text[4] = (char) third[rest / sizeof(third)];
        text[5] = '"';

        if (text[1] == '\\') {
            continue;
        }

        valid += (size_t) is_plain_utf8(text + 1, 4);
        wrong += (parse(text, 6, NULL) == NULL)
                 != is_plain_utf8(text + 1, 4);
    }

    is(wrong, 0, "sequences of four bytes are taken if they are UTF-8");
    ok(valid > 1000, "%zu of them are", valid);
}


static void
test_tokens(void)
{
    uint32_t      i;
    const char   *text;
    json_error_t  err;

    static const json_token_t  wanted[] = {
        {  1, 44, 13, JSON_OBJECT, 0 },
        {  3,  4,  2, JSON_STRING, 0 },
        {  6, 19,  8, JSON_ARRAY,  0 },
        {  7,  8,  4, JSON_NUMBER, 0 },
        {  9, 18,  8, JSON_OBJECT, 0 },
        { 11, 12,  6, JSON_STRING, 0 },
        { 14, 17,  8, JSON_ARRAY,  0 },
        { 15, 16,  8, JSON_NUMBER, 0 },
        { 21, 22,  9, JSON_STRING, 0 },
        { 25, 26, 10, JSON_STRING, 0 },
        { 29, 31, 11, JSON_STRING, 1 },
        { 34, 38, 12, JSON_TRUE,   0 }
    };

    text = " {\"a\":[1,{\"b\":[2]}],\"c\":\"x\",\"\\n\": true ,\"\":{} }";

    is(json_parse(&doc, text, strlen(text), &err), 0, "an object of many");
    is(doc.count, 14, "it has 14 tokens");
    ok(doc.text == text, "they point into the text");

    for (i = 1; i < 12; i++) {
        ok(doc.tokens[i].start == wanted[i].start
           && doc.tokens[i].end == wanted[i].end
           && doc.tokens[i].next == wanted[i].next
           && doc.tokens[i].type == wanted[i].type
           && doc.tokens[i].escaped == wanted[i].escaped,
           "token %u: %u %u %u", i, doc.tokens[i].start, doc.tokens[i].end,
           doc.tokens[i].next);
    }

    is(doc.tokens[0].start, 1, "the root begins behind white space");
    is(doc.tokens[0].next, 14, "the root holds all");
    is(doc.tokens[0].end, strlen(text), "the root ends the text");
    is(doc.tokens[12].start, doc.tokens[12].end, "an empty name is a token");
    is(doc.tokens[13].next, 14, "an empty object holds nothing");

    text = "  -1.5e3 ";
    is(json_parse(&doc, text, strlen(text), &err), 0, "a number alone");
    is(doc.count, 1, "is one token");
    is(doc.tokens[0].start, 2, "starts behind the white space");
    is(doc.tokens[0].end, 8, "ends before it");
    is(doc.tokens[0].next, 1, "holds nothing else");
    is(doc.tokens[0].type, JSON_NUMBER, "is a number");
    is(json_parse(&doc, "[", 1, &err), -1, "then a refused one");
    is(doc.count, 0, "leaves no tokens");
}


static void
test_strings(void)
{
    char          out[64];
    size_t        i, len;
    json_error_t  err;

    static const struct {
        const char  *text;
        const char  *decoded;
    } cases[] = {
        { "\"\"", "" },
        { "\"plain\"", "plain" },
        { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t" },
        { "\"a\\u0041b\"", "aAb" },
        { "\"\\u00e9\\u4e2d\\ud83d\\ude00\"",
          "\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80" },
        { "\"\xc3\xa9\\n\xe4\xb8\xad\"", "\xc3\xa9\n\xe4\xb8\xad" },
        { "\"\\\\n\"", "\\n" },
        { "\"\\\\u0041\"", "\\u0041" },
        { "\"x\\n\"", "x\n" },
        { "\"\\nx\"", "\nx" },
        { "\"\\u0001\\u007f\\u0080\\u07FF\\u0800\\uffff\"",
          "\x01\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is(json_parse(&doc, cases[i].text, strlen(cases[i].text), &err), 0,
           cases[i].text);

        len = json_unescape(&doc, 0, out);
        out[len] = '\0';

        is_str(out, cases[i].decoded, "decodes");
        ok(len <= doc.tokens[0].end - doc.tokens[0].start, "is not longer");
        ok(json_equals(&doc, 0, out, len), "equals what it decodes to");
        ok(!json_equals(&doc, 0, out, len + 1), "not one byte more");
        ok(len == 0 || !json_equals(&doc, 0, out, len - 1), "nor one less");

        if (len > 0) {
            out[len - 1] ^= 1;
            ok(!json_equals(&doc, 0, out, len), "nor another last byte");
        }
    }
}


/* RFC 6901, section 5, and what lies around it */
static const struct {
    const char  *pointer;
    const char  *value;    /* NULL: names nothing */
} pointers[] = {
    { "/foo",        "[\"bar\", \"baz\"]" },
    { "/foo/0",      "bar"      },
    { "/foo/1",      "baz"      },
    { "/",           "0"        },
    { "/a~1b",       "1"        },
    { "/c%d",        "2"        },
    { "/e^f",        "3"        },
    { "/g|h",        "4"        },
    { "/i\\j",       "5"        },
    { "/k\"l",       "6"        },
    { "/ ",          "7"        },
    { "/m~0n",       "8"        },
    { "/~01",        "9"        },
    { "/n/0/0/x/",   "null"     },
    { "/n/1",        "true"     },
    { "/0",          "10"       },
    { "/\xc3\xa9",   "11"       },
    { "/foo/2",      NULL       },
    { "/foo/-",      NULL       },
    { "/foo/00",     NULL       },
    { "/foo/01",     NULL       },
    { "/foo/+0",     NULL       },
    { "/foo/-0",     NULL       },
    { "/foo/1e0",    NULL       },
    { "/foo/ 0",     NULL       },
    { "/foo/",       NULL       },
    { "/foo/bar",    NULL       },
    { "/foo/0/0",    NULL       },
    { "/foo/4294967295", NULL   },
    { "/foo/4294967296", NULL   },
    { "/foo/18446744073709551616", NULL },
    { "/n/2",        NULL       },
    { "/n/0/1",      NULL       },
    { "/FOO",        NULL       },
    { "/fo",         NULL       },
    { "/fooo",       NULL       },
    { "/foo~0",      NULL       },
    { "/m~1n",       NULL       },
    { "//",          NULL       },
    { "/nothing/at/all", NULL   }
};


static void
test_pointers(void)
{
    char             value[64];
    size_t           i;
    uint32_t         token;
    const char      *text, *reason;
    json_error_t     err;
    json_pointer_t  *pointer;

    static const char *const  malformed[] = {
        "a", "#/a", "~", "/~", "/~2", "/a~", "/a~/b", "/~~", "0/a", " /a"
    };

    text = "{\"foo\": [\"bar\", \"baz\"], \"\": 0, \"a/b\": 1, \"c%d\": 2,"
           "\"e^f\": 3, \"g|h\": 4, \"i\\\\j\": 5, \"k\\\"l\": 6, \" \": 7,"
           "\"m~n\": 8, \"~1\": 9, \"n\": [[{\"\\u0078\": {\"\": null}}],"
           "true], \"0\": 10, \"\\u00e9\": 11}";

    is(json_parse(&doc, text, strlen(text), &err), 0, "the RFC's document");

    pointer = json_pointer_compile("", 0, &reason);
    ok(pointer != NULL && json_find(&doc, 0, pointer) == 0,
       "the empty pointer names the root");
    is(json_find(&doc, 3, pointer), 3, "or whatever it starts from");
    json_pointer_free(pointer);

    for (i = 0; i < sizeof(pointers) / sizeof(pointers[0]); i++) {
        pointer = json_pointer_compile(pointers[i].pointer,
                                       strlen(pointers[i].pointer), &reason);
        token = json_find(&doc, 0, pointer);
        json_pointer_free(pointer);

        if (token == JSON_NONE) {
            ok(pointers[i].value == NULL, "\"%s\" names nothing",
               pointers[i].pointer);
            continue;
        }

        (void) snprintf(value, sizeof(value), "%.*s",
                        (int) (doc.tokens[token].end
                               - doc.tokens[token].start),
                        text + doc.tokens[token].start);
        is_str(value, pointers[i].value, pointers[i].pointer);
    }

    for (i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        reason = NULL;
        pointer = json_pointer_compile(malformed[i], strlen(malformed[i]),
                                       &reason);
        ok(pointer == NULL && reason != NULL, "\"%s\" is malformed",
           malformed[i]);
        json_pointer_free(pointer);
    }

    *json_pointer_escape(value, "~1/a~", 5) = '\0';
    is_str(value, "~01~1a~0", "a name becomes a reference token");

    ok(json_pointer_compile("/a~0", 3, &reason) == NULL,
       "a pointer's length counts, not what is behind it");
}


static void
test_position(void)
{
    size_t       i;
    unsigned     line, column;
    const char  *text;

    static const struct {
        size_t    offset;
        unsigned  line;
        unsigned  column;
    } cases[] = {
        { 0, 1, 1 }, { 1, 1, 2 }, { 2, 1, 3 }, { 3, 2, 1 }, { 4, 3, 1 },
        { 5, 3, 2 }, { 6, 3, 3 }, { 7, 4, 1 }, { 8, 4, 1 }, { 99, 4, 1 }
    };

    text = "ab\n\nc\r\n";

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_position(text, 7, cases[i].offset, &line, &column);
        ok(line == cases[i].line && column == cases[i].column,
           "offset %zu is line %u, column %u", cases[i].offset, line, column);
    }

    json_position("", 0, 0, &line, &column);
    ok(line == 1 && column == 1, "of no text");
}


static void
test_one_line(void)
{
    char    text[64];
    size_t  i;

    static const struct {
        const char  *given;
        const char  *line;
    } cases[] = {
        { "", "" },
        { "plain {\"a\\b\"}", "plain {\"a\\b\"}" },
        { "a\r\nb\tc\033[31m\177", "a  b?c?[31m?" },
        { "\303\274 \342\202\254 \360\237\230\200",
          "\303\274 \342\202\254 \360\237\230\200" },
        { "\302\233\302\240\303\274\302\205",
          "??\302\240\303\274??" },
        { "\303\274\377a\200", "\303\274?a?" },
        { "cut \342\202", "cut ??" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(text, sizeof(text), "%s", cases[i].given);
        json_one_line(text, strlen(text));
        ok(strcmp(text, cases[i].line) == 0, "line %zu: %s", i, text);
    }
}


int
main(void)
{
    test_bytes();
    test_code_points();
    test_utf8();
    test_tokens();
    test_strings();
    test_pointers();
    test_position();
    test_one_line();

    json_doc_free(&doc);

    return tap_done();
}
