/* The records of REST Proxy's requests: their envelopes are opened. */

#ifndef NGX_HTTP_KAFKA_REST_RECORDS_H
#define NGX_HTTP_KAFKA_REST_RECORDS_H


#include "http/ngx_http_kafka_rest.h"


/*
 * Both add records as the functions of ngx_http_kafka_records.h do, and take
 * what checks cost off "steps".
 *
 * v2: the records of the body, whose JSON "doc" holds.  *at is 0 at first, and
 * then where to go on.  NGX_AGAIN: call again in a later turn.
 *
 * v3: one record, whose JSON "doc" holds.
 */
ngx_int_t ngx_http_kafka_rest_records(ngx_http_kafka_ctx_t *ctx,
    json_doc_t *doc, uint32_t *at, int64_t *steps);
ngx_int_t ngx_http_kafka_rest_record(ngx_http_kafka_ctx_t *ctx,
    json_doc_t *doc, int64_t *steps);


#endif
