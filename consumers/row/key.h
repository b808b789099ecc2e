/* A record's key as a JSON document, and the columns that take its fields. */

#ifndef SLUICE_ROW_KEY_H
#define SLUICE_ROW_KEY_H


#include "row/change.h"


typedef struct {
    bool             used;      /* a column takes a field */
    bool             change;    /* it is one of Debezium's */
    json_doc_t       doc;
    uint32_t         root;      /* JSON_NONE: the record has no key */
    change_schema_t  schema;    /* of "change" */
} row_key_t;


void row_key_free(row_key_t *key);

/* Parses the record's key, and gives its columns the forms of its schema. */
int row_key_read(row_ctx_t *ctx, row_key_t *key, row_column_t *columns,
    size_t n);

/* The field of a column out of the key that was read. */
int row_key_field(row_ctx_t *ctx, const row_key_t *key,
    const row_column_t *column);


#endif
