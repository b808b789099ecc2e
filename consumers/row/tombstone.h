/* A record without a value becomes the row to delete. */

#ifndef SLUICE_TOMBSTONE_H
#define SLUICE_TOMBSTONE_H


#include "row/row.h"


typedef struct tombstone_s  tombstone_t;


/* As row_plan_create(); "spec" has to name the table's key. */
tombstone_t *tombstone_create(const row_spec_t *spec, char *reason,
    size_t size);
void tombstone_free(tombstone_t *tombstone);

/*
 * As row_convert(): a row whose columns are null but for the
 * key's.  A key column that comes from the record's value is taken from the
 * Kafka key instead: by the same JSON Pointer if the Kafka key is a JSON
 * object; else, if there is one such column only, as the whole Kafka key.
 */
int tombstone_convert(tombstone_t *tombstone, const record_t *record,
    bool *tuple, buf_t *text, record_fault_t *fault);


#endif
