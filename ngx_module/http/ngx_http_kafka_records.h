/* A record of a body: checked, made into a message. */

#ifndef NGX_HTTP_KAFKA_RECORDS_H
#define NGX_HTTP_KAFKA_RECORDS_H


#include "http/ngx_http_kafka_module.h"


/* The request has one record, which needs no memory of its own. */
void ngx_http_kafka_record_alone(ngx_http_kafka_ctx_t *ctx);

/* A raw body is read as JSON if its topic has a schema or takes a key. */
ngx_uint_t ngx_http_kafka_reads_json(ngx_http_kafka_ctx_t *ctx);

/*
 * Each of these adds a record.  NGX_OK, also where it is bad: its problem says
 * so; NGX_DECLINED: a problem of the request.
 *
 * The first checks it.  "doc" holds its JSON, NULL: it is not read.  What the
 * schema's check costs is taken off "steps".  The others are of a record that
 * is larger than any may be, of one that is no JSON, "where" in the body, and
 * of one without a value: no schema and no field applies to it.  The last is
 * of a record whose problem is ctx->problem.
 */
ngx_int_t ngx_http_kafka_record(ngx_http_kafka_ctx_t *ctx, ngx_str_t *value,
    json_doc_t *doc, int64_t *steps);
ngx_int_t ngx_http_kafka_record_large(ngx_http_kafka_ctx_t *ctx,
    ngx_str_t *value);
ngx_int_t ngx_http_kafka_record_broken(ngx_http_kafka_ctx_t *ctx,
    ngx_str_t *value, json_error_t *err, const char *where);
ngx_int_t ngx_http_kafka_record_null(ngx_http_kafka_ctx_t *ctx);
ngx_int_t ngx_http_kafka_record_refused(ngx_http_kafka_ctx_t *ctx,
    ngx_str_t *value);

/* Refuses the request for what the JSON reader found. */
ngx_int_t ngx_http_kafka_not_json(ngx_http_kafka_ctx_t *ctx,
    json_error_t *err, const char *where);


#endif
