/*
 * A record becomes a line of COPY's text format or a tuple of its binary one,
 * by the plan of its table.  PostgreSQL takes a tuple for half of a line's
 * time: it neither looks for delimiters nor reads digits.
 *
 * Room: a record becomes a row of COPY; knows no Kafka and no SQL.
 */

#ifndef SLUICE_ROW_H
#define SLUICE_ROW_H


#include "base/buf.h"
#include "conf/conf.h"
#include "record/record.h"


#define ROW_FILTERED  2
#define ROW_DELETES   5    /* see tombstone.h */

#define ROW_EACH  10000    /* elements of one record, at most */


#define ROW_NEWS  100    /* fields of a row, at most */

/* A field that no column takes, and what kind of value it has: no null. */
typedef void (*row_news_pt)(void *data, const char *name, size_t len,
    json_type_t type);


/* How a record becomes a row of one table. */
typedef struct {
    const conf_column_t  *columns;
    const char *const    *types;      /* of each column, as SQL names it;
                                         NULL: text */
    const char *const    *receives;   /* what reads each, or an array's
                                         elements (binary.h); NULL: lines */
    const uint32_t       *arrays;     /* OIDs of the elements' types; 0: no
                                         array */
    const char *const    *keeps;      /* not NULL for a column that a record
                                         may leave as it is; NULL: there is
                                         none */
    size_t                ncolumns;
    conf_format_t         format;
    conf_nul_t            nul;
    const conf_where_t   *where;      /* NULL: every record is stored */
    bool                  no_fields;  /* of a record that has none "where"
                                         asks the headers alone */
    const conf_where_t   *delete_when;    /* NULL: the format alone says which
                                             record deletes */
    const char           *unavailable;    /* of debezium */
    conf_mode_t           mode;       /* what becomes of a deletion; append
                                         makes a row of it */
    const conf_names_t   *key;        /* columns; only tombstones ask for it */
    const json_pointer_t *each;       /* the array whose elements become rows;
                                         NULL: the value does */
    size_t                each_bytes; /* of the rows of one record, at most */
    bool                  any_value;  /* one without fields makes a row of
                                         missing ones */
    row_news_pt           news;       /* told such fields of each row, ROW_NEWS
                                         at most; or NULL */
    void                 *news_data;
} row_spec_t;


typedef struct row_plan_s  row_plan_t;


/*
 * The plan of a table's rows.  What "spec" points to must outlive the plan,
 * "spec" itself need not.  Returns NULL with a text in "reason" ("size" bytes)
 * where a column cannot be filled as the specification says, or where memory
 * is short.  Freed by row_plan_free(), which takes NULL.
 */
row_plan_t *row_plan_create(const row_spec_t *spec, char *reason,
    size_t size);
void row_plan_free(row_plan_t *plan);

/* Whether the types of all columns are known, so that rows may be tuples. */
bool row_plan_tuples(const row_plan_t *plan);

/*
 * Appends the record's row to "text": if *tuple, a tuple.  *tuple is cleared,
 * and NULL stands for false, where the row is a line, with its line feed: where
 * a type is not known, or where PostgreSQL has to judge a value.  Returns 0; 1
 * with *fault set and nothing appended where the record cannot become a row;
 * ROW_FILTERED where "where" leaves the record out, or where it is a change of
 * no row; ROW_DELETES with nothing appended where it deletes its row; -1 when
 * memory is short.
 * With "keeps" the first field is a bytea with a bit for each such column, in
 * their order from the least one of the first byte: 1: the record mentions it.
 */
int row_convert(row_plan_t *plan, const record_t *record, bool *tuple,
    buf_t *text, record_fault_t *fault);

/*
 * The same with "each": appends a row for each element, all tuples or all
 * lines.  "ends" becomes a size_t of each: where it ends in "text".
 * ROW_FILTERED: also where the array is empty.
 */
int row_each(row_plan_t *plan, const record_t *record, bool *tuple, buf_t *text,
    buf_t *ends, record_fault_t *fault);


#endif
