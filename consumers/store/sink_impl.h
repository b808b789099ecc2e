/* Inside the sink: what its transaction and its byte streams share. */

#ifndef SLUICE_SINK_IMPL_H
#define SLUICE_SINK_IMPL_H


#include "store/sink.h"


#define SINK_CHUNK  65536    /* bytes given to libpq at once */

#define SINK_WINDOW  1000    /* records "hold_above" looks back at */

#define SINK_TOO_MANY                                                       \
    "too many records are bad: more than \"hold_above\" of the last 1000 "    \
    "would be dead letters"


/* The statements of one table. */
typedef struct {
    const conf_t  *conf;
    const target_t  *found;      /* what the catalogue says */
    bool           staged;       /* not copied into the table itself */
    unsigned       stage_for;    /* batches more, where others may be */
    char           relation[64]; /* as COPY's error context names it */
    buf_t          stage;        /* makes the temporary table; or empty */
    buf_t          copy;
    buf_t          copy_binary;
    buf_t          plain;        /* of new rows into the table; or empty */
    buf_t          plain_binary;
    binary_t      *binary;       /* NULL: rows are sent as text */
    buf_t          apply;        /* from there into the table; or empty */
    buf_t          apply_delete; /* the same where tombstones are among it */
} sink_target_t;


/* Rows [first, end) of one table that are stored together. */
typedef struct {
    size_t    first;
    size_t    end;
    unsigned  target;
    bool      bad;               /* a row at fault is known to be in it */
    bool      sibling;           /* is so if the span above it goes well */
} sink_span_t;


typedef struct sink_key_s  sink_key_t;


/* Which of the last accounted records were bad. */
typedef struct {
    uint8_t   bad[SINK_WINDOW];
    unsigned  next;
    unsigned  count;
} sink_window_t;


struct sink_s {
    const conf_t   *conf;
    offsets_t      *offsets;
    sink_end_t      end;
    dead_topic_t   *dead_topic;    /* or NULL */

    pg_t           *pg;
    batch_t        *batch;
    sink_done_pt    done;
    void           *data;
    outcome_t       outcome;
    double          began;         /* s, monotonic, of what is timed now */
    sink_times_t    times;

    sink_target_t  *targets;
    unsigned        ntargets;
    buf_t           dead_sql;
    buf_t           dead_key;      /* the constant fields of a dead letter */
    buf_t           sql;

    sink_key_t     *keys;          /* of clients' retries, in order */
    size_t          nkeys;
    size_t          keys_size;
    size_t         *repeats;       /* rows: of a key but the first */
    size_t          key;           /* the next one to add */
    int64_t         ends;          /* us since 2000, of a key added now */
    unsigned        seen_tries;
    unsigned        seen_ask;      /* batches more: which keys are known */

    /* the COPY under way */
    sink_span_t     span;
    size_t          row;           /* the next one to send */
    bool            binary;        /* as tuples, not as lines */
    bool            plain;         /* into the table, though it is staged */
    bool            not_plain;     /* nothing more of this batch */
    bool            no_memory;     /* what was sent is refused */
    buf_t           chunk;

    /* the row at fault when it was copied plainly; SIZE_MAX: none was named */
    size_t          hint;
    unsigned        hint_target;
    char            hint_state[6];
    char            hint_constraint[64];

    /* looking for bad rows */
    bool            careful;
    bool            looked;        /* once for this batch already */
    sink_span_t    *todo;          /* a stack, the leftmost rows on top */
    size_t          ntodo;
    size_t          todo_size;
    size_t          step;          /* rows to try at once */
    size_t          last_bad;      /* row, or SIZE_MAX */
    unsigned        found;

    int64_t         later_since;   /* ms, of the first "row later" */
    sink_window_t   window;
    uint64_t        copies;        /* of rows, since the start */
};


static inline void
sink_add(buf_t *sql, const buf_t *text)
{
    if (text->len) {
        buf_add(sql, text->data, text->len);
    }
}


/* sink.c */
void sink_begin(sink_t *sink);
void sink_open(sink_t *sink);
void sink_stop(sink_t *sink, sqlstate_action_t action, const char *reason);
int sink_failed(sink_t *sink, const pg_reply_t *reply, const char *what);
void sink_copy_rows(sink_t *sink, pg_done_pt done);
void sink_send(sink_t *sink, pg_copy_pt copy, pg_done_pt done);
void sink_store_dead(sink_t *sink);

/*
 * sink_look.c: a statement failed for a row's sake, of the span's target or,
 * at the end of the transaction, of any.
 */
void sink_look(sink_t *sink, const pg_reply_t *reply, bool any);
void sink_look_on(sink_t *sink);

/* The row at fault where that is beyond doubt, else SIZE_MAX. */
size_t sink_named(const sink_t *sink, const pg_reply_t *reply);

/* sink_seen.c: drops clients' retries, then goes on with the rows. */
void sink_seen(sink_t *sink);

/* sink_sql.c: -1 when memory is short. */
int sink_target_prepare(sink_target_t *target, PGconn *conn, unsigned n);

/* sink_copy.c: the streams of the COPYs. */
size_t sink_rows(void *data, const char **chunk);
size_t sink_binary_rows(void *data, const char **chunk);
size_t sink_staged_rows(void *data, const char **chunk);
size_t sink_dead_letters(void *data, const char **chunk);

/*
 * Sent instead, where memory is short: no tuple, and no line of a table with
 * a number, so it is refused and nothing is stored.
 */
size_t sink_no_memory(sink_t *sink, const char **chunk);

/*
 * The line of the COPY that the error context reports, 0 if it names none
 * beyond doubt: a client's bytes may look like one.  With nothing behind the
 * number it is the last line read, which is the one at fault only where
 * "last" says so: for a constraint.
 */
uint64_t sink_context_line(const char *relation, const char *context,
    bool last);

/*
 * Accounts the batch in "window"; returns -1 once more than "limit" of the
 * last records are bad.
 */
int sink_window_add(sink_window_t *window, const batch_t *batch,
    double limit);


#endif
