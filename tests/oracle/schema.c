/*
 * Says what the schema check makes of pairs on standard input, one a line:
 * a schema, a tab, an instance.  One line each: "fits", or "violates KEYWORD
 * POINTER", or "refused LINE: REASON" for the schema, or "not JSON: REASON".
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/schema.h"


static void
say(json_doc_t *doc, const char *text, const char *instance)
{
    int64_t              steps;
    schema_t            *schema;
    json_error_t         bad;
    schema_error_t       err;
    schema_violation_t   violation;

    steps = SCHEMA_STEPS_MAX;
    schema = schema_compile(text, strlen(text), &err);

    if (schema == NULL) {
        printf("refused %u: %s\n", err.line, err.reason);
        return;
    }

    if (json_parse(doc, instance, strlen(instance), &bad) != 0) {
        printf("not JSON: %s\n", bad.reason);

    } else if (schema_check(schema, doc, 0, &steps, &violation) == 0) {
        printf("fits\n");

    } else {
        printf("violates %s %s\n", violation.keyword, violation.pointer);
    }

    schema_free(schema);
}


int
main(void)
{
    char        *line, *tab;
    size_t       size;
    ssize_t      n;
    json_doc_t   doc;

    line = NULL;
    size = 0;
    memset(&doc, 0, sizeof(doc));

    while ((n = getline(&line, &size, stdin)) > 0) {
        line[n - 1] = '\0';

        tab = strchr(line, '\t');
        if (tab == NULL) {
            return 2;
        }

        *tab = '\0';
        say(&doc, line, tab + 1);
    }

    json_doc_free(&doc);
    free(line);

    return 0;
}
