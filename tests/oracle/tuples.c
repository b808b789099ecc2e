/*
 * Says which tuples are made of fields on standard input, one a line: the
 * name of a receive function, a tab, the OID of an array's element or 0, a
 * tab, the field as COPY's text format has it.  One line each: the tuple in
 * hexadecimal digits, or "text" where PostgreSQL has to judge.
 */

#include <stdio.h>
#include <stdlib.h>

#include "store/tuples.h"


int
main(void)
{
    char             *line, *element, *field;
    size_t            i, size;
    buf_t             out;
    ssize_t           n;
    tuples_t          tuples;
    tuples_column_t   column;

    line = NULL;
    size = 0;
    memset(&out, 0, sizeof(buf_t));
    memset(&tuples, 0, sizeof(tuples_t));
    tuples.columns = &column;
    tuples.ncolumns = 1;

    while ((n = getline(&line, &size, stdin)) > 0) {
        element = strchr(line, '\t') + 1;
        element[-1] = '\0';
        field = strchr(element, '\t') + 1;

        column.kind = binary_kind(line);
        column.element = (uint32_t) strtoul(element, NULL, 10);
        out.len = 0;

        if (tuples_add(&tuples, field, (size_t) (line + n - field), &out)) {
            printf("text\n");
            continue;
        }

        for (i = 0; i < out.len; i++) {
            printf("%02x", (unsigned char) out.data[i]);
        }

        printf("\n");
    }

    buf_free(&tuples.array);
    buf_free(&tuples.text);
    buf_free(&out);
    free(line);

    return 0;
}
