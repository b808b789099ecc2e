/* The SQL that stores rows in one table, by its mode. */

#ifndef SLUICE_STATEMENTS_H
#define SLUICE_STATEMENTS_H


#include "postgres/target.h"


/* begins the name of a temporary table; the target's number follows */
#define STATEMENTS_STAGE  "sluice_stage_"


/* place of a row whose key has another one behind it; of APPLY_KNOWN alone */
#define STATEMENTS_PASSED  (-1)


typedef enum {
    STATEMENT_STAGE = 0,      /* makes the temporary table; or empty */
    STATEMENT_COPY,           /* of rows as lines */
    STATEMENT_COPY_TUPLES,    /* of rows as tuples; or empty */
    STATEMENT_SAME,           /* fails if the table has changed */
    STATEMENT_PLAIN,          /* of rows with new keys only; or empty */
    STATEMENT_PLAIN_TUPLES,
    STATEMENT_LOCK,           /* rows that will be changed; or empty */
    STATEMENT_APPLY,          /* the temporary table into the table; or empty */
    STATEMENT_APPLY_DELETE,   /* the same with tombstones; or empty */
    STATEMENT_APPLY_KNOWN,    /* the same of tuples in the order of order.h,
                                 for keys that are mostly there; or empty */
    STATEMENTS
} statement_t;


typedef struct {
    bool   staged;          /* rows go through a temporary table, */
    bool   gone;            /* which marks the rows that are tombstones */
    bool   absent;          /* STATEMENT_APPLY tells the places of rows that
                               it could not update */
    char   relation[64];    /* that temporary table */
    buf_t  sql[STATEMENTS];
} statements_t;


/*
 * Writes the statements for a table, also those for tuples if it can have any.
 * "number" is the table's own in its transaction.  Returns -1 when memory is
 * short.
 */
int statements_prepare(statements_t *statements, const target_t *target,
    bool tuples, unsigned number);
void statements_free(statements_t *statements);

static inline void
statements_add(const statements_t *statements, statement_t which, buf_t *sql)
{
    buf_add(sql, statements->sql[which].data, statements->sql[which].len);
}


#endif
