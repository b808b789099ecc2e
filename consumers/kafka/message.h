/* Turns a message of librdkafka into a record. */

#ifndef SLUICE_MESSAGE_H
#define SLUICE_MESSAGE_H


#include <librdkafka/rdkafka.h>
#include <stdbool.h>

#include "base/buf.h"
#include "record/record.h"


/*
 * Fills "record", which points into the message and into "list", whose
 * contents are replaced by its headers.  Returns -1 when memory is short.
 */
int message_record(const rd_kafka_message_t *rkm, buf_t *list,
    record_t *record);

/* Whether the message has this timestamp and CRC-32, of sluice.offsets. */
bool message_is(const rd_kafka_message_t *rkm, int64_t timestamp,
    uint32_t crc);


#endif
