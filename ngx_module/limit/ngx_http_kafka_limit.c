/* Token buckets in shared memory, one a key. */

#include "limit/ngx_http_kafka_limit.h"
#include <ngx_sha1.h>


/*
 * A bucket's level counts 60,000ths of a record or byte: a rate of one a
 * minute drains one of them in a millisecond, so nothing is rounded.
 */
#define NGX_HTTP_KAFKA_PARTS      60000

#define NGX_HTTP_KAFKA_DIGEST     20        /* bytes of SHA-1 */

/* bytes of one limit and unit in a header, with a zone's name */
#define NGX_HTTP_KAFKA_LIMIT_ITEM  160


/* All have one size: dropping one always makes room for another. */
typedef struct {
    ngx_str_node_t               sn;        /* of the digest */
    ngx_queue_t                  queue;     /* last charged first */
    ngx_msec_t                   last;      /* when the levels were so */
    uint64_t                     level[NGX_HTTP_KAFKA_UNITS];   /* parts */
    u_char                       digest[NGX_HTTP_KAFKA_DIGEST];
} ngx_http_kafka_bucket_t;


struct ngx_http_kafka_buckets_s {
    ngx_rbtree_t                 tree;
    ngx_rbtree_node_t            sentinel;
    ngx_queue_t                  queue;
};


/* What one request takes of one limit, while its zones are locked. */
typedef struct {
    ngx_http_kafka_limit_t      *limit;
    ngx_http_kafka_limit_zone_t *zone;
    ngx_http_kafka_bucket_t     *bucket;    /* NULL: none yet */
    uint64_t                     level[NGX_HTTP_KAFKA_UNITS];   /* now */
    u_char                       digest[NGX_HTTP_KAFKA_DIGEST];
} ngx_http_kafka_charge_t;


static ngx_int_t ngx_http_kafka_charges(ngx_http_request_t *r,
    ngx_array_t *limits, ngx_http_kafka_charge_t *charge, ngx_uint_t *n);
static ngx_int_t ngx_http_kafka_keep(ngx_pool_t *pool,
    ngx_http_kafka_charge_t *charge, ngx_uint_t n, void **charges);
static ngx_int_t ngx_http_kafka_judge(ngx_http_kafka_charge_t *charge,
    ngx_uint_t n, uint64_t *amount, ngx_http_kafka_verdict_t *verdict);
static ngx_int_t ngx_http_kafka_charge(ngx_log_t *log,
    ngx_http_kafka_charge_t *charge, ngx_uint_t n, uint64_t *amount);
static ngx_http_kafka_bucket_t *ngx_http_kafka_bucket_find(
    ngx_http_kafka_charge_t *charge);
static ngx_http_kafka_bucket_t *ngx_http_kafka_bucket_make(ngx_log_t *log,
    ngx_http_kafka_charge_t *charge);
static ngx_http_kafka_bucket_t *ngx_http_kafka_bucket_oldest(
    ngx_http_kafka_limit_zone_t *zone);
static void ngx_http_kafka_bucket_free(ngx_http_kafka_limit_zone_t *zone,
    ngx_http_kafka_bucket_t *bucket);
static uint64_t ngx_http_kafka_level(ngx_http_kafka_limit_zone_t *zone,
    ngx_http_kafka_bucket_t *bucket, ngx_uint_t unit);
static ngx_int_t ngx_http_kafka_limit_headers(ngx_pool_t *pool,
    ngx_http_kafka_charge_t *charge, ngx_uint_t n,
    ngx_http_kafka_verdict_t *verdict);


const char *const  ngx_http_kafka_units[] = { "records", "bytes" };

/* the draft registers content-bytes, and no unit for records */
static const char  *ngx_http_kafka_quota_units[] = {
    "records", "content-bytes"
};


ngx_int_t
ngx_http_kafka_limit_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_kafka_limit_zone_t  *old = data;

    ngx_http_kafka_limit_zone_t  *zone;

    zone = shm_zone->data;

    if (old && (old->key.value.len != zone->key.value.len
                || ngx_strncmp(old->key.value.data, zone->key.value.data,
                               zone->key.value.len)
                   != 0))
    {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "kafka_limit_zone \"%V\" uses the \"%V\" key while "
                      "previously it used the \"%V\" key",
                      &shm_zone->shm.name, &zone->key.value, &old->key.value);
        return NGX_ERROR;
    }

    zone->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (old || shm_zone->shm.exists) {
        zone->shared = zone->shpool->data;
        return NGX_OK;
    }

    zone->shared = ngx_slab_alloc(zone->shpool,
                                  sizeof(ngx_http_kafka_buckets_t));
    if (zone->shared == NULL) {
        return NGX_ERROR;
    }

    zone->shpool->data = zone->shared;

    /* this file logs when a zone is full */
    zone->shpool->log_nomem = 0;

    ngx_rbtree_init(&zone->shared->tree, &zone->shared->sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&zone->shared->queue);

    return NGX_OK;
}


ngx_int_t
ngx_http_kafka_limit(ngx_http_request_t *r, ngx_array_t *limits,
    uint64_t records, uint64_t bytes, void **charges,
    ngx_http_kafka_verdict_t *verdict)
{
    uint64_t                 amount[NGX_HTTP_KAFKA_UNITS];
    ngx_int_t                rc;
    ngx_uint_t               i, n;
    ngx_array_t             *kept;
    ngx_http_kafka_charge_t  charge[NGX_HTTP_KAFKA_LIMITS];

    ngx_memzero(verdict, sizeof(ngx_http_kafka_verdict_t));

    amount[NGX_HTTP_KAFKA_RECORDS] = records;
    amount[NGX_HTTP_KAFKA_BYTES] = bytes;

    kept = charges ? *charges : NULL;

    if (kept) {
        n = kept->nelts;
        ngx_memcpy(charge, kept->elts, n * sizeof(ngx_http_kafka_charge_t));

    } else if (ngx_http_kafka_charges(r, limits, charge, &n) != NGX_OK
               || (charges
                   && ngx_http_kafka_keep(r->pool, charge, n, charges)
                      != NGX_OK))
    {
        return NGX_ERROR;
    }

    /* always in the order of the zones' names, so there is no deadlock */

    for (i = 0; i < n; i++) {
        ngx_shmtx_lock(&charge[i].zone->shpool->mutex);
    }

    rc = ngx_http_kafka_judge(charge, n, amount, verdict);

    if (rc == NGX_OK) {
        rc = ngx_http_kafka_charge(r->connection->log, charge, n, amount);
    }

    for (i = n; i > 0; i--) {
        ngx_shmtx_unlock(&charge[i - 1].zone->shpool->mutex);
    }

    if ((rc == NGX_OK || rc == NGX_BUSY) && charges == NULL
        && ngx_http_kafka_limit_headers(r->pool, charge, n, verdict)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return rc;
}


static ngx_int_t
ngx_http_kafka_keep(ngx_pool_t *pool, ngx_http_kafka_charge_t *charge,
    ngx_uint_t n, void **charges)
{
    ngx_array_t  *kept;

    kept = ngx_array_create(pool, NGX_HTTP_KAFKA_LIMITS,
                            sizeof(ngx_http_kafka_charge_t));
    if (kept == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(kept->elts, charge, n * sizeof(ngx_http_kafka_charge_t));
    kept->nelts = n;
    *charges = kept;

    return NGX_OK;
}


/* Finds the limits with a key for this request, "n" of them. */
static ngx_int_t
ngx_http_kafka_charges(ngx_http_request_t *r, ngx_array_t *limits,
    ngx_http_kafka_charge_t *charge, ngx_uint_t *n)
{
    ngx_str_t                key;
    ngx_uint_t               i;
    ngx_sha1_t               sha;
    ngx_http_kafka_limit_t  *limit;

    limit = limits->elts;
    *n = 0;

    for (i = 0; i < limits->nelts; i++) {

        charge->limit = &limit[i];
        charge->zone = limit[i].shm_zone->data;

        if (ngx_http_complex_value(r, &charge->zone->key, &key) != NGX_OK) {
            return NGX_ERROR;
        }

        if (key.len == 0) {
            continue;
        }

        ngx_sha1_init(&sha);
        ngx_sha1_update(&sha, key.data, key.len);
        ngx_sha1_final(charge->digest, &sha);

        charge++;
        (*n)++;
    }

    return NGX_OK;
}


/* Finds the buckets and their levels; nothing is charged yet. */
static ngx_int_t
ngx_http_kafka_judge(ngx_http_kafka_charge_t *charge, ngx_uint_t n,
    uint64_t *amount, ngx_http_kafka_verdict_t *verdict)
{
    uint64_t    burst, rate, want, wait;
    ngx_uint_t  i, unit;

    wait = 0;

    for (i = 0; i < n; i++) {
        charge[i].bucket = ngx_http_kafka_bucket_find(&charge[i]);

        for (unit = 0; unit < NGX_HTTP_KAFKA_UNITS; unit++) {

            charge[i].level[unit] = ngx_http_kafka_level(charge[i].zone,
                                                      charge[i].bucket, unit);
            rate = charge[i].zone->rate[unit];
            burst = charge[i].limit->burst[unit];

            if (rate == 0) {
                continue;
            }

            if (amount[unit] > burst) {
                /* waiting does not help */
                verdict->unit = ngx_http_kafka_units[unit];
                verdict->amount = amount[unit];
                verdict->burst = burst;
                return NGX_DECLINED;
            }

            burst *= NGX_HTTP_KAFKA_PARTS;
            want = charge[i].level[unit] + amount[unit] * NGX_HTTP_KAFKA_PARTS;

            if (want > burst) {
                wait = ngx_max(wait, (want - burst + rate - 1) / rate);
            }
        }
    }

    verdict->retry = (wait + 999) / 1000;

    return wait ? NGX_BUSY : NGX_OK;
}


static ngx_int_t
ngx_http_kafka_charge(ngx_log_t *log, ngx_http_kafka_charge_t *charge,
    ngx_uint_t n, uint64_t *amount)
{
    ngx_uint_t                i, unit;
    ngx_http_kafka_bucket_t  *bucket;

    for (i = 0; i < n; i++) {
        if (charge[i].bucket == NULL) {
            charge[i].bucket = ngx_http_kafka_bucket_make(log, &charge[i]);
        }

        if (charge[i].bucket == NULL) {
            return NGX_ERROR;
        }
    }

    for (i = 0; i < n; i++) {
        bucket = charge[i].bucket;

        for (unit = 0; unit < NGX_HTTP_KAFKA_UNITS; unit++) {
            if (charge[i].zone->rate[unit]) {
                charge[i].level[unit] += amount[unit] * NGX_HTTP_KAFKA_PARTS;
                bucket->level[unit] = charge[i].level[unit];
            }
        }

        /* another worker's clock may be a little ahead */

        if ((ngx_msec_int_t) (ngx_current_msec - bucket->last) > 0) {
            bucket->last = ngx_current_msec;
        }

        ngx_queue_remove(&bucket->queue);
        ngx_queue_insert_head(&charge[i].zone->shared->queue, &bucket->queue);
    }

    return NGX_OK;
}


static ngx_http_kafka_bucket_t *
ngx_http_kafka_bucket_find(ngx_http_kafka_charge_t *charge)
{
    uint32_t   hash;
    ngx_str_t  digest = { NGX_HTTP_KAFKA_DIGEST, charge->digest };

    ngx_memcpy(&hash, charge->digest, sizeof(hash));

    return (ngx_http_kafka_bucket_t *)
               ngx_str_rbtree_lookup(&charge->zone->shared->tree, &digest,
                                     hash);
}


static ngx_http_kafka_bucket_t *
ngx_http_kafka_bucket_make(ngx_log_t *log, ngx_http_kafka_charge_t *charge)
{
    uint32_t                      hash;
    ngx_uint_t                    i;
    ngx_http_kafka_bucket_t      *bucket, *old;
    ngx_http_kafka_limit_zone_t  *zone;

    static time_t  logged;

    zone = charge->zone;

    /* drop two that are empty by now, so that a zone does not fill up */

    for (i = 0; i < 2; i++) {
        old = ngx_http_kafka_bucket_oldest(zone);

        if (old == NULL
            || ngx_http_kafka_level(zone, old, NGX_HTTP_KAFKA_RECORDS)
            || ngx_http_kafka_level(zone, old, NGX_HTTP_KAFKA_BYTES))
        {
            break;
        }

        ngx_http_kafka_bucket_free(zone, old);
    }

    bucket = ngx_slab_alloc_locked(zone->shpool,
                                   sizeof(ngx_http_kafka_bucket_t));
    old = bucket ? NULL : ngx_http_kafka_bucket_oldest(zone);

    if (old) {
        ngx_http_kafka_bucket_free(zone, old);

        if (logged != ngx_time()) {
            logged = ngx_time();
            ngx_log_error(NGX_LOG_WARN, log, 0,
                          "kafka_limit_zone \"%V\" is full and dropped the "
                          "key unused for longest: make the zone larger",
                          &charge->limit->shm_zone->shm.name);
        }

        bucket = ngx_slab_alloc_locked(zone->shpool,
                                       sizeof(ngx_http_kafka_bucket_t));
    }

    if (bucket == NULL) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "kafka_limit_zone \"%V\" has no room for a key",
                      &charge->limit->shm_zone->shm.name);
        return NULL;
    }

    ngx_memzero(bucket, sizeof(ngx_http_kafka_bucket_t));
    ngx_memcpy(bucket->digest, charge->digest, NGX_HTTP_KAFKA_DIGEST);
    ngx_memcpy(&hash, charge->digest, sizeof(hash));

    bucket->sn.node.key = hash;
    bucket->sn.str.data = bucket->digest;
    bucket->sn.str.len = NGX_HTTP_KAFKA_DIGEST;
    bucket->last = ngx_current_msec;

    ngx_rbtree_insert(&zone->shared->tree, &bucket->sn.node);
    ngx_queue_insert_head(&zone->shared->queue, &bucket->queue);

    return bucket;
}


/* The bucket that was charged longest ago, or NULL. */
static ngx_http_kafka_bucket_t *
ngx_http_kafka_bucket_oldest(ngx_http_kafka_limit_zone_t *zone)
{
    ngx_queue_t  *q;

    if (ngx_queue_empty(&zone->shared->queue)) {
        return NULL;
    }

    q = ngx_queue_last(&zone->shared->queue);

    return ngx_queue_data(q, ngx_http_kafka_bucket_t, queue);
}


static void
ngx_http_kafka_bucket_free(ngx_http_kafka_limit_zone_t *zone,
    ngx_http_kafka_bucket_t *bucket)
{
    ngx_queue_remove(&bucket->queue);
    ngx_rbtree_delete(&zone->shared->tree, &bucket->sn.node);
    ngx_slab_free_locked(zone->shpool, bucket);
}


/* A bucket's level now. */
static uint64_t
ngx_http_kafka_level(ngx_http_kafka_limit_zone_t *zone,
    ngx_http_kafka_bucket_t *bucket, ngx_uint_t unit)
{
    uint64_t        rate;
    ngx_msec_int_t  elapsed;

    rate = zone->rate[unit];

    if (bucket == NULL || rate == 0) {
        return 0;
    }

    elapsed = (ngx_msec_int_t) (ngx_current_msec - bucket->last);

    if (elapsed <= 0) {
        return bucket->level[unit];
    }

    /* compared first: the product may be more than 64 bits */

    if (bucket->level[unit] / rate < (uint64_t) elapsed) {
        return 0;
    }

    return bucket->level[unit] - rate * (uint64_t) elapsed;
}


static ngx_int_t
ngx_http_kafka_limit_headers(ngx_pool_t *pool,
    ngx_http_kafka_charge_t *charge, ngx_uint_t n,
    ngx_http_kafka_verdict_t *verdict)
{
    u_char      *p, *s, *p_end, *s_end;
    size_t       size;
    uint64_t     burst, rate, used;
    ngx_str_t   *name;
    ngx_uint_t   i, unit;

    size = n * NGX_HTTP_KAFKA_UNITS * NGX_HTTP_KAFKA_LIMIT_ITEM;

    p = ngx_pnalloc(pool, 2 * size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    s = p + size;
    p_end = s;
    s_end = s + size;

    verdict->policy.data = p;
    verdict->state.data = s;

    for (i = 0; i < n; i++) {
        for (unit = 0; unit < NGX_HTTP_KAFKA_UNITS; unit++) {

            rate = charge[i].zone->rate[unit];

            if (rate == 0) {
                continue;
            }

            name = &charge[i].limit->shm_zone->shm.name;
            burst = charge[i].limit->burst[unit];

            /* other limits of the zone may have a larger burst */
            used = charge[i].level[unit] + NGX_HTTP_KAFKA_PARTS - 1;
            used = ngx_min(used / NGX_HTTP_KAFKA_PARTS, burst);

            p = ngx_slprintf(p, p_end, "%s\"%V-%s\";q=%uL;qu=\"%s\";w=%uL",
                             p == verdict->policy.data ? "" : ", ", name,
                             ngx_http_kafka_units[unit], burst,
                             ngx_http_kafka_quota_units[unit],
                             (burst * 60 + rate - 1) / rate);
            s = ngx_slprintf(s, s_end, "%s\"%V-%s\";r=%uL;t=%uL",
                             s == verdict->state.data ? "" : ", ", name,
                             ngx_http_kafka_units[unit], burst - used,
                             (charge[i].level[unit] + rate * 1000 - 1)
                             / (rate * 1000));
        }
    }

    verdict->policy.len = p - verdict->policy.data;
    verdict->state.len = s - verdict->state.data;

    return NGX_OK;
}
