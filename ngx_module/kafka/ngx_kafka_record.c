/*
 * Records from being taken to their end: their size, their memory, and what
 * they are charged.  What becomes of one is decided elsewhere.
 */

#include "kafka/ngx_kafka_impl.h"


#define NGX_KAFKA_RECORD_BLOCK    64        /* records allocated at once */

/*
 * A batch as brokers measure it, format 2 (Apache Kafka, Protocol, "Record
 * Batch"): its own fields, and attributes and two deltas of the one record.
 */
#define NGX_KAFKA_BATCH_HEADER    61        /* bytes */
#define NGX_KAFKA_RECORD_HEADER   3         /* bytes, each of one */
#define NGX_KAFKA_BATCH_SLACK     128       /* bytes, more than it all takes */


static size_t ngx_kafka_batch_size(const ngx_kafka_message_t *msg);
static size_t ngx_kafka_value_size(size_t len);
static size_t ngx_kafka_varint(int64_t n);
static void ngx_kafka_record_move(ngx_str_t *str, u_char **p);
static void ngx_kafka_record_gauges(ngx_kafka_producer_t *kp);


/* of this worker; empty at first */
static ngx_queue_t  ngx_kafka_free_records = {
    &ngx_kafka_free_records, &ngx_kafka_free_records
};


size_t
ngx_kafka_message_size(const ngx_kafka_message_t *msg)
{
    size_t      size;
    ngx_uint_t  i;

    size = msg->value.len + msg->key.len;

    for (i = 0; i < msg->nheaders; i++) {
        size += msg->headers[i].name.len + msg->headers[i].value.len;
    }

    return size;
}


size_t
ngx_kafka_value_max(ngx_kafka_producer_t *kp, ngx_uint_t topic)
{
    size_t              limit, len;
    ngx_kafka_lanes_t  *lanes;

    limit = kp->conf->states[topic].limit;
    lanes = &kp->lanes[topic];

    if (limit == 0) {
        return kp->limit;
    }

    /* each request asks, and the limits next to never change */

    if (lanes->limit == limit && lanes->largest == kp->limit) {
        return lanes->value_max;
    }

    lanes->limit = limit;
    lanes->largest = kp->limit;
    lanes->value_max = kp->limit;

    if (ngx_kafka_value_size(kp->limit) <= limit) {
        return kp->limit;
    }

    /* fields that hold lengths take a few bytes more or less */

    len = limit - ngx_min(limit, ngx_kafka_value_size(0));

    while (len && ngx_kafka_value_size(len) > limit) {
        len--;
    }

    lanes->value_max = len;

    return len;
}


ngx_uint_t
ngx_kafka_message_fits(ngx_kafka_producer_t *kp, const ngx_kafka_message_t *msg)
{
    size_t  size, limit;

    size = ngx_kafka_message_size(msg);

    if (size > kp->limit) {
        return 0;
    }

    limit = kp->conf->states[msg->topic].limit;

    /* a message far below the limit need not be measured */

    return limit == 0
           || size + NGX_KAFKA_BATCH_SLACK * (msg->nheaders + 1) <= limit
           || ngx_kafka_batch_size(msg) <= limit;
}


/* Bytes of a batch that holds the message alone. */
static size_t
ngx_kafka_batch_size(const ngx_kafka_message_t *msg)
{
    size_t               size;
    ngx_uint_t           i;
    ngx_kafka_header_t  *h;

    size = NGX_KAFKA_RECORD_HEADER
           + ngx_kafka_varint(msg->key.data ? (int64_t) msg->key.len : -1)
           + ngx_kafka_varint((int64_t) msg->value.len)
           + ngx_kafka_varint((int64_t) msg->nheaders)
           + ngx_kafka_message_size(msg);

    for (i = 0; i < msg->nheaders; i++) {
        h = &msg->headers[i];
        size += ngx_kafka_varint((int64_t) h->name.len)
                + ngx_kafka_varint((int64_t) h->value.len);
    }

    return NGX_KAFKA_BATCH_HEADER + ngx_kafka_varint((int64_t) size) + size;
}


static size_t
ngx_kafka_value_size(size_t len)
{
    ngx_kafka_message_t  msg;

    ngx_memzero(&msg, sizeof(ngx_kafka_message_t));
    msg.value.len = len;

    return ngx_kafka_batch_size(&msg);
}


/* Bytes of a number in zigzag encoding. */
static size_t
ngx_kafka_varint(int64_t n)
{
    size_t    size;
    uint64_t  z;

    z = n < 0 ? ((uint64_t) -(n + 1) << 1) + 1 : (uint64_t) n << 1;

    for (size = 1; z >= 0x80; size++) {
        z >>= 7;
    }

    return size;
}


ngx_kafka_record_t *
ngx_kafka_record_get(ngx_kafka_producer_t *kp, ngx_kafka_message_t *msg)
{
    ngx_uint_t           i;
    ngx_queue_t         *q;
    ngx_kafka_record_t  *rec;

    if (ngx_queue_empty(&ngx_kafka_free_records)) {

        rec = ngx_calloc(NGX_KAFKA_RECORD_BLOCK * sizeof(ngx_kafka_record_t),
                         kp->log);
        if (rec == NULL) {
            return NULL;
        }

        for (i = 0; i < NGX_KAFKA_RECORD_BLOCK; i++) {
            ngx_queue_insert_head(&ngx_kafka_free_records, &rec[i].queue);
        }
    }

    q = ngx_queue_head(&ngx_kafka_free_records);
    ngx_queue_remove(q);

    rec = ngx_queue_data(q, ngx_kafka_record_t, queue);

    rec->producer = kp;
    rec->msg = *msg;
    rec->copy = NULL;
    rec->taken = ngx_current_msec;
    rec->partition = msg->partition;
    rec->parked = 0;
    rec->behind = 0;
    rec->answered = msg->handler == NULL;
    rec->apart = 0;
    rec->again = 0;

    return rec;
}


void
ngx_kafka_record_free(ngx_kafka_record_t *rec)
{
    if (rec->copy) {
        ngx_free(rec->copy);
    }

    ngx_queue_insert_head(&ngx_kafka_free_records, &rec->queue);
}


ngx_int_t
ngx_kafka_record_keep(ngx_kafka_record_t *rec, ngx_log_t *log)
{
    u_char               *p;
    ngx_uint_t            i;
    ngx_kafka_header_t   *h;
    ngx_kafka_message_t  *msg;

    msg = &rec->msg;

    p = ngx_alloc(msg->nheaders * sizeof(ngx_kafka_header_t)
                  + ngx_kafka_message_size(msg) + 1, log);
    if (p == NULL) {
        return NGX_ERROR;
    }

    rec->copy = p;

    h = (ngx_kafka_header_t *) p;
    p += msg->nheaders * sizeof(ngx_kafka_header_t);

    for (i = 0; i < msg->nheaders; i++) {
        h[i] = msg->headers[i];
        ngx_kafka_record_move(&h[i].name, &p);

        if (h[i].value.data) {
            ngx_kafka_record_move(&h[i].value, &p);
        }
    }

    msg->headers = h;

    if (msg->value.data) {
        ngx_kafka_record_move(&msg->value, &p);
    }

    if (msg->key.data) {
        ngx_kafka_record_move(&msg->key, &p);
    }

    return NGX_OK;
}


static void
ngx_kafka_record_move(ngx_str_t *str, u_char **p)
{
    u_char  *data;

    data = *p;
    *p = ngx_cpymem(data, str->data, str->len);
    str->data = data;
}


ngx_int_t
ngx_kafka_hold(ngx_kafka_producer_t *kp, size_t *held, size_t bytes)
{
    if (bytes > *held && kp->held > *held
        && kp->charged + kp->held - *held + bytes > kp->conf->queue)
    {
        return NGX_BUSY;
    }

    kp->held = kp->held - *held + bytes;
    *held = bytes;

    return NGX_OK;
}


void
ngx_kafka_record_charge(ngx_kafka_record_t *rec)
{
    ngx_kafka_producer_t  *kp;

    kp = rec->producer;

    if (kp->records == 0) {
        kp->rate = 0;
        kp->previous = 0;
        kp->sample = 0;
        kp->fresh = 0;
        kp->measured = ngx_current_msec;
    }

    kp->records++;
    kp->answered += rec->answered;
    kp->lanes[rec->msg.topic].records++;

    ngx_kafka_record_gauges(kp);
}


void
ngx_kafka_record_release(ngx_kafka_record_t *rec)
{
    ngx_kafka_producer_t  *kp;

    kp = rec->producer;

    kp->charged -= rec->msg.charge;
    kp->records--;
    kp->answered -= rec->answered;
    kp->lanes[rec->msg.topic].records--;

    ngx_kafka_record_gauges(kp);

    ngx_queue_remove(&rec->queue);
    ngx_kafka_record_free(rec);

    if (kp->records == 0 && kp->drain.timer_set) {
        ngx_log_debug1(NGX_LOG_DEBUG_CORE, kp->log, 0,
                       "kafka producer \"%V\" drained", &kp->conf->name);
        ngx_del_timer(&kp->drain);
    }
}


static void
ngx_kafka_record_gauges(ngx_kafka_producer_t *kp)
{
    kp->conf->gauges->bytes = kp->charged;
    kp->conf->gauges->records = kp->records;
}


void
ngx_kafka_records_drain(ngx_kafka_producer_t *kp)
{
    if (!ngx_exiting || kp->records == 0 || kp->drained) {
        return;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_CORE, kp->log, 0,
                   "kafka producer \"%V\" drains %ui records",
                   &kp->conf->name, kp->records);

    ngx_add_timer(&kp->drain, kp->drain_timeout);
}
