/* sluice-consumer: the options, and what is run: the daemon or a subcommand. */

#include <limits.h>
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
#define MAIN_SHARED  3     /* options from here on may stand anywhere */


typedef struct {
    const char  *file;
    const char  *log_format;
    const char  *log_level;
    const char  *topic;          /* one of several, or NULL */
    const char  *help_config;    /* the format, or NULL */
    bool         check;
    bool         help;
    bool         root;           /* it may run as root */
    bool         version;
} main_options_t;


static int main_do(main_options_t *options, command_line_t *line, int argc,
    char **argv);
static int main_choose(main_options_t *options, command_line_t *line,
    int argc, char **argv);
static int main_log(const main_options_t *options);
static int main_word(const char *name, const char *const *words,
    const char *what);
static int main_run(const main_options_t *options, command_line_t *line);
static int main_again(void);
static int usage(FILE *out, const command_t *command);


#define MAIN_OPTION(name, letter, kind, member)                               \
    { name, OPTION_##kind, offsetof(main_options_t, member), letter }

static const option_t  known[] = {
    MAIN_OPTION("check",       't', FLAG,  check),
    MAIN_OPTION("help-config", 0,   MAYBE, help_config),
    MAIN_OPTION("version",     'V', FLAG,  version),
    MAIN_OPTION("allow-root",  0,   FLAG,  root),
    MAIN_OPTION("config",      'c', TEXT,  file),
    MAIN_OPTION("debug",       'd', NAME,  log_level),
    MAIN_OPTION("help",        'h', FLAG,  help),
    MAIN_OPTION("log-format",  0,   TEXT,  log_format),
    MAIN_OPTION("log-level",   0,   TEXT,  log_level),
    MAIN_OPTION("topic",       0,   TEXT,  topic),
    OPTION_END
};

static char  **main_argv;    /* as given, for another run */
static char    main_program[PATH_MAX];    /* where it was at the start, or "" */


int
main(int argc, char **argv)
{
    int             status;
    command_line_t  line = { 0 };
    main_options_t  options = { 0 };

    main_argv = calloc((size_t) argc + 1, sizeof(char *));
    if (main_argv == NULL) {
        return COMMAND_FAILED;
    }

    memcpy(main_argv, argv, (size_t) argc * sizeof(char *));

    if (readlink("/proc/self/exe", main_program, sizeof(main_program) - 1)
        == -1)
    {
        main_program[0] = '\0';
    }

#ifndef __SANITIZE_ADDRESS__
    /* no core, no debugger: there are passwords in memory */
    (void) prctl(PR_SET_DUMPABLE, 0);
#endif

    status = main_do(&options, &line, argc, argv);
    free(line.tool);

    return status == DAEMON_RELOAD ? main_again() : status;
}


/* Returns the exit status, or DAEMON_RELOAD. */

static int
main_do(main_options_t *options, command_line_t *line, int argc, char **argv)
{
    if (main_choose(options, line, argc, argv) == -1) {
        return usage(stderr, line->command);
    }

    if (options->version) {
        printf("sluice-consumer %s (librdkafka %s)\n", SLUICE_VERSION,
               rd_kafka_version_str());
        return COMMAND_OK;
    }

    if (options->help_config) {
        return conf_doc(options->help_config[0] ? options->help_config : "text")
               == -1 ? COMMAND_USAGE : COMMAND_OK;
    }

    if (options->help) {
        (void) usage(stdout, line->command);
        return COMMAND_OK;
    }

    if ((options->file == NULL && !(line->command && line->command->bare))
        || main_log(options) == -1)
    {
        return usage(stderr, NULL);
    }

    return main_run(options, line);
}


/* Returns -1 after an error line if the arguments are wrong. */

static int
main_choose(main_options_t *options, command_line_t *line, int argc,
    char **argv)
{
    options_t  tables[2];

    memset(tables, 0, sizeof(tables));
    tables[0].options = known;
    tables[0].structure = options;
    argc = options_read(tables, true, argc, argv);

    if (argc == -1) {
        return -1;
    }

    if (argc == 0) {
        line->command = options->check ? &command_check : NULL;
        argc = 1;

    } else {
        argv++;
        line->command = command_find(argv[0]);

        if (line->command == NULL || options->check) {
            fprintf(stderr, line->command ? "--check stands alone\n"
                                          : "unknown subcommand \"%s\"\n",
                    argv[0]);
            line->command = NULL;
            return -1;
        }
    }

    tables[0].options = known + MAIN_SHARED;

    return line->command ? command_parse(line, tables, argc, argv) : 0;
}


static int
main_log(const main_options_t *options)
{
    int  format, level;

    /* by log_format_t, behind LOG_AUTO, and by log_level_t */
    static const char *const  formats[] = { "text", "journal", "json", NULL };
    static const char *const  levels[] = {
        "error", "warn", "info", "debug", NULL
    };

    format = LOG_AUTO;
    level = LOG_LEVEL_INFO;

    if (options->log_format) {
        format = main_word(options->log_format, formats, "format");
        if (format == -1) {
            return -1;
        }
        format += LOG_TEXT;
    }

    if (options->log_level) {
        level = main_word(options->log_level, levels, "level");
        if (level == -1) {
            return -1;
        }
    }

    log_init((log_level_t) level, (log_format_t) format);

    return 0;
}


/* The place of a name among "words"; -1 after an error line: it is none. */

static int
main_word(const char *name, const char *const *words, const char *what)
{
    int  i;

    for (i = 0; words[i]; i++) {
        if (strcmp(name, words[i]) == 0) {
            return i;
        }
    }

    fprintf(stderr, "unknown log %s \"%s\"\n", what, name);

    return -1;
}


static int
main_run(const main_options_t *options, command_line_t *line)
{
    int            status;
    char           err[CONF_ERROR_MAX];
    const conf_t  *conf;

    if (options->topic && (line->command == NULL || line->command->bare)) {
        fprintf(stderr, "--topic goes with a subcommand that reads a "
                "configuration\n");
        return usage(stderr, NULL);
    }

    if (line->command && line->command->bare) {
        return command_run(line, NULL, NULL);
    }

    if (line->command == NULL && geteuid() == 0 && !options->root) {
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

    status = line->command ? command_run(line, conf, options->topic)
                           : daemon_run(conf, NULL);
    conf_free(conf);

    return status;
}


/*
 * Runs again in this process, whose number the service manager knows: the
 * program that an upgrade put in this one's place, or this one again.
 */

static int
main_again(void)
{
    (void) close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    (void) execv(main_program, main_argv);
    (void) execv("/proc/self/exe", main_argv);

    log_warn("could not execute the program again");

    return COMMAND_FAILED;
}


static int
usage(FILE *out, const command_t *command)
{
    if (command) {
        command_usage(out, command);
        return COMMAND_USAGE;
    }

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
            "                      debug, which logs the steps of a batch\n"
            "  -d, --debug         the same as --log-level debug; of several\n"
            "                      levels the last one counts\n"
            "      --log-format FORMAT\n"
            "                      text, journal or json; by default journal\n"
            "                      where the log goes there, else text\n"
            "      --topic TOPIC   the one that a subcommand is about, if the\n"
            "                      configuration has several\n"
            "      --allow-root    run the daemon though this is root\n"
            "  -h, --help          show this, or a subcommand's own help\n"
            "      --help-config   show every key of the configuration, as\n"
            "                      text or json\n"
            "  -V, --version       show the version\n"
            "\n"
            "Subcommands:\n");
    command_list(out);
    fprintf(out,
            "\nExit status: 0 done or stopped, 1 failed, 2 wrong arguments,\n"
            "78 the configuration is wrong.\n");

    return COMMAND_USAGE;
}
