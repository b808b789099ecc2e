/* The dead letters that the arguments of "dead-letters" choose. */

#ifndef SLUICE_DEAD_LETTERS_H
#define SLUICE_DEAD_LETTERS_H


#include "tools/tool.h"


typedef struct {
    tool_t       tool;          /* "text" is the IDs, "{1,2}"; "{}": any */

    /* options */
    const char  *sqlstate;      /* NULL: any */
    int64_t      older;         /* ms; 0: of any age */
    const char  *limit;         /* rows to list; NULL: DEAD_LIMIT */
    bool         all;
    bool         raw;
    bool         pending;

    char         age[24];       /* "older" in digits */
} dead_t;


/*
 * FROM and WHERE for the chosen rows of this group and topic.  $7 to $9 are
 * the choice, which dead_query() passes.
 */
#define DEAD_CHOICE                                                           \
    " FROM sluice.dead_letters WHERE cluster_id = $1 AND group_id = $2"       \
    " AND topic = $3 AND ($7 = '' OR sqlstate = $7)"                          \
    " AND ($8 = '0' OR created_at < now() - $8::bigint * interval '1 ms')"    \
    " AND ($9 = '{}' OR id = ANY ($9::bigint[]))"


#define DEAD_LIMIT  "100"    /* rows to list */


/* dead_pending.c: run() of "list --pending". */
int dead_pending_run(tool_t *tool);

/* dead_replay.c: run() of "replay".  Fails if a dead letter stays. */
int dead_replay_run(tool_t *tool);

/* tool_query() with the choice; $10 and $11 may be NULL: there are none. */
static inline PGresult *
dead_query(dead_t *dead, const char *sql, const char *tenth,
    const char *eleventh)
{
    return tool_query(&dead->tool, sql, dead->sqlstate ? dead->sqlstate : "",
                      dead->age, dead->tool.text.data, tenth, eleventh);
}


#endif
