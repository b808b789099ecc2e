/* Lines to standard error: as text, for the journal or as JSON. */

#ifndef SLUICE_LOG_H
#define SLUICE_LOG_H


#include <errno.h>
#include <stdint.h>


typedef enum {
    LOG_LEVEL_ERROR = 0,
    LOG_LEVEL_WARN,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG
} log_level_t;


/* One repeating message: zero-initialized, owned by the code that logs it. */
typedef struct {
    int64_t   last;        /* ms, monotonic, of the last line */
    uint64_t  suppressed;  /* lines left out since then */
} log_limit_t;


typedef enum {
    LOG_AUTO = 0,      /* LOG_JOURNAL where standard error is the journal */
    LOG_TEXT,          /* time, level, text */
    LOG_JOURNAL,       /* "<3>text", sd-daemon(3) */
    LOG_JSON           /* an object with time, level and message */
} log_format_t;


/* Lines above this level are not written; log_init() sets it. */
extern log_level_t  log_level;

void log_init(log_level_t level, log_format_t format);

/*
 * Writes one line, whatever the text holds: line feeds become spaces, other
 * control characters and what is not UTF-8 question marks.  An "err" other
 * than 0 appends ": " and the text of that errno.
 */
void log_line(log_level_t level, int err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* log_debug() evaluates its arguments only where they are written. */
#define log_debug(...)                                                       \
    (log_level >= LOG_LEVEL_DEBUG                                            \
     ? log_line(LOG_LEVEL_DEBUG, 0, __VA_ARGS__) : (void) 0)
#define log_info(...)   log_line(LOG_LEVEL_INFO, 0, __VA_ARGS__)
#define log_warn(...)   log_line(LOG_LEVEL_WARN, errno, __VA_ARGS__)
#define log_warnx(...)  log_line(LOG_LEVEL_WARN, 0, __VA_ARGS__)
#define log_error(...)  log_line(LOG_LEVEL_ERROR, 0, __VA_ARGS__)

/* log_warnx() at most once a second; says how many lines were left out. */
void log_limited(log_limit_t *limit, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));


#endif
