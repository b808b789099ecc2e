/* What REST Proxy's clients are answered: reports of records, and errors. */

#ifndef NGX_HTTP_KAFKA_REST_REPLY_H
#define NGX_HTTP_KAFKA_REST_REPLY_H


#include "http/ngx_http_kafka_rest.h"


/* The media type of all answers to the request. */
ngx_str_t *ngx_http_kafka_rest_media(ngx_http_kafka_ctx_t *ctx);

/*
 * A report for each record, in "pool"; data is NULL when out of memory.
 * "whole": it is the body, else a member of an error; that is the body in v3,
 * and nothing in v2 where no record was sent.
 */
ngx_str_t ngx_http_kafka_rest_reports(ngx_http_kafka_ctx_t *ctx,
    ngx_pool_t *pool, ngx_uint_t whole, ngx_uint_t invalid);

/*
 * The error that ctx->problem is, in the request's pool; "results" are its
 * reports, or NULL.  NGX_ERROR when out of memory.
 */
ngx_int_t ngx_http_kafka_rest_error(ngx_http_kafka_ctx_t *ctx,
    ngx_str_t *results, ngx_str_t *json);


#endif
