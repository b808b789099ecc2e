/* Inside the statements of a table: the pieces that they are made of. */

#ifndef SLUICE_STATEMENTS_IMPL_H
#define SLUICE_STATEMENTS_IMPL_H


#include "postgres/sql.h"
#include "store/statements.h"


/* Names no column of a table is likely to have. */
#define STATEMENT_PLACE     "\"#place\""       /* of the row in its batch */
#define STATEMENT_GONE      "\"#gone\""        /* whether it is a tombstone */
#define STATEMENT_MENTIONS  "\"#mentions\""    /* see row_convert() */


/* Pieces of the statements. */
enum {
    LIST_COLUMNS = 0,    /* those a row fills */
    LIST_NULLS,          /* NULL for each of them */
    LIST_STAGE,          /* the same in the temporary table */
    LIST_TYPES,          /* each with its type */
    LIST_SETS,           /* assignments, of all but the key's columns */
    LIST_UPDATES,        /* the same from "s", a row of the batch */
    LIST_KEY,            /* the key's columns */
    LIST_ORDER,          /* the same of "s", in the order of all daemons */
    LIST_NOT_NULL,       /* ALTER: they must not be null */
    LIST_OLD,            /* "t", a row of the table, has the key of "s" */
    LIST_LATER,          /* "d", a tombstone, has the key of "s" */
    LIST_CONFLICT,       /* ON CONFLICT */
    LISTS
};


typedef struct {
    const target_t  *target;
    const conf_t    *conf;
    const char      *relation;    /* the temporary table */
    buf_t            list[LISTS];
} statement_parts_t;


/* Of INSERT, behind its columns. */

static inline const char *
statement_overriding(const statement_parts_t *parts)
{
    return parts->conf->override_identity ? " OVERRIDING SYSTEM VALUE" : "";
}


/* Appends an item to a list: "fmt" with the name, once or twice. */
void statement_item(buf_t *list, const char *between, const char *fmt,
    const char *name);

/*
 * statements_keep.c: of rows that do not mention all of their columns.  "where"
 * says which rows of the temporary table "s" there are.
 */
void statement_lock(const statement_parts_t *parts, buf_t *sql);
void statement_keep(const statement_parts_t *parts, const char *where,
    buf_t *sql);
void statement_update(const statement_parts_t *parts, buf_t *sql);

/*
 * statements_known.c: an INSERT of no row, which fails without the key's unique
 * index; STATEMENT_APPLY_KNOWN, nothing where it would not do as a merge.
 */
void statement_nothing(const statement_parts_t *parts, buf_t *sql);
void statement_known(const statement_parts_t *parts, bool tuples, buf_t *sql);


#endif
