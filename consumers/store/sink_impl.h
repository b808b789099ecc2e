/* Inside the sink: its states and what they share. */

#ifndef SLUICE_SINK_IMPL_H
#define SLUICE_SINK_IMPL_H


#include "base/log.h"
#include "store/bisect.h"
#include "store/dead_table.h"
#include "store/order.h"
#include "store/seen.h"
#include "store/sink.h"
#include "store/statements.h"


#define SINK_MEMORY  "out of memory"

#define SINK_SUSPECTS  16    /* of one batch, at most */

/*
 * Batches that go through a temporary table after one with a known key; that
 * are merged after one that could not be stored as one of known keys.
 */
#define SINK_DETOUR  100

/* "too many records are bad" shows so many, and so much of each reason. */
#define SINK_EXAMPLES  3
#define SINK_EXAMPLE   100   /* bytes */


/* In the order of the transaction; sink.c says what each one sends. */
typedef enum {
    SINK_BEGIN = 0,
    SINK_SEEN,
    SINK_KEYS,
    SINK_STAGE,
    SINK_ROWS,
    SINK_LOOK,
    SINK_DEAD,
    SINK_TOPIC,
    SINK_COMMIT,
    SINK_ROLLBACK,
    SINK_PARTITIONS,    /* in a transaction of their own, before this one */
    SINK_DONE,
    SINK_WAIT        /* no state: a reply is due */
} sink_state_t;


/* One table of the configuration. */
typedef struct {
    statements_t   sql;
    order_plan_t   order;
    unsigned       stage_for;    /* batches more that are not copied plainly */
    unsigned       merge_for;    /* batches more that are merged, although their
                                    keys may be known */
    bool           passed;       /* a part of it did, in this search */
    size_t         first;        /* its first row in the batch, or "nrows" */
} sink_table_t;


/* A row that failed alone, with an error that may not be its fault. */
typedef struct {
    int32_t   partition;
    uint16_t  topic;
    int64_t   offset;
    unsigned  target;
    char      sqlstate[6];
    unsigned  proofs;            /* searches in a row in which it did */
} sink_suspect_t;


struct sink_s {
    const conf_t   *conf;
    offsets_t      *offsets;
    sink_end_t      end;
    dead_topic_t   *dead_topic;    /* or NULL */
    targets_t      *targets;       /* of sink_prepare() */
    sink_table_t   *tables;
    unsigned        ntables;
    dead_table_t    dead;

    sink_state_t    state;
    pg_done_pt      reply;         /* of every query */
    pg_t           *pg;
    batch_t        *batch;
    outcome_pt      done;
    void           *data;
    outcome_t       outcome;
    double          began;         /* s, monotonic, of what is timed now */
    sink_figures_t  figures;
    buf_t           sql;           /* not sent yet */

    seen_t          seen;
    unsigned        seen_tries;
    bisect_t        bisect;
    bool            careful;       /* looking for bad rows */
    bool            looked;        /* for those of this batch already */
    unsigned        savepoint;     /* the last one's number */

    /* the COPY under way */
    batch_span_t    span;
    size_t          row;           /* the next one to send */
    bool            header;        /* of tuples: not sent yet */
    bool            staged;        /* for the temporary table */
    bool            plain;         /* into the table that others merge into */
    bool            known;         /* the rows of "order" */
    bool            not_plain;     /* no table of this batch */
    bool            not_known;     /* likewise */
    bool            no_memory;     /* its bytes were replaced */
    buf_t           chunk;
    order_t         order;

    /* sink_partition.c */
    unsigned        parted;        /* the table whose partitions are made */
    bool            lacks;         /* a row of it has none; else they are made
                                      ahead, of all tables */
    bool            may_part;      /* the last try made some */
    int64_t         part_at;       /* ms, when they were made ahead */
    log_limit_t     part_failed;

    int64_t         later_since;   /* ms, of the first SQLSTATE_ROW_LATER */

    /* sink_blame.c */
    unsigned        failures;      /* of tries, since the last commit */
    buf_t           many;          /* sink_stop_many()'s reason; since then too,
                                      so that a hold is said once */
    uint64_t        many_of;       /* generation of its batch */
    bool            doubt;         /* the error at hand may be no row's */
    outcome_t       doubted;       /* what such an error means if it is not */
    sink_suspect_t  now[SINK_SUSPECTS];
    size_t          nnow;
    sink_suspect_t  before[SINK_SUSPECTS];    /* of the search before */
    size_t          nbefore;
    size_t          vain_rows;     /* of a search in which all rows failed */
    int64_t         vain_until;    /* ms, monotonic */

    dead_window_t   window;
};


/*
 * Functions of a state send, or take the reply; they return the next state, or
 * SINK_WAIT.
 */

/* sink_seen.c: SINK_SEEN and SINK_KEYS. */
sink_state_t sink_ask(sink_t *sink);
sink_state_t sink_on_seen(sink_t *sink, const pg_reply_t *reply);
sink_state_t sink_add_keys(sink_t *sink);
sink_state_t sink_on_keys(sink_t *sink, const pg_reply_t *reply);

/* sink_rows.c: SINK_STAGE, SINK_ROWS and SINK_LOOK. */
sink_state_t sink_stage(sink_t *sink);
sink_state_t sink_on_stage(sink_t *sink, const pg_reply_t *reply);
sink_state_t sink_copy_table(sink_t *sink);
sink_state_t sink_on_table(sink_t *sink, const pg_reply_t *reply);
sink_state_t sink_copy_part(sink_t *sink);
sink_state_t sink_on_part(sink_t *sink, const pg_reply_t *reply);

/*
 * Begins to look for bad rows: those of a table, or of any if "target" is
 * sink->ntables.
 */
sink_state_t sink_look(sink_t *sink, const pg_reply_t *reply,
    unsigned target);

/* sink_partition.c: SINK_PARTITIONS. */

/* Whether those that rows will need are to be made now. */
bool sink_parts_due(const sink_t *sink);

/* Whether a row of the span has no partition, and one may be made for it. */
bool sink_lacks(sink_t *sink, const pg_reply_t *reply);

sink_state_t sink_make_partitions(sink_t *sink);
sink_state_t sink_on_partitions(sink_t *sink, const pg_reply_t *reply);

/* Begins the batch, or begins it once more: nothing is known of its rows. */
sink_state_t sink_anew(sink_t *sink);

/* sink_blame.c */

/*
 * What is done about an error of a server that answers, where its SQLSTATE
 * alone says: hold or try again.  SQLSTATE_ROW: some row is looked for.
 */
void sink_blame(sink_t *sink, const pg_reply_t *reply, outcome_t *outcome);

/* A search begins: nothing is known of the rows. */
void sink_look_anew(sink_t *sink);

/*
 * Notes a row that failed alone.  Returns false where the search can end: all
 * rows fail, or more than SINK_SUSPECTS do.  sink_in_vain() ends it then.
 */
bool sink_suspect(sink_t *sink, size_t row, const pg_reply_t *reply);

/* Ends a search: the rows that are left may be stored, or the batch ends. */
sink_state_t sink_looked(sink_t *sink);
sink_state_t sink_in_vain(sink_t *sink);

/* The batch is committed. */
void sink_trust(sink_t *sink);

/* Keeps how the batch ends; the next state rolls it back. */
sink_state_t sink_stop(sink_t *sink, sqlstate_action_t action,
    const char *reason);

/* sink_send.c */

/* Appends BEGIN. */
void sink_open(sink_t *sink);

/* Sends sink->sql, with the bytes of the state's COPY if "copy". */
sink_state_t sink_send(sink_t *sink, bool copy);

/*
 * What a reply means: SQLSTATE_OK; SQLSTATE_ROW: a row is at fault; else the
 * batch ends, and sink_stop() was called.  "what" begins the reason.
 */
sqlstate_action_t sink_judge(sink_t *sink, const pg_reply_t *reply,
    const char *what);

/* The outcome of a reply to a COPY. */
void sink_outcome(const sink_t *sink, outcome_t *outcome,
    const pg_reply_t *reply, const char *what);

/* Whether more of the last records are dead than "hold_above" allows. */
bool sink_too_many(const sink_t *sink);

/* Holds for them: sink_stop() with the places and reasons of the first. */
sink_state_t sink_stop_many(sink_t *sink);


#endif
