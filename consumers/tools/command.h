/* Subcommands: the description of one, and the code that runs it. */

#ifndef SLUICE_COMMAND_H
#define SLUICE_COMMAND_H


#include <stdio.h>

#include "tools/options.h"
#include "tools/tool.h"


#define COMMAND_OK      0
#define COMMAND_FAILED  1
#define COMMAND_USAGE   2     /* the arguments are wrong */


/* What becomes of a configuration with "topics". */
typedef enum {
    COMMAND_ONE = 0,     /* --topic has to choose one */
    COMMAND_EACH,        /* unless --topic does, it runs for each */
    COMMAND_ALL          /* unless --topic does, it runs for all at once */
} command_topics_t;


typedef struct command_s  command_t;

struct command_s {
    const char              *name;
    const char              *help;       /* one line */
    const char              *usage;      /* its arguments, then what they
                                            mean; lines end with a line feed */
    const command_t *const  *parts;      /* the next word chooses one of these;
                                            NULL ends them */
    bool                     bare;       /* runs without a configuration */

    command_topics_t         topics;
    tool_open_t              open;       /* before run() */
    size_t                   size;       /* of its structure, which begins with
                                            a tool_t */
    const option_t          *options;
    int                      least;      /* operands */
    int                      most;

    /* Checks options and operands.  Returns 0, or -1 after an error line,
       which may be missing where the usage says enough.  NULL: no check. */
    int                    (*check)(tool_t *tool);

    /* Returns the exit status, or -1 after an error line. */
    int                    (*run)(tool_t *tool);
};


/* Each has a file of its own, except print-ddl, which is in setup.c, and lag,
   which is in offsets.c.  command_check is the option --check. */
extern const command_t  command_check;
extern const command_t  command_dead_letters;
extern const command_t  command_init;
extern const command_t  command_lag;
extern const command_t  command_offsets;
extern const command_t  command_print_ddl;
extern const command_t  command_replay;
extern const command_t  command_reset;
extern const command_t  command_setup;
extern const command_t  command_skip;
extern const command_t  command_verify;
extern const command_t  command_where;


/* What a command line chose. */
typedef struct {
    const command_t  *command;    /* NULL: the daemon */
    const command_t  *part;       /* the command, or one of its parts; NULL:
                                     no part was named */
    tool_t           *tool;       /* the caller frees it */
} command_line_t;


/* The subcommand of that name, or NULL. */
const command_t *command_find(const char *name);

/*
 * Reads the arguments of line->command, whose name is argv[0].  Options of
 * "shared" may stand among them.  Returns 0, or -1 after an error line.
 */
int command_parse(command_line_t *line, const options_t *shared, int argc,
    char **argv);

/*
 * Runs the command that command_parse() read; "conf" is NULL for a "bare" one.
 * "topic" is one of several, or NULL.  Prints the usage if the arguments are
 * wrong.  Returns the exit status.
 */
int command_run(command_line_t *line, const conf_t *conf, const char *topic);

/* Print the usage of one command, and a line for each command. */
void command_usage(FILE *out, const command_t *command);
void command_list(FILE *out);


#endif
