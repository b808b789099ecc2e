/* How the rows of a table tell which records they are of. */

#ifndef SLUICE_PLACES_H
#define SLUICE_PLACES_H


#include "tools/tool.h"


/* The columns that take a record's place. */
typedef struct {
    const conf_column_t  *partition;
    const conf_column_t  *offset;
    const conf_column_t  *topic;      /* NULL: there is none */
    const char           *why_not;    /* the rows cannot be looked at; NULL:
                                         they can */
} places_t;


/* Fills "places", of the configuration's one table.  Returns 0 or -1. */
int places_find(places_t *places, tool_t *tool);

/*
 * Appends "SELECT ... AS p, ... AS o FROM table": partition and offset of each
 * row; of none where they cannot be looked at.
 */
void places_rows(const places_t *places, const tool_t *tool, buf_t *sql);


#endif
