/* A growing run of bytes, kept from one use to the next. */

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"


#define BUF_FIRST   4096
#define BUF_BROKEN  SIZE_MAX    /* in len: an append failed */


/* What COPY escapes, by its letter; the rest stands for itself. */
static const char  buf_copy_escape[256] = {
    ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\v'] = 'v', ['\f'] = 'f',
    ['\r'] = 'r', ['\\'] = '\\'
};

static const char  buf_json_escape[256] = {
    [0 ... 0x1f] = 1, ['"'] = 1, ['\\'] = 1, [0x7f] = 1
};


int
buf_grow(buf_t *buf, size_t n)
{
    char    *data;
    size_t   size;

    if (n > SIZE_MAX / 4 || buf->len > SIZE_MAX / 4) {
        return -1;
    }

    size = buf->size ? buf->size : BUF_FIRST;

    while (size - buf->len < n) {
        size *= 2;
    }

    data = realloc(buf->data, size);
    if (data == NULL) {
        return -1;
    }

    buf->data = data;
    buf->size = size;

    return 0;
}


void
buf_free(buf_t *buf)
{
    free(buf->data);
    memset(buf, 0, sizeof(buf_t));
}


int
buf_failed(const buf_t *buf)
{
    return buf->len == BUF_BROKEN;
}


static void
buf_break(buf_t *buf)
{
    buf_free(buf);
    buf->len = BUF_BROKEN;
}


void
buf_add(buf_t *buf, const char *data, size_t len)
{
    if (buf_failed(buf)) {
        return;
    }

    if (buf_reserve(buf, len + 1) == -1) {
        buf_break(buf);
        return;
    }

    if (len) {
        memcpy(buf->data + buf->len, data, len);
        buf->len += len;
    }

    buf->data[buf->len] = '\0';
}


void
buf_addf(buf_t *buf, const char *fmt, ...)
{
    int      n;
    va_list  ap, again;

    if (buf_failed(buf)) {
        return;
    }

    va_start(ap, fmt);
    va_copy(again, ap);

    n = vsnprintf(NULL, 0, fmt, ap);

    if (n < 0 || buf_reserve(buf, (size_t) n + 1) == -1) {
        buf_break(buf);

    } else {
        vsnprintf(buf->data + buf->len, (size_t) n + 1, fmt, again);
        buf->len += (size_t) n;
    }

    va_end(again);
    va_end(ap);
}


int
buf_add_copy(buf_t *buf, const char *s, size_t len)
{
    char        *out;
    size_t       run;
    const char  *end;

    if (buf_reserve(buf, len * 2 + 1) == -1) {
        return -1;
    }

    out = buf->data + buf->len;
    end = s + len;

    while (s < end) {

        for (run = 0; s + run < end; run++) {
            if (buf_copy_escape[(unsigned char) s[run]]) {
                break;
            }
        }

        memcpy(out, s, run);
        out += run;
        s += run;

        if (s < end) {
            *out++ = '\\';
            *out++ = buf_copy_escape[(unsigned char) *s++];
        }
    }

    buf->len = (size_t) (out - buf->data);

    return 0;
}


int
buf_add_null(buf_t *buf)
{
    if (buf_reserve(buf, 2) == -1) {
        return -1;
    }

    memcpy(buf->data + buf->len, "\\N", 2);
    buf->len += 2;

    return 0;
}


char *
buf_put_int(char *p, int64_t n)
{
    char      digits[20];
    int       i;
    uint64_t  u;

    u = n < 0 ? 0 - (uint64_t) n : (uint64_t) n;

    if (n < 0) {
        *p++ = '-';
    }

    i = 0;

    do {
        digits[i++] = (char) ('0' + u % 10);
        u /= 10;
    } while (u);

    while (i) {
        *p++ = digits[--i];
    }

    return p;
}


/* RFC 3629, section 4, without NUL, which PostgreSQL's text cannot hold. */

int
buf_add_bytea(buf_t *buf, const char *s, size_t len)
{
    static const char  hex[] = "0123456789abcdef";

    char    *p;
    size_t   i;

    if (buf_reserve(buf, len * 2 + 3) == -1) {
        return -1;
    }

    p = buf->data + buf->len;
    memcpy(p, "\\\\x", 3);
    p += 3;

    for (i = 0; i < len; i++) {
        *p++ = hex[(unsigned char) s[i] >> 4];
        *p++ = hex[(unsigned char) s[i] & 15];
    }

    buf->len = (size_t) (p - buf->data);

    return 0;
}


void
buf_add_json(buf_t *buf, const char *s, size_t len)
{
    size_t  i, run;

    for (i = 0, run = 0; i < len; i++) {

        if (buf_json_escape[(unsigned char) s[i]]) {
            buf_add(buf, s + run, i - run);
            buf_addf(buf, "\\u%04x", (unsigned char) s[i]);
            run = i + 1;
        }
    }

    buf_add(buf, s + run, len - run);
}


int
buf_is_text(const char *s, size_t len)
{
    size_t          i, n;
    const uint8_t  *p, *end;

    p = (const uint8_t *) s;
    end = p + len;

    while (p < end) {

        if (*p < 0x80) {
            if (*p++ == 0) {
                return 0;
            }
            continue;
        }

        n = *p >= 0xf0 ? 3 : *p >= 0xe0 ? 2 : 1;

        if (*p < 0xc2 || *p > 0xf4 || (size_t) (end - p) <= n
            || (*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f)
            || (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f))
        {
            return 0;
        }

        for (i = 1; i <= n; i++) {
            if ((p[i] & 0xc0) != 0x80) {
                return 0;
            }
        }

        p += n + 1;
    }

    return 1;
}
