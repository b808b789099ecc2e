/*
 * "kafka_pass_headers": which headers of a request its records carry, by
 * names and patterns.  What a pattern must never take is refused by name.
 */

#include "http/ngx_http_kafka_pass.h"
#include "http/ngx_http_kafka_headers.h"


#define NGX_HTTP_KAFKA_PASS_MAX    64           /* headers of one request */
#define NGX_HTTP_KAFKA_PASS_BYTES  (16 * 1024)  /* of their names and values */


/* Why a header is not passed, whatever is listed. */
typedef struct {
    ngx_str_t    name;
    const char  *reason;
} ngx_http_kafka_unpassed_t;


static ngx_http_kafka_unpassed_t *ngx_http_kafka_unpassed(ngx_str_t *name);
static ngx_uint_t ngx_http_kafka_wanted(ngx_http_kafka_ctx_t *ctx,
    ngx_str_t *name);
static ngx_uint_t ngx_http_kafka_present(ngx_array_t *headers, ngx_uint_t n,
    ngx_str_t *name);
static ngx_uint_t ngx_http_kafka_nominated(ngx_http_request_t *r,
    ngx_str_t *name);
static ngx_int_t ngx_http_kafka_pass_one(ngx_http_kafka_ctx_t *ctx,
    ngx_array_t *headers, ngx_table_elt_t *h);


#define NGX_HTTP_KAFKA_SECRET                                                 \
    "is a secret, name it by \"kafka_header\" if records shall hold it"
#define NGX_HTTP_KAFKA_HOP  "is of one connection only"
#define NGX_HTTP_KAFKA_BODY  "is of the body as it was sent"

/* RFC 9110, sections 7.6.1 and 11; RFC 2616, section 13.5.1 */
static ngx_http_kafka_unpassed_t  ngx_http_kafka_never[] = {
    { ngx_string("authorization"), NGX_HTTP_KAFKA_SECRET },
    { ngx_string("cookie"), NGX_HTTP_KAFKA_SECRET },
    { ngx_string("proxy-authorization"), NGX_HTTP_KAFKA_SECRET },
    { ngx_string("connection"), NGX_HTTP_KAFKA_HOP },
    { ngx_string("keep-alive"), NGX_HTTP_KAFKA_HOP },
    { ngx_string("proxy-authenticate"), NGX_HTTP_KAFKA_HOP },
    { ngx_string("proxy-connection"), NGX_HTTP_KAFKA_HOP },
    { ngx_string("te"), NGX_HTTP_KAFKA_HOP },
    { ngx_string("trailer"), NGX_HTTP_KAFKA_HOP },
    { ngx_string("transfer-encoding"), NGX_HTTP_KAFKA_HOP },
    { ngx_string("upgrade"), NGX_HTTP_KAFKA_HOP },
    { ngx_string("http2-settings"), NGX_HTTP_KAFKA_HOP },
    { ngx_string("content-encoding"), NGX_HTTP_KAFKA_BODY },
    { ngx_string("content-length"), NGX_HTTP_KAFKA_BODY },
    { ngx_string("expect"), NGX_HTTP_KAFKA_BODY },
    { ngx_null_string, NULL }
};


char *
ngx_http_kafka_set_pass_headers(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_kafka_loc_conf_t  *klcf = conf;

    u_char                     *star;
    ngx_str_t                  *value, *pattern;
    ngx_uint_t                  i;
    ngx_http_kafka_unpassed_t  *never;

    if (klcf->passed) {
        return "is duplicate";
    }

    value = cf->args->elts;

    klcf->passed = ngx_array_create(cf->pool, cf->args->nelts,
                                    sizeof(ngx_str_t));
    if (klcf->passed == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        ngx_strlow(value[i].data, value[i].data, value[i].len);

        star = ngx_strlchr(value[i].data, value[i].data + value[i].len, '*');

        if (value[i].len == 0
            || (star && star != value[i].data + value[i].len - 1))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid header \"%V\", give a name, or the "
                               "beginning of names and \"*\"", &value[i]);
            return NGX_CONF_ERROR;
        }

        never = ngx_http_kafka_unpassed(&value[i]);

        if (never) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "header \"%V\" is never passed: it %s",
                               &value[i], never->reason);
            return NGX_CONF_ERROR;
        }

        pattern = ngx_array_push(klcf->passed);
        if (pattern == NULL) {
            return NGX_CONF_ERROR;
        }

        *pattern = value[i];
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_kafka_pass_headers(ngx_http_kafka_ctx_t *ctx, ngx_array_t *headers)
{
    size_t                  bytes;
    ngx_uint_t              n, others;
    ngx_table_elt_t        *h;
    ngx_http_kafka_walk_t   walk;

    if (ctx->conf->passed == NULL) {
        return NGX_OK;
    }

    walk.part = &ctx->request->headers_in.headers.part;
    walk.i = 0;
    others = headers->nelts;
    bytes = 0;
    n = 0;

    while ((h = ngx_http_kafka_next_header(&walk, NULL))) {

        if (!ngx_http_kafka_wanted(ctx, &h->key)
            || ngx_http_kafka_present(headers, others, &h->key)
            || ngx_http_kafka_nominated(ctx->request, &h->key))
        {
            continue;
        }

        bytes += h->key.len + h->value.len;

        if (++n > NGX_HTTP_KAFKA_PASS_MAX || bytes > NGX_HTTP_KAFKA_PASS_BYTES)
        {
            return ngx_http_kafka_detail(&ctx->problem,
                                         NGX_HTTP_KAFKA_BAD_HEADER,
                                         "The headers that records carry are "
                                         "more than %d, or longer than %d "
                                         "bytes.", NGX_HTTP_KAFKA_PASS_MAX,
                                         NGX_HTTP_KAFKA_PASS_BYTES);
        }

        if (ngx_http_kafka_pass_one(ctx, headers, h) != NGX_OK) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static ngx_http_kafka_unpassed_t *
ngx_http_kafka_unpassed(ngx_str_t *name)
{
    ngx_http_kafka_unpassed_t  *never;

    for (never = ngx_http_kafka_never; never->name.len; never++) {
        if (ngx_http_kafka_equal(name, never->name.data, never->name.len)) {
            return never;
        }
    }

    return NULL;
}


/* "kafka_request_headers" has a rule of its own for two of them. */
static ngx_uint_t
ngx_http_kafka_wanted(ngx_http_kafka_ctx_t *ctx, ngx_str_t *name)
{
    size_t      len;
    ngx_str_t  *pattern;
    ngx_uint_t  i;

    pattern = ctx->conf->passed->elts;

    for (i = 0; i < ctx->conf->passed->nelts; i++) {

        len = pattern[i].len;

        if (pattern[i].data[len - 1] == '*') {

            if (name->len + 1 >= len
                && ngx_strncasecmp(name->data, pattern[i].data, len - 1) == 0)
            {
                break;
            }

        } else if (ngx_http_kafka_equal(name, pattern[i].data, len)) {
            break;
        }
    }

    if (i == ctx->conf->passed->nelts || ngx_http_kafka_unpassed(name)) {
        return 0;
    }

    return !ctx->conf->request_headers
           || (!ngx_http_kafka_is(name, "traceparent")
               && !ngx_http_kafka_is(name, "idempotency-key"));
}


/* Whether one of the first "n" headers of the record has this name. */
static ngx_uint_t
ngx_http_kafka_present(ngx_array_t *headers, ngx_uint_t n, ngx_str_t *name)
{
    ngx_uint_t           i;
    ngx_kafka_header_t  *h;

    h = headers->elts;

    for (i = 0; i < n; i++) {
        if (ngx_http_kafka_equal(name, h[i].name.data, h[i].name.len)) {
            return 1;
        }
    }

    return 0;
}


/* Whether "Connection" names it (RFC 9110, section 7.6.1). */
static ngx_uint_t
ngx_http_kafka_nominated(ngx_http_request_t *r, ngx_str_t *name)
{
    ngx_str_t               list, element;
    ngx_table_elt_t        *h;
    ngx_http_kafka_walk_t   walk;

    static ngx_str_t  connection = ngx_string("connection");

    walk.part = &r->headers_in.headers.part;
    walk.i = 0;

    while ((h = ngx_http_kafka_next_header(&walk, &connection))) {
        list = h->value;

        while (ngx_http_kafka_next_element(&list, &element)) {
            if (ngx_http_kafka_equal(&element, name->data, name->len)) {
                return 1;
            }
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_kafka_pass_one(ngx_http_kafka_ctx_t *ctx, ngx_array_t *headers,
    ngx_table_elt_t *h)
{
    ngx_str_t  name;

    name.len = h->key.len;
    name.data = ngx_pnalloc(ctx->request->pool, name.len + 1);

    if (name.data == NULL) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    ngx_strlow(name.data, h->key.data, name.len);
    name.data[name.len] = '\0';

    return ngx_http_kafka_push_header(headers, &name, &h->value, &h->key,
                                      &ctx->problem);
}
