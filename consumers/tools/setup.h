/* The subcommands print-ddl and setup. */

#ifndef SLUICE_SETUP_H
#define SLUICE_SETUP_H


#include "tools/command.h"


/* Each is a command_run_pt. */
int print_ddl_run(const conf_t *conf, int argc, char **argv);
int setup_run(const conf_t *conf, int argc, char **argv);

extern const char  print_ddl_usage[];
extern const char  setup_usage[];


#endif
