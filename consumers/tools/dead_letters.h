/* The subcommand dead-letters: list, show, replay, purge. */

#ifndef SLUICE_DEAD_LETTERS_H
#define SLUICE_DEAD_LETTERS_H


#include "tools/tool.h"


/* Which dead letters are meant. */
typedef struct {
    const char  *sqlstate;      /* NULL: any */
    int64_t      older;         /* ms; 0: of any age */
    int64_t      limit;         /* rows to list */
    bool         all;
    char       **ids;
    int          nids;
} dead_choice_t;


int dead_letters_run(const conf_t *conf, int argc, char **argv);

extern const char  dead_letters_usage[];


/* " WHERE ..." of the choice, this group's and topic's. */
void dead_letters_where(const tool_t *tool, const dead_choice_t *choice,
    buf_t *sql);

/* dead_replay.c */
int dead_letters_replay(tool_t *tool, const dead_choice_t *choice);


#endif
