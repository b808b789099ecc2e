/* Values in REST Proxy's JSON: bytes, strings, times.  Knows no request. */

#ifndef NGX_HTTP_KAFKA_REST_VALUES_H
#define NGX_HTTP_KAFKA_REST_VALUES_H


#include <ngx_config.h>
#include <ngx_core.h>
#include "json/json.h"


/* How the bytes of a key or a value came, and the names of these ways. */
typedef enum {
    NGX_HTTP_KAFKA_REST_NONE = 0,           /* it is null */
    NGX_HTTP_KAFKA_REST_BINARY,
    NGX_HTTP_KAFKA_REST_JSON,
    NGX_HTTP_KAFKA_REST_STRING
} ngx_http_kafka_rest_type_e;

extern const char *const  ngx_http_kafka_rest_types[];


/* The text of a value in its document, with the quotes of a string. */
ngx_str_t ngx_http_kafka_rest_text(json_doc_t *doc, uint32_t token);

/*
 * A string decoded, with a NUL behind it; and one whose text is base64 (RFC
 * 4648, section 4; its padding may be left out) as bytes.  "out" is in "pool"
 * or the document, its data is not NULL.  NGX_DECLINED: it is none; NGX_ERROR
 * without memory.
 */
ngx_int_t ngx_http_kafka_rest_string(ngx_pool_t *pool, json_doc_t *doc,
    uint32_t token, ngx_str_t *out);
ngx_int_t ngx_http_kafka_rest_binary(ngx_pool_t *pool, json_doc_t *doc,
    uint32_t token, ngx_str_t *out);

/*
 * A date-time of RFC 3339, section 5.6, as ms since 1970.  NGX_DECLINED: it is
 * none, or before.
 */
ngx_int_t ngx_http_kafka_rest_time(json_doc_t *doc, uint32_t token,
    int64_t *time);

/*
 * Writes checked JSON without blanks and with as few escapes as REST Proxy
 * does, so that a key has the same bytes and stays in its partition.  Numbers
 * stay as they are.  NGX_ERROR without memory.
 */
ngx_int_t ngx_http_kafka_rest_compact(ngx_pool_t *pool, ngx_str_t *text);


#endif
