/*
 * What the subcommands share: connections to PostgreSQL and Kafka.  A function
 * that returns -1 or NULL has written an error line.
 *
 * Room: subcommands, one a file; each connects, does one thing and ends.
 */

#ifndef SLUICE_TOOL_H
#define SLUICE_TOOL_H


#include <libpq-fe.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "kafka/lookup.h"
#include "tools/report.h"


/* What is open before a subcommand runs. */
typedef enum {
    TOOL_ALONE = 0,      /* nothing */
    TOOL_POSTGRES,       /* Kafka too, if only Kafka knows the cluster */
    TOOL_LOG_IF_UP,      /* PostgreSQL, and Kafka if it answers */
    TOOL_LOG_MUST        /* both */
} tool_open_t;


/* The parameters $1 to $6 of every query. */
enum {
    TOOL_CLUSTER = 0,
    TOOL_GROUP,
    TOOL_TOPIC,
    TOOL_TABLE,          /* the name that sluice.offsets has for the table */
    TOOL_TABLES,         /* text[]: the names that dead letters may have, and
                            sluice.offsets of other topics */
    TOOL_LOG,            /* jsonb: [[partition, begin, end, at], ...] */
    TOOL_KEYS
};

/* Selects the configuration's rows of sluice.offsets and sluice.batches. */
#define TOOL_OURS  "cluster_id = $1 AND group_id = $2 AND topic = $3"         \
                   " AND table_name = $4"

/* Selects its rows of sluice.dead_letters. */
#define TOOL_DEAD  "cluster_id = $1 AND group_id = $2 AND topic = $3"         \
                   " AND table_name = ANY ($5)"

/* Begins a query that uses TOOL_LOG as a table. */
#define TOOL_WITH_LOG                                                         \
    "WITH log AS (SELECT (e->>0)::integer AS partition,"                      \
    " (e->>1)::bigint AS low, (e->>2)::bigint AS high, (e->>3)::bigint AS at" \
    " FROM jsonb_array_elements($6) e)"


/* The structure of a subcommand begins with a tool_t, zeroed. */
typedef struct {
    const conf_t           *conf;
    bool                    json;
    char                  **operands;
    int                     noperands;
    const char             *section;     /* --check: errors are lines of its
                                            answer and begin with this; NULL:
                                            they go to standard error */
    int                     patience;    /* ms to wait for Kafka */
    int64_t                 timestamp;   /* ms, for the "at" of TOOL_LOG; -1:
                                            none */

    PGconn                 *conn;
    rd_kafka_t             *rk;          /* NULL before tool_client() */
    lookup_t               *lookup;
    const lookup_result_t  *log;         /* NULL: Kafka did not answer */

    const char             *keys[TOOL_KEYS];
    char                    cluster[64];
    buf_t                   table;
    buf_t                   tables;
    buf_t                   names;       /* text[]: those that sluice.offsets
                                            may have for the table */
    buf_t                   places;      /* text[]: the targets, quoted, with
                                            the schema of each; null: none */
    buf_t                   place;       /* the first of these */
    bool                    by_path;     /* a query outside of a transaction
                                            runs by the role's search_path */
    buf_t                   ranges;
    buf_t                   text;        /* for the subcommand's own use */
} tool_t;


void tool_init(tool_t *tool, const conf_t *conf);
void tool_close(tool_t *tool);

/* Connects and finds the cluster.  Returns 0 or -1. */
int tool_open(tool_t *tool, tool_open_t what);

/*
 * Begins a transaction in which nothing is found by a name without a schema
 * but PostgreSQL's own.  Returns 0 or -1.
 */
int tool_begin(tool_t *tool);

/*
 * The parts of tool_open().  Options in "over", which may be NULL, replace
 * those of the configuration's connection.  Each returns 0 or -1.
 */
int tool_connect(tool_t *tool, const char *name,
    const PQconninfoOption *over);
int tool_ask(tool_t *tool);

/*
 * Whether a table, as of guard_table(), or schema sluice if that is NULL is in
 * hands that "role" can trust, or the current role if that is NULL: 0, or -1
 * after an error line.
 */
int tool_guard(tool_t *tool, const char *table, const char *role);

/*
 * Sets TOOL_TABLE to the name that sluice.offsets has for the table of "conf"
 * in its group, adds the table's other names to TOOL_TABLES, and finds "names"
 * and "places".  In no transaction of tool_begin().  Returns 0 or -1.
 */
int tool_find_table(tool_t *tool, const conf_t *conf);

/*
 * Looks a topic up and waits for the result, which stays valid until the next
 * lookup; "with" says whether its offsets are wanted.
 */
const lookup_result_t *tool_lookup(tool_t *tool, lookup_t *lookup, bool with);

/* Writes an error line behind the section, if there is one.  Returns -1. */
int tool_failed(const tool_t *tool, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Makes tool->rk, a consumer that joins no group.  Returns 0 or -1. */
int tool_client(tool_t *tool);

/*
 * Runs a statement with the parameters above and, from $7 on, the texts behind
 * "sql"; outside of a transaction it is one of its own, as of tool_begin().
 * "sql" is NULL if memory was too short to make it.  Returns the result or
 * NULL.
 */
#define tool_query(tool, ...)                                                 \
    tool_run(tool, __VA_ARGS__, (const char *) 0)

PGresult *tool_run(tool_t *tool, const char *sql, ...)
    __attribute__((sentinel));

/*
 * Use a result and free it; each returns -1 for NULL.  tool_done() ignores the
 * rows, tool_show() prints them, tool_number() returns the first value.
 */
int tool_done(PGresult *res);
int tool_show(const tool_t *tool, PGresult *res);
int64_t tool_number(PGresult *res);

/*
 * Runs a string of statements without parameters; "sql" may be NULL as above.
 * Returns the result of the last one, or NULL.
 */
PGresult *tool_script(tool_t *tool, const char *sql);

/*
 * Whether schema "sluice" is of this program's version, which "command" needs.
 * Returns 0 or -1.
 */
int tool_version(tool_t *tool, const char *command);

/* The first column that is filled from there, or NULL. */
const conf_column_t *tool_column(const conf_t *conf, conf_from_t from);


#endif
