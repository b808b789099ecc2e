/*
 * Records that wait for their receipt, in the order of their offsets.  A
 * receipt moves those it speaks of into one queue, whose handlers are called
 * in turns of the loop.  Ranges that came before a record's report are
 * remembered for a while.
 */

#include "kafka/ngx_kafka_impl.h"


#define NGX_KAFKA_ANSWERS       100     /* a turn of the loop */
#define NGX_KAFKA_SHELF_RANGES  256     /* remembered, a partition */
#define NGX_KAFKA_RANGES_SIZE   (4 * 1024 * 1024)   /* bytes of all */


struct ngx_kafka_wait_s {
    ngx_rbtree_node_t      node;        /* the key is the offset */
    ngx_queue_t            queue;       /* once it is answered */
    ngx_kafka_producer_t  *producer;
    ngx_kafka_shelf_t     *shelf;       /* NULL: answered */
    ngx_uint_t             topic;
    int64_t                timestamp;   /* of the record */
    ngx_msec_t             taken;
    ngx_kafka_receipt_pt   handler;
    void                  *data;
    ngx_kafka_receipt_t    receipt;     /* its texts are the wait's */
};


/* Of one partition. */
struct ngx_kafka_shelf_s {
    ngx_rbtree_node_t      node;        /* the key is topic and partition */
    ngx_rbtree_t           waits;
    ngx_rbtree_node_t      sentinel;
    ngx_queue_t            ranges;      /* newest last */
    ngx_uint_t             n;           /* of those */
    ngx_uint_t             waiting;
};


#define ngx_kafka_shelf_key(topic, partition)                                 \
    ((ngx_rbtree_key_t) (topic) << 32 | (uint32_t) (partition))


static ngx_kafka_shelf_t *ngx_kafka_shelf_find(ngx_kafka_producer_t *kp,
    ngx_uint_t topic, int32_t partition, ngx_uint_t make);
static void ngx_kafka_shelf_leave(ngx_kafka_producer_t *kp,
    ngx_kafka_shelf_t *shelf);
static ngx_rbtree_node_t *ngx_kafka_shelf_from(ngx_kafka_shelf_t *shelf,
    int64_t offset);
static void ngx_kafka_shelf_match(ngx_kafka_shelf_t *shelf,
    ngx_kafka_range_t *range);
static ngx_uint_t ngx_kafka_stored_fits(ngx_kafka_range_t *range,
    int64_t offset, int64_t timestamp);
static void ngx_kafka_stored_remember(ngx_kafka_producer_t *kp,
    ngx_kafka_range_t *range);
static void ngx_kafka_stored_forget(ngx_kafka_producer_t *kp,
    ngx_kafka_range_t *range);
static void ngx_kafka_stored_answer(ngx_kafka_wait_t *wait,
    ngx_kafka_range_t *range);
static void ngx_kafka_stored_answers(ngx_event_t *ev);
static void ngx_kafka_wait_free(ngx_kafka_wait_t *wait);
static ngx_kafka_topic_counts_t *ngx_kafka_stored_counts(
    ngx_kafka_producer_t *kp, ngx_uint_t topic);


void
ngx_kafka_stored_init(ngx_kafka_producer_t *kp)
{
    ngx_kafka_stored_t  *stored;

    stored = &kp->stored;

    ngx_rbtree_init(&stored->shelves, &stored->sentinel,
                    ngx_rbtree_insert_value);
    ngx_queue_init(&stored->answered);
    ngx_queue_init(&stored->ranges);

    stored->event.handler = ngx_kafka_stored_answers;
    stored->event.data = kp;
    stored->event.log = kp->log;
}


ngx_kafka_wait_t *
ngx_kafka_wait(ngx_kafka_producer_t *kp, ngx_uint_t topic,
    ngx_kafka_report_t *report, ngx_kafka_receipt_pt handler, void *data)
{
    ngx_queue_t        *q;
    ngx_kafka_wait_t   *wait;
    ngx_kafka_shelf_t  *shelf;
    ngx_kafka_range_t  *range;

    wait = NULL;
    shelf = NULL;

    if (kp->stored.waits < kp->conf->queue / NGX_KAFKA_RECORD_COST) {
        shelf = ngx_kafka_shelf_find(kp, topic, report->partition, 1);
    }

    if (shelf) {
        wait = ngx_calloc(sizeof(ngx_kafka_wait_t), kp->log);
    }

    if (wait == NULL) {
        if (shelf) {
            ngx_kafka_shelf_leave(kp, shelf);
        }

        ngx_kafka_count_stored(ngx_kafka_stored_counts(kp, topic),
                               NGX_KAFKA_STORED_PENDING, 0);
        return NULL;
    }

    wait->node.key = (ngx_rbtree_key_t) report->offset;
    wait->producer = kp;
    wait->shelf = shelf;
    wait->topic = topic;
    wait->timestamp = report->timestamp;
    wait->taken = report->taken;
    wait->handler = handler;
    wait->data = data;

    shelf->waiting++;
    kp->conf->gauges->waits = ++kp->stored.waits;
    ngx_rbtree_insert(&shelf->waits, &wait->node);

    /* the receipt may have been faster than the report */

    for (q = ngx_queue_last(&shelf->ranges);
         q != ngx_queue_sentinel(&shelf->ranges);
         q = ngx_queue_prev(q))
    {
        range = ngx_queue_data(q, ngx_kafka_range_t, place);

        if ((ngx_msec_int_t) (range->arrived - report->taken) <= 0) {
            /* it was here before the record */
            break;
        }

        if (ngx_kafka_stored_fits(range, report->offset, report->timestamp)) {
            ngx_kafka_stored_answer(wait, range);
            break;
        }
    }

    return wait;
}


void
ngx_kafka_wait_end(ngx_kafka_wait_t *wait, ngx_uint_t pending)
{
    if (pending) {
        ngx_kafka_count_stored(ngx_kafka_stored_counts(wait->producer,
                                                       wait->topic),
                               NGX_KAFKA_STORED_PENDING, 0);
    }

    ngx_kafka_wait_free(wait);
}


static void
ngx_kafka_wait_free(ngx_kafka_wait_t *wait)
{
    ngx_kafka_shelf_t     *shelf;
    ngx_kafka_producer_t  *kp;

    kp = wait->producer;
    shelf = wait->shelf;

    if (shelf) {
        ngx_rbtree_delete(&shelf->waits, &wait->node);
        shelf->waiting--;
        ngx_kafka_shelf_leave(kp, shelf);

    } else {
        ngx_queue_remove(&wait->queue);
    }

    if (wait->receipt.sqlstate.data) {
        ngx_free(wait->receipt.sqlstate.data);
    }

    ngx_free(wait);

    kp->conf->gauges->waits = --kp->stored.waits;
}


void
ngx_kafka_stored_take(ngx_kafka_producer_t *kp, ngx_queue_t *ranges)
{
    ngx_queue_t        *q;
    ngx_kafka_shelf_t  *shelf;
    ngx_kafka_range_t  *range;

    while (!ngx_queue_empty(ranges)) {

        q = ngx_queue_head(ranges);
        ngx_queue_remove(q);

        range = ngx_queue_data(q, ngx_kafka_range_t, queue);
        range->arrived = ngx_current_msec;

        shelf = ngx_kafka_shelf_find(kp, range->topic, range->partition, 0);

        if (shelf) {
            ngx_kafka_shelf_match(shelf, range);
            ngx_kafka_shelf_leave(kp, shelf);
        }

        if (kp->lanes[range->topic].records) {
            /* one of them may be in it */
            ngx_kafka_stored_remember(kp, range);

        } else {
            ngx_free(range);
        }
    }
}


/* Answers the waits that a range speaks of. */
static void
ngx_kafka_shelf_match(ngx_kafka_shelf_t *shelf, ngx_kafka_range_t *range)
{
    ngx_kafka_wait_t   *wait;
    ngx_rbtree_node_t  *node, *next;

    for (node = ngx_kafka_shelf_from(shelf, range->first); node; node = next) {

        wait = (ngx_kafka_wait_t *) node;

        if ((int64_t) node->key >= range->next) {
            break;
        }

        next = ngx_rbtree_next(&shelf->waits, node);

        if (ngx_kafka_stored_fits(range, (int64_t) node->key,
                                  wait->timestamp))
        {
            ngx_kafka_stored_answer(wait, range);
        }
    }
}


/*
 * A record of a topic that was deleted and made again has the offset of an
 * older one, but not its time.
 */
static ngx_uint_t
ngx_kafka_stored_fits(ngx_kafka_range_t *range, int64_t offset,
    int64_t timestamp)
{
    return offset >= range->first && offset < range->next
           && timestamp >= range->oldest && timestamp <= range->newest;
}


/* The first wait at an offset, or behind it. */
static ngx_rbtree_node_t *
ngx_kafka_shelf_from(ngx_kafka_shelf_t *shelf, int64_t offset)
{
    ngx_rbtree_node_t  *node, *found;

    node = shelf->waits.root;
    found = NULL;

    while (node != &shelf->sentinel) {

        if ((int64_t) node->key >= offset) {
            found = node;
            node = node->left;

        } else {
            node = node->right;
        }
    }

    return found;
}


static void
ngx_kafka_stored_answer(ngx_kafka_wait_t *wait, ngx_kafka_range_t *range)
{
    size_t                 len;
    u_char                *p;
    ngx_kafka_shelf_t     *shelf;
    ngx_kafka_receipt_t   *receipt;
    ngx_kafka_producer_t  *kp;

    kp = wait->producer;
    shelf = wait->shelf;
    receipt = &wait->receipt;

    ngx_kafka_receipt_find(range, (int64_t) wait->node.key, receipt);

    ngx_log_debug5(NGX_LOG_DEBUG_CORE, kp->log, 0,
                   "kafka receipt of topic %ui: %D/%uL is of kind %d, "
                   "range from %L", range->topic, range->partition,
                   (uint64_t) wait->node.key, receipt->stored, range->first);

    /* the range may be forgotten before the answer's turn */

    len = receipt->sqlstate.len + receipt->reason.len;
    p = len ? ngx_alloc(len, kp->log) : NULL;

    if (p == NULL) {
        ngx_str_null(&receipt->sqlstate);
        ngx_str_null(&receipt->reason);

    } else {
        /* they lie one behind the other */
        ngx_memcpy(p, receipt->sqlstate.data, len);
        receipt->sqlstate.data = p;
        receipt->reason.data = p + receipt->sqlstate.len;
    }

    ngx_rbtree_delete(&shelf->waits, &wait->node);
    shelf->waiting--;
    wait->shelf = NULL;

    ngx_queue_insert_tail(&kp->stored.answered, &wait->queue);
    ngx_post_event(&kp->stored.event, &ngx_posted_next_events);
}


/* A handler may end any wait, and begin others. */
static void
ngx_kafka_stored_answers(ngx_event_t *ev)
{
    void                  *data;
    ngx_uint_t             n;
    ngx_queue_t           *q;
    ngx_kafka_wait_t      *wait;
    ngx_kafka_producer_t  *kp;
    ngx_kafka_receipt_t    receipt;
    ngx_kafka_receipt_pt   handler;

    kp = ev->data;

    for (n = 0; n < NGX_KAFKA_ANSWERS; n++) {

        if (ngx_queue_empty(&kp->stored.answered)) {
            return;
        }

        q = ngx_queue_head(&kp->stored.answered);
        wait = ngx_queue_data(q, ngx_kafka_wait_t, queue);

        data = wait->data;
        handler = wait->handler;
        receipt = wait->receipt;

        ngx_kafka_count_stored(ngx_kafka_stored_counts(kp, wait->topic),
                               receipt.stored,
                               ngx_current_msec - wait->taken);

        /* the texts live until the handler is done */
        ngx_str_null(&wait->receipt.sqlstate);
        ngx_kafka_wait_free(wait);

        handler(data, &receipt);

        if (receipt.sqlstate.data) {
            ngx_free(receipt.sqlstate.data);
        }
    }

    ngx_post_event(ev, &ngx_posted_next_events);
}


static void
ngx_kafka_stored_remember(ngx_kafka_producer_t *kp, ngx_kafka_range_t *range)
{
    ngx_queue_t         *q;
    ngx_kafka_shelf_t   *shelf;
    ngx_kafka_stored_t  *stored;

    stored = &kp->stored;

    shelf = ngx_kafka_shelf_find(kp, range->topic, range->partition, 1);
    if (shelf == NULL) {
        ngx_free(range);
        return;
    }

    range->shelf = shelf;
    shelf->n++;
    stored->bytes += range->size;

    ngx_queue_insert_tail(&shelf->ranges, &range->place);
    ngx_queue_insert_tail(&stored->ranges, &range->queue);

    if (shelf->n > NGX_KAFKA_SHELF_RANGES) {
        q = ngx_queue_head(&shelf->ranges);
        range = ngx_queue_data(q, ngx_kafka_range_t, place);

        (void) ngx_atomic_fetch_add(
               &kp->conf->counts->receipts[NGX_KAFKA_RECEIPT_FORGOTTEN], 1);
        ngx_kafka_stored_forget(kp, range);
    }

    while (stored->bytes > NGX_KAFKA_RANGES_SIZE) {
        q = ngx_queue_head(&stored->ranges);
        range = ngx_queue_data(q, ngx_kafka_range_t, queue);

        (void) ngx_atomic_fetch_add(
               &kp->conf->counts->receipts[NGX_KAFKA_RECEIPT_FORGOTTEN], 1);
        ngx_kafka_stored_forget(kp, range);
    }
}


static void
ngx_kafka_stored_forget(ngx_kafka_producer_t *kp, ngx_kafka_range_t *range)
{
    ngx_kafka_shelf_t  *shelf;

    shelf = range->shelf;

    kp->stored.bytes -= range->size;
    shelf->n--;

    ngx_queue_remove(&range->place);
    ngx_queue_remove(&range->queue);
    ngx_free(range);

    ngx_kafka_shelf_leave(kp, shelf);
}


void
ngx_kafka_stored_expire(ngx_kafka_producer_t *kp, ngx_uint_t all)
{
    ngx_queue_t        *q;
    ngx_kafka_range_t  *range;

    while (!ngx_queue_empty(&kp->stored.ranges)) {

        q = ngx_queue_head(&kp->stored.ranges);
        range = ngx_queue_data(q, ngx_kafka_range_t, queue);

        if (!all
            && ngx_current_msec - range->arrived
               <= kp->conf->receipts->longest
            && kp->lanes[range->topic].records)
        {
            break;
        }

        ngx_kafka_stored_forget(kp, range);
    }
}


/* NULL: there is none, and with "make" no memory for it. */
static ngx_kafka_shelf_t *
ngx_kafka_shelf_find(ngx_kafka_producer_t *kp, ngx_uint_t topic,
    int32_t partition, ngx_uint_t make)
{
    ngx_rbtree_key_t    key;
    ngx_kafka_shelf_t  *shelf;
    ngx_rbtree_node_t  *node;

    key = ngx_kafka_shelf_key(topic, partition);
    node = kp->stored.shelves.root;

    while (node != &kp->stored.sentinel) {

        if (node->key == key) {
            return (ngx_kafka_shelf_t *) node;
        }

        node = key < node->key ? node->left : node->right;
    }

    shelf = make ? ngx_calloc(sizeof(ngx_kafka_shelf_t), kp->log) : NULL;

    if (shelf) {
        shelf->node.key = key;
        ngx_rbtree_init(&shelf->waits, &shelf->sentinel,
                        ngx_rbtree_insert_value);
        ngx_queue_init(&shelf->ranges);
        ngx_rbtree_insert(&kp->stored.shelves, &shelf->node);
    }

    return shelf;
}


/* Frees it where it holds nothing. */
static void
ngx_kafka_shelf_leave(ngx_kafka_producer_t *kp, ngx_kafka_shelf_t *shelf)
{
    if (shelf->n == 0 && shelf->waiting == 0) {
        ngx_rbtree_delete(&kp->stored.shelves, &shelf->node);
        ngx_free(shelf);
    }
}


static ngx_kafka_topic_counts_t *
ngx_kafka_stored_counts(ngx_kafka_producer_t *kp, ngx_uint_t topic)
{
    ngx_kafka_topic_conf_t  *conf;

    conf = kp->conf->topics.elts;

    return conf[topic].counts;
}
