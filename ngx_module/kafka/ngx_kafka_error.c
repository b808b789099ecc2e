/*
 * What an error of a Produce request says of its records.  All errors stand
 * here that say something for certain.
 *
 * Not here are those after which nobody knows: the producer's state and the
 * broker's differ (OUT_OF_ORDER_SEQUENCE_NUMBER, UNKNOWN_PRODUCER_ID, ...),
 * the broker does not know itself (UNKNOWN_SERVER_ERROR), and those that
 * librdkafka answers by trying again (NOT_LEADER_OR_FOLLOWER,
 * NOT_ENOUGH_REPLICAS_AFTER_APPEND, REQUEST_TIMED_OUT, ...): of these an
 * earlier try may have been kept.
 */

#include "kafka/ngx_kafka_impl.h"


typedef struct {
    rd_kafka_resp_err_t  error;
    ngx_kafka_error_e    kind;
} ngx_kafka_error_row_t;


/*
 * Apache Kafka gives those with a positive number before it appends:
 * LogValidator and UnifiedLog check the whole batch first, and KafkaApis the
 * rights.
 */
static const ngx_kafka_error_row_t  ngx_kafka_errors[] = {

    /* no key on a compacted topic; refused by a broker's plug-in */
    { RD_KAFKA_RESP_ERR_INVALID_RECORD, NGX_KAFKA_ERROR_RECORD },
    { RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, NGX_KAFKA_ERROR_RECORD },
    { RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, NGX_KAFKA_ERROR_RECORD },
    /* larger than a segment */
    { RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, NGX_KAFKA_ERROR_RECORD },
    /* proxies give it */
    { RD_KAFKA_RESP_ERR_POLICY_VIOLATION, NGX_KAFKA_ERROR_RECORD },

    /* damaged on its way: its checksum is wrong */
    { RD_KAFKA_RESP_ERR_INVALID_MSG, NGX_KAFKA_ERROR_BATCH },
    /*
     * INVALID_DIFFERENT_RECORD of librdkafka 2.4: the broker named others.  It
     * does not come where the broker named one: then all have its error, up to
     * 2.8 at least.
     */
    { (rd_kafka_resp_err_t) -138, NGX_KAFKA_ERROR_BATCH },

    { RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, NGX_KAFKA_ERROR_TOPIC },
    { RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, NGX_KAFKA_ERROR_TOPIC },
    { RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, NGX_KAFKA_ERROR_TOPIC },
    { RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, NGX_KAFKA_ERROR_TOPIC },
    /* an internal topic */
    { RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, NGX_KAFKA_ERROR_TOPIC },
    { RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS, NGX_KAFKA_ERROR_TOPIC },
    /* its message.format.version knows no idempotent producer, or no zstd */
    { RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT,
      NGX_KAFKA_ERROR_TOPIC },
    { RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE, NGX_KAFKA_ERROR_TOPIC }
};


ngx_kafka_error_e
ngx_kafka_error(rd_kafka_resp_err_t err)
{
    ngx_uint_t  i;

    for (i = 0; i < sizeof(ngx_kafka_errors) / sizeof(ngx_kafka_errors[0]);
         i++)
    {
        if (ngx_kafka_errors[i].error == err) {
            return ngx_kafka_errors[i].kind;
        }
    }

    return NGX_KAFKA_ERROR_UNSURE;
}
