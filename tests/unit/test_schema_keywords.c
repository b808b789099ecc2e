/* Every keyword of the schema: what fits, what violates it where, what does
   not compile, and that no pattern keeps a worker busy. */

#include <time.h>

#include "schema_test.h"


#define MATCH_MS  250    /* far above what the limits let through */


static const struct {
    const char  *schema;
    const char  *text;
    const char  *keyword;    /* NULL: fits */
    const char  *pointer;
} checks[] = {
    { "{\"additionalProperties\":false,\"properties\":{\"a\":{}}}",
      "{\"a\":1}", NULL, NULL },
    { "{\"additionalProperties\":false,\"properties\":{\"a\":{}}}",
      "{\"a\":1,\"b\":2}", "additionalProperties", "/b" },
    { "{\"properties\":{\"a\":{}},\"additionalProperties\":"
      "{\"type\":\"string\"}}", "{\"a\":1,\"b\":2}", "type", "/b" },
    { "{\"minProperties\":2}", "{\"a\":1}", "minProperties", "" },
    { "{\"maxProperties\":1}", "{\"a\":1,\"b\":2}", "maxProperties", "" },
    { "{\"dependentRequired\":{\"a\":[\"b\",\"c\"]}}", "{\"b\":1}",
      NULL, NULL },
    { "{\"dependentRequired\":{\"a\":[\"b\",\"c\"]}}", "{\"a\":1,\"b\":1}",
      "dependentRequired", "" },

    { "{\"items\":{\"type\":\"integer\"}}", "[1,2.0,\"x\"]", "type", "/2" },
    { "{\"prefixItems\":[{\"type\":\"string\"}],\"items\":false}", "[\"x\"]",
      NULL, NULL },
    { "{\"prefixItems\":[{\"type\":\"string\"}],\"items\":false}",
      "[\"x\",1]", "items", "/1" },
    { "{\"prefixItems\":[{},{\"type\":\"string\"}]}", "[1,2]", "type",
      "/1" },
    { "{\"minItems\":1}", "[]", "minItems", "" },
    { "{\"maxItems\":1}", "[1,2]", "maxItems", "" },
    { "{\"uniqueItems\":true}", "[1,\"1\",true,[1],{\"a\":1}]", NULL, NULL },
    { "{\"uniqueItems\":true}", "[1,2,1.0]", "uniqueItems", "" },
    { "{\"uniqueItems\":true}", "[{\"a\":1,\"b\":[2]},{\"b\":[2e0],"
      "\"\\u0061\":1}]", "uniqueItems", "" },
    { "{\"uniqueItems\":false}", "[1,1]", NULL, NULL },

    { "{\"enum\":[1,\"a\",null,{\"x\":[1]}]}", "{\"x\":[1.0]}", NULL, NULL },
    { "{\"enum\":[1,\"a\"]}", "\"A\"", "enum", "" },
    { "{\"const\":9007199254740993}", "9007199254740993.0", NULL, NULL },
    { "{\"const\":9007199254740993}", "9007199254740992", "const", "" },

    { "{\"maxLength\":2}", "\"\xf0\x9f\x98\x80\xc3\xa9\"", NULL, NULL },
    { "{\"maxLength\":2}", "\"abc\"", "maxLength", "" },
    { "{\"pattern\":\"b.d\"}", "\"abcde\"", NULL, NULL },
    { "{\"pattern\":\"^b\"}", "\"abc\"", "pattern", "" },
    { "{\"pattern\":\"^\\\\u00e9.$\"}", "\"\xc3\xa9\xf0\x9f\x98\x80\"", NULL,
      NULL },
    { "{\"properties\":{\"a\":{\"pattern\":\"^(a+)+$\"}}}",
      "{\"a\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"}", "pattern",
      "/a" },

    { "{\"format\":\"date\"}", "\"2024-02-29\"", NULL, NULL },
    { "{\"format\":\"date\"}", "\"2023-02-29\"", "format", "" },
    { "{\"format\":\"date-time\"}", "\"2024-02-29T12:00:00.5+02:00\"", NULL,
      NULL },
    { "{\"format\":\"date-time\"}", "\"2024-02-29 12:00\"", "format", "" },
    { "{\"format\":\"uuid\"}", "\"123e4567-e89b-12d3-a456-426614174000\"",
      NULL, NULL },
    { "{\"format\":\"uuid\"}", "\"123e4567e89b12d3a456426614174000\"",
      "format", "" },
    { "{\"format\":\"email\"}", "\"a.b@example.org\"", NULL, NULL },
    { "{\"format\":\"email\"}", "\"example.org\"", "format", "" },
    { "{\"format\":\"uri\"}", "\"https://example.org/a?b#c\"", NULL, NULL },
    { "{\"format\":\"uri\"}", "\"/a\"", "format", "" },
    { "{\"format\":\"date\"}", "7", NULL, NULL },

    { "{\"minimum\":1.5}", "1.50", NULL, NULL },
    { "{\"minimum\":1.5}", "1.4999999999999999999999999", "minimum", "" },
    { "{\"maximum\":9007199254740992}", "9007199254740993", "maximum", "" },
    { "{\"exclusiveMinimum\":0}", "0.0", "exclusiveMinimum", "" },
    { "{\"exclusiveMinimum\":0}", "1e-15000", NULL, NULL },
    { "{\"exclusiveMaximum\":1e3}", "1000", "exclusiveMaximum", "" },
    { "{\"multipleOf\":0.01}", "19.99", NULL, NULL },
    { "{\"multipleOf\":0.01}", "19.999", "multipleOf", "" },

    { "{\"$defs\":{\"n\":{\"type\":\"object\",\"properties\":{\"next\":"
      "{\"$ref\":\"#/$defs/n\"}}}},\"$ref\":\"#/$defs/n\"}",
      "{\"next\":{\"next\":{\"next\":{}}}}", NULL, NULL },
    { "{\"$defs\":{\"n\":{\"type\":\"object\",\"properties\":{\"next\":"
      "{\"$ref\":\"#/$defs/n\"}}}},\"$ref\":\"#/$defs/n\"}",
      "{\"next\":{\"next\":1}}", "type", "/next/next" },

    { "{\"allOf\":[{\"minimum\":1},{\"maximum\":2}]}", "3", "maximum", "" },
    { "{\"anyOf\":[{\"type\":\"null\"},{\"minimum\":1}]}", "1", NULL, NULL },
    { "{\"anyOf\":[{\"type\":\"null\"},{\"minimum\":1}]}", "0", "anyOf",
      "" },
    { "{\"oneOf\":[{\"minimum\":1},{\"maximum\":2}]}", "3", NULL, NULL },
    { "{\"oneOf\":[{\"minimum\":1},{\"maximum\":2}]}", "1.5", "oneOf", "" },
    { "{\"oneOf\":[{\"minimum\":2},{\"maximum\":1}]}", "1.5", "oneOf", "" },
    { "{\"not\":{\"type\":\"string\"}}", "\"x\"", "not", "" },
    { "{\"if\":{\"required\":[\"a\"]},\"then\":{\"required\":[\"b\"]},"
      "\"else\":{\"required\":[\"c\"]}}", "{\"a\":1}", "required", "" },
    { "{\"if\":{\"required\":[\"a\"]},\"then\":{\"required\":[\"b\"]},"
      "\"else\":{\"required\":[\"c\"]}}", "{\"c\":1}", NULL, NULL },
    { "{\"if\":{\"required\":[\"a\"]},\"then\":{\"required\":[\"b\"]},"
      "\"else\":{\"required\":[\"c\"]}}", "{\"b\":1}", "required", "" }
};


static const struct {
    const char  *text;
    const char  *reason;    /* a part of it */
} refused[] = {
    { "{\"items\":[{}]}",               "must be an object or a boolean" },
    { "{\"prefixItems\":{}}",           "/prefixItems" },
    { "{\"prefixItems\":[]}",           "/prefixItems" },
    { "{\"allOf\":[]}",                 "/allOf" },
    { "{\"anyOf\":{}}",                 "/anyOf" },
    { "{\"enum\":1}",                   "/enum" },
    { "{\"uniqueItems\":1}",            "/uniqueItems" },
    { "{\"pattern\":\"(\"}",            "/pattern" },
    { "{\"pattern\":1}",                "must be a string" },
    { "{\"format\":\"hostname\"}",      "/format" },
    { "{\"minimum\":\"1\"}",            "/minimum" },
    { "{\"multipleOf\":0}",             "/multipleOf" },
    { "{\"multipleOf\":-1}",            "/multipleOf" },
    { "{\"dependentRequired\":{\"a\":1}}", "/dependentRequired/a" },
    { "{\"$defs\":[]}",                 "/$defs" },
    { "{\"$ref\":\"other.json\"}",      "/$ref" },
    { "{\"$ref\":\"#/$defs/none\"}",    "/$ref" },
    { "{\"$ref\":\"#\"}",               "without end" },
    { "{\"$defs\":{\"a\":{\"$ref\":\"#/$defs/b\"},"
      "\"b\":{\"allOf\":[{\"$ref\":\"#/$defs/a\"}]}},"
      "\"$ref\":\"#/$defs/a\"}",        "without end" },
    { "{\"$schema\":\"http://json-schema.org/draft-07/schema#\"}",
      "/$schema" }
};


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

        if (!ok(schema != NULL, "checks[%zu] compiles", i)) {
            printf("# %s\n", err.reason);
            continue;
        }

        rc = check(schema, checks[i].text, &violation);

        if (checks[i].keyword == NULL) {
            ok(rc == 0, "checks[%zu] fits", i);

        } else if (ok(rc == -1, "checks[%zu] violates", i)) {
            is_str(violation.keyword, checks[i].keyword, "keyword");
            is_str(violation.pointer, checks[i].pointer, "pointer");
        }

        schema_free(schema);
    }
}


static void
test_refused(void)
{
    size_t           i;
    schema_t        *schema;
    schema_error_t   err;

    for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        schema = compile(refused[i].text, &err);

        if (!ok(schema == NULL
                && strstr(err.reason, refused[i].reason) != NULL,
                "refuses[%zu]: %s", i, refused[i].reason))
        {
            printf("# got %s\n", schema == NULL ? err.reason : "a schema");
        }

        schema_free(schema);
    }
}


/* Patterns that backtrack for ever, on strings that make them. */

static void
test_backtracking(void)
{
    long                 ms;
    char                 schema_text[128], text[4096];
    size_t               i;
    schema_t            *schema;
    schema_error_t       err;
    struct timespec      begin, end;
    schema_violation_t   violation;

    static const char *const  patterns[] = {
        "^(a+)+$", "(a|aa)+$", "^(a|a?)+$", "(.*)*x", "(x+x+)+y",
        "^((a+)+)+$", "(a*)*b", "([a-z]+)*\\\\d"
    };

    memset(text, 'a', sizeof(text));
    text[0] = '"';
    memcpy(text + sizeof(text) - 3, "!\"", 3);

    for (i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        (void) snprintf(schema_text, sizeof(schema_text),
                        "{\"pattern\":\"%s\"}", patterns[i]);
        schema = compile(schema_text, &err);

        (void) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
        is(check(schema, text, &violation), -1, "a violation");
        (void) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);

        ms = (end.tv_sec - begin.tv_sec) * 1000
             + (end.tv_nsec - begin.tv_nsec) / 1000000;
        ok(ms < MATCH_MS, "%s ends: %ld ms", patterns[i], ms);
        is_str(violation.keyword, "pattern", "keyword");
        schema_free(schema);
    }
}


int
main(void)
{
    test_checks();
    test_refused();
    test_backtracking();

    json_doc_free(&doc);

    return tap_done();
}
