/* CloudEvents 1.0.2 in HTTP requests, in Kafka records and as JSON. */

#ifndef NGX_HTTP_KAFKA_EVENTS_H
#define NGX_HTTP_KAFKA_EVENTS_H


#include "http/ngx_http_kafka_module.h"


/* Whether records are events as JSON: structured mode, alone or in a batch. */
#define ngx_http_kafka_is_event(ctx)                                          \
    ((ctx)->format == NGX_HTTP_KAFKA_CE_JSON                                  \
     || (ctx)->format == NGX_HTTP_KAFKA_CE_BATCH)


/* The token of an event's key (Kafka binding, section 3.1), or JSON_NONE. */
#define ngx_http_kafka_event_key(doc, root)                                   \
    json_member(doc, root, "partitionkey", 12)


/* Whether a media type, without parameters, is one of CloudEvents'. */
ngx_uint_t ngx_http_kafka_event_type(ngx_str_t *type);

/*
 * Whether a request with this media type is an event in binary mode (HTTP
 * binding, section 3): its attributes are headers, its body is the data.
 */
ngx_uint_t ngx_http_kafka_event_binary(ngx_http_kafka_ctx_t *ctx,
    ngx_str_t *type);

/*
 * Adds the headers ce_* and content-type of an event's record (Kafka binding,
 * section 3).  In binary mode checks the event's attributes, and
 * ce_partitionkey becomes the key, if there is no other key.
 */
ngx_int_t ngx_http_kafka_event_headers(ngx_http_kafka_ctx_t *ctx,
    ngx_array_t *headers);

/*
 * Checks the attributes of an event as JSON, token "root" of "doc".
 * Sets "data" to the token that a schema applies to.
 */
ngx_int_t ngx_http_kafka_event_check(ngx_http_kafka_ctx_t *ctx,
    json_doc_t *doc, uint32_t root, uint32_t *data);


#endif
