/* What a request's headers and its location say about its records. */

#ifndef NGX_HTTP_KAFKA_REQUEST_H
#define NGX_HTTP_KAFKA_REQUEST_H


#include "http/ngx_http_kafka_module.h"


/* Finds the topic: ctx->topic, ctx->topic_index. */
ngx_int_t ngx_http_kafka_request_topic(ngx_http_kafka_ctx_t *ctx);

/* Finds how records lie in the body: ctx->format, ctx->batch. */
ngx_int_t ngx_http_kafka_request_format(ngx_http_kafka_ctx_t *ctx);

/* Takes the client's preferences: ctx->async, ctx->lenient, ctx->queued. */
void ngx_http_kafka_request_prefer(ngx_http_kafka_ctx_t *ctx);

/* Whether "kafka_stream" can be had: else its body is read whole. */
ngx_uint_t ngx_http_kafka_request_streams(ngx_http_kafka_ctx_t *ctx);

/*
 * Computes what all records share, ctx->common: topic, key, partition,
 * timestamp, headers.
 */
ngx_int_t ngx_http_kafka_request_common(ngx_http_kafka_ctx_t *ctx);


#endif
