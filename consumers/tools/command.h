/* What sluice-consumer can do beside running: its subcommands. */

#ifndef SLUICE_COMMAND_H
#define SLUICE_COMMAND_H


#include "conf/conf.h"


#define COMMAND_OK      0
#define COMMAND_FAILED  1
#define COMMAND_USAGE   2     /* the arguments are wrong; usage is shown */


/*
 * argv[0] is the subcommand's name, the options that all share (--config,
 * --debug, --help) are taken out.  Returns the exit status.
 */
typedef int (*command_run_pt)(const conf_t *conf, int argc, char **argv);


typedef struct {
    const char      *name;
    const char      *help;       /* one line */
    const char      *usage;      /* for --help: its arguments, then what they
                                    mean; lines end with a line feed */
    command_run_pt   run;
    int              bare;       /* runs without a configuration: NULL */
} command_t;


#endif
