/* JSON and schema: a warm document allocates nothing, no allocation may fail
   without being said, and none is lost. */

#include <stdlib.h>

#include "schema/schema.h"
#include "tap.h"


#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED  1
#endif
#endif

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED  1
#endif


#ifndef SANITIZED

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);


static unsigned long  calls;
static unsigned long  fail_at;    /* the call that fails; 0: none */


static int
fails(void)
{
    return ++calls == fail_at;
}


void *
malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}


void *
calloc(size_t n, size_t size)
{
    return fails() ? NULL : __libc_calloc(n, size);
}


void *
realloc(void *p, size_t size)
{
    return fails() ? NULL : __libc_realloc(p, size);
}


static const char  schema_text[] =
    "{\"type\":[\"object\",\"null\"],\"required\":[\"a\",\"b\"],"
    "\"properties\":{\"a\":{\"minLength\":2,\"pattern\":\"^[a-z]+$\"},"
    "\"b\":{\"properties\":{\"c\":false}},\"d\":{\"uniqueItems\":true,"
    "\"items\":{\"enum\":[1,\"\\u0041\"]}},\"e\":{\"$ref\":\"#\"}}}";


/* An object that needs tokens, a table of names and a decoded name. */

static size_t
build(char *text, size_t size)
{
    size_t    len;
    unsigned  i;

    len = 0;

    for (i = 0; i < 300; i++) {
        len += (size_t) snprintf(text + len, size - len,
                                 "%s\"\\u0061%u\":{\"b\":[1,true]}",
                                 i ? "," : "{", i);
    }

    len += (size_t) snprintf(text + len, size - len, "}");

    return len;
}


static void
test_warm(void)
{
    int                  rc;
    size_t               len;
    unsigned             i;
    int64_t              steps;
    schema_t            *schema;
    json_doc_t           doc;
    json_error_t         err;
    schema_error_t       wrong;
    schema_violation_t   violation;

    static char  text[32768];

    memset(&doc, 0, sizeof(doc));
    len = build(text, sizeof(text));
    rc = json_parse(&doc, text, len, &err);
    schema = schema_compile(schema_text, sizeof(schema_text) - 1, &wrong);
    steps = INT64_MAX;
    rc |= json_parse(&doc, "{\"a\":\"xy\",\"b\":{},\"d\":[1,\"A\"]}", 29, &err);
    rc |= schema_check(schema, &doc, 0, &steps, &violation) != 0;

    calls = 0;

    for (i = 0; i < 1000; i++) {
        rc |= json_parse(&doc, text, len, &err);
        rc |= schema_check(schema, &doc, 0, &steps, &violation) != -1;
        rc |= json_parse(&doc, "{\"a\":\"xy\",\"b\":{},\"d\":[1,\"A\"]}", 29,
                         &err);
        rc |= schema_check(schema, &doc, 0, &steps, &violation) != 0;
        rc |= json_parse(&doc, "{\"a\":1,\"\\u0061\":2}", 18, &err) != -1;
    }

    ok(rc == 0 && calls == 0, "a warm document: %lu allocations", calls);

    schema_free(schema);
    json_doc_free(&doc);
}


static void
test_failing(void)
{
    int              rc, wrong;
    size_t           len;
    unsigned long    at;
    schema_t        *schema;
    const char      *reason;
    json_doc_t       doc;
    json_error_t     err;
    schema_error_t   bad;
    json_pointer_t  *pointer;

    static char  text[32768];

    memset(&doc, 0, sizeof(doc));
    len = build(text, sizeof(text));

    for (wrong = 0, rc = -1, at = 1; rc != 0 && at < 1000; at++) {
        calls = 0;
        fail_at = at;
        rc = json_parse(&doc, text, len, &err);
        fail_at = 0;

        wrong += rc != 0 && err.reason != json_no_memory;
        wrong += rc != 0 && doc.count != 0;
        wrong += json_parse(&doc, "[1]", 3, &err) != 0;
        json_doc_free(&doc);
    }

    ok(wrong == 0 && at > 8, "a text refused for want of memory: %lu ways",
       at - 2);

    for (wrong = 0, schema = NULL, at = 1; schema == NULL && at < 1000; at++) {
        calls = 0;
        fail_at = at;
        schema = schema_compile(schema_text, sizeof(schema_text) - 1, &bad);
        fail_at = 0;

        wrong += schema == NULL && strstr(bad.reason, "out of memory") == NULL;
    }

    ok(schema != NULL && wrong == 0 && at > 10, "so is a schema: %lu ways",
       at - 2);
    schema_free(schema);

    calls = 0;
    fail_at = 1;
    pointer = json_pointer_compile("/a", 2, &reason);
    fail_at = 0;
    ok(pointer == NULL && reason == json_no_memory, "so is a pointer");
}

#endif


int
main(void)
{
#ifndef SANITIZED
    test_warm();
    test_failing();
#else
    ok(1, "allocations are not counted here # SKIP a sanitizer owns malloc");
#endif

    return tap_done();
}
