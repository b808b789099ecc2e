/*
 * A record of the topic as it came, and why one is dead.
 *
 * Room: a record as it came, its headers and its retry key.
 */

#ifndef SLUICE_RECORD_H
#define SLUICE_RECORD_H


#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>


#define RECORD_REASON  256


typedef struct {
    const char  *name;         /* ends with a NUL */
    const char  *value;        /* NULL: null */
    size_t       len;
} record_header_t;


/* A record as it came; the pointers are the caller's. */
typedef struct {
    const char  *topic;
    const char  *key;          /* NULL: null */
    const char  *value;        /* NULL: null */
    const char  *headers;      /* JSON array as text; NULL: none */
    const char  *retry;        /* the client's idempotency key, hashed:
                                  RETRY_KEY_LEN bytes; NULL: none */
    size_t       key_len;
    size_t       value_len;
    size_t       headers_len;
    int64_t      offset;
    int64_t      timestamp;    /* ms since 1970; -1: none */
    int32_t      partition;

    const record_header_t  *header;       /* the same, one by one */
    size_t                 nheaders;
} record_t;


/* Why a record is dead. */
typedef struct {
    char  sqlstate[6];
    char  reason[RECORD_REASON];
} record_fault_t;


#endif
