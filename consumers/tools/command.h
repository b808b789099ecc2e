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


/* The subcommand of that name, or NULL. */
const command_t *command_find(const char *name);

/*
 * Runs it, and shows its usage where the arguments are wrong.  argv[0] is its
 * name; the options that all share are taken out.  Returns the exit status.
 */
int command_run(const command_t *command, const conf_t *conf, int argc,
    char **argv);

/* What --help says: of one, and a line of each. */
void command_usage(FILE *out, const command_t *command);
void command_list(FILE *out);


#endif
