/* CloudEvents: from a request's headers or JSON to a record. */

#include "http/ngx_http_kafka_events.h"
#include "http/ngx_http_kafka_headers.h"


#define NGX_HTTP_KAFKA_EVENT_HEADERS  64      /* ce-* of one request */
#define NGX_HTTP_KAFKA_EVENT_VALUE    4096    /* bytes of one, encoded */


typedef struct {
    ngx_str_t    name;
    ngx_uint_t   required;
} ngx_http_kafka_attribute_t;


static ngx_int_t ngx_http_kafka_event_header(ngx_http_kafka_ctx_t *ctx,
    ngx_array_t *headers, ngx_table_elt_t *h);
static ngx_int_t ngx_http_kafka_event_name(u_char *p, ngx_str_t *name);
static ngx_int_t ngx_http_kafka_event_value(ngx_http_kafka_ctx_t *ctx,
    ngx_str_t *name, ngx_str_t *value);
static ngx_int_t ngx_http_kafka_event_unquote(ngx_str_t *value);
static ngx_str_t *ngx_http_kafka_event_find(ngx_array_t *headers,
    ngx_str_t *name);
static ngx_int_t ngx_http_kafka_event_member(ngx_http_kafka_ctx_t *ctx,
    json_doc_t *doc, uint32_t token, ngx_str_t *value);
static ngx_int_t ngx_http_kafka_event_attribute(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_attribute_t *attribute, ngx_str_t *value);


/* CloudEvents, section "Context attributes" */
static ngx_http_kafka_attribute_t  ngx_http_kafka_attributes[] = {
    { ngx_string("id"), 1 },
    { ngx_string("source"), 1 },
    { ngx_string("specversion"), 1 },
    { ngx_string("type"), 1 },
    { ngx_string("datacontenttype"), 0 },
    { ngx_string("dataschema"), 0 },
    { ngx_string("subject"), 0 },
    { ngx_string("time"), 0 },
    { ngx_null_string, 0 }
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
    return !ngx_http_kafka_event_type(type)
           && (ctx->conf->format == NGX_HTTP_KAFKA_CLOUDEVENTS
               || ctx->named[NGX_HTTP_KAFKA_EVENT]);
}


ngx_int_t
ngx_http_kafka_event_headers(ngx_http_kafka_ctx_t *ctx, ngx_array_t *headers)
{
    ngx_uint_t                   n;
    ngx_table_elt_t             *h;
    ngx_http_request_t          *r;
    ngx_http_kafka_walk_t        walk;
    ngx_http_kafka_attribute_t  *a;

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

        if (ngx_http_kafka_event_header(ctx, headers, h) != NGX_OK) {
            return NGX_DECLINED;
        }
    }

    for (a = ngx_http_kafka_attributes; a->name.len; a++) {
        if (ngx_http_kafka_event_attribute(ctx, a,
                           ngx_http_kafka_event_find(headers, &a->name))
            != NGX_OK)
        {
            return NGX_DECLINED;
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


/* Adds "ce-name" as "ce_name"; each may come once. */
static ngx_int_t
ngx_http_kafka_event_header(ngx_http_kafka_ctx_t *ctx, ngx_array_t *headers,
    ngx_table_elt_t *h)
{
    ngx_str_t  name, value, attribute;

    value = h->value;
    name.len = h->key.len;

    name.data = ngx_pnalloc(ctx->request->pool, name.len + 1);
    if (name.data == NULL) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    if (ngx_http_kafka_event_name(name.data, &h->key) != NGX_OK) {
        return ngx_http_kafka_bad_header(&h->key, &ctx->problem);
    }

    attribute.data = name.data + 3;
    attribute.len = name.len - 3;

    if (ngx_http_kafka_event_find(headers, &attribute)) {
        return ngx_http_kafka_bad_header(&h->key, &ctx->problem);
    }

    if (ngx_http_kafka_event_value(ctx, &h->key, &value) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (ctx->common.key.data == NULL && value.len
        && ngx_http_kafka_is(&attribute, "partitionkey"))
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


/* Unquoted, then percent-decoded: HTTP binding, section 3.1.3.2. */
static ngx_int_t
ngx_http_kafka_event_value(ngx_http_kafka_ctx_t *ctx, ngx_str_t *name,
    ngx_str_t *value)
{
    u_char      *p, *last;
    const char  *wrong;

    if (value->len > NGX_HTTP_KAFKA_EVENT_VALUE) {
        return ngx_http_kafka_bad_header(name, &ctx->problem);
    }

    last = value->data + value->len;

    if (ngx_strlchr(value->data, last, '"') == NULL
        && ngx_strlchr(value->data, last, '%') == NULL)
    {
        return NGX_OK;
    }

    p = ngx_pnalloc(ctx->request->pool, value->len);
    if (p == NULL) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    ngx_memcpy(p, value->data, value->len);
    value->data = p;

    if (ngx_http_kafka_event_unquote(value) != NGX_OK) {
        wrong = "its quoted string does not end";

    } else if (ngx_http_kafka_percent_decode(value) != NGX_OK) {
        wrong = "its percent-encoding lacks two hexadecimal digits behind "
                "\"%\"";

    } else {
        return NGX_OK;
    }

    return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_BAD_HEADER,
                                 "The header \"%V\" cannot be kept: %s.",
                                 name, wrong);
}


/* Takes quoted strings (RFC 7230, section 3.2.6) out of their quotes. */
static ngx_int_t
ngx_http_kafka_event_unquote(ngx_str_t *value)
{
    u_char      *p, *src, *last;
    ngx_uint_t   quoted;

    p = value->data;
    last = p + value->len;
    quoted = 0;

    for (src = p; src < last; src++) {

        if (*src == '"') {
            quoted = !quoted;
            continue;
        }

        if (quoted && *src == '\\' && ++src == last) {
            return NGX_ERROR;
        }

        *p++ = *src;
    }

    value->len = p - value->data;

    return quoted ? NGX_ERROR : NGX_OK;
}


/* The value of attribute "name" among headers ce_*, or NULL. */
static ngx_str_t *
ngx_http_kafka_event_find(ngx_array_t *headers, ngx_str_t *name)
{
    ngx_uint_t           i;
    ngx_kafka_header_t  *h;

    h = headers->elts;

    for (i = 0; i < headers->nelts; i++) {
        if (h[i].name.len == name->len + 3
            && ngx_strncmp(h[i].name.data + 3, name->data, name->len) == 0)
        {
            return &h[i].value;
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_kafka_event_check(ngx_http_kafka_ctx_t *ctx, json_doc_t *doc,
    uint32_t root, uint32_t *data)
{
    uint32_t                     token;
    ngx_str_t                    value;
    ngx_http_kafka_attribute_t  *a;

    for (a = ngx_http_kafka_attributes; a->name.len; a++) {
        token = json_member(doc, root, (char *) a->name.data, a->name.len);

        if (ngx_http_kafka_event_member(ctx, doc, token, &value) != NGX_OK
            || ngx_http_kafka_event_attribute(ctx, a,
                                              value.data ? &value : NULL)
               != NGX_OK)
        {
            return NGX_DECLINED;
        }
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


/*
 * An attribute of an event as JSON: no data where there is none (null is the
 * same: JSON format, section 2.1), empty where it is no string.
 */
static ngx_int_t
ngx_http_kafka_event_member(ngx_http_kafka_ctx_t *ctx, json_doc_t *doc,
    uint32_t token, ngx_str_t *value)
{
    json_token_t  *t;

    ngx_str_null(value);

    t = token == JSON_NONE ? NULL : &doc->tokens[token];

    if (t == NULL || t->type == JSON_NULL) {
        return NGX_OK;
    }

    value->data = (u_char *) doc->text + t->start;

    if (t->type != JSON_STRING) {
        return NGX_OK;
    }

    value->len = t->end - t->start;

    if (!t->escaped) {
        return NGX_OK;
    }

    value->data = ngx_pnalloc(ctx->pool, value->len);
    if (value->data == NULL) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    value->len = json_unescape(doc, token, (char *) value->data);

    return NGX_OK;
}


/* Checks an attribute, whatever mode it came in; NULL: it is missing. */
static ngx_int_t
ngx_http_kafka_event_attribute(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_attribute_t *attribute, ngx_str_t *value)
{
    ngx_str_t  *name;

    name = &attribute->name;

    if (value ? value->len && (!ngx_http_kafka_is(name, "specversion")
                               || ngx_http_kafka_is(value, "1.0"))
              : !attribute->required)
    {
        return NGX_OK;
    }

    (void) ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_NOT_EVENT,
                                 "The attribute \"%s%V\" is missing or not "
                                 "what CloudEvents 1.0 asks for.",
                                 ngx_http_kafka_is_event(ctx) ? "" : "ce-",
                                 name);
    ctx->problem.keyword = (char *) name->data;

    return NGX_DECLINED;
}
