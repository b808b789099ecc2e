/*
 * A record as Kafka gave it, and why one cannot become a row.
 *
 * Room: a record as it came, its headers and its retry key.
 */

#ifndef SLUICE_RECORD_H
#define SLUICE_RECORD_H


#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>


#define RECORD_REASON  256    /* bytes, with the NUL */


typedef struct {
    const char  *name;         /* ends with a NUL */
    const char  *value;        /* NULL: null */
    size_t       len;          /* of the value */
} record_header_t;


/* The bytes are the caller's and outlive the record's use. */
typedef struct {
    const char  *topic;
    const char  *key;          /* NULL: null */
    const char  *value;        /* NULL: null */
    const char  *headers;      /* packed, of a record in a batch (headers.h);
                                  NULL: none */
    const char  *retry;        /* the client's idempotency key, RETRY_LEN bytes
                                  (retry_key.h); NULL: none */
    size_t       key_len;
    size_t       value_len;
    size_t       headers_len;
    int64_t      offset;
    int64_t      timestamp;    /* ms since 1970; -1: none */
    int32_t      partition;

    const record_header_t  *header;       /* the headers as a list */
    size_t                  nheaders;
} record_t;


/* Why a record cannot become a row. */
typedef struct {
    char  sqlstate[6];
    char  reason[RECORD_REASON];
} record_fault_t;


/*
 * Fills a fault with an SQLSTATE of five characters and a reason, which is
 * cut where it does not fit.  Returns 1.
 */
int record_fault(record_fault_t *fault, const char *sqlstate, const char *fmt,
    ...) __attribute__((format(printf, 3, 4)));


#endif
