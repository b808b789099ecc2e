/* Reads the options of a command line by tables. */

#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "conf/units.h"
#include "tools/options.h"
#include "tools/report.h"


#define OPTIONS_MAX    32     /* of both tables */
#define OPTIONS_FIRST  256    /* beyond all letters */


static int options_set(const option_t *option, void *value, const char *text);


int
options_read(const options_t tables[2], bool first, int argc, char **argv)
{
    int               c, i, n;
    char              letters[2 * OPTIONS_MAX + 2], *p;
    struct option     known[OPTIONS_MAX + 1];
    const option_t   *option, *options[OPTIONS_MAX];
    void             *values[OPTIONS_MAX];

    memset(known, 0, sizeof(known));
    p = letters;

    if (first) {
        *p++ = '+';
    }

    for (i = 0, n = 0; i < 2; i++) {
        for (option = tables[i].options;
             option && option->name && n < OPTIONS_MAX; option++, n++)
        {
            options[n] = option;
            values[n] = (char *) tables[i].structure + option->offset;
            known[n].name = option->name;
            known[n].has_arg = option->kind == OPTION_FLAG
                               || option->kind == OPTION_NAME ? no_argument
                               : option->kind == OPTION_MAYBE
                               ? optional_argument : required_argument;
            known[n].val = OPTIONS_FIRST + n;

            if (option->letter) {
                *p++ = option->letter;
                if (option->kind == OPTION_TEXT) {
                    *p++ = ':';
                }
            }
        }
    }

    *p = '\0';
    optind = 0;

    while ((c = getopt_long(argc, argv, letters, known, NULL)) != -1) {

        for (i = 0; i < n; i++) {
            if (c == known[i].val || c == options[i]->letter) {
                break;
            }
        }

        if (i == n || options_set(options[i], values[i], optarg) == -1) {
            return -1;
        }
    }

    n = argc - optind;
    memmove(argv + 1, argv + optind, (size_t) n * sizeof(char *));
    argv[n + 1] = NULL;

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

    case OPTION_NAME:
        *(const char **) value = option->name;
        return 0;

    case OPTION_NUMBER:
        if (options_number(text, &n) == -1) {
            break;
        }
        /* fall through */

    case OPTION_TEXT:
    case OPTION_MAYBE:
        *(const char **) value = text ? text : "";
        return 0;

    case OPTION_TIME:
        if (conf_parse_time(text, &n) == -1 || n == 0) {
            break;
        }
        *(int64_t *) value = n;
        return 0;

    case OPTION_PARTITIONS:
        if (options_number(text, &n) == -1 || n > INT32_MAX) {
            return report_error("\"%s\" is no partition", text);
        }
        list = value;
        buf_addf(list, "%s%" PRId64, list->len ? "," : "", n);
        return 0;
    }

    return report_error("--%s: \"%s\" is no %s", option->name, text,
                        option->kind == OPTION_TIME
                        ? "time, such as \"30d\"" : "number");
}


int
options_number(const char *s, int64_t *n)
{
    return s[0] != '-'
           && text_get_int(s, strlen(s), sizeof(int64_t), n) == 0 ? 0 : -1;
}


int
options_date(const char *s, int64_t *ms)
{
    if (conf_parse_date(s, ms) == -1) {
        return report_error("\"%s\" is no RFC 3339 time", s);
    }

    return 0;
}
