/* Reads a request's headers, and the directives that use variables. */

#include "http/ngx_http_kafka_request.h"
#include "http/ngx_http_kafka_events.h"
#include "http/ngx_http_kafka_headers.h"
#include "http/ngx_http_kafka_pass.h"
#include "http/ngx_http_kafka_rest.h"


#define NGX_HTTP_KAFKA_KEY_MAX        255     /* bytes of an idempotency key */
#define NGX_HTTP_KAFKA_TRACEPARENT    55      /* bytes of version 00 */
#define NGX_HTTP_KAFKA_TRACESTATE     512     /* bytes, as W3C asks for */

/* 9999-12-31T23:59:59.999Z, the last that ISO 8601 and SQL agree on */
#define NGX_HTTP_KAFKA_TIMESTAMP_MAX  253402300799999


typedef struct {
    ngx_str_t   type;
    ngx_uint_t  format;
} ngx_http_kafka_type_t;


static ngx_int_t ngx_http_kafka_value(ngx_http_kafka_ctx_t *ctx,
    ngx_http_complex_value_t *directive, ngx_str_t *value);
static void ngx_http_kafka_prefer_ack(ngx_http_kafka_ctx_t *ctx,
    ngx_str_t *wish);
static ngx_int_t ngx_http_kafka_numbers(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_milliseconds(ngx_str_t *text,
    int64_t *timestamp);
static ngx_int_t ngx_http_kafka_request_headers(ngx_http_kafka_ctx_t *ctx,
    ngx_array_t *headers);
static ngx_int_t ngx_http_kafka_location_headers(ngx_http_kafka_ctx_t *ctx,
    ngx_array_t *headers);
static ngx_int_t ngx_http_kafka_tracestate(ngx_http_kafka_ctx_t *ctx,
    ngx_array_t *headers);
static ngx_int_t ngx_http_kafka_traceparent(ngx_str_t *value);
static ngx_int_t ngx_http_kafka_idempotency(ngx_http_kafka_ctx_t *ctx,
    ngx_str_t *value);


static ngx_http_kafka_type_t  ngx_http_kafka_types[] = {
    { ngx_string("application/json"),         NGX_HTTP_KAFKA_JSON     },
    { ngx_string("application/x-ndjson"),     NGX_HTTP_KAFKA_NDJSON   },
    { ngx_string("application/ndjson"),       NGX_HTTP_KAFKA_NDJSON   },
    { ngx_string("application/jsonl"),        NGX_HTTP_KAFKA_NDJSON   },
    { ngx_string("application/x-jsonlines"),  NGX_HTTP_KAFKA_NDJSON   },
    { ngx_string("application/octet-stream"), NGX_HTTP_KAFKA_RAW      },
    { ngx_string("text/plain"),               NGX_HTTP_KAFKA_GUESS    },
    { ngx_string("application/cloudevents+json"),
      NGX_HTTP_KAFKA_CE_JSON },
    { ngx_string("application/cloudevents-batch+json"),
      NGX_HTTP_KAFKA_CE_BATCH },
    { ngx_null_string, 0 }
};


ngx_int_t
ngx_http_kafka_request_topic(ngx_http_kafka_ctx_t *ctx)
{
    ngx_int_t                i;
    ngx_str_t                name;
    ngx_kafka_conf_t        *kcf;
    ngx_kafka_topic_conf_t  *topic;

    kcf = ctx->conf->producer;
    i = ctx->conf->topic_index;

    if (ctx->rest) {
        name = ctx->rest->topic;
        i = ngx_kafka_conf_topic(kcf, &name);

    } else if (i == NGX_ERROR) {

        if (ngx_http_kafka_value(ctx, ctx->conf->topic, &name) != NGX_OK) {
            return NGX_DECLINED;
        }

        i = ngx_kafka_conf_topic(kcf, &name);
    }

    if (i == NGX_ERROR) {
        name.len = ngx_min(name.len, 250);
        return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_NO_TOPIC,
                                     "The topic \"%V\" is not declared.",
                                     &name);
    }

    topic = kcf->topics.elts;

    ctx->topic_index = i;
    ctx->topic = &topic[i];

    return NGX_OK;
}


ngx_int_t
ngx_http_kafka_request_format(ngx_http_kafka_ctx_t *ctx)
{
    ngx_str_t               type;
    ngx_table_elt_t        *h;
    ngx_http_kafka_type_t  *t;

    ctx->format = ctx->conf->format;

    if (ctx->rest) {
        return ngx_http_kafka_rest_format(ctx);
    }

    if (ctx->null) {
        ngx_str_null(&type);
        ctx->format = ctx->format >= NGX_HTTP_KAFKA_CLOUDEVENTS
                      && ngx_http_kafka_event_binary(ctx, &type)
                      ? NGX_HTTP_KAFKA_CE_BINARY : NGX_HTTP_KAFKA_RAW;
        return NGX_OK;
    }

    if (ctx->format < NGX_HTTP_KAFKA_CLOUDEVENTS) {
        ctx->batch = ctx->format == NGX_HTTP_KAFKA_NDJSON
                     || ctx->format == NGX_HTTP_KAFKA_ARRAY;
        return NGX_OK;
    }

    ngx_str_null(&type);
    h = ctx->request->headers_in.content_type;

    if (h) {
        type = h->value;
        ngx_http_kafka_cut_parameters(&type);
    }

    if (ngx_http_kafka_event_binary(ctx, &type)) {
        ctx->format = NGX_HTTP_KAFKA_CE_BINARY;
        return NGX_OK;
    }

    if (type.len == 0) {
        ctx->format = NGX_HTTP_KAFKA_GUESS;
        return NGX_OK;
    }

    for (t = ngx_http_kafka_types; t->type.len; t++) {
        if (ngx_http_kafka_equal(&type, t->type.data, t->type.len)) {
            ctx->format = t->format;
            ctx->batch = t->format == NGX_HTTP_KAFKA_NDJSON
                         || t->format == NGX_HTTP_KAFKA_CE_BATCH;
            return NGX_OK;
        }
    }

    /* RFC 6839, section 3.1; not for other media types of CloudEvents */

    if (type.len > 5
        && ngx_strncasecmp(type.data + type.len - 5, (u_char *) "+json", 5)
           == 0
        && !ngx_http_kafka_event_type(&type))
    {
        ctx->format = NGX_HTTP_KAFKA_JSON;
        return NGX_OK;
    }

    return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_TYPE);
}


/* RFC 7240, section 2: a list over several headers, names in any case. */
void
ngx_http_kafka_request_prefer(ngx_http_kafka_ctx_t *ctx)
{
    ngx_str_t               list, wish;
    ngx_uint_t              ack;
    ngx_table_elt_t        *h;
    ngx_http_kafka_walk_t   walk;

    ctx->wish = NGX_HTTP_KAFKA_CLIENT;

    ngx_http_kafka_walk_begin(&walk, ctx, NGX_HTTP_KAFKA_PREFER);

    while ((h = ngx_http_kafka_next_header(
                    &walk, &ngx_http_kafka_names[NGX_HTTP_KAFKA_PREFER])))
    {
        list = h->value;

        while (ngx_http_kafka_next_element(&list, &wish)) {
            ngx_http_kafka_cut_parameters(&wish);

            if (ngx_http_kafka_is(&wish, "respond-async")) {
                ctx->async = 1;

            } else if (ngx_http_kafka_is(&wish, "handling=lenient")
                       || ngx_http_kafka_is(&wish, "handling=\"lenient\""))
            {
                ctx->lenient = 1;

            } else if (ctx->wish == NGX_HTTP_KAFKA_CLIENT) {
                ngx_http_kafka_prefer_ack(ctx, &wish);
            }
        }
    }

    ack = ctx->conf->ack;

    if (ack == NGX_HTTP_KAFKA_CLIENT) {
        /* what is said more exactly counts */
        ctx->async &= ctx->wish == NGX_HTTP_KAFKA_CLIENT;
        ack = ctx->async ? NGX_HTTP_KAFKA_QUEUED : ctx->wish;

    } else {
        ctx->async = 0;
        ctx->wish = NGX_HTTP_KAFKA_CLIENT;
    }

    ctx->queued = ack == NGX_HTTP_KAFKA_QUEUED;
    ctx->stored = ack == NGX_HTTP_KAFKA_STORED;
}


/* "ack=" and a value; one that cannot be met is as if it were not there. */
static void
ngx_http_kafka_prefer_ack(ngx_http_kafka_ctx_t *ctx, ngx_str_t *wish)
{
    if (ngx_http_kafka_is(wish, "ack=queued")
        || ngx_http_kafka_is(wish, "ack=\"queued\""))
    {
        ctx->wish = NGX_HTTP_KAFKA_QUEUED;

    } else if (ngx_http_kafka_is(wish, "ack=delivered")
               || ngx_http_kafka_is(wish, "ack=\"delivered\""))
    {
        ctx->wish = NGX_HTTP_KAFKA_DELIVERED;

    } else if ((ngx_http_kafka_is(wish, "ack=stored")
                || ngx_http_kafka_is(wish, "ack=\"stored\""))
               && ctx->conf->producer->receipts)
    {
        ctx->wish = NGX_HTTP_KAFKA_STORED;
    }
}


ngx_uint_t
ngx_http_kafka_request_streams(ngx_http_kafka_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    if (r != r->main || r->request_body
        || r->http_version < NGX_HTTP_VERSION_11
        || ctx->coding != INFLATE_IDENTITY
        || (ctx->conf->decode && ctx->conf->decode->nelts)
        || ctx->conf->body || ctx->conf->producer->producer == NULL)
    {
        return 0;
    }

    return ctx->format == NGX_HTTP_KAFKA_NDJSON
           ? ctx->lenient
           : ctx->format == NGX_HTTP_KAFKA_REST_V3
             && r->headers_in.content_length_n == -1;
}


ngx_int_t
ngx_http_kafka_request_common(ngx_http_kafka_ctx_t *ctx)
{
    ngx_str_t                   key;
    ngx_uint_t                  event;
    ngx_array_t                 headers;
    ngx_http_kafka_loc_conf_t  *klcf;

    klcf = ctx->conf;

    ctx->common.topic = ctx->topic_index;
    ctx->common.partition = RD_KAFKA_PARTITION_UA;

    if (ngx_http_kafka_value(ctx, klcf->key, &key) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (key.len) {
        ctx->common.key = key;
    }

    if (ngx_http_kafka_numbers(ctx) != NGX_OK) {
        return NGX_DECLINED;
    }

    event = ctx->format == NGX_HTTP_KAFKA_CE_BINARY
            || ngx_http_kafka_is_event(ctx);

    if (klcf->headers == NULL && klcf->passed == NULL && !event
        && (!klcf->request_headers
            || (ctx->named[NGX_HTTP_KAFKA_TRACE] == NULL
                && ctx->named[NGX_HTTP_KAFKA_IDEMPOTENCY] == NULL)))
    {
        return NGX_OK;
    }

    if (ngx_array_init(&headers, ctx->request->pool, 4,
                       sizeof(ngx_kafka_header_t))
        != NGX_OK)
    {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    if ((event && ngx_http_kafka_event_headers(ctx, &headers) != NGX_OK)
        || ngx_http_kafka_request_headers(ctx, &headers) != NGX_OK
        || ngx_http_kafka_pass_headers(ctx, &headers) != NGX_OK
        || ngx_http_kafka_location_headers(ctx, &headers) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    ctx->common.headers = headers.elts;
    ctx->common.nheaders = headers.nelts;

    return NGX_OK;
}


/* The value of a directive for this request; empty if it is not given. */
static ngx_int_t
ngx_http_kafka_value(ngx_http_kafka_ctx_t *ctx,
    ngx_http_complex_value_t *directive, ngx_str_t *value)
{
    ngx_str_null(value);

    if (directive
        && ngx_http_complex_value(ctx->request, directive, value) != NGX_OK)
    {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    return NGX_OK;
}


/* "kafka_partition" and "kafka_timestamp"; an empty value sets nothing. */
static ngx_int_t
ngx_http_kafka_numbers(ngx_http_kafka_ctx_t *ctx)
{
    ngx_int_t  n;
    ngx_str_t  value;

    if (ngx_http_kafka_value(ctx, ctx->conf->partition, &value) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (value.len) {
        n = ngx_atoi(value.data, value.len);

        if (n == NGX_ERROR || n > NGX_MAX_INT32_VALUE) {
            return ngx_http_kafka_refuse(&ctx->problem,
                                         NGX_HTTP_KAFKA_BAD_PARTITION);
        }

        ctx->common.partition = (int32_t) n;
    }

    if (ngx_http_kafka_value(ctx, ctx->conf->timestamp, &value) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (value.len
        && ngx_http_kafka_milliseconds(&value, &ctx->common.timestamp)
           != NGX_OK)
    {
        /* each record is refused for it, as for one out of bounds */
        ctx->common.timestamp = NGX_KAFKA_BAD_TIMESTAMP;
    }

    return NGX_OK;
}


/* Milliseconds, or seconds with three decimals as $msec has them. */
static ngx_int_t
ngx_http_kafka_milliseconds(ngx_str_t *text, int64_t *timestamp)
{
    int64_t     value;
    ngx_uint_t  i;

    value = 0;

    for (i = 0; i < text->len; i++) {

        if (text->data[i] == '.' && i && i + 4 == text->len) {
            continue;
        }

        if (text->data[i] < '0' || text->data[i] > '9' || i >= 16) {
            return NGX_ERROR;
        }

        value = value * 10 + (text->data[i] - '0');
    }

    if (value < 1 || value > NGX_HTTP_KAFKA_TIMESTAMP_MAX) {
        return NGX_ERROR;
    }

    *timestamp = value;

    return NGX_OK;
}


/* Adds the headers of "kafka_header". */
static ngx_int_t
ngx_http_kafka_location_headers(ngx_http_kafka_ctx_t *ctx,
    ngx_array_t *headers)
{
    ngx_str_t                 value;
    ngx_uint_t                i;
    ngx_array_t              *own;
    ngx_http_kafka_header_t  *h;

    own = ctx->conf->headers;
    h = own ? own->elts : NULL;

    for (i = 0; own && i < own->nelts; i++) {

        if (ngx_http_kafka_value(ctx, &h[i].value, &value) != NGX_OK) {
            return NGX_DECLINED;
        }

        if (value.len
            && ngx_http_kafka_push_header(headers, &h[i].name, &value,
                                           &h[i].name, &ctx->problem)
               != NGX_OK)
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/*
 * Adds the headers of "kafka_request_headers": the trace (W3C Trace Context,
 * sections 3.2 and 3.3; a malformed one is left out) and the client's
 * idempotency key.
 */
static ngx_int_t
ngx_http_kafka_request_headers(ngx_http_kafka_ctx_t *ctx,
    ngx_array_t *headers)
{
    ngx_str_t        *name;
    ngx_table_elt_t  *h;

    if (!ctx->conf->request_headers) {
        return NGX_OK;
    }

    name = &ngx_http_kafka_names[NGX_HTTP_KAFKA_TRACE];
    h = ctx->named[NGX_HTTP_KAFKA_TRACE];

    if (h && ngx_http_kafka_traceparent(&h->value) == NGX_OK
        && (ngx_http_kafka_push_header(headers, name, &h->value, NULL,
                                       &ctx->problem)
            != NGX_OK
            || ngx_http_kafka_tracestate(ctx, headers) != NGX_OK))
    {
        return NGX_DECLINED;
    }

    name = &ngx_http_kafka_names[NGX_HTTP_KAFKA_IDEMPOTENCY];
    h = ctx->named[NGX_HTTP_KAFKA_IDEMPOTENCY];

    if (h == NULL) {
        return NGX_OK;
    }

    if (ngx_http_kafka_idempotency(ctx, &h->value) != NGX_OK) {
        return ngx_http_kafka_bad_header(name, &ctx->problem);
    }

    /* each record of a batch has a key of its own */

    return ctx->batch ? NGX_OK
                      : ngx_http_kafka_push_header(headers, name,
                                                   &ctx->idempotency_key,
                                                   NULL, &ctx->problem);
}


/* All its lines as one list; none if it is too long or not ASCII. */
static ngx_int_t
ngx_http_kafka_tracestate(ngx_http_kafka_ctx_t *ctx, ngx_array_t *headers)
{
    u_char                  buf[NGX_HTTP_KAFKA_TRACESTATE];
    size_t                  i, len;
    ngx_str_t               value;
    ngx_table_elt_t        *h;
    ngx_http_kafka_walk_t   walk;

    static ngx_str_t  state = ngx_string("tracestate");

    walk.part = &ctx->request->headers_in.headers.part;
    walk.i = 0;
    len = 0;

    while ((h = ngx_http_kafka_next_header(&walk, &state))) {

        if (len + (len != 0) + h->value.len > sizeof(buf)) {
            return NGX_OK;
        }

        if (len) {
            buf[len++] = ',';
        }

        ngx_memcpy(buf + len, h->value.data, h->value.len);
        len += h->value.len;
    }

    for (i = 0; i < len; i++) {
        if (buf[i] < ' ' || buf[i] > '~') {
            return NGX_OK;
        }
    }

    if (len == 0) {
        return NGX_OK;
    }

    value.len = len;
    value.data = ngx_pnalloc(ctx->pool, len);

    if (value.data == NULL) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    ngx_memcpy(value.data, buf, len);

    return ngx_http_kafka_push_header(headers, &state, &value, NULL,
                                      &ctx->problem);
}


/* "00-" 32 hex "-" 16 hex "-" 2 hex, lower case, neither id all zero. */
static ngx_int_t
ngx_http_kafka_traceparent(ngx_str_t *value)
{
    u_char      ch;
    ngx_uint_t  i, trace, parent;

    if (value->len != NGX_HTTP_KAFKA_TRACEPARENT
        || ngx_strncmp(value->data, "00-", 3) != 0)
    {
        return NGX_ERROR;
    }

    trace = 0;
    parent = 0;

    for (i = 3; i < value->len; i++) {
        ch = value->data[i];

        if (i == 35 || i == 52) {
            if (ch != '-') {
                return NGX_ERROR;
            }
            continue;
        }

        if ((ch < '0' || ch > '9') && (ch < 'a' || ch > 'f')) {
            return NGX_ERROR;
        }

        trace |= i < 35 && ch != '0';
        parent |= i > 35 && i < 52 && ch != '0';
    }

    return trace && parent ? NGX_OK : NGX_ERROR;
}


/*
 * A quoted string of RFC 8941, section 3.3.3, as the header's draft has it,
 * or bare, as most clients send it.
 */
static ngx_int_t
ngx_http_kafka_idempotency(ngx_http_kafka_ctx_t *ctx, ngx_str_t *value)
{
    u_char    *p;
    size_t     i;
    ngx_str_t  key;

    key = *value;

    if (key.len >= 2 && key.data[0] == '"'
        && key.data[key.len - 1] == '"')
    {
        key.data++;
        key.len -= 2;
    }

    if (key.len == 0 || key.len > NGX_HTTP_KAFKA_KEY_MAX) {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(ctx->request->pool, key.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->idempotency_key.data = p;

    for (i = 0; i < key.len; i++) {

        if (key.data[i] == '\\' && key.data != value->data) {
            i++;

            if (i == key.len
                || (key.data[i] != '"' && key.data[i] != '\\'))
            {
                return NGX_ERROR;
            }
        }

        if (key.data[i] < 0x20 || key.data[i] > 0x7e) {
            return NGX_ERROR;
        }

        *p++ = key.data[i];
    }

    ctx->idempotency_key.len = p - ctx->idempotency_key.data;

    return NGX_OK;
}
