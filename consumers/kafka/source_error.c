/* What an error of librdkafka means for the source. */

#include <stdio.h>

#include "kafka/source_impl.h"


void
source_on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    char       text[256];
    source_t  *source = opaque;

    switch (err) {

    case RD_KAFKA_RESP_ERR__FATAL:
        err = (int) rd_kafka_fatal_error(rk, text, sizeof(text));
        snprintf(source->status.fatal, SOURCE_REASON, "%s: %s",
                 rd_kafka_err2name((rd_kafka_resp_err_t) err), text);
        return;

    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
        source_down(source, reason);
        return;

    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        /* a topic that is created later under this name is another one */
        source->status.reassign = source->npartitions != 0;
        log_limited(&source->errors, "Kafka: %s", reason);
        return;

    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
        /* librdkafka does not always report the loss of the last broker */
        source->status.doubt = true;
        break;

    default:
        break;
    }

    log_debug("Kafka: %s", reason);
}


void
source_message_error(source_t *source, source_partition_t *p,
    const rd_kafka_message_t *rkm)
{
    switch (rkm->err) {

    case RD_KAFKA_RESP_ERR__FATAL:
        source_on_error(source->rk, rkm->err, NULL, source);
        return;

    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        if (p) {
            p->eof = rkm->offset;
            /* a log that ends before what is stored was created again */
            source->status.reassign |= rkm->offset < p->expected;
        }
        return;

    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        if (p && source->conf->several) {
            /* the other topics go on */
            source->status.faulty = p->topic;
            snprintf(source->status.fault, SOURCE_REASON, "topic \"%s\", "
                     "partition %d: %s", source_topic(source, p), p->id,
                     rd_kafka_err2str(rkm->err));
            return;
        }
        source->status.reassign = source->npartitions != 0;
        break;

    case RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
        break;

    default:
        /* the next claim compares with the log and reports lost offsets */
        source->status.reassign = source->npartitions != 0;
        break;
    }

    log_limited(&source->errors, "Kafka: %s", rd_kafka_message_errstr(rkm));
}


void
source_down(source_t *source, const char *reason)
{
    if (!source->status.down) {
        source->status.down = true;
        log_error("could not reach Kafka: %s; waiting", reason);
    }
}
