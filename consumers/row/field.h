/*
 * What the units of row/ share: a column of the plan, and the state of a
 * conversion.  The plan itself is in row.c.
 */

#ifndef SLUICE_FIELD_H
#define SLUICE_FIELD_H


#include <locale.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "conf/types.h"
#include "record/record.h"


typedef struct {
    const conf_column_t  *conf;
    const char           *type;          /* as SQL names it, for messages */
    type_kind_t           kind;
    type_kind_t           element;       /* of TYPE_ARRAY */
    conf_on_t             missing;       /* never CONF_ON_UNSET, both */
    conf_on_t             null;
    uint32_t              slot;          /* of its path, see path.h */
    size_t                ntransforms;   /* of "conf"; 0 for a constant */
    bool                  plain;         /* an element of an array, which is
                                            escaped for COPY as a whole */
    bool                  digest;        /* ends as a SHA-256, in bytes */
    char                 *fallback;      /* constant or default, as COPY has
                                            it */
    size_t                fallback_len;
} row_column_t;


/* One record's conversion, and memory kept from one record to the next. */
typedef struct {
    const record_t  *record;
    buf_t           *text;               /* fields are appended here */
    record_fault_t  *fault;
    conf_nul_t       nul;
    json_doc_t       doc;                /* the value, or the event */

    buf_t            cleaned;            /* text.c: without zero bytes, */
    buf_t            decoded;            /* and base64; */
    buf_t            unescaped;          /* json.c: a string, */
    buf_t            array;              /* an array's text and */
    buf_t            element;            /* one element's */
    buf_t            changed[2];         /* transform.c: in turn */
    locale_t         locale;             /* of lower and upper, or 0 */

    int64_t          day;                /* time.c: since 1970, of "date" */
    char             date[24];
    size_t           date_len;
    bool             date_bc;
} row_ctx_t;


/*
 * Where the units' functions return an int and say nothing else, it is 0; 1
 * with ctx->fault set where the value does not fit; -1 when memory is short.
 * A field is appended to ctx->text; after 1 and -1 a part of it may be there.
 */

/* Sets the fault, with the column's name before the text if there is one. */
int row_fault(row_ctx_t *ctx, const row_column_t *column,
    const char *sqlstate, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The field of a column whose value is missing, or null. */
int row_absent(row_ctx_t *ctx, const row_column_t *column, bool is_null);

/* Appends bytes, escaped for COPY where the column needs that. */
int row_put(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len);

void row_ctx_free(row_ctx_t *ctx);


#endif
