/*
 * The HTTP API of Confluent's REST Proxy, as far as it produces: which call a
 * request is.  What its records are, and how it is answered, stand in the
 * units next to this one.
 */

#ifndef NGX_HTTP_KAFKA_REST_H
#define NGX_HTTP_KAFKA_REST_H


#include "http/ngx_http_kafka_module.h"
#include "http/ngx_http_kafka_rest_values.h"


#define NGX_HTTP_KAFKA_REST_ID_MAX  255     /* bytes of a cluster's id */


typedef enum {
    NGX_HTTP_KAFKA_REST_CLUSTERS = 0,       /* v3 alone */
    NGX_HTTP_KAFKA_REST_CLUSTER,            /* likewise */
    NGX_HTTP_KAFKA_REST_TOPICS,
    NGX_HTTP_KAFKA_REST_TOPIC,
    NGX_HTTP_KAFKA_REST_PARTITIONS,
    NGX_HTTP_KAFKA_REST_PARTITION,
    NGX_HTTP_KAFKA_REST_PRODUCE             /* the only one by POST */
} ngx_http_kafka_rest_call_e;


/* What the answer says of a record, beside its item. */
typedef struct {
    uint8_t                     key_type;   /* ngx_http_kafka_rest_type_e */
    uint8_t                     value_type;
    uint32_t                    key_size;   /* bytes */
    uint32_t                    value_size;
} ngx_http_kafka_shape_t;


struct ngx_http_kafka_rest_s {
    ngx_uint_t                  version;    /* 2 or 3 */
    ngx_http_kafka_rest_call_e  call;
    ngx_uint_t                  methods;    /* of the resource: NGX_HTTP_* */
    ngx_str_t                   base;       /* of the path, before the API */
    ngx_str_t                   cluster;    /* as the client calls it */
    ngx_str_t                   topic;
    ngx_str_t                   partition;  /* of the path; data NULL: none */
    ngx_http_kafka_rest_type_e  type;       /* of all records; NONE: theirs */
    ngx_uint_t                  chosen;     /* some partition is the client's;
                                               unsigned  chosen:1; */
    ngx_uint_t                  broken;     /* nothing behind the last record
                                               is read; unsigned  broken:1; */
    ngx_array_t                 shapes;     /* ngx_http_kafka_shape_t, of the
                                               items; v3 alone */
};


/*
 * Finds the call of a request by its path and method: sets ctx->rest.
 * NGX_DECLINED with a problem.
 */
ngx_int_t ngx_http_kafka_rest_route(ngx_http_kafka_ctx_t *ctx);

/* The methods of its resource, or without "rest" of all. */
ngx_str_t *ngx_http_kafka_rest_allow(ngx_http_kafka_rest_t *rest);

/*
 * Finds how the records of a call that produces lie in the body: sets
 * ctx->format, ctx->batch.  NGX_DECLINED with a problem.
 */
ngx_int_t ngx_http_kafka_rest_format(ngx_http_kafka_ctx_t *ctx);


#endif
