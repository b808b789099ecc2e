/*
 * Which rows of a batch are a client's retries, by sluice.seen: what is asked,
 * and what the answer means.  Sends nothing.
 */

#ifndef SLUICE_SEEN_H
#define SLUICE_SEEN_H


#include "postgres/sqlstate.h"
#include "store/batch.h"


#define SEEN_ASK  100    /* batches behind one with a known key */


typedef struct seen_key_s  seen_key_t;


typedef struct {
    int64_t      window;      /* ms, "dedupe.window" */

    seen_key_t  *keys;        /* the batch's, each once, in order */
    size_t       nkeys;
    size_t       size;
    size_t      *repeats;     /* rows: of a key but the first */
    unsigned     ask;         /* batches more that ask for known keys */

    /* of the answer */
    int64_t      ends;        /* us since 2000, of a key added now */
    size_t       nnew;        /* keys to add */
    bool         expired;     /* some known keys are */
    bool         own;         /* some are this batch's, which is read again */

    size_t       next;        /* key to send */
} seen_t;


void seen_free(seen_t *seen);

/* Collects the batch's keys: how many, or -1 when memory is short. */
int64_t seen_collect(seen_t *seen, const batch_t *batch);

/* Appends the query for those that are known; -1 when memory is short. */
int seen_query(const seen_t *seen, buf_t *sql);

/*
 * Takes the query's answer, of at least one row, and marks the rows that are
 * retries.  Fills what is "of the answer".
 */
void seen_take(seen_t *seen, batch_t *batch, const PGresult *res);

/* A statement that deletes the expired keys of an answer. */
void seen_delete_expired(const seen_t *seen, const PGresult *res, buf_t *sql);

/* A statement that lets the batch's own keys live as long as new ones. */
void seen_renew_own(const seen_t *seen, const PGresult *res, buf_t *sql);

/* The COPY of the new keys, and its next bytes: none at the end, or -1. */
void seen_copy(seen_t *seen, buf_t *sql);
int seen_chunk(seen_t *seen, const batch_t *batch, buf_t *out);


#endif
