/* Inside the daemon: its state, shared by the loop and its steps. */

#ifndef SLUICE_DAEMON_IMPL_H
#define SLUICE_DAEMON_IMPL_H


#include "base/log.h"
#include "base/notify.h"
#include "conf/conf.h"
#include "daemon/daemon.h"
#include "daemon/metrics.h"
#include "kafka/lookup.h"
#include "kafka/source.h"
#include "postgres/pg.h"
#include "store/batch.h"
#include "store/offsets.h"
#include "store/prune.h"
#include "store/sink.h"
#include "store/targets.h"
#include "store/unblock.h"


/*
 * What the daemon is doing; see daemon_next().  Those from DAEMON_PREPARING to
 * DAEMON_PRUNING may be the connection's work, too.
 */
typedef enum {
    DAEMON_IDLE = 0,       /* no work; never a state of the daemon */
    DAEMON_FINDING,        /* the topic is looked up */
    DAEMON_CONNECTING,     /* to PostgreSQL */
    DAEMON_PREPARING,      /* tables are made and looked up */
    DAEMON_CLAIMING,       /* the partitions' offsets, for this daemon */
    DAEMON_READING,
    DAEMON_STORING,        /* a batch; the other one may be filled */
    DAEMON_COMPARING,      /* whether the topic was made again */
    DAEMON_PRUNING,        /* what has expired is deleted */
    DAEMON_STANDING_BY,    /* the group has given no partition */
    DAEMON_WAITING,        /* before another attempt */
    DAEMON_HOLDING,        /* the same, and somebody has to mend something */
    DAEMON_ENDING,         /* a replay has come to its end */
    DAEMON_LEAVING         /* the group */
} daemon_state_t;


/* What went wrong last, and when it is tried again. */
typedef struct {
    daemon_state_t     state;      /* in which it did; what lies further on
                                      has to go well to end the trouble;
                                      DAEMON_IDLE: all is well */
    sqlstate_action_t  action;
    char               reason[SQL_REASON];
    unsigned           tries;
    int64_t            until;      /* ms, monotonic, of the next attempt */
} daemon_trouble_t;


typedef struct {
    const conf_t      *conf;
    daemon_options_t   options;
    char               owner[64];      /* application_name, owner of rows */

    int                signals;
    lookup_t          *lookup;
    source_t          *source;         /* NULL until the topic is found */
    pg_t              *pg;
    targets_t         *targets;
    offsets_t         *offsets;
    sink_t            *sink;
    dead_topic_t      *dead_topic;     /* NULL: none is configured */
    prune_t           *prune;
    unblock_t         *unblock;
    metrics_http_t    *http;

    batch_t            batches[2];
    batch_t           *filling;
    batch_t           *storing;        /* NULL: none waits or is under way */
    int64_t            since;          /* ms, when storing it began */
    int64_t            wrote;          /* 1/8 ms, how long that takes */
    buf_t              headers;        /* of a record, as JSON */
    buf_t              header_list;    /* and one by one */

    daemon_state_t     state;
    daemon_state_t     work;           /* what the connection is at */
    bool               prepared;       /* on this connection */
    bool               claimed;
    uint64_t           generation;     /* of the assignment claimed */

    daemon_trouble_t   trouble;
    int64_t            probe;          /* ms, of asking for Kafka again */
    bool               probing;

    bool               ended;          /* a replay came to its end */
    bool               stopping;
    bool               closing;        /* leaving the group */
    bool               done;
    int                status;         /* to exit with */
    int64_t            stop_deadline;

    notify_t           notify;
    int64_t            tell;           /* ms, of the next look for STATUS */
    int64_t            standing;       /* ms, since a due batch waits; or 0 */
    bool               reload;         /* this stop leads to another run */

    metrics_t          metrics;
    size_t             metrics_size;
    log_limit_t        memory;
} daemon_t;


/* step.c: does what is due. */
void daemon_step(daemon_t *d, int64_t now);
/* ms until a step or daemon_read() has something to do without an event; -1:
   never. */
int64_t daemon_due_in(const daemon_t *d, int64_t now);
/* Stores what is in memory, leaves the group and ends. */
void daemon_stop(daemon_t *d, int64_t now);

/* read.c */
void daemon_read(daemon_t *d, int64_t now);
bool daemon_can_read(const daemon_t *d);

/* work.c: begins what a state is for. */
void daemon_find(daemon_t *d);
void daemon_connect(daemon_t *d);
void daemon_prepare(daemon_t *d);
void daemon_claim(daemon_t *d);
void daemon_compare(daemon_t *d);
void daemon_store(daemon_t *d);
void daemon_prune(daemon_t *d);
void daemon_on_connected(void *data, const char *error,
    const char *sqlstate);
void daemon_looked_up(daemon_t *d, const lookup_result_t *result);

/* trouble.c: what is said once, waited for and ended. */
void daemon_fail(daemon_t *d, daemon_state_t state, sqlstate_action_t action,
    const char *reason);
/* Ends a trouble that came before "state" was well. */
void daemon_recover(daemon_t *d, daemon_state_t state);
/* A new assignment need not wait for what fenced the last one. */
void daemon_forgive_fence(daemon_t *d);
/* Takes back what was read and not stored: the stored offsets say where to go
   on. */
void daemon_forget(daemon_t *d);

/* figures.c: a batch that was committed just now; all there is. */
void daemon_count(daemon_t *d, const batch_t *batch);
const metrics_t *daemon_metrics(void *data);

/* manage.c: what the service manager is told and asks for. */
int64_t daemon_manage(daemon_t *d, int64_t now);
void daemon_reload(daemon_t *d, int64_t now);


#endif
