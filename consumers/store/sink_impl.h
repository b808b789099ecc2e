/* Inside the sink: its states and what they share. */

#ifndef SLUICE_SINK_IMPL_H
#define SLUICE_SINK_IMPL_H


#include "store/bisect.h"
#include "store/dead_table.h"
#include "store/seen.h"
#include "store/sink.h"
#include "store/statements.h"


#define SINK_MEMORY  "out of memory"

#define SINK_TOO_MANY                                                         \
    "too many records are bad: more than \"hold_above\" of the last 1000 "    \
    "would be dead letters"


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
    SINK_DONE,
    SINK_WAIT        /* no state: a reply is due */
} sink_state_t;


/* One table of the configuration. */
typedef struct {
    statements_t   sql;
    tuples_t      *tuples;       /* NULL: rows are sent as lines */
    unsigned       stage_for;    /* batches more that are not copied plainly */
} sink_table_t;


struct sink_s {
    const conf_t   *conf;
    offsets_t      *offsets;
    sink_end_t      end;
    dead_topic_t   *dead_topic;    /* or NULL */
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

    /* the COPY under way */
    batch_span_t    span;
    size_t          row;           /* the next one to send */
    tuples_t       *tuples;        /* as tuples; NULL: as lines */
    bool            staged;        /* for the temporary table */
    bool            plain;         /* into the table that others merge into */
    bool            not_plain;     /* no table of this batch */
    bool            no_memory;     /* its bytes were replaced */
    buf_t           chunk;

    int64_t         later_since;   /* ms, of the first SQLSTATE_ROW_LATER */
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
sink_state_t sink_copy_table(sink_t *sink);
sink_state_t sink_on_table(sink_t *sink, const pg_reply_t *reply);
sink_state_t sink_copy_part(sink_t *sink);
sink_state_t sink_on_part(sink_t *sink, const pg_reply_t *reply);

/* Begins to look for bad rows; "failed" is bisect_begin()'s. */
sink_state_t sink_look(sink_t *sink, const pg_reply_t *reply,
    const batch_span_t *failed);

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

/* Keeps how the batch ends; the next state rolls it back. */
sink_state_t sink_stop(sink_t *sink, sqlstate_action_t action,
    const char *reason);

/* The outcome of a reply to a COPY. */
void sink_outcome(const sink_t *sink, outcome_t *outcome,
    const pg_reply_t *reply, const char *what);

/* Whether more of the last records are dead than "hold_above" allows. */
bool sink_too_many(const sink_t *sink);


#endif
