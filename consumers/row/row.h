/*
 * A record becomes a line of COPY's text format.
 *
 * Room: a record becomes a line of COPY; knows no Kafka and no SQL.
 */

#ifndef SLUICE_ROW_H
#define SLUICE_ROW_H


#include "base/buf.h"
#include "conf/conf.h"
#include "record/record.h"


#define ROW_FILTERED  2


typedef struct row_plan_s  row_plan_t;


/*
 * "types" holds one type name a column of "conf", NULL where it has neither
 * a type of its own nor one of the table.  Both must outlive the plan.
 * Returns NULL with a text in "reason" ("size" bytes) where a column cannot
 * be filled as the configuration says.
 */
row_plan_t *row_plan_create(const conf_t *conf, const char *const *types,
    char *reason, size_t size);
void row_plan_free(row_plan_t *plan);

/*
 * Appends the record's line, with its line feed, to "text".  Returns 0; 1
 * with *fault set and nothing appended where the record cannot become a row;
 * ROW_FILTERED where "where" leaves it out; -1 when memory is short.
 */
int row_convert(row_plan_t *plan, const record_t *record, buf_t *text,
    record_fault_t *fault);


#endif
