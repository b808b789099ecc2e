/* Which dead letters a subcommand is about. */

#ifndef SLUICE_DEAD_LETTERS_H
#define SLUICE_DEAD_LETTERS_H


#include "tools/tool.h"


typedef struct {
    tool_t       tool;          /* "text" is IDs, "{1,2}"; "{}": any */

    /* options */
    const char  *sqlstate;      /* NULL: any */
    int64_t      older;         /* ms; 0: of any age */
    const char  *limit;         /* rows to list; NULL: as many as fit */
    bool         all;
    bool         raw;

    char         age[24];       /* "older" in digits */
} dead_t;


/*
 * The rows of the choice, this group's and topic's: from $7 to $9 of a
 * statement that dead_query() runs.
 */
#define DEAD_CHOICE                                                           \
    " FROM sluice.dead_letters WHERE cluster_id = $1 AND group_id = $2"       \
    " AND topic = $3 AND ($7 = '' OR sqlstate = $7)"                          \
    " AND ($8 = '0' OR created_at < now() - $8::bigint * interval '1 ms')"    \
    " AND ($9 = '{}' OR id = ANY ($9::bigint[]))"


/* As tool_query(); "last" is $10, or NULL. */
static inline PGresult *
dead_query(dead_t *dead, const char *sql, const char *last)
{
    return tool_query(&dead->tool, sql, dead->sqlstate ? dead->sqlstate : "",
                      dead->age, dead->tool.text.data, last);
}


#endif
