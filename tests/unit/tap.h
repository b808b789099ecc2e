/* Test Anything Protocol for the unit tests: one line a test, a plan last. */

#ifndef SLUICE_TAP_H
#define SLUICE_TAP_H


#include <stdarg.h>
#include <stdio.h>
#include <string.h>


static unsigned  tap_count;
static unsigned  tap_failed;


static inline int tap_ok(int passed, const char *file, int line,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));


static inline int
tap_ok(int passed, const char *file, int line, const char *fmt, ...)
{
    va_list  args;

    printf("%sok %u - ", passed ? "" : "not ", ++tap_count);

    va_start(args, fmt);
    (void) vprintf(fmt, args);
    va_end(args);

    printf("\n");

    if (!passed) {
        tap_failed++;
        printf("# %s:%d\n", file, line);
    }

    return passed;
}


static inline int
tap_is(long long got, long long wanted, const char *file, int line,
    const char *name)
{
    if (!tap_ok(got == wanted, file, line, "%s", name)) {
        printf("# got %lld, wanted %lld\n", got, wanted);
        return 0;
    }

    return 1;
}


static inline int
tap_str(const char *got, const char *wanted, const char *file, int line,
    const char *name)
{
    int  same;

    same = got != NULL && wanted != NULL ? strcmp(got, wanted) == 0
                                         : got == wanted;

    if (!tap_ok(same, file, line, "%s", name)) {
        printf("# got \"%s\"\n# wanted \"%s\"\n", got ? got : "(null)",
               wanted ? wanted : "(null)");
    }

    return same;
}


/* What main() returns. */

static inline int
tap_done(void)
{
    printf("1..%u\n", tap_count);

    return tap_failed != 0 || tap_count == 0;
}


#define ok(passed, ...)                                                       \
    tap_ok(!!(passed), __FILE__, __LINE__, __VA_ARGS__)
#define is(got, wanted, name)                                                 \
    tap_is((long long) (got), (long long) (wanted), __FILE__, __LINE__, name)
#define is_str(got, wanted, name)                                             \
    tap_str(got, wanted, __FILE__, __LINE__, name)


#endif
