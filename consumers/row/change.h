/*
 * A change of a row as Debezium writes it: in its envelope or taken out of it
 * by ExtractNewRecordState, with the schema of Kafka Connect's JsonConverter
 * or without.  Which fields the envelope has: Debezium's documentation of its
 * connectors, "Data change events".
 */

#ifndef SLUICE_CHANGE_H
#define SLUICE_CHANGE_H


#include "row/field.h"


/* What a record of Debezium tells of. */
typedef enum {
    CHANGE_ROW = 0,     /* a row as it is now; any other format's records */
    CHANGE_NEW,         /* likewise, of a row that was not there */
    CHANGE_DELETE,      /* the row that was */
    CHANGE_TRUNCATE,
    CHANGE_MESSAGE,     /* no row: pg_logical_emit_message() */
    CHANGE_UNKNOWN
} change_kind_t;


/* Where a parsed document has its row, by tokens. */
typedef struct {
    change_kind_t  kind;
    uint32_t       row;         /* JSON_NONE: it has none */
    uint32_t       envelope;    /* JSON_NONE: it has none; likewise */
    uint32_t       schema;      /* of the row */
} change_t;


/* The schema whose forms the columns have. */
typedef struct {
    buf_t  text;        /* empty: none */
    bool   known;
} change_schema_t;


/* Texts that stand for a value that the connector does not know. */
typedef struct {
    const char  *text;
    size_t       len;
    buf_t        base64;
    buf_t        hex;
    buf_t        json;      /* of an hstore */
    buf_t        uuid;      /* of an array */
} change_unavailable_t;


/* Finds the row in a document. */
void change_find(const json_doc_t *doc, change_t *change);

/* The token inside a "payload" beside its "schema", or 0. */
uint32_t change_payload(const json_doc_t *doc, uint32_t *schema);

/*
 * Gives the columns with that source the forms that a schema names, unless they
 * have them.  Returns -1 when memory is short.
 */
int change_forms(change_schema_t *known, row_column_t *columns, size_t n,
    conf_from_t from, const json_doc_t *doc, uint32_t schema);

/* Returns -1 when memory is short; "text" must outlive its use, NULL: none. */
int change_unavailable_init(change_unavailable_t *unavailable,
    const char *text);
void change_unavailable_free(change_unavailable_t *unavailable);

/* Whether the value at a token of ctx->doc is that of a column. */
bool change_is_unavailable(const change_unavailable_t *unavailable,
    const json_doc_t *doc, const row_column_t *column, uint32_t token);

/*
 * The field of such a column, which keeps what it has; in a table whose mode
 * changes no row: a null.  A row that the change makes has nothing to keep: a
 * change of the primary key tells of such ones.
 */
int change_keep(row_ctx_t *ctx, const row_column_t *column, change_kind_t kind,
    conf_mode_t mode);


#endif
