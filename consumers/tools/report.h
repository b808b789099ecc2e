/* Output of the subcommands: errors, tables for people, JSON for programs. */

#ifndef SLUICE_REPORT_H
#define SLUICE_REPORT_H


#include <cJSON.h>
#include <libpq-fe.h>
#include <stdbool.h>


/* Writes a line on standard error behind the program's name.  Returns -1. */
int report_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * The text of a connection's last error, without the line feed at its end.
 * Valid until the next call.
 */
const char *report_reason(const PGconn *conn);

/*
 * Prints the rows in columns, or as a JSON array of objects.  Returns 0, or -1
 * after an error line.
 */
int report_rows(const PGresult *res, bool json);

/* The rows as that array, to be freed; NULL when memory is short. */
cJSON *report_array(const PGresult *res);

/* Prints and frees "json".  Returns 0, or -1 after an error line: NULL. */
int report_json(cJSON *json);


#endif
