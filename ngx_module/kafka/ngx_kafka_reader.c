/*
 * Reads all partitions of the topic of receipts for no group, from where they
 * ended when the oldest record that may wait was taken.  It looks at the topic
 * again and again: partitions may be added, and the topic may go and come
 * back.
 */

#include "kafka/ngx_kafka_impl.h"


#define NGX_KAFKA_READER_LOOK    5000       /* ms, between looks */
#define NGX_KAFKA_READER_SOON    500        /* ms, while there is trouble */
#define NGX_KAFKA_READER_WAIT    1000       /* ms, until the next start */
#define NGX_KAFKA_READER_PATIENCE  10000    /* ms, of a client in trouble */
#define NGX_KAFKA_READER_KEPT    "600000"   /* ms, receipts in a new topic */
#define NGX_KAFKA_CREATE_AGAIN   10000      /* ms */

/* receipts and their bytes in a turn of the loop */
#define NGX_KAFKA_READER_TURN    200
#define NGX_KAFKA_READER_BYTES   (512 * 1024)


struct ngx_kafka_reader_s {
    ngx_kafka_producer_t  *producer;
    ngx_kafka_client_t    *client;      /* NULL: none now */
    ngx_kafka_birth_t     *birth;
    rd_kafka_queue_t      *queue;       /* of the client: what is fetched */
    u_char                *ended;       /* by partition: read up to its end */
    int32_t                ends;        /* partitions that are */
    ngx_msec_t             next;        /* start, or look */
    ngx_msec_t             create;      /* ask again */
    ngx_msec_t             failed;      /* when fetching began to fail, */
    ngx_msec_t             gone;        /* and the topic to be missing */
    rd_kafka_resp_err_t    looked;      /* by the last look */
    rd_kafka_resp_err_t    fetched;     /* by the last fetch */
    rd_kafka_resp_err_t    told;        /* as logged */
    unsigned               failing:1;
    unsigned               missing:1;   /* the topic, at the last look */
    json_doc_t             doc;
};


static void ngx_kafka_reader_wake(ngx_kafka_client_t *client,
    ngx_uint_t closing);
static void ngx_kafka_reader_event(ngx_kafka_client_t *client,
    rd_kafka_event_t *event);
static void ngx_kafka_reader_client(ngx_kafka_reader_t *reader);
static void ngx_kafka_reader_leave(ngx_kafka_reader_t *reader);
static void ngx_kafka_reader_look(ngx_kafka_reader_t *reader);
static void ngx_kafka_reader_looked(ngx_kafka_reader_t *reader);
static void ngx_kafka_reader_assign(ngx_kafka_reader_t *reader, int32_t n);
static void ngx_kafka_reader_create(ngx_kafka_reader_t *reader);
static void ngx_kafka_reader_read(ngx_kafka_reader_t *reader);
static void ngx_kafka_reader_receipt(ngx_kafka_reader_t *reader,
    const rd_kafka_message_t *rkm);
static ngx_uint_t ngx_kafka_reader_other(ngx_kafka_reader_t *reader,
    const rd_kafka_message_t *rkm);
static void ngx_kafka_reader_fault(ngx_kafka_reader_t *reader,
    const rd_kafka_message_t *rkm);
static void ngx_kafka_reader_good(ngx_kafka_reader_t *reader);
static void ngx_kafka_reader_tell(ngx_kafka_reader_t *reader);


static const ngx_kafka_client_calls_t  ngx_kafka_reader_calls = {
    ngx_kafka_reader_wake,
    ngx_kafka_reader_event,
    NULL,
    NULL
};


ngx_int_t
ngx_kafka_reader_start(ngx_kafka_producer_t *kp, ngx_pool_t *pool)
{
    ngx_kafka_reader_t  *reader;

    if (kp->conf->receipts == NULL || !kp->conf->receipts->used) {
        return NGX_OK;
    }

    reader = ngx_pcalloc(pool, sizeof(ngx_kafka_reader_t));
    if (reader == NULL) {
        return NGX_ERROR;
    }

    reader->producer = kp;
    reader->next = ngx_current_msec;
    reader->create = ngx_current_msec;

    kp->reader = reader;

    return NGX_OK;
}


void
ngx_kafka_reader_serve(ngx_kafka_producer_t *kp)
{
    ngx_kafka_reader_t  *reader;

    reader = kp->reader;

    if (reader->birth) {
        reader->client = ngx_kafka_birth_take(&reader->birth, 0);

        if (reader->client) {
            ngx_kafka_reader_client(reader);
        }
    }

    if (reader->client == NULL) {

        if (reader->birth == NULL
            && (ngx_msec_int_t) (ngx_current_msec - reader->next) >= 0
            && ngx_kafka_destroying() < NGX_KAFKA_LEAVING)
        {
            reader->next = ngx_current_msec + NGX_KAFKA_READER_WAIT;
            reader->birth = ngx_kafka_birth_begin(kp, &ngx_kafka_reader_calls,
                                                  NGX_KAFKA_CLIENT_READER, 0);
        }

        return;
    }

    /* a wake-up may have been lost */
    ngx_kafka_reader_read(reader);

    if (reader->client->fatal
        || (reader->failing
            && ngx_current_msec - reader->failed > NGX_KAFKA_READER_PATIENCE))
    {
        ngx_kafka_reader_leave(reader);
        return;
    }

    ngx_kafka_reader_look(reader);

    if (reader->client) {
        kp->conf->gauges->reading = reader->client->handle->reading > 0
                          && reader->ends == reader->client->handle->reading
                          && !reader->looked && !reader->fetched;
    }
}


void
ngx_kafka_reader_end(ngx_kafka_producer_t *kp)
{
    ngx_kafka_reader_t  *reader;

    reader = kp->reader;

    if (reader == NULL) {
        return;
    }

    if (reader->birth) {
        reader->client = ngx_kafka_birth_take(&reader->birth, 1);
    }

    if (reader->client) {
        ngx_kafka_reader_leave(reader);
    }

    ngx_kafka_stored_expire(kp, 1);
    json_doc_free(&reader->doc);
}


static void
ngx_kafka_reader_wake(ngx_kafka_client_t *client, ngx_uint_t closing)
{
    ngx_kafka_reader_read(client->producer->reader);
}


/* A client has started. */
static void
ngx_kafka_reader_client(ngx_kafka_reader_t *reader)
{
    ngx_str_t           *name;
    ngx_kafka_client_t  *client;

    client = reader->client;
    name = &reader->producer->conf->receipts->topic.name;

    client->handle->receipts = rd_kafka_topic_new(client->rk,
                                                  (char *) name->data, NULL);

    if (client->handle->receipts == NULL) {
        ngx_log_error(NGX_LOG_ERR, reader->producer->log, 0,
                      "could not use topic \"%V\": %s", name,
                      rd_kafka_err2str(rd_kafka_last_error()));
        ngx_kafka_client_free(client);
        reader->client = NULL;
        return;
    }

    reader->queue = rd_kafka_queue_new(client->rk);
    ngx_kafka_client_watch(client, reader->queue);

    reader->next = ngx_current_msec;
    reader->failing = 0;
}


/* The next one follows at the next look. */
static void
ngx_kafka_reader_leave(ngx_kafka_reader_t *reader)
{
    rd_kafka_queue_io_event_enable(reader->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(reader->queue);

    ngx_kafka_client_free(reader->client);

    reader->queue = NULL;
    reader->client = NULL;
    reader->ends = 0;
    reader->next = ngx_current_msec + NGX_KAFKA_READER_WAIT;
    reader->producer->conf->gauges->reading = 0;

    if (reader->ended) {
        ngx_free(reader->ended);
        reader->ended = NULL;
    }
}


static void
ngx_kafka_reader_look(ngx_kafka_reader_t *reader)
{
    ngx_time_t          *tp;
    ngx_kafka_handle_t  *handle;

    handle = reader->client->handle;

    if (handle->looking) {

        if (ngx_kafka_looked(handle)) {
            ngx_kafka_reader_looked(reader);
        }

        return;
    }

    if ((ngx_msec_int_t) (ngx_current_msec - reader->next) < 0) {
        return;
    }

    tp = ngx_timeofday();

    handle->since = reader->missing
                    ? 0 : (int64_t) tp->sec * 1000 + tp->msec
                          - (int64_t) reader->producer->conf->receipts->longest;

    ngx_kafka_look(reader->client);
}


/* Takes what a look has found. */
static void
ngx_kafka_reader_looked(ngx_kafka_reader_t *reader)
{
    int32_t                                 n;
    ngx_kafka_handle_t                     *handle;
    const struct rd_kafka_metadata_topic   *t;

    handle = reader->client->handle;
    n = 0;

    if (handle->metadata == NULL || handle->metadata->topic_cnt != 1) {
        reader->looked = RD_KAFKA_RESP_ERR__TRANSPORT;

    } else {
        t = &handle->metadata->topics[0];
        n = t->partition_cnt;
        reader->looked = t->err ? t->err
                         : n ? RD_KAFKA_RESP_ERR_NO_ERROR
                         : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    }

    ngx_kafka_look_end(handle);

    reader->next = ngx_current_msec + (reader->looked ? NGX_KAFKA_READER_SOON
                                                      : NGX_KAFKA_READER_LOOK);

    if (reader->looked == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
        if (!reader->missing) {
            /* one that is made after this look is read whole */
            reader->missing = 1;
            reader->gone = ngx_current_msec;
        }

        ngx_kafka_reader_create(reader);
    }

    if (reader->looked == RD_KAFKA_RESP_ERR_NO_ERROR
        && handle->starts == NULL)
    {
        reader->looked = RD_KAFKA_RESP_ERR__TRANSPORT;
        reader->next = ngx_current_msec + NGX_KAFKA_READER_SOON;
    }

    ngx_kafka_reader_tell(reader);

    if (reader->looked) {
        return;
    }

    if (handle->reading && (reader->missing || n < handle->reading)) {
        /* it is another one of this name */
        ngx_kafka_reader_leave(reader);
        reader->next = ngx_current_msec;
        return;
    }

    ngx_kafka_reader_assign(reader, n);
}


/* Reads partitions that it does not yet, up to "n". */
static void
ngx_kafka_reader_assign(ngx_kafka_reader_t *reader, int32_t n)
{
    u_char               *ended;
    int64_t               offset;
    ngx_kafka_handle_t   *handle;

    handle = reader->client->handle;

    reader->missing = 0;

    if (n == handle->reading) {
        return;
    }

    ended = ngx_calloc(n, reader->producer->log);
    if (ended == NULL) {
        return;
    }

    if (reader->ended) {
        ngx_memcpy(ended, reader->ended, handle->reading);
        ngx_free(reader->ended);
    }

    reader->ended = ended;

    while (handle->reading < n) {

        /* partitions that were added since are read whole */
        offset = handle->reading < handle->starts->cnt
                 ? handle->starts->elems[handle->reading].offset
                 : RD_KAFKA_OFFSET_BEGINNING;

        if (rd_kafka_consume_start_queue(handle->receipts, handle->reading,
                                         offset, reader->queue)
            != 0)
        {
            ngx_log_error(NGX_LOG_ERR, reader->producer->log, 0,
                          "could not read partition %D of topic \"%V\": %s",
                          handle->reading,
                          &reader->producer->conf->receipts->topic.name,
                          rd_kafka_err2str(rd_kafka_last_error()));
            return;
        }

        handle->reading++;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_CORE, reader->producer->log, 0,
                   "kafka receipts of \"%V\": %D partitions",
                   &reader->producer->conf->name, n);
}


/* One worker asks, as for other topics. */
static void
ngx_kafka_reader_create(ngx_kafka_reader_t *reader)
{
    ngx_kafka_client_t      *client;
    rd_kafka_NewTopic_t     *new;
    ngx_kafka_topic_conf_t  *topic;

    client = reader->client;
    topic = &reader->producer->conf->receipts->topic;

    if (!topic->create || ngx_worker != 0 || client->asking
        || (ngx_msec_int_t) (ngx_current_msec - reader->create) < 0)
    {
        return;
    }

    new = ngx_kafka_topic_new(client, topic);

    if (new) {
        /* a receipt is of use for seconds */
        (void) rd_kafka_NewTopic_set_config(new, "retention.ms",
                                            NGX_KAFKA_READER_KEPT);
        (void) rd_kafka_NewTopic_set_config(new, "segment.ms",
                                            NGX_KAFKA_READER_KEPT);
        ngx_kafka_topics_request(client, &new, 1);
    }
}


static void
ngx_kafka_reader_event(ngx_kafka_client_t *client, rd_kafka_event_t *event)
{
    size_t                                 n;
    ngx_str_t                             *name;
    ngx_kafka_reader_t                    *reader;
    rd_kafka_resp_err_t                    err;
    const rd_kafka_topic_result_t        **results;
    const rd_kafka_CreateTopics_result_t  *result;

    reader = client->producer->reader;
    name = &client->producer->conf->receipts->topic.name;

    result = rd_kafka_event_CreateTopics_result(event);
    if (result == NULL) {
        return;
    }

    client->asking = 0;
    reader->create = ngx_current_msec + NGX_KAFKA_CREATE_AGAIN;

    if (rd_kafka_event_error(event)) {
        /* the next look tells */
        return;
    }

    results = rd_kafka_CreateTopics_result_topics(result, &n);

    if (n == 0) {
        return;
    }

    err = rd_kafka_topic_result_error(results[0]);

    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        ngx_log_error(NGX_LOG_NOTICE, client->producer->log, 0,
                      "created topic \"%V\"", name);

    } else if (err != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
        ngx_kafka_topic_failed(client, name, results[0]);
    }

    reader->next = ngx_current_msec;
}


static void
ngx_kafka_reader_read(ngx_kafka_reader_t *reader)
{
    size_t               bytes;
    ngx_uint_t           n;
    rd_kafka_message_t  *rkm;

    ngx_kafka_client_poll(reader->client);

    bytes = 0;

    for (n = 0; n < NGX_KAFKA_READER_TURN && bytes < NGX_KAFKA_READER_BYTES;
         n++)
    {
        rkm = rd_kafka_consume_queue(reader->queue, 0);
        if (rkm == NULL) {
            return;
        }

        if (rkm->err) {
            ngx_kafka_reader_fault(reader, rkm);

        } else {
            bytes += rkm->len;
            ngx_kafka_reader_good(reader);
            ngx_kafka_reader_receipt(reader, rkm);
        }

        rd_kafka_message_destroy(rkm);
    }

    /* the rest waits for the next turn */
    ngx_kafka_client_again(reader->client);
}


static void
ngx_kafka_reader_receipt(ngx_kafka_reader_t *reader,
    const rd_kafka_message_t *rkm)
{
    ngx_int_t               rc;
    ngx_queue_t             ranges;
    ngx_kafka_producer_t   *kp;
    ngx_kafka_receipt_e     kind;

    kp = reader->producer;

    ngx_queue_init(&ranges);

    rc = ngx_kafka_reader_other(reader, rkm)
         ? NGX_DECLINED
         : ngx_kafka_receipt_read(kp->conf, reader->client->handle->cluster,
                                  &reader->doc, rkm->payload, rkm->len,
                                  &ranges);

    ngx_log_debug4(NGX_LOG_DEBUG_CORE, kp->log, 0,
                   "kafka receipt %D/%L of %uz bytes: %i", rkm->partition,
                   rkm->offset, rkm->len, rc);

    kind = rc == NGX_OK ? NGX_KAFKA_RECEIPT_READ
           : rc == NGX_DECLINED ? NGX_KAFKA_RECEIPT_OTHER
           : NGX_KAFKA_RECEIPT_UNREADABLE;

    (void) ngx_atomic_fetch_add(&kp->conf->counts->receipts[kind], 1);

    ngx_kafka_stored_take(kp, &ranges);
}


/*
 * The key is GROUP/TOPIC, and a topic's name has no slash: what is of another
 * topic or group need not be parsed.
 */
static ngx_uint_t
ngx_kafka_reader_other(ngx_kafka_reader_t *reader,
    const rd_kafka_message_t *rkm)
{
    u_char            *key, *slash;
    ngx_int_t          i;
    ngx_str_t          topic, group;
    ngx_kafka_conf_t  *kcf;

    kcf = reader->producer->conf;
    key = rkm->key;

    if (key == NULL) {
        return 0;
    }

    for (slash = key + rkm->key_len; slash > key && slash[-1] != '/'; slash--)
    {
        /* void */
    }

    if (slash == key) {
        return 0;
    }

    topic.data = slash;
    topic.len = key + rkm->key_len - slash;
    group.data = key;
    group.len = slash - 1 - key;

    i = ngx_kafka_conf_topic(kcf, &topic);

    if (i == NGX_ERROR) {
        return 1;
    }

    if (kcf->receipts->group.data) {
        topic = kcf->receipts->group;
    }

    return group.len != topic.len
           || ngx_memcmp(group.data, topic.data, group.len) != 0;
}


/* What comes in the place of a receipt: an error, or a partition's end. */
static void
ngx_kafka_reader_fault(ngx_kafka_reader_t *reader,
    const rd_kafka_message_t *rkm)
{
    switch (rkm->err) {

    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        if (rkm->partition >= 0
            && rkm->partition < reader->client->handle->reading
            && !reader->ended[rkm->partition])
        {
            reader->ended[rkm->partition] = 1;
            reader->ends++;
        }

        ngx_kafka_reader_good(reader);
        return;

    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        /* librdkafka goes on by itself; looks tell of brokers */
        return;

    default:
        break;
    }

    if (!reader->failing) {
        reader->failing = 1;
        reader->failed = ngx_current_msec;
    }

    if (rkm->err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION
        || rkm->err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC
        || rkm->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
    {
        /* a look tells whether it is gone */
        reader->next = ngx_current_msec;

    } else {
        reader->fetched = rkm->err;
    }

    ngx_kafka_reader_tell(reader);
}


static void
ngx_kafka_reader_good(ngx_kafka_reader_t *reader)
{
    reader->failing = 0;

    if (reader->fetched) {
        reader->fetched = RD_KAFKA_RESP_ERR_NO_ERROR;
        ngx_kafka_reader_tell(reader);
    }
}


/* Logs a change. */
static void
ngx_kafka_reader_tell(ngx_kafka_reader_t *reader)
{
    ngx_log_t                  *log;
    const char                 *reason;
    rd_kafka_resp_err_t         err;
    ngx_kafka_receipts_conf_t  *conf;

    log = reader->producer->log;
    conf = reader->producer->conf->receipts;
    err = reader->looked ? reader->looked : reader->fetched;

    if (err == reader->told
        || (err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
            && conf->topic.create
            && ngx_current_msec - reader->gone < NGX_KAFKA_CREATE_AGAIN))
    {
        /* a topic that is being created is no trouble yet */
        return;
    }

    reader->told = err;

    switch (err) {

    case RD_KAFKA_RESP_ERR_NO_ERROR:
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "kafka_producer \"%V\": receipts are read from topic "
                      "\"%V\" again", &reader->producer->conf->name,
                      &conf->topic.name);
        return;

    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        reason = conf->topic.create
                 ? "it does not exist yet"
                 : "it does not exist: create it, or add \"create\" to "
                   "\"kafka_receipts\"";
        break;

    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        reason = "the broker does not allow it: allow the principal to "
                 "describe and read it";
        break;

    case RD_KAFKA_RESP_ERR__TRANSPORT:
        reason = "no broker answers";
        break;

    default:
        reason = rd_kafka_err2str(err);
        break;
    }

    ngx_log_error(NGX_LOG_ERR, log, 0,
                  "kafka_producer \"%V\": could not read receipts from topic "
                  "\"%V\": %s; records that wait for one are answered 202",
                  &reader->producer->conf->name, &conf->topic.name, reason);
}
