/* The tables of a configuration: prepares them and converts their records. */

#ifndef SLUICE_TARGETS_H
#define SLUICE_TARGETS_H


#include "postgres/pg.h"
#include "postgres/sqlstate.h"
#include "postgres/target.h"
#include "registry/registry.h"
#include "row/row.h"
#include "store/batch.h"


typedef struct targets_s  targets_t;


/* How records become rows of a table that was found, which must outlive it. */
void targets_spec(const target_t *target, row_spec_t *spec);

/* "conf" must outlive it.  Returns NULL with the reason logged. */
targets_t *targets_create(const conf_t *conf);
void targets_destroy(targets_t *targets);

/*
 * The cluster of a topic's records and the name of their offsets, before the
 * first record.  Returns -1 when memory is short.
 */
int targets_set_table(targets_t *targets, size_t topic, const char *cluster,
    const char *table);

/*
 * Creates what is missing, reads the tables' columns and calls "done", with
 * SQLSTATE_OK when all tables are ready.  "pg" must be idle.
 */
void targets_prepare(targets_t *targets, pg_t *pg, outcome_pt done,
    void *data);

/*
 * What the catalogue says of a table, valid until the next targets_prepare(),
 * and whether its rows can be tuples of COPY's binary format.
 */
const target_t *targets_found(const targets_t *targets, size_t target);
bool targets_tuples(const targets_t *targets, size_t target);

/* The next records of a table become lines: it takes no tuple. */
void targets_as_lines(targets_t *targets, size_t target);

/*
 * Whether records had fields that become columns with the next
 * targets_prepare(): their rows lack these, and are to be converted again.
 */
bool targets_news(const targets_t *targets);

/* NULL: no part of a record has a registry's frame. */
registry_t *targets_registry(const targets_t *targets);

/*
 * Converts a record, whose schemas must be in memory, and accounts it in the
 * batch: as a row, as a dead letter or as left out.  Returns 0, or -1 when
 * memory is short.
 */
int targets_add(targets_t *targets, batch_t *batch, unsigned range,
    record_t *record);


#endif
