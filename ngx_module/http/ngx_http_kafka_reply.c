/* Answers: success bodies, problem+json (RFC 9457). */

#include "http/ngx_http_kafka_module.h"


/* bytes of a problem without its results: three texts, escaped six-fold */
#define NGX_HTTP_KAFKA_BODY_MAX      8192

#define NGX_HTTP_KAFKA_MULTI_STATUS  207     /* RFC 4918, section 13 */


static ngx_int_t ngx_http_kafka_reply_kept(ngx_http_kafka_ctx_t *ctx,
    ngx_uint_t status);
static ngx_int_t ngx_http_kafka_reply_invalid(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_reply_failed(ngx_http_kafka_ctx_t *ctx,
    ngx_uint_t possibly, ngx_http_kafka_problem_t *first);
static ngx_int_t ngx_http_kafka_problem(ngx_http_request_t *r,
    ngx_http_kafka_problem_t *problem, ngx_str_t *results);
static ngx_int_t ngx_http_kafka_preferences(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_allow(ngx_http_request_t *r);
static ngx_uint_t ngx_http_kafka_intercepted(ngx_http_request_t *r,
    ngx_uint_t status);
static ngx_int_t ngx_http_kafka_retry_after(ngx_http_request_t *r,
    ngx_uint_t seconds);
static ngx_int_t ngx_http_kafka_success(ngx_http_request_t *r,
    ngx_uint_t status, ngx_str_t *body);
static void ngx_http_kafka_log_problem(ngx_http_request_t *r,
    ngx_http_kafka_problem_t *problem);
static u_char *ngx_http_kafka_member(u_char *p, u_char *last, char *name,
    const u_char *value, size_t len);


static ngx_str_t  ngx_http_kafka_json_type = ngx_string("application/json");
static ngx_str_t  ngx_http_kafka_problem_type =
    ngx_string("application/problem+json");


ngx_int_t
ngx_http_kafka_reply(ngx_http_kafka_ctx_t *ctx)
{
    ngx_uint_t                 i, kept, sent, maybe;
    ngx_http_kafka_item_t     *item;
    ngx_http_kafka_problem_t  *first;

    item = ctx->items.elts;
    kept = 0;
    sent = 0;
    maybe = 0;
    first = NULL;

    for (i = 0; i < ctx->items.nelts; i++) {

        switch (item[i].state) {

        case NGX_HTTP_KAFKA_KEPT:
            kept++;
            break;

        case NGX_HTTP_KAFKA_SENT:
            sent++;
            break;

        case NGX_HTTP_KAFKA_WAITING:
            /* good, but not sent for the sake of the others */
            break;

        default:
            first = first ? first : item[i].problem;
            maybe += item[i].problem->code == NGX_HTTP_KAFKA_MAYBE_DELIVERED
                     || item[i].problem->code == NGX_HTTP_KAFKA_NO_REPORT;
            break;
        }
    }

    if (ngx_http_kafka_preferences(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (first == NULL) {
        return ngx_http_kafka_reply_kept(ctx, kept ? NGX_HTTP_OK
                                                   : NGX_HTTP_ACCEPTED);
    }

    if (kept + sent == 0 && ctx->invalid) {
        return ngx_http_kafka_reply_invalid(ctx);
    }

    if (ctx->lenient && kept + sent) {
        return ngx_http_kafka_reply_kept(ctx, NGX_HTTP_KAFKA_MULTI_STATUS);
    }

    return ngx_http_kafka_reply_failed(ctx, kept + sent + maybe, first);
}


static ngx_int_t
ngx_http_kafka_reply_kept(ngx_http_kafka_ctx_t *ctx, ngx_uint_t status)
{
    u_char                  buf[512], *p;
    ngx_str_t               body, results, *topic;
    ngx_http_kafka_item_t  *item;

    /* a topic's name needs no escaping */

    topic = &ctx->topic->name;
    item = ctx->items.elts;

    if (ctx->batch) {
        results = ngx_http_kafka_results(ctx, 0);

        if (results.data == NULL) {
            return NGX_ERROR;
        }

        body.len = sizeof("{\"topic\":\"\",}\n") - 1 + topic->len
                   + results.len;
        body.data = ngx_pnalloc(ctx->request->pool, body.len);
        if (body.data == NULL) {
            return NGX_ERROR;
        }

        p = ngx_sprintf(body.data, "{\"topic\":\"%V\",", topic);
        p = ngx_cpymem(p, results.data, results.len);
        p = ngx_cpymem(p, "}\n", 2);

        body.len = p - body.data;

        return ngx_http_kafka_success(ctx->request, status, &body);
    }

    if (item->dead) {
        topic = ngx_http_kafka_dead_letter(ctx);
    }

    p = buf;

    ngx_http_kafka_add(p, "{\"topic\":\"");
    p = ngx_cpymem(p, topic->data, topic->len);
    *p++ = '"';

    if (status == NGX_HTTP_ACCEPTED) {
        ngx_http_kafka_add(p, ",\"queued\":true");

    } else {
        p = ngx_http_kafka_place(p, item);
    }

    if (item->dead) {
        p = ngx_slprintf(p, buf + sizeof(buf), ",\"dead_letter\":\"%s\"",
                         ngx_http_kafka_meaning(item->problem->code)->code);
    }

    p = ngx_slprintf(p, buf + sizeof(buf), "}\n");

    body.data = buf;
    body.len = p - buf;

    return ngx_http_kafka_success(ctx->request, status, &body);
}


ngx_str_t *
ngx_http_kafka_dead_letter(ngx_http_kafka_ctx_t *ctx)
{
    ngx_kafka_topic_conf_t     *topic;
    ngx_http_kafka_loc_conf_t  *klcf;

    klcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_kafka_module);
    topic = klcf->producer->topics.elts;

    return &topic[klcf->dead_index].name;
}


/* Nothing was sent; of several, the first bad one gives the status. */
static ngx_int_t
ngx_http_kafka_reply_invalid(ngx_http_kafka_ctx_t *ctx)
{
    ngx_str_t                  results;
    ngx_uint_t                 i;
    ngx_http_kafka_item_t     *item;
    ngx_http_kafka_problem_t   problem;

    item = ctx->items.elts;

    for (i = 0; item[i].state != NGX_HTTP_KAFKA_FAILED; i++) { /* void */ }

    if (!ctx->batch) {
        return ngx_http_kafka_problem(ctx->request, item[i].problem, NULL);
    }

    ngx_memzero(&problem, sizeof(ngx_http_kafka_problem_t));

    problem.code = item[i].problem->code;
    ngx_http_kafka_detail(ctx->request, &problem, "%ui of %ui records are "
                          "bad, the first at index %ui; none was kept.",
                          ctx->invalid, ctx->items.nelts, i);

    results = ngx_http_kafka_results(ctx, 1);
    if (results.data == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_kafka_problem(ctx->request, &problem, &results);
}


static ngx_int_t
ngx_http_kafka_reply_failed(ngx_http_kafka_ctx_t *ctx, ngx_uint_t possibly,
    ngx_http_kafka_problem_t *first)
{
    ngx_str_t                  results;
    ngx_http_kafka_problem_t   problem;

    if (!ctx->batch) {
        return ngx_http_kafka_problem(ctx->request, first, NULL);
    }

    ngx_memzero(&problem, sizeof(ngx_http_kafka_problem_t));

    problem.code = possibly ? NGX_HTTP_KAFKA_MAYBE_DELIVERED : first->code;
    ngx_http_kafka_detail(ctx->request, &problem, "Not all of the %ui "
                          "records were kept; results says which.",
                          ctx->items.nelts);

    results = ngx_http_kafka_results(ctx, 0);
    if (results.data == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_kafka_problem(ctx->request, &problem, &results);
}


ngx_int_t
ngx_http_kafka_reply_options(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_kafka_allow(r) != NGX_OK) {
        return NGX_ERROR;
    }

    r->headers_out.status = NGX_HTTP_NO_CONTENT;
    r->header_only = 1;

    return ngx_http_send_header(r);
}


static ngx_int_t
ngx_http_kafka_allow(ngx_http_request_t *r)
{
    ngx_http_kafka_loc_conf_t  *klcf;

    static ngx_str_t  all = ngx_string("GET, POST, PUT, OPTIONS");
    static ngx_str_t  most = ngx_string("POST, PUT, OPTIONS");

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_kafka_module);

    return ngx_http_kafka_header(r, "Allow", klcf->body ? &all : &most);
}


/* RFC 7240, section 3. */
static ngx_int_t
ngx_http_kafka_preferences(ngx_http_kafka_ctx_t *ctx)
{
    ngx_str_t                   value;
    ngx_uint_t                  async;
    ngx_http_kafka_loc_conf_t  *klcf;

    klcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_kafka_module);
    async = ctx->async && klcf->ack == NGX_HTTP_KAFKA_CLIENT;

    if (ctx->lenient) {
        ngx_str_set(&value, "handling=lenient, respond-async");
        value.len -= async ? 0 : sizeof(", respond-async") - 1;

    } else if (async) {
        ngx_str_set(&value, "respond-async");

    } else {
        return NGX_OK;
    }

    return ngx_http_kafka_header(ctx->request, "Preference-Applied", &value);
}


static ngx_int_t
ngx_http_kafka_success(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *body)
{
    ngx_str_t                   fixed, *type;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_kafka_loc_conf_t  *klcf;

    ngx_http_kafka_count(ngx_http_get_module_ctx(r, ngx_http_kafka_module),
                         status == NGX_HTTP_OK ? NGX_HTTP_KAFKA_COUNT_KEPT
                         : status == NGX_HTTP_ACCEPTED
                         ? NGX_HTTP_KAFKA_COUNT_QUEUED
                         : NGX_HTTP_KAFKA_COUNT_PARTLY);

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_kafka_module);

    if (klcf->response == NULL) {
        return ngx_http_kafka_send(r, status, &ngx_http_kafka_json_type, body);
    }

    if (ngx_http_complex_value(r, klcf->response, &fixed) != NGX_OK) {
        return NGX_ERROR;
    }

    /* "default_type" says another one; nginx's own default is text/plain */

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    type = &clcf->default_type;

    if (type->len == sizeof("text/plain") - 1
        && ngx_strncmp(type->data, "text/plain", type->len) == 0)
    {
        type = &ngx_http_kafka_json_type;
    }

    return ngx_http_kafka_send(r, status, type, &fixed);
}


ngx_int_t
ngx_http_kafka_reply_problem(ngx_http_request_t *r,
    ngx_http_kafka_problem_t *problem)
{
    return ngx_http_kafka_problem(r, problem, NULL);
}


static ngx_int_t
ngx_http_kafka_problem(ngx_http_request_t *r,
    ngx_http_kafka_problem_t *problem, ngx_str_t *results)
{
    u_char                          *buf, *p, *last;
    size_t                           size;
    ngx_str_t                        body;
    ngx_uint_t                       retry;
    ngx_http_kafka_ctx_t            *ctx;
    const ngx_http_kafka_meaning_t  *m;

    ngx_http_kafka_log_problem(r, problem);

    ctx = ngx_http_get_module_ctx(r, ngx_http_kafka_module);
    ctx->error = problem->code;

    ngx_http_kafka_count(ctx, problem->code);

    m = ngx_http_kafka_meaning(problem->code);

    retry = problem->retry ? problem->retry : m->retry;

    if (retry && ngx_http_kafka_retry_after(r, retry) != NGX_OK) {
        return NGX_ERROR;
    }

    if (problem->code == NGX_HTTP_KAFKA_METHOD
        && ngx_http_kafka_allow(r) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (problem->code == NGX_HTTP_KAFKA_ENCODING
        && ngx_http_kafka_accept_encoding(r) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_kafka_intercepted(r, m->status)) {
        return ngx_http_kafka_keep_ctx(ctx) == NGX_OK ? (ngx_int_t) m->status
                                                      : NGX_ERROR;
    }

    size = NGX_HTTP_KAFKA_BODY_MAX + (results ? results->len : 0);

    buf = ngx_pnalloc(r->pool, size);
    if (buf == NULL) {
        return NGX_ERROR;
    }

    last = buf + size;

    p = ngx_slprintf(buf, last,
                     "{\"type\":\"urn:sluice:problem:%s\",\"title\":\"%s\","
                     "\"status\":%ui,\"persisted\":\"%s\"",
                     m->code, m->title, m->status, m->persisted);

    if (problem->detail.len == 0) {
        p = ngx_http_kafka_member(p, last, "detail", (u_char *) m->title,
                                  ngx_strlen(m->title));
    }

    p = ngx_http_kafka_members(p, last, problem);

    p = ngx_http_kafka_member(p, last, "remedy", (u_char *) m->remedy,
                              ngx_strlen(m->remedy));

    if (results) {
        p = ngx_slprintf(p, last, ",%V", results);
    }

    p = ngx_slprintf(p, last, "}\n");

    body.data = buf;
    body.len = p - buf;

    return ngx_http_kafka_send(r, m->status, &ngx_http_kafka_problem_type,
                               &body);
}


u_char *
ngx_http_kafka_members(u_char *p, u_char *last,
    ngx_http_kafka_problem_t *problem)
{
    if (problem->detail.len) {
        p = ngx_http_kafka_member(p, last, "detail", problem->detail.data,
                                  problem->detail.len);
    }

    if (problem->pointer) {
        p = ngx_http_kafka_member(p, last, "pointer",
                                  (u_char *) problem->pointer,
                                  ngx_strlen(problem->pointer));
    }

    if (problem->keyword) {
        p = ngx_http_kafka_member(p, last, "keyword",
                                  (u_char *) problem->keyword,
                                  ngx_strlen(problem->keyword));
    }

    return p;
}


/* As proxy_intercept_errors: only where error_page has something to say. */
static ngx_uint_t
ngx_http_kafka_intercepted(ngx_http_request_t *r, ngx_uint_t status)
{
    ngx_uint_t                  i;
    ngx_http_err_page_t        *page;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_kafka_loc_conf_t  *klcf;

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_kafka_module);
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (!klcf->intercept_errors || clcf->error_pages == NULL) {
        return 0;
    }

    page = clcf->error_pages->elts;

    for (i = 0; i < clcf->error_pages->nelts; i++) {
        if (page[i].status == (ngx_int_t) status) {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_http_kafka_header(ngx_http_request_t *r, char *name, ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value = *value;

    return NGX_OK;
}


_Static_assert(NGX_HTTP_KAFKA_COUNTS <= NGX_KAFKA_REQUESTS,
               "NGX_KAFKA_REQUESTS in ngx_kafka_counters.h is too small");


void
ngx_http_kafka_count(ngx_http_kafka_ctx_t *ctx, ngx_uint_t number)
{
    ngx_kafka_topic_counts_t   *counts;
    ngx_http_kafka_loc_conf_t  *klcf;

    klcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_kafka_module);

    counts = ctx->topic ? ctx->topic->counts : &klcf->producer->counts->other;

    (void) ngx_atomic_fetch_add(&counts->requests[number], 1);
}


static ngx_int_t
ngx_http_kafka_retry_after(ngx_http_request_t *r, ngx_uint_t seconds)
{
    ngx_str_t  value;

    value.data = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    value.len = ngx_sprintf(value.data, "%ui", seconds) - value.data;

    return ngx_http_kafka_header(r, "Retry-After", &value);
}


ngx_int_t
ngx_http_kafka_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_str_t *body)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    if (ngx_http_discard_request_body(r) != NGX_OK) {
        r->keepalive = 0;
    }

    /* neither error_page nor a condition (If-Match) changes what was done */
    r->err_status = 0;
    r->disable_not_modified = 1;

    r->headers_out.status = status;
    r->headers_out.content_length_n = body->len;
    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;
    r->headers_out.content_type_lowcase = NULL;

    if (body->len == 0) {
        r->header_only = 1;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b = ngx_create_temp_buf(r->pool, body->len);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->last = ngx_cpymem(b->last, body->data, body->len);
    b->last_buf = (r == r->main);
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


/*
 * One line a second and kind of error of ours, one a request of a client's;
 * never a byte of the client's.
 */
static void
ngx_http_kafka_log_problem(ngx_http_request_t *r,
    ngx_http_kafka_problem_t *problem)
{
    static time_t      second[NGX_HTTP_KAFKA_NO_ERROR];
    static ngx_uint_t  more[NGX_HTTP_KAFKA_NO_ERROR];

    const ngx_http_kafka_meaning_t  *m;

    m = ngx_http_kafka_meaning(problem->code);

    if (m->status < 500) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "kafka [%s] %s", m->code, m->title);
        return;
    }

    if (second[problem->code] == ngx_time()) {
        more[problem->code]++;
        return;
    }

    /* here the detail is ours: librdkafka's reason or none */

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "kafka [%s] %s%s%V; %ui more since the last such line",
                  m->code, m->title, problem->detail.len ? ": " : "",
                  &problem->detail, more[problem->code]);

    second[problem->code] = ngx_time();
    more[problem->code] = 0;
}


static u_char *
ngx_http_kafka_member(u_char *p, u_char *last, char *name,
    const u_char *value, size_t len)
{
    p = ngx_slprintf(p, last, ",\"%s\":\"", name);
    p = ngx_http_kafka_escape(p, last, value, len);

    return ngx_slprintf(p, last, "\"");
}


u_char *
ngx_http_kafka_escape(u_char *p, u_char *last, const u_char *text, size_t len)
{
    size_t         n;
    u_char        *s;
    uint32_t       c;
    const u_char  *end;

    end = text + len;

    while (text < end && last - p > 6) {

        if (*text == '"' || *text == '\\') {
            *p++ = '\\';
            *p++ = *text++;
            continue;
        }

        if (*text < 0x20 || *text == 0x7f) {
            p = ngx_slprintf(p, last, "\\u%04xd", (int) *text++);
            continue;
        }

        if (*text < 0x80) {
            *p++ = *text++;
            continue;
        }

        s = (u_char *) text;

        c = ngx_utf8_decode(&s, end - text);

        if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
            p = ngx_slprintf(p, last, "\\ufffd");
            text++;
            continue;
        }

        n = s - text;
        p = ngx_cpymem(p, text, n);
        text += n;
    }

    return p;
}
