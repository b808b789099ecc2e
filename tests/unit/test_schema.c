/* The schema subset: what compiles, what is refused where, what violates it. */

#include "schema_test.h"


static const char *const  compiles[] = {
    "true", "false", "{}", " {\n} ",
    "{\"type\":\"object\"}",
    "{\"type\":[\"null\"]}",
    "{\"type\":[\"null\",\"boolean\",\"integer\",\"number\",\"string\","
        "\"array\",\"object\"]}",
    "{\"required\":[]}", "{\"required\":[\"\"]}",
    "{\"required\":[\"a\",\"A\",\"b\"]}",
    "{\"properties\":{}}", "{\"properties\":{\"a\":true,\"b\":false}}",
    "{\"properties\":{\"type\":{},\"required\":{},\"pattern\":{}}}",
    "{\"properties\":{\"a\":{\"properties\":{\"b\":{\"type\":\"null\"}}}}}",
    "{\"minLength\":0}", "{\"minLength\":1.0}", "{\"minLength\":1e2}",
    "{\"minLength\":10e-1}", "{\"minLength\":-0}", "{\"minLength\":1e300}",
    "{\"minLength\":1e15000}",
    "{\"title\":\"t\",\"description\":\"d\",\"default\":[{\"x\":1}],"
        "\"examples\":[1],\"deprecated\":true,\"$comment\":\"c\","
        "\"$schema\":\"https://json-schema.org/draft/2020-12/schema\","
        "\"$id\":\"https://example.com/a\"}",
    "{\"default\":{\"pattern\":1,\"type\":7}}",
    "{\"ty\\u0070e\":\"str\\u0069ng\"}"
};


static const struct {
    const char  *text;
    unsigned     line;
    const char  *reason;    /* a part of it */
} refused[] = {
    { "",                             1, "not JSON: empty text" },
    { "\n\n{",                        3, "unexpected end" },
    { "{\n\"type\":\n\"object\",}",   3, "unexpected character" },
    { "{\"type\":\"object\"}\n\n x",  3, "bytes behind the value" },
    { "{\"type\":1,\n\"type\":2}",    2, "duplicate member" },
    { "\xef\xbb\xbf{}",               1, "byte order mark" },
    { "{\"title\":\"\\u0000\"}",      1, "NUL in a string" },
    { "{\"default\":01}",             1, "leading zero" },

    { "1",                            1, "must be an object or a boolean" },
    { "\n\nnull",                     3, "must be an object or a boolean" },
    { "\"object\"",                   1, "must be an object or a boolean" },
    { "[]",                           1, "must be an object or a boolean" },
    { "{\"properties\":{\n\"a\":\n\"string\"}}", 3,
        "\"/properties/a\": a schema must be" },
    { "{\"properties\":{\n\"a\":{},\n\"b\":[]}}", 3, "\"/properties/b\"" },

    { "{\n\"contains\":\n{}}",      2, "\"contains\" is not known" },
    { "{\"Type\":\"object\"}",        1, "\"Type\" is not known" },
    { "{\"typ\":\"object\"}",         1, "\"typ\" is not known" },
    { "{\"types\":\"object\"}",       1, "\"types\" is not known" },
    { "{\"\":1}",                     1, "\"\" is not known" },
    { "{\"patternProperties\":{}}",   1, "\"patternProperties\" is not" },
    { "{\"unevaluatedItems\":{}}",    1, "\"unevaluatedItems\" is not" },
    { "{\"$anchor\":\"a\"}",          1, "\"$anchor\" is not known" },
    { "{\"$dynamicRef\":\"#\"}",      1, "\"$dynamicRef\" is not known" },
    { "{\"definitions\":{}}",         1, "\"definitions\" is not known" },
    { "{\"minlength\":1}",            1, "\"minlength\" is not known" },
    { "{\"properties\":{\"a~/\":\n{\n\"format\":\"x\"}}}", 3,
        "\"/properties/a~0~1/format\"" },
    { "{\"pat\\ntern\":1}",           1, "\"pat?tern\" is not known" },

    { "{\"type\":\"str\"}",           1, "\"/type\": type must be" },
    { "{\"type\":\"String\"}",        1, "type must be null, boolean" },
    { "{\"type\":\"any\"}",           1, "type must be null, boolean" },
    { "{\"type\":\"\"}",              1, "type must be null, boolean" },
    { "{\"type\":null}",              1, "a name or an array of names" },
    { "{\"type\":1}",                 1, "a name or an array of names" },
    { "{\"type\":{}}",                1, "a name or an array of names" },
    { "{\"type\":[]}",                1, "a name or an array of names" },
    { "{\"type\":[\"null\",\n1]}",    2, "\"/type/1\": type must be" },
    { "{\"type\":[\"null\",\n1,\n2,\n3]}", 2, "\"/type/1\"" },
    { "{\"type\":[\n1,\n2,\n3]}",     2, "\"/type/0\"" },
    { "{\"type\":[[\"null\"]]}",      1, "\"/type/0\": type must be" },
    { "{\"type\":[\"null\",\n\"nil\"]}", 2, "\"/type/1\": type must be" },
    { "{\"type\":[\"null\",\n\"null\"]}", 2, "\"/type/1\": the type is named"
        " twice" },

    { "{\"required\":true}",          1, "required must be an array" },
    { "{\"required\":\"a\"}",         1, "required must be an array" },
    { "{\"required\":{\"a\":1}}",     1, "required must be an array" },
    { "{\"required\":[1]}",           1, "\"/required/0\": a member name" },
    { "{\"required\":[\"a\",\nnull]}", 2, "\"/required/1\": a member name" },
    { "{\"required\":[\n1,\n2,\n3]}", 2, "\"/required/0\"" },
    { "{\"required\":[\"a\",\n1,\n2,\n3]}", 2, "\"/required/1\"" },
    { "{\"required\":[\"a\",\"b\",\n\"a\"]}", 2, "\"/required/2\": the member"
        " is named twice" },
    { "{\"required\":[\"a\",\"\\u0061\"]}", 1, "named twice" },

    { "{\"properties\":[]}",          1, "properties must be an object" },
    { "{\"properties\":true}",        1, "properties must be an object" },
    { "{\"properties\":null}",        1, "properties must be an object" },
    { "{\"properties\":{\"a\":null}}", 1, "\"/properties/a\"" },

    { "{\"minLength\":-1}",           1, "minLength must be a non-negative" },
    { "{\"minLength\":1.5}",          1, "minLength must be a non-negative" },
    { "{\"minLength\":15e-1}",        1, "minLength must be a non-negative" },
    { "{\"minLength\":1e-400}",       1, "minLength must be a non-negative" },
    { "{\"minLength\":9007199254740992.5}", 1, "minLength must be a" },
    { "{\"minLength\":\"1\"}",        1, "minLength must be a non-negative" },
    { "{\"minLength\":true}",         1, "minLength must be a non-negative" },
    { "{\"minLength\":null}",         1, "minLength must be a non-negative" },
    { "{\"minLength\":[1]}",          1, "minLength must be a non-negative" }
};


#define POST                                                                  \
    "{\"type\":\"object\",\"required\":[\"title\",\"content\"],"              \
    "\"properties\":{\"title\":{\"type\":\"string\",\"minLength\":1},"        \
    "\"content\":{\"type\":\"string\",\"minLength\":3},"                      \
    "\"n\":{\"type\":[\"integer\",\"null\"]},"                                \
    "\"o\":{\"required\":[\"x\"],\"properties\":{\"x~/y\":{"                  \
    "\"type\":\"boolean\"},\"no\":false}}}}"


static const struct {
    const char  *schema;
    const char  *text;
    const char  *keyword;    /* NULL: fits */
    const char  *pointer;
    const char  *reason;     /* whole; NULL: not looked at */
} checks[] = {
    { "true",  "null",   NULL, NULL, NULL },
    { "{}",    "[1]",    NULL, NULL, NULL },
    { "false", "null",   "false", "", "no value is allowed here" },
    { "{\"default\":1,\"title\":\"x\"}", "\"a\"", NULL, NULL, NULL },

    { POST, "{\"title\":\"a\",\"content\":\"abc\"}", NULL, NULL, NULL },
    { POST, "{\"content\":\"abc\",\"title\":\"a\"}", NULL, NULL, NULL },
    { POST, "{\"x\":1,\"content\":\"abc\",\"y\":2,\"title\":\"a\",\"z\":3}",
      NULL, NULL, NULL },
    { POST, "{\"t\\u0069tle\":\"a\",\"\\u0063ontent\":\"abc\"}",
      NULL, NULL, NULL },
    { POST, "{\"t\\u0069tle\":\"\",\"content\":\"abc\"}",
      "minLength", "/title", "has 0 characters, at least 1 needed" },
    { POST, "{}", "required", "", "member \"title\" is missing" },
    { POST, "{\"title\":\"a\"}", "required", "",
      "member \"content\" is missing" },
    { POST, "{\"Title\":\"a\",\"content\":\"abc\"}", "required", "",
      "member \"title\" is missing" },
    { POST, "{\"content\":{\"title\":\"a\"}}", "required", "",
      "member \"title\" is missing" },
    { POST, "[]", "type", "", "is array, must be object" },
    { POST, "null", "type", "", "is null, must be object" },
    { POST, "{\"title\":null,\"content\":\"abc\"}", "type", "/title",
      "is null, must be string" },
    { POST, "{\"title\":\"\",\"content\":1}", "minLength", "/title", NULL },
    { POST, "{\"content\":1,\"title\":\"\"}", "minLength", "/title", NULL },
    { POST, "{\"title\":\"a\",\"content\":\"ab\"}", "minLength", "/content",
      "has 2 characters, at least 3 needed" },
    { POST, "{\"title\":\"a\",\"content\":\"a\"}", "minLength", "/content",
      "has 1 character, at least 3 needed" },
    { POST, "{\"title\":\"a\",\"content\":\"abc\",\"n\":null}",
      NULL, NULL, NULL },
    { POST, "{\"title\":\"a\",\"content\":\"abc\",\"n\":7}",
      NULL, NULL, NULL },
    { POST, "{\"title\":\"a\",\"content\":\"abc\",\"n\":7.5}", "type", "/n",
      "is number with a fraction, must be null or integer" },
    { POST, "{\"title\":\"a\",\"content\":\"abc\",\"n\":\"7\"}", "type",
      "/n", "is string, must be null or integer" },
    { POST, "{\"title\":\"a\",\"content\":\"abc\",\"o\":1}",
      NULL, NULL, NULL },
    { POST, "{\"title\":\"a\",\"content\":\"abc\",\"o\":{}}", "required",
      "/o", "member \"x\" is missing" },
    { POST, "{\"title\":\"a\",\"content\":\"abc\",\"o\":{\"x\":1,"
      "\"x~/y\":0}}", "type", "/o/x~0~1y", "is number, must be boolean" },
    { POST, "{\"title\":\"a\",\"content\":\"abc\",\"o\":{\"x\":1,\"no\":0}}",
      "false", "/o/no", NULL },

    /* the order is the schema's */
    { "{\"required\":[\"a\"],\"type\":\"array\"}", "{}", "required", "",
      NULL },
    { "{\"type\":\"array\",\"required\":[\"a\"]}", "{}", "type", "", NULL },
    { "{\"properties\":{\"b\":false,\"a\":false}}", "{\"a\":1,\"b\":1}",
      "false", "/b", NULL },
    { "{\"properties\":{\"a\":false},\"required\":[\"z\"]}", "{\"a\":1}",
      "false", "/a", NULL },

    /* keywords bind their own type only */
    { "{\"minLength\":5}", "1", NULL, NULL, NULL },
    { "{\"minLength\":5}", "[]", NULL, NULL, NULL },
    { "{\"required\":[\"a\"]}", "[\"a\"]", NULL, NULL, NULL },
    { "{\"required\":[\"a\"]}", "\"a\"", NULL, NULL, NULL },
    { "{\"properties\":{\"0\":false}}", "[1]", NULL, NULL, NULL },
    { "{\"required\":[\"\"]}", "{\"\":null}", NULL, NULL, NULL },
    { "{\"required\":[\"\"]}", "{\"a\":\"\"}", "required", "",
      "member \"\" is missing" },
    { "{\"properties\":{\"\":{\"properties\":{\"\":false}}}}",
      "{\"\":{\"\":1}}", "false", "//", NULL },
    { "{\"required\":[\"a\",\"c\"]}",
      "{\"a\":1,\"x\":\"c\",\"y\":2,\"z\":\"c\"}", "required", "",
      "member \"c\" is missing" },
    { "{\"required\":[\"\\u00e9\"]}", "{\"\xc3\xa9\":1}", NULL, NULL, NULL },
    { "{\"required\":[\"\xc3\xa9\"]}", "{\"\\u00E9\":1}", NULL, NULL, NULL },
    { "{\"required\":[\"a\\tb\"]}", "{}", "required", "",
      "member \"a?b\" is missing" },

    /* code points, not bytes, not UTF-16 units */
    { "{\"minLength\":3}", "\"\xc3\xa9\xc3\xa9\"", "minLength", "",
      "has 2 characters, at least 3 needed" },
    { "{\"minLength\":2}", "\"\xc3\xa9\xc3\xa9\"", NULL, NULL, NULL },
    { "{\"minLength\":2}", "\"\xf0\x9f\x98\x80\"", "minLength", "", NULL },
    { "{\"minLength\":1}", "\"\xf0\x9f\x98\x80\"", NULL, NULL, NULL },
    { "{\"minLength\":2}", "\"\\ud83d\\ude00\"", "minLength", "", NULL },
    { "{\"minLength\":1}", "\"\\uD83D\\uDE00\"", NULL, NULL, NULL },
    { "{\"minLength\":3}", "\"\\uDBFF\\uDFFF\\uD7FF\\ud800\\udc00\"", NULL,
      NULL, NULL },
    { "{\"minLength\":4}", "\"\\uDBFF\\uDFFF\\uD7FF\\ud800\\udc00\"",
      "minLength", "", NULL },
    { "{\"minLength\":4}", "\"\\n\\\\\\u0041x\"", NULL, NULL, NULL },
    { "{\"minLength\":5}", "\"\\n\\\\\\u0041x\"", "minLength", "", NULL },
    { "{\"minLength\":3}", "\"e\\u0301\"", "minLength", "", NULL },
    { "{\"minLength\":3}", "\"\\ud7ff\\u0841a\"", NULL, NULL, NULL },
    { "{\"minLength\":4}", "\"\\ud7ff\\u0841a\"", "minLength", "", NULL },
    { "{\"minLength\":0}", "\"\"", NULL, NULL, NULL },
    { "{\"minLength\":1}", "\"\"", "minLength", "", NULL },
    { "{\"minLength\":1e15000}", "\"aaaaaaaaaaaa\"", "minLength", "", NULL },
    { "{\"minLength\":1e1}", "\"aaaaaaaaa\"", "minLength", "", NULL },
    { "{\"minLength\":1e1}", "\"aaaaaaaaaa\"", NULL, NULL, NULL }
};


/* By type name: what each value is. */

static const struct {
    const char  *text;
    const char  *types;
} kinds[] = {
    { "null",        "null"           },
    { "true",        "boolean"        },
    { "false",       "boolean"        },
    { "\"\"",        "string"         },
    { "\"1\"",       "string"         },
    { "[]",          "array"          },
    { "[1]",         "array"          },
    { "{}",          "object"         },
    { "0",           "integer number" },
    { "-0",          "integer number" },
    { "0.0",         "integer number" },
    { "-0.000",      "integer number" },
    { "0e-5",        "integer number" },
    { "0.0e-15000",  "integer number" },
    { "1",           "integer number" },
    { "-7",          "integer number" },
    { "1.0",         "integer number" },
    { "1.000",       "integer number" },
    { "1e2",         "integer number" },
    { "1E+2",        "integer number" },
    { "1.5e1",       "integer number" },
    { "1.50e1",      "integer number" },
    { "10e-1",       "integer number" },
    { "100e-2",      "integer number" },
    { "1200e-2",     "integer number" },
    { "120.0e-1",    "integer number" },
    { "0.1e1",       "integer number" },
    { "0.001e3",     "integer number" },
    { "0.0010e3",    "integer number" },
    { "1e15000",     "integer number" },
    { "1.23456e5",   "integer number" },
    { "9007199254740993",   "integer number" },
    { "9007199254740993.0", "integer number" },
    { "123456789012345678901234567890", "integer number" },
    { "1.5",         "number"         },
    { "0.1",         "number"         },
    { "-0.5",        "number"         },
    { "1e-1",        "number"         },
    { "10e-2",       "number"         },
    { "101e-1",      "number"         },
    { "1.55e1",      "number"         },
    { "0.001e2",     "number"         },
    { "1e-15000",    "number"         },
    { "1.23456e4",   "number"         },
    { "9007199254740993.5", "number"  },
    { "1.0000000000000000000000000000001", "number" },
    { "0.99999999999999999999999999999999", "number" }
};


static void
test_compile(void)
{
    size_t           i;
    schema_t        *schema;
    schema_error_t   err;

    for (i = 0; i < sizeof(compiles) / sizeof(compiles[0]); i++) {
        schema = compile(compiles[i], &err);
        ok(schema != NULL, "compiles[%zu]", i);
        schema_free(schema);
    }

    for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        schema = compile(refused[i].text, &err);

        if (!ok(schema == NULL && err.line == refused[i].line
                && memchr(err.reason, '\0', sizeof(err.reason)) != NULL
                && strstr(err.reason, refused[i].reason) != NULL,
                "refuses[%zu]: line %u, %s", i, refused[i].line,
                refused[i].reason))
        {
            printf("# got line %u: %s\n", err.line,
                   schema == NULL ? err.reason : "a schema");
        }

        schema_free(schema);
    }

    schema_free(NULL);
}


static void
test_checks(void)
{
    int                  rc;
    size_t               i;
    schema_t            *schema;
    schema_error_t       err;
    schema_violation_t   violation;

    for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        schema = compile(checks[i].schema, &err);
        rc = check(schema, checks[i].text, &violation);

        if (checks[i].keyword == NULL) {
            ok(rc == 0, "checks[%zu] fits", i);
            schema_free(schema);
            continue;
        }

        if (ok(rc == -1, "checks[%zu] violates", i)) {
            is_str(violation.keyword, checks[i].keyword, "keyword");
            is_str(violation.pointer, checks[i].pointer, "pointer");

            if (checks[i].reason != NULL) {
                is_str(violation.reason, checks[i].reason, "reason");
            }
        }

        schema_free(schema);
    }
}


static void
test_kinds(void)
{
    int                  rc;
    char                 text[64];
    size_t               i, k;
    schema_t            *schema;
    schema_error_t       err;
    schema_violation_t   violation;

    static const char *const  names[] = {
        "null", "boolean", "integer", "number", "string", "array", "object"
    };

    for (k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
        (void) snprintf(text, sizeof(text), "{\"type\":\"%s\"}", names[k]);
        schema = compile(text, &err);

        for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
            rc = check(schema, kinds[i].text, &violation);
            ok((rc == 0) == (strstr(kinds[i].types, names[k]) != NULL),
               "%s as %s", kinds[i].text, names[k]);
        }

        schema_free(schema);
    }
}


/* Checks have a budget, which one after the other takes from. */

static void
test_steps(void)
{
    int                  rc;
    unsigned             n;
    int64_t              steps, before;
    schema_t            *schema;
    json_error_t         bad;
    schema_error_t       err;
    schema_violation_t   violation;

    static char  many[400001];

    schema = compile("{\"pattern\":\"^([a-z0-9]+[._-]?)+@x[.]com$\"}", &err);
    (void) json_parse(&doc, "\"aaaaaaaaaaaaaaaaaaaaaaaa@m\"", 28, &bad);

    steps = 1000000;
    n = 0;

    do {
        before = steps;
        rc = schema_check(schema, &doc, 0, &steps, &violation);
        n++;
    } while (rc == -1 && steps > 0 && n < 100);

    ok(n > 1 && n < 10, "a budget for %u patterns that backtrack", n);
    ok(steps <= 0 && before - steps < 500000, "it is not exceeded by much");
    is_str(violation.keyword, "pattern", "the keyword at which it was spent");
    is(schema_check(schema, &doc, 0, &steps, &violation), -1,
       "without steps nothing fits");

    schema_free(schema);

    schema = compile("{\"uniqueItems\":true}", &err);
    memset(many, ',', sizeof(many));

    for (n = 0; n < 200000; n++) {
        many[2 * n + 1] = '1';
    }

    many[0] = '[';
    many[400000] = ']';
    (void) json_parse(&doc, many, sizeof(many), &bad);

    steps = INT64_MAX;
    is(schema_check(schema, &doc, 0, &steps, &violation), -1,
       "one check has a bound of its own");
    is_str(violation.reason, "too costly to check", "and says so");
    ok(steps > 0, "others may follow");

    schema_free(schema);
}


/* A value below others: the root is any token. */

static void
test_root(void)
{
    int64_t              steps;
    schema_t            *schema;
    json_error_t         bad;
    schema_error_t       err;
    schema_violation_t   violation;

    schema = compile("{\"type\":\"object\",\"required\":[\"b\"]}", &err);

    (void) json_parse(&doc, "[{\"b\":1},{\"a\":1},{\"b\":1}]", 25, &bad);

    steps = SCHEMA_STEPS_MAX;
    is(schema_check(schema, &doc, 1, &steps, &violation), 0, "the first fits");
    is(schema_check(schema, &doc, 4, &steps, &violation), -1,
       "the second does not");
    is_str(violation.pointer, "", "the pointer is from the root given");
    is(schema_check(schema, &doc, 7, &steps, &violation), 0, "the third fits");

    schema_free(schema);
}


int
main(void)
{
    test_compile();
    test_checks();
    test_kinds();
    test_root();
    test_steps();

    json_doc_free(&doc);

    return tap_done();
}
