/* The directives of kafka_limit, and their zones in shared memory. */

#include "limit/ngx_http_kafka_limit.h"


#define NGX_HTTP_KAFKA_ZONE_NAME  64        /* bytes */
#define NGX_HTTP_KAFKA_RATE_MAX   1000000000000


static void ngx_http_kafka_limit_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);
static ngx_int_t ngx_http_kafka_limit_init(ngx_shm_zone_t *shm_zone,
    void *data);
static char *ngx_http_kafka_limit_rate(ngx_conf_t *cf, ngx_str_t *value,
    size_t skip, ngx_uint_t unit, uint64_t *rate);


/* shared zones of this use are told from others by its address */
static ngx_uint_t  ngx_http_kafka_limit_tag;


static void
ngx_http_kafka_limit_insert(ngx_rbtree_node_t *temp, ngx_rbtree_node_t *node,
    ngx_rbtree_node_t *sentinel)
{
    ngx_rbtree_node_t        **p;
    ngx_http_kafka_bucket_t   *bucket, *other;

    for ( ;; ) {

        if (node->key != temp->key) {
            p = node->key < temp->key ? &temp->left : &temp->right;

        } else {
            bucket = (ngx_http_kafka_bucket_t *) node;
            other = (ngx_http_kafka_bucket_t *) temp;

            p = ngx_memcmp(bucket->digest, other->digest,
                           NGX_HTTP_KAFKA_DIGEST)
                < 0 ? &temp->left : &temp->right;
        }

        if (*p == sentinel) {
            break;
        }

        temp = *p;
    }

    *p = node;
    node->parent = temp;
    node->left = sentinel;
    node->right = sentinel;
    ngx_rbt_red(node);
}


/* After a reload the buckets go on. */
static ngx_int_t
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

    /* a full zone is ours to tell */
    zone->shpool->log_nomem = 0;

    ngx_rbtree_init(&zone->shared->tree, &zone->shared->sentinel,
                    ngx_http_kafka_limit_insert);
    ngx_queue_init(&zone->shared->queue);

    return NGX_OK;
}


char *
ngx_http_kafka_limit_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                              *rv;
    u_char                            *p;
    ssize_t                            size;
    ngx_str_t                         *value, name, s;
    ngx_uint_t                         i;
    ngx_shm_zone_t                    *shm_zone;
    ngx_http_kafka_limit_zone_t       *zone;
    ngx_http_compile_complex_value_t   ccv;

    (void) conf;

    value = cf->args->elts;
    size = 0;
    ngx_str_null(&name);

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_kafka_limit_zone_t));
    if (zone == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[1];
    ccv.complex_value = &zone->key;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "zone=", 5) == 0) {

            name.data = value[i].data + 5;
            p = (u_char *) ngx_strchr(name.data, ':');
            if (p == NULL) {
                goto invalid;
            }

            name.len = p - name.data;
            s.data = p + 1;
            s.len = value[i].data + value[i].len - s.data;
            size = ngx_parse_size(&s);

            if (size == NGX_ERROR || name.len == 0
                || name.len > NGX_HTTP_KAFKA_ZONE_NAME)
            {
                goto invalid;
            }

            /* it goes into headers */

            for (p = name.data; p < name.data + name.len; p++) {
                if (*p <= ' ' || *p > '~' || *p == '"' || *p == '\\') {
                    goto invalid;
                }
            }

            if (size < (ssize_t) (8 * ngx_pagesize)) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "zone \"%V\" is too small, it needs %uz "
                                   "bytes", &value[i], 8 * ngx_pagesize);
                return NGX_CONF_ERROR;
            }

            continue;
        }

        if (ngx_strncmp(value[i].data, "records=", 8) == 0) {
            rv = ngx_http_kafka_limit_rate(cf, &value[i], 8,
                                           NGX_HTTP_KAFKA_RECORDS,
                                           zone->rate);

        } else if (ngx_strncmp(value[i].data, "bytes=", 6) == 0) {
            rv = ngx_http_kafka_limit_rate(cf, &value[i], 6,
                                           NGX_HTTP_KAFKA_BYTES, zone->rate);

        } else {
            goto invalid;
        }

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    if (name.len == 0) {
        return "must have a \"zone\" parameter";
    }

    if (zone->rate[NGX_HTTP_KAFKA_RECORDS] == 0
        && zone->rate[NGX_HTTP_KAFKA_BYTES] == 0)
    {
        return "must have a \"records\" or a \"bytes\" parameter";
    }

    shm_zone = ngx_shared_memory_add(cf, &name, size,
                                     &ngx_http_kafka_limit_tag);
    if (shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    if (shm_zone->data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%V \"%V\" is duplicate", &cmd->name, &name);
        return NGX_CONF_ERROR;
    }

    shm_zone->init = ngx_http_kafka_limit_init;
    shm_zone->data = zone;

    return NGX_CONF_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"",
                       &value[i]);
    return NGX_CONF_ERROR;
}


/* "100/s", "6000/m"; bytes with a unit of size: "1m/s". */
static char *
ngx_http_kafka_limit_rate(ngx_conf_t *cf, ngx_str_t *value, size_t skip,
    ngx_uint_t unit, uint64_t *rate)
{
    off_t      n;
    ngx_str_t  s;

    s.data = value->data + skip;
    s.len = value->len - skip;

    if (rate[unit] == 0 && s.len > 2 && s.data[s.len - 2] == '/'
        && (s.data[s.len - 1] == 's' || s.data[s.len - 1] == 'm'))
    {
        s.len -= 2;

        n = unit == NGX_HTTP_KAFKA_BYTES ? ngx_parse_offset(&s)
                                         : ngx_atoof(s.data, s.len);

        if (n > 0 && n <= NGX_HTTP_KAFKA_RATE_MAX) {
            rate[unit] = (uint64_t) n * (s.data[s.len + 1] == 's' ? 60 : 1);
            return NGX_CONF_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid rate \"%V\"", value);

    return NGX_CONF_ERROR;
}


char *
ngx_http_kafka_limit_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kafka_loc_conf_t  *klcf = conf;

    off_t                    n;
    ngx_str_t               *value, s;
    ngx_uint_t               i, unit;
    ngx_http_kafka_limit_t   limit, *list;

    (void) cmd;

    value = cf->args->elts;
    ngx_memzero(&limit, sizeof(ngx_http_kafka_limit_t));

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "zone=", 5) == 0 && !limit.shm_zone
            && value[i].len > 5)
        {
            s.data = value[i].data + 5;
            s.len = value[i].len - 5;

            /* its own directive may come later */
            limit.shm_zone = ngx_shared_memory_add(cf, &s, 0,
                                                   &ngx_http_kafka_limit_tag);
            if (limit.shm_zone == NULL) {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        if (ngx_strncmp(value[i].data, "burst_records=", 14) == 0) {
            unit = NGX_HTTP_KAFKA_RECORDS;
            n = ngx_atoof(value[i].data + 14, value[i].len - 14);

        } else if (ngx_strncmp(value[i].data, "burst_bytes=", 12) == 0) {
            unit = NGX_HTTP_KAFKA_BYTES;
            s.data = value[i].data + 12;
            s.len = value[i].len - 12;
            n = ngx_parse_offset(&s);

        } else {
            goto invalid;
        }

        if (n <= 0 || n > NGX_HTTP_KAFKA_RATE_MAX || limit.burst[unit]) {
            goto invalid;
        }

        limit.burst[unit] = (uint64_t) n;
    }

    if (limit.shm_zone == NULL) {
        return "must have a \"zone\" parameter";
    }

    limit.place.file = cf->conf_file->file.name;
    limit.place.line = cf->conf_file->line;

    if (klcf->limits == NULL) {
        klcf->limits = ngx_array_create(cf->pool, 2,
                                        sizeof(ngx_http_kafka_limit_t));
        if (klcf->limits == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    if (klcf->limits->nelts == NGX_HTTP_KAFKA_LIMITS) {
        return "is given more than 8 times";
    }

    if (ngx_array_push(klcf->limits) == NULL) {
        return NGX_CONF_ERROR;
    }

    /* sorted by name, see ngx_http_kafka_limit() */

    list = klcf->limits->elts;

    for (i = klcf->limits->nelts - 1; i > 0; i--) {

        n = ngx_memn2cmp(list[i - 1].shm_zone->shm.name.data,
                         limit.shm_zone->shm.name.data,
                         list[i - 1].shm_zone->shm.name.len,
                         limit.shm_zone->shm.name.len);
        if (n == 0) {
            return "is duplicate";
        }

        if (n < 0) {
            break;
        }

        list[i] = list[i - 1];
    }

    list[i] = limit;

    return NGX_CONF_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"",
                       &value[i]);
    return NGX_CONF_ERROR;
}


ngx_int_t
ngx_http_kafka_limit_resolve(ngx_conf_t *cf, ngx_http_kafka_loc_conf_t *klcf)
{
    ngx_uint_t                    i, unit;
    ngx_http_kafka_limit_t       *limit;
    ngx_http_kafka_limit_zone_t  *zone;

    limit = klcf->limits ? klcf->limits->elts : NULL;

    for (i = 0; limit && i < klcf->limits->nelts; i++) {

        zone = limit[i].shm_zone->data;

        if (zone == NULL) {
            ngx_kafka_conf_error(cf->log, &limit[i].place,
                                 "unknown kafka_limit_zone \"%V\" in "
                                 "\"kafka_limit\"",
                                 &limit[i].shm_zone->shm.name);
            return NGX_ERROR;
        }

        for (unit = 0; unit < NGX_HTTP_KAFKA_UNITS; unit++) {
            if (limit[i].burst[unit] && zone->rate[unit] == 0) {
                ngx_kafka_conf_error(cf->log, &limit[i].place,
                                     "\"burst_%s\" in \"kafka_limit\" needs "
                                     "\"%s\" of kafka_limit_zone \"%V\"",
                                     ngx_http_kafka_units[unit],
                                     ngx_http_kafka_units[unit],
                                     &limit[i].shm_zone->shm.name);
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}
