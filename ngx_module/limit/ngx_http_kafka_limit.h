/*
 * The zones of kafka_limit, between its directives and its requests.
 *
 * Room: kafka_limit: buckets in shared memory; gives a verdict.
 */

#ifndef NGX_HTTP_KAFKA_LIMIT_H
#define NGX_HTTP_KAFKA_LIMIT_H


#include "http/ngx_http_kafka_module.h"


#define NGX_HTTP_KAFKA_LIMITS     8         /* of one location */
/*
 * A bucket's level is kept in 60,000ths of a record or byte: what a rate of
 * one a minute drains in a millisecond, so that nothing is ever rounded.
 */
#define NGX_HTTP_KAFKA_PARTS      60000

#define NGX_HTTP_KAFKA_DIGEST     20        /* bytes of SHA-1 */


enum {
    NGX_HTTP_KAFKA_RECORDS = 0,
    NGX_HTTP_KAFKA_BYTES,
    NGX_HTTP_KAFKA_UNITS
};


/* Of one size whatever the key: evicting one always makes room for one. */
typedef struct {
    ngx_rbtree_node_t          node;        /* key: of the digest */
    ngx_queue_t                queue;       /* last charged first */
    ngx_msec_t                 last;        /* when the levels were so */
    uint64_t                   level[NGX_HTTP_KAFKA_UNITS];     /* parts */
    u_char                     digest[NGX_HTTP_KAFKA_DIGEST];
} ngx_http_kafka_bucket_t;


typedef struct {
    ngx_rbtree_t               tree;
    ngx_rbtree_node_t          sentinel;
    ngx_queue_t                queue;
} ngx_http_kafka_buckets_t;


typedef struct {
    ngx_http_complex_value_t   key;
    uint64_t                   rate[NGX_HTTP_KAFKA_UNITS];  /* a minute */
    ngx_http_kafka_buckets_t  *shared;
    ngx_slab_pool_t           *shpool;
} ngx_http_kafka_limit_zone_t;


/* Names of the units; in the order of the enum. */
extern const char *const  ngx_http_kafka_units[NGX_HTTP_KAFKA_UNITS];


#endif
