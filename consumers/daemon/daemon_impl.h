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


/* What the connection to PostgreSQL is being used for. */
typedef enum {
    DAEMON_IDLE = 0,
    DAEMON_PREPARING,
    DAEMON_CLAIMING,
    DAEMON_STORING,
    DAEMON_PRUNING
} daemon_work_t;


/* Where a trouble came from; what lies further on has to go well to end it. */
typedef enum {
    DAEMON_FINE = 0,
    DAEMON_AT_TOPIC,
    DAEMON_AT_CONNECT,
    DAEMON_AT_PREPARE,
    DAEMON_AT_CLAIM,
    DAEMON_AT_STORE
} daemon_stage_t;


typedef struct {
    daemon_stage_t     stage;
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

    daemon_work_t      work;
    bool               prepared;       /* on this connection */
    bool               claimed;
    uint64_t           generation;     /* of the assignment claimed */
    bool               rejected;       /* the whole daemon cannot go on */

    daemon_trouble_t   trouble;        /* of PostgreSQL and the offsets */
    daemon_trouble_t   topic;          /* of finding the topic */
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


/* daemon_step.c: moves on whatever can move on. */
void daemon_step(daemon_t *d, int64_t now);
void daemon_read(daemon_t *d, int64_t now);
bool daemon_can_read(const daemon_t *d);
void daemon_on_connected(void *data, const char *error,
    const char *sqlstate);
void daemon_looked_up(daemon_t *d, const lookup_result_t *result);

/* daemon_trouble.c: what is said once, waited for and ended. */
void daemon_fail(daemon_t *d, daemon_stage_t stage,
    const outcome_t *outcome);
void daemon_recover(daemon_t *d, daemon_stage_t stage);
void daemon_forget(daemon_t *d);
int64_t daemon_backoff(daemon_trouble_t *trouble, int64_t least,
    int64_t most);

/* daemon_figures.c: a batch that was committed just now; all there is. */
void daemon_count(daemon_t *d, const batch_t *batch);
const metrics_t *daemon_metrics(void *data);

/* daemon_manage.c: what the service manager is told and asks for. */
int64_t daemon_manage(daemon_t *d, int64_t now);
void daemon_reload(daemon_t *d, int64_t now);


#endif
