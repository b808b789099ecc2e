/* A client's idempotency key as sluice.seen has it: hashed. */

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "record/retry_key.h"


struct retry_key_s {
    EVP_MD_CTX  *scope;    /* what all hashes begin with, taken in once */
    EVP_MD_CTX  *ctx;
};


static int retry_key_scope(retry_key_t *key, const char *const *names,
    size_t n);


retry_key_t *
retry_key_create(const char *cluster, const char *group, const char *topic,
    const char *table)
{
    retry_key_t  *key;
    const char   *names[] = { cluster, group, topic, table };

    key = calloc(1, sizeof(retry_key_t));
    if (key == NULL) {
        return NULL;
    }

    key->scope = EVP_MD_CTX_new();
    key->ctx = EVP_MD_CTX_new();

    if (key->scope == NULL || key->ctx == NULL
        || retry_key_scope(key, names, sizeof(names) / sizeof(names[0]))
           == -1)
    {
        retry_key_destroy(key);
        return NULL;
    }

    return key;
}


/* Each name by its hash, so that no two sets of names are the same bytes. */

static int
retry_key_scope(retry_key_t *key, const char *const *names, size_t n)
{
    size_t         i;
    unsigned char  hash[RETRY_KEY_LEN];

    if (EVP_DigestInit_ex(key->scope, EVP_sha256(), NULL) != 1) {
        return -1;
    }

    for (i = 0; i < n; i++) {
        if (EVP_Digest(names[i], strlen(names[i]), hash, NULL, EVP_sha256(),
                       NULL)
            != 1
            || EVP_DigestUpdate(key->scope, hash, sizeof(hash)) != 1)
        {
            return -1;
        }
    }

    return 0;
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
    return EVP_MD_CTX_copy_ex(key->ctx, key->scope) == 1
           && EVP_DigestUpdate(key->ctx, value, len) == 1
           && EVP_DigestFinal_ex(key->ctx, hash, NULL) == 1
           ? 0 : -1;
}
