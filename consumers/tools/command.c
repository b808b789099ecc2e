/* Finds a subcommand and runs it: options, connections, exit status, usage. */

#include <stdlib.h>
#include <string.h>

#include "tools/command.h"


static int command_do(const command_t *command, const conf_t *conf, int argc,
    char **argv);


/* By name.  One that is added here is in --help, and found. */

static const command_t *const  commands[] = {
    &command_dead_letters, &command_init, &command_lag, &command_offsets,
    &command_print_ddl, &command_replay, &command_setup, &command_verify,
    &command_where, NULL
};


const command_t *
command_find(const char *name)
{
    size_t  i;

    for (i = 0; commands[i] && strcmp(commands[i]->name, name) != 0; i++) {
        /* void */
    }

    return commands[i];
}


int
command_run(const command_t *command, const conf_t *conf, int argc,
    char **argv)
{
    int               status;
    const command_t  *part;
    const command_t  *const *parts;

    part = command;

    if (command->parts) {
        for (parts = command->parts, part = NULL; *parts && argc > 1; parts++)
        {
            if (strcmp((*parts)->name, argv[1]) == 0) {
                part = *parts;
            }
        }
        argc--;
        argv++;
    }

    status = part ? command_do(part, conf, argc, argv) : COMMAND_USAGE;

    if (status == COMMAND_USAGE) {
        command_usage(stderr, command);
    }

    return status;
}


static int
command_do(const command_t *command, const conf_t *conf, int argc,
    char **argv)
{
    int      status;
    tool_t  *tool;

    tool = calloc(1, command->size);
    if (tool == NULL) {
        report_error("out of memory");
        return COMMAND_FAILED;
    }

    tool_init(tool, conf);
    tool->operands = argv + 1;
    tool->noperands = options_read(command->options, tool, argc, argv);

    if (tool->noperands < command->least || tool->noperands > command->most
        || (command->check && command->check(tool) == -1))
    {
        status = COMMAND_USAGE;

    } else {
        status = tool_open(tool, command->open);

        if (status == 0) {
            status = command->run(tool);
        }
    }

    tool_close(tool);
    free(tool);

    return status == -1 ? COMMAND_FAILED : status;
}


void
command_usage(FILE *out, const command_t *command)
{
    fprintf(out, "usage: sluice-consumer %s%s %s",
            command->bare ? "" : "--config FILE ", command->name,
            command->usage);
}


void
command_list(FILE *out)
{
    size_t  i;

    for (i = 0; commands[i]; i++) {
        fprintf(out, "  %-18s  %s\n", commands[i]->name, commands[i]->help);
    }
}
