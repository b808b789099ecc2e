/* A request's body as contiguous bytes, wherever nginx put it. */

#include "http/ngx_http_kafka_module.h"


static ngx_int_t ngx_http_kafka_body_plain(ngx_http_request_t *r,
    size_t size, ngx_str_t *body);


ngx_int_t
ngx_http_kafka_body(ngx_http_request_t *r, size_t limit, ngx_str_t *body,
    ngx_http_kafka_problem_t *problem)
{
    off_t         size;
    ngx_uint_t    coding;
    ngx_chain_t  *cl;

    ngx_str_null(body);
    size = 0;

    for (cl = r->request_body ? r->request_body->bufs : NULL;
         cl;
         cl = cl->next)
    {
        size += ngx_buf_size(cl->buf);
    }

    if (size > (off_t) limit) {
        problem->code = NGX_HTTP_KAFKA_LARGE;
        ngx_http_kafka_detail(r, problem,
                              "The body is larger than %uz bytes.", limit);
        return NGX_DECLINED;
    }

    if (r->headers_in.content_length_n > 0
        && size != r->headers_in.content_length_n)
    {
        /* another handler has passed it on without keeping it */
        problem->code = NGX_HTTP_KAFKA_BODY_GONE;
        return NGX_DECLINED;
    }

    coding = ngx_http_kafka_coding(r);

    if (coding != NGX_HTTP_KAFKA_IDENTITY) {
        return ngx_http_kafka_inflate(r, coding, limit, body, problem);
    }

    if (size && ngx_http_kafka_body_plain(r, (size_t) size, body) != NGX_OK) {
        problem->code = NGX_HTTP_KAFKA_INTERNAL;
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_body_plain(ngx_http_request_t *r, size_t size, ngx_str_t *body)
{
    u_char       *p;
    size_t        len;
    ngx_buf_t    *buf;
    ngx_chain_t  *cl;

    body->len = size;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        buf = cl->buf;

        if (ngx_buf_in_memory(buf) && ngx_buf_size(buf) == (off_t) size) {
            body->data = buf->pos;
            return NGX_OK;
        }
    }

    body->data = ngx_pnalloc(r->pool, body->len);
    if (body->data == NULL) {
        return NGX_ERROR;
    }

    p = body->data;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        buf = cl->buf;

        if (ngx_buf_in_memory(buf)) {
            p = ngx_cpymem(p, buf->pos, buf->last - buf->pos);
            continue;
        }

        if (buf->in_file) {
            len = (size_t) (buf->file_last - buf->file_pos);

            if (ngx_http_kafka_read(r, buf->file, p, len, buf->file_pos)
                != NGX_OK)
            {
                return NGX_ERROR;
            }

            p += len;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_kafka_read(ngx_http_request_t *r, ngx_file_t *file, u_char *p,
    size_t size, off_t offset)
{
    size_t   done;
    ssize_t  n;

    for (done = 0; done < size; done += n) {

        n = ngx_read_file(file, p + done, size - done, offset + (off_t) done);

        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (n == 0) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "body file \"%V\" is shorter than the body",
                          &file->name);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}
