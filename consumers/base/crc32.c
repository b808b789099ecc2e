/* CRC-32 of a key and a value, to tell two records apart. */

#include <zlib.h>

#include "base/crc32.h"


uint32_t
crc32_record(const void *key, size_t key_len, const void *value,
    size_t value_len)
{
    int       i;
    uLong     crc;
    uint8_t   head[8];
    uint32_t  k, v;

    k = key ? (uint32_t) key_len : UINT32_MAX;
    v = value ? (uint32_t) value_len : UINT32_MAX;

    for (i = 0; i < 4; i++) {
        head[i] = (uint8_t) (k >> (24 - 8 * i));
        head[4 + i] = (uint8_t) (v >> (24 - 8 * i));
    }

    crc = crc32_z(0, head, sizeof(head));

    if (key) {
        crc = crc32_z(crc, key, key_len);
    }

    if (value) {
        crc = crc32_z(crc, value, value_len);
    }

    return (uint32_t) crc;
}
