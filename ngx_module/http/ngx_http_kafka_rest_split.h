/* Splits the body of a REST Proxy request into its records. */

#ifndef NGX_HTTP_KAFKA_REST_SPLIT_H
#define NGX_HTTP_KAFKA_REST_SPLIT_H


#include "http/ngx_http_kafka_reader.h"


/* Adds the records, as ngx_http_kafka_split() does; NGX_AGAIN likewise. */
ngx_int_t ngx_http_kafka_rest_split(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_reader_t *rd);


#endif
