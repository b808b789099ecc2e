/* A client's idempotency key, hashed as sluice.seen stores it. */

#ifndef SLUICE_RETRY_KEY_H
#define SLUICE_RETRY_KEY_H


#include <stddef.h>


#define RETRY_KEY_LEN  32    /* bytes of a SHA-256, FIPS 180-4 */


typedef struct retry_key_s  retry_key_t;


/*
 * Hashes the keys of the records of "topic" that "group" stores in "table".
 * The names are hashed before each key, so that a key seen under one set of
 * names is new under another.  Returns NULL when memory is short.
 */
retry_key_t *retry_key_create(const char *cluster, const char *group,
    const char *topic, const char *table);
void retry_key_destroy(retry_key_t *key);

/* Writes RETRY_KEY_LEN bytes to "hash".  Returns -1 when memory is short. */
int retry_key_hash(retry_key_t *key, const char *value, size_t len,
    unsigned char *hash);


#endif
