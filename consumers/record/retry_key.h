/* A client's idempotency key as sluice.seen has it: hashed. */

#ifndef SLUICE_RETRY_KEY_H
#define SLUICE_RETRY_KEY_H


#include <stddef.h>


#define RETRY_KEY_LEN  32    /* bytes of a SHA-256, FIPS 180-4 */


typedef struct retry_key_s  retry_key_t;


/*
 * Of keys in the topic of "group" that goes to "table": cluster, group, topic
 * and table are hashed first, so what one of them has seen is none of
 * another's business.  Returns NULL when memory is short.
 */
retry_key_t *retry_key_create(const char *cluster, const char *group,
    const char *topic, const char *table);
void retry_key_destroy(retry_key_t *key);

/* Writes RETRY_KEY_LEN bytes; -1 when memory is short. */
int retry_key_hash(retry_key_t *key, const char *value, size_t len,
    unsigned char *hash);


#endif
