/* The schema subset: long pointers, deep schemas, members in any order. */

#include "schema_test.h"


/* {"properties":{NAME:{"properties":{NAME: … false}}}} and its instance. */

static void
build(char *schema, char *text, const char *name, int depth)
{
    int     i;
    size_t  n, m;

    n = m = 0;

    for (i = 0; i < depth; i++) {
        n += (size_t) snprintf(schema + n, 32768 - n,
                               "{\"properties\":{\"%s\":", name);
        m += (size_t) snprintf(text + m, 32768 - m, "{\"%s\":", name);
    }

    n += (size_t) snprintf(schema + n, 32768 - n, "false");
    m += (size_t) snprintf(text + m, 32768 - m, "1");

    for (i = 0; i < depth; i++) {
        n += (size_t) snprintf(schema + n, 32768 - n, "}}");
        m += (size_t) snprintf(text + m, 32768 - m, "}");
    }
}


static void
test_long_pointers(void)
{
    int                  fine, len;
    char                 name[400], wanted[800];
    size_t               n;
    schema_t            *schema;
    schema_error_t       err;
    schema_violation_t   violation;

    static char  text[32768], instance[32768];

    /* one reference token: 255 bytes fit with their slash */
    for (len = 253; len <= 256; len++) {
        memset(name, 'a', sizeof(name));
        name[len] = '\0';
        build(text, instance, name, 1);
        schema = compile(text, &err);

        (void) check(schema, instance, &violation);
        (void) snprintf(wanted, sizeof(wanted), "/%s", name);
        is_str(violation.pointer, len <= 254 ? wanted : "/...",
               "one long name");
        schema_free(schema);
    }

    /* 255 bytes of ~0 are 510 */
    memset(name, '~', 128);
    name[128] = '\0';
    build(text, instance, name, 1);
    schema = compile(text, &err);
    (void) check(schema, instance, &violation);
    is_str(violation.pointer, "/...", "~ counts twice");
    schema_free(schema);

    for (fine = 1, len = 1; len < 120; len++) {
        memset(name, 'b', sizeof(name));
        name[len] = '\0';
        build(text, instance, name, 30);
        schema = compile(text, &err);
        fine &= schema != NULL && check(schema, instance, &violation) == -1;
        n = strlen(violation.pointer);
        fine &= n < SCHEMA_POINTER_MAX;

        if (30 * (len + 1) >= SCHEMA_POINTER_MAX) {
            fine &= strcmp(violation.pointer + n - 4, "/...") == 0
                    && (n - 4) % (size_t) (len + 1) == 0
                    && n + (size_t) len + 1 > SCHEMA_POINTER_MAX - 1;

        } else {
            fine &= n == 30 * (size_t) (len + 1);
        }

        schema_free(schema);
    }

    ok(fine, "a long way is cut at a reference token");

    /* of a name of two-byte characters no half is shown */
    for (n = 0; n < 300; n += 2) {
        memcpy(name + n, "\xc3\xa9", 2);
    }

    name[n] = '\0';
    (void) snprintf(text, sizeof(text), "{\"required\":[\"%s\"]}", name);
    schema = compile(text, &err);
    (void) check(schema, "{}", &violation);
    n = strlen(violation.reason);
    ok(n < SCHEMA_REASON_MAX && strstr(violation.reason, "\xc3\"") == NULL,
       "a long name is cut between characters: %s", violation.reason);
    schema_free(schema);

    (void) snprintf(text, sizeof(text), "{\"%s\":1}", name);
    ok(compile(text, &err) == NULL
       && strlen(err.reason) < SCHEMA_REASON_MAX
       && strstr(err.reason, "\xc3\"") == NULL,
       "so is a long unknown keyword: %s", err.reason);
}


static void
test_depth(void)
{
    schema_t            *schema;
    schema_error_t       err;
    schema_violation_t   violation;

    static char  text[32768], instance[32768];

    build(text, instance, "a", 32);
    schema = compile(text, &err);
    ok(schema != NULL, "a schema 64 deep compiles");
    is(check(schema, instance, &violation), -1, "and is checked to its end");
    is(strlen(violation.pointer), 64, "32 names down");
    schema_free(schema);

    build(text, instance, "a", 33);
    schema = compile(text, &err);
    ok(schema == NULL && strstr(err.reason, "too deeply") != NULL,
       "one 66 deep does not");
    schema_free(schema);
}


/* Many members in any order: each is found. */

static void
test_orders(void)
{
    int                  missed;
    char                 text[512], instance[512];
    size_t               n, m;
    unsigned             i, step;
    schema_t            *schema;
    schema_error_t       err;
    schema_violation_t   violation;

    missed = 0;

    for (step = 1; step < 13; step++) {
        n = m = 0;

        for (i = 0; i < 13; i++) {
            n += (size_t) snprintf(text + n, sizeof(text) - n, "%s\"k%u\"",
                                   i ? "," : "{\"required\":[", i);
            m += (size_t) snprintf(instance + m, sizeof(instance) - m,
                                   "%s\"k%u\":[{}]", i ? "," : "{",
                                   i * step % 13);
        }

        (void) snprintf(text + n, sizeof(text) - n, "]}");
        (void) snprintf(instance + m, sizeof(instance) - m, "}");

        schema = compile(text, &err);
        missed += check(schema, instance, &violation) != 0;
        schema_free(schema);
    }

    is(missed, 0, "required members are found in every order");
}


int
main(void)
{
    test_long_pointers();
    test_depth();
    test_orders();

    json_doc_free(&doc);

    return tap_done();
}
