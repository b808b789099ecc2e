/*
 * Says which rows are made of values on standard input, one a line: the name
 * of a receive function, a tab, the OID of an array's element or 0, a tab, the
 * type that the column is configured as, a tab, the value as JSON.  One line
 * each, in hexadecimal digits: the line of COPY's text format, a space, the
 * tuple, or "-" where there is none; "fault" where the daemon itself refuses.
 */

#include <stdio.h>
#include <stdlib.h>

#include "row/row.h"


static void
put(const buf_t *buf)
{
    size_t  i;

    for (i = 0; i < buf->len; i++) {
        printf("%02x", (unsigned char) buf->data[i]);
    }
}


/* Cuts the text at its first tab; returns what is behind it. */

static char *
cut(char *text)
{
    text = strchr(text, '\t');
    *text = '\0';

    return text + 1;
}


static void
convert(row_plan_t *plan, const record_t *record)
{
    int             rc;
    bool            tuple;
    buf_t           line, out;
    record_fault_t  fault;

    memset(&line, 0, sizeof(buf_t));
    memset(&out, 0, sizeof(buf_t));
    tuple = true;
    rc = row_convert(plan, record, NULL, &line, &fault);

    if (row_convert(plan, record, &tuple, &out, &fault) != rc) {
        abort();
    }

    if (rc != 0) {
        printf("fault");

    } else {
        put(&line);
        printf(" ");

        if (tuple) {
            put(&out);
        } else {
            printf("-");
        }
    }

    printf("\n");
    buf_free(&line);
    buf_free(&out);
}


int
main(void)
{
    char           *line, *element, *type, *value, reason[256];
    size_t          size;
    ssize_t         n;
    uint32_t        array;
    record_t        record;
    row_spec_t      spec;
    row_plan_t     *plan;
    conf_column_t   column;
    const char     *wrong, *receive, *as;

    line = NULL;
    size = 0;
    memset(&spec, 0, sizeof(row_spec_t));
    memset(&column, 0, sizeof(conf_column_t));
    memset(&record, 0, sizeof(record_t));
    column.name = (char *) (uintptr_t) "v";
    column.pointer = json_pointer_compile("", 0, &wrong);
    spec.columns = &column;
    spec.ncolumns = 1;
    spec.types = &as;
    spec.receives = &receive;
    spec.arrays = &array;

    while ((n = getline(&line, &size, stdin)) > 0) {
        element = cut(line);
        type = cut(element);
        value = cut(type);
        receive = line;
        array = (uint32_t) strtoul(element, NULL, 10);
        as = type;
        record.value = value;
        record.value_len = (size_t) (line + n - 1 - value);

        plan = row_plan_create(&spec, reason, sizeof(reason));
        if (plan == NULL) {
            abort();
        }

        convert(plan, &record);
        row_plan_free(plan);
    }

    free(line);

    return 0;
}
