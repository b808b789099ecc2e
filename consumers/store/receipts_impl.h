/* Inside the receipts: what sending and looking up share. */

#ifndef SLUICE_RECEIPTS_IMPL_H
#define SLUICE_RECEIPTS_IMPL_H


#include "base/log.h"
#include "kafka/producer.h"
#include "store/receipt.h"
#include "store/receipts.h"


/* What is to be told of a partition once its last record was compared. */
typedef struct {
    int32_t               partition;
    uint16_t              topic;
    int64_t               epoch;      /* of the claim */
    int64_t               next;
    receipt_exception_t  *list;       /* its dead letters; freed with them */
    record_fault_t       *faults;
    size_t                n;
} receipts_owed_t;


struct receipts_s {
    const conf_t       *conf;
    const offsets_t    *offsets;
    producer_t         *producer;
    buf_t               key;           /* of the record with "receipt" */
    size_t              topic;         /* of "receipt" */
    receipt_t           receipt;
    int                 replicas;      /* of the topic, if it has to be made */
    int64_t             make;          /* ms, when it may be tried again */
    char                unmade[256];   /* why it could not be made, or "" */

    receipts_figures_t  figures;
    char                reason[512];   /* figures.reason */
    int64_t             failed;        /* ms, when one was dropped last */
    log_limit_t         limit;

    /* of the last claim */
    source_t           *source;
    outcome_pt          done;
    void               *data;
    pg_t               *pg;
    size_t              looking;       /* the topic that is looked up */
    buf_t               sql;
    receipts_owed_t    *owed;
    size_t              nowed;
    size_t              room;          /* of "owed" */
};


/* Begins the receipt of a topic. */
void receipts_begin(receipts_t *receipts, size_t topic);

/* Sends the receipt that was begun, if there is one, or drops it. */
void receipts_flush(receipts_t *receipts);

/* Counts a dropped one, and logs the reason if it is another. */
void receipts_drop(receipts_t *receipts, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));


#endif
