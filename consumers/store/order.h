/*
 * The rows of a table in the order of their keys, those of one key in the order
 * of their records.  Only where bytes tell equal keys: target_t's "known".
 */

#ifndef SLUICE_ORDER_H
#define SLUICE_ORDER_H


#include "postgres/target.h"
#include "store/batch.h"


typedef struct order_column_s  order_column_t;
typedef struct order_row_s     order_row_t;


/* Where the tuples of a table have the key. */
typedef struct {
    order_column_t  *columns;
    size_t           n;
    size_t           fields;    /* of a tuple, up to the last of the key */
} order_plan_t;


/* Memory that is kept from batch to batch. */
typedef struct {
    order_row_t  *rows;
    size_t        n;
    size_t        size;
    buf_t         keys;
} order_t;


/* Returns -1 when memory is short. */
int order_plan(order_plan_t *plan, const target_t *target);
void order_plan_free(order_plan_t *plan);

/*
 * Orders the rows of a table that are to be stored, from "row" on.  Returns 0;
 * 1 where a row is a line, or has a key whose bytes do not tell; -1 when memory
 * is short.
 */
int order_rows(order_t *order, const order_plan_t *plan, const batch_t *batch,
    size_t row);
void order_free(order_t *order);

/* The row at a place, less than order->n, and whether it is its key's last. */
size_t order_row(const order_t *order, size_t place, bool *last);


#endif
