/* The directives kafka_limit_zone and kafka_limit. */

#include "limit/ngx_http_kafka_limit.h"


#define NGX_HTTP_KAFKA_AMOUNT_MAX  1000000000000


static char *ngx_http_kafka_zone_parameter(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_http_kafka_limit_zone_t *zone, ngx_str_t *name, ssize_t *size);
static ngx_int_t ngx_http_kafka_zone_name(ngx_str_t *text, ngx_str_t *name,
    ssize_t *size);
static ngx_uint_t ngx_http_kafka_unit(ngx_str_t *arg, const char *prefix,
    ngx_str_t *value);
static ngx_int_t ngx_http_kafka_rate(ngx_str_t *text, ngx_uint_t unit,
    uint64_t *rate);
static ngx_int_t ngx_http_kafka_amount(ngx_str_t *text, ngx_uint_t unit,
    uint64_t *amount);
static char *ngx_http_kafka_invalid(ngx_conf_t *cf, const char *what,
    ngx_str_t *arg);
static ngx_int_t ngx_cdecl ngx_http_kafka_limit_order(const void *one,
    const void *two);


/* its address tells these shared zones from others */
static ngx_uint_t  ngx_http_kafka_limit_tag;


char *
ngx_http_kafka_limit_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                              *rv;
    ssize_t                            size;
    ngx_str_t                         *value, name;
    ngx_uint_t                         i;
    ngx_shm_zone_t                    *shm_zone;
    ngx_http_kafka_limit_zone_t       *zone;
    ngx_http_compile_complex_value_t   ccv;

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
        rv = ngx_http_kafka_zone_parameter(cf, &value[i], zone, &name, &size);

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
}


static char *
ngx_http_kafka_zone_parameter(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_http_kafka_limit_zone_t *zone, ngx_str_t *name, ssize_t *size)
{
    ngx_str_t   s;
    ngx_uint_t  unit;

    if (ngx_strncmp(arg->data, "zone=", 5) == 0) {

        s.data = arg->data + 5;
        s.len = arg->len - 5;

        if (ngx_http_kafka_zone_name(&s, name, size) != NGX_OK) {
            return ngx_http_kafka_invalid(cf, "parameter", arg);
        }

        if (*size < (ssize_t) (8 * ngx_pagesize)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "zone \"%V\" is too small, it needs %uz bytes",
                               arg, 8 * ngx_pagesize);
            return NGX_CONF_ERROR;
        }

        return NGX_CONF_OK;
    }

    unit = ngx_http_kafka_unit(arg, "", &s);

    if (unit == NGX_HTTP_KAFKA_UNITS) {
        return ngx_http_kafka_invalid(cf, "parameter", arg);
    }

    if (ngx_http_kafka_rate(&s, unit, &zone->rate[unit]) != NGX_OK) {
        return ngx_http_kafka_invalid(cf, "rate", arg);
    }

    return NGX_CONF_OK;
}


/* Splits "name:size"; the name is sent in headers. */
static ngx_int_t
ngx_http_kafka_zone_name(ngx_str_t *text, ngx_str_t *name, ssize_t *size)
{
    u_char     *p;
    ngx_str_t   s;

    p = ngx_strlchr(text->data, text->data + text->len, ':');
    if (p == NULL) {
        return NGX_ERROR;
    }

    name->data = text->data;
    name->len = p - text->data;

    s.data = p + 1;
    s.len = text->len - name->len - 1;
    *size = ngx_parse_size(&s);

    if (*size == NGX_ERROR || name->len == 0
        || name->len > NGX_HTTP_KAFKA_ZONE_NAME)
    {
        return NGX_ERROR;
    }

    for (p = name->data; p < name->data + name->len; p++) {
        if (*p <= ' ' || *p > '~' || *p == '"' || *p == '\\') {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* The unit in "<prefix><unit>=<value>", or NGX_HTTP_KAFKA_UNITS. */
static ngx_uint_t
ngx_http_kafka_unit(ngx_str_t *arg, const char *prefix, ngx_str_t *value)
{
    u_char      name[32];
    size_t      len;
    ngx_uint_t  unit;

    for (unit = 0; unit < NGX_HTTP_KAFKA_UNITS; unit++) {
        len = ngx_sprintf(name, "%s%s=", prefix, ngx_http_kafka_units[unit])
              - name;

        if (arg->len > len && ngx_strncmp(arg->data, name, len) == 0) {
            value->data = arg->data + len;
            value->len = arg->len - len;
            break;
        }
    }

    return unit;
}


/* "100/s", "6000/m"; bytes with a unit of size: "1m/s". */
static ngx_int_t
ngx_http_kafka_rate(ngx_str_t *text, ngx_uint_t unit, uint64_t *rate)
{
    u_char     *period;
    ngx_str_t   s;

    if (text->len < 3 || *rate) {
        return NGX_ERROR;
    }

    s.data = text->data;
    s.len = text->len - 2;
    period = s.data + s.len;

    if (period[0] != '/' || (period[1] != 's' && period[1] != 'm')
        || ngx_http_kafka_amount(&s, unit, rate) != NGX_OK)
    {
        return NGX_ERROR;
    }

    *rate *= period[1] == 's' ? 60 : 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_amount(ngx_str_t *text, ngx_uint_t unit, uint64_t *amount)
{
    off_t  n;

    n = unit == NGX_HTTP_KAFKA_BYTES ? ngx_parse_offset(text)
                                     : ngx_atoof(text->data, text->len);

    if (n <= 0 || n > NGX_HTTP_KAFKA_AMOUNT_MAX || *amount) {
        return NGX_ERROR;
    }

    *amount = (uint64_t) n;

    return NGX_OK;
}


static char *
ngx_http_kafka_invalid(ngx_conf_t *cf, const char *what, ngx_str_t *arg)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid %s \"%V\"", what, arg);

    return NGX_CONF_ERROR;
}


char *
ngx_http_kafka_limit_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t               *value, s;
    ngx_uint_t               i, unit;
    ngx_array_t            **limits;
    ngx_http_kafka_limit_t  *limit, *other;

    value = cf->args->elts;
    limits = (ngx_array_t **) ((u_char *) conf + cmd->offset);

    if (*limits == NULL) {
        *limits = ngx_array_create(cf->pool, 2,
                                   sizeof(ngx_http_kafka_limit_t));
        if (*limits == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    if ((*limits)->nelts == NGX_HTTP_KAFKA_LIMITS) {
        return "is given more than 8 times";
    }

    limit = ngx_array_push(*limits);
    if (limit == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(limit, sizeof(ngx_http_kafka_limit_t));
    limit->place = ngx_kafka_conf_here(cf);

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "zone=", 5) == 0 && !limit->shm_zone
            && value[i].len > 5)
        {
            s.data = value[i].data + 5;
            s.len = value[i].len - 5;

            /* the directive of the zone may come later */
            limit->shm_zone = ngx_shared_memory_add(cf, &s, 0,
                                                    &ngx_http_kafka_limit_tag);
            if (limit->shm_zone == NULL) {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        unit = ngx_http_kafka_unit(&value[i], "burst_", &s);

        if (unit == NGX_HTTP_KAFKA_UNITS
            || ngx_http_kafka_amount(&s, unit, &limit->burst[unit]) != NGX_OK)
        {
            return ngx_http_kafka_invalid(cf, "parameter", &value[i]);
        }
    }

    if (limit->shm_zone == NULL) {
        return "must have a \"zone\" parameter";
    }

    for (other = (*limits)->elts; other < limit; other++) {
        if (other->shm_zone == limit->shm_zone) {
            return "is duplicate";
        }
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_kafka_limit_check(ngx_conf_t *cf, ngx_array_t *limits)
{
    ngx_uint_t                    i, unit;
    ngx_http_kafka_limit_t       *limit;
    ngx_http_kafka_limit_zone_t  *zone;

    if (limits == NULL) {
        return NGX_OK;
    }

    limit = limits->elts;

    for (i = 0; i < limits->nelts; i++) {

        zone = limit[i].shm_zone->data;

        if (zone == NULL) {
            return ngx_kafka_conf_error(cf->log, &limit[i].place, "unknown "
                                        "kafka_limit_zone \"%V\" in "
                                        "\"kafka_limit\"",
                                        &limit[i].shm_zone->shm.name);
        }

        for (unit = 0; unit < NGX_HTTP_KAFKA_UNITS; unit++) {

            if (limit[i].burst[unit] && zone->rate[unit] == 0) {
                return ngx_kafka_conf_error(cf->log, &limit[i].place,
                                            "\"burst_%s\" in \"kafka_limit\" "
                                            "needs \"%s\" of kafka_limit_zone "
                                            "\"%V\"",
                                            ngx_http_kafka_units[unit],
                                            ngx_http_kafka_units[unit],
                                            &limit[i].shm_zone->shm.name);
            }

            if (limit[i].burst[unit] == 0 && zone->rate[unit]) {
                limit[i].burst[unit] = ngx_max(zone->rate[unit] / 60, 1);
            }
        }
    }

    ngx_sort(limit, limits->nelts, sizeof(ngx_http_kafka_limit_t),
             ngx_http_kafka_limit_order);

    return NGX_OK;
}


/* By the zone's name, which workers of an older configuration know too. */
static ngx_int_t ngx_cdecl
ngx_http_kafka_limit_order(const void *one, const void *two)
{
    ngx_str_t  *a, *b;

    a = &((ngx_http_kafka_limit_t *) one)->shm_zone->shm.name;
    b = &((ngx_http_kafka_limit_t *) two)->shm_zone->shm.name;

    return ngx_memn2cmp(a->data, b->data, a->len, b->len);
}
