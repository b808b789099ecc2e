/* Records on their way into one transaction: bounded, without any I/O. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32.h"
#include "base/text.h"
#include "store/batch.h"


#define BATCH_FIRST   64    /* elements of a fresh array */
#define BATCH_GATHER  4     /* times as long as it takes to write */
#define BATCH_LONGER  10    /* times "linger", at most */


static int batch_advance(batch_t *batch, batch_range_t *range,
    const record_t *record);
static int batch_more(void **array, size_t *size, size_t element);
static void batch_trim(buf_t *buf, size_t max);


void
batch_init(batch_t *batch, size_t max_rows, size_t max_bytes, int64_t linger)
{
    memset(batch, 0, sizeof(batch_t));

    batch->max_rows = max_rows;
    batch->max_bytes = max_bytes;
    batch->linger = linger;
}


void
batch_free(batch_t *batch)
{
    buf_free(&batch->text);
    buf_free(&batch->raw);
    free(batch->rows);
    free(batch->faults);
    free(batch->ranges);
    free(batch->gaps);
    memset(batch, 0, sizeof(batch_t));
}


/* One huge record may have grown a buffer far beyond its bound. */

static void
batch_trim(buf_t *buf, size_t max)
{
    if (buf->size > max * 2) {
        buf_free(buf);
    }

    buf->len = 0;
}


void
batch_reset(batch_t *batch, uint64_t generation)
{
    batch_trim(&batch->text, batch->max_bytes);
    batch_trim(&batch->raw, batch->max_bytes);

    batch->nrows = 0;
    batch->dead = 0;
    batch->ndead_parsed = 0;
    batch->filtered = 0;
    batch->duplicates = 0;
    batch->retries = 0;
    batch->nfaults = 0;
    batch->nranges = 0;
    batch->ngaps = 0;
    batch->first = 0;
    batch->generation = generation;
}


static int
batch_more(void **array, size_t *size, size_t element)
{
    void    *more;
    size_t   n;

    n = *size ? *size * 2 : BATCH_FIRST;

    more = realloc(*array, n * element);
    if (more == NULL) {
        return -1;
    }

    *array = more;
    *size = n;

    return 0;
}


int
batch_range(batch_t *batch, int32_t partition, int64_t expected,
    int64_t epoch, int64_t run)
{
    size_t          i;
    batch_range_t  *range;

    for (i = 0; i < batch->nranges; i++) {
        if (batch->ranges[i].partition == partition) {
            return (int) i;
        }
    }

    if (batch->nranges == batch->ranges_size
        && batch_more((void **) &batch->ranges, &batch->ranges_size,
                      sizeof(batch_range_t))
           == -1)
    {
        return -1;
    }

    range = &batch->ranges[batch->nranges];

    range->partition = partition;
    range->expected = expected;
    range->next = expected;
    range->epoch = epoch;
    range->run = run;
    range->records = 0;
    range->filtered = 0;
    range->duplicates = 0;
    range->last = 0;

    return (int) batch->nranges++;
}


/* The record is the next one of its range, behind a gap if there is one. */

static int
batch_advance(batch_t *batch, batch_range_t *range,
    const record_t *record)
{
    batch_gap_t  *gap;

    if (record->offset > range->next) {

        if (batch->ngaps == batch->gaps_size
            && batch_more((void **) &batch->gaps, &batch->gaps_size,
                          sizeof(batch_gap_t))
               == -1)
        {
            return -1;
        }

        gap = &batch->gaps[batch->ngaps++];
        gap->partition = range->partition;
        gap->first = range->next;
        gap->next = record->offset;
    }

    range->next = record->offset + 1;
    range->last_timestamp = record->timestamp;
    range->records++;

    return 0;
}


int
batch_add(batch_t *batch, unsigned range, const record_t *record,
    size_t text)
{
    char           *raw;
    size_t          len;
    batch_row_t    *row;
    batch_range_t  *rg;

    rg = &batch->ranges[range];
    len = record->key_len + record->value_len + record->headers_len
          + (record->retry ? RETRY_KEY_LEN : 0);

    if ((batch->nrows == batch->rows_size
         && batch_more((void **) &batch->rows, &batch->rows_size,
                       sizeof(batch_row_t))
            == -1)
        /* one more: a value without bytes still has a place, a null none */
        || buf_reserve(&batch->raw, len + 1) == -1
        || batch_advance(batch, rg, record) == -1)
    {
        batch->text.len = text;
        return -1;
    }

    row = &batch->rows[batch->nrows];
    row->offset = record->offset;
    row->timestamp = record->timestamp;
    row->raw = batch->raw.len;
    row->text = text;
    row->text_len = (uint32_t) (batch->text.len - text);
    row->key_len = record->key ? (uint32_t) record->key_len : BATCH_NULL;
    row->value_len = record->value ? (uint32_t) record->value_len
                                   : BATCH_NULL;
    row->headers_len = (uint32_t) record->headers_len;
    row->range = range;
    row->fault = 0;
    row->target = 0;
    row->tombstone = false;
    row->retry = record->retry != NULL;
    row->duplicate = false;

    raw = batch->raw.data + batch->raw.len;

    if (record->key_len) {
        memcpy(raw, record->key, record->key_len);
        raw += record->key_len;
    }

    if (record->value_len) {
        memcpy(raw, record->value, record->value_len);
        raw += record->value_len;
    }

    if (record->headers_len) {
        memcpy(raw, record->headers, record->headers_len);
        raw += record->headers_len;
    }

    if (record->retry) {
        memcpy(raw, record->retry, RETRY_KEY_LEN);
        batch->retries++;
    }

    batch->raw.len += len;

    rg->last = (uint32_t) batch->nrows++;

    return 0;
}


int
batch_filter(batch_t *batch, unsigned range, const record_t *record)
{
    batch_range_t  *rg;

    rg = &batch->ranges[range];

    if (batch_advance(batch, rg, record) == -1) {
        return -1;
    }

    rg->filtered++;
    rg->last = BATCH_NULL;
    rg->last_crc = crc32_record(record->key, record->key_len, record->value,
                                record->value_len);
    batch->filtered++;

    return 0;
}


int
batch_fault(batch_t *batch, size_t row, const char *sqlstate,
    const char *reason)
{
    size_t          i, len;
    record_fault_t  *fault;

    if (batch->rows[row].fault) {
        return 0;
    }

    if (batch->nfaults == batch->faults_size
        && batch_more((void **) &batch->faults, &batch->faults_size,
                      sizeof(record_fault_t))
           == -1)
    {
        return -1;
    }

    fault = &batch->faults[batch->nfaults++];
    snprintf(fault->sqlstate, sizeof(fault->sqlstate), "%s", sqlstate);

    /* cut between code points: PostgreSQL takes whole ones only */
    len = strlen(reason);
    if (len > RECORD_REASON - 1) {
        len = RECORD_REASON - 1;
        while (len && ((unsigned char) reason[len] & 0xc0) == 0x80) {
            len--;
        }
    }

    memcpy(fault->reason, reason, len);
    fault->reason[len] = '\0';

    if (!text_is_utf8(reason, len)) {
        for (i = 0; i < len; i++) {
            if ((unsigned char) fault->reason[i] >= 0x80) {
                fault->reason[i] = '?';
            }
        }
    }

    batch->rows[row].fault = (uint32_t) batch->nfaults;
    batch->dead++;

    if (batch->rows[row].text_len == 0) {
        batch->ndead_parsed++;
    }

    return 0;
}


void
batch_forget_duplicates(batch_t *batch)
{
    size_t  i;

    for (i = 0; batch->duplicates && i < batch->nrows; i++) {
        if (batch->rows[i].duplicate) {
            batch->rows[i].duplicate = false;
            batch->ranges[batch->rows[i].range].duplicates--;
            batch->duplicates--;
        }
    }
}


void
batch_forget_faults(batch_t *batch)
{
    size_t  i, kept;

    batch_forget_duplicates(batch);

    if (batch->dead == batch->ndead_parsed) {
        return;
    }

    for (i = 0, kept = 0; i < batch->nrows; i++) {
        if (batch->rows[i].fault == 0) {
            continue;
        }

        if (batch->rows[i].text_len) {
            batch->rows[i].fault = 0;

        } else if (batch->rows[i].fault > kept) {
            kept = batch->rows[i].fault;
        }
    }

    batch->nfaults = kept;
    batch->dead = batch->ndead_parsed;
}


int64_t
batch_linger(int64_t linger, int64_t wrote)
{
    int64_t  longer = wrote * BATCH_GATHER;

    if (longer <= linger) {
        return linger;
    }

    return longer / BATCH_LONGER < linger ? longer : linger * BATCH_LONGER;
}


bool
batch_is_due(const batch_t *batch, int64_t now)
{
    return batch_records(batch)
           && (!batch_has_room(batch) || now - batch->first >= batch->linger);
}


int64_t
batch_due_in(const batch_t *batch, int64_t now)
{
    int64_t  left;

    if (batch_records(batch) == 0) {
        return -1;
    }

    left = batch->first + batch->linger - now;

    return batch_has_room(batch) && left > 0 ? left : 0;
}


uint32_t
batch_last_crc(const batch_t *batch, const batch_range_t *range)
{
    const batch_row_t  *row;

    if (range->last == BATCH_NULL) {
        return range->last_crc;
    }

    row = &batch->rows[range->last];

    return crc32_record(batch_key(batch, row), row->key_len,
                        batch_value(batch, row), row->value_len);
}


const char *
batch_key(const batch_t *batch, const batch_row_t *row)
{
    return row->key_len == BATCH_NULL ? NULL : batch->raw.data + row->raw;
}


const char *
batch_value(const batch_t *batch, const batch_row_t *row)
{
    if (row->value_len == BATCH_NULL) {
        return NULL;
    }

    return batch->raw.data + row->raw
           + (row->key_len == BATCH_NULL ? 0 : row->key_len);
}


const char *
batch_headers(const batch_t *batch, const batch_row_t *row)
{
    if (row->headers_len == 0) {
        return NULL;
    }

    return batch->raw.data + row->raw
           + (row->key_len == BATCH_NULL ? 0 : row->key_len)
           + (row->value_len == BATCH_NULL ? 0 : row->value_len);
}


const char *
batch_retry(const batch_t *batch, const batch_row_t *row)
{
    if (!row->retry) {
        return NULL;
    }

    return batch->raw.data + row->raw
           + (row->key_len == BATCH_NULL ? 0 : row->key_len)
           + (row->value_len == BATCH_NULL ? 0 : row->value_len)
           + row->headers_len;
}


void
batch_duplicate(batch_t *batch, size_t row)
{
    if (!batch->rows[row].duplicate && batch->rows[row].fault == 0) {
        batch->rows[row].duplicate = true;
        batch->ranges[batch->rows[row].range].duplicates++;
        batch->duplicates++;
    }
}


size_t
batch_line(const batch_t *batch, const batch_span_t *span, uint64_t line)
{
    size_t  row;

    for (row = span->first; row < span->end; row++) {
        if (batch_is_stored(&batch->rows[row], span->target) && --line == 0) {
            break;
        }
    }

    return row;
}
