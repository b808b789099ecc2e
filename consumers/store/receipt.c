/*
 * The text of a receipt: what became of the records of one committed
 * transaction, as JSON (docs/reference/receipts.md).
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/receipt.h"


static void receipt_name(buf_t *text, const char *key, const char *name);
static size_t receipt_list(receipt_t *receipt, const receipt_range_t *range,
    size_t most);
static void receipt_exception(receipt_t *receipt,
    const receipt_exception_t *exception);
static int receipt_compare(const void *a, const void *b);


/* By receipt_fate_t. */

static const char *const  receipt_fates[] = {
    "duplicate", "filtered", "dead-letter"
};


void
receipt_begin(receipt_t *receipt, const conf_t *conf, const char *cluster,
    const char *table)
{
    buf_t  *text;

    text = &receipt->text;
    text->len = 0;
    receipt->reasons = conf->dead_store == CONF_STORE_ALL;
    receipt->left = RECEIPT_EXCEPTIONS;
    receipt->partitions = 0;

    buf_addf(text, "{\"version\":1");
    receipt_name(text, "cluster", cluster);
    receipt_name(text, "group", conf->group);
    receipt_name(text, "topic", conf->topic);
    receipt_name(text, "table", table);
    buf_addf(text, ",\"partitions\":[");
}


static void
receipt_name(buf_t *text, const char *key, const char *name)
{
    buf_addf(text, ",\"%s\":\"", key);
    text_add_json(text, name, strlen(name));
    buf_add(text, "\"", 1);
}


void
receipt_add(receipt_t *receipt, const receipt_range_t *range, size_t most)
{
    size_t   n;
    buf_t   *text;
    int64_t  known;

    text = &receipt->text;

    buf_addf(text, "%s{\"partition\":%" PRId32 ",\"epoch\":%" PRId64
             ",\"first\":%" PRId64 ",\"next\":%" PRId64,
             receipt->partitions++ ? "," : "", range->partition, range->epoch,
             range->first, range->next);

    if (range->newest >= 0) {
        buf_addf(text, ",\"timestamps\":[%" PRId64 ",%" PRId64 "]",
                 range->oldest, range->newest);
    }

    n = receipt_list(receipt, range, most < receipt->left ? most
                                                          : receipt->left);
    receipt->left -= n;
    known = n < range->n ? range->list[n].first : range->known;

    if (known > range->known) {
        known = range->known;
    }

    if (known < range->next) {
        buf_addf(text, ",\"known\":%" PRId64, known);
    }

    buf_add(text, "}", 1);
}


/* Writes exceptions until a bound; returns how many. */

static size_t
receipt_list(receipt_t *receipt, const receipt_range_t *range, size_t most)
{
    size_t  n;

    for (n = 0; n < range->n && n < most && !buf_failed(&receipt->text)
         && receipt->text.len < RECEIPT_FULL; n++)
    {
        if (range->list[n].first >= range->known) {
            break;
        }

        buf_addf(&receipt->text, n ? "," : ",\"exceptions\":[");
        receipt_exception(receipt, &range->list[n]);
    }

    if (n) {
        buf_add(&receipt->text, "]", 1);
    }

    return n;
}


static void
receipt_exception(receipt_t *receipt, const receipt_exception_t *exception)
{
    buf_t       *text;
    const char  *reason;

    text = &receipt->text;
    buf_addf(text, "{\"offset\":%" PRId64, exception->first);

    if (exception->next - exception->first > 1) {
        buf_addf(text, ",\"count\":%" PRId64,
                 exception->next - exception->first);
    }

    buf_addf(text, ",\"stored\":\"%s\"", receipt_fates[exception->fate]);

    if (exception->fate == RECEIPT_DEAD) {
        receipt_name(text, "sqlstate", exception->fault->sqlstate);
        reason = exception->fault->reason;

        if (receipt->reasons && text_is_utf8(reason, strlen(reason))) {
            receipt_name(text, "reason", reason);
        }
    }

    buf_add(text, "}", 1);
}


int
receipt_end(receipt_t *receipt)
{
    buf_add(&receipt->text, "]}", 2);

    if (buf_failed(&receipt->text)) {
        buf_free(&receipt->text);
        return -1;
    }

    return 0;
}


ssize_t
receipt_exceptions(const batch_t *batch, receipt_exception_t **list)
{
    size_t                i, n;
    const batch_row_t    *row;
    receipt_exception_t  *e, *last;

    n = batch->dead + batch->duplicates + batch->absent + batch->nleft;
    *list = NULL;

    if (n == 0) {
        return 0;
    }

    *list = calloc(n, sizeof(receipt_exception_t));
    if (*list == NULL) {
        return -1;
    }

    e = *list;

    for (i = 0; i < batch->nleft; i++, e++) {
        e->range = batch->left[i].range;
        e->fate = RECEIPT_FILTERED;
        e->first = batch->left[i].first;
        e->next = batch->left[i].next;
    }

    for (i = 0; e < *list + n && i < batch->nrows; i++) {
        row = &batch->rows[i];

        if (row->fault || row->duplicate || row->absent) {
            e->range = row->range;
            e->fate = row->fault ? RECEIPT_DEAD
                      : row->absent ? RECEIPT_FILTERED : RECEIPT_DUPLICATE;
            e->first = row->offset;
            e->next = row->offset + 1;
            e->fault = row->fault ? &batch->faults[row->fault - 1] : NULL;
            e++;
        }
    }

    n = (size_t) (e - *list);
    qsort(*list, n, sizeof(receipt_exception_t), receipt_compare);

    for (i = 1, last = *list; i < n; i++) {
        e = &(*list)[i];

        if (e->range == last->range && e->fate == last->fate
            && e->first == last->next && e->fate != RECEIPT_DEAD)
        {
            last->next = e->next;
        } else {
            *++last = *e;
        }
    }

    return last - *list + 1;
}


void
receipt_range(receipt_range_t *range, const batch_t *batch, uint32_t number,
    const receipt_exception_t **list, size_t *n)
{
    const batch_range_t  *r;

    r = &batch->ranges[number];

    range->partition = r->partition;
    range->epoch = r->epoch;
    range->first = r->expected;
    range->next = r->next;
    range->known = r->known;
    range->oldest = r->oldest;
    range->newest = r->newest;
    range->list = *list;

    for (range->n = 0; *n && (*list)->range == number; (*n)--, (*list)++) {
        range->n++;
    }
}


static int
receipt_compare(const void *a, const void *b)
{
    const receipt_exception_t  *p = a, *q = b;

    return p->range != q->range ? (p->range > q->range) - (p->range < q->range)
                                : (p->first > q->first) - (p->first < q->first);
}
