/*
 * Finds the rows of a batch that are a client's retries: says what to ask
 * sluice.seen and what the answer means.  Sends nothing.
 */

#ifndef SLUICE_SEEN_H
#define SLUICE_SEEN_H


#include "postgres/sqlstate.h"
#include "store/batch.h"


#define SEEN_ASK  4    /* batches that ask, behind one with a known key */


typedef struct seen_key_s  seen_key_t;


typedef struct {
    int64_t      window;      /* ms, "dedupe.window" */
    bool         version_4;   /* of schema "sluice": its keys are digests */
    bool         digests;     /* such keys may live: each batch asks for them */

    seen_key_t  *keys;        /* the batch's, each once, in order */
    size_t       nkeys;
    size_t       size;
    size_t      *repeats;     /* rows that repeat a key of the batch */
    unsigned     ask;         /* batches more that ask for known keys */

    /* the answer */
    int64_t      ends;        /* us since 2000, when new keys expire */
    size_t       nnew;        /* keys to add */
    bool         expired;     /* some known keys have */
    bool         own;         /* some are of these records, read before */

    size_t       next;        /* key to send */
} seen_t;


void seen_free(seen_t *seen);

/* Collects the batch's keys.  Returns how many, or -1: memory is short. */
int64_t seen_collect(seen_t *seen, const batch_t *batch);

/* Appends the query for the known ones; -1 when memory is short. */
int seen_query(const seen_t *seen, buf_t *sql);

/*
 * Takes the answer, which has at least one row, and marks the rows that are
 * retries.  Returns false where the query did not ask for digests and they may
 * live: it is to be sent again.
 */
bool seen_take(seen_t *seen, batch_t *batch, const PGresult *res);

/* Appends a statement that deletes the expired keys. */
void seen_delete_expired(const seen_t *seen, const PGresult *res, buf_t *sql);

/* Appends a statement by which own keys expire with the new ones. */
void seen_renew_own(const seen_t *seen, const PGresult *res, buf_t *sql);

/*
 * Append the COPY of the new keys, and its next bytes: none at the end.
 * Returns -1 when memory is short.
 */
void seen_copy(seen_t *seen, buf_t *sql);
int seen_chunk(seen_t *seen, const batch_t *batch, buf_t *out);


#endif
