/* Shared by the fuzz targets: one file a target, linked to what it tests. */

#ifndef SLUICE_FUZZ_H
#define SLUICE_FUZZ_H


#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static inline void
demand(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}


/* A copy that ends where the text does: reading on is seen. */

static inline char *
copy(const char *text, size_t len, const char *before, const char *behind)
{
    char    *p;
    size_t   n;

    n = strlen(before);
    p = malloc(n + len + strlen(behind) + 1);

    memcpy(p, before, n);
    memcpy(p + n, text, len);
    memcpy(p + n + len, behind, strlen(behind));

    return realloc(p, n + len + strlen(behind) + (n + len == 0));
}


#endif
