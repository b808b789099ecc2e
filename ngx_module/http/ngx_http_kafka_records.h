/* The records of a body: found, checked, made into messages. */

#ifndef NGX_HTTP_KAFKA_RECORDS_H
#define NGX_HTTP_KAFKA_RECORDS_H


#include "http/ngx_http_kafka_module.h"


/*
 * Makes an item and a message of each record; they point into the body.  A
 * bad record has its problem and is counted in ctx->invalid; a problem of the
 * whole body is ctx->problem.
 */
ngx_int_t ngx_http_kafka_records(ngx_http_kafka_ctx_t *ctx, ngx_str_t *body);


#endif
