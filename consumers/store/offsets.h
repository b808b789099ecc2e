/*
 * Offsets in PostgreSQL (sluice.offsets): claimed at each assignment, advanced
 * in the transaction of the rows.
 */

#ifndef SLUICE_OFFSETS_H
#define SLUICE_OFFSETS_H


#include "kafka/lookup.h"
#include "kafka/source.h"
#include "postgres/pg.h"
#include "postgres/sqlstate.h"
#include "store/batch.h"


#define OFFSETS_PREFIX  25    /* bytes, with the NUL */

/* For sql_format(): the rows of a cluster, a group and a topic. */
#define OFFSETS_TOPIC  "(cluster_id,group_id,topic)" SQL_OP("=") "(%L,%L,%L)"


typedef struct offsets_s  offsets_t;


/*
 * Writes the prefix of all owners' names in a group: "sluice:", FNV-1a of group
 * and topics as 16 digits, ":".  A name has 16 digits more: 40 of the 63 bytes
 * that PostgreSQL keeps.
 */
void offsets_prefix(const conf_t *conf, char *prefix);

/*
 * "owner" names this daemon and holds no quote; it and "conf" must outlive the
 * structure.  Returns NULL when memory is short.
 */
offsets_t *offsets_create(const conf_t *conf, const char *owner);
void offsets_destroy(offsets_t *offsets);

/* Sets the cluster of the offsets; called first.  -1: memory is short. */
int offsets_set_cluster(offsets_t *offsets, const char *cluster);

/* The version of schema "sluice" at the last claim. */
int64_t offsets_version(const offsets_t *offsets);

const char *offsets_cluster(const offsets_t *offsets);

/*
 * The name that sluice.offsets has for the table of a topic: the first one it
 * had, however the configuration spells it now.  Known behind a claim.
 */
const char *offsets_table(const offsets_t *offsets, size_t topic);

/*
 * Append to SQL an expression of that name, and a query for all names that the
 * table may have had.
 */
void offsets_name(const conf_t *conf, const char *cluster, buf_t *sql);
void offsets_names(const conf_t *conf, buf_t *sql);

/*
 * Appends an expression of why it cannot be told which offsets are the
 * table's; "": it can.
 */
void offsets_doubt(const conf_t *conf, const char *cluster, buf_t *sql);

/*
 * Of this daemon's rows of a topic, in SQL: the literals of "cluster_id,
 * group_id, topic, table_name", and the condition that selects them.
 */
const char *offsets_key(const offsets_t *offsets, size_t topic);
const char *offsets_where(const offsets_t *offsets, size_t topic);

/* Takes why a topic cannot be read though the others can. */
typedef void (*offsets_hold_pt)(void *data, size_t topic, const char *reason);

/*
 * Claims the source's partitions, topic by topic, and checks them against the
 * topic.  Calls "done" once: with SQLSTATE_OK when every partition of the
 * source holds what is stored and may be assigned; with SQLSTATE_FENCED when
 * the assignment changed meanwhile.  With "topics", what is wrong with one goes
 * to the function of offsets_on_hold().  "pg" must be idle and no lookup under
 * way.
 */
void offsets_claim(offsets_t *offsets, pg_t *pg, lookup_t *lookup,
    source_t *source, outcome_pt done, void *data);

void offsets_on_hold(offsets_t *offsets, offsets_hold_pt hold);

/* Takes the result of a lookup that the claim started. */
void offsets_looked_up(offsets_t *offsets, const lookup_result_t *result);

/*
 * Appends the end of a batch's transaction: a DO block that advances the
 * offsets of all ranges or raises SL001, and COMMIT.
 */
void offsets_advance(const offsets_t *offsets, const batch_t *batch,
    buf_t *sql);

/* Appends a statement that raises SL001 unless this daemon's claims stand. */
void offsets_assert(const offsets_t *offsets, const batch_t *batch,
    buf_t *sql);


#endif
