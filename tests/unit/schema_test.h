/* Shared by the tests of the schema: compiling and checking texts. */

#ifndef SLUICE_SCHEMA_TEST_H
#define SLUICE_SCHEMA_TEST_H


#include <stdlib.h>

#include "schema/schema.h"
#include "tap.h"


static json_doc_t  doc;


static inline schema_t *
compile(const char *text, schema_error_t *err)
{
    char      *copy;
    size_t     len;
    schema_t  *schema;

    len = strlen(text);
    copy = malloc(len + 1);
    memcpy(copy, text, len);
    memset(err, 0xff, sizeof(schema_error_t));

    /* neither NUL nor the text itself is needed afterwards */
    copy[len] = '!';
    schema = schema_compile(copy, len, err);
    memset(copy, '!', len);
    free(copy);

    return schema;
}


static inline int
check(const schema_t *schema, const char *text, schema_violation_t *violation)
{
    int64_t       steps;
    json_error_t  err;

    if (json_parse(&doc, text, strlen(text), &err) != 0) {
        printf("# %s: %s\n", text, err.reason);
        return -2;
    }

    memset(violation, 0xff, sizeof(schema_violation_t));

    steps = SCHEMA_STEPS_MAX;

    return schema_check(schema, &doc, 0, &steps, violation);
}


#endif
