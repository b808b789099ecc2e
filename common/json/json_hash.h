/* Hashes of bytes that their sender cannot predict. */

#ifndef SLUICE_JSON_HASH_H
#define SLUICE_JSON_HASH_H


#include <stddef.h>
#include <stdint.h>
#include <string.h>


#pragma GCC visibility push(hidden)


typedef struct {
    uint64_t  start;
    uint64_t  factor;    /* odd */
} json_seed_t;


/* Draws both at random. */
void json_seed(json_seed_t *seed);


/* The two halves of the product, one xor the other. */

static inline uint64_t
json_mix(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128  json_uint128_t;

    json_uint128_t  product;

    product = (json_uint128_t) a * b;

    return (uint64_t) product ^ (uint64_t) (product >> 64);
}


static inline uint64_t
json_hash(const json_seed_t *seed, const char *s, size_t len)
{
    size_t    left;
    uint64_t  hash, word;

    hash = seed->start;

    for (left = len; left >= 8; s += 8, left -= 8) {
        memcpy(&word, s, 8);
        hash = json_mix(hash ^ word, seed->factor) + seed->start;
    }

    word = 0;
    memcpy(&word, s, left);
    hash = json_mix(hash ^ word, seed->factor);

    return json_mix(hash ^ len, seed->factor);
}


#pragma GCC visibility pop


#endif
