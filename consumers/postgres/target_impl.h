/* Inside the catalogue's answer for a table: what its query selects. */

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
    TARGET_PLAIN,         /* 't': of its table: see target_query() */
    TARGET_DEFERRABLE,    /* 't': of its table, which "key" cannot be used of */
    TARGET_UNLOGGED,      /* 't': of its table, or of a partition */
    TARGET_VERSION,       /* of its table: see TARGET_VERSION_OF() */
    TARGET_RECEIVE,       /* the name of the C function; see target.h */
    TARGET_ELEMENT,       /* of an array's, in pg_type */
    TARGET_PLACE,         /* its table's name, quoted, with the schema */
    TARGET_NEW,           /* what a row that is added without it gets; null:
                             only PostgreSQL can tell */
    TARGET_BASE,          /* its type with the schema, of a domain the base's;
                             without what limits its values */
    TARGET_SAME,          /* its type's "=", null for one of PostgreSQL's */
    TARGET_LATER,         /* its type's ">=", in the same way */
    TARGET_CAST,          /* to that type, for these operators */
    TARGET_BYTES,         /* 't': equal values have equal bytes */
    TARGET_SHAPE,         /* what else than the type tells that */
    TARGET_CHECKED,       /* 't': an INSERT looks at it, whatever it has */
    TARGET_ORDINARY,      /* 't': of its table, which is no partitioned one */
    TARGET_RANGE          /* of its table: see target_t; or null */
};


static inline bool
target_is(const PGresult *rows, int row, int column)
{
    return PQgetvalue(rows, row, column)[0] == 't';
}


/* target_meet.c */

/* The row of a column of that name, or -1. */
int target_row(const PGresult *rows, const char *name);

/* Whether it is one of the columns that the daemon fills. */
bool target_fills(const target_t *target, const char *name);

/* See target_t. */
bool target_is_plain(const target_t *target);
bool target_is_known(const target_t *target);


#endif
