/* Inside the target: the columns of its query. */

#ifndef SLUICE_TARGET_IMPL_H
#define SLUICE_TARGET_IMPL_H


#include "postgres/target.h"


/* What target_query() selects, by number. */
enum {
    TARGET_NAME = 0,
    TARGET_TYPE,          /* of a domain its base, of its array, too */
    TARGET_FILLED,        /* 't': PostgreSQL fills it, whatever is given */
    TARGET_DEFAULT,       /* "", 'c': a constant, 'v': any other */
    TARGET_EXPRESSION,    /* of the default */
    TARGET_BY_INSERT,     /* 't': of its table, which COPY refuses */
    TARGET_TYPE_OID,      /* of a domain its own */
    TARGET_NOT_NULL,
    TARGET_PLAIN          /* 't': of its table: see target_query() */
};


/*
 * target_auto.c: makes the target's columns those of the table.  Returns -1
 * when memory is short.
 */
int target_auto(target_t *target);
void target_auto_free(target_t *target);


static inline bool
target_is(const PGresult *rows, int row, int column)
{
    return PQgetvalue(rows, row, column)[0] == 't';
}


#endif
