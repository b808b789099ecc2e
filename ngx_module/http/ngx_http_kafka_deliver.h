/*
 * Gives a request's records to the producer: three steps of its work.  Then
 * the request is suspended until their reports are there, or too late.
 */

#ifndef NGX_HTTP_KAFKA_DELIVER_H
#define NGX_HTTP_KAFKA_DELIVER_H


#include "http/ngx_http_kafka_module.h"


#define NGX_HTTP_KAFKA_PART  1000       /* messages given at once */


/*
 * Moves the messages to be sent to the front, ctx->ready of them: none if a
 * record is bad and the client did not ask for lenient handling.
 */
ngx_int_t ngx_http_kafka_choose(ngx_http_kafka_ctx_t *ctx);

/*
 * Asks kafka_limit: once for all records of a request, once for each of a
 * stream's, which then has its problem.
 */
ngx_int_t ngx_http_kafka_check_limits(ngx_http_kafka_ctx_t *ctx);

/* All are admitted before the first is given; many are given in turns. */
ngx_int_t ngx_http_kafka_produce(ngx_http_kafka_ctx_t *ctx);


#endif
