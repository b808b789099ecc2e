/* Headers of requests, answers and records; the body of an answer. */

#include "http/ngx_http_kafka_headers.h"


#define NGX_HTTP_KAFKA_VALUE_MAX  4096      /* bytes of a record's header */


static void ngx_http_kafka_trim(ngx_str_t *value);
static ngx_uint_t ngx_http_kafka_plain(ngx_str_t *value);


ngx_str_t  ngx_http_kafka_names[NGX_HTTP_KAFKA_NAMES] = {
    ngx_string("prefer"),
    ngx_string("traceparent"),
    ngx_string("ce-specversion"),
    ngx_string("idempotency-key"),
    ngx_string("content-encoding")
};


ngx_table_elt_t *
ngx_http_kafka_next_header(ngx_http_kafka_walk_t *walk, ngx_str_t *name)
{
    ngx_table_elt_t  *h;

    for ( /* void */ ; walk->part; walk->part = walk->part->next) {

        while (walk->i < walk->part->nelts) {
            h = (ngx_table_elt_t *) walk->part->elts + walk->i++;

            if (name == NULL
                || ngx_http_kafka_equal(&h->key, name->data, name->len))
            {
                return h;
            }
        }

        walk->i = 0;
    }

    return NULL;
}


void
ngx_http_kafka_find_headers(ngx_http_request_t *r, ngx_table_elt_t **found)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *last;

    part = &r->headers_in.headers.part;
    h = part->elts;
    last = h + part->nelts;

    for ( ;; h++) {

        if (h == last) {
            part = part->next;

            if (part == NULL) {
                return;
            }

            h = part->elts;
            last = h + part->nelts;
        }

        switch (h->key.len) {

        case sizeof("Prefer") - 1:
            i = NGX_HTTP_KAFKA_PREFER;
            break;

        case sizeof("traceparent") - 1:
            i = NGX_HTTP_KAFKA_TRACE;
            break;

        case sizeof("ce-specversion") - 1:
            i = NGX_HTTP_KAFKA_EVENT;
            break;

        case sizeof("Idempotency-Key") - 1:
            i = NGX_HTTP_KAFKA_IDEMPOTENCY;
            break;

        case sizeof("Content-Encoding") - 1:
            i = NGX_HTTP_KAFKA_CODING;
            break;

        default:
            continue;
        }

        if (found[i] == NULL
            && (h->key.data[0] | 0x20) == ngx_http_kafka_names[i].data[0]
            && ngx_strncasecmp(h->key.data, ngx_http_kafka_names[i].data,
                               h->key.len)
               == 0)
        {
            found[i] = h;
        }
    }
}


ngx_uint_t
ngx_http_kafka_next_element(ngx_str_t *list, ngx_str_t *element)
{
    u_char  *last, *end;

    last = list->data + list->len;

    while (list->data < last) {

        end = ngx_strlchr(list->data, last, ',');
        if (end == NULL) {
            end = last;
        }

        element->data = list->data;
        element->len = end - list->data;
        ngx_http_kafka_trim(element);

        list->data = ngx_min(end + 1, last);
        list->len = last - list->data;

        if (element->len) {
            return 1;
        }
    }

    return 0;
}


void
ngx_http_kafka_cut_parameters(ngx_str_t *value)
{
    u_char  *p;

    p = ngx_strlchr(value->data, value->data + value->len, ';');

    if (p) {
        value->len = p - value->data;
    }

    ngx_http_kafka_trim(value);
}


/* Cuts optional white space off (RFC 9110, section 5.6.3). */
static void
ngx_http_kafka_trim(ngx_str_t *value)
{
    while (value->len && (value->data[0] == ' ' || value->data[0] == '\t')) {
        value->data++;
        value->len--;
    }

    while (value->len && (value->data[value->len - 1] == ' '
                          || value->data[value->len - 1] == '\t'))
    {
        value->len--;
    }
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


void
ngx_http_kafka_end_expect(ngx_http_request_t *r)
{
    if (!r->expect_tested && r->headers_in.expect && r->request_body == NULL) {
        r->expect_tested = 1;
        r->keepalive = 0;
    }
}


ngx_int_t
ngx_http_kafka_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_str_t *body)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "kafka answered: %ui", status);

    if (r->request_body == NULL) {
        ngx_http_kafka_end_expect(r);
    }

    if (ngx_http_discard_request_body(r) != NGX_OK) {
        r->keepalive = 0;
    }

    /* neither error_page nor a condition (If-Match) may replace this answer */
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

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->memory = 1;
    b->pos = body->data;
    b->last = body->data + body->len;
    b->last_buf = (r == r->main);
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


ngx_int_t
ngx_http_kafka_push_header(ngx_array_t *headers, ngx_str_t *name,
    ngx_str_t *value, ngx_str_t *checked, ngx_http_kafka_problem_t *problem)
{
    ngx_kafka_header_t  *h;

    if (checked && !ngx_http_kafka_plain(value)) {
        return ngx_http_kafka_bad_header(checked, problem);
    }

    h = ngx_array_push(headers);
    if (h == NULL) {
        return ngx_http_kafka_refuse(problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    h->name = *name;
    h->value = *value;

    return NGX_OK;
}


ngx_int_t
ngx_http_kafka_bad_header(ngx_str_t *name, ngx_http_kafka_problem_t *problem)
{
    return ngx_http_kafka_detail(problem, NGX_HTTP_KAFKA_BAD_HEADER,
                                 "The header \"%V\" cannot be kept: it is "
                                 "malformed, repeated or too long.", name);
}


ngx_int_t
ngx_http_kafka_percent_decode(ngx_str_t *value)
{
    u_char     *p, *src, *last;
    ngx_int_t   n, rc;

    p = value->data;
    last = p + value->len;
    rc = NGX_OK;

    for (src = p; src < last; src++) {

        n = *src == '%' && last - src > 2 ? ngx_hextoi(src + 1, 2) : NGX_ERROR;

        if (n != NGX_ERROR) {
            *p++ = (u_char) n;
            src += 2;
            continue;
        }

        if (*src == '%') {
            rc = NGX_ERROR;
        }

        *p++ = *src;
    }

    value->len = p - value->data;

    return rc;
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


ngx_kafka_header_t *
ngx_http_kafka_more_headers(ngx_pool_t *pool, ngx_kafka_message_t *msg,
    ngx_uint_t n)
{
    ngx_kafka_header_t  *h;

    h = ngx_palloc(pool, (msg->nheaders + n) * sizeof(ngx_kafka_header_t));
    if (h == NULL) {
        return NULL;
    }

    if (msg->nheaders) {
        ngx_memcpy(h, msg->headers,
                   msg->nheaders * sizeof(ngx_kafka_header_t));
    }

    msg->headers = h;
    h += msg->nheaders;
    msg->nheaders += n;

    return h;
}
