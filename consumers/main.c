/* sluice-consumer: the options, and which subcommand they choose. */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <linux/close_range.h>

#include "base/log.h"
#include "conf/conf.h"
#include "conf/doc.h"
#include "daemon/daemon.h"
#include "kafka/client.h"
#include "tools/command.h"
#include "version.h"


#define EXIT_CONFIG  78    /* EX_CONFIG of sysexits.h */


typedef enum {
    MAIN_ROOT = 0,
    MAIN_CHECK,
    MAIN_CONFIG,
    MAIN_DEBUG,
    MAIN_HELP,
    MAIN_HELP_CONFIG,
    MAIN_LOG_FORMAT,
    MAIN_LOG_LEVEL,
    MAIN_VERSION,
    MAIN_NONE
} main_key_t;


typedef struct {
    const char    *name;
    const char    *letter;   /* another name, or NULL */
    bool           value;    /* one has to follow */
    bool           first;    /* not behind a subcommand's name */
} main_option_t;


typedef struct {
    const char    *file;
    log_level_t    level;
    log_format_t   format;
    bool           check;
    bool           help;
    bool           root;         /* it may run as root */
    bool           version;
    const char    *help_config;  /* the format, or NULL */
} main_options_t;


static int main_options(main_options_t *options, int *argc, char **argv);
static main_key_t main_option(const char *arg, const char **value);
static int main_set(main_options_t *options, main_key_t key,
    const char *value);
static int main_word(const char *name, const char *const *words, size_t n,
    const char *what);
static int main_run(const main_options_t *options, const command_t *command,
    int argc, char **argv);
static int main_again(void);
static void usage(FILE *out);


static char  **main_argv;    /* as given, for another run */


/* By main_key_t. */

static const main_option_t  known[] = {
    { "--allow-root",  NULL, false, false },
    { "--check",       "-t", false, true },
    { "--config",      "-c", true,  false },
    { "--debug",       "-d", false, false },
    { "--help",        "-h", false, false },
    { "--help-config", NULL, false, true },
    { "--log-format",  NULL, true,  false },
    { "--log-level",   NULL, true,  false },
    { "--version",     "-V", false, true }
};


int
main(int argc, char **argv)
{
    int               status;
    main_options_t    options;
    const command_t  *command;

    memset(&options, 0, sizeof(main_options_t));
    options.level = LOG_LEVEL_INFO;

    main_argv = calloc((size_t) argc + 1, sizeof(char *));
    if (main_argv == NULL) {
        return COMMAND_FAILED;
    }

    memcpy(main_argv, argv, (size_t) argc * sizeof(char *));

#ifndef __SANITIZE_ADDRESS__
    /* no core, no debugger: there are passwords in memory */
    (void) prctl(PR_SET_DUMPABLE, 0);
#endif

    if (main_options(&options, &argc, argv) == -1) {
        usage(stderr);
        return COMMAND_USAGE;
    }

    if (options.version) {
        printf("sluice-consumer %s (librdkafka %s)\n", SLUICE_VERSION,
               rd_kafka_version_str());
        return COMMAND_OK;
    }

    if (options.help_config) {
        return conf_doc(options.help_config) == -1 ? COMMAND_USAGE
                                                   : COMMAND_OK;
    }

    command = argc > 1 ? command_find(argv[1]) : NULL;

    if (argc > 1 && command == NULL) {
        fprintf(stderr, "unknown subcommand \"%s\"\n", argv[1]);
        usage(stderr);
        return COMMAND_USAGE;
    }

    if (options.help) {
        if (command) {
            command_usage(stdout, command);
        } else {
            usage(stdout);
        }
        return COMMAND_OK;
    }

    if ((options.file == NULL && !(command && command->bare))
        || (options.check && command))
    {
        usage(stderr);
        return COMMAND_USAGE;
    }

    log_init(options.level, options.format);

    if (options.check) {
        command = &command_check;
    }

    status = main_run(&options, command, argc - 1, argv + 1);

    return status == DAEMON_RELOAD ? main_again() : status;
}


/*
 * Takes what every subcommand shares out of argv, wherever it stands; the
 * rest is the subcommand's.
 */

static int
main_options(main_options_t *options, int *argc, char **argv)
{
    int          i, n;
    main_key_t   key;
    const char  *value;

    for (i = 1, n = 1; i < *argc; i++) {
        key = main_option(argv[i], &value);

        if (key == MAIN_NONE || (known[key].first && n > 1)) {
            if (n == 1 && argv[i][0] == '-') {
                fprintf(stderr, "unknown option \"%s\"\n", argv[i]);
                return -1;
            }
            argv[n++] = argv[i];
            continue;
        }

        if (known[key].value && value == NULL) {
            if (i + 1 == *argc) {
                return -1;
            }
            value = argv[++i];
        }

        if (main_set(options, key, value) == -1) {
            return -1;
        }
    }

    *argc = n;
    argv[n] = NULL;

    return 0;
}


/* The option that "arg" is, with what stands behind its "=", else NULL. */

static main_key_t
main_option(const char *arg, const char **value)
{
    size_t      len;
    main_key_t  key;

    *value = NULL;

    for (key = MAIN_ROOT; key < MAIN_NONE; key++) {
        len = strlen(known[key].name);

        if (strcmp(arg, known[key].name) == 0
            || (known[key].letter && strcmp(arg, known[key].letter) == 0))
        {
            return key;
        }

        if (strncmp(arg, known[key].name, len) == 0 && arg[len] == '='
            && (known[key].value || key == MAIN_HELP_CONFIG))
        {
            *value = arg + len + 1;
            return key;
        }
    }

    return MAIN_NONE;
}


static int
main_set(main_options_t *options, main_key_t key, const char *value)
{
    int  word;

    static const char *const  formats[] = { "text", "journal", "json" };
    static const char *const  levels[] = { "error", "warn", "info",
                                           "debug" };

    switch (key) {

    case MAIN_ROOT:
        options->root = true;
        break;

    case MAIN_CHECK:
        options->check = true;
        break;

    case MAIN_CONFIG:
        options->file = value;
        break;

    case MAIN_DEBUG:
        options->level = LOG_LEVEL_DEBUG;
        break;

    case MAIN_HELP:
        options->help = true;
        break;

    case MAIN_HELP_CONFIG:
        options->help_config = value ? value : "text";
        break;

    case MAIN_LOG_FORMAT:
        word = main_word(value, formats, 3, "format");
        options->format = (log_format_t) (LOG_TEXT + word);
        return word == -1 ? -1 : 0;

    case MAIN_LOG_LEVEL:
        word = main_word(value, levels, 4, "level");
        options->level = (log_level_t) (LOG_LEVEL_ERROR + word);
        return word == -1 ? -1 : 0;

    case MAIN_VERSION:
        options->version = true;
        break;

    case MAIN_NONE:
        break;
    }

    return 0;
}


/* The place of a name among "words"; -1, and said, if it is none of them. */

static int
main_word(const char *name, const char *const *words, size_t n,
    const char *what)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (strcmp(name, words[i]) == 0) {
            return (int) i;
        }
    }

    fprintf(stderr, "unknown log %s \"%s\"\n", what, name);

    return -1;
}


/* Without a subcommand it is the daemon. */

static int
main_run(const main_options_t *options, const command_t *command, int argc,
    char **argv)
{
    int            status;
    char           err[CONF_ERROR_MAX];
    const conf_t  *conf;

    if (command && command->bare) {
        return command_run(command, NULL, argc, argv);
    }

    if (command == NULL && geteuid() == 0 && !options->root) {
        log_error("will not run as root: use another user, as the service's "
                  "unit does, or say --allow-root");
        return COMMAND_USAGE;
    }

    conf = conf_read(options->file, err);

    if (conf == NULL || client_prove(conf, err) == -1) {
        log_error("%s", err);
        conf_free(conf);
        return EXIT_CONFIG;
    }

    status = command ? command_run(command, conf, argc, argv)
                     : daemon_run(conf, NULL);
    conf_free(conf);

    return status;
}


/* Another run in this process: the service manager knows its number. */

static int
main_again(void)
{
    (void) close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    (void) execv("/proc/self/exe", main_argv);

    log_warn("could not run again");

    return COMMAND_FAILED;
}


static void
usage(FILE *out)
{
    fprintf(out,
            "usage: sluice-consumer --config FILE [--check]\n"
            "       sluice-consumer --config FILE SUBCOMMAND ...\n"
            "       sluice-consumer --help-config[=FORMAT]\n"
            "\n"
            "  -c, --config FILE   the configuration, a JSON file\n"
            "  -t, --check         check it against the live broker and\n"
            "                      database, say what would happen, and exit\n"
            "      --log-level LEVEL\n"
            "                      error, warn, info (the default) or\n"
            "                      debug, which tells the steps of a batch\n"
            "  -d, --debug         the same as --log-level debug\n"
            "      --log-format FORMAT\n"
            "                      text, journal or json; by default journal\n"
            "                      where the log goes there, else text\n"
            "      --allow-root    run the daemon though this is root\n"
            "  -h, --help          show this, or a subcommand's own help\n"
            "      --help-config   show every key of the configuration, as\n"
            "                      text or json\n"
            "  -V, --version       show the version\n"
            "\n"
            "Subcommands:\n");

    command_list(out);
    fprintf(out,
            "\nExit status: 0 stopped as told, 1 failed, 2 wrong arguments,\n"
            "78 the configuration is wrong.\n");
}
