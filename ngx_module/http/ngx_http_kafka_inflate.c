/* Content-Encoding of a request's body: which codings, and the way back. */

#include "http/ngx_http_kafka_module.h"
#include "http/ngx_kafka_inflate.h"


#define NGX_HTTP_KAFKA_CHUNK  16384      /* bytes read of a body's file */


static ngx_uint_t ngx_http_kafka_is(ngx_str_t *name, u_char *data,
    size_t len);
static ngx_uint_t ngx_http_kafka_coding_of(u_char *data, size_t len);
static ngx_kafka_inflated_e ngx_http_kafka_inflate_memory(
    ngx_kafka_inflate_t *in, u_char *p, u_char *last);
static ngx_kafka_inflated_e ngx_http_kafka_inflate_file(
    ngx_http_request_t *r, ngx_kafka_inflate_t *in, ngx_buf_t *buf,
    ngx_uint_t *unread);
static void ngx_http_kafka_inflate_cleanup(void *data);


static ngx_str_t  ngx_http_kafka_encoding = ngx_string("Content-Encoding");

/* no other is taken, and the client should learn which are */
static ngx_str_t  ngx_http_kafka_codings =
#if (NGX_HAVE_ZSTD)
    ngx_string("gzip, zstd");
#else
    ngx_string("gzip");
#endif


ngx_uint_t
ngx_http_kafka_coding(ngx_http_request_t *r)
{
    u_char           *p, *last, *end;
    ngx_uint_t        i, coding, found;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    coding = NGX_HTTP_KAFKA_IDENTITY;

    part = &r->headers_in.headers.part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                return coding;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (!ngx_http_kafka_is(&ngx_http_kafka_encoding, h[i].key.data,
                               h[i].key.len))
        {
            continue;
        }

        p = h[i].value.data;
        last = p + h[i].value.len;

        /* a list (RFC 9110, 5.6.1): several lines are as one */

        for ( /* void */ ; p < last; p = end + 1) {

            end = ngx_strlchr(p, last, ',');
            if (end == NULL) {
                end = last;
            }

            found = ngx_http_kafka_coding_of(p, end - p);

            if (found == NGX_HTTP_KAFKA_IDENTITY) {
                continue;
            }

            if (coding != NGX_HTTP_KAFKA_IDENTITY) {
                return NGX_HTTP_KAFKA_UNKNOWN;
            }

            coding = found;
        }
    }
}


static ngx_uint_t
ngx_http_kafka_is(ngx_str_t *name, u_char *data, size_t len)
{
    return name->len == len && ngx_strncasecmp(name->data, data, len) == 0;
}


static ngx_uint_t
ngx_http_kafka_coding_of(u_char *data, size_t len)
{
    ngx_uint_t  i;

    static struct {
        ngx_str_t   name;
        ngx_uint_t  coding;
    } codings[] = {
        { ngx_string(""), NGX_HTTP_KAFKA_IDENTITY },
        { ngx_string("identity"), NGX_HTTP_KAFKA_IDENTITY },
        { ngx_string("gzip"), NGX_HTTP_KAFKA_GZIP },
        { ngx_string("x-gzip"), NGX_HTTP_KAFKA_GZIP },
#if (NGX_HAVE_ZSTD)
        { ngx_string("zstd"), NGX_HTTP_KAFKA_ZSTD },
#endif
    };

    while (len && (*data == ' ' || *data == '\t')) {
        data++;
        len--;
    }

    while (len && (data[len - 1] == ' ' || data[len - 1] == '\t')) {
        len--;
    }

    for (i = 0; i < sizeof(codings) / sizeof(codings[0]); i++) {
        if (ngx_http_kafka_is(&codings[i].name, data, len)) {
            return codings[i].coding;
        }
    }

    return NGX_HTTP_KAFKA_UNKNOWN;
}


ngx_int_t
ngx_http_kafka_accept_encoding(ngx_http_request_t *r)
{
    return ngx_http_kafka_header(r, "Accept-Encoding",
                                 &ngx_http_kafka_codings);
}


ngx_int_t
ngx_http_kafka_inflate(ngx_http_request_t *r, ngx_uint_t coding, size_t limit,
    ngx_str_t *body, ngx_http_kafka_problem_t *problem)
{
    ngx_uint_t            unread;
    ngx_chain_t          *cl;
    ngx_pool_cleanup_t   *cln;
    ngx_kafka_inflate_t   in;
    ngx_kafka_inflated_e  rc;

    ngx_str_null(body);
    unread = 0;

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        problem->code = NGX_HTTP_KAFKA_INTERNAL;
        return NGX_DECLINED;
    }

    rc = ngx_kafka_inflate_begin(&in, coding == NGX_HTTP_KAFKA_GZIP
                                      ? NGX_KAFKA_GZIP : NGX_KAFKA_ZSTD,
                                 limit);

    for (cl = r->request_body ? r->request_body->bufs : NULL;
         cl && rc == NGX_KAFKA_INFLATED && !unread;
         cl = cl->next)
    {
        if (ngx_buf_in_memory(cl->buf)) {
            rc = ngx_http_kafka_inflate_memory(&in, cl->buf->pos,
                                               cl->buf->last);

        } else if (cl->buf->in_file) {
            rc = ngx_http_kafka_inflate_file(r, &in, cl->buf, &unread);
        }
    }

    rc = ngx_kafka_inflate_end(&in, rc);

    cln->handler = ngx_http_kafka_inflate_cleanup;
    cln->data = in.out;

    if (unread) {
        problem->code = NGX_HTTP_KAFKA_INTERNAL;
        return NGX_DECLINED;
    }

    switch (rc) {

    case NGX_KAFKA_INFLATED:
        body->data = in.out;
        body->len = in.len;
        return NGX_OK;

    case NGX_KAFKA_INFLATED_LARGE:
        problem->code = NGX_HTTP_KAFKA_LARGE;
        ngx_http_kafka_detail(r, problem, "Decoded, the body is larger than "
                              "%uz bytes.", limit);
        break;

    case NGX_KAFKA_INFLATED_DAMAGED:
        problem->code = NGX_HTTP_KAFKA_BAD_ENCODING;
        ngx_str_set(&problem->detail, "The encoded body is damaged, or "
                    "something follows its end.");
        break;

    case NGX_KAFKA_INFLATED_SHORT:
        problem->code = NGX_HTTP_KAFKA_BAD_ENCODING;
        ngx_str_set(&problem->detail,
                    "The encoded body stops before its end.");
        break;

    default:
        problem->code = NGX_HTTP_KAFKA_INTERNAL;
        break;
    }

    return NGX_DECLINED;
}


static ngx_kafka_inflated_e
ngx_http_kafka_inflate_memory(ngx_kafka_inflate_t *in, u_char *p,
    u_char *last)
{
    size_t                n;
    ngx_kafka_inflated_e  rc;

    rc = NGX_KAFKA_INFLATED;

    for ( /* void */ ; p < last && rc == NGX_KAFKA_INFLATED; p += n) {
        n = ngx_min((size_t) (last - p), NGX_KAFKA_INFLATE_MAX);
        rc = ngx_kafka_inflate_feed(in, p, n);
    }

    return rc;
}


static ngx_kafka_inflated_e
ngx_http_kafka_inflate_file(ngx_http_request_t *r, ngx_kafka_inflate_t *in,
    ngx_buf_t *buf, ngx_uint_t *unread)
{
    off_t                 offset;
    size_t                size;
    ngx_kafka_inflated_e  rc;

    /* one body at a time is inflated in a worker */
    static u_char  chunk[NGX_HTTP_KAFKA_CHUNK];

    for (offset = buf->file_pos; offset < buf->file_last; offset += size) {

        size = (size_t) ngx_min(buf->file_last - offset,
                                NGX_HTTP_KAFKA_CHUNK);

        if (ngx_http_kafka_read(r, buf->file, chunk, size, offset) != NGX_OK) {
            *unread = 1;
            break;
        }

        rc = ngx_kafka_inflate_feed(in, chunk, size);
        if (rc != NGX_KAFKA_INFLATED) {
            return rc;
        }
    }

    return NGX_KAFKA_INFLATED;
}


static void
ngx_http_kafka_inflate_cleanup(void *data)
{
    free(data);
}
