/* Output of the subcommands: errors, tables for people, JSON for programs. */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tools/report.h"


#define REPORT_COLUMNS  32    /* more than any query here has */


static void report_columns(const PGresult *res);
static const char *report_cell(const PGresult *res, int row, int column);
static int report_member(cJSON *object, const PGresult *res, int row,
    int column);
static bool report_is_number(const PGresult *res, int column);


int
report_error(const char *fmt, ...)
{
    va_list  args;

    fprintf(stderr, "sluice-consumer: ");
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);

    return -1;
}


const char *
report_reason(const PGconn *conn)
{
    size_t       len;
    static char  reason[1024];

    snprintf(reason, sizeof(reason), "%s", PQerrorMessage(conn));

    for (len = strlen(reason); len && reason[len - 1] == '\n'; len--) {
        reason[len - 1] = '\0';
    }

    return reason;
}


int
report_rows(const PGresult *res, bool json)
{
    if (json) {
        return report_json(report_array(res));
    }

    report_columns(res);

    return 0;
}


static void
report_columns(const PGresult *res)
{
    int  row, column, columns, len, width[REPORT_COLUMNS];

    columns = PQnfields(res);

    for (column = 0; column < columns && column < REPORT_COLUMNS; column++) {
        width[column] = (int) strlen(PQfname(res, column));

        for (row = 0; row < PQntuples(res); row++) {
            len = (int) strlen(report_cell(res, row, column));
            width[column] = len > width[column] ? len : width[column];
        }

        if (!report_is_number(res, column)) {
            /* text is aligned to the left, without blanks at the line's end */
            width[column] = column == columns - 1 ? 0 : -width[column];
        }
    }

    for (row = -1; row < PQntuples(res); row++) {
        for (column = 0; column < columns && column < REPORT_COLUMNS;
             column++)
        {
            printf("%s%*s", column ? "  " : "", width[column],
                   report_cell(res, row, column));
        }
        putchar('\n');
    }
}


/* The text of a cell; row -1 holds the names of the columns. */

static const char *
report_cell(const PGresult *res, int row, int column)
{
    return row == -1 ? PQfname(res, column)
           : PQgetisnull(res, row, column) ? "-"
           : PQgetvalue(res, row, column);
}


static bool
report_is_number(const PGresult *res, int column)
{
    Oid  type;

    type = PQftype(res, column);

    /* int8, int2, int4 and numeric in pg_type */
    return type == 20 || type == 21 || type == 23 || type == 1700;
}


cJSON *
report_array(const PGresult *res)
{
    int     row, column;
    cJSON  *array, *object;

    array = cJSON_CreateArray();

    for (row = 0; array && row < PQntuples(res); row++) {
        object = cJSON_CreateObject();

        if (!cJSON_AddItemToArray(array, object)) {
            goto failed;
        }

        for (column = 0; column < PQnfields(res); column++) {
            if (report_member(object, res, row, column) == -1) {
                goto failed;
            }
        }
    }

    return array;

failed:

    cJSON_Delete(array);

    return NULL;
}


static int
report_member(cJSON *object, const PGresult *res, int row, int column)
{
    cJSON       *item;
    const char  *name, *value;

    name = PQfname(res, column);
    value = PQgetvalue(res, row, column);

    if (PQgetisnull(res, row, column)) {
        item = cJSON_AddNullToObject(object, name);

    } else if (PQftype(res, column) == 16) {
        item = cJSON_AddBoolToObject(object, name, value[0] == 't');

    } else if (report_is_number(res, column)) {
        /* a double would not hold all its digits */
        item = cJSON_AddRawToObject(object, name, value);

    } else {
        item = cJSON_AddStringToObject(object, name, value);
    }

    return item ? 0 : -1;
}


int
report_json(cJSON *json)
{
    char  *text;

    text = json ? cJSON_PrintUnformatted(json) : NULL;
    cJSON_Delete(json);

    if (text == NULL) {
        return report_error("out of memory");
    }

    puts(text);
    cJSON_free(text);

    return 0;
}
