/* Turns a message of librdkafka into a record. */

#include "base/crc32.h"
#include "kafka/message.h"
#include "record/headers.h"


/* The headers of a message as a list, and as JSON text if it has any. */

static int
message_headers(const rd_kafka_message_t *rkm, buf_t *text, buf_t *list)
{
    size_t               i;
    record_header_t      header;
    rd_kafka_headers_t  *headers;

    text->len = 0;
    list->len = 0;

    if (rd_kafka_message_headers(rkm, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
    {
        return 0;
    }

    for (i = 0; rd_kafka_header_get_all(headers, i, &header.name,
                                        (const void **) &header.value,
                                        &header.len)
                == RD_KAFKA_RESP_ERR_NO_ERROR;
         i++)
    {
        buf_add(list, (const char *) &header, sizeof(record_header_t));
    }

    if (buf_failed(list)) {
        return -1;
    }

    return headers_write(text, (const record_header_t *) (const void *)
                         list->data, i);
}


int
message_record(const rd_kafka_message_t *rkm, buf_t *headers, buf_t *list,
    record_t *record)
{
    if (message_headers(rkm, headers, list) == -1) {
        buf_free(headers);
        buf_free(list);
        return -1;
    }

    record->topic = rd_kafka_topic_name(rkm->rkt);
    record->key = rkm->key;
    record->key_len = rkm->key ? rkm->key_len : 0;
    record->value = rkm->payload;
    record->value_len = rkm->payload ? rkm->len : 0;
    record->headers = headers->len ? headers->data : NULL;
    record->headers_len = headers->len;
    record->retry = NULL;
    record->offset = rkm->offset;
    record->timestamp = rd_kafka_message_timestamp(rkm, NULL);
    record->partition = rkm->partition;
    record->header = (const record_header_t *) (const void *) list->data;
    record->nheaders = list->len / sizeof(record_header_t);

    return 0;
}


bool
message_is(const rd_kafka_message_t *rkm, int64_t timestamp, uint32_t crc)
{
    return rd_kafka_message_timestamp(rkm, NULL) == timestamp
           && crc32_record(rkm->key, rkm->key_len, rkm->payload, rkm->len)
              == crc;
}
