/* A record without a value: the key's columns of the row that goes. */

#ifndef SLUICE_TOMBSTONE_H
#define SLUICE_TOMBSTONE_H


#include "base/buf.h"
#include "record/record.h"
#include "row/row.h"


typedef struct tombstone_s  tombstone_t;


/* As row_plan_create(), for the table that "spec" says the key of. */
tombstone_t *tombstone_create(const row_spec_t *spec, char *reason,
    size_t size);
void tombstone_free(tombstone_t *tombstone);

/*
 * As row_convert(): the line of a row whose columns other than the key's are
 * null.  A key column that comes from the record's value is taken from the
 * Kafka key instead: by the same JSON Pointer where that is a JSON object,
 * else, where there is one such column only, the whole Kafka key as text.
 */
int tombstone_convert(tombstone_t *tombstone, const record_t *record,
    buf_t *text, record_fault_t *fault);


#endif
