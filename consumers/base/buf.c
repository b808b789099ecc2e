/* A growing run of bytes, kept from one use to the next. */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"


#define BUF_FIRST   4096
#define BUF_BROKEN  SIZE_MAX    /* in "len" and "size": an append failed */


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


bool
buf_failed(const buf_t *buf)
{
    return buf->len == BUF_BROKEN;
}


int
buf_load(buf_t *buf, const char *path, size_t max)
{
    int     err;
    FILE   *fp;
    size_t  n;

    fp = fopen(path, "re");
    if (fp == NULL) {
        return -1;
    }

    err = ENOMEM;

    if (buf_reserve(buf, max + 1) == 0) {
        n = fread(buf->data + buf->len, 1, max + 1, fp);
        err = ferror(fp) ? errno : n > max ? EFBIG : 0;
        buf->len += n;
    }

    fclose(fp);
    errno = err;

    return err ? -1 : 0;
}


static void
buf_break(buf_t *buf)
{
    buf_free(buf);
    buf->len = BUF_BROKEN;
    buf->size = BUF_BROKEN;
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
