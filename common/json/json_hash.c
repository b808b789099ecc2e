/* Draws the seed of the hashes. */

#include <time.h>

#if !(SLUICE_NO_GETRANDOM)
#include <sys/random.h>
#else
#define getrandom(buf, len, flags)  -1
#endif

#include "json/json_hash.h"


void
json_seed(json_seed_t *seed)
{
    uint64_t         secret[2];
    struct timespec  now;

    if (getrandom(secret, sizeof(secret), GRND_NONBLOCK) != sizeof(secret)) {
        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        secret[0] = (uint64_t) now.tv_nsec << 32 ^ (uintptr_t) seed;
        secret[1] = (uint64_t) now.tv_sec << 32 ^ (uintptr_t) &now;
    }

    seed->start = secret[0];
    seed->factor = secret[1] | 1;
}
