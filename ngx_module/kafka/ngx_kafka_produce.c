/* Records: taken, handed over, parked for their topic, reported. */

#include "kafka/ngx_kafka_client.h"


/*
 * What librdkafka holds for a record beside key and value, as measured with
 * small ones: a message, its place in queues and the allocator's overhead.
 */
#define NGX_KAFKA_RECORD_COST    320     /* bytes */
#define NGX_KAFKA_HEADERS_COST   128     /* bytes, where there are any */
#define NGX_KAFKA_HEADER_COST    80      /* bytes, of each */

#define NGX_KAFKA_RECORD_BLOCK   64      /* records allocated at once */
#define NGX_KAFKA_BATCH          128     /* records given over at once */


static ngx_kafka_take_e ngx_kafka_produce_all(ngx_kafka_producer_t *kp,
    ngx_kafka_message_t *msg, ngx_uint_t n);
static void ngx_kafka_produce_refused(ngx_kafka_producer_t *kp,
    ngx_kafka_message_t *msg, ngx_uint_t n);
static ngx_uint_t ngx_kafka_produce_batch(ngx_kafka_producer_t *kp,
    ngx_kafka_message_t *msg, ngx_uint_t n);
static ngx_kafka_take_e ngx_kafka_produce_now(ngx_kafka_producer_t *kp,
    ngx_kafka_record_t *rec, ngx_kafka_message_t *msg);
static ngx_kafka_take_e ngx_kafka_produce_code(rd_kafka_resp_err_t err);
static rd_kafka_resp_err_t ngx_kafka_produce_headers(
    ngx_kafka_client_t *client, ngx_kafka_record_t *rec,
    ngx_kafka_message_t *msg);
static ngx_kafka_take_e ngx_kafka_produce_park(ngx_kafka_producer_t *kp,
    ngx_kafka_record_t *rec);
static void ngx_kafka_record_count(ngx_kafka_record_t *rec,
    ngx_kafka_outcome_e outcome);
static size_t ngx_kafka_overhead(const ngx_kafka_message_t *msg);
static ngx_kafka_record_t *ngx_kafka_record_get(ngx_kafka_producer_t *kp,
    ngx_kafka_message_t *msg);
static ngx_int_t ngx_kafka_record_keep(ngx_kafka_record_t *rec,
    ngx_log_t *log);
static void ngx_kafka_record_move(ngx_str_t *str, u_char **p);
static void ngx_kafka_record_free(ngx_kafka_record_t *rec);
static void ngx_kafka_producer_charge(ngx_kafka_producer_t *kp,
    ngx_kafka_record_t *rec);
static void ngx_kafka_producer_release(ngx_kafka_producer_t *kp,
    ngx_kafka_record_t *rec);


/* of this worker */
static ngx_queue_t   ngx_kafka_free_records;
static ngx_uint_t    ngx_kafka_silent;       /* no handler is called any more */


void
ngx_kafka_records_silence(void)
{
    ngx_kafka_silent = 1;
}


ngx_kafka_take_e
ngx_kafka_produce(ngx_kafka_producer_t *kp, ngx_kafka_message_t *msg,
    ngx_uint_t n)
{
    size_t            size, charge;
    ngx_uint_t        i;
    ngx_kafka_take_e  rc;

    charge = 0;

    for (i = 0; i < n; i++) {
        size = ngx_kafka_message_size(&msg[i]);

        if (!ngx_kafka_limit_fits(kp, &msg[i])) {
            return NGX_KAFKA_TOO_LARGE;
        }

        charge += size + ngx_kafka_overhead(&msg[i]);
    }

    if (charge > kp->conf->queue) {
        return NGX_KAFKA_TOO_LARGE;
    }

    if (kp->client == NULL) {
        rc = NGX_KAFKA_NOT_STARTED;
        goto refused;
    }

    if (kp->charged + charge > kp->conf->queue) {
        rc = NGX_KAFKA_QUEUE_FULL;
        goto refused;
    }

    if (ngx_kafka_producer_down(kp) && !ngx_kafka_producer_probe(kp)) {
        rc = NGX_KAFKA_BROKERS_DOWN;
        goto refused;
    }

    if (ngx_kafka_producer_overloaded(kp)) {
        rc = NGX_KAFKA_OVERLOADED;
        goto refused;
    }

    for (i = 0; i < n; i++) {
        if (kp->client->topics[msg[i].topic] == NULL
            && kp->conf->states[msg[i].topic].error)
        {
            rc = NGX_KAFKA_TOPIC_MISSING;
            goto refused;
        }
    }

    for (i = 0; i < n; i++) {
        msg[i].record = ngx_kafka_record_get(kp, &msg[i]);

        if (msg[i].record == NULL) {
            while (i) {
                ngx_kafka_record_free(msg[--i].record);
            }

            rc = NGX_KAFKA_QUEUE_FULL;
            goto refused;
        }
    }

    rc = ngx_kafka_produce_all(kp, msg, n);

    if (rc == NGX_KAFKA_TOO_LARGE) {
        return rc;
    }

    if (rc != NGX_KAFKA_TAKEN) {
        goto refused;
    }

    if (ngx_exiting) {
        /* the drain's own call came when this body was still arriving */
        ngx_kafka_producer_drain(kp);
    }

    return NGX_KAFKA_TAKEN;

refused:

    ngx_kafka_produce_refused(kp, msg, n);

    return rc;
}


/*
 * NGX_KAFKA_TAKEN with at least one record taken; the others are counted as
 * failed.
 */
static ngx_kafka_take_e
ngx_kafka_produce_all(ngx_kafka_producer_t *kp, ngx_kafka_message_t *msg,
    ngx_uint_t n)
{
    ngx_uint_t           i, run, taken;
    ngx_kafka_take_e     rc, first;
    ngx_kafka_record_t  *rec;

    first = NGX_KAFKA_TAKEN;
    taken = 0;

    for (i = 0; i < n; i += run) {

        run = ngx_kafka_produce_batch(kp, &msg[i], n - i);

        if (run) {

            if (first == NGX_KAFKA_TAKEN && msg[i].record == NULL) {
                first = ngx_kafka_produce_code(msg[i].error);
            }

            continue;
        }

        run = 1;
        rec = msg[i].record;

        if (kp->client->topics[msg[i].topic]) {
            rc = ngx_kafka_produce_now(kp, rec, &msg[i]);

        } else {
            rc = ngx_kafka_produce_park(kp, rec);
        }

        if (rc != NGX_KAFKA_TAKEN) {
            msg[i].record = NULL;
            ngx_kafka_record_free(rec);
            first = first == NGX_KAFKA_TAKEN ? rc : first;
        }
    }

    for (i = 0; i < n; i++) {
        if (msg[i].record) {
            ngx_kafka_producer_charge(kp, msg[i].record);
            taken++;
        }
    }

    if (taken == 0) {
        return first;
    }

    for (i = 0; taken < n && i < n; i++) {
        if (msg[i].record == NULL) {
            ngx_kafka_produce_refused(kp, &msg[i], 1);
        }
    }

    return NGX_KAFKA_TAKEN;
}


static void
ngx_kafka_produce_refused(ngx_kafka_producer_t *kp, ngx_kafka_message_t *msg,
    ngx_uint_t n)
{
    ngx_uint_t               i;
    ngx_kafka_topic_conf_t  *topic;

    topic = kp->conf->topics.elts;

    for (i = 0; i < n; i++) {
        (void) ngx_atomic_fetch_add(&topic[msg[i].topic].counts->refused,
                                    1);
    }
}


/*
 * The run of records that librdkafka's batch call takes: of one topic, and
 * without headers and timestamps, which it does not know, nor a partition, as
 * it leaks those of one that does not exist.  Returns 0 where such a run is no
 * longer than one.
 */
static ngx_uint_t
ngx_kafka_produce_batch(ngx_kafka_producer_t *kp, ngx_kafka_message_t *msg,
    ngx_uint_t n)
{
    ngx_uint_t           i;
    rd_kafka_topic_t    *rkt;
    ngx_kafka_record_t  *rec;
    rd_kafka_message_t   rkm[NGX_KAFKA_BATCH];

    rkt = kp->client->topics[msg->topic];

    if (rkt == NULL) {
        return 0;
    }

    for (i = 0; i < n && i < NGX_KAFKA_BATCH; i++) {

        if (msg[i].topic != msg->topic || msg[i].nheaders
            || msg[i].timestamp
            || msg[i].partition != RD_KAFKA_PARTITION_UA)
        {
            break;
        }

        ngx_memzero(&rkm[i], sizeof(rd_kafka_message_t));

        rkm[i].payload = msg[i].value.data;
        rkm[i].len = msg[i].value.len;
        rkm[i].key = msg[i].key.data;
        rkm[i].key_len = msg[i].key.len;
        rkm[i]._private = msg[i].record;
    }

    n = i;

    if (n < 2) {
        return 0;
    }

    (void) rd_kafka_produce_batch(rkt, RD_KAFKA_PARTITION_UA,
                                  RD_KAFKA_MSG_F_COPY, rkm, (int) n);

    for (i = 0; i < n; i++) {
        rec = msg[i].record;

        if (rkm[i].err) {
            msg[i].error = rkm[i].err;
            msg[i].record = NULL;
            ngx_kafka_record_free(rec);
            continue;
        }

        ngx_queue_insert_tail(&kp->client->records, &rec->queue);
    }

    return n;
}


static ngx_kafka_take_e
ngx_kafka_produce_now(ngx_kafka_producer_t *kp, ngx_kafka_record_t *rec,
    ngx_kafka_message_t *msg)
{
    ngx_kafka_client_t  *client;

    client = kp->client;
    msg->error = RD_KAFKA_RESP_ERR_NO_ERROR;

    if (msg->nheaders || msg->timestamp) {
        msg->error = ngx_kafka_produce_headers(client, rec, msg);

    } else if (rd_kafka_produce(client->topics[msg->topic], msg->partition,
                                RD_KAFKA_MSG_F_COPY, msg->value.data,
                                msg->value.len, msg->key.data, msg->key.len,
                                rec)
               != 0)
    {
        msg->error = rd_kafka_last_error();
    }

    if (msg->error == RD_KAFKA_RESP_ERR_NO_ERROR) {
        ngx_queue_insert_tail(&client->records, &rec->queue);
    }

    return ngx_kafka_produce_code(msg->error);
}


static ngx_kafka_take_e
ngx_kafka_produce_code(rd_kafka_resp_err_t err)
{
    switch (err) {

    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return NGX_KAFKA_TAKEN;

    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        return NGX_KAFKA_TOO_LARGE;

    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
        return NGX_KAFKA_QUEUE_FULL;

    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
        return NGX_KAFKA_TOPIC_MISSING;

    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        return NGX_KAFKA_PARTITION_MISSING;

    default:
        return NGX_KAFKA_REFUSED;
    }
}


static rd_kafka_resp_err_t
ngx_kafka_produce_headers(ngx_kafka_client_t *client, ngx_kafka_record_t *rec,
    ngx_kafka_message_t *msg)
{
    ngx_uint_t            i;
    ngx_kafka_header_t   *h;
    rd_kafka_headers_t   *headers;
    rd_kafka_resp_err_t   err;

    h = msg->headers;
    headers = rd_kafka_headers_new(msg->nheaders);

    for (i = 0; i < msg->nheaders; i++) {
        (void) rd_kafka_header_add(headers, (char *) h[i].name.data,
                                   h[i].name.len, h[i].value.data,
                                   h[i].value.len);
    }

    err = rd_kafka_producev(client->rk,
                            RD_KAFKA_V_RKT(client->topics[msg->topic]),
                            RD_KAFKA_V_PARTITION(msg->partition),
                            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                            RD_KAFKA_V_VALUE(msg->value.data, msg->value.len),
                            RD_KAFKA_V_KEY(msg->key.data, msg->key.len),
                            RD_KAFKA_V_TIMESTAMP(msg->timestamp),
                            RD_KAFKA_V_HEADERS(headers),
                            RD_KAFKA_V_OPAQUE(rec),
                            RD_KAFKA_V_END);
    if (err) {
        rd_kafka_headers_destroy(headers);
    }

    return err;
}


static ngx_kafka_take_e
ngx_kafka_produce_park(ngx_kafka_producer_t *kp, ngx_kafka_record_t *rec)
{
    if (rec->msg.handler == NULL
        && ngx_kafka_record_keep(rec, kp->cycle->log) != NGX_OK)
    {
        return NGX_KAFKA_QUEUE_FULL;
    }

    rec->parked = 1;
    ngx_queue_insert_tail(&kp->parked, &rec->queue);

    return NGX_KAFKA_TAKEN;
}


void
ngx_kafka_producer_unpark(ngx_kafka_producer_t *kp, ngx_uint_t topic)
{
    ngx_queue_t         *q, *next;
    ngx_kafka_record_t  *rec;
    ngx_kafka_report_t   report;

    for (q = ngx_queue_head(&kp->parked);
         q != ngx_queue_sentinel(&kp->parked);
         q = next)
    {
        next = ngx_queue_next(q);
        rec = ngx_queue_data(q, ngx_kafka_record_t, queue);

        if (rec->msg.topic != topic) {
            continue;
        }

        ngx_queue_remove(q);
        rec->parked = 0;

        if (ngx_kafka_produce_now(kp, rec, &rec->msg) == NGX_KAFKA_TAKEN) {

            if (rec->copy) {
                ngx_free(rec->copy);
                rec->copy = NULL;
            }

            continue;
        }

        report.outcome = NGX_KAFKA_NOT_KEPT;
        report.error = rec->msg.error;
        report.partition = -1;
        report.offset = -1;
        report.timestamp = -1;

        ngx_queue_init(&rec->queue);
        ngx_kafka_producer_report(kp->client, rec, &report);

        /* its handler may have changed the queue */
        next = ngx_queue_head(&kp->parked);
    }
}


void
ngx_kafka_producer_report(ngx_kafka_client_t *client, ngx_kafka_record_t *rec,
    ngx_kafka_report_t *report)
{
    void                  *data;
    ngx_kafka_report_pt    handler;
    ngx_kafka_producer_t  *kp;

    kp = rec->producer;
    data = rec->msg.data;
    handler = rec->msg.handler;

    if (report->outcome == NGX_KAFKA_KEPT) {
        client->up = 1;
        kp->stalled = 0;
        ngx_kafka_producer_measure(kp, rec);
    }

    ngx_kafka_record_count(rec, report->outcome);

    ngx_queue_remove(&rec->queue);
    ngx_kafka_producer_release(kp, rec);

    if (handler && !ngx_kafka_silent) {
        handler(data, report);
    }
}


ngx_uint_t
ngx_kafka_abandon(ngx_kafka_record_t *rec)
{
    if (!rec->parked) {
        rec->msg.handler = NULL;
        return 1;
    }

    ngx_kafka_record_count(rec, NGX_KAFKA_NOT_KEPT);

    ngx_queue_remove(&rec->queue);
    ngx_kafka_producer_release(rec->producer, rec);

    return 0;
}


static void
ngx_kafka_record_count(ngx_kafka_record_t *rec, ngx_kafka_outcome_e outcome)
{
    ngx_kafka_topic_conf_t    *topic;
    ngx_kafka_topic_counts_t  *counts;

    topic = rec->producer->conf->topics.elts;
    counts = topic[rec->msg.topic].counts;

    if (outcome == NGX_KAFKA_KEPT) {
        ngx_kafka_count_kept(counts,
                             rec->charge - ngx_kafka_overhead(&rec->msg),
                             ngx_current_msec - rec->taken);
        return;
    }

    (void) ngx_atomic_fetch_add(outcome == NGX_KAFKA_NOT_KEPT
                                ? &counts->not_kept : &counts->maybe_kept,
                                1);

    if (rec->msg.handler == NULL) {
        (void) ngx_atomic_fetch_add(&counts->dropped, 1);
    }
}


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


static size_t
ngx_kafka_overhead(const ngx_kafka_message_t *msg)
{
    return NGX_KAFKA_RECORD_COST
           + (msg->nheaders ? NGX_KAFKA_HEADERS_COST
                              + msg->nheaders * NGX_KAFKA_HEADER_COST
                            : 0);
}


static ngx_kafka_record_t *
ngx_kafka_record_get(ngx_kafka_producer_t *kp, ngx_kafka_message_t *msg)
{
    ngx_uint_t           i;
    ngx_queue_t         *q;
    ngx_kafka_record_t  *rec;

    if (ngx_kafka_free_records.next == NULL) {
        ngx_queue_init(&ngx_kafka_free_records);
    }

    if (ngx_queue_empty(&ngx_kafka_free_records)) {

        rec = ngx_calloc(NGX_KAFKA_RECORD_BLOCK * sizeof(ngx_kafka_record_t),
                         kp->cycle->log);
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
    rec->charge = ngx_kafka_message_size(msg) + ngx_kafka_overhead(msg);
    rec->taken = ngx_current_msec;
    rec->parked = 0;

    return rec;
}


/* Copies what a record points to: its request is answered and gone. */
static ngx_int_t
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
        ngx_kafka_record_move(&h[i].value, &p);
    }

    msg->headers = h;
    ngx_kafka_record_move(&msg->value, &p);

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


static void
ngx_kafka_record_free(ngx_kafka_record_t *rec)
{
    if (rec->copy) {
        ngx_free(rec->copy);
    }

    ngx_queue_insert_head(&ngx_kafka_free_records, &rec->queue);
}


static void
ngx_kafka_producer_charge(ngx_kafka_producer_t *kp, ngx_kafka_record_t *rec)
{
    if (kp->records == 0) {
        kp->rate = 0;
        kp->previous = 0;
        kp->sample = 0;
        kp->fresh = 0;
        kp->measured = ngx_current_msec;
    }

    kp->charged += rec->charge;
    kp->records++;
    kp->conf->gauges->bytes = kp->charged;
    kp->conf->gauges->records = kp->records;
}


/* Ends a record that was taken; it is in no queue any more. */
static void
ngx_kafka_producer_release(ngx_kafka_producer_t *kp, ngx_kafka_record_t *rec)
{
    kp->charged -= rec->charge;
    kp->records--;
    kp->conf->gauges->bytes = kp->charged;
    kp->conf->gauges->records = kp->records;

    ngx_kafka_record_free(rec);

    if (kp->records == 0 && kp->drain.timer_set) {
        ngx_del_timer(&kp->drain);
    }
}
