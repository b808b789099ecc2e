/* A client's idempotency key as sluice.seen stores it. */

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "record/retry_key.h"


struct retry_key_s {
    EVP_MD_CTX  *scope;    /* has the names, which every hash begins with */
    EVP_MD_CTX  *ctx;
};


retry_key_t *
retry_key_create(const char *cluster, const char *group, const char *topic,
    const char *table)
{
    bool            ok;
    size_t          i;
    retry_key_t    *key;
    const char     *names[] = { cluster, group, topic, table };
    unsigned char   hash[RETRY_DIGEST];

    key = calloc(1, sizeof(retry_key_t));
    if (key == NULL) {
        return NULL;
    }

    key->scope = EVP_MD_CTX_new();
    key->ctx = EVP_MD_CTX_new();
    ok = key->scope && key->ctx
         && EVP_DigestInit_ex(key->scope, EVP_sha256(), NULL) == 1;

    /* the names' hashes, not the names: two sets never give the same bytes */

    for (i = 0; ok && i < sizeof(names) / sizeof(names[0]); i++) {
        ok = EVP_Digest(names[i], strlen(names[i]), hash, NULL, EVP_sha256(),
                        NULL)
             == 1
             && EVP_DigestUpdate(key->scope, hash, sizeof(hash)) == 1;
    }

    if (!ok) {
        retry_key_destroy(key);
        return NULL;
    }

    return key;
}


void
retry_key_destroy(retry_key_t *key)
{
    if (key) {
        EVP_MD_CTX_free(key->scope);
        EVP_MD_CTX_free(key->ctx);
        free(key);
    }
}


int
retry_key_hash(retry_key_t *key, const char *value, size_t len,
    unsigned char *hash)
{
    memset(hash, 0, RETRY_PREFIX);
    memcpy(hash, value, len < RETRY_PREFIX ? len : RETRY_PREFIX);

    return EVP_MD_CTX_copy_ex(key->ctx, key->scope) == 1
           && EVP_DigestUpdate(key->ctx, value, len) == 1
           && EVP_DigestFinal_ex(key->ctx, hash + RETRY_PREFIX, NULL) == 1
           ? 0 : -1;
}
