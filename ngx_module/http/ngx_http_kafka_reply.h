/* The answer to a request whose records were taken, or refused one by one. */

#ifndef NGX_HTTP_KAFKA_REPLY_H
#define NGX_HTTP_KAFKA_REPLY_H


#include "http/ngx_http_kafka_module.h"


/*
 * Sends what became of the records, each of which has its state.  Returns what
 * finalizes the request.
 */
ngx_int_t ngx_http_kafka_reply(ngx_http_kafka_ctx_t *ctx);


#endif
