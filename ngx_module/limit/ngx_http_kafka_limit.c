/* Records and bytes a key may send: token buckets in shared memory. */

#include "limit/ngx_http_kafka_limit.h"
#include <ngx_sha1.h>


/* Of one request, while its zones are locked. */
typedef struct {
    ngx_http_kafka_limit_t      *limit;
    ngx_http_kafka_limit_zone_t *zone;
    ngx_http_kafka_bucket_t     *bucket;    /* NULL: none yet */
    uint64_t                     level[NGX_HTTP_KAFKA_UNITS];   /* now */
    u_char                       digest[NGX_HTTP_KAFKA_DIGEST];
} ngx_http_kafka_charge_t;


static ngx_int_t ngx_http_kafka_charge_all(ngx_http_request_t *r,
    ngx_http_kafka_charge_t *charge, ngx_uint_t n, uint64_t *amount,
    ngx_msec_t *wait);
static ngx_http_kafka_bucket_t *ngx_http_kafka_bucket_find(
    ngx_http_kafka_charge_t *charge);
static ngx_http_kafka_bucket_t *ngx_http_kafka_bucket_make(
    ngx_http_request_t *r, ngx_http_kafka_charge_t *charge);
static void ngx_http_kafka_bucket_free(ngx_http_kafka_limit_zone_t *zone,
    ngx_http_kafka_bucket_t *bucket);
static uint64_t ngx_http_kafka_level(ngx_http_kafka_limit_zone_t *zone,
    ngx_http_kafka_bucket_t *bucket, ngx_uint_t unit);
static uint64_t ngx_http_kafka_burst(ngx_http_kafka_limit_t *limit,
    ngx_uint_t unit);
static ngx_int_t ngx_http_kafka_never(ngx_http_request_t *r,
    ngx_http_kafka_charge_t *charge, ngx_uint_t n, uint64_t *amount,
    ngx_http_kafka_problem_t *problem);
static ngx_int_t ngx_http_kafka_limit_headers(ngx_http_request_t *r,
    ngx_http_kafka_charge_t *charge, ngx_uint_t n);
static ngx_int_t ngx_http_kafka_limit_header(ngx_http_request_t *r,
    char *name, u_char *start, u_char *end);


const char *const  ngx_http_kafka_units[] = { "records", "bytes" };

/* as the draft registers them; it has none for records */
static const char  *ngx_http_kafka_quota_units[] = {
    "records", "content-bytes"
};


ngx_int_t
ngx_http_kafka_limit(ngx_http_request_t *r, uint64_t records, uint64_t bytes,
    ngx_http_kafka_problem_t *problem)
{
    uint64_t                     amount[NGX_HTTP_KAFKA_UNITS];
    ngx_int_t                    rc;
    ngx_str_t                    key, after;
    ngx_msec_t                   wait;
    ngx_uint_t                   i, n;
    ngx_sha1_t                   sha;
    ngx_http_kafka_limit_t      *limit;
    ngx_http_kafka_charge_t      charge[NGX_HTTP_KAFKA_LIMITS];
    ngx_http_kafka_loc_conf_t   *klcf;

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_kafka_module);

    if (klcf->limits == NULL) {
        return NGX_OK;
    }

    limit = klcf->limits->elts;
    n = 0;

    for (i = 0; i < klcf->limits->nelts; i++) {

        charge[n].limit = &limit[i];
        charge[n].zone = limit[i].shm_zone->data;

        if (ngx_http_complex_value(r, &charge[n].zone->key, &key) != NGX_OK) {
            problem->code = NGX_HTTP_KAFKA_INTERNAL;
            return NGX_DECLINED;
        }

        if (key.len == 0) {
            continue;
        }

        ngx_sha1_init(&sha);
        ngx_sha1_update(&sha, key.data, key.len);
        ngx_sha1_final(charge[n].digest, &sha);
        n++;
    }

    if (n == 0) {
        return NGX_OK;
    }

    amount[NGX_HTTP_KAFKA_RECORDS] = records;
    amount[NGX_HTTP_KAFKA_BYTES] = bytes;

    if (ngx_http_kafka_never(r, charge, n, amount, problem) != NGX_OK) {
        return NGX_DECLINED;
    }

    /* in the order of the zones' names, so that no two workers can wait */

    for (i = 0; i < n; i++) {
        ngx_shmtx_lock(&charge[i].zone->shpool->mutex);
    }

    rc = ngx_http_kafka_charge_all(r, charge, n, amount, &wait);

    for (i = n; i > 0; i--) {
        ngx_shmtx_unlock(&charge[i - 1].zone->shpool->mutex);
    }

    if (rc == NGX_ERROR
        || ngx_http_kafka_limit_headers(r, charge, n) != NGX_OK)
    {
        problem->code = NGX_HTTP_KAFKA_INTERNAL;
        return NGX_DECLINED;
    }

    if (rc == NGX_OK) {
        return NGX_OK;
    }

    problem->code = NGX_HTTP_KAFKA_LIMITED;

    after.data = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (after.data == NULL) {
        problem->code = NGX_HTTP_KAFKA_INTERNAL;
        return NGX_DECLINED;
    }

    after.len = ngx_sprintf(after.data, "%M", (wait + 999) / 1000)
                - after.data;

    if (ngx_http_kafka_header(r, "Retry-After", &after) != NGX_OK) {
        problem->code = NGX_HTTP_KAFKA_INTERNAL;
    }

    return NGX_DECLINED;
}


/* NGX_OK: charged; NGX_BUSY: nothing was, it fits after "wait" ms. */
static ngx_int_t
ngx_http_kafka_charge_all(ngx_http_request_t *r,
    ngx_http_kafka_charge_t *charge, ngx_uint_t n, uint64_t *amount,
    ngx_msec_t *wait)
{
    uint64_t    burst, rate, want;
    ngx_uint_t  i, unit;

    *wait = 0;

    for (i = 0; i < n; i++) {
        charge[i].bucket = ngx_http_kafka_bucket_find(&charge[i]);

        for (unit = 0; unit < NGX_HTTP_KAFKA_UNITS; unit++) {

            charge[i].level[unit] = ngx_http_kafka_level(charge[i].zone,
                                                      charge[i].bucket, unit);
            rate = charge[i].zone->rate[unit];

            if (rate == 0) {
                continue;
            }

            burst = ngx_http_kafka_burst(charge[i].limit, unit)
                    * NGX_HTTP_KAFKA_PARTS;
            want = charge[i].level[unit] + amount[unit] * NGX_HTTP_KAFKA_PARTS;

            if (want > burst) {
                want = (want - burst + rate - 1) / rate;
                *wait = ngx_max(*wait, (ngx_msec_t) want);
            }
        }
    }

    if (*wait) {
        return NGX_BUSY;
    }

    for (i = 0; i < n; i++) {
        if (charge[i].bucket == NULL) {
            charge[i].bucket = ngx_http_kafka_bucket_make(r, &charge[i]);
        }

        if (charge[i].bucket == NULL) {
            return NGX_ERROR;
        }
    }

    for (i = 0; i < n; i++) {

        for (unit = 0; unit < NGX_HTTP_KAFKA_UNITS; unit++) {
            if (charge[i].zone->rate[unit]) {
                charge[i].level[unit] += amount[unit] * NGX_HTTP_KAFKA_PARTS;
                charge[i].bucket->level[unit] = charge[i].level[unit];
            }
        }

        /* another worker's clock may be a little ahead */

        if ((ngx_msec_int_t) (ngx_current_msec - charge[i].bucket->last) > 0) {
            charge[i].bucket->last = ngx_current_msec;
        }

        ngx_queue_remove(&charge[i].bucket->queue);
        ngx_queue_insert_head(&charge[i].zone->shared->queue,
                              &charge[i].bucket->queue);
    }

    return NGX_OK;
}


static ngx_http_kafka_bucket_t *
ngx_http_kafka_bucket_find(ngx_http_kafka_charge_t *charge)
{
    ngx_int_t                 rc;
    ngx_rbtree_key_t          key;
    ngx_rbtree_node_t        *node, *sentinel;
    ngx_http_kafka_bucket_t  *bucket;

    ngx_memcpy(&key, charge->digest, sizeof(key));

    node = charge->zone->shared->tree.root;
    sentinel = charge->zone->shared->tree.sentinel;

    while (node != sentinel) {

        if (key != node->key) {
            node = key < node->key ? node->left : node->right;
            continue;
        }

        bucket = (ngx_http_kafka_bucket_t *) node;

        rc = ngx_memcmp(charge->digest, bucket->digest,
                        NGX_HTTP_KAFKA_DIGEST);
        if (rc == 0) {
            return bucket;
        }

        node = rc < 0 ? node->left : node->right;
    }

    return NULL;
}


static ngx_http_kafka_bucket_t *
ngx_http_kafka_bucket_make(ngx_http_request_t *r,
    ngx_http_kafka_charge_t *charge)
{
    ngx_uint_t                    i;
    ngx_queue_t                  *q;
    ngx_http_kafka_bucket_t      *bucket, *old;
    ngx_http_kafka_limit_zone_t  *zone;

    static time_t  logged;

    zone = charge->zone;

    /* two that are empty by now make way, so that a zone does not fill up */

    for (i = 0; i < 2 && !ngx_queue_empty(&zone->shared->queue); i++) {

        q = ngx_queue_last(&zone->shared->queue);
        old = ngx_queue_data(q, ngx_http_kafka_bucket_t, queue);

        if (ngx_http_kafka_level(zone, old, NGX_HTTP_KAFKA_RECORDS)
            || ngx_http_kafka_level(zone, old, NGX_HTTP_KAFKA_BYTES))
        {
            break;
        }

        ngx_http_kafka_bucket_free(zone, old);
    }

    bucket = ngx_slab_alloc_locked(zone->shpool,
                                   sizeof(ngx_http_kafka_bucket_t));

    if (bucket == NULL && !ngx_queue_empty(&zone->shared->queue)) {

        q = ngx_queue_last(&zone->shared->queue);
        old = ngx_queue_data(q, ngx_http_kafka_bucket_t, queue);
        ngx_http_kafka_bucket_free(zone, old);

        if (logged != ngx_time()) {
            logged = ngx_time();
            ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                          "kafka_limit_zone \"%V\" is full and forgets the "
                          "key it has not seen longest: make it larger",
                          &charge->limit->shm_zone->shm.name);
        }

        bucket = ngx_slab_alloc_locked(zone->shpool,
                                       sizeof(ngx_http_kafka_bucket_t));
    }

    if (bucket == NULL) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "kafka_limit_zone \"%V\" has no room",
                      &charge->limit->shm_zone->shm.name);
        return NULL;
    }

    ngx_memzero(bucket, sizeof(ngx_http_kafka_bucket_t));
    ngx_memcpy(bucket->digest, charge->digest, NGX_HTTP_KAFKA_DIGEST);
    ngx_memcpy(&bucket->node.key, charge->digest, sizeof(bucket->node.key));
    bucket->last = ngx_current_msec;

    ngx_rbtree_insert(&zone->shared->tree, &bucket->node);
    ngx_queue_insert_head(&zone->shared->queue, &bucket->queue);

    return bucket;
}


static void
ngx_http_kafka_bucket_free(ngx_http_kafka_limit_zone_t *zone,
    ngx_http_kafka_bucket_t *bucket)
{
    ngx_queue_remove(&bucket->queue);
    ngx_rbtree_delete(&zone->shared->tree, &bucket->node);
    ngx_slab_free_locked(zone->shpool, bucket);
}


/* What is left in a bucket after draining until now. */
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


/* In records or bytes; by default what the rate gives in a second. */
static uint64_t
ngx_http_kafka_burst(ngx_http_kafka_limit_t *limit, ngx_uint_t unit)
{
    ngx_http_kafka_limit_zone_t  *zone;

    if (limit->burst[unit]) {
        return limit->burst[unit];
    }

    zone = limit->shm_zone->data;

    return ngx_max(zone->rate[unit] / 60, 1);
}


/* Waiting does not help what is larger than a burst. */
static ngx_int_t
ngx_http_kafka_never(ngx_http_request_t *r, ngx_http_kafka_charge_t *charge,
    ngx_uint_t n, uint64_t *amount, ngx_http_kafka_problem_t *problem)
{
    uint64_t    burst;
    ngx_uint_t  i, unit;

    for (i = 0; i < n; i++) {
        for (unit = 0; unit < NGX_HTTP_KAFKA_UNITS; unit++) {

            burst = ngx_http_kafka_burst(charge[i].limit, unit);

            if (charge[i].zone->rate[unit] == 0 || amount[unit] <= burst) {
                continue;
            }

            problem->code = NGX_HTTP_KAFKA_OVER_BURST;
            ngx_http_kafka_detail(r, problem,
                                  "The request has %uL %s; no more than %uL "
                                  "are taken at once.",
                                  amount[unit], ngx_http_kafka_units[unit],
                                  burst);
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/* RateLimit-Policy and RateLimit, draft-ietf-httpapi-ratelimit-headers-10. */
static ngx_int_t
ngx_http_kafka_limit_headers(ngx_http_request_t *r,
    ngx_http_kafka_charge_t *charge, ngx_uint_t n)
{
    u_char      policy[NGX_HTTP_KAFKA_LIMITS * NGX_HTTP_KAFKA_UNITS * 160];
    u_char      state[NGX_HTTP_KAFKA_LIMITS * NGX_HTTP_KAFKA_UNITS * 160];
    u_char     *p, *s, *p_end, *s_end;
    uint64_t    burst, rate, used;
    ngx_str_t  *name;
    ngx_uint_t  i, unit;

    p = policy;
    p_end = policy + sizeof(policy);
    s = state;
    s_end = state + sizeof(state);

    for (i = 0; i < n; i++) {
        for (unit = 0; unit < NGX_HTTP_KAFKA_UNITS; unit++) {

            rate = charge[i].zone->rate[unit];

            if (rate == 0) {
                continue;
            }

            name = &charge[i].limit->shm_zone->shm.name;
            burst = ngx_http_kafka_burst(charge[i].limit, unit);

            /* of two limits with one zone the other may let more through */
            used = charge[i].level[unit] + NGX_HTTP_KAFKA_PARTS - 1;
            used = ngx_min(used / NGX_HTTP_KAFKA_PARTS, burst);

            p = ngx_slprintf(p, p_end, "%s\"%V-%s\";q=%uL;qu=\"%s\";w=%uL",
                             p == policy ? "" : ", ", name,
                             ngx_http_kafka_units[unit], burst,
                             ngx_http_kafka_quota_units[unit],
                             (burst * 60 + rate - 1) / rate);
            s = ngx_slprintf(s, s_end, "%s\"%V-%s\";r=%uL;t=%uL",
                             s == state ? "" : ", ", name,
                             ngx_http_kafka_units[unit], burst - used,
                             (charge[i].level[unit] + rate * 1000 - 1)
                             / (rate * 1000));
        }
    }

    if (ngx_http_kafka_limit_header(r, "RateLimit-Policy", policy, p)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_kafka_limit_header(r, "RateLimit", state, s);
}


static ngx_int_t
ngx_http_kafka_limit_header(ngx_http_request_t *r, char *name, u_char *start,
    u_char *end)
{
    ngx_str_t  value;

    value.len = end - start;
    value.data = ngx_pnalloc(r->pool, value.len);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(value.data, start, value.len);

    return ngx_http_kafka_header(r, name, &value);
}
