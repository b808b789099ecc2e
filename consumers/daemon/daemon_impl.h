/* Inside the daemon: its state, shared by the loop and its steps. */

#ifndef SLUICE_DAEMON_IMPL_H
#define SLUICE_DAEMON_IMPL_H


#include "base/log.h"
#include "base/notify.h"
#include "conf/conf.h"
#include "daemon/daemon.h"
#include "daemon/metrics.h"
#include "daemon/trace.h"
#include "kafka/lookup.h"
#include "kafka/source.h"
#include "postgres/pg.h"
#include "store/batch.h"
#include "store/offsets.h"
#include "store/prune.h"
#include "store/receipts.h"
#include "store/sink.h"
#include "store/targets.h"
#include "store/unblock.h"


/*
 * What the daemon does now; see daemon_next().  The states from
 * DAEMON_PREPARING to DAEMON_PRUNING are also values of daemon_t.work.
 */
typedef enum {
    DAEMON_IDLE = 0,       /* no work; never a state of the daemon */
    DAEMON_FINDING,        /* looks the topic up */
    DAEMON_CONNECTING,     /* to PostgreSQL */
    DAEMON_PREPARING,      /* creates tables and looks them up */
    DAEMON_CLAIMING,       /* the partitions' offsets, for this daemon */
    DAEMON_LOOKING,        /* what the partitions' last records became */
    DAEMON_READING,
    DAEMON_STORING,        /* a batch; the other one may be filled */
    DAEMON_COMPARING,      /* whether the topic was created again */
    DAEMON_PRUNING,        /* deletes expired keys and dead letters */
    DAEMON_STANDING_BY,    /* the group has given no partition */
    DAEMON_WAITING,        /* before another attempt */
    DAEMON_HOLDING,        /* the same, until a person has mended the cause */
    DAEMON_ENDING,         /* a replay has reached its end */
    DAEMON_LEAVING         /* the group */
} daemon_state_t;


/* What failed last, and when the next attempt is due. */
typedef struct {
    daemon_state_t     state;      /* the one that failed: success in it or
                                      in a later one ends the trouble;
                                      DAEMON_IDLE: there is none */
    sqlstate_action_t  action;
    char               reason[SQL_REASON];
    unsigned           tries;
    int64_t            since;      /* ms, monotonic */
    int64_t            until;      /* likewise, of the next attempt */
} daemon_trouble_t;


typedef struct {
    const conf_t      *conf;           /* for the topics that are read */
    const conf_t      *file;           /* as it was read from the file */
    daemon_options_t   options;
    char               owner[64];      /* application_name, owner of rows */

    int                signals;
    lookup_t          *lookup;
    source_t          *source;         /* NULL until the topic is found */
    pg_t              *pg;
    targets_t         *targets;
    registry_t        *registry;       /* the targets'; NULL: no frames */
    offsets_t         *offsets;
    sink_t            *sink;
    dead_topic_t      *dead_topic;     /* NULL: none is configured */
    receipts_t        *receipts;       /* NULL: none are sent */
    prune_t           *prune;
    unblock_t         *unblock;
    metrics_http_t    *http;
    trace_t           *trace;          /* NULL: no spans are written */

    batch_t            batches[2];
    batch_t           *filling;
    batch_t           *storing;        /* NULL: none waits or is under way */
    int64_t            since;          /* ms, when storing it began */
    int64_t            wrote;          /* 1/8 ms, average time of storing */
    unsigned           growing;        /* batches since their size changed,
                                          while it is below "batch.rows" */
    buf_t              headers;        /* of a record: record_header_t */
    rd_kafka_message_t  *waiting;      /* read, but a schema of it is not there;
                                          NULL: none */
    source_partition_t  *waiting_in;
    uint64_t           told;           /* turns of the registry's reason */

    daemon_state_t     state;
    daemon_state_t     work;           /* what the connection does now */
    bool               prepared;       /* on this connection */
    bool               claimed;
    bool               looked;         /* behind this claim, for receipts */
    uint64_t           generation;     /* of the assignment claimed */

    daemon_trouble_t   trouble;
    lookup_t          *lister;         /* of topics; NULL: one is read */
    int64_t            list;           /* ms, when they are listed next */
    const conf_t      *listed;         /* of the last list; may be NULL */
    bool               topics_change;  /* others are to be read */
    int64_t            again;          /* ms, when topics that are held are
                                          tried next; 0: none is */

    int64_t            probe;          /* ms, when the next one is due */
    bool               probing;

    bool               ended;          /* a replay reached its end */
    bool               stopping;
    bool               closing;        /* leaving the group */
    bool               done;
    int                status;         /* to exit with */
    int64_t            stop_deadline;

    notify_t           notify;
    int64_t            tell;           /* ms, when STATUS is sent next */
    int64_t            standing;       /* ms, since a due batch waits; or 0 */
    bool               reload;         /* the daemon runs again after this
                                          stop */

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
/* Empties the batch that is filled, and drops what waits to get into it. */
void daemon_refill(daemon_t *d, uint64_t generation);

/* work.c: begins what a state is for. */
void daemon_find(daemon_t *d);
void daemon_connect(daemon_t *d);
void daemon_prepare(daemon_t *d);
void daemon_claim(daemon_t *d);
void daemon_look(daemon_t *d);
void daemon_compare(daemon_t *d);
void daemon_store(daemon_t *d);
void daemon_prune(daemon_t *d);
void daemon_on_connected(void *data, const char *error,
    const char *sqlstate);
void daemon_looked_up(daemon_t *d, const lookup_result_t *result);

/* units.c: makes and frees what depends on the topics; makes it once more. */
int daemon_open(daemon_t *d);
void daemon_close(daemon_t *d);

/* topics.c: several topics. */

/* Chooses among those of the cluster.  Returns the number of partitions, or -1
   after daemon_fail(). */
int daemon_choose(daemon_t *d, const lookup_result_t *result);
/* Lists the topics once in a while; sets "topics_change". */
void daemon_list(daemon_t *d, int64_t now);
void daemon_listed(daemon_t *d, int64_t now);
/* With "topics": the figures of each, or NULL. */
metrics_topic_t *daemon_topics(daemon_t *d);
/* A topic is not read for now; the others are. */
void daemon_hold_topic(void *data, size_t topic, const char *reason);
/* Ends what daemon_hold_topic() began, or tries the topics once more. */
void daemon_heed_topics(daemon_t *d, int64_t now);
/* Why a topic is held, and which topics are no topics to read, or NULL. */
const char *daemon_topics_reason(const daemon_t *d);
const char *daemon_topics_left(const daemon_t *d);

/* trouble.c: a failure is logged once, waited for and ended. */
void daemon_fail(daemon_t *d, daemon_state_t state, sqlstate_action_t action,
    const char *reason);
/* Asks the schema registry, if there is one; logs each turn of its trouble. */
void daemon_ask(daemon_t *d, int64_t now);
/* Ends the trouble if success in "state" does. */
void daemon_recover(daemon_t *d, daemon_state_t state);
/* Ends the wait for what the last assignment could not store. */
void daemon_forgive(daemon_t *d);
/* Drops records that are read and not stored.  Reading continues at the stored
   offsets after the next claim. */
void daemon_forget(daemon_t *d);

/* figures.c: count a committed batch; return all figures. */
void daemon_count(daemon_t *d, const batch_t *batch);
const metrics_t *daemon_metrics(void *data);

/* manage.c: messages to the service manager, and its reload. */
int64_t daemon_manage(daemon_t *d, int64_t now);
void daemon_reload(daemon_t *d, int64_t now, const char *why);


#endif
