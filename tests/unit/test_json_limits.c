/* The strict JSON reader: its limits, duplicate names, and what it costs. */

#include <time.h>

#include "json_test.h"


static void
test_depth(void)
{
    int  i, n;

    for (n = JSON_MAX_DEPTH - 1; n <= JSON_MAX_DEPTH + 1; n++) {
        big_len = 0;
        add_times("[", (size_t) n);
        add_times("]", (size_t) n);

        ok((parse_big() == NULL) == (n <= JSON_MAX_DEPTH), "%d arrays", n);

        big_len = 0;
        add_times("{\"a\":", (size_t) n - 1);
        add("{}");
        add_times("}", (size_t) n - 1);

        ok((parse_big() == NULL) == (n <= JSON_MAX_DEPTH), "%d objects", n);

        big_len = 0;
        add_times("[{\"a\":", (size_t) n / 2);
        add(n % 2 ? "[]" : "1");
        add_times("}]", (size_t) n / 2);

        ok((parse_big() == NULL) == (n <= JSON_MAX_DEPTH), "%d mixed", n);
    }

    big_len = 0;
    add("[");
    for (i = 0; i < 1000; i++) {
        add(i ? ",[[]]" : "[[]]");
    }
    add("]");
    ok(parse_big() == NULL, "depth is not length");
}


static void
test_members(void)
{
    int  n;

    for (n = JSON_MAX_MEMBERS - 1; n <= JSON_MAX_MEMBERS + 1; n++) {
        big_len = 0;
        add_object("k", (unsigned) n);

        ok((parse_big() == NULL) == (n <= JSON_MAX_MEMBERS), "%d members", n);
    }

    is_str(parse_big(), "too many members in one object", "too many members");

    big_len = 0;
    add("[1");
    add_times(",1", 100000);
    add("]");
    ok(parse_big() == NULL, "an array has no such limit");
    is(doc.count, 100002, "its tokens are counted");
}


static void
test_numbers(void)
{
    int   i, n;
    char  name[64];

    for (n = JSON_MAX_DIGITS - 1; n <= JSON_MAX_DIGITS + 1; n++) {
        big_len = 0;
        add_times("9", (size_t) n);
        ok((parse_big() == NULL) == (n <= JSON_MAX_DIGITS), "%d digits", n);

        big_len = 0;
        add("-0.");
        add_times("9", (size_t) n - 1);
        ok((parse_big() == NULL) == (n <= JSON_MAX_DIGITS),
           "%d digits, most behind the point", n);

        big_len = 0;
        add_times("9", (size_t) n / 2);
        add(".");
        add_times("9", (size_t) n - (size_t) n / 2);
        add("e-15000");
        ok((parse_big() == NULL) == (n <= JSON_MAX_DIGITS),
           "%d digits on both sides", n);

        big_len = 0;
        add("1e");
        add_times("0", (size_t) n);
        ok((parse_big() == NULL) == (n <= JSON_MAX_DIGITS),
           "%d digits of an exponent", n);
    }

    for (n = JSON_MAX_EXPONENT - 1; n <= JSON_MAX_EXPONENT + 1; n++) {
        for (i = 0; i < 8; i++) {
            (void) snprintf(name, sizeof(name), "[%s%c%s%d]",
                            i & 1 ? "1.5" : "-1", i & 2 ? 'e' : 'E',
                            i & 4 ? "-" : "+", n);
            ok((parse(name, strlen(name), NULL) == NULL)
               == (n <= JSON_MAX_EXPONENT), "%s", name);
        }
    }
}


/* PostgreSQL could not print them: 1e15000 is 15,001 bytes there. */

static void
test_zeros(void)
{
    int  n;

    for (n = JSON_MAX_ZEROS / JSON_MAX_EXPONENT - 1;
         n <= JSON_MAX_ZEROS / JSON_MAX_EXPONENT + 1;
         n++)
    {
        big_len = 0;
        add("[0");
        add_times(n % 2 ? ",1e15000" : ",1e-15000", (size_t) n);
        add("]");

        ok((parse_big() == NULL) == (n <= JSON_MAX_ZEROS / JSON_MAX_EXPONENT),
           "%d numbers of the largest exponent", n);
    }

    is_str(parse_big(), "too many large exponents", "one more is too many");

    big_len = 0;
    add("[0");
    add_times(",1.5e3", 1000000);
    add("]");
    ok(parse_big() == NULL, "a million small exponents are none");
}


static void
test_lengths(void)
{
    json_error_t  err;

    if (sizeof(size_t) > 4) {
        is(json_parse(&doc, "1", (size_t) JSON_MAX_LEN + 1, &err), -1,
           "a text beyond JSON_MAX_LEN");
        is_str(err.reason, "text is too long", "is too long, unread");
    }
}


/* Duplicates at every place, below and above where names are hashed. */

static void
test_duplicates(void)
{
    int       missed;
    char      name[64];
    unsigned  n, i, at, escaped;

    missed = 0;

    for (n = 2; n <= 40; n++) {
        for (at = 0; at < n - 1; at++) {
            for (escaped = 0; escaped < 4; escaped++) {
                big_len = 0;
                add("{");

                for (i = 0; i < n - 1; i++) {
                    (void) snprintf(name, sizeof(name), "\"%s%u\":[{}],",
                                    escaped & 1 ? "\\u006b" : "k", i);
                    add(name);
                }

                (void) snprintf(name, sizeof(name), "\"%s%u\":{\"k0\":1}}",
                                escaped & 2 ? "\\u006B" : "k", at);
                add(name);

                missed += parse_big() == NULL
                          || strcmp(parse_big(), "duplicate member") != 0;
            }
        }
    }

    is(missed, 0, "every duplicate is seen, escaped or not");

    big_len = 0;
    add_object("n", 1023);
    big_len--;
    add(",\"n511\":1}");
    is_str(parse_big(), "duplicate member", "a duplicate among 1,024");
}


/* Many objects with the same names, nested and one after the other. */

static void
test_names(void)
{
    int       fine;
    char      name[128];
    unsigned  n, i;

    for (fine = 1, n = 1; n < 30; n++) {
        big_len = 0;
        add("[");
        add_object("a", n);
        add(",");
        add_object("a", n);
        add(",{\"a0\":");
        add_object("a", n);
        add(",\"a1\":");
        add_object("a", n);

        for (i = 2; i < n; i++) {
            (void) snprintf(name, sizeof(name), ",\"a%u\":{\"a0\":1}", i);
            add(name);
        }

        add("}]");
        fine &= parse_big() == NULL;
    }

    ok(fine, "objects do not see each other's names");

    /* the hash must tell apart names that differ in one place only */
    big_len = 0;
    add("{");

    for (i = 0; i < 256; i++) {
        (void) snprintf(name, sizeof(name),
                        "%s\"%.*sX%.*s\":1", i ? "," : "", (int) (i % 32),
                        "................................", (int) (i / 32),
                        "................................");
        add(name);
    }

    add("}");
    ok(parse_big() == NULL, "names of all lengths that are nearly equal");
}


static double
cpu_ms(void)
{
    struct timespec  now;

    (void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);

    return (double) now.tv_sec * 1e3 + (double) now.tv_nsec / 1e6;
}


/* Least CPU milliseconds of a few tries, warm. */

static double
cost(const char *text, size_t len, int *rc)
{
    int           n;
    double        start, spent, least;
    json_error_t  err;

    for (least = 1e9, n = 0; n < 5; n++) {
        start = cpu_ms();
        *rc = json_parse(&doc, text, len, &err);
        spent = cpu_ms() - start;
        least = spent < least ? spent : least;
    }

    return least;
}


/* "big" is refused, within "limit" milliseconds of CPU. */

static void
hostile(const char *name, double limit)
{
    int     rc;
    double  spent;

    spent = cost(big, big_len, &rc);

#if defined(__SANITIZE_ADDRESS__)
    limit *= 20;
#endif

    if (getenv("TAP_SLOW") != NULL) {
        limit *= 100;
    }

    ok(rc == -1 && spent <= limit, "%s: refused in %.3f ms of CPU", name,
       spent);
}


static void
test_cost(void)
{
    big_len = 0;
    add_times("[", 1000000);
    hostile("depth of a million", 5);

    big_len = 0;
    add_times("{\"a\":", 1000000);
    hostile("depth of a million objects", 5);

    big_len = 0;
    add_times("7", 200000);
    hostile("number of 200,000 digits", 5);

    big_len = 0;
    add("0.");
    add_times("0", 200000);
    hostile("number of 200,000 decimals", 5);

    big_len = 0;
    add("1e");
    add_times("9", 200000);
    hostile("exponent of 200,000 digits", 5);

    big_len = 0;
    add_object("k", 1000000);
    hostile("a million members", 5);

    big_len = 0;
    add("\"");
    add_times("a", 1000000);
    add("\\ud800\"");
    hostile("a lone surrogate behind a megabyte", 5);

    big_len = 0;
    add("\"");
    add_times("\xe4\xb8\xad", 300000);
    add("\xc0\x80\"");
    hostile("overlong UTF-8 behind a megabyte", 5);

    big_len = 0;
    add("1");
    add_times(" ", 1000000);
    add("x");
    hostile("a byte behind a megabyte of white space", 5);

    big_len = 0;
    add("{\"a\":\"");
    add_times("a", 1000000);
    add("\",\"\\u0061\":1}");
    hostile("a duplicate behind a megabyte", 5);
}


/* Names do not add up: a second half costs what the first did. */

static void
test_linear(void)
{
    int            rc;
    double         half, whole;
    size_t         len;
    uint32_t       size;
    json_token_t  *tokens;
    json_error_t   err;

    big_len = 0;
    add("[");

    while (big_len < 1 << 20) {
        add(big_len > 1 ? "," : "");
        add_object("\\u0061", 1024);
    }

    len = big_len;
    add("]");

    whole = cost(big, big_len, &rc);
    is(rc, 0, "a megabyte of objects of 1,024 members");

    big_len = 0;
    add("[");
    while (big_len < len / 2) {
        add(big_len > 1 ? "," : "");
        add_object("\\u0061", 1024);
    }
    add("]");

    half = cost(big, big_len, &rc);
    ok(whole < 6 * half, "is linear: %.2f ms, half of it %.2f ms", whole,
       half);

    tokens = doc.tokens;
    size = doc.size;
    is(json_parse(&doc, "{\"a\":[1,2,3]}", 13, &err), 0, "a small text");
    ok(doc.tokens == tokens && doc.size == size, "reuses the tokens");
}


int
main(void)
{
    test_depth();
    test_members();
    test_numbers();
    test_zeros();
    test_lengths();
    test_duplicates();
    test_names();
    test_cost();
    test_linear();

    json_doc_free(&doc);

    return tap_done();
}
