/* Inside the conversion of records: the plan, made once for a table. */

#ifndef SLUICE_ROW_IMPL_H
#define SLUICE_ROW_IMPL_H


#include <stdbool.h>

#include "conf/types.h"
#include "row/row.h"


typedef struct row_column_s  row_column_t;
typedef struct row_node_s  row_node_t;
typedef struct row_where_s  row_where_t;


/* Appends one field; 0, 1 with a fault, -1 when memory is short. */
typedef int (*row_field_pt)(row_plan_t *plan, const row_column_t *column,
    const record_t *record, buf_t *text, record_fault_t *fault);


struct row_column_s {
    row_field_pt             field;
    uint32_t                 slot;         /* of its path */
    type_kind_t              kind;
    type_kind_t              element;      /* of TYPE_ARRAY */
    conf_on_t                missing;
    conf_on_t                null;
    conf_epoch_t              unit;
    bool                     plain;        /* into an array: no COPY escapes */
    bool                     digest;       /* ends with SHA-256, as bytes */
    const conf_transform_t  *transforms;
    size_t                   ntransforms;
    const char              *header;       /* name */
    char                    *fallback;     /* the field, escaped for COPY */
    size_t                   fallback_len;
    const char              *name;         /* for messages, both */
    const char              *type;
};


/* A reference token of the paths; the root has no name. */
struct row_node_s {
    const char  *name;
    size_t       len;
    uint32_t     index;        /* in an array, or JSON_NONE */
    uint32_t     slot;         /* JSON_NONE: no path ends here */
    row_node_t  *children;
    size_t       nchildren;
};


struct row_plan_s {
    row_spec_t     spec;
    json_doc_t     doc;
    bool           parse;       /* something comes from inside the value */
    row_node_t     root;
    uint32_t      *found;       /* by slot: the token, or JSON_NONE */
    uint32_t       nslots;
    uint32_t      *rest;        /* names of members nobody takes, or NULL */
    size_t         nrest;

    row_column_t  *columns;
    size_t         ncolumns;
    row_where_t   *where;       /* NULL: every record is stored */
    uint32_t       event[4];    /* slots of what every CloudEvent has */

    /* working memory, kept from record to record */
    buf_t          scratch;     /* a decoded string */
    buf_t          work[2];     /* of the transforms, in turn */
    buf_t          cleaned;     /* the value without zero bytes */
    buf_t          clean_text;  /* a text without zero bytes */
    buf_t          event_text;
    buf_t          array;
    buf_t          element;
    void          *locale;      /* locale_t of lower and upper, or NULL */

    int64_t        day;         /* whose date "date" holds */
    char           date[24];
    size_t         date_len;
    bool           date_bc;
};


/* row.c */
int row_fault(record_fault_t *fault, const char *sqlstate,
    const row_column_t *column, const char *what);
int row_absent(const row_column_t *column, bool is_null, buf_t *text,
    record_fault_t *fault);

/* Appends bytes as the column needs them: escaped, or as they are. */
int row_put(const row_column_t *column, const char *s, size_t len,
    buf_t *text);

/* row_path.c: the slot of a path, made where it is new; JSON_NONE: memory. */
uint32_t row_path_add(row_plan_t *plan, const json_pointer_t *pointer);
uint32_t row_path_add_name(row_plan_t *plan, const char *name);
int row_path_ready(row_plan_t *plan, bool rest);
void row_path_free(row_node_t *node);
/* Fills "found" from the document, in one walk. */
void row_path_resolve(row_plan_t *plan);
int row_rest(row_plan_t *plan, const row_column_t *column,
    const record_t *record, buf_t *text, record_fault_t *fault);

/* row_json.c: a JSON value becomes a field. */
int row_token(row_plan_t *plan, const row_column_t *column, uint32_t token,
    buf_t *text, record_fault_t *fault);
int row_array(row_plan_t *plan, const row_column_t *column, uint32_t token,
    buf_t *text, record_fault_t *fault);

/*
 * row_text.c: UTF-8 without a zero byte becomes a field, as a string of JSON
 * would; and bytes become one.
 */
int row_text(row_plan_t *plan, const row_column_t *column, const char *s,
    size_t len, buf_t *text, record_fault_t *fault);
int row_integer(const row_column_t *column, const char *s, size_t len,
    record_fault_t *fault);
int row_bytes(row_plan_t *plan, const row_column_t *column, const char *s,
    size_t len, buf_t *text, record_fault_t *fault);
int row_put_bytea(const row_column_t *column, const char *s, size_t len,
    buf_t *text);

/*
 * row_number.c: a decimal number in its unit as microseconds, rounded to the
 * nearest: 0, 1 if it is out of range, -1 if it is no number.
 */
int row_unix(const char *s, size_t len, conf_epoch_t unit, int64_t *us);

/*
 * Makes "12" of "12.00", "+12" and "1.2e1", in "out": 0; 1 for what is no
 * number or not whole; -1 when memory is short.
 */
int row_exact(const char **s, size_t *len, buf_t *out);

/* row_time.c */
int row_time(row_plan_t *plan, const row_column_t *column, const char *s,
    size_t len, buf_t *text, record_fault_t *fault);
int row_instant(row_plan_t *plan, const row_column_t *column, int64_t us,
    int digits, buf_t *text, record_fault_t *fault);

/*
 * row_transform.c: replaces *s and *len by the text the column's transforms
 * make of it, which lies in the plan's working memory.
 */
int row_transform(row_plan_t *plan, const row_column_t *column,
    const char **s, size_t *len, record_fault_t *fault);
int row_transform_ready(row_plan_t *plan, const row_column_t *column,
    char *reason, size_t size);
void row_transform_free(row_plan_t *plan);

/* row_format.c: parses the value, or the event, and resolves the paths. */
int row_document(row_plan_t *plan, const record_t *record,
    record_fault_t *fault);
/* Takes zero bytes out of a text by "nul"; 1 where that rejects it. */
int row_clean(row_plan_t *plan, const char **s, size_t *len);

int row_format_ready(row_plan_t *plan);
/* Whether it is text, once the policy for zero bytes was followed. */
bool row_is_text(row_plan_t *plan, const char *s, size_t len);

/* row_where.c: whether the record is one to store. */
int row_where_ready(row_plan_t *plan, char *reason, size_t size);
void row_where_free(row_plan_t *plan);
bool row_where(row_plan_t *plan, const record_t *record);

#endif
