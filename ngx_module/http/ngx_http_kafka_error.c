/* The catalogue of errors, and the names by which requests are counted. */

#include "http/ngx_http_kafka_error.h"


/* In the order of ngx_http_kafka_error_e. */
static const ngx_http_kafka_meaning_t  ngx_http_kafka_catalogue[] = {

    { "not-json", 400, "no", 0,
      "The body is not JSON that can be kept",
      "Send one JSON value in UTF-8 (RFC 8259) without NUL or duplicate "
      "members." },

    { "empty-body", 400, "no", 0,
      "The body is empty",
      "Send one JSON value." },

    { "bad-encoding", 400, "no", 0,
      "The body is not what its Content-Encoding says",
      "Send it whole and undamaged, or without Content-Encoding." },

    { "not-cloudevent", 400, "no", 0,
      "The body or the headers are no CloudEvent",
      "Send what CloudEvents 1.0 asks for: id, source, specversion \"1.0\" "
      "and type." },

    { "bad-header", 400, "no", 0,
      "A header cannot travel with the record",
      "Send values of up to 4096 bytes in UTF-8 without control characters, "
      "an Idempotency-Key of 1 to 255 printable ones." },

    { "bad-partition", 400, "no", 0,
      "There is no such partition",
      "Send the number of a partition the topic has." },

    { "bad-timestamp", 400, "no", 0,
      "The timestamp cannot be kept",
      "Send milliseconds since 1970, or seconds with three decimals." },

    { "topic-not-declared", 404, "no", 0,
      "There is no such topic here",
      "Send to a topic that is declared in kafka_producer, or declare it." },

    { "method-not-allowed", 405, "no", 0,
      "Records are sent by POST or PUT",
      "Use one of the methods in Allow." },

    { "record-too-large", 413, "no", 0,
      "The record is larger than this producer takes",
      "Send smaller records, or raise \"property message.max.bytes\", "
      "\"queue\" and the topic's max.message.bytes." },

    { "too-many-records", 413, "no", 0,
      "The body holds too many records",
      "Send fewer records at once, or raise \"kafka_max_records\"." },

    { "over-burst", 413, "no", 0,
      "The request is larger than its limit ever lets through",
      "Send fewer or smaller records at once, or raise \"burst_records\" or "
      "\"burst_bytes\" of kafka_limit." },

    { "content-encoding", 415, "no", 0,
      "The body is encoded in a way that is not taken",
      "Send the body in one of the codings of Accept-Encoding, or plain." },

    { "content-type", 415, "no", 0,
      "The Content-Type is not known here",
      "Send application/json, application/x-ndjson, "
      "application/cloudevents+json, application/cloudevents-batch+json, "
      "application/octet-stream or text/plain." },

    { "schema", 422, "no", 0,
      "The body does not fit the schema",
      "Send what the schema asks for; pointer and keyword say where it "
      "differs." },

    { "no-key", 422, "no", 0,
      "The record has no key where one is due",
      "Send a string, number or boolean in the field that the key is taken "
      "from." },

    { "rate-limited", 429, "no", 0,
      "More is sent than the limit lets through",
      "Try again after Retry-After; RateLimit tells what is left." },

    { "body-gone", 500, "no", 0,
      "The body was thrown away before it could be produced",
      "Do not lead an error_page of another handler to this location." },

    { "internal", 500, "no", 1,
      "The record could not be handled",
      "Try again; the error log says what failed." },

    { "queue-full", 503, "no", 1,
      "Too many records wait for the brokers",
      "Try again later; send slower, or raise \"queue\"." },

    { "overloaded", 503, "no", 1,
      "Records come faster than the brokers acknowledge them",
      "Try again after Retry-After; send slower, or give Kafka more." },

    { "brokers-down", 503, "no", 1,
      "No broker acknowledges records now",
      "Try again later." },

    { "topic-missing", 503, "no", 2,
      "The topic does not exist in Kafka",
      "Create the topic, or declare it with \"create\" and allow that." },

    { "not-started", 503, "no", 1,
      "The producer could not start",
      "Try again later; the error log says what failed." },

    { "not-delivered", 503, "no", 1,
      "The record was not kept",
      "Try again." },

    { "not-sent", 503, "no", 1,
      "The record was not sent in time",
      "Try again." },

    { "maybe-delivered", 504, "possibly", 0,
      "The record may have been kept",
      "Try again only where a record may come twice." },

    { "no-report", 504, "possibly", 0,
      "The time was up before Kafka answered; the record may have been kept",
      "Try again only where a record may come twice." }
};


const ngx_http_kafka_meaning_t *
ngx_http_kafka_meaning(ngx_http_kafka_error_e code)
{
    return &ngx_http_kafka_catalogue[code];
}


const char *
ngx_http_kafka_count_name(ngx_uint_t number, ngx_uint_t *status)
{
    static const struct {
        const char  *name;
        ngx_uint_t   status;
    } good[] = {
        { "kept", 200 },
        { "queued", 202 },
        { "partly", 207 },
        { "client-left", 0 }
    };

    if (number >= NGX_HTTP_KAFKA_NO_ERROR) {
        number -= NGX_HTTP_KAFKA_NO_ERROR;
        *status = good[number].status;
        return good[number].name;
    }

    *status = ngx_http_kafka_catalogue[number].status;

    return ngx_http_kafka_catalogue[number].code;
}
