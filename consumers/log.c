/* Lines to standard error: time, level, text. */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "log.h"


#define LOG_LINE  2048    /* bytes; what is longer is cut */


static void log_line(log_level_t level, int err, const char *fmt, va_list ap);


static log_level_t  log_threshold = LOG_LEVEL_INFO;

static const char *const  log_names[] = { "error", "warn", "info", "debug" };


void
log_init(log_level_t level)
{
    log_threshold = level;
}


int64_t
log_clock(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


/* One write a line, so that lines of several daemons do not mix. */

static void
log_line(log_level_t level, int err, const char *fmt, va_list ap)
{
    char            line[LOG_LINE];
    int             n;
    size_t          len;
    ssize_t         written;
    struct tm       tm;
    struct timeval  tv;

    if (level > log_threshold) {
        return;
    }

    gettimeofday(&tv, NULL);
    gmtime_r(&tv.tv_sec, &tm);

    len = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
    n = snprintf(line + len, sizeof(line) - len, ".%03dZ %s: ",
                 (int) (tv.tv_usec / 1000), log_names[level]);
    len += (size_t) n;

    n = vsnprintf(line + len, sizeof(line) - len, fmt, ap);

    if (n > 0) {
        len += (size_t) n < sizeof(line) - len ? (size_t) n
                                               : sizeof(line) - len - 1;
    }

    if (err) {
        n = snprintf(line + len, sizeof(line) - len, ": %s", strerror(err));
        len += (size_t) n < sizeof(line) - len ? (size_t) n
                                               : sizeof(line) - len - 1;
    }

    if (len > sizeof(line) - 1) {
        len = sizeof(line) - 1;
    }

    for (n = 0; (size_t) n < len; n++) {
        if (line[n] == '\n' || line[n] == '\r') {
            line[n] = ' ';

        } else if ((unsigned char) line[n] < 0x20 || line[n] == 0x7f) {
            line[n] = '?';
        }
    }

    line[len++] = '\n';

    written = write(STDERR_FILENO, line, len);
    (void) written;
}


void
log_debug(const char *fmt, ...)
{
    va_list  ap;

    va_start(ap, fmt);
    log_line(LOG_LEVEL_DEBUG, 0, fmt, ap);
    va_end(ap);
}


void
log_info(const char *fmt, ...)
{
    va_list  ap;

    va_start(ap, fmt);
    log_line(LOG_LEVEL_INFO, 0, fmt, ap);
    va_end(ap);
}


void
log_warn(const char *fmt, ...)
{
    int      err = errno;
    va_list  ap;

    va_start(ap, fmt);
    log_line(LOG_LEVEL_WARN, err, fmt, ap);
    va_end(ap);
}


void
log_warnx(const char *fmt, ...)
{
    va_list  ap;

    va_start(ap, fmt);
    log_line(LOG_LEVEL_WARN, 0, fmt, ap);
    va_end(ap);
}


void
log_error(const char *fmt, ...)
{
    va_list  ap;

    va_start(ap, fmt);
    log_line(LOG_LEVEL_ERROR, 0, fmt, ap);
    va_end(ap);
}


void
fatal(const char *fmt, ...)
{
    va_list  ap;

    va_start(ap, fmt);
    log_line(LOG_LEVEL_ERROR, 0, fmt, ap);
    va_end(ap);

    exit(1);
}


void
log_limited(log_limit_t *limit, const char *fmt, ...)
{
    int64_t  now = log_clock();
    va_list  ap;

    if (limit->last && now - limit->last < 1000) {
        limit->suppressed++;
        return;
    }

    va_start(ap, fmt);
    log_line(LOG_LEVEL_WARN, 0, fmt, ap);
    va_end(ap);

    if (limit->suppressed) {
        log_warnx("%llu more like the line above were left out",
                  (unsigned long long) limit->suppressed);
    }

    limit->last = now;
    limit->suppressed = 0;
}


char *
log_escape(char *dst, size_t size, const char *src, size_t len)
{
    static const char  hex[] = "0123456789abcdef";

    size_t         i, n;
    unsigned char  c;

    for (i = 0, n = 0; i < len; i++) {
        c = (unsigned char) src[i];

        if (n + 8 > size) {
            memcpy(dst + n, "...", 3);
            n += 3;
            break;
        }

        if (c < 0x20 || c == 0x7f || c == '\\') {
            dst[n++] = '\\';
            dst[n++] = 'x';
            dst[n++] = hex[c >> 4];
            dst[n++] = hex[c & 15];
            continue;
        }

        dst[n++] = (char) c;
    }

    dst[n] = '\0';

    return dst;
}
