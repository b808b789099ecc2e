/* Inside the catalogue's reader: the columns of its query, and "auto". */

#ifndef SLUICE_CATALOG_IMPL_H
#define SLUICE_CATALOG_IMPL_H


#include "postgres/catalog.h"


/* What catalog_query() selects, by number. */
enum {
    CATALOG_NAME = 0,
    CATALOG_TYPE,          /* of a domain its base, of its array, too */
    CATALOG_FILLED,        /* 't': by PostgreSQL, whatever is given */
    CATALOG_DEFAULT,       /* "", 'c': a constant, 'v': any other */
    CATALOG_EXPRESSION,    /* of a constant */
    CATALOG_BY_INSERT,     /* 't': of its table, which COPY refuses */
    CATALOG_TYPE_OID,      /* of a domain its own */
    CATALOG_NOT_NULL,
    CATALOG_PLAIN          /* 't': of its table: see catalog_plain() */
};


/* All three return -1 where memory is short. */

/* Makes the configuration's columns those of the table. */
int catalog_auto(conf_t *conf, const PGresult *res);
/* The query for the constants among their defaults; empty without any. */
void catalog_auto_query(buf_t *sql, const PGresult *res);
int catalog_auto_defaults(conf_t *conf, const PGresult *columns,
    const PGresult *values);


#endif
