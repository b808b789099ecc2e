/*
 * libFuzzer target of the reader of receipts.  Input: what is configured
 * (byte 0: the group is named or the topic's own; the cluster is known or
 * not), then the receipt.
 */

#include "fuzz.h"
#include "kafka/ngx_kafka_impl.h"


#define OFFSETS  4096    /* asked for, one by one, in a range */


static ngx_cycle_t  cycle;

volatile ngx_cycle_t  *ngx_cycle = &cycle;


/* What the reader needs of nginx. */

void *
ngx_calloc(size_t size, ngx_log_t *log)
{
    return calloc(1, size);
}


off_t
ngx_atoof(u_char *line, size_t n)
{
    off_t  value;

    for (value = 0; n; n--, line++) {
        if (*line < '0' || *line > '9'
            || value > (NGX_MAX_OFF_T_VALUE - (*line - '0')) / 10)
        {
            return NGX_ERROR;
        }

        value = value * 10 + (*line - '0');
    }

    return value;
}


/* A member whose name and value have no escapes, read in another way. */

static int64_t
number(json_doc_t *doc, uint32_t object, const char *name, int64_t missing)
{
    uint32_t  token;

    token = json_member(doc, object, name, strlen(name));

    return token == JSON_NONE ? missing
                              : strtoll(doc->text + doc->tokens[token].start,
                                        NULL, 10);
}


static ngx_kafka_stored_e
kind(json_doc_t *doc, uint32_t exception)
{
    uint32_t  token;

    token = json_member(doc, exception, "stored", 6);

    return json_equals(doc, token, "filtered", 8) ? NGX_KAFKA_STORED_FILTERED
           : json_equals(doc, token, "duplicate", 9)
           ? NGX_KAFKA_STORED_DUPLICATE : NGX_KAFKA_STORED_DEAD;
}


/* A text is the beginning of the one in the receipt, and whole characters. */

static void
check_text(json_doc_t *doc, uint32_t exception, const char *name,
    ngx_str_t *text)
{
    char       *whole;
    size_t      len;
    uint32_t    token;
    ngx_uint_t  cut;

    token = json_member(doc, exception, name, strlen(name));

    if (token == JSON_NONE || doc->tokens[token].type != JSON_STRING) {
        demand(text->len == 0, "a text comes from the receipt");
        return;
    }

    whole = malloc(doc->tokens[token].end - doc->tokens[token].start + 1);
    len = json_unescape(doc, token, whole);
    cut = text->len < len;

    demand(text->len <= len && memcmp(text->data, whole, text->len) == 0,
           "a text is the receipt's");
    demand(!cut || (text->len > 251 && text->len <= 255
                    && (whole[text->len] & 0xc0) != 0x80),
           "it is cut at the end of a character, and not too early");
    free(whole);
}


/* What an offset is, by a walk through the receipt. */

static void
check_offset(json_doc_t *doc, uint32_t partition, ngx_kafka_range_t *range,
    int64_t offset)
{
    int64_t              first;
    uint32_t             array, e;
    ngx_kafka_receipt_t  receipt;

    ngx_kafka_receipt_find(range, offset, &receipt);

    if (offset >= number(doc, partition, "known", INT64_MAX)) {
        demand(receipt.stored == NGX_KAFKA_STORED_PENDING, "nothing is known");
        return;
    }

    array = json_member(doc, partition, "exceptions", 10);

    for (e = array + 1; array != JSON_NONE && e < doc->tokens[array].next;
         e = doc->tokens[e].next)
    {
        first = number(doc, e, "offset", -1);

        if (offset >= first && offset - first < number(doc, e, "count", 1)) {
            demand(receipt.stored == kind(doc, e), "an exception is found");
            check_text(doc, e, "sqlstate", &receipt.sqlstate);
            check_text(doc, e, "reason", &receipt.reason);
            return;
        }
    }

    demand(receipt.stored == NGX_KAFKA_STORED_ROW, "any other is a row");
}


static void
check_range(json_doc_t *doc, uint32_t partition, ngx_kafka_range_t *range)
{
    int64_t                 offset;
    ngx_uint_t              i;
    ngx_kafka_exception_t  *e;

    demand(range->partition >= 0
           && range->partition == number(doc, partition, "partition", -1),
           "the partition");
    demand(range->first >= 0 && range->first <= range->known
           && range->known <= range->next, "a range is one");
    demand(range->oldest <= range->newest, "times are a range");

    for (offset = range->first;
         offset < range->next && offset - range->first < OFFSETS; offset++)
    {
        check_offset(doc, partition, range, offset);
    }

    for (i = 0; i < range->n && i < OFFSETS; i++) {
        e = &range->exceptions[i];
        demand(e->offset >= range->first && e->offset < e->end
               && e->end <= range->next, "an exception lies in its range");
        demand(i == 0 || e->offset >= e[-1].end, "they lie apart");
        check_offset(doc, partition, range, e->offset);
        check_offset(doc, partition, range, e->end - 1);

        if (e->end < range->next) {
            check_offset(doc, partition, range, e->end);
        }
    }
}


/* The ranges of a receipt, in its order; frees them. */

static void
check_ranges(const char *text, size_t len, ngx_queue_t *ranges)
{
    uint32_t            array, partition;
    json_error_t        err;
    ngx_queue_t        *q;
    ngx_kafka_range_t  *range;

    static json_doc_t  doc;

    demand(json_parse(&doc, text, len, &err) == 0, "what is read is JSON");

    array = json_member(&doc, 0, "partitions", 10);

    for (partition = array + 1; partition < doc.tokens[array].next;
         partition = doc.tokens[partition].next)
    {
        demand(!ngx_queue_empty(ranges), "a range a partition");

        q = ngx_queue_head(ranges);
        ngx_queue_remove(q);
        range = ngx_queue_data(q, ngx_kafka_range_t, queue);

        demand(range->topic == 1, "it is of the topic");
        check_range(&doc, partition, range);
        free(range);
    }

    demand(ngx_queue_empty(ranges), "and no other");
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char                       *text;
    size_t                      len;
    ngx_int_t                   rc;
    ngx_queue_t                 ranges;
    ngx_kafka_conf_t            conf;
    ngx_kafka_topic_conf_t      topics[2];
    ngx_kafka_receipts_conf_t   receipts;

    static json_doc_t  doc;

    if (size == 0) {
        return 0;
    }

    memset(&conf, 0, sizeof(conf));
    memset(topics, 0, sizeof(topics));
    memset(&receipts, 0, sizeof(receipts));

    ngx_str_set(&topics[0].name, "other");
    ngx_str_set(&topics[1].name, "order");
    conf.topics.elts = topics;
    conf.topics.nelts = 2;
    conf.receipts = &receipts;

    if (data[0] & 1) {
        ngx_str_set(&receipts.group, "store");
    }

    len = size - 1;
    text = copy((const char *) data + 1, len, "", "");
    ngx_queue_init(&ranges);

    rc = ngx_kafka_receipt_read(&conf, data[0] & 2 ? "c" : NULL, &doc, text,
                                len, &ranges);

    if (rc == NGX_OK) {
        check_ranges(text, len, &ranges);

    } else {
        demand(rc == NGX_DECLINED || rc == NGX_ERROR, "a refusal has its kind");
        demand(ngx_queue_empty(&ranges), "and leaves nothing");
    }

    free(text);

    return 0;
}
