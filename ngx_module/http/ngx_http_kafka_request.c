/* What a request's headers say of its records: format, wishes, headers. */

#include "http/ngx_http_kafka_module.h"


#define NGX_HTTP_KAFKA_VALUE_MAX      4096    /* bytes of a record header */
#define NGX_HTTP_KAFKA_CE_HEADERS     64      /* ce-* of one request */
#define NGX_HTTP_KAFKA_IDEMPOTENCY    255     /* bytes */
#define NGX_HTTP_KAFKA_TRACEPARENT    55      /* bytes of version 00 */

/* 9999-12-31T23:59:59.999Z, the last that ISO 8601 and SQL agree on */
#define NGX_HTTP_KAFKA_TIMESTAMP_MAX  253402300799999


typedef struct {
    ngx_str_t   type;
    ngx_uint_t  format;
} ngx_http_kafka_type_t;


typedef struct {
    ngx_list_part_t  *part;
    ngx_uint_t        i;
} ngx_http_kafka_walk_t;


static ngx_table_elt_t *ngx_http_kafka_next(ngx_http_kafka_walk_t *walk);
static ngx_table_elt_t *ngx_http_kafka_find(ngx_http_request_t *r,
    const char *name, size_t len);
static ngx_uint_t ngx_http_kafka_media_type(ngx_http_request_t *r,
    ngx_str_t *type);
static void ngx_http_kafka_preference(ngx_http_kafka_ctx_t *ctx,
    ngx_str_t *text);
static ngx_int_t ngx_http_kafka_common_number(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_loc_conf_t *klcf, ngx_http_kafka_problem_t *problem);
static ngx_int_t ngx_http_kafka_milliseconds(ngx_str_t *text,
    int64_t *timestamp);
static ngx_int_t ngx_http_kafka_common_headers(ngx_http_kafka_ctx_t *ctx,
    ngx_array_t *headers, ngx_http_kafka_problem_t *problem);
static ngx_int_t ngx_http_kafka_request_headers(ngx_http_kafka_ctx_t *ctx,
    ngx_array_t *headers, ngx_http_kafka_problem_t *problem);
static ngx_int_t ngx_http_kafka_traceparent(ngx_str_t *value);
static ngx_int_t ngx_http_kafka_idempotency(ngx_http_kafka_ctx_t *ctx,
    ngx_str_t *value);
static ngx_int_t ngx_http_kafka_event_headers(ngx_http_kafka_ctx_t *ctx,
    ngx_array_t *headers, ngx_http_kafka_problem_t *problem);
static ngx_int_t ngx_http_kafka_event_value(ngx_pool_t *pool,
    ngx_str_t *value);
static ngx_int_t ngx_http_kafka_push_header(ngx_array_t *headers,
    ngx_str_t *name, ngx_str_t *value);
static ngx_int_t ngx_http_kafka_bad_value(ngx_http_request_t *r,
    ngx_str_t *name, ngx_http_kafka_problem_t *problem);
static ngx_uint_t ngx_http_kafka_plain(ngx_str_t *value);


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


static ngx_str_t  ngx_http_kafka_content_type = ngx_string("content-type");


/* Header by header; "i" and "part" start at 0 and the list's first part. */
static ngx_table_elt_t *
ngx_http_kafka_next(ngx_http_kafka_walk_t *walk)
{
    ngx_table_elt_t  *h;

    while (walk->part && walk->i >= walk->part->nelts) {
        walk->part = walk->part->next;
        walk->i = 0;
    }

    if (walk->part == NULL) {
        return NULL;
    }

    h = walk->part->elts;

    return &h[walk->i++];
}


static ngx_table_elt_t *
ngx_http_kafka_find(ngx_http_request_t *r, const char *name, size_t len)
{
    ngx_table_elt_t        *h;
    ngx_http_kafka_walk_t   walk;

    walk.part = &r->headers_in.headers.part;
    walk.i = 0;

    while ((h = ngx_http_kafka_next(&walk))) {
        if (h->key.len == len
            && ngx_strncasecmp(h->key.data, (u_char *) name, len) == 0)
        {
            return h;
        }
    }

    return NULL;
}


/* Type and subtype, without parameters; 0: there is none. */
static ngx_uint_t
ngx_http_kafka_media_type(ngx_http_request_t *r, ngx_str_t *type)
{
    u_char  *p, *last;

    if (r->headers_in.content_type == NULL) {
        ngx_str_null(type);
        return 0;
    }

    *type = r->headers_in.content_type->value;
    last = type->data + type->len;

    for (p = type->data; p < last && *p != ';'; p++) { /* void */ }

    while (p > type->data && (p[-1] == ' ' || p[-1] == '\t')) {
        p--;
    }

    type->len = p - type->data;

    return type->len != 0;
}


ngx_int_t
ngx_http_kafka_request_format(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_problem_t *problem)
{
    ngx_str_t                   type;
    ngx_uint_t                  event;
    ngx_http_request_t         *r;
    ngx_http_kafka_type_t      *t;
    ngx_http_kafka_loc_conf_t  *klcf;

    r = ctx->request;
    klcf = ngx_http_get_module_loc_conf(r, ngx_http_kafka_module);

    ctx->format = klcf->format;

    if (klcf->format < NGX_HTTP_KAFKA_CLOUDEVENTS) {
        ctx->batch = klcf->format == NGX_HTTP_KAFKA_NDJSON
                     || klcf->format == NGX_HTTP_KAFKA_ARRAY;
        return NGX_OK;
    }

    /* CloudEvents HTTP protocol binding 1.0.2, section 3: by Content-Type */

    (void) ngx_http_kafka_media_type(r, &type);

    event = type.len >= sizeof("application/cloudevents") - 1
            && ngx_strncasecmp(type.data, (u_char *) "application/cloudevents",
                               sizeof("application/cloudevents") - 1)
               == 0;

    if (!event
        && (klcf->format == NGX_HTTP_KAFKA_CLOUDEVENTS
            || ngx_http_kafka_find(r, "ce-specversion",
                                   sizeof("ce-specversion") - 1)))
    {
        ctx->format = NGX_HTTP_KAFKA_CE_BINARY;
        return NGX_OK;
    }

    if (type.len == 0) {
        ctx->format = NGX_HTTP_KAFKA_GUESS;
        return NGX_OK;
    }

    for (t = ngx_http_kafka_types; t->type.len; t++) {
        if (t->type.len == type.len
            && ngx_strncasecmp(t->type.data, type.data, type.len) == 0)
        {
            ctx->format = t->format;
            ctx->batch = t->format == NGX_HTTP_KAFKA_NDJSON
                         || t->format == NGX_HTTP_KAFKA_CE_BATCH;
            return NGX_OK;
        }
    }

    /* RFC 6839, section 3.1 */

    if (!event && type.len > 5
        && ngx_strncasecmp(type.data + type.len - 5, (u_char *) "+json", 5)
           == 0)
    {
        ctx->format = NGX_HTTP_KAFKA_JSON;
        return NGX_OK;
    }

    problem->code = NGX_HTTP_KAFKA_TYPE;

    return NGX_DECLINED;
}


/* RFC 7240, section 2: a list over several headers, names in any case. */
void
ngx_http_kafka_request_prefer(ngx_http_kafka_ctx_t *ctx)
{
    ngx_table_elt_t        *h;
    ngx_http_kafka_walk_t   walk;

    walk.part = &ctx->request->headers_in.headers.part;
    walk.i = 0;

    while ((h = ngx_http_kafka_next(&walk))) {
        if (h->key.len == sizeof("Prefer") - 1
            && ngx_strncasecmp(h->key.data, (u_char *) "Prefer", h->key.len)
               == 0)
        {
            ngx_http_kafka_preference(ctx, &h->value);
        }
    }
}


static void
ngx_http_kafka_preference(ngx_http_kafka_ctx_t *ctx, ngx_str_t *text)
{
    u_char  *p, *start, *last, *end;
    size_t   len;

    p = text->data;
    last = p + text->len;

    while (p < last) {

        while (p < last && (*p == ' ' || *p == '\t' || *p == ',')) {
            p++;
        }

        start = p;

        while (p < last && *p != ',' && *p != ';') {
            p++;
        }

        end = p;

        /* parameters mean nothing here */
        while (p < last && *p != ',') {
            p++;
        }

        while (end > start && (end[-1] == ' ' || end[-1] == '\t')) {
            end--;
        }

        len = end - start;

        if (len == sizeof("respond-async") - 1
            && ngx_strncasecmp(start, (u_char *) "respond-async", len) == 0)
        {
            ctx->async = 1;
        }

        if ((len == sizeof("handling=lenient") - 1
             && ngx_strncasecmp(start, (u_char *) "handling=lenient", len)
                == 0)
            || (len == sizeof("handling=\"lenient\"") - 1
                && ngx_strncasecmp(start, (u_char *) "handling=\"lenient\"",
                                   len)
                   == 0))
        {
            ctx->lenient = 1;
        }
    }
}


ngx_int_t
ngx_http_kafka_request_common(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_problem_t *problem)
{
    ngx_str_t                   key;
    ngx_array_t                 headers;
    ngx_http_request_t         *r;
    ngx_http_kafka_loc_conf_t  *klcf;

    r = ctx->request;
    klcf = ngx_http_get_module_loc_conf(r, ngx_http_kafka_module);

    ctx->common.topic = ctx->topic_index;
    ctx->common.partition = RD_KAFKA_PARTITION_UA;

    if (klcf->key) {
        if (ngx_http_complex_value(r, klcf->key, &key) != NGX_OK) {
            return NGX_ERROR;
        }

        if (key.len) {
            ctx->common.key = key;
        }
    }

    if (ngx_http_kafka_common_number(ctx, klcf, problem) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (klcf->headers == NULL && !klcf->request_headers
        && ctx->format != NGX_HTTP_KAFKA_CE_BINARY
        && ctx->format != NGX_HTTP_KAFKA_CE_JSON
        && ctx->format != NGX_HTTP_KAFKA_CE_BATCH)
    {
        return NGX_OK;
    }

    if (ngx_array_init(&headers, r->pool, 4, sizeof(ngx_kafka_header_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_kafka_event_headers(ctx, &headers, problem) != NGX_OK
        || ngx_http_kafka_request_headers(ctx, &headers, problem) != NGX_OK
        || ngx_http_kafka_common_headers(ctx, &headers, problem) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    ctx->common.headers = headers.elts;
    ctx->common.nheaders = headers.nelts;

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_common_number(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_loc_conf_t *klcf, ngx_http_kafka_problem_t *problem)
{
    ngx_int_t            n;
    ngx_str_t            value;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (klcf->partition) {

        if (ngx_http_complex_value(r, klcf->partition, &value) != NGX_OK) {
            problem->code = NGX_HTTP_KAFKA_INTERNAL;
            return NGX_DECLINED;
        }

        if (value.len) {
            n = ngx_atoi(value.data, value.len);

            if (n == NGX_ERROR || n > NGX_MAX_INT32_VALUE) {
                problem->code = NGX_HTTP_KAFKA_BAD_PARTITION;
                return NGX_DECLINED;
            }

            ctx->common.partition = (int32_t) n;
        }
    }

    if (klcf->timestamp) {

        if (ngx_http_complex_value(r, klcf->timestamp, &value) != NGX_OK) {
            problem->code = NGX_HTTP_KAFKA_INTERNAL;
            return NGX_DECLINED;
        }

        if (value.len
            && ngx_http_kafka_milliseconds(&value, &ctx->common.timestamp)
               != NGX_OK)
        {
            problem->code = NGX_HTTP_KAFKA_BAD_TIMESTAMP;
            return NGX_DECLINED;
        }
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


static ngx_int_t
ngx_http_kafka_common_headers(ngx_http_kafka_ctx_t *ctx, ngx_array_t *headers,
    ngx_http_kafka_problem_t *problem)
{
    ngx_str_t                   value;
    ngx_uint_t                  i;
    ngx_http_kafka_header_t    *h;
    ngx_http_kafka_loc_conf_t  *klcf;

    klcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_kafka_module);

    if (klcf->headers == NULL) {
        return NGX_OK;
    }

    h = klcf->headers->elts;

    for (i = 0; i < klcf->headers->nelts; i++) {

        if (ngx_http_complex_value(ctx->request, &h[i].value, &value)
            != NGX_OK)
        {
            problem->code = NGX_HTTP_KAFKA_INTERNAL;
            return NGX_DECLINED;
        }

        if (value.len == 0) {
            continue;
        }

        if (!ngx_http_kafka_plain(&value)) {
            return ngx_http_kafka_bad_value(ctx->request, &h[i].name,
                                            problem);
        }

        if (ngx_http_kafka_push_header(headers, &h[i].name, &value)
            != NGX_OK)
        {
            problem->code = NGX_HTTP_KAFKA_INTERNAL;
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/*
 * What travels without being named: the trace (W3C Trace Context, section
 * 3.2; one that is malformed is not passed on), the client's idempotency key
 * and nginx's id of the request.
 */
static ngx_int_t
ngx_http_kafka_request_headers(ngx_http_kafka_ctx_t *ctx,
    ngx_array_t *headers, ngx_http_kafka_problem_t *problem)
{
    ngx_str_t                   name;
    ngx_table_elt_t            *h;
    ngx_http_request_t         *r;
    ngx_http_variable_value_t  *vv;
    ngx_http_kafka_loc_conf_t  *klcf;

    r = ctx->request;
    klcf = ngx_http_get_module_loc_conf(r, ngx_http_kafka_module);

    if (!klcf->request_headers) {
        return NGX_OK;
    }

    h = ngx_http_kafka_find(r, "traceparent", sizeof("traceparent") - 1);

    if (h && ngx_http_kafka_traceparent(&h->value) == NGX_OK) {
        ngx_str_set(&name, "traceparent");

        if (ngx_http_kafka_push_header(headers, &name, &h->value) != NGX_OK) {
            goto failed;
        }
    }

    h = ngx_http_kafka_find(r, "Idempotency-Key",
                            sizeof("Idempotency-Key") - 1);

    if (h) {
        ngx_str_set(&name, "idempotency-key");

        if (ngx_http_kafka_idempotency(ctx, &h->value) != NGX_OK) {
            return ngx_http_kafka_bad_value(r, &name, problem);
        }

        /* in a batch each record has its own: see ngx_http_kafka_record() */

        if (!ctx->batch
            && ngx_http_kafka_push_header(headers, &name,
                                          &ctx->idempotency_key)
               != NGX_OK)
        {
            goto failed;
        }
    }

    vv = ngx_http_kafka_request_id(r);

    if (vv && !vv->not_found && vv->valid) {
        ngx_str_t  value = { vv->len, vv->data };

        ngx_str_set(&name, "request-id");

        if (ngx_http_kafka_push_header(headers, &name, &value) != NGX_OK) {
            goto failed;
        }
    }

    return NGX_OK;

failed:

    problem->code = NGX_HTTP_KAFKA_INTERNAL;

    return NGX_DECLINED;
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

    if (key.len == 0 || key.len > NGX_HTTP_KAFKA_IDEMPOTENCY) {
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


/*
 * CloudEvents 1.0.2: HTTP binding, section 3.1.3 (ce-* headers) to Kafka
 * binding, section 3.2.3 (ce_* headers, content-type as it is).
 */
static ngx_int_t
ngx_http_kafka_event_headers(ngx_http_kafka_ctx_t *ctx, ngx_array_t *headers,
    ngx_http_kafka_problem_t *problem)
{
    u_char                 *p;
    ngx_str_t               name, value;
    ngx_uint_t              i, n, found;
    ngx_table_elt_t        *h;
    ngx_http_request_t     *r;
    ngx_http_kafka_walk_t   walk;

    static ngx_str_t  needed[] = {
        ngx_string("ce_id"), ngx_string("ce_source"),
        ngx_string("ce_specversion"), ngx_string("ce_type")
    };

    r = ctx->request;

    if (ctx->format == NGX_HTTP_KAFKA_CE_JSON
        || ctx->format == NGX_HTTP_KAFKA_CE_BATCH)
    {
        ngx_str_set(&value, "application/cloudevents+json; charset=UTF-8");
        return ngx_http_kafka_push_header(headers,
                                          &ngx_http_kafka_content_type,
                                          &value);
    }

    if (ctx->format != NGX_HTTP_KAFKA_CE_BINARY) {
        return NGX_OK;
    }

    walk.part = &r->headers_in.headers.part;
    walk.i = 0;
    found = 0;
    n = 0;

    while ((h = ngx_http_kafka_next(&walk))) {

        if (h->key.len < 4
            || ngx_strncasecmp(h->key.data, (u_char *) "ce-", 3) != 0)
        {
            continue;
        }

        name.len = h->key.len;
        name.data = ngx_pnalloc(r->pool, name.len + 1);
        if (name.data == NULL) {
            problem->code = NGX_HTTP_KAFKA_INTERNAL;
            return NGX_DECLINED;
        }

        ngx_strlow(name.data, h->key.data, h->key.len);
        name.data[2] = '_';
        name.data[name.len] = '\0';

        for (p = name.data + 3; p < name.data + name.len; p++) {
            if ((*p < 'a' || *p > 'z') && (*p < '0' || *p > '9')) {
                return ngx_http_kafka_bad_value(r, &h->key, problem);
            }
        }

        value = h->value;

        if (++n > NGX_HTTP_KAFKA_CE_HEADERS || value.len == 0
            || ngx_http_kafka_event_value(r->pool, &value) != NGX_OK
            || !ngx_http_kafka_plain(&value))
        {
            return ngx_http_kafka_bad_value(r, &h->key, problem);
        }

        for (i = 0; i < 4; i++) {
            if (needed[i].len == name.len
                && ngx_strncmp(needed[i].data, name.data, name.len) == 0)
            {
                if (found & (1 << i)) {
                    return ngx_http_kafka_bad_value(r, &h->key, problem);
                }

                found |= 1 << i;
            }
        }

        if (name.len == sizeof("ce_partitionkey") - 1
            && ngx_strncmp(name.data, "ce_partitionkey", name.len) == 0
            && ctx->common.key.data == NULL)
        {
            ctx->common.key = value;
        }

        if (ngx_http_kafka_push_header(headers, &name, &value) != NGX_OK) {
            problem->code = NGX_HTTP_KAFKA_INTERNAL;
            return NGX_DECLINED;
        }
    }

    for (i = 0; i < 4; i++) {
        if (!(found & (1 << i))) {
            problem->code = NGX_HTTP_KAFKA_NOT_EVENT;
            ngx_http_kafka_detail(r, problem, "The header \"ce-%s\" is "
                                  "missing.", needed[i].data + 3);
            return NGX_DECLINED;
        }
    }

    if (r->headers_in.content_type == NULL) {
        return NGX_OK;
    }

    value = r->headers_in.content_type->value;

    if (!ngx_http_kafka_plain(&value)) {
        return ngx_http_kafka_bad_value(r, &ngx_http_kafka_content_type,
                                        problem);
    }

    return ngx_http_kafka_push_header(headers, &ngx_http_kafka_content_type,
                                      &value);
}


/* Percent-decoded: HTTP binding, section 3.1.3.2. */
static ngx_int_t
ngx_http_kafka_event_value(ngx_pool_t *pool, ngx_str_t *value)
{
    u_char     *p, *src, *last;
    ngx_int_t   n;

    if (value->len > NGX_HTTP_KAFKA_VALUE_MAX) {
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


static ngx_int_t
ngx_http_kafka_push_header(ngx_array_t *headers, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_kafka_header_t  *h;

    h = ngx_array_push(headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->name = *name;
    h->value = *value;

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_bad_value(ngx_http_request_t *r, ngx_str_t *name,
    ngx_http_kafka_problem_t *problem)
{
    problem->code = NGX_HTTP_KAFKA_BAD_HEADER;
    ngx_http_kafka_detail(r, problem, "The header \"%V\" cannot be kept: it "
                          "is malformed, repeated or too long.", name);

    return NGX_DECLINED;
}


/* UTF-8 without control characters, of a bounded length. */
static ngx_uint_t
ngx_http_kafka_plain(ngx_str_t *value)
{
    u_char    *p, *last;
    uint32_t   c;

    if (value->len > NGX_HTTP_KAFKA_VALUE_MAX) {
        return 0;
    }

    p = value->data;
    last = p + value->len;

    while (p < last) {

        if (*p < 0x80) {
            if ((*p < 0x20 && *p != '\t') || *p == 0x7f) {
                return 0;
            }

            p++;
            continue;
        }

        c = ngx_utf8_decode(&p, last - p);

        if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
            return 0;
        }
    }

    return 1;
}
