/* The answer to a request by what became of its records. */

#ifndef NGX_HTTP_KAFKA_REPLY_H
#define NGX_HTTP_KAFKA_REPLY_H


#include "http/ngx_http_kafka_module.h"


/*
 * Sends the answer when each record has its state.  Returns what finalizes the
 * request.
 */
ngx_int_t ngx_http_kafka_reply(ngx_http_kafka_ctx_t *ctx);

/* Adds Preference-Applied (RFC 7240, section 3). */
ngx_int_t ngx_http_kafka_preferences(ngx_http_kafka_ctx_t *ctx);

/*
 * A line for each record, each with its state: in ctx->pool.  "numbered" adds
 * its index.  data is NULL when out of memory.
 */
ngx_str_t ngx_http_kafka_reply_lines(ngx_http_kafka_ctx_t *ctx,
    ngx_uint_t numbered);


#endif
