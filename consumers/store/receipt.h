/*
 * The text of a receipt: what became of the records of one committed
 * transaction, as JSON (docs/reference/receipts.md).
 */

#ifndef SLUICE_RECEIPT_H
#define SLUICE_RECEIPT_H


#include <sys/types.h>

#include "conf/conf.h"
#include "store/batch.h"


#define RECEIPT_EXCEPTIONS  1000            /* of one receipt */
#define RECEIPT_FULL        (256 * 1024)    /* bytes: no more exceptions, and
                                               no more partitions */


/* What became of a record that is no row. */
typedef enum {
    RECEIPT_DUPLICATE = 0,
    RECEIPT_FILTERED,
    RECEIPT_DEAD
} receipt_fate_t;


/* Records of one fate, one after the other. */
typedef struct {
    int64_t                first;
    int64_t                next;
    uint32_t               range;     /* in the batch */
    receipt_fate_t         fate;
    const record_fault_t  *fault;     /* of RECEIPT_DEAD */
} receipt_exception_t;


/* Offsets [first, next) of one partition. */
typedef struct {
    int32_t                     partition;
    int64_t                     epoch;
    int64_t                     first;
    int64_t                     next;
    int64_t                     known;     /* nothing is said from here on */
    int64_t                     oldest;    /* timestamps in ms; -1: none */
    int64_t                     newest;
    const receipt_exception_t  *list;      /* by offset */
    size_t                      n;
} receipt_range_t;


typedef struct {
    buf_t   text;
    bool    reasons;       /* they are told too */
    size_t  left;          /* exceptions that it may still have */
    size_t  partitions;
} receipt_t;


/* Begins a receipt; the names are UTF-8. */
void receipt_begin(receipt_t *receipt, const conf_t *conf,
    const char *cluster, const char *table);

/* Adds a partition with at most "most" of its exceptions. */
void receipt_add(receipt_t *receipt, const receipt_range_t *range,
    size_t most);

/* Ends it.  Returns -1 when memory was short: there is no text then. */
int receipt_end(receipt_t *receipt);

/*
 * The exceptions of a committed batch, by range and offset, neighbours of one
 * fate together.  Returns their number with a list for free(), which points
 * into the batch; -1 when memory is short.
 */
ssize_t receipt_exceptions(const batch_t *batch, receipt_exception_t **list);

/*
 * Sets the batch's range of that number.  Its exceptions are the first ones of
 * the *n at *list, which both move behind them.
 */
void receipt_range(receipt_range_t *range, const batch_t *batch,
    uint32_t number, const receipt_exception_t **list, size_t *n);


#endif
