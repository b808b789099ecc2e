/* The records of one transaction: bounded in rows and bytes; does no I/O. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32.h"
#include "base/text.h"
#include "record/headers.h"
#include "store/batch.h"


#define BATCH_FIRST   64    /* elements of a fresh array */
#define BATCH_GATHER  4     /* times as long as it takes to store */
#define BATCH_LONGER  10    /* times "linger", at most */


static void batch_note(batch_range_t *range, int64_t timestamp);
static void batch_leave(batch_t *batch, unsigned range, int64_t offset);
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
    free(batch->left);
    memset(batch, 0, sizeof(batch_t));
}


void
batch_reset(batch_t *batch, uint64_t generation)
{
    batch_trim(&batch->text, batch->max_bytes);
    batch_trim(&batch->raw, batch->max_bytes);

    batch->nrows = 0;
    batch->more = 0;
    batch->dead = 0;
    batch->ndead_parsed = 0;
    batch->filtered = 0;
    batch->duplicates = 0;
    batch->absent = 0;
    batch->retries = 0;
    batch->nfaults = 0;
    batch->nranges = 0;
    batch->ngaps = 0;
    batch->nleft = 0;
    batch->first = 0;
    batch->generation = generation;
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


/* Makes room in an array of "n" elements for one more. */

static int
batch_room(void **array, size_t n, size_t *size, size_t element)
{
    void  *more;

    if (n < *size) {
        return 0;
    }

    n = n ? n * 2 : BATCH_FIRST;

    more = realloc(*array, n * element);
    if (more == NULL) {
        return -1;
    }

    *array = more;
    *size = n;

    return 0;
}


int
batch_topic_range(batch_t *batch, uint16_t topic, int32_t partition,
    int64_t expected, int64_t epoch, int64_t run)
{
    size_t          i;
    batch_range_t  *range;

    for (i = 0; i < batch->nranges; i++) {
        if (batch->ranges[i].partition == partition
            && batch->ranges[i].topic == topic)
        {
            return (int) i;
        }
    }

    if (batch_room((void **) &batch->ranges, batch->nranges,
                   &batch->ranges_size, sizeof(batch_range_t))
        == -1)
    {
        return -1;
    }

    range = &batch->ranges[batch->nranges];
    memset(range, 0, sizeof(batch_range_t));
    range->partition = partition;
    range->topic = topic;
    range->epoch = epoch;
    range->run = run;
    range->expected = expected;
    range->next = expected;
    range->oldest = -1;
    range->newest = -1;
    range->known = INT64_MAX;

    return (int) batch->nranges++;
}


/* The record is the next one of its range, behind a gap if there is one. */

static int
batch_advance(batch_t *batch, batch_range_t *range, const record_t *record)
{
    batch_gap_t  *gap;

    if (record->offset > range->next) {

        if (batch_room((void **) &batch->gaps, batch->ngaps,
                       &batch->gaps_size, sizeof(batch_gap_t))
            == -1)
        {
            return -1;
        }

        gap = &batch->gaps[batch->ngaps++];
        gap->partition = range->partition;
        gap->topic = range->topic;
        gap->first = range->next;
        gap->next = record->offset;
    }

    range->next = record->offset + 1;
    range->last_timestamp = record->timestamp;
    range->records++;

    if (batch->receipts) {
        batch_note(range, record->timestamp);
    }

    return 0;
}


/* Keeps the least and the greatest timestamp. */

static void
batch_note(batch_range_t *range, int64_t timestamp)
{
    if (timestamp > range->newest) {
        range->newest = timestamp;
    }

    if (timestamp >= 0
        && (timestamp < range->oldest || range->oldest == -1))
    {
        range->oldest = timestamp;
    }
}


static char *
batch_put(char *raw, const char *bytes, size_t len)
{
    if (len) {
        memcpy(raw, bytes, len);
    }

    return raw + len;
}


int
batch_add(batch_t *batch, unsigned range, const record_t *record, size_t text)
{
    char         *raw;
    size_t        len, headers;
    batch_row_t  *row;

    headers = headers_packed(record->header, record->nheaders);
    len = record->key_len + record->value_len + headers
          + (record->retry ? RETRY_LEN : 0);

    if (batch_room((void **) &batch->rows, batch->nrows, &batch->rows_size,
                   sizeof(batch_row_t))
        == -1
        /* one byte more, so that an empty value has a place, unlike a null */
        || buf_reserve(&batch->raw, len + 1) == -1
        || batch_advance(batch, &batch->ranges[range], record) == -1)
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
    row->headers_len = (uint32_t) headers;
    row->range = range;
    row->fault = 0;
    row->target = 0;
    row->tuple = false;
    row->tombstone = false;
    row->retry = record->retry != NULL;
    row->duplicate = false;
    row->absent = false;
    row->nth = 0;
    row->next = (uint32_t) batch->nrows + 1;

    raw = batch->raw.data + batch->raw.len;
    raw = batch_put(raw, record->key, record->key_len);
    raw = batch_put(raw, record->value, record->value_len);
    raw = headers_pack(raw, record->header, record->nheaders);

    if (record->retry) {
        memcpy(raw, record->retry, RETRY_LEN);
        batch->retries++;
    }

    batch->raw.len += len;
    batch->ranges[range].last = (uint32_t) batch->nrows++;

    return 0;
}


int
batch_split(batch_t *batch, const size_t *ends, size_t n)
{
    size_t        i;
    batch_row_t  *row;

    batch->rows[batch->nrows - 1].text_len
        = (uint32_t) (ends[0] - batch->rows[batch->nrows - 1].text);

    for (i = 1; i < n; i++) {
        if (batch_room((void **) &batch->rows, batch->nrows,
                       &batch->rows_size, sizeof(batch_row_t))
            == -1)
        {
            return -1;
        }

        row = &batch->rows[batch->nrows++];
        *row = row[-1];
        row->nth = (uint32_t) i;
        row->next = (uint32_t) batch->nrows;
        row->text = ends[i - 1];
        row->text_len = (uint32_t) (ends[i] - ends[i - 1]);
        row->timestamp = -1;
        row->key_len = BATCH_NULL;
        row->value_len = BATCH_NULL;
        row->headers_len = 0;
        row->retry = false;
        batch->more++;
    }

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

    if (batch->receipts) {
        batch_leave(batch, range, record->offset);
    }

    rg->filtered++;
    rg->last = BATCH_NULL;
    rg->last_crc = crc32_record(record->key, record->key_len, record->value,
                                record->value_len);
    batch->filtered++;

    return 0;
}


/* Keeps where a record was that is left out. */

static void
batch_leave(batch_t *batch, unsigned range, int64_t offset)
{
    batch_left_t   *run;
    batch_range_t  *rg;

    rg = &batch->ranges[range];

    if (rg->known != INT64_MAX) {
        return;
    }

    if (rg->left && rg->last == BATCH_NULL) {
        batch->left[rg->left - 1].next = offset + 1;
        return;
    }

    if (batch->nleft == BATCH_LEFT
        || batch_room((void **) &batch->left, batch->nleft,
                      &batch->left_size, sizeof(batch_left_t))
           == -1)
    {
        rg->known = offset;
        return;
    }

    run = &batch->left[batch->nleft++];
    run->range = range;
    run->first = offset;
    run->next = offset + 1;
    rg->left = (uint32_t) batch->nleft;
}


int
batch_fault(batch_t *batch, size_t row, const char *sqlstate,
    const char *reason)
{
    size_t           i, len;
    batch_row_t     *r;
    record_fault_t  *fault;

    r = &batch->rows[row];

    if (r->fault) {
        return 0;
    }

    if (batch_room((void **) &batch->faults, batch->nfaults,
                   &batch->faults_size, sizeof(record_fault_t))
        == -1)
    {
        return -1;
    }

    fault = &batch->faults[batch->nfaults++];
    snprintf(fault->sqlstate, sizeof(fault->sqlstate), "%s", sqlstate);

    /* PostgreSQL takes whole code points only */
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

    r->fault = (uint32_t) batch->nfaults;
    batch->ranges[r->range].dead++;
    batch->dead++;
    batch->ndead_parsed += r->text_len == 0;

    return 0;
}


void
batch_duplicate(batch_t *batch, size_t row)
{
    batch_row_t  *r;

    r = &batch->rows[row];

    if (!r->duplicate && r->fault == 0) {
        r->duplicate = true;
        batch->ranges[r->range].duplicates++;
        batch->duplicates++;
    }
}


void
batch_absent(batch_t *batch, size_t row)
{
    batch_row_t  *r;

    r = &batch->rows[row];

    if (!r->absent && r->fault == 0) {
        r->absent = true;
        batch->ranges[r->range].filtered++;
        batch->absent++;
    }
}


static void
batch_forget_absent(batch_t *batch)
{
    size_t        i;
    batch_row_t  *row;

    for (i = 0; batch->absent && i < batch->nrows; i++) {
        row = &batch->rows[i];

        if (row->absent) {
            row->absent = false;
            batch->ranges[row->range].filtered--;
            batch->absent--;
        }
    }
}


void
batch_forget_duplicates(batch_t *batch)
{
    size_t        i;
    batch_row_t  *row;

    for (i = 0; batch->duplicates && i < batch->nrows; i++) {
        row = &batch->rows[i];

        if (row->duplicate) {
            row->duplicate = false;
            batch->ranges[row->range].duplicates--;
            batch->duplicates--;
        }
    }
}


void
batch_forget_faults(batch_t *batch)
{
    size_t        i, kept;
    batch_row_t  *row;

    batch_forget_duplicates(batch);
    batch_forget_absent(batch);

    if (batch->dead == batch->ndead_parsed) {
        return;
    }

    for (i = 0, kept = 0; i < batch->nrows; i++) {
        row = &batch->rows[i];

        if (row->fault && row->text_len) {
            row->fault = 0;
            batch->ranges[row->range].dead--;

        } else if (row->fault > kept) {
            kept = row->fault;
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


void
batch_record(const batch_t *batch, const batch_row_t *row, record_t *record)
{
    const char  *p;

    memset(record, 0, sizeof(record_t));
    record->partition = batch->ranges[row->range].partition;
    record->offset = row->offset;
    record->timestamp = row->timestamp;
    p = batch->raw.data + row->raw;

    if (row->key_len != BATCH_NULL) {
        record->key = p;
        record->key_len = row->key_len;
        p += row->key_len;
    }

    if (row->value_len != BATCH_NULL) {
        record->value = p;
        record->value_len = row->value_len;
        p += row->value_len;
    }

    if (row->headers_len) {
        record->headers = p;
        record->headers_len = row->headers_len;
        p += row->headers_len;
    }

    record->retry = row->retry ? p : NULL;
}


uint32_t
batch_last_crc(const batch_t *batch, const batch_range_t *range)
{
    record_t  record;

    if (range->last == BATCH_NULL) {
        return range->last_crc;
    }

    batch_record(batch, &batch->rows[range->last], &record);

    return crc32_record(record.key, record.key_len, record.value,
                        record.value_len);
}


size_t
batch_line(const batch_t *batch, const batch_span_t *span, uint64_t line)
{
    size_t  row;

    for (row = span->first; row < span->end; row++) {
        if (batch->rows[row].nth == 0
            && batch_is_stored(&batch->rows[row], span->target)
            && --line == 0)
        {
            break;
        }
    }

    return row;
}


size_t
batch_first(const batch_t *batch, size_t row)
{
    while (row < batch->nrows && batch->rows[row].nth) {
        row++;
    }

    return row;
}


size_t
batch_stored(const batch_t *batch)
{
    size_t              i, n;
    const batch_row_t  *row;

    if (batch->more == 0) {
        return batch->nrows - batch->dead - batch->duplicates - batch->absent;
    }

    for (i = 0, n = 0; i < batch->nrows; i++) {
        row = &batch->rows[i];
        n += !row->absent && batch_is_stored(row, row->target);
    }

    return n;
}


size_t
batch_alike(const batch_t *batch, size_t row, size_t end)
{
    const batch_row_t  *r, *first;

    first = &batch->rows[row];

    for ( /* void */ ; row < end; row = r->next) {
        r = &batch->rows[row];

        if (r->tuple != first->tuple && batch_is_stored(r, first->target)) {
            return row;
        }
    }

    return end;
}
