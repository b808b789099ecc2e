/* Offsets in PostgreSQL: claimed at assignment, advanced with the rows. */

#ifndef SLUICE_OFFSETS_H
#define SLUICE_OFFSETS_H


#include "kafka/lookup.h"
#include "kafka/source.h"
#include "postgres/pg.h"
#include "postgres/sqlstate.h"
#include "store/batch.h"


#define OFFSETS_PREFIX  25    /* bytes, with the NUL */


typedef struct offsets_s  offsets_t;

/*
 * SQLSTATE_OK: every partition of the source holds what is stored and may be
 * assigned.  SQLSTATE_FENCED: the assignment changed meanwhile, begin again.
 */
typedef void (*offsets_done_pt)(void *data, const outcome_t *outcome);


/*
 * "sluice:" + FNV-1a of group and topic + ":", with which the owners' names
 * begin; with 16 digits more they are 40 of the 63 bytes PostgreSQL keeps.
 */
void offsets_prefix(const conf_t *conf, char *prefix);

/*
 * "owner" names this daemon and holds no quote; it and "conf" must outlive the
 * structure.  Returns NULL when memory is short.
 */
offsets_t *offsets_create(const conf_t *conf, const char *owner);
void offsets_destroy(offsets_t *offsets);

/* Before anything else: the cluster the offsets belong to. */
int offsets_set_cluster(offsets_t *offsets, const char *cluster);

/*
 * Claims the source's partitions and checks them against the log.  "pg" must
 * be idle and no lookup under way.
 */
void offsets_claim(offsets_t *offsets, pg_t *pg, lookup_t *lookup,
    source_t *source, offsets_done_pt done, void *data);

/* Hands over what lookup_result() returned. */
void offsets_looked_up(offsets_t *offsets, const lookup_result_t *result);

/*
 * The last string of a batch's transaction: a DO block that advances every
 * range or raises SL001, and COMMIT.
 */
void offsets_advance(const offsets_t *offsets, const batch_t *batch,
    buf_t *sql);

/* A statement that raises SL001 unless every range is still this daemon's. */
void offsets_assert(const offsets_t *offsets, const batch_t *batch,
    buf_t *sql);

/*
 * Of this daemon's rows, with the cluster's name, in SQL: the literals of
 * "cluster_id, group_id, topic, table_name", and the condition that selects
 * them.
 */
const char *offsets_key(const offsets_t *offsets);
const char *offsets_where(const offsets_t *offsets);

const char *offsets_cluster(const offsets_t *offsets);


#endif
