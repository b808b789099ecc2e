/* Turns a message of librdkafka into a record. */

#include "base/crc32.h"
#include "kafka/message.h"


/* The headers of a message as a list. */

static int
message_headers(const rd_kafka_message_t *rkm, buf_t *list)
{
    size_t               i;
    record_header_t      header;
    rd_kafka_headers_t  *headers;

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
        if (buf_append(list, (const char *) &header, sizeof(record_header_t))
            == -1)
        {
            return -1;
        }
    }

    return 0;
}


int
message_record(const rd_kafka_message_t *rkm, buf_t *list, record_t *record)
{
    if (message_headers(rkm, list) == -1) {
        return -1;
    }

    record->topic = rd_kafka_topic_name(rkm->rkt);
    record->key = rkm->key;
    record->key_len = rkm->key ? rkm->key_len : 0;
    record->value = rkm->payload;
    record->value_len = rkm->payload ? rkm->len : 0;
    record->headers = NULL;
    record->headers_len = 0;
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
