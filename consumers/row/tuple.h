/* Fields of COPY's binary format (PostgreSQL's manual, COPY, Binary Format). */

#ifndef SLUICE_TUPLE_H
#define SLUICE_TUPLE_H


#include "row/field.h"


/* Comes before the first tuple: signature, flags, extension. */
#define TUPLES_HEADER      "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0"
#define TUPLES_HEADER_LEN  19


/*
 * array_recv(): appends the length of an array's field and what comes before
 * its elements: the number of dimensions, whether there may be nulls, the
 * elements' type; of each dimension its size and first index.  The length is
 * that of an array without elements.
 */
int row_tuple_array(row_ctx_t *ctx, uint32_t element, const int32_t *sizes,
    int ndims);


#endif
