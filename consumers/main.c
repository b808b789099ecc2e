/* sluice-consumer: a topic's records into a table, exactly once. */

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
#include "tools/check.h"
#include "tools/command.h"
#include "tools/dead_letters.h"
#include "tools/init.h"
#include "tools/setup.h"
#include "tools/tool.h"
#include "version.h"


#define EXIT_CONFIG  78    /* EX_CONFIG of sysexits.h */


typedef struct {
    const char    *file;
    log_level_t    level;
    log_format_t   format;
    int            check;
    int            help;
    int            root;       /* it may run as root */
} main_options_t;


static int main_options(main_options_t *options, int *argc, char **argv);
static int main_format(main_options_t *options, const char *name);
static int main_again(void);
static int main_run(const main_options_t *options, const command_t *command,
    int argc, char **argv);
static void usage(FILE *out);


static char  **main_argv;    /* as given, for another run */


/* By name.  One that is added here is in --help, and dispatched. */

static const command_t  commands[] = {
    { "dead-letters", "list, show, replay or purge what could not be a row",
      dead_letters_usage, dead_letters_run, 0 },
    { "init", "make a configuration, JSON Schema and DDL of a sample event",
      init_usage, init_run, 1 },
    { "lag", "records not yet in PostgreSQL, a partition a line",
      tool_lag_usage, tool_lag, 0 },
    { "offsets", "show what is stored, or go on elsewhere",
      tool_offsets_usage, tool_offsets, 0 },
    { "print-ddl", "show the DDL and grants for a configuration",
      print_ddl_usage, print_ddl_run, 0 },
    { "replay", "store the records of a time again",
      tool_replay_usage, tool_replay, 0 },
    { "setup", "do the DDL and grants, as an administrator",
      setup_usage, setup_run, 0 },
    { "verify", "prove that every offset is accounted for, once",
      tool_verify_usage, tool_verify, 0 },
    { "where", "what became of one record",
      tool_where_usage, tool_where, 0 },
    { NULL, NULL, NULL, NULL, 0 }
};


static void
usage(FILE *out)
{
    const command_t  *command;

    fprintf(out,
            "usage: sluice-consumer --config FILE [--check]\n"
            "       sluice-consumer --config FILE SUBCOMMAND ...\n"
            "       sluice-consumer --help-config[=FORMAT]\n"
            "\n"
            "  -c, --config FILE   the configuration, a JSON file\n"
            "  -t, --check         check it against the live broker and\n"
            "                      database, say what would happen, and exit\n"
            "  -d, --debug         say more in the log\n"
            "      --log-format FORMAT\n"
            "                      text, journal or json; by default journal\n"
            "                      where the log goes there, else text\n"
            "      --allow-root    run the daemon though this is root\n"
            "  -h, --help          show this, or a subcommand's own help\n"
            "      --help-config   show every key of the configuration, as\n"
            "                      text or json\n"
            "  -V, --version       show the version\n"
            "\n");

    for (command = commands; command->name; command++) {
        fprintf(out, "%s  %-18s  %s\n",
                command == commands ? "Subcommands:\n" : "", command->name,
                command->help);
    }

    fprintf(out,
            "%sExit status: 0 stopped as told, 1 failed, 2 wrong arguments,\n"
            "78 the configuration is wrong.\n",
            command == commands ? "" : "\n");
}


static void
command_usage(FILE *out, const command_t *command)
{
    fprintf(out, "usage: sluice-consumer %s%s %s",
            command->bare ? "" : "--config FILE ", command->name,
            command->usage);
}


static int
main_format(main_options_t *options, const char *name)
{
    size_t  i;

    static const struct {
        const char    *name;
        log_format_t   format;
    } formats[] = {
        { "text",    LOG_TEXT },
        { "journal", LOG_JOURNAL },
        { "json",    LOG_JSON }
    };

    for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (strcmp(name, formats[i].name) == 0) {
            options->format = formats[i].format;
            return 0;
        }
    }

    fprintf(stderr, "unknown log format \"%s\"\n", name);

    return -1;
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


/*
 * Takes what every subcommand shares out of argv, wherever it stands; the
 * rest is the subcommand's.
 */

static int
main_options(main_options_t *options, int *argc, char **argv)
{
    int          i, n, left;
    const char  *arg;

    for (i = 1, n = 1; i < *argc; i++) {
        arg = argv[i];
        left = *argc - i - 1;

        if (strcmp(arg, "-c") == 0 || strcmp(arg, "--config") == 0) {
            if (left == 0) {
                return -1;
            }
            options->file = argv[++i];

        } else if (strncmp(arg, "--config=", 9) == 0) {
            options->file = arg + 9;

        } else if (strcmp(arg, "-d") == 0 || strcmp(arg, "--debug") == 0) {
            options->level = LOG_LEVEL_DEBUG;

        } else if (strcmp(arg, "--log-format") == 0) {
            if (left == 0 || main_format(options, argv[++i]) == -1) {
                return -1;
            }

        } else if (strncmp(arg, "--log-format=", 13) == 0) {
            if (main_format(options, arg + 13) == -1) {
                return -1;
            }

        } else if (strcmp(arg, "--allow-root") == 0) {
            options->root = 1;

        } else if (strcmp(arg, "-h") == 0 || strcmp(arg, "--help") == 0) {
            options->help = 1;

        } else if (n == 1
                   && (strcmp(arg, "-t") == 0
                       || strcmp(arg, "--check") == 0))
        {
            options->check = 1;

        } else if (n == 1
                   && (strcmp(arg, "-V") == 0
                       || strcmp(arg, "--version") == 0))
        {
            printf("sluice-consumer %s (librdkafka %s)\n", SLUICE_VERSION,
                   rd_kafka_version_str());
            exit(0);

        } else if (n == 1 && strcmp(arg, "--help-config") == 0) {
            exit(conf_doc("text") == -1 ? COMMAND_USAGE : COMMAND_OK);

        } else if (n == 1 && strncmp(arg, "--help-config=", 14) == 0) {
            exit(conf_doc(arg + 14) == -1 ? COMMAND_USAGE : COMMAND_OK);

        } else if (n == 1 && arg[0] == '-') {
            fprintf(stderr, "unknown option \"%s\"\n", arg);
            return -1;

        } else {
            argv[n++] = argv[i];
        }
    }

    *argc = n;
    argv[n] = NULL;

    return 0;
}


static int
main_run(const main_options_t *options, const command_t *command, int argc,
    char **argv)
{
    int      status;
    char     err[CONF_ERROR_MAX];
    conf_t  *conf;

    if (command && command->bare) {
        return command->run(NULL, argc, argv);
    }

    conf = conf_read(options->file, err);

    if (conf == NULL || client_prove(conf, err) == -1) {
        log_error("%s", err);
        conf_free(conf);
        return EXIT_CONFIG;
    }

    if (command) {
        status = command->run(conf, argc, argv);

    } else {
        status = options->check ? check_run(conf)
                                : daemon_run(conf, NULL);
    }

    conf_free(conf);

    return status;
}


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

    command = NULL;

    if (argc > 1) {
        for (command = commands; command->name; command++) {
            if (strcmp(command->name, argv[1]) == 0) {
                break;
            }
        }

        if (command->name == NULL) {
            fprintf(stderr, "unknown subcommand \"%s\"\n", argv[1]);
            usage(stderr);
            return COMMAND_USAGE;
        }
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

    if (command == NULL && !options.check && geteuid() == 0 && !options.root) {
        log_error("will not run as root: use another user, as the service's "
                  "unit does, or say --allow-root");
        return COMMAND_USAGE;
    }

    status = main_run(&options, command, argc - 1, argv + 1);

    if (status == DAEMON_RELOAD) {
        status = main_again();
    }

    if (command && status == COMMAND_USAGE) {
        command_usage(stderr, command);
    }

    return status;
}
