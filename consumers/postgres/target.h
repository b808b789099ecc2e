/*
 * What the catalogue says of one table: its columns, their types, how it takes
 * rows.  Text of queries and their results only: catalog.h sends them.
 */

#ifndef SLUICE_TARGET_H
#define SLUICE_TARGET_H


#include <libpq-fe.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "postgres/sql.h"


/*
 * A number that is another one when a column of the table "oid" was added,
 * altered or dropped, or got another default.
 */
#define TARGET_VERSION_OF(oid)                                                \
    "(SELECT coalesce(pg_catalog.hashtextextended(pg_catalog.string_agg("     \
    "pg_catalog.concat_ws(' ', attnum, attname, atttypid, atttypmod,"         \
    " attidentity, attgenerated, adbin), ',' ORDER BY attnum), 0), 0)"        \
    " FROM pg_catalog.pg_attribute LEFT JOIN pg_catalog.pg_attrdef"           \
    " ON adrelid" SQL_OP("=") "attrelid AND adnum" SQL_OP("=") "attnum"       \
    " WHERE attrelid" SQL_OP("=") oid " AND attnum" SQL_OP(">") "0"           \
    " AND NOT attisdropped)"


/* One element a column in each array. */
typedef struct {
    const conf_t         *conf;
    const conf_column_t  *columns;        /* the configuration's or, with
                                             "auto", the table's */
    size_t                ncolumns;
    const char          **types;          /* as written, else the table's */
    const char          **table_types;    /* NULL: the table has no such
                                             column */
    uint32_t             *oids;           /* of the table's, in pg_type */
    const char          **receives;       /* PostgreSQL's own function that
                                             reads them, or the elements of
                                             an array, in binary; "" */
    uint32_t             *elements;       /* an array's; 0: no array */
    const char          **bases;          /* their types, with the schema: of a
                                             domain its base type */
    const char          **defaults;       /* SQL of what a new row gets, if a
                                             record may leave the column as it
                                             is; else NULL */
    size_t                nkeeps;         /* columns of that kind */
    bool                  by_insert;      /* COPY refuses the table: a view,
                                             row-level security */
    bool                  plain;          /* COPY of rows with new keys does
                                             the same as a merge */
    bool                  known;          /* so does an UPDATE of known keys,
                                             whose bytes tell equal ones */
    bool                  unlogged;       /* or a partition is: a crash of
                                             PostgreSQL empties it */
    const char           *range;          /* the column by whose ranges it is
                                             partitioned, or NULL */
    const char           *version;        /* TARGET_VERSION_OF() it */
    const char           *name;           /* quoted, with its schema, once
                                             it was found */

    PGresult             *rows;           /* owns the types' text */
    conf_column_t        *own;            /* "auto": what "columns" is */
} target_t;


/* Makes it empty, before the first look-up; "conf" must outlive it. */
void target_init(target_t *target, const conf_t *conf);
void target_free(target_t *target);

/*
 * Appends what looks the table up, by the role's search_path, in a transaction:
 * behind it nothing is found by that path any more.
 */
void target_begin(buf_t *sql, const conf_t *conf);

/* Appends the query for that table; no rows: there is no table. */
void target_query(buf_t *sql, const conf_t *conf);

/*
 * Replaces what is known by that query's result, which stays the caller's.
 * Returns -1 with a text in "reason" ("size" bytes) where the table does not
 * fit the configuration or memory is short.
 */
int target_take(target_t *target, const PGresult *rows, char *reason,
    size_t size);

/*
 * Appends the comparison of a column of the table in two rows, whose names are
 * given: "=" or, if "later", ">=".  The operator is that of the type's order,
 * by which an index has it, and not one that search_path finds.
 */
void target_compare(buf_t *sql, const target_t *target, const char *column,
    const char *left, const char *right, bool later);

/*
 * Of a column of the key where "known" is set: concat(atttypmod, ' ',
 * attcollation).  With others its bytes may tell less.
 */
const char *target_shape(const target_t *target, const char *column);

/* Whether it is such a column, of a type of text. */
bool target_is_text(const target_t *target, const char *column);

/*
 * "columns": "auto": appends the query for the constants among the columns'
 * defaults; nothing where there are none.
 */
void target_defaults_query(buf_t *sql, const target_t *target);

/* Takes that query's result.  Returns -1 when memory is short. */
int target_defaults_take(target_t *target, const PGresult *values);


#endif
