/* Lines to standard error: as text, for the journal or as JSON. */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"


#define LOG_LINE  2048    /* bytes; what is longer is cut */


static void log_line(log_level_t level, int err, const char *fmt, va_list ap);
static size_t log_text(char *line, int err, const char *fmt, va_list ap);
static size_t log_stamp(char *out, size_t size);
static int log_is_journal(void);


static log_level_t   log_threshold = LOG_LEVEL_INFO;
static log_format_t  log_format = LOG_TEXT;

static const char *const  log_names[] = { "error", "warn", "info", "debug" };

/* syslog(3)'s numbers, as sd-daemon(3) has them before a line */
static const int  log_priorities[] = { 3, 4, 6, 7 };


void
log_init(log_level_t level, log_format_t format)
{
    log_threshold = level;
    log_format = format;

    if (format == LOG_AUTO) {
        log_format = log_is_journal() ? LOG_JOURNAL : LOG_TEXT;
    }
}


/* systemd.exec(5): $JOURNAL_STREAM is device and inode of the stream. */

static int
log_is_journal(void)
{
    char         own[64];
    struct stat  st;
    const char  *stream;

    stream = getenv("JOURNAL_STREAM");

    if (stream == NULL || fstat(STDERR_FILENO, &st) == -1) {
        return 0;
    }

    snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t) st.st_dev,
             (uintmax_t) st.st_ino);

    return strcmp(stream, own) == 0;
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
    char     line[LOG_LINE], out[LOG_LINE + 64];
    buf_t    json;
    size_t   n, len;
    ssize_t  written;

    if (level > log_threshold) {
        return;
    }

    len = log_text(line, err, fmt, ap);

    if (log_format == LOG_JSON) {
        memset(&json, 0, sizeof(buf_t));
        buf_addf(&json, "{\"time\":\"");
        buf_add(&json, out, log_stamp(out, sizeof(out)));
        buf_addf(&json, "\",\"level\":\"%s\",\"message\":\"",
                 log_names[level]);
        buf_add_json(&json, line, len);
        buf_addf(&json, "\"}\n");

        if (!buf_failed(&json)) {
            written = write(STDERR_FILENO, json.data, json.len);
            (void) written;
        }

        buf_free(&json);
        return;
    }

    if (log_format == LOG_JOURNAL) {
        snprintf(out, sizeof(out), "<%d>%.*s\n", log_priorities[level],
                 (int) len, line);
    } else {
        n = log_stamp(out, sizeof(out));
        snprintf(out + n, sizeof(out) - n, " %s: %.*s\n", log_names[level],
                 (int) len, line);
    }

    written = write(STDERR_FILENO, out, strlen(out));
    (void) written;
}


static size_t
log_stamp(char *out, size_t size)
{
    size_t          len;
    struct tm       tm;
    struct timeval  tv;

    gettimeofday(&tv, NULL);
    gmtime_r(&tv.tv_sec, &tm);
    len = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);

    return len + (size_t) snprintf(out + len, size - len, ".%03dZ",
                                   (int) (tv.tv_usec / 1000));
}


/* The message on one line, UTF-8, without what steers a terminal. */

static size_t
log_text(char *line, int err, const char *fmt, va_list ap)
{
    int            n;
    size_t         i, len;
    unsigned char  c;

    n = vsnprintf(line, LOG_LINE, fmt, ap);
    len = n < 0 ? 0 : (size_t) n < LOG_LINE ? (size_t) n : LOG_LINE - 1;

    if (err) {
        n = snprintf(line + len, LOG_LINE - len, ": %s", strerror(err));
        len += (size_t) n < LOG_LINE - len ? (size_t) n : LOG_LINE - len - 1;
    }

    /* a cut may have split a character */
    while (len && !buf_is_text(line, len) && (line[len - 1] & 0x80)
           && len > LOG_LINE - 4)
    {
        len--;
    }

    n = buf_is_text(line, len);

    for (i = 0; i < len; i++) {
        c = (unsigned char) line[i];

        if (c == '\n' || c == '\r') {
            line[i] = ' ';

        } else if (c < 0x20 || c == 0x7f || (c >= 0x80 && !n)) {
            line[i] = '?';
        }
    }

    line[len] = '\0';

    return len;
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
