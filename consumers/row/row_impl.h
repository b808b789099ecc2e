/* Inside the plan of a table's rows: plan.c makes it, row.c follows it. */

#ifndef SLUICE_ROW_IMPL_H
#define SLUICE_ROW_IMPL_H


#include "row/format.h"
#include "row/key.h"
#include "row/path.h"
#include "row/row.h"


struct row_plan_s {
    row_spec_t     spec;
    row_column_t  *columns;     /* those of "spec" that a COPY has */
    size_t         ncolumns;
    bool           tuples;      /* all columns can be of tuples */
    bool           parse;       /* a column or filter needs the document */
    bool           fields;      /* a column takes a member of an object, */
    bool           elements;    /* one takes an element of an array */
    row_ctx_t      ctx;
    row_paths_t    paths;       /* of the value, */
    row_paths_t    inner;       /* and of an element, with "each" */
    uint32_t       each_slot;   /* of the array, in "paths" */
    row_format_t   format;
    uint32_t      *where_slots; /* of the filter's paths; NULL: of none, or
                                   they are not asked */
    uint32_t      *delete_slots;    /* likewise, of "delete_when" */

    bool           more;        /* one of these is used: "delete_when", */
    row_key_t      key;
    bool           change;      /* and what debezium needs */
    change_schema_t       schema;
    change_unavailable_t  unavailable;
};


/*
 * Reads the record and asks "where": 0, or as row_convert().  The fields go to
 * "text".
 */
int row_begin(row_plan_t *plan, const record_t *record, buf_t *text,
    record_fault_t *fault);

/* Appends the row of the value at ctx.root, as row_convert() does. */
int row_append(row_plan_t *plan, bool *tuple);


#endif
