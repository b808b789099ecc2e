/* Lines to standard error: as text, for the journal or as JSON. */

#ifndef SLUICE_LOG_H
#define SLUICE_LOG_H


#include <stddef.h>
#include <stdint.h>


typedef enum {
    LOG_LEVEL_ERROR = 0,
    LOG_LEVEL_WARN,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG
} log_level_t;


/* One repeating message: zero-initialized, owned by who logs it. */
typedef struct {
    int64_t   last;        /* ms, monotonic, of the last line */
    uint64_t  suppressed;  /* since then */
} log_limit_t;


typedef enum {
    LOG_AUTO = 0,      /* LOG_JOURNAL where standard error is the journal */
    LOG_TEXT,          /* time, level, text */
    LOG_JOURNAL,       /* "<3>text", sd-daemon(3) */
    LOG_JSON           /* an object with time, level and message */
} log_format_t;


void log_init(log_level_t level, log_format_t format);

void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Appends ": " and the text of errno. */
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warnx(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Only while starting: logs and leaves with exit status 1. */
void fatal(const char *fmt, ...)
    __attribute__((format(printf, 1, 2), noreturn));

/* Like log_warnx(), at most once a second; says how many were left out. */
void log_limited(log_limit_t *limit, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Copies "len" bytes of a client's or a server's text into "dst" of "size"
 * bytes with everything that is not printable ASCII or UTF-8's upper half as
 * \xHH; cut with "..." where it does not fit.  Returns dst.
 */
char *log_escape(char *dst, size_t size, const char *src, size_t len);

/* Milliseconds of the monotonic clock. */
int64_t log_clock(void);


#endif
