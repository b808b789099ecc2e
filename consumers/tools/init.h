/* The subcommand init: from a sample event to files to start from. */

#ifndef SLUICE_INIT_H
#define SLUICE_INIT_H


#include "tools/command.h"


int init_run(const conf_t *conf, int argc, char **argv);

extern const char  init_usage[];


#endif
