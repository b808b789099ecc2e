/*
 * What the subcommands share: PostgreSQL and Kafka, each asked in turn.
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
    TOOL_POSTGRES,       /* and Kafka where that has to tell the cluster */
    TOOL_LOG_IF_UP,      /* and what the topic's log holds */
    TOOL_LOG_MUST
} tool_open_t;


/* The parameters that every query has, $1 to $6. */
enum {
    TOOL_CLUSTER = 0,
    TOOL_GROUP,
    TOOL_TOPIC,
    TOOL_TABLE,          /* by whose name the offsets are stored */
    TOOL_TABLES,         /* text[]: those that dead letters name */
    TOOL_LOG,            /* jsonb: [[partition, begin, end, at], ...] */
    TOOL_KEYS
};

/* Rows of sluice.offsets and sluice.batches that are this daemon's. */
#define TOOL_OURS  "cluster_id = $1 AND group_id = $2 AND topic = $3"         \
                   " AND table_name = $4"

/* The same of sluice.dead_letters. */
#define TOOL_DEAD  "cluster_id = $1 AND group_id = $2 AND topic = $3"         \
                   " AND table_name = ANY ($5)"

/* What Kafka told of the topic's log; begins a query. */
#define TOOL_WITH_LOG                                                         \
    "WITH log AS (SELECT (e->>0)::integer AS partition,"                      \
    " (e->>1)::bigint AS low, (e->>2)::bigint AS high, (e->>3)::bigint AS at" \
    " FROM jsonb_array_elements($6) e)"


/*
 * A subcommand's structure begins with it, zeroed.  Errors are said where they
 * are found.
 */
typedef struct {
    const conf_t           *conf;
    bool                    json;
    char                  **operands;
    int                     noperands;
    const char             *section;     /* of the answer of --check, which
                                            errors belong to; NULL: they go
                                            to standard error */
    int                     patience;    /* ms, for an answer of Kafka */
    int64_t                 timestamp;   /* ms, which "at" is looked up by;
                                            -1: none */

    PGconn                 *conn;
    rd_kafka_t             *rk;          /* tool_client() */
    lookup_t               *lookup;
    const lookup_result_t  *log;         /* NULL: Kafka did not tell */

    const char             *keys[TOOL_KEYS];
    char                    cluster[64];
    buf_t                   tables;
    buf_t                   ranges;
    buf_t                   text;        /* of the subcommand's own */
} tool_t;


void tool_init(tool_t *tool, const conf_t *conf);
void tool_close(tool_t *tool);

/* Connects and finds the cluster.  Returns 0 or -1. */
int tool_open(tool_t *tool, tool_open_t what);

/*
 * The parts of tool_open().  "over" is laid over the configuration's
 * connection, NULL: nothing.  Each returns 0 or -1.
 */
int tool_connect(tool_t *tool, const char *name,
    const PQconninfoOption *over);
int tool_ask(tool_t *tool);

/*
 * What is found of a topic, waited for; "with" its offsets.  Valid until the
 * next lookup; NULL: nothing is.
 */
const lookup_result_t *tool_lookup(tool_t *tool, lookup_t *lookup, bool with);

/* Makes tool->rk, a consumer that is in no group.  Returns 0 or -1. */
int tool_client(tool_t *tool);

/*
 * Runs a statement with the parameters above and those behind "sql", texts
 * from $7 on.  NULL for "sql": memory was short for it.  Returns the result,
 * or NULL where it failed.
 */
#define tool_query(tool, ...)                                                 \
    tool_run(tool, __VA_ARGS__, (const char *) 0)

PGresult *tool_run(tool_t *tool, const char *sql, ...)
    __attribute__((sentinel));

/*
 * What is made of such a result, which is freed; each returns -1 for NULL.
 * The rows are printed as "json" says; the number is the first place's.
 */
int tool_done(PGresult *res);
int tool_show(const tool_t *tool, PGresult *res);
int64_t tool_number(PGresult *res);

/*
 * Runs a string of statements without parameters; NULL: memory was short for
 * it.  Returns the last one's result, or NULL where one failed.
 */
PGresult *tool_script(tool_t *tool, const char *sql);

/* The column that takes a part of the record's place, or NULL. */
const conf_column_t *tool_column(const conf_t *conf, conf_from_t from);


#endif
