/*
 * A record without a value becomes the row to delete; so does one whose value
 * says that it deletes its row.
 */

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
 *
 * Of a record with a value the key's columns are those of the value's row.  But
 * Debezium's rows that were have a value for each column that may not be null,
 * known or not: there a Kafka key that is a JSON object comes first.
 */
int tombstone_convert(tombstone_t *tombstone, const record_t *record,
    bool *tuple, buf_t *text, record_fault_t *fault);


#endif
