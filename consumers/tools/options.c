/* The options of a subcommand, read by a table of them. */

#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "conf/units.h"
#include "tools/options.h"
#include "tools/report.h"


#define OPTIONS_MAX    16
#define OPTIONS_FIRST  256    /* beyond what getopt_long() returns by itself */


static int options_set(const option_t *option, void *value, const char *text);


int
options_read(const option_t *options, void *structure, int argc, char **argv)
{
    int              c, n;
    struct option    known[OPTIONS_MAX + 1];
    const option_t  *option;

    memset(known, 0, sizeof(known));

    for (n = 0; options && options[n].name && n < OPTIONS_MAX; n++) {
        known[n].name = options[n].name;
        known[n].has_arg = options[n].kind == OPTION_FLAG ? no_argument
                                                          : required_argument;
        known[n].val = OPTIONS_FIRST + n;
    }

    optind = 0;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (c < OPTIONS_FIRST) {
            return -1;
        }

        option = &options[c - OPTIONS_FIRST];

        if (options_set(option, (char *) structure + option->offset, optarg)
            == -1)
        {
            return -1;
        }
    }

    n = argc - optind;
    memmove(argv + 1, argv + optind, (size_t) n * sizeof(char *));

    return n;
}


static int
options_set(const option_t *option, void *value, const char *text)
{
    buf_t    *list;
    int64_t   n;

    switch (option->kind) {

    case OPTION_FLAG:
        *(bool *) value = true;
        return 0;

    case OPTION_NUMBER:
        if (options_number(text, &n) == -1) {
            break;
        }
        /* fall through */

    case OPTION_TEXT:
        *(const char **) value = text;
        return 0;

    case OPTION_TIME:
        if (conf_parse_time(text, &n) == -1 || n == 0) {
            break;
        }
        *(int64_t *) value = n;
        return 0;

    case OPTION_PARTITIONS:
        if (options_number(text, &n) == -1 || n > INT32_MAX) {
            report_error("\"%s\" is no partition", text);
            return -1;
        }
        list = value;
        buf_addf(list, "%s%" PRId64, list->len ? "," : "", n);
        return 0;
    }

    report_error("--%s: \"%s\" is no %s", option->name, text,
                 option->kind == OPTION_TIME ? "time, such as \"30d\""
                                             : "number");

    return -1;
}


int
options_number(const char *s, int64_t *n)
{
    size_t  len;

    len = strspn(s, "0123456789");

    if (len == 0 || len > 18 || s[len] != '\0') {
        return -1;
    }

    *n = strtoll(s, NULL, 10);

    return 0;
}


int
options_date(const char *s, int64_t *ms)
{
    if (conf_parse_date(s, ms) == -1) {
        report_error("\"%s\" is no RFC 3339 time", s);
        return -1;
    }

    return 0;
}
