/* CRC-32 of a key and a value, to tell two records apart. */

#ifndef SLUICE_CRC32_H
#define SLUICE_CRC32_H


#include <stddef.h>
#include <stdint.h>


/*
 * CRC-32 (zlib's) over key length and value length as 32-bit big-endian (-1
 * for a null), key, value.
 */
uint32_t crc32_record(const void *key, size_t key_len, const void *value,
    size_t value_len);


#endif
