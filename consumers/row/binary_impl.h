/* What the units of binary.h share: types that have a file of their own. */

#ifndef SLUICE_BINARY_IMPL_H
#define SLUICE_BINARY_IMPL_H


#include <stdbool.h>
#include <string.h>

#include "row/binary.h"


/* All return as binary_put(). */

/* binary_net.c: "size" is 6 or 8 bytes */
int binary_inet(const char *s, size_t len, bool cidr, buf_t *out);
int binary_mac(const char *s, size_t len, size_t size, buf_t *out);

/* binary_interval.c */
int binary_interval(const char *s, size_t len, buf_t *out);


#endif
