/* Finds a subcommand and runs it: options, connections, exit status, usage. */

#include <stdlib.h>
#include <string.h>

#include "tools/command.h"


static const command_t *command_among(const command_t *const *list,
    const char *name);
static int command_do(const command_t *command, tool_t *tool,
    const conf_t *conf);


/* By name.  A command that is added here is found, and listed by --help. */

static const command_t *const  commands[] = {
    &command_dead_letters, &command_init, &command_lag, &command_offsets,
    &command_print_ddl, &command_replay, &command_setup, &command_skip,
    &command_verify, &command_where, NULL
};


const command_t *
command_find(const char *name)
{
    return command_among(commands, name);
}


static const command_t *
command_among(const command_t *const *list, const char *name)
{
    for ( /* void */ ; *list; list++) {
        if (strcmp((*list)->name, name) == 0) {
            break;
        }
    }

    return *list;
}


int
command_parse(command_line_t *line, const options_t *shared, int argc,
    char **argv)
{
    options_t  tables[2];

    tables[0].options = NULL;
    tables[1] = *shared;
    line->part = line->command;

    if (line->command->parts) {
        argc = options_read(tables, true, argc, argv);
        argv++;
        line->part = argc < 1 ? NULL : command_among(line->command->parts,
                                                     argv[0]);
        if (line->part == NULL) {
            return argc == -1 ? -1 : 0;
        }
    }

    line->tool = calloc(1, line->part->size);
    if (line->tool == NULL) {
        report_error("out of memory");
        return -1;
    }

    tables[0].options = line->part->options;
    tables[0].structure = line->tool;
    line->tool->operands = argv + 1;
    line->tool->noperands = options_read(tables, false, argc, argv);

    return line->tool->noperands == -1 ? -1 : 0;
}


int
command_run(command_line_t *line, const conf_t *conf)
{
    int  status;

    status = line->part ? command_do(line->part, line->tool, conf)
                        : COMMAND_USAGE;

    if (status == COMMAND_USAGE) {
        command_usage(stderr, line->command);
    }

    return status == -1 ? COMMAND_FAILED : status;
}


static int
command_do(const command_t *command, tool_t *tool, const conf_t *conf)
{
    int  status;

    tool_init(tool, conf);

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

    return status;
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
