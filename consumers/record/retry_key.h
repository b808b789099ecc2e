/*
 * A client's idempotency key as sluice.seen stores it: its first bytes, then
 * the hash of all of it.  Keys that begin with a time (UUID version 7, ULID)
 * so keep their order in the index, and each is added beside the last one.
 */

#ifndef SLUICE_RETRY_KEY_H
#define SLUICE_RETRY_KEY_H


#include <stddef.h>


#define RETRY_PREFIX   15    /* of the key itself, zeros behind a shorter one */
#define RETRY_DIGEST   32    /* of a SHA-256, FIPS 180-4 */
#define RETRY_LEN      (RETRY_PREFIX + RETRY_DIGEST)

/*
 * What is stored.  Its length tells it from what daemons stored before version
 * 5 of schema "sluice": the digest alone.
 */
#define RETRY_KEY_LEN  31


typedef struct retry_key_s  retry_key_t;


/*
 * Hashes the keys of the records of "topic" that "group" stores in "table".
 * The names are hashed before each key, so that a key seen under one set of
 * names is new under another.  Returns NULL when memory is short.
 */
retry_key_t *retry_key_create(const char *cluster, const char *group,
    const char *topic, const char *table);
void retry_key_destroy(retry_key_t *key);

/* Writes RETRY_LEN bytes to "hash".  Returns -1 when memory is short. */
int retry_key_hash(retry_key_t *key, const char *value, size_t len,
    unsigned char *hash);


#endif
