/*
 * A world of its own for the daemon: its real steps, offsets, sink, batches
 * and reading run against a clock, a Kafka and a PostgreSQL that are made
 * here, with one seed for all that happens.
 */

#ifndef SLUICE_SIM_H
#define SLUICE_SIM_H


#include "daemon/daemon_impl.h"


#define SIM_PARTITIONS  3
#define SIM_RECORDS     64      /* at most, of one partition */
#define SIM_MEMBERS     12      /* daemons that ever live in one history */
#define SIM_NAME        16      /* bytes of a spelling of the table */
#define SIM_IDS         (SIM_PARTITIONS * SIM_RECORDS * 2 + 1)
#define SIM_OFFSETS     512
#define SIM_SESSION     500     /* ms a silent member stays in the group */


/* What a record is, and so what has to become of it. */
typedef enum {
    SIM_GOOD = 0,
    SIM_NOT_JSON,       /* dead before any SQL */
    SIM_BAD_LINE,       /* COPY ends at it */
    SIM_BAD_ROW,        /* it ends with COPY */
    SIM_BAD_LATER,      /* a deferred constraint, at COMMIT */
    SIM_ODD_ROW,        /* an error whose SQLSTATE blames no row */
    SIM_ODD_LATER,      /* likewise, at COMMIT */
    SIM_KINDS
} sim_kind_t;


typedef struct {
    int64_t     offset;
    int64_t     timestamp;
    uint32_t    id;
    sim_kind_t  kind;
    char        value[64];
    size_t      len;
} sim_record_t;


typedef struct {
    sim_record_t  records[SIM_RECORDS];
    size_t        n;
    int64_t       begin;       /* the first offset there is */
    int64_t       end;         /* behind the last */
} sim_log_t;


typedef struct {
    int32_t  partition;
    int64_t  offset;
    int64_t  id;               /* -1: not known, in a dead letter */
} sim_row_t;


typedef struct {
    bool      stored;
    int64_t   next;
    int64_t   epoch;
    bool      has_last;
    int64_t   timestamp;
    int64_t   crc;
} sim_offset_t;


typedef struct {
    bool     gap;
    bool     merged;           /* into a row with others, */
    int64_t  row;              /* which begins there */
    int32_t  partition;
    int64_t  first;
    int64_t  next;
    int64_t  records;
    int64_t  dead;
} sim_range_t;


/* All that PostgreSQL keeps; copied to be restored later. */
typedef struct {
    sim_row_t     rows[SIM_PARTITIONS * SIM_RECORDS * 2];
    size_t        nrows;
    sim_row_t     dead[SIM_PARTITIONS * SIM_RECORDS * 2];
    size_t        ndead;
    char          name[SIM_NAME];    /* of the table in them; "": none */
    sim_offset_t  offsets[SIM_PARTITIONS];
    sim_range_t   ranges[SIM_PARTITIONS * SIM_RECORDS * 2];
    size_t        nranges;
} sim_db_t;


/* One daemon: as the group sees it, and itself. */
typedef struct {
    bool         alive;
    bool         joined;          /* in the group */
    bool         has;             /* partitions, as it believes */
    bool         gone;            /* killed; the group does not know yet */
    int64_t      paused;          /* ms since, 0: it runs */
    int64_t      resume;          /* ms */
    int64_t      gone_at;         /* ms, when the group knows */
    int64_t      revoke_at;       /* ms, 0: nothing to be told */
    int64_t      assign_at;
    unsigned     mask;            /* of the partitions to be assigned */
    bool         lost;            /* the group went on without it */
    bool         closing;
    bool         closed;

    /* the client of Kafka */
    bool         assigned[SIM_PARTITIONS];
    int64_t      position[SIM_PARTITIONS];
    bool         unknown[SIM_PARTITIONS];    /* deleted while it was read */
    bool         stopped[SIM_PARTITIONS];    /* by an error, until assigned */
    bool         mute[SIM_PARTITIONS];       /* without one, until then */
    bool         at_end[SIM_PARTITIONS];     /* and told so */
    int          fd;
    bool         signalled;
    source_t    *source;

    daemon_t     daemon;
} sim_member_t;


typedef struct {
    uint64_t      random;
    int64_t       now;            /* ms */
    bool          verbose;
    bool          calm;           /* nothing goes wrong any more */
    bool          pooled;         /* a session outlives its server */
    unsigned      faults;         /* of 1,000 queries */
    size_t        size;           /* rows a transaction can have; 0: any */
    const char   *size_state;     /* what more of them end with */
    bool          mended;         /* no row is odd any more */
    int64_t       closed;         /* ms, until when the table takes no row */
    const char   *closed_state;
    int64_t       stored;         /* sum of the offsets, when it last grew */
    int64_t       stored_at;      /* ms, then */
    size_t        partitions;
    size_t        goal;           /* records a partition will have */
    int64_t       produce;        /* ms, when the next comes */
    sim_log_t     logs[SIM_PARTITIONS];
    sim_log_t     old[SIM_PARTITIONS];   /* of before it was recreated */
    bool          made;           /* the topic was, once a history */
    bool          helped;         /* the offsets are of the new one */
    bool          resetting;      /* somebody wants to, daemons have to go */
    sim_db_t      db;
    sim_db_t      backup;
    bool          was_row[SIM_IDS];    /* once committed, by id */
    bool          was_dead[SIM_PARTITIONS][SIM_OFFSETS];
    uint64_t      told;           /* records in receipts of all histories */
    bool          balancing;
    sim_member_t  members[SIM_MEMBERS];
    size_t        nmembers;
} sim_t;


extern sim_t          sim;
extern sim_member_t  *sim_member;     /* the one that runs now */


uint32_t sim_random(uint32_t below);
void sim_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void sim_wrong(const char *fmt, ...)
    __attribute__((format(printf, 1, 2), noreturn));

/* As SIGSTOP does, for so long. */
void sim_pause(sim_member_t *m, int64_t ms);
/* As SIGTERM does. */
void sim_stop(sim_member_t *m);

/* sim_topic.c: the topic's log and the group. */
void sim_topic_reset(void);
void sim_produce(void);
/* Deletes the topic and creates it again: other records, the same offsets. */
void sim_make_again(void);
const sim_record_t *sim_find(int64_t id);
void sim_group_change(void);
void sim_group_tick(void);
void sim_group_leave(sim_member_t *m);

/* sim_kafka.c: the client of a daemon. */
int64_t sim_kafka_due(const sim_member_t *m);
const lookup_result_t *sim_lookup_result(lookup_t *lookup);
int64_t sim_lookup_due(const lookup_t *lookup);

/* sim_receipts.c: what is told was committed; notes what is. */
void sim_committed(const pg_t *pg);

/* sim_session.c: what came back from PostgreSQL is told to a daemon. */
void sim_pg_io(pg_t *pg);
int64_t sim_pg_due(const pg_t *pg, bool paused);

/* sim_postgres.c: the server. */
void sim_pg_reset(void);
/* Does every query that has come in. */
void sim_pg_serve(void);
/* The client of a session is gone; what it has sent may still be done. */
void sim_pg_orphan(pg_t *pg);
int64_t sim_pg_orphans_due(void);
/*
 * Whether somebody has to wait for offsets that another transaction moved.
 * Nobody may for a daemon the group went on without: it can be stopped long.
 */
bool sim_pg_locked(const pg_t *pg, unsigned mask);
/* Every connection ends; what was not committed is gone. */
void sim_pg_crash(void);

/* sim_operator.c: what people do unasked, and about a hold; once a turn. */
void sim_operate(void);

/* sim_check.c: whether all is stored; whether it is stored as it has to be. */
bool sim_is_done(void);
void sim_check(void);
/* Once a turn. */
void sim_check_progress(void);


#endif
