/* The records of a JSON array, which may be a field of the body. */

#ifndef NGX_HTTP_KAFKA_ARRAY_H
#define NGX_HTTP_KAFKA_ARRAY_H


#include "http/ngx_http_kafka_reader.h"


/*
 * Adds the array's records.  NGX_OK; NGX_DECLINED with a problem of the
 * request; NGX_AGAIN: call again in a later turn.
 */
ngx_int_t ngx_http_kafka_array(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd);


#endif
