/*
 * A receipt of the daemon: what became of the records of a committed batch.
 * Its JSON becomes ranges of offsets.  Whom it answers is decided elsewhere.
 */

#include "kafka/ngx_kafka_impl.h"
#include "json/json.h"


#define NGX_KAFKA_RECEIPT_MAX       (512 * 1024)    /* bytes */
#define NGX_KAFKA_RECEIPT_TOKENS    65536   /* kept from one to the next */
#define NGX_KAFKA_REASON_MAX        255     /* bytes */


#define ngx_kafka_receipt_member(doc, object, name)                           \
    json_member(doc, object, name, sizeof(name) - 1)


static ngx_int_t ngx_kafka_receipt_whose(ngx_kafka_conf_t *kcf,
    const char *cluster, json_doc_t *doc);
static ngx_int_t ngx_kafka_receipt_partitions(json_doc_t *doc,
    ngx_uint_t topic, ngx_queue_t *ranges);
static ngx_kafka_range_t *ngx_kafka_receipt_range(json_doc_t *doc,
    uint32_t object, ngx_uint_t topic);
static ngx_kafka_range_t *ngx_kafka_receipt_alloc(json_doc_t *doc,
    uint32_t exceptions);
static ngx_int_t ngx_kafka_receipt_timestamps(json_doc_t *doc,
    uint32_t token, ngx_kafka_range_t *range);
static ngx_int_t ngx_kafka_receipt_exceptions(json_doc_t *doc,
    uint32_t array, ngx_kafka_range_t *range);
static ngx_int_t ngx_kafka_receipt_exception(json_doc_t *doc,
    uint32_t object, ngx_kafka_range_t *range, ngx_kafka_exception_t *e,
    u_char **p);
static size_t ngx_kafka_receipt_text(json_doc_t *doc, uint32_t token,
    u_char **p);
static ngx_int_t ngx_kafka_receipt_number(json_doc_t *doc, uint32_t token,
    int64_t *number);
static int ngx_libc_cdecl ngx_kafka_receipt_order(const void *one,
    const void *two);


ngx_int_t
ngx_kafka_receipt_read(ngx_kafka_conf_t *kcf, const char *cluster,
    json_doc_t *doc, const char *text, size_t len, ngx_queue_t *ranges)
{
    ngx_int_t      topic;
    ngx_queue_t   *q;
    json_error_t   err;

    if (len > NGX_KAFKA_RECEIPT_MAX || json_parse(doc, text, len, &err) != 0) {
        topic = NGX_ERROR;

    } else {
        topic = ngx_kafka_receipt_whose(kcf, cluster, doc);
    }

    if (topic >= 0
        && ngx_kafka_receipt_partitions(doc, topic, ranges) != NGX_OK)
    {
        while (!ngx_queue_empty(ranges)) {
            q = ngx_queue_head(ranges);
            ngx_queue_remove(q);
            ngx_free(ngx_queue_data(q, ngx_kafka_range_t, queue));
        }

        topic = NGX_ERROR;
    }

    if (doc->size > NGX_KAFKA_RECEIPT_TOKENS) {
        json_doc_free(doc);
    }

    return topic >= 0 ? NGX_OK : topic;
}


/* The index of its topic; NGX_DECLINED or NGX_ERROR. */
static ngx_int_t
ngx_kafka_receipt_whose(ngx_kafka_conf_t *kcf, const char *cluster,
    json_doc_t *doc)
{
    int64_t                  version;
    uint32_t                 token;
    ngx_str_t               *group;
    ngx_uint_t               i;
    ngx_kafka_topic_conf_t  *topic;

    if (ngx_kafka_receipt_number(doc,
                                 ngx_kafka_receipt_member(doc, 0, "version"),
                                 &version)
        != NGX_OK
        || version != 1)
    {
        return NGX_ERROR;
    }

    token = ngx_kafka_receipt_member(doc, 0, "cluster");

    if (token != JSON_NONE && doc->tokens[token].type == JSON_STRING && cluster
        && !json_equals(doc, token, cluster, ngx_strlen(cluster)))
    {
        return NGX_DECLINED;
    }

    token = ngx_kafka_receipt_member(doc, 0, "topic");

    if (token == JSON_NONE || doc->tokens[token].type != JSON_STRING) {
        return NGX_ERROR;
    }

    topic = kcf->topics.elts;

    for (i = 0; i < kcf->topics.nelts; i++) {
        if (json_equals(doc, token, (char *) topic[i].name.data,
                        topic[i].name.len))
        {
            break;
        }
    }

    token = ngx_kafka_receipt_member(doc, 0, "group");

    if (token == JSON_NONE || doc->tokens[token].type != JSON_STRING) {
        return NGX_ERROR;
    }

    if (i == kcf->topics.nelts) {
        return NGX_DECLINED;
    }

    group = kcf->receipts->group.data ? &kcf->receipts->group
                                      : &topic[i].name;

    return json_equals(doc, token, (char *) group->data, group->len)
           ? (ngx_int_t) i : NGX_DECLINED;
}


static ngx_int_t
ngx_kafka_receipt_partitions(json_doc_t *doc, ngx_uint_t topic,
    ngx_queue_t *ranges)
{
    uint32_t            array, token;
    ngx_kafka_range_t  *range;

    array = ngx_kafka_receipt_member(doc, 0, "partitions");

    if (array == JSON_NONE || doc->tokens[array].type != JSON_ARRAY) {
        return NGX_ERROR;
    }

    for (token = array + 1;
         token < doc->tokens[array].next;
         token = doc->tokens[token].next)
    {
        range = ngx_kafka_receipt_range(doc, token, topic);
        if (range == NULL) {
            return NGX_ERROR;
        }

        ngx_queue_insert_tail(ranges, &range->queue);
    }

    return NGX_OK;
}


static ngx_kafka_range_t *
ngx_kafka_receipt_range(json_doc_t *doc, uint32_t object, ngx_uint_t topic)
{
    int64_t             partition;
    uint32_t            exceptions, known;
    ngx_kafka_range_t  *range;

    exceptions = ngx_kafka_receipt_member(doc, object, "exceptions");

    range = ngx_kafka_receipt_alloc(doc, exceptions);
    if (range == NULL) {
        return NULL;
    }

    range->topic = topic;
    known = ngx_kafka_receipt_member(doc, object, "known");

    if (ngx_kafka_receipt_number(doc,
                           ngx_kafka_receipt_member(doc, object, "partition"),
                           &partition)
        != NGX_OK
        || partition > NGX_MAX_INT32_VALUE
        || ngx_kafka_receipt_number(doc,
                           ngx_kafka_receipt_member(doc, object, "first"),
                           &range->first)
           != NGX_OK
        || ngx_kafka_receipt_number(doc,
                           ngx_kafka_receipt_member(doc, object, "next"),
                           &range->next)
           != NGX_OK
        || range->next < range->first)
    {
        goto failed;
    }

    range->partition = (int32_t) partition;
    range->known = range->next;

    if ((known != JSON_NONE
         && (ngx_kafka_receipt_number(doc, known, &range->known) != NGX_OK
             || range->known < range->first || range->known > range->next))
        || ngx_kafka_receipt_timestamps(doc,
                          ngx_kafka_receipt_member(doc, object, "timestamps"),
                          range)
           != NGX_OK
        || ngx_kafka_receipt_exceptions(doc, exceptions, range) != NGX_OK)
    {
        goto failed;
    }

    return range;

failed:

    ngx_free(range);

    return NULL;
}


/* With room for the exceptions of an array, and for their texts. */
static ngx_kafka_range_t *
ngx_kafka_receipt_alloc(json_doc_t *doc, uint32_t exceptions)
{
    size_t              n, texts, size;
    uint32_t            token, text;
    ngx_kafka_range_t  *range;

    n = 0;
    texts = 0;

    if (exceptions != JSON_NONE) {

        if (doc->tokens[exceptions].type != JSON_ARRAY) {
            return NULL;
        }

        for (token = exceptions + 1;
             token < doc->tokens[exceptions].next;
             token = doc->tokens[token].next)
        {
            n++;

            text = ngx_kafka_receipt_member(doc, token, "sqlstate");
            if (text != JSON_NONE) {
                texts += doc->tokens[text].end - doc->tokens[text].start;
            }

            text = ngx_kafka_receipt_member(doc, token, "reason");
            if (text != JSON_NONE) {
                texts += doc->tokens[text].end - doc->tokens[text].start;
            }
        }
    }

    size = offsetof(ngx_kafka_range_t, exceptions)
           + n * sizeof(ngx_kafka_exception_t) + texts;

    range = ngx_calloc(size + 1, ngx_cycle->log);
    if (range == NULL) {
        return NULL;
    }

    range->size = size;
    range->n = n;
    range->texts = (u_char *) &range->exceptions[n];

    return range;
}


static ngx_int_t
ngx_kafka_receipt_timestamps(json_doc_t *doc, uint32_t token,
    ngx_kafka_range_t *range)
{
    if (token == JSON_NONE) {
        range->oldest = -1;
        range->newest = NGX_MAX_INT_T_VALUE;
        return NGX_OK;
    }

    if (doc->tokens[token].type != JSON_ARRAY
        || doc->tokens[token].next != token + 3)
    {
        return NGX_ERROR;
    }

    return ngx_kafka_receipt_number(doc, token + 1, &range->oldest) == NGX_OK
           && ngx_kafka_receipt_number(doc, token + 2, &range->newest)
              == NGX_OK
           && range->oldest <= range->newest ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_kafka_receipt_exceptions(json_doc_t *doc, uint32_t array,
    ngx_kafka_range_t *range)
{
    u_char                 *p;
    uint32_t                token;
    ngx_uint_t              i, sorted;
    ngx_kafka_exception_t  *e;

    p = range->texts;
    e = range->exceptions;
    token = array + 1;
    sorted = 1;

    for (i = 0; i < range->n; i++) {

        if (ngx_kafka_receipt_exception(doc, token, range, &e[i], &p)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        sorted &= i == 0 || e[i].offset >= e[i - 1].end;
        token = doc->tokens[token].next;
    }

    if (sorted) {
        return NGX_OK;
    }

    qsort(e, range->n, sizeof(ngx_kafka_exception_t),
          ngx_kafka_receipt_order);

    for (i = 1; i < range->n; i++) {
        if (e[i].offset < e[i - 1].end) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_kafka_receipt_exception(json_doc_t *doc, uint32_t object,
    ngx_kafka_range_t *range, ngx_kafka_exception_t *e, u_char **p)
{
    size_t      len;
    int64_t     count;
    uint32_t    token, stored;
    ngx_uint_t  i;

    static const struct {
        const char          *name;
        ngx_kafka_stored_e   stored;
    } kinds[] = {
        { "dead-letter", NGX_KAFKA_STORED_DEAD },
        { "duplicate", NGX_KAFKA_STORED_DUPLICATE },
        { "filtered", NGX_KAFKA_STORED_FILTERED }
    };

    token = ngx_kafka_receipt_member(doc, object, "count");
    stored = ngx_kafka_receipt_member(doc, object, "stored");
    count = 1;

    if (ngx_kafka_receipt_number(doc,
                           ngx_kafka_receipt_member(doc, object, "offset"),
                           &e->offset)
        != NGX_OK
        || (token != JSON_NONE
            && ngx_kafka_receipt_number(doc, token, &count) != NGX_OK)
        || e->offset < range->first || e->offset >= range->next
        || count < 1 || count > range->next - e->offset
        || stored == JSON_NONE || doc->tokens[stored].type != JSON_STRING)
    {
        return NGX_ERROR;
    }

    e->end = e->offset + count;

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (json_equals(doc, stored, kinds[i].name,
                        ngx_strlen(kinds[i].name)))
        {
            e->stored = (uint8_t) kinds[i].stored;
        }
    }

    e->text = (uint32_t) (*p - range->texts);

    len = ngx_kafka_receipt_text(doc,
                           ngx_kafka_receipt_member(doc, object, "sqlstate"),
                           p);
    e->sqlstate = (uint8_t) len;

    len = ngx_kafka_receipt_text(doc,
                           ngx_kafka_receipt_member(doc, object, "reason"),
                           p);
    e->reason = (uint8_t) len;

    /* no other kind is known */
    return e->stored ? NGX_OK : NGX_ERROR;
}


/* Decodes a text, cut at a character's end. */
static size_t
ngx_kafka_receipt_text(json_doc_t *doc, uint32_t token, u_char **p)
{
    size_t  len;

    if (token == JSON_NONE || doc->tokens[token].type != JSON_STRING) {
        return 0;
    }

    len = json_unescape(doc, token, (char *) *p);

    if (len > NGX_KAFKA_REASON_MAX) {
        len = NGX_KAFKA_REASON_MAX;

        while (len && ((*p)[len] & 0xc0) == 0x80) {
            len--;
        }
    }

    *p += len;

    return len;
}


/* Without a sign, a point or an exponent. */
static ngx_int_t
ngx_kafka_receipt_number(json_doc_t *doc, uint32_t token, int64_t *number)
{
    if (token == JSON_NONE || doc->tokens[token].type != JSON_NUMBER) {
        return NGX_ERROR;
    }

    *number = ngx_atoof((u_char *) doc->text + doc->tokens[token].start,
                        doc->tokens[token].end - doc->tokens[token].start);

    return *number == NGX_ERROR ? NGX_ERROR : NGX_OK;
}


static int ngx_libc_cdecl
ngx_kafka_receipt_order(const void *one, const void *two)
{
    const ngx_kafka_exception_t  *a = one, *b = two;

    return a->offset < b->offset ? -1 : a->offset > b->offset;
}


void
ngx_kafka_receipt_find(ngx_kafka_range_t *range, int64_t offset,
    ngx_kafka_receipt_t *receipt)
{
    ngx_uint_t              low, high, middle;
    ngx_kafka_exception_t  *e;

    ngx_memzero(receipt, sizeof(ngx_kafka_receipt_t));

    if (offset >= range->known) {
        receipt->stored = NGX_KAFKA_STORED_PENDING;
        return;
    }

    receipt->stored = NGX_KAFKA_STORED_ROW;

    /* the first that ends behind the offset */

    low = 0;
    high = range->n;

    while (low < high) {
        middle = low + (high - low) / 2;

        if (range->exceptions[middle].end > offset) {
            high = middle;

        } else {
            low = middle + 1;
        }
    }

    e = &range->exceptions[low];

    if (low == range->n || e->offset > offset) {
        return;
    }

    receipt->stored = e->stored;
    receipt->sqlstate.data = range->texts + e->text;
    receipt->sqlstate.len = e->sqlstate;
    receipt->reason.data = receipt->sqlstate.data + e->sqlstate;
    receipt->reason.len = e->reason;
}
