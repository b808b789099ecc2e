/* The records of one transaction: bounded in rows and bytes; does no I/O. */

#ifndef SLUICE_BATCH_H
#define SLUICE_BATCH_H


#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "record/record.h"
#include "record/retry_key.h"


#define BATCH_NULL  UINT32_MAX    /* length of a null key or value */

#define BATCH_CHUNK  65536    /* bytes of a COPY sent at once */

#define BATCH_LEFT  1000      /* runs of records left out */

#define BATCH_NO_TARGET  UINT16_MAX    /* "route" has no table for it */


/*
 * A record in the batch; its bytes are in "raw", its row in "text".  With
 * "each" a record has several, one behind the other.
 */
typedef struct {
    int64_t   offset;
    int64_t   timestamp;
    size_t    raw;             /* its key, value, headers and hashed
                                  idempotency key, in this order */
    size_t    text;            /* its tuple of COPY, or its line, with the
                                  line feed */
    uint32_t  text_len;        /* 0: it cannot become a row */
    uint32_t  key_len;
    uint32_t  value_len;
    uint32_t  headers_len;     /* 0: none */
    uint32_t  range;           /* in ranges */
    uint32_t  fault;           /* in faults, from 1; 0: good */
    uint32_t  next;            /* row of the same table; the sink's */
    uint16_t  target;          /* which table, by the configuration's order */
    bool      tuple : 1;       /* its row is one */
    bool      tombstone : 1;   /* its row has the key's columns only */
    bool      retry : 1;       /* it has an idempotency key */
    bool      duplicate : 1;   /* a client's retry, found by SQL */
    bool      absent : 1;      /* "update" found no row for it */
    uint32_t  nth;             /* of the rows of its record; not 0: the flags,
                                  the fault and the bytes are those of the
                                  first one, so many rows before it */
} batch_row_t;


/* Rows [first, end) of one table. */
typedef struct {
    size_t    first;
    size_t    end;
    unsigned  target;
} batch_span_t;


/* What one partition has in the batch. */
typedef struct {
    int32_t   partition;
    uint16_t  topic;           /* of it, by the configuration's order */
    int64_t   epoch;
    int64_t   run;             /* first offset of its run in sluice.batches */
    int64_t   expected;        /* next_offset before the batch */
    int64_t   next;            /* next_offset behind it */
    int64_t   records;         /* all that the topic had */
    int64_t   dead;            /* of these: dead letters, */
    int64_t   filtered;        /* left out by "where" or "route", or without a
                                  row in mode "update", */
    int64_t   duplicates;      /* retries that take no effect */
    int64_t   last_timestamp;  /* of its last record */
    int64_t   oldest;          /* with "receipts": least timestamp of its
                                  records; -1: none has one */
    int64_t   newest;          /* greatest one; likewise */
    int64_t   known;           /* from this offset on "left" is not whole;
                                  INT64_MAX: it is */
    uint32_t  left;            /* its last run in "left", from 1; 0: none */
    uint32_t  last;            /* that record's row; BATCH_NULL: filtered */
    uint32_t  last_crc;        /* of a filtered one */
} batch_range_t;


/* Records of a range, one after the other, that were left out. */
typedef struct {
    uint32_t  range;
    int64_t   first;
    int64_t   next;
} batch_left_t;


/* Offsets that hold no record: compacted away, or transaction markers. */
typedef struct {
    int32_t   partition;
    uint16_t  topic;
    int64_t   first;
    int64_t   next;
} batch_gap_t;


typedef struct {
    /* bounds */
    size_t           max_rows;
    size_t           max_bytes;
    int64_t          linger;        /* ms, batch_linger() */

    buf_t            text;
    buf_t            raw;
    batch_row_t     *rows;
    size_t           nrows;
    size_t           rows_size;
    size_t           dead;          /* rows with a fault */
    size_t           ndead_parsed;  /* of these, that cannot become rows */
    size_t           more;          /* rows behind the first of their record */
    size_t           filtered;      /* records left out */
    size_t           duplicates;
    size_t           absent;        /* rows without one in the table */
    size_t           retries;       /* rows with an idempotency key */
    record_fault_t  *faults;
    size_t           nfaults;
    size_t           faults_size;
    batch_range_t   *ranges;
    size_t           nranges;
    size_t           ranges_size;
    batch_gap_t     *gaps;
    size_t           ngaps;
    size_t           gaps_size;

    bool             receipts;      /* what they need is kept: timestamps, */
    batch_left_t    *left;          /* and the runs of records left out,
                                       BATCH_LEFT at most */
    size_t           nleft;
    size_t           left_size;

    int64_t          first;         /* ms, monotonic, of the first record */
    uint64_t         generation;    /* of the assignment */
} batch_t;


void batch_init(batch_t *batch, size_t max_rows, size_t max_bytes,
    int64_t linger);
void batch_free(batch_t *batch);

/*
 * How long a batch is gathered: "linger", and up to ten times as long where
 * writing a batch takes more than a quarter of that.  "wrote" is how long it
 * takes on average.  All in ms.
 */
int64_t batch_linger(int64_t linger, int64_t wrote);

/* Empties the batch; its memory is kept within the bounds. */
void batch_reset(batch_t *batch, uint64_t generation);

/*
 * The range of a topic's partition.  A partition that is new to the batch gets
 * one with "expected", "epoch" and "run".  Returns its index, or -1 when memory
 * is short.
 */
int batch_topic_range(batch_t *batch, uint16_t topic, int32_t partition,
    int64_t expected, int64_t epoch, int64_t run);

/*
 * Takes a record behind the last one of its range.  Its row is what was
 * appended to batch->text since "text" bytes; offsets between the one due
 * and the record's are kept as a gap.  Returns 0, or -1 with nothing taken
 * when memory is short.
 */
int batch_add(batch_t *batch, unsigned range, const record_t *record,
    size_t text);

/*
 * Makes several rows of the one that was added last: "ends" are where they end
 * in batch->text.  Returns -1 when memory is short.
 */
int batch_split(batch_t *batch, const size_t *ends, size_t n);

/* Accounts a record that is left out; returns as batch_add(). */
int batch_filter(batch_t *batch, unsigned range, const record_t *record);

/* Turns a row into a dead letter.  Returns -1 when memory is short. */
int batch_fault(batch_t *batch, size_t row, const char *sqlstate,
    const char *reason);

/* Marks a row, unless it is dead, as a client's retry that takes no effect. */
void batch_duplicate(batch_t *batch, size_t row);

/* Marks a row, unless it is dead, that has none in the table to update. */
void batch_absent(batch_t *batch, size_t row);

/* Undo what PostgreSQL found, before the rows are tried again. */
void batch_forget_faults(batch_t *batch);
void batch_forget_duplicates(batch_t *batch);

/* The record of a row, with pointers into the batch. */
void batch_record(const batch_t *batch, const batch_row_t *row,
    record_t *record);

/* The CRC-32 of a range's last record, as sluice.offsets keeps it. */
uint32_t batch_last_crc(const batch_t *batch, const batch_range_t *range);

/*
 * The first row of the "line"th (from 1) record to be stored of a span; returns
 * its end if there are fewer.
 */
size_t batch_line(const batch_t *batch, const batch_span_t *span,
    uint64_t line);

/*
 * The row before "end" that is to be stored in the table of "row" and is in the
 * other format; "end": all are tuples, or all are lines.
 */
size_t batch_alike(const batch_t *batch, size_t row, size_t end);

/* That row, or the next one that is the first of its record. */
size_t batch_first(const batch_t *batch, size_t row);

/* The rows that are stored. */
size_t batch_stored(const batch_t *batch);

/* ms until the batch should leave, 0: now, -1: it is empty. */
int64_t batch_due_in(const batch_t *batch, int64_t now);


/* The range of a partition of the only topic. */

static inline int
batch_range(batch_t *batch, int32_t partition, int64_t expected,
    int64_t epoch, int64_t run)
{
    return batch_topic_range(batch, 0, partition, expected, epoch, run);
}


/* "now" in ms of the monotonic clock. */

static inline bool
batch_is_due(const batch_t *batch, int64_t now)
{
    return batch_due_in(batch, now) == 0;
}


/* Bytes of records, of what COPY gets and of the rows' structures. */

static inline size_t
batch_bytes(const batch_t *batch)
{
    return batch->text.len + batch->raw.len
           + batch->nrows * sizeof(batch_row_t);
}


/* Records accounted: rows and those left out. */

static inline size_t
batch_records(const batch_t *batch)
{
    return batch->nrows - batch->more + batch->filtered;
}


static inline bool
batch_has_room(const batch_t *batch)
{
    return batch->nrows + batch->filtered < batch->max_rows
           && batch_bytes(batch) < batch->max_bytes;
}


/* Whether a row is to be stored in a table. */

static inline bool
batch_is_stored(const batch_row_t *row, unsigned target)
{
    const batch_row_t  *first = row - row->nth;

    return row->text_len && first->fault == 0 && !first->duplicate
           && row->target == target;
}


#endif
