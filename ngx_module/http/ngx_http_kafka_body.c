/* A request's body, wherever nginx put it and however it is encoded. */

#include "http/ngx_http_kafka_body.h"
#include "http/ngx_http_kafka_headers.h"
#include "http/ngx_http_kafka_memory.h"


#define NGX_HTTP_KAFKA_CHUNK       16384 /* bytes read of a body's file */
#define NGX_HTTP_KAFKA_COPY_STEP   8     /* bytes copied for one step */

/* bytes of $request_body: nginx has 28 bits for what JSON makes six-fold */
#define NGX_HTTP_KAFKA_VALUE       ((1 << 28) / 6 - 7)


/* Where the reading of a body is; goes on in the loop's next turn. */
struct ngx_http_kafka_reading_s {
    ngx_chain_t     *cl;
    off_t            done;      /* bytes of its buffer, or of "from" */
    u_char          *p;         /* where plain bytes go */
    size_t           max;       /* of each step: bytes it decodes to */
    ngx_uint_t       next;      /* step of "kafka_decode" */
    inflate_step_t   announced; /* the Content-Encoding, if any */
    inflate_step_t  *step;      /* that is decoded now; NULL: plain */
    ngx_str_t        from;      /* by malloc(): what the step before gave */
    inflate_t        in;
};


static ngx_int_t ngx_http_kafka_body_made(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_body_keep(ngx_http_kafka_ctx_t *ctx,
    ngx_str_t *body);
static ngx_int_t ngx_http_kafka_body_sent(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_body_begin(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_body_whole(ngx_http_kafka_ctx_t *ctx,
    size_t size);
static ngx_int_t ngx_http_kafka_body_plain(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_body_encoded(ngx_http_kafka_ctx_t *ctx,
    size_t max);
static ngx_int_t ngx_http_kafka_body_step(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_body_decoded(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_body_bad(ngx_http_kafka_ctx_t *ctx,
    inflate_rc_e rc);
static inflate_rc_e ngx_http_kafka_inflate(ngx_http_kafka_ctx_t *ctx);
static ngx_int_t ngx_http_kafka_piece(ngx_http_request_t *r,
    ngx_http_kafka_reading_t *rd, ngx_str_t *piece);
static void ngx_http_kafka_body_cleanup(void *data);
static ngx_int_t ngx_http_kafka_read(ngx_http_request_t *r, ngx_file_t *file,
    u_char *p, size_t size, off_t offset);


ngx_int_t
ngx_http_kafka_body_coding(ngx_http_kafka_ctx_t *ctx)
{
    ngx_str_t               list, name;
    ngx_table_elt_t        *h;
    inflate_coding_e        coding;
    ngx_http_kafka_walk_t   walk;

    ngx_http_kafka_walk_begin(&walk, ctx, NGX_HTTP_KAFKA_CODING);

    while ((h = ngx_http_kafka_next_header(
                    &walk, &ngx_http_kafka_names[NGX_HTTP_KAFKA_CODING])))
    {
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
ngx_http_kafka_body(ngx_http_kafka_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (ctx->conf->body == NULL || ctx->conf->body_sent || ctx->null) {
        rc = ngx_http_kafka_body_sent(ctx);

        if (rc != NGX_OK) {
            return rc;
        }

        if (ctx->conf->strip_bom && ctx->body.len >= 3
            && ngx_memcmp(ctx->body.data, "\xef\xbb\xbf", 3) == 0)
        {
            ctx->body.data += 3;
            ctx->body.len -= 3;
        }

        if (ctx->conf->body == NULL || ctx->null) {
            return NGX_OK;
        }
    }

    return ngx_http_kafka_body_made(ctx);
}


/*
 * "kafka_body".  nginx's $request_body is empty where the body is in a file,
 * and encoded as it was sent: for this value it is whole and decoded.
 */
static ngx_int_t
ngx_http_kafka_body_made(ngx_http_kafka_ctx_t *ctx)
{
    ngx_int_t                    rc;
    ngx_str_t                    sent;
    ngx_http_request_t          *r;
    ngx_http_variable_value_t   *vv;
    ngx_http_kafka_main_conf_t  *kmcf;

    r = ctx->request;

    if (!ctx->conf->body_sent) {
        rc = ngx_http_complex_value(r, ctx->conf->body, &ctx->body);
        goto done;
    }

    sent = ctx->body;
    kmcf = ngx_http_get_module_main_conf(r, ngx_http_kafka_module);
    vv = &r->variables[kmcf->request_body];

    vv->data = sent.data ? sent.data : (u_char *) "";
    vv->len = sent.len;
    vv->valid = 1;
    vv->no_cacheable = 0;
    vv->not_found = 0;

    rc = ngx_http_complex_value(r, ctx->conf->body, &ctx->body);

    /* for others, as a log, it is nginx's own */
    vv->valid = 0;

    if (rc == NGX_OK) {
        rc = ngx_http_kafka_body_keep(ctx, &ctx->body);
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


void
ngx_http_kafka_body_end(ngx_http_kafka_ctx_t *ctx)
{
    if (ctx->reading) {
        ngx_http_kafka_body_cleanup(ctx->reading);
    }
}


size_t
ngx_http_kafka_body_held(ngx_http_kafka_ctx_t *ctx)
{
    return ctx->copy ? ctx->body.len
           : ctx->reading ? inflate_memory(&ctx->reading->in)
                            + ctx->reading->from.len
           : 0;
}


/* The request's own body, decoded; goes on where it was in turns before. */
static ngx_int_t
ngx_http_kafka_body_sent(ngx_http_kafka_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (ctx->reading == NULL) {
        rc = ngx_http_kafka_body_begin(ctx);

        if (rc != NGX_AGAIN) {
            return rc;
        }
    }

    return ctx->reading->step ? ngx_http_kafka_body_decoded(ctx)
                              : ngx_http_kafka_body_plain(ctx);
}


/* NGX_OK: the body lies there whole; NGX_AGAIN: it has to be read. */
static ngx_int_t
ngx_http_kafka_body_begin(ngx_http_kafka_ctx_t *ctx)
{
    off_t                size;
    size_t               max;
    ngx_chain_t         *cl;
    ngx_http_request_t  *r;

    r = ctx->request;

    ngx_str_null(&ctx->body);
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

    max = ngx_http_kafka_body_max(ctx);

    if (ctx->conf->body) {
        max = ngx_min(max, NGX_HTTP_KAFKA_VALUE);
    }

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

    if (ctx->coding != INFLATE_IDENTITY
        || (size && ctx->conf->decode && ctx->conf->decode->nelts))
    {
        return ngx_http_kafka_body_encoded(ctx, max);
    }

    return size ? ngx_http_kafka_body_whole(ctx, (size_t) size) : NGX_OK;
}


/* A plain body that is one buffer need not be copied. */
static ngx_int_t
ngx_http_kafka_body_whole(ngx_http_kafka_ctx_t *ctx, size_t size)
{
    ngx_chain_t               *cl;
    ngx_http_request_t        *r;
    ngx_http_kafka_reading_t  *rd;

    r = ctx->request;
    ctx->body.len = size;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {

        if (ngx_buf_in_memory(cl->buf)
            && ngx_buf_size(cl->buf) == (off_t) size)
        {
            ctx->body.data = cl->buf->pos;
            return NGX_OK;
        }
    }

    rd = ngx_pcalloc(r->pool, sizeof(ngx_http_kafka_reading_t));

    if (rd == NULL || ngx_http_kafka_own(ctx) != NGX_OK) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    ctx->copy = ngx_alloc(size, r->connection->log);
    if (ctx->copy == NULL) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    ctx->body.data = ctx->copy;
    rd->cl = r->request_body->bufs;
    rd->p = ctx->copy;
    ctx->reading = rd;

    return NGX_AGAIN;
}


static ngx_int_t
ngx_http_kafka_body_plain(ngx_http_kafka_ctx_t *ctx)
{
    off_t                      left;
    size_t                     n;
    ngx_buf_t                 *buf;
    ngx_http_request_t        *r;
    ngx_http_kafka_reading_t  *rd;

    r = ctx->request;
    rd = ctx->reading;

    while (rd->cl) {
        buf = rd->cl->buf;
        left = ngx_buf_size(buf) - rd->done;

        if (left <= 0) {
            rd->cl = rd->cl->next;
            rd->done = 0;
            continue;
        }

        if (ngx_http_kafka_turn_left <= 0) {
            return NGX_AGAIN;
        }

        n = (size_t) ngx_min(left, ngx_http_kafka_turn_left
                                   * NGX_HTTP_KAFKA_COPY_STEP);

        if (ngx_buf_in_memory(buf)) {
            ngx_memcpy(rd->p, buf->pos + rd->done, n);

        } else if (ngx_http_kafka_read(r, buf->file, rd->p, n,
                                       buf->file_pos + rd->done)
                   != NGX_OK)
        {
            return ngx_http_kafka_refuse(&ctx->problem,
                                         NGX_HTTP_KAFKA_INTERNAL);
        }

        rd->p += n;
        rd->done += n;
        ngx_http_kafka_turn_left -= n / NGX_HTTP_KAFKA_COPY_STEP + 1;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_body_encoded(ngx_http_kafka_ctx_t *ctx, size_t max)
{
    ngx_http_request_t        *r;
    ngx_pool_cleanup_t        *cln;
    ngx_http_kafka_reading_t  *rd;

    r = ctx->request;

    rd = ngx_pcalloc(r->pool, sizeof(ngx_http_kafka_reading_t));
    cln = ngx_pool_cleanup_add(r->pool, 0);

    if (rd == NULL || cln == NULL || ngx_http_kafka_own(ctx) != NGX_OK) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    rd->max = ngx_min(max, ctx->conf->inflate_limit);
    rd->cl = r->request_body ? r->request_body->bufs : NULL;

    cln->handler = ngx_http_kafka_body_cleanup;
    cln->data = rd;
    ctx->reading = rd;

    return ngx_http_kafka_body_step(ctx);
}


/*
 * Begins the next step: the Content-Encoding first, then those of
 * "kafka_decode".  NGX_AGAIN: it is to be decoded; NGX_OK: none is left.
 */
static ngx_int_t
ngx_http_kafka_body_step(ngx_http_kafka_ctx_t *ctx)
{
    ngx_uint_t                 n;
    inflate_step_t            *steps;
    ngx_http_kafka_reading_t  *rd;

    rd = ctx->reading;
    n = ctx->conf->decode ? ctx->conf->decode->nelts : 0;
    steps = n ? ctx->conf->decode->elts : NULL;

    if (rd->step == NULL && ctx->coding != INFLATE_IDENTITY) {
        rd->announced.coding = ctx->coding;
        rd->step = &rd->announced;

        /* what is announced is decoded once */
        rd->next = n && steps[0].coding == ctx->coding;

    } else if (rd->next < n) {
        rd->step = &steps[rd->next++];

    } else {
        return NGX_OK;
    }

    if (inflate_begin(&rd->in, rd->step, rd->max) != INFLATE_OK) {
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }

    return NGX_AGAIN;
}


static ngx_int_t
ngx_http_kafka_body_decoded(ngx_http_kafka_ctx_t *ctx)
{
    ngx_int_t                  next;
    inflate_rc_e               rc;
    ngx_http_kafka_reading_t  *rd;

    rd = ctx->reading;

    do {
        rc = ngx_http_kafka_inflate(ctx);

        if (rc == INFLATE_MORE) {
            return NGX_AGAIN;
        }

        rc = inflate_end(&rd->in, rc);

        if (rc != INFLATE_OK) {
            return ngx_http_kafka_body_bad(ctx, rc);
        }

        ngx_free(rd->from.data);

        rd->from.data = rd->in.out;
        rd->from.len = rd->in.len;
        rd->in.out = NULL;
        rd->in.size = 0;
        rd->cl = NULL;
        rd->done = 0;

        next = ngx_http_kafka_body_step(ctx);

    } while (next == NGX_AGAIN);

    ctx->copy = rd->from.data;
    ctx->body = rd->from;
    ngx_str_null(&rd->from);

    return next;
}


static ngx_int_t
ngx_http_kafka_body_bad(ngx_http_kafka_ctx_t *ctx, inflate_rc_e rc)
{
    ngx_str_t                  name;
    ngx_http_kafka_reading_t  *rd;

    rd = ctx->reading;

    switch (rc) {

    case INFLATE_TOO_LARGE:
        return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_LARGE,
                                     "Decoded, the body is larger than %uz "
                                     "bytes%s.", rd->max,
                                     rd->max < ngx_http_kafka_body_max(ctx)
                                     ? ", the \"kafka_inflate_limit\"" : "");

    case INFLATE_DAMAGED:
        return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_BAD_ENCODING,
                                     "The encoded body is damaged, or "
                                     "something follows its end: %s.",
                                     inflate_name(rd->step->coding));

    case INFLATE_SHORT:

        if (rd->step->coding == INFLATE_FORM) {
            name.data = (u_char *) rd->step->name;
            name.len = rd->step->len;
            return ngx_http_kafka_detail(&ctx->problem,
                                         NGX_HTTP_KAFKA_BAD_ENCODING,
                                         "The form has no field \"%V\".",
                                         &name);
        }

        return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_BAD_ENCODING,
                                     "The encoded body stops before its "
                                     "end: %s.",
                                     inflate_name(rd->step->coding));

    default:
        return ngx_http_kafka_refuse(&ctx->problem, NGX_HTTP_KAFKA_INTERNAL);
    }
}


/* Decodes until the body or the turn ends. */
static inflate_rc_e
ngx_http_kafka_inflate(ngx_http_kafka_ctx_t *ctx)
{
    size_t                     size;
    ngx_str_t                  piece;
    inflate_rc_e               rc;
    ngx_http_kafka_reading_t  *rd;

    rd = ctx->reading;

    while (rd->cl || rd->done < (off_t) rd->from.len) {

        if (ngx_http_kafka_turn_left <= 0) {
            return INFLATE_MORE;
        }

        if (ngx_http_kafka_piece(ctx->request, rd, &piece) != NGX_OK) {
            return INFLATE_FAILED;
        }

        size = piece.len;
        rd->in.turn = ngx_http_kafka_turn_left;

        rc = inflate_feed(&rd->in, (const unsigned char **) &piece.data,
                          &piece.len);

        ngx_http_kafka_turn_left = rd->in.turn;
        rd->done += size - piece.len;

        if (rc != INFLATE_OK) {
            return rc;
        }

        if (rd->cl && rd->done == ngx_buf_size(rd->cl->buf)) {
            rd->cl = rd->cl->next;
            rd->done = 0;
        }
    }

    return INFLATE_OK;
}


/* The next bytes of the body, until the next call. */
static ngx_int_t
ngx_http_kafka_piece(ngx_http_request_t *r, ngx_http_kafka_reading_t *rd,
    ngx_str_t *piece)
{
    ngx_buf_t  *buf;

    static u_char  chunk[NGX_HTTP_KAFKA_CHUNK];

    if (rd->cl == NULL) {
        piece->data = rd->from.data + rd->done;
        piece->len = rd->from.len - (size_t) rd->done;
        return NGX_OK;
    }

    buf = rd->cl->buf;
    piece->len = (size_t) (ngx_buf_size(buf) - rd->done);

    if (ngx_buf_in_memory(buf)) {
        piece->data = buf->pos + rd->done;
        return NGX_OK;
    }

    piece->len = ngx_min(piece->len, NGX_HTTP_KAFKA_CHUNK);
    piece->data = chunk;

    return ngx_http_kafka_read(r, buf->file, chunk, piece->len,
                               buf->file_pos + rd->done);
}


static void
ngx_http_kafka_body_cleanup(void *data)
{
    ngx_http_kafka_reading_t  *rd = data;

    if (rd->step) {
        (void) inflate_end(&rd->in, INFLATE_FAILED);
    }

    ngx_free(rd->from.data);
    ngx_str_null(&rd->from);
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
