/* Clients' keys as sluice.seen has them. */

#include <stdio.h>
#include <string.h>

#include "record/retry_key.h"
#include "tap.h"


static void
hash(const char *const *names, const char *value, size_t len, char *hex)
{
    size_t          i;
    retry_key_t    *key;
    unsigned char   found[RETRY_LEN];

    key = retry_key_create(names[0], names[1], names[2], names[3]);

    /* the second one shows that the first left nothing behind */
    (void) retry_key_hash(key, "another", 7, found);
    is(retry_key_hash(key, value, len, found), 0, "hashed");

    for (i = 0; i < sizeof(found); i++) {
        snprintf(hex + i * 2, 3, "%02x", found[i]);
    }

    retry_key_destroy(key);
}


int
main(void)
{
    char  a[RETRY_LEN * 2 + 1], b[RETRY_LEN * 2 + 1];

    static const char *const  one[] = { "c", "g", "t", "table" };
    static const char *const  other[] = { "c", "gt", "", "table" };

    /*
     * the key, zeros behind it, then
     * SELECT sha256(sha256('c') || sha256('g') || sha256('t')
     *               || sha256('table') || 'key')
     */
    hash(one, "key", 3, a);
    is_str(a, "6b6579000000000000000000000000"
           "ace40bd2049c26ca24b74616e0d039d8"
           "5581746dc90d6d9eceada3b2199b7715", "as PostgreSQL's own");

    hash(one, "key", 3, b);
    is_str(b, a, "always the same");

    hash(other, "key", 3, b);
    ok(strcmp(a, b) != 0, "no names run into each other");

    hash(one, "key\0", 4, b);
    ok(strcmp(a, b) != 0, "every byte counts");

    hash(one, "0198f0c2-7e1a-7b3c-8d4e-5f60718293a4", 36, a);
    hash(one, "0198f0c2-7e1b-7000-8000-000000000000", 36, b);
    ok(strcmp(a, b) < 0, "keys that begin with a time are in its order");

    hash(one, "0198f0c2-7e1a-7b3c-8d4e-5f60718293a5", 36, b);
    ok(strncmp(a, b, RETRY_PREFIX * 2) == 0
       && strncmp(a, b, RETRY_KEY_LEN * 2) != 0,
       "what follows the begin counts too");

    return tap_done();
}
