/* A request's body, wherever nginx put it and however it is encoded. */

#include "http/ngx_http_kafka_body.h"
#include "http/ngx_http_kafka_headers.h"
#include "http/ngx_http_kafka_memory.h"


#define NGX_HTTP_KAFKA_CHUNK    16384    /* bytes read of a body's file */

/* bytes of $request_body: nginx has 28 bits for what JSON makes six-fold */
#define NGX_HTTP_KAFKA_VALUE    ((1 << 28) / 6 - 7)


static ngx_int_t ngx_http_kafka_body_made(ngx_http_kafka_ctx_t *ctx,
    ngx_str_t *body);
static ngx_int_t ngx_http_kafka_body_keep(ngx_http_kafka_ctx_t *ctx,
    ngx_str_t *body);
static ngx_int_t ngx_http_kafka_body_sent(ngx_http_kafka_ctx_t *ctx,
    size_t max, ngx_str_t *body);
static ngx_int_t ngx_http_kafka_body_plain(ngx_http_kafka_ctx_t *ctx,
    size_t size, ngx_str_t *body);
static ngx_int_t ngx_http_kafka_body_decoded(ngx_http_kafka_ctx_t *ctx,
    size_t max, ngx_str_t *body);
static inflate_rc_e ngx_http_kafka_inflate_file(ngx_http_request_t *r,
    inflate_t *in, ngx_buf_t *buf);
static ngx_int_t ngx_http_kafka_read(ngx_http_request_t *r, ngx_file_t *file,
    u_char *p, size_t size, off_t offset);


ngx_int_t
ngx_http_kafka_body_coding(ngx_http_kafka_ctx_t *ctx)
{
    ngx_str_t               list, name;
    ngx_table_elt_t        *h;
    inflate_coding_e        coding;
    ngx_http_kafka_walk_t   walk;

    static ngx_str_t  encoding = ngx_string("Content-Encoding");

    walk.part = &ctx->request->headers_in.headers.part;
    walk.i = 0;

    while ((h = ngx_http_kafka_next_header(&walk, &encoding))) {
        list = h->value;

        while (ngx_http_kafka_next_element(&list, &name)) {
            coding = inflate_coding((char *) name.data, name.len);

            if (coding == INFLATE_IDENTITY) {
                continue;
            }

            /* one encoding at most */

            if (coding == INFLATE_UNKNOWN || ctx->coding != INFLATE_IDENTITY) {
                return ngx_http_kafka_refuse(&ctx->problem,
                                             NGX_HTTP_KAFKA_ENCODING);
            }

            ctx->coding = coding;
        }
    }

    return NGX_OK;
}


size_t
ngx_http_kafka_body_max(ngx_http_kafka_ctx_t *ctx)
{
    ngx_kafka_conf_t  *kcf;

    kcf = ctx->conf->producer;

    return ctx->batch || ctx->format == NGX_HTTP_KAFKA_GUESS
           ? kcf->queue : ngx_kafka_value_max(kcf->producer, ctx->topic_index);
}


ngx_int_t
ngx_http_kafka_body(ngx_http_kafka_ctx_t *ctx, ngx_str_t *body)
{
    if (ctx->conf->body) {
        return ngx_http_kafka_body_made(ctx, body);
    }

    return ngx_http_kafka_body_sent(ctx, ngx_http_kafka_body_max(ctx), body);
}


/*
 * "kafka_body".  nginx's $request_body is empty where the body is in a file,
 * and encoded as it was sent: for this value it is whole and decoded.
 */
static ngx_int_t
ngx_http_kafka_body_made(ngx_http_kafka_ctx_t *ctx, ngx_str_t *body)
{
    size_t                       max;
    ngx_int_t                    rc;
    ngx_str_t                    sent;
    ngx_http_request_t          *r;
    ngx_http_variable_value_t   *vv;
    ngx_http_kafka_main_conf_t  *kmcf;

    r = ctx->request;

    if (!ctx->conf->body_sent) {
        rc = ngx_http_complex_value(r, ctx->conf->body, body);
        goto done;
    }

    max = ngx_min(ngx_http_kafka_body_max(ctx), NGX_HTTP_KAFKA_VALUE);

    if (ngx_http_kafka_body_sent(ctx, max, &sent) != NGX_OK) {
        return NGX_DECLINED;
    }

    kmcf = ngx_http_get_module_main_conf(r, ngx_http_kafka_module);
    vv = &r->variables[kmcf->request_body];

    vv->data = sent.data ? sent.data : (u_char *) "";
    vv->len = sent.len;
    vv->valid = 1;
    vv->no_cacheable = 0;
    vv->not_found = 0;

    rc = ngx_http_complex_value(r, ctx->conf->body, body);

    /* for others, as a log, it is nginx's own */
    vv->valid = 0;

    if (rc == NGX_OK) {
        rc = ngx_http_kafka_body_keep(ctx, body);
    }

done:

    return rc == NGX_OK ? NGX_OK
                        : ngx_http_kafka_refuse(&ctx->problem,
                                                NGX_HTTP_KAFKA_INTERNAL);
}


/* Moves a value with the body in it off the request's pool. */
static ngx_int_t
ngx_http_kafka_body_keep(ngx_http_kafka_ctx_t *ctx, ngx_str_t *body)
{
    u_char                      *p;
    ngx_http_request_t          *r;
    ngx_http_variable_value_t   *vv;
    ngx_http_kafka_main_conf_t  *kmcf;

    r = ctx->request;
    kmcf = ngx_http_get_module_main_conf(r, ngx_http_kafka_module);

    if (ngx_http_kafka_own(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    p = ngx_alloc(body->len + 1, r->connection->log);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, body->data, body->len);
    (void) ngx_pfree(r->pool, body->data);
    body->data = p;

    if (ctx->copy) {
        ngx_free(ctx->copy);
    }

    ctx->copy = p;

    if (kmcf->json_body != NGX_ERROR) {
        vv = &r->variables[kmcf->json_body];

        if (vv->valid) {
            (void) ngx_pfree(r->pool, vv->data);
            vv->valid = 0;
        }
    }

    return NGX_OK;
}


/* The request's own body, decoded, of "max" bytes at most. */
static ngx_int_t
ngx_http_kafka_body_sent(ngx_http_kafka_ctx_t *ctx, size_t max,
    ngx_str_t *body)
{
    off_t                size;
    ngx_chain_t         *cl;
    ngx_http_request_t  *r;

    r = ctx->request;

    ngx_str_null(body);
    size = 0;

    for (cl = r->request_body ? r->request_body->bufs : NULL;
         cl;
         cl = cl->next)
    {
        size += ngx_buf_size(cl->buf);
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "kafka body read: %O bytes, coding %d", size,
                   (int) ctx->coding);

    if (size > (off_t) max) {
        return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_LARGE,
                                     "The body is larger than %uz bytes.",
                                     max);
    }

    if (r->headers_in.content_length_n > 0
        && size != r->headers_in.content_length_n)
    {
        /* another handler has read and dropped the body */
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_BODY_GONE);
    }

    if (ctx->coding != INFLATE_IDENTITY) {
        return ngx_http_kafka_body_decoded(ctx, max, body);
    }

    if (size && ngx_http_kafka_body_plain(ctx, (size_t) size, body) != NGX_OK)
    {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_body_plain(ngx_http_kafka_ctx_t *ctx, size_t size,
    ngx_str_t *body)
{
    u_char              *p;
    size_t               len;
    ngx_buf_t           *buf;
    ngx_chain_t         *cl;
    ngx_http_request_t  *r;

    r = ctx->request;
    body->len = size;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        buf = cl->buf;

        if (ngx_buf_in_memory(buf) && ngx_buf_size(buf) == (off_t) size) {
            body->data = buf->pos;
            return NGX_OK;
        }
    }

    if (ngx_http_kafka_own(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->copy = ngx_alloc(size, r->connection->log);
    if (ctx->copy == NULL) {
        return NGX_ERROR;
    }

    body->data = ctx->copy;
    p = ctx->copy;

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


static ngx_int_t
ngx_http_kafka_body_decoded(ngx_http_kafka_ctx_t *ctx, size_t max,
    ngx_str_t *body)
{
    inflate_t            in;
    ngx_buf_t           *buf;
    ngx_chain_t         *cl;
    inflate_rc_e         rc;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ngx_http_kafka_own(ctx) != NGX_OK) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    rc = inflate_begin(&in, ctx->coding, max);

    for (cl = r->request_body ? r->request_body->bufs : NULL;
         cl && rc == INFLATE_OK;
         cl = cl->next)
    {
        buf = cl->buf;

        if (ngx_buf_in_memory(buf)) {
            rc = inflate_feed(&in, buf->pos, buf->last - buf->pos);

        } else if (buf->in_file) {
            rc = ngx_http_kafka_inflate_file(r, &in, buf);
        }
    }

    rc = inflate_end(&in, rc);

    ctx->copy = in.out;

    switch (rc) {

    case INFLATE_OK:
        body->data = in.out;
        body->len = in.len;
        return NGX_OK;

    case INFLATE_TOO_LARGE:
        return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_LARGE,
                                     "Decoded, the body is larger than %uz "
                                     "bytes.", max);

    case INFLATE_DAMAGED:
        return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_BAD_ENCODING,
                                     "The encoded body is damaged, or "
                                     "something follows its end.");

    case INFLATE_SHORT:
        return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_BAD_ENCODING,
                                     "The encoded body stops before its "
                                     "end.");

    default:
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }
}


static inflate_rc_e
ngx_http_kafka_inflate_file(ngx_http_request_t *r, inflate_t *in,
    ngx_buf_t *buf)
{
    off_t         offset;
    size_t        size;
    inflate_rc_e  rc;

    /* a worker decodes one body at a time */
    static u_char  chunk[NGX_HTTP_KAFKA_CHUNK];

    rc = INFLATE_OK;

    for (offset = buf->file_pos;
         offset < buf->file_last && rc == INFLATE_OK;
         offset += size)
    {
        size = (size_t) ngx_min(buf->file_last - offset,
                                NGX_HTTP_KAFKA_CHUNK);

        if (ngx_http_kafka_read(r, buf->file, chunk, size, offset) != NGX_OK) {
            return INFLATE_FAILED;
        }

        rc = inflate_feed(in, chunk, size);
    }

    return rc;
}


/* Reads "size" bytes, or logs the reason and fails. */
static ngx_int_t
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
