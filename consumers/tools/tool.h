/*
 * What the subcommands share: Kafka and PostgreSQL, asked in turn.
 *
 * Room: subcommands, one a file; each connects, does one thing and ends.
 */

#ifndef SLUICE_TOOL_H
#define SLUICE_TOOL_H


#include <libpq-fe.h>

#include "kafka/lookup.h"
#include "postgres/sql.h"
#include "store/offsets.h"
#include "tools/command.h"


/* Whether the topic's log is asked for. */
typedef enum {
    TOOL_LOG_NONE = 0,      /* unless it takes Kafka to know the cluster */
    TOOL_LOG_IF_UP,
    TOOL_LOG_MUST
} tool_log_t;


typedef struct {
    const conf_t           *conf;
    bool                    json;
    PGconn                 *conn;
    rd_kafka_t             *rk;         /* NULL: Kafka was not asked */
    lookup_t               *lookup;
    const lookup_result_t  *log;        /* NULL: it did not answer */
    offsets_t              *offsets;    /* of this cluster */
} tool_t;


/*
 * Connects; "timestamp" (ms, or -1) fills the ranges' "at".  Says on standard
 * error what went wrong and returns -1; tool_close() is due in any case.
 */
int tool_open(tool_t *tool, const conf_t *conf, tool_log_t log,
    int64_t timestamp);
void tool_close(tool_t *tool);

/* Asks Kafka again, where tool_open() did; replaces "log". */
int tool_ask(tool_t *tool, int64_t timestamp);

/* A line on standard error. */
void tool_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Runs a query string and empties it.  NULL, with a line said, when it
 * failed; the last statement's result otherwise.
 */
PGresult *tool_query(tool_t *tool, buf_t *sql);

/* The same, where no rows matter.  Returns 0 or -1. */
int tool_exec(tool_t *tool, buf_t *sql);

/* A result for people, in columns, or as a JSON array of objects. */
void tool_print(const tool_t *tool, const PGresult *res);

/* The objects of that array alone; for what is part of a larger text. */
void tool_rows_json(buf_t *out, const PGresult *res);

/* "WITH log (partition, low, high, at) AS (...)": what Kafka answered. */
void tool_log_cte(const tool_t *tool, buf_t *sql);

/* A condition that selects the daemon's dead letters; begins with a space. */
void tool_dead_where(const tool_t *tool, buf_t *sql);

/* The column that takes a part of the record's place, or NULL. */
const conf_column_t *tool_column(const conf_t *conf, conf_from_t from);

/*
 * Whether a daemon of the group and topic is alive: says which, with 1;
 * 0: none is; -1: it could not be told.
 */
int tool_alive(tool_t *tool);

/*
 * Whether a record that is read twice leaves one row, in each table of the
 * configuration.  Returns 0, or -1 with the way out said.
 */
int tool_check_repeat(tool_t *tool);

/*
 * Whether the topic is the one whose records the configuration's table has,
 * as far as Kafka can tell, which has to have been asked.  Returns 0, or -1,
 * said.
 */
int tool_check_topic(tool_t *tool);

/* Whether --into TABLE, or NULL, can be meant.  Returns 0, or -1, said. */
int tool_check_into(const conf_t *conf, const char *into);

/* Whether a table's rows may give way to later records' rows. */
bool tool_overwrites(const conf_t *conf);

/* A number without a sign, whole.  Returns 0 or -1. */
int tool_number(const char *s, int64_t *n);


/* tool_offsets.c, tool_verify.c, tool_replay.c */
int tool_offsets(const conf_t *conf, int argc, char **argv);
int tool_lag(const conf_t *conf, int argc, char **argv);
int tool_verify(const conf_t *conf, int argc, char **argv);
int tool_where(const conf_t *conf, int argc, char **argv);
int tool_replay(const conf_t *conf, int argc, char **argv);

extern const char  tool_offsets_usage[];
extern const char  tool_lag_usage[];
extern const char  tool_verify_usage[];
extern const char  tool_where_usage[];
extern const char  tool_replay_usage[];


#endif
