/* What a subcommand says: errors, tables for people, JSON for programs. */

#ifndef SLUICE_REPORT_H
#define SLUICE_REPORT_H


#include <cJSON.h>
#include <libpq-fe.h>
#include <stdbool.h>


/* A line on standard error, with the program's name before it. */
void report_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * The server's words of a connection's last error, without the line feed that
 * libpq ends them with.  They stay valid until the next call.
 */
const char *report_reason(const PGconn *conn);

/*
 * Prints a result: in columns, or as a JSON array of objects.  Returns 0, or
 * -1 where memory is short, which is said.
 */
int report_rows(const PGresult *res, bool json);

/* The objects of that array.  NULL: memory is short. */
cJSON *report_array(const PGresult *res);

/* Prints and frees a text of JSON; NULL and the return value: as above. */
int report_json(cJSON *json);


#endif
