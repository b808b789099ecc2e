/* sluice-consumer: a topic's records into a table, exactly once. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "command.h"
#include "conf.h"
#include "conf_doc.h"
#include "daemon.h"
#include "ddl.h"
#include "init.h"
#include "log.h"
#include "source.h"
#include "version.h"


#define EXIT_CONFIG  78    /* EX_CONFIG of sysexits.h */


typedef struct {
    const char   *file;
    log_level_t   level;
    int           check;
    int           help;
} main_options_t;


static int main_options(main_options_t *options, int *argc, char **argv);
static int main_run(const main_options_t *options, const command_t *command,
    int argc, char **argv);
static void usage(FILE *out);


/* By name.  One that is added here is in --help, and dispatched. */

static const command_t  commands[] = {
    { "init", "make a configuration, JSON Schema and DDL of a sample event",
      init_usage, init_run, 1 },
    { "print-ddl", "show the DDL and grants for a configuration",
      ddl_print_usage, ddl_print, 0 },
    { "setup", "do the DDL and grants, as an administrator", ddl_setup_usage,
      ddl_setup, 0 },
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
            "  -h, --help          show this, or a subcommand's own help\n"
            "  --help-config       show every key of the configuration, as\n"
            "                      text, markdown, mdoc or schema\n"
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


/* Whether the properties fit together, which rd_kafka_new() alone knows. */

static int
prove(const conf_t *conf, char *err)
{
    rd_kafka_t       *rk;
    rd_kafka_conf_t  *rkconf;

    rkconf = source_conf(conf, 1, err);
    if (rkconf == NULL) {
        return -1;
    }

    /* no broker is asked */
    (void) rd_kafka_conf_set(rkconf, "bootstrap.servers", "", NULL, 0);

    rk = rd_kafka_new(RD_KAFKA_CONSUMER, rkconf, err, CONF_ERROR_MAX);
    if (rk == NULL) {
        rd_kafka_conf_destroy(rkconf);
        return -1;
    }

    rd_kafka_destroy(rk);

    return 0;
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
    if (conf == NULL) {
        log_error("%s", err);
        return EXIT_CONFIG;
    }

    if (prove(conf, err) == -1) {
        log_error("%s:%u:%u: \"kafka\": %s", options->file,
                  conf->kafka_line, conf->kafka_column, err);
        status = EXIT_CONFIG;

    } else if (command) {
        status = command->run(conf, argc, argv);

    } else {
        status = options->check ? check_run(conf) : daemon_run(conf);
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

    log_init(options.level);

    status = main_run(&options, command, argc - 1, argv + 1);

    if (command && status == COMMAND_USAGE) {
        command_usage(stderr, command);
    }

    return status;
}
