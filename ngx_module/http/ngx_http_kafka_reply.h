/* The answer to a request by what became of its records. */

#ifndef NGX_HTTP_KAFKA_REPLY_H
#define NGX_HTTP_KAFKA_REPLY_H


#include "http/ngx_http_kafka_module.h"


/*
 * Sends the answer when each record has its state.  Returns what finalizes the
 * request.
 */
ngx_int_t ngx_http_kafka_reply(ngx_http_kafka_ctx_t *ctx);


#endif
