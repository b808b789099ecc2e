/* The subcommands: one description each, and what runs it. */

#ifndef SLUICE_COMMAND_H
#define SLUICE_COMMAND_H


#include <stdio.h>

#include "tools/options.h"
#include "tools/tool.h"


#define COMMAND_OK      0
#define COMMAND_FAILED  1
#define COMMAND_USAGE   2     /* the arguments are wrong */


typedef struct command_s  command_t;

struct command_s {
    const char              *name;
    const char              *help;       /* one line */
    const char              *usage;      /* its arguments, then what they
                                            mean; lines end with a line feed */
    const command_t *const  *parts;      /* the next word chooses one of these;
                                            NULL ends them */
    bool                     bare;       /* runs without a configuration */

    tool_open_t              open;       /* before run() */
    size_t                   size;       /* of its structure, which begins with
                                            a tool_t */
    const option_t          *options;
    int                      least;      /* operands */
    int                      most;

    /* Whether options and operands make sense: 0, or -1 with the reason said
       where it is not plain from the usage.  NULL: always. */
    int                    (*check)(tool_t *tool);

    /* Returns the exit status, or -1: failed, with the reason said. */
    int                    (*run)(tool_t *tool);
};


/* One a file, but for those that share one: print-ddl and setup, lag and
   offsets.  command_check is the option --check. */
extern const command_t  command_check;
extern const command_t  command_dead_letters;
extern const command_t  command_init;
extern const command_t  command_lag;
extern const command_t  command_offsets;
extern const command_t  command_print_ddl;
extern const command_t  command_replay;
extern const command_t  command_reset;
extern const command_t  command_setup;
extern const command_t  command_verify;
extern const command_t  command_where;


/* What a command line chose. */
typedef struct {
    const command_t  *command;    /* NULL: the daemon */
    const command_t  *part;       /* the command, or one of its parts; NULL:
                                     that is missing */
    tool_t           *tool;
} command_line_t;


/* The subcommand of that name, or NULL. */
const command_t *command_find(const char *name);

/*
 * Reads the arguments of line->command, argv[0] being its name; options of
 * "shared" may stand among them.  Returns 0, or -1: it was said what is wrong.
 */
int command_parse(command_line_t *line, const options_t *shared, int argc,
    char **argv);

/*
 * Runs what command_parse() read, with NULL where it is "bare"; shows the
 * usage where that is wrong.  Returns the exit status.
 */
int command_run(command_line_t *line, const conf_t *conf);

/* What --help says: of one, and a line of each. */
void command_usage(FILE *out, const command_t *command);
void command_list(FILE *out);


#endif
