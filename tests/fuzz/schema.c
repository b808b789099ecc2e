/* libFuzzer target of the schema: input is a schema, a NUL and a record. */

#include "fuzz.h"
#include "schema/schema.h"


static json_doc_t  doc;


static void
check_schema(const char *text, size_t len, const char *record, size_t size)
{
    char                *own;
    schema_t            *schema;
    const char          *reason;
    int64_t              steps;
    json_error_t         bad;
    schema_error_t       err;
    json_pointer_t      *pointer;
    schema_violation_t   violation;

    own = copy(text, len, "", "");
    schema = schema_compile(own, len, &err);
    free(own);

    if (schema == NULL) {
        demand(err.line > 0, "an error has its line");
        demand(strnlen(err.reason, SCHEMA_REASON_MAX) < SCHEMA_REASON_MAX,
               "an error's reason ends");
        return;
    }

    own = copy(record, size, "", "");
    steps = SCHEMA_STEPS_MAX;

    if (json_parse(&doc, own, size, &bad) == 0
        && schema_check(schema, &doc, 0, &steps, &violation) != 0)
    {
        len = strnlen(violation.pointer, SCHEMA_POINTER_MAX);
        demand(len < SCHEMA_POINTER_MAX, "a pointer ends");
        demand(strnlen(violation.reason, SCHEMA_REASON_MAX)
               < SCHEMA_REASON_MAX, "a reason ends");

        pointer = json_pointer_compile(violation.pointer, len, &reason);
        demand(pointer != NULL, "a violation's pointer is one");
        demand(json_find(&doc, 0, pointer) != JSON_NONE
               || strstr(violation.pointer, "/...") != NULL,
               "it names a value");
        json_pointer_free(pointer);
    }

    schema_free(schema);
    free(own);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t       len;
    const char  *text, *behind;

    text = (const char *) data;
    behind = size ? memchr(text, '\0', size) : NULL;

    if (behind == NULL) {
        check_schema(text, size, "{}", 2);
        return 0;
    }

    len = (size_t) (behind - text);
    check_schema(text, len, behind + 1, size - len - 1);

    return 0;
}
