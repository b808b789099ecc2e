/* Lines to standard error: as text, for the journal or as JSON. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "json/json.h"


#define LOG_LINE  2048    /* bytes; the rest of a longer text is cut off */


static void log_write(log_level_t level, int err, const char *fmt,
    va_list ap);
static size_t log_text(char *line, int err, const char *fmt, va_list ap);
static void log_json(const char *date, log_level_t level, const char *line,
    size_t len);
static int log_is_journal(void);


log_level_t  log_level = LOG_LEVEL_INFO;

static log_format_t  log_format = LOG_TEXT;

static const char *const  log_names[] = { "error", "warn", "info", "debug" };

/* syslog(3)'s numbers, as sd-daemon(3) wants them before a line */
static const int  log_priorities[] = { 3, 4, 6, 7 };


void
log_init(log_level_t level, log_format_t format)
{
    log_level = level;
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


void
log_line(log_level_t level, int err, const char *fmt, ...)
{
    va_list  ap;

    va_start(ap, fmt);
    log_write(level, err, fmt, ap);
    va_end(ap);
}


void
log_limited(log_limit_t *limit, const char *fmt, ...)
{
    int64_t  now = clock_ms();
    va_list  ap;

    if (limit->last && now - limit->last < 1000) {
        limit->suppressed++;
        return;
    }

    va_start(ap, fmt);
    log_write(LOG_LEVEL_WARN, 0, fmt, ap);
    va_end(ap);

    if (limit->suppressed) {
        log_warnx("%llu more like the line above were left out",
                  (unsigned long long) limit->suppressed);
    }

    limit->last = now;
    limit->suppressed = 0;
}


/* One write() a line, so that the lines of several daemons do not mix. */

static void
log_write(log_level_t level, int err, const char *fmt, va_list ap)
{
    char     line[LOG_LINE], out[LOG_LINE + 64], date[CLOCK_PRINTED];
    size_t   len;
    ssize_t  n;

    if (level > log_level) {
        return;
    }

    len = log_text(line, err, fmt, ap);
    clock_print(date, clock_wall(), 'T');

    if (log_format == LOG_JSON) {
        log_json(date, level, line, len);
        return;
    }

    if (log_format == LOG_JOURNAL) {
        snprintf(out, sizeof(out), "<%d>%s\n", log_priorities[level], line);
    } else {
        snprintf(out, sizeof(out), "%sZ %s: %s\n", date, log_names[level],
                 line);
    }

    n = write(STDERR_FILENO, out, strlen(out));
    (void) n;
}


static void
log_json(const char *date, log_level_t level, const char *line, size_t len)
{
    buf_t    json = { 0 };
    ssize_t  n;

    buf_addf(&json, "{\"time\":\"%sZ\",\"level\":\"%s\",\"message\":\"", date,
             log_names[level]);
    text_add_json(&json, line, len);
    buf_addf(&json, "\"}\n");

    if (!buf_failed(&json)) {
        n = write(STDERR_FILENO, json.data, json.len);
        (void) n;
    }

    buf_free(&json);
}


/* The message on one line, UTF-8, without bytes that steer a terminal. */

static size_t
log_text(char *line, int err, const char *fmt, va_list ap)
{
    int     n;
    size_t  len;

    n = vsnprintf(line, LOG_LINE, fmt, ap);
    len = n < 0 ? 0 : (size_t) n < LOG_LINE ? (size_t) n : LOG_LINE - 1;

    if (err) {
        n = snprintf(line + len, LOG_LINE - len, ": %s", strerror(err));
        len += (size_t) n < LOG_LINE - len ? (size_t) n : LOG_LINE - len - 1;
    }

    json_one_line(line, len);
    line[len] = '\0';

    return len;
}
