/*
 * A growing run of bytes, kept from one use to the next.
 *
 * Room: bytes, text, clocks, log; knows no Kafka and no PostgreSQL.
 */

#ifndef SLUICE_BUF_H
#define SLUICE_BUF_H


#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>


typedef struct {
    char    *data;
    size_t   len;
    size_t   size;
} buf_t;


/*
 * Makes room for "n" bytes more.  Returns 0, or -1 when memory is short; the
 * buffer is as it was then.
 */
int buf_grow(buf_t *buf, size_t n);

void buf_free(buf_t *buf);

/*
 * Append bytes, or a text by printf's format, and a NUL that does not count.
 * When memory is short the buffer loses its bytes and every later call fails,
 * so that one buf_failed() at the end is enough; buf_free() makes the buffer
 * usable again.
 */
void buf_add(buf_t *buf, const char *data, size_t len);
void buf_addf(buf_t *buf, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
bool buf_failed(const buf_t *buf);


/*
 * Appends the bytes of a file, at most "max".  Returns 0, or -1 with the reason
 * in errno, EFBIG for a longer file.
 */
int buf_load(buf_t *buf, const char *path, size_t max);


static inline int
buf_reserve(buf_t *buf, size_t n)
{
    return buf->size - buf->len >= n ? 0 : buf_grow(buf, n);
}


/* Appends bytes as they are; -1 with the buffer as it was: memory is short. */

static inline int
buf_append(buf_t *buf, const char *s, size_t len)
{
    if (buf_reserve(buf, len + 1) == -1) {
        return -1;
    }

    memcpy(buf->data + buf->len, s, len);
    buf->len += len;

    return 0;
}


#endif
