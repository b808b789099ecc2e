/* CloudEvents: from a request's headers or JSON to a record. */

#include "http/ngx_http_kafka_events.h"
#include "http/ngx_http_kafka_headers.h"


#define NGX_HTTP_KAFKA_EVENT_HEADERS  64      /* ce-* of one request */
#define NGX_HTTP_KAFKA_EVENT_VALUE    4096    /* bytes of one, encoded */


static ngx_int_t ngx_http_kafka_event_attribute(ngx_http_kafka_ctx_t *ctx,
    ngx_array_t *headers, ngx_table_elt_t *h, ngx_uint_t *found);
static ngx_int_t ngx_http_kafka_event_name(u_char *p, ngx_str_t *name);
static ngx_int_t ngx_http_kafka_event_value(ngx_pool_t *pool,
    ngx_str_t *value);


/* CloudEvents, section "Required attributes" */
static ngx_str_t  ngx_http_kafka_attributes[] = {
    ngx_string("id"),
    ngx_string("source"),
    ngx_string("specversion"),
    ngx_string("type"),
    ngx_null_string
};

static ngx_str_t  ngx_http_kafka_content_type = ngx_string("content-type");


ngx_uint_t
ngx_http_kafka_event_type(ngx_str_t *type)
{
    static ngx_str_t  prefix = ngx_string("application/cloudevents");

    return type->len >= prefix.len
           && ngx_strncasecmp(type->data, prefix.data, prefix.len) == 0;
}


ngx_uint_t
ngx_http_kafka_event_binary(ngx_http_kafka_ctx_t *ctx, ngx_str_t *type)
{
    static ngx_str_t  version = ngx_string("ce-specversion");

    return !ngx_http_kafka_event_type(type)
           && (ctx->conf->format == NGX_HTTP_KAFKA_CLOUDEVENTS
               || ngx_http_kafka_find_header(ctx->request, &version));
}


ngx_int_t
ngx_http_kafka_event_headers(ngx_http_kafka_ctx_t *ctx, ngx_array_t *headers)
{
    ngx_uint_t              i, n, found;
    ngx_table_elt_t        *h;
    ngx_http_request_t     *r;
    ngx_http_kafka_walk_t   walk;

    static ngx_str_t  structured =
        ngx_string("application/cloudevents+json; charset=UTF-8");

    if (ngx_http_kafka_is_event(ctx)) {
        return ngx_http_kafka_push_header(headers,
                                          &ngx_http_kafka_content_type,
                                          &structured, NULL, &ctx->problem);
    }

    r = ctx->request;
    walk.part = &r->headers_in.headers.part;
    walk.i = 0;
    found = 0;
    n = 0;

    while ((h = ngx_http_kafka_next_header(&walk, NULL))) {

        if (h->key.len < 4
            || ngx_strncasecmp(h->key.data, (u_char *) "ce-", 3) != 0)
        {
            continue;
        }

        if (++n > NGX_HTTP_KAFKA_EVENT_HEADERS) {
            return ngx_http_kafka_bad_header(&h->key, &ctx->problem);
        }

        if (ngx_http_kafka_event_attribute(ctx, headers, h, &found)
            != NGX_OK)
        {
            return NGX_DECLINED;
        }
    }

    for (i = 0; ngx_http_kafka_attributes[i].len; i++) {
        if (!(found & (1 << i))) {
            return ngx_http_kafka_detail(&ctx->problem,
                                         NGX_HTTP_KAFKA_NOT_EVENT,
                                         "The header \"ce-%V\" is missing.",
                                         &ngx_http_kafka_attributes[i]);
        }
    }

    h = r->headers_in.content_type;

    return h ? ngx_http_kafka_push_header(headers,
                                           &ngx_http_kafka_content_type,
                                           &h->value,
                                           &ngx_http_kafka_content_type,
                                           &ctx->problem)
             : NGX_OK;
}


/* Adds "ce-name" as "ce_name"; sets the bit of a required one in "found". */
static ngx_int_t
ngx_http_kafka_event_attribute(ngx_http_kafka_ctx_t *ctx,
    ngx_array_t *headers, ngx_table_elt_t *h, ngx_uint_t *found)
{
    ngx_str_t    name, value, *needed;
    ngx_uint_t   i, bit;
    ngx_pool_t  *pool;

    pool = ctx->request->pool;
    value = h->value;
    name.len = h->key.len;

    name.data = ngx_pnalloc(pool, name.len + 1);
    if (name.data == NULL) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    if (ngx_http_kafka_event_name(name.data, &h->key) != NGX_OK
        || ngx_http_kafka_event_value(pool, &value) != NGX_OK)
    {
        return ngx_http_kafka_bad_header(&h->key, &ctx->problem);
    }

    needed = ngx_http_kafka_attributes;

    for (i = 0; needed[i].len; i++) {

        if (needed[i].len != name.len - 3
            || ngx_strncmp(needed[i].data, name.data + 3, name.len - 3) != 0)
        {
            continue;
        }

        bit = 1 << i;

        if (*found & bit) {
            return ngx_http_kafka_bad_header(&h->key, &ctx->problem);
        }

        *found |= bit;
    }

    if (ctx->common.key.data == NULL
        && ngx_http_kafka_is(&name, "ce_partitionkey"))
    {
        ctx->common.key = value;
    }

    return ngx_http_kafka_push_header(headers, &name, &value, &h->key,
                                       &ctx->problem);
}


/* Lower case, "_" for "-", and a NUL: Kafka binding, section 3.2.3. */
static ngx_int_t
ngx_http_kafka_event_name(u_char *p, ngx_str_t *name)
{
    ngx_strlow(p, name->data, name->len);
    p[name->len] = '\0';
    p[2] = '_';

    for (p += 3; *p; p++) {
        if ((*p < 'a' || *p > 'z') && (*p < '0' || *p > '9')) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* Percent-decoded: HTTP binding, section 3.1.3.2. */
static ngx_int_t
ngx_http_kafka_event_value(ngx_pool_t *pool, ngx_str_t *value)
{
    u_char     *p, *src, *last;
    ngx_int_t   n;

    if (value->len == 0 || value->len > NGX_HTTP_KAFKA_EVENT_VALUE) {
        return NGX_ERROR;
    }

    if (ngx_strlchr(value->data, value->data + value->len, '%') == NULL) {
        return NGX_OK;
    }

    p = ngx_pnalloc(pool, value->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    src = value->data;
    last = src + value->len;
    value->data = p;

    while (src < last) {

        if (*src != '%') {
            *p++ = *src++;
            continue;
        }

        n = last - src > 2 ? ngx_hextoi(src + 1, 2) : NGX_ERROR;

        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }

        *p++ = (u_char) n;
        src += 3;
    }

    value->len = p - value->data;

    return NGX_OK;
}


ngx_int_t
ngx_http_kafka_event_check(ngx_http_kafka_ctx_t *ctx, json_doc_t *doc,
    uint32_t root, uint32_t *data)
{
    uint32_t       token;
    ngx_str_t     *name;
    json_token_t  *t;

    for (name = ngx_http_kafka_attributes; name->len; name++) {
        token = json_member(doc, root, (char *) name->data, name->len);
        t = token == JSON_NONE ? NULL : &doc->tokens[token];

        if (t && t->type == JSON_STRING && t->start != t->end
            && (!ngx_http_kafka_is(name, "specversion")
                || json_equals(doc, token, "1.0", 3)))
        {
            continue;
        }

        (void) ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_NOT_EVENT,
                                     "The attribute \"%V\" is missing or not "
                                     "what CloudEvents 1.0 asks for.", name);
        ctx->problem.keyword = (char *) name->data;

        return NGX_DECLINED;
    }

    *data = json_member(doc, root, "data", 4);

    if (*data != JSON_NONE) {
        return NGX_OK;
    }

    if (ctx->conf->schema || ctx->topic->schema) {
        return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_NOT_EVENT,
                                     "There is no \"data\" to check.");
    }

    *data = root;

    return NGX_OK;
}
