/*
 * What the units of row/ share: a column of the plan, the state of a
 * conversion, and the two writers of fields.  The plan itself is in row.c.
 */

#ifndef SLUICE_FIELD_H
#define SLUICE_FIELD_H


#include <limits.h>
#include <locale.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "conf/types.h"
#include "record/record.h"
#include "row/binary.h"


#define ROW_DOUBT  3    /* only PostgreSQL can tell what the text means */


struct row_paths_s;


/* How JSON holds a column's values, see form.h. */
typedef enum {
    FORM_NONE = 0,      /* as json.c reads them */
    FORM_OBJECT,        /* likewise, but an object may be a value's parts */
    FORM_HEX,           /* and a string of these holds another value: */
    FORM_DECIMAL,
    FORM_BITS,
    FORM_JSON
} form_t;


#define ROW_FROM_FORMED  UINT_MAX    /* CONF_FROM_PATH, with a form */


typedef struct {
    const conf_column_t  *conf;
    const char           *type;          /* as SQL names it, for messages */
    type_kind_t           kind;
    type_kind_t           element;       /* of TYPE_ARRAY */
    binary_kind_t         binary;        /* what a tuple has, or of an array's
                                            elements; BINARY_NONE: a line */
    uint32_t              array;         /* OID of the elements' type, if the
                                            table has an array; else 0 */
    bool                  instant;       /* "kind" and "binary" are the same
                                            date or time */
    unsigned              from;          /* conf_from_t or ROW_FROM_FORMED */
    form_t                form;
    conf_epoch_t          unit;          /* of a number that is a time */
    int32_t               scale;         /* decimals, of FORM_DECIMAL */
    int32_t               bits;          /* of bit(n); -1: of bit varying; 0:
                                            it is another type */
    conf_on_t             missing;       /* never CONF_ON_UNSET, both */
    conf_on_t             null;
    uint32_t              slot;          /* of its path, see path.h, */
    struct row_paths_s   *paths;         /* which is one of these */
    uint32_t              bit;           /* of row_ctx_t's "mentions", from 1;
                                            0: no record leaves it as it is */
    size_t                ntransforms;   /* of "conf"; 0 for a constant */
    bool                  plain;         /* an element of an array, which is
                                            escaped for COPY as a whole */
    bool                  digest;        /* ends as a SHA-256, in bytes */
    buf_t                 fallback[2];   /* constant or default: of a line, of
                                            a tuple, which may have none */
} row_column_t;


typedef struct row_ctx_s     row_ctx_t;
typedef struct row_writer_s  row_writer_t;


/* One record's conversion, and memory kept from one record to the next. */
struct row_ctx_s {
    const record_t      *record;
    const row_writer_t  *writer;
    buf_t               *text;           /* fields are appended here */
    record_fault_t      *fault;
    conf_nul_t           nul;
    json_doc_t           doc;            /* the value, or the event */
    uint32_t             root;           /* token that the paths of columns
                                            begin at */
    uint32_t             nth;            /* its number, with "each" */
    uint8_t             *mentions;       /* bits of the columns that the record
                                            may leave as they are */
    size_t               nmentions;      /* bytes of it */

    buf_t                cleaned;        /* text.c: without zero bytes, */
    buf_t                decoded;        /* and base64; */
    buf_t                unescaped;      /* json.c: a string, */
    buf_t                whole;          /* a text that has parts, */
    buf_t                element;        /* as an array's elements are */
    buf_t                formed;         /* form.c */
    buf_t                changed[2];     /* transform.c: in turn */
    locale_t             locale;         /* of lower and upper, or 0 */

    int64_t              day;            /* time.c: since 1970, of "date" */
    char                 date[24];
    size_t               date_len;
    bool                 date_bc;
};


/* A point of time in UTC; a type may have just its date or its clock. */
typedef struct {
    int64_t      days;          /* since 1970-01-01 */
    int          seconds;       /* of the day; 86400 is its end */
    const char  *fraction;      /* digits */
    size_t       nfraction;     /* ROW_FRACTION at most */
} row_moment_t;

#define ROW_FRACTION  9    /* digits that PostgreSQL reads; it keeps six */


/*
 * Where the units' functions return an int and say nothing else, it is 0; 1
 * with ctx->fault set where the value does not fit; -1 when memory is short;
 * of a tuple ROW_DOUBT.  A field is appended to ctx->text; if not 0, a part of
 * it may be there.
 */

/* Writes the fields of a line of COPY's text format, or of a tuple. */
struct row_writer_s {
    bool  tuple;

    int  (*null)(row_ctx_t *ctx);

    /* text as the type's input reads it; "plain": COPY escapes none of it */
    int  (*text)(row_ctx_t *ctx, const row_column_t *column, const char *s,
        size_t len);
    int  (*plain)(row_ctx_t *ctx, const row_column_t *column, const char *s,
        size_t len);

    /* a bytea's bytes */
    int  (*bytes)(row_ctx_t *ctx, const row_column_t *column, const char *s,
        size_t len);

    /* a whole number and its text */
    int  (*number)(row_ctx_t *ctx, const row_column_t *column, int64_t n,
        const char *s, size_t len);

    /* of a column with "instant"; NULL: as text */
    int  (*moment)(row_ctx_t *ctx, const row_column_t *column,
        const row_moment_t *moment);
};

extern const row_writer_t  row_line;     /* copy.c */
extern const row_writer_t  row_tuple;    /* tuple.c */

/* Sets the fault, with the column's name before the text if there is one. */
int row_fault(row_ctx_t *ctx, const row_column_t *column,
    const char *sqlstate, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The field of a column whose value is missing, or null. */
int row_absent(row_ctx_t *ctx, const row_column_t *column, bool is_null);

/*
 * The field of a column that stays as it is in the row.  Only a column with a
 * "bit" can: of any other one the field is a null.
 */
int row_keep(row_ctx_t *ctx, const row_column_t *column);

/* The text of a string; copied only where it has escapes. */
int row_unescape(row_ctx_t *ctx, uint32_t token, const char **s, size_t *len);

/* The field of a column's constant or default. */
int row_fallback(row_ctx_t *ctx, const row_column_t *column);

void row_ctx_free(row_ctx_t *ctx);


#endif
