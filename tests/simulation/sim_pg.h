/* A session of the simulated PostgreSQL, both of its sides. */

#ifndef SLUICE_SIM_PG_H
#define SLUICE_SIM_PG_H


#include "sim.h"


#define SIM_PENDING  512     /* rows of one transaction */


struct pg_s {
    pg_ready_pt   ready;
    void         *ready_data;
    pg_state_t    state;
    int64_t       connect;       /* ms, when it is */

    char         *sql;
    pg_copy_pt    copy;
    pg_done_pt    done;
    void         *data;
    bool          keep;
    bool          executed;
    bool          broken;        /* while idle, the client will see it */
    int64_t       execute;       /* ms, when the server does it */
    int64_t       answer;        /* ms, when the client hears */
    pg_reply_t    reply;

    /* the server's side of the session */
    bool          open;          /* a transaction */
    bool          failed;
    bool          immediate;     /* constraints are */
    unsigned      savepoint;     /* its number */
    const char   *later;         /* SQLSTATE of a deferred one, or NULL */
    sim_row_t     rows[SIM_PENDING];
    size_t        nrows;
    size_t        nrows_saved;
    sim_row_t     dead[SIM_PENDING];
    size_t        ndead;
    size_t        ndead_saved;
    unsigned      locked;        /* partitions whose offsets it has moved */
    sim_offset_t  moved[SIM_PARTITIONS];
    char         *guard;         /* the block that did, for its ranges */
};


/* sim_postgres.c */
void sim_fail(pg_t *pg, const char *sqlstate);
void sim_commit(pg_t *pg);
void sim_roll_back(pg_t *pg);

/*
 * sim_sql.c: what follows a word in a text or, with skip, at its begin; NULL:
 * it is not there.  sim_name() takes a table's name off, up to "quote".
 */
const char *sim_after(const char *sql, const char *word);
const char *sim_skip(const char *p, const char *word);
const char *sim_name(const char *p, const char *quote, char *name);

/* The block that asks for the epoch, or the one that moves the offsets. */
void sim_guard(pg_t *pg, const char *sql);
/* The partitions whose offsets a query locks. */
unsigned sim_locks(const char *sql);
void sim_ranges(const char *sql);

/* sim_claim.c */
void sim_stored(pg_t *pg);
void sim_claim(pg_t *pg);

/* sim_receipts.c: what the records stored last became. */
void sim_look(pg_t *pg);


#endif
