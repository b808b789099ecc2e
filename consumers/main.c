/* sluice-consumer: a topic's records into a table, exactly once. */

#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "conf.h"
#include "daemon.h"
#include "log.h"
#include "source.h"
#include "version.h"


#define EXIT_CONFIG  78    /* EX_CONFIG of sysexits.h */


static void
usage(FILE *out)
{
    fprintf(out,
            "usage: sluice-consumer --config FILE [--check]\n"
            "\n"
            "  -c, --config FILE   the configuration, a JSON file\n"
            "  -t, --check         check it against the live broker and\n"
            "                      database, say what would happen, and exit\n"
            "  -d, --debug         say more in the log\n"
            "  -h, --help          show this\n"
            "  -V, --version       show the version\n"
            "\n"
            "Exit status: 0 stopped as told, 1 failed, 78 the configuration "
            "is wrong.\n");
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


int
main(int argc, char **argv)
{
    int               c, check, status;
    char              err[CONF_ERROR_MAX];
    conf_t           *conf;
    const char       *file;
    log_level_t       level;

    static const struct option  options[] = {
        { "config",  required_argument, NULL, 'c' },
        { "check",   no_argument,       NULL, 't' },
        { "debug",   no_argument,       NULL, 'd' },
        { "help",    no_argument,       NULL, 'h' },
        { "version", no_argument,       NULL, 'V' },
        { NULL,      0,                 NULL, 0 }
    };

    check = 0;
    file = NULL;
    level = LOG_LEVEL_INFO;

    while ((c = getopt_long(argc, argv, "c:tdhV", options, NULL)) != -1) {

        switch (c) {

        case 'c':
            file = optarg;
            break;

        case 't':
            check = 1;
            break;

        case 'd':
            level = LOG_LEVEL_DEBUG;
            break;

        case 'h':
            usage(stdout);
            return 0;

        case 'V':
            printf("sluice-consumer %s (librdkafka %s)\n", SLUICE_VERSION,
                   rd_kafka_version_str());
            return 0;

        default:
            usage(stderr);
            return 2;
        }
    }

    if (file == NULL || optind != argc) {
        usage(stderr);
        return 2;
    }

    log_init(level);

    conf = conf_read(file, err);
    if (conf == NULL) {
        log_error("%s", err);
        return EXIT_CONFIG;
    }

    if (prove(conf, err) == -1) {
        log_error("%s:%u: \"kafka\": %s", file, conf->kafka_line, err);
        conf_free(conf);
        return EXIT_CONFIG;
    }

    status = check ? check_run(conf) : daemon_run(conf);

    conf_free(conf);

    return status;
}
