/* A request's body as contiguous bytes, wherever nginx put it. */

#include "ngx_http_kafka_module.h"


static ngx_int_t ngx_http_kafka_body_file(ngx_http_request_t *r,
    ngx_buf_t *buf, u_char *p, size_t *len);


ngx_int_t
ngx_http_kafka_body(ngx_http_request_t *r, size_t limit, ngx_str_t *body)
{
    off_t         size;
    u_char       *p;
    size_t        len;
    ngx_buf_t    *buf;
    ngx_chain_t  *cl;

    ngx_str_null(body);

    if (r->request_body == NULL || r->request_body->bufs == NULL) {
        return NGX_OK;
    }

    size = 0;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
    }

    if (size > (off_t) limit) {
        return NGX_DECLINED;
    }

    if (size == 0) {
        return NGX_OK;
    }

    body->len = (size_t) size;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        buf = cl->buf;

        if (ngx_buf_in_memory(buf) && ngx_buf_size(buf) == size) {
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
            if (ngx_http_kafka_body_file(r, buf, p, &len) != NGX_OK) {
                return NGX_ERROR;
            }

            p += len;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_body_file(ngx_http_request_t *r, ngx_buf_t *buf, u_char *p,
    size_t *len)
{
    size_t   size;
    ssize_t  n;

    size = (size_t) (buf->file_last - buf->file_pos);
    *len = 0;

    while (*len < size) {
        n = ngx_read_file(buf->file, p + *len, size - *len,
                          buf->file_pos + (off_t) *len);

        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (n == 0) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "body file \"%V\" is shorter than the body",
                          &buf->file->name);
            return NGX_ERROR;
        }

        *len += n;
    }

    return NGX_OK;
}
