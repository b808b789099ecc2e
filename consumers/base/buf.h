/*
 * A growing run of bytes, kept from one use to the next.
 *
 * Room: bytes, lines of log, signs to systemd; knows no Kafka.
 */

#ifndef SLUICE_BUF_H
#define SLUICE_BUF_H


#include <stddef.h>
#include <stdint.h>
#include <string.h>


typedef struct {
    char    *data;
    size_t   len;
    size_t   size;
} buf_t;


/* Makes room for "n" bytes more.  Returns 0, or -1 when memory is short. */
int buf_grow(buf_t *buf, size_t n);

void buf_free(buf_t *buf);

/*
 * Both append; a failure leaves "size" 0 and "data" NULL, and what follows
 * fails as well, so that one check at the end will do: buf_failed().
 */
void buf_add(buf_t *buf, const char *data, size_t len);
void buf_addf(buf_t *buf, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
int buf_failed(const buf_t *buf);

/* Escaped for COPY's text format (PostgreSQL's manual, COPY, File Formats). */
int buf_add_copy(buf_t *buf, const char *s, size_t len);

/* COPY's null. */
int buf_add_null(buf_t *buf);

/* bytea in its hex form, the backslash escaped for COPY. */
int buf_add_bytea(buf_t *buf, const char *s, size_t len);

/* The inside of a JSON string; "s" is UTF-8. */
void buf_add_json(buf_t *buf, const char *s, size_t len);

/* Whether it is UTF-8 without a zero byte, so that a text column holds it. */
int buf_is_text(const char *s, size_t len);

/* Digits of a number; "p" has room for 20 bytes.  Returns behind them. */
char *buf_put_int(char *p, int64_t n);


static inline int
buf_reserve(buf_t *buf, size_t n)
{
    return buf->size - buf->len >= n ? 0 : buf_grow(buf, n);
}


#endif
