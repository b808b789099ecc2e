/* A record's place: as an operand, and in the columns of its row. */

#ifndef SLUICE_PLACES_H
#define SLUICE_PLACES_H


#include "tools/tool.h"


/* The columns that take a record's place. */
typedef struct {
    const conf_column_t  *partition;
    const conf_column_t  *offset;
    const conf_column_t  *topic;      /* NULL: there is no such column */
    const char           *why_not;    /* why rows do not tell their records;
                                         NULL: they do */
} places_t;


/* Finds the columns.  Returns 0, or -1 after an error line. */
int places_find(places_t *places, tool_t *tool);

/*
 * Appends a query for partition (p) and offset (o) of each row of the table;
 * with "why_not", for no rows.
 */
void places_rows(const places_t *places, const tool_t *tool, buf_t *sql);

/*
 * Divides the first operand, TOPIC/PARTITION/OFFSET, in place; both texts are
 * digits.  Returns 0, or -1 after an error line.
 */
int places_read(tool_t *tool, const char **partition, const char **offset);


#endif
