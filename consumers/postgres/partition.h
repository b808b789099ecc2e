/*
 * The partitions of a table that is partitioned by time: which ones it lacks,
 * by its catalogue, and the SQL that makes them.
 */

#ifndef SLUICE_PARTITION_H
#define SLUICE_PARTITION_H


#include "postgres/sqlstate.h"
#include "postgres/target.h"


#define PARTITION_MOST  100    /* made in one transaction */


/*
 * Appends the statements, for a transaction: make the partitions that are ahead
 * and those of "hours", as an array of integers, hours since 2000-01-01 UTC.
 * "name" is the table, quoted; NULL: target_begin() has found it.  The
 * transaction's search_path is Sluice's then.
 */
void partition_make(buf_t *sql, const conf_t *conf, const char *name,
    const char *hours);

/*
 * Logs what a reply to these statements says that was made.  Returns the number
 * of partitions; "*wrong" is why others could not be made, or "".
 */
int64_t partition_made(const conf_t *conf, const pg_reply_t *reply,
    const char **wrong);

/*
 * Appends the hour of a row's time to "hours", int64_t each, if partitions may
 * be made for it and it is not the one that was appended last.  "text" is the
 * row as COPY has it.
 */
int partition_hour(buf_t *hours, const target_t *target, const char *text,
    size_t len, bool tuple);

/* Writes them as partition_make() takes them. */
void partition_hours(buf_t *list, buf_t *hours);


#endif
