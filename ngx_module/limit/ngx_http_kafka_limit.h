/*
 * kafka_limit: how many records and bytes a key may send.
 *
 * Room: kafka_limit: buckets in shared memory; gives a verdict.
 */

#ifndef NGX_HTTP_KAFKA_LIMIT_H
#define NGX_HTTP_KAFKA_LIMIT_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "kafka/ngx_kafka_conf.h"


#define NGX_HTTP_KAFKA_LIMITS     8         /* of one location */
#define NGX_HTTP_KAFKA_ZONE_NAME  64        /* bytes */


enum {
    NGX_HTTP_KAFKA_RECORDS = 0,
    NGX_HTTP_KAFKA_BYTES,
    NGX_HTTP_KAFKA_UNITS
};


typedef struct ngx_http_kafka_buckets_s  ngx_http_kafka_buckets_t;


/* One kafka_limit_zone. */
typedef struct {
    ngx_http_complex_value_t   key;
    uint64_t                   rate[NGX_HTTP_KAFKA_UNITS];  /* a minute, 0:
                                                               unlimited */
    ngx_http_kafka_buckets_t  *shared;
    ngx_slab_pool_t           *shpool;
} ngx_http_kafka_limit_zone_t;


/* One kafka_limit. */
typedef struct {
    ngx_shm_zone_t            *shm_zone;    /* its data: …_limit_zone_t */
    uint64_t                   burst[NGX_HTTP_KAFKA_UNITS];     /* by default
                                               what comes in a second */
    ngx_kafka_place_t          place;
} ngx_http_kafka_limit_t;


typedef struct {
    ngx_uint_t                 retry;       /* NGX_BUSY: s until it passes */
    const char                *unit;        /* NGX_DECLINED: what is too much */
    uint64_t                   amount;
    uint64_t                   burst;
    ngx_str_t                  policy;      /* header RateLimit-Policy, len 0:
                                               none */
    ngx_str_t                  state;       /* likewise RateLimit */
} ngx_http_kafka_verdict_t;


/* Names of the units; in the order of the enum. */
extern const char *const  ngx_http_kafka_units[NGX_HTTP_KAFKA_UNITS];


/* ngx_http_kafka_limit.c */

/* Makes the memory of a zone; a reload keeps the buckets. */
ngx_int_t ngx_http_kafka_limit_init(ngx_shm_zone_t *shm_zone, void *data);

/*
 * Charges what a request sends to the bucket of each of its limits, an array
 * of ngx_http_kafka_limit_t that ngx_http_kafka_limit_check() has sorted.
 * NGX_OK: all buckets are charged, else none.  NGX_BUSY: it passes later.
 * NGX_DECLINED: it is larger than a burst and never passes.  NGX_ERROR: out
 * of memory.  The headers follow draft-ietf-httpapi-ratelimit-headers-10;
 * their texts are in the request's pool.
 *
 * With "charges" there are no headers.  *charges, NULL at first, keeps what
 * the keys are, so that more calls for this request take no memory.
 */
ngx_int_t ngx_http_kafka_limit(ngx_http_request_t *r, ngx_array_t *limits,
    uint64_t records, uint64_t bytes, void **charges,
    ngx_http_kafka_verdict_t *verdict);

/* ngx_http_kafka_limit_conf.c */

/*
 * Setters of kafka_limit_zone, and of kafka_limit, which adds to an
 * ngx_array_t * at cmd->offset.
 */
char *ngx_http_kafka_limit_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_kafka_limit_set(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * Checks, sorts and completes the limits of a location, or NULL, when all
 * zones are known.  Locations may share an array.
 */
ngx_int_t ngx_http_kafka_limit_check(ngx_conf_t *cf, ngx_array_t *limits);


#endif
