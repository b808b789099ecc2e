/* The decoders: memory is the output, at most the limit, and the window. */

#include "http/ngx_kafka_inflate.h"
#include <stdlib.h>
#include <string.h>


#define NGX_KAFKA_INFLATE_FIRST  4096       /* bytes of the first output */

/* zlib takes an unsigned int of room */
#define NGX_KAFKA_INFLATE_ROOM   (1024 * 1024 * 1024)


static int ngx_kafka_inflate_room(ngx_kafka_inflate_t *in);
static ngx_kafka_inflated_e ngx_kafka_inflate_gzip(ngx_kafka_inflate_t *in,
    const unsigned char *data, size_t len);
#if (NGX_HAVE_ZSTD)
static ngx_kafka_inflated_e ngx_kafka_inflate_zstd(ngx_kafka_inflate_t *in,
    const unsigned char *data, size_t len);
#endif


ngx_kafka_inflated_e
ngx_kafka_inflate_begin(ngx_kafka_inflate_t *in, ngx_kafka_coding_e coding,
    size_t limit)
{
    memset(in, 0, sizeof(ngx_kafka_inflate_t));

    in->coding = coding;
    in->limit = limit;

#if (NGX_HAVE_ZSTD)

    if (coding == NGX_KAFKA_ZSTD) {
        in->zstd = ZSTD_createDCtx();
        if (in->zstd == NULL) {
            return NGX_KAFKA_INFLATED_MEMORY;
        }

        in->begun = 1;

        return ZSTD_isError(ZSTD_DCtx_setParameter(in->zstd,
                                                   ZSTD_d_windowLogMax,
                                                   NGX_KAFKA_ZSTD_WINDOW))
               ? NGX_KAFKA_INFLATED_MEMORY : NGX_KAFKA_INFLATED;
    }

#endif

    /* 16: a gzip header and trailer and nothing else */

    if (inflateInit2(&in->gzip, MAX_WBITS + 16) != Z_OK) {
        return NGX_KAFKA_INFLATED_MEMORY;
    }

    in->begun = 1;

    return NGX_KAFKA_INFLATED;
}


ngx_kafka_inflated_e
ngx_kafka_inflate_feed(ngx_kafka_inflate_t *in, const unsigned char *data,
    size_t len)
{
    if (len == 0) {
        return NGX_KAFKA_INFLATED;
    }

#if (NGX_HAVE_ZSTD)

    if (in->coding == NGX_KAFKA_ZSTD) {
        return ngx_kafka_inflate_zstd(in, data, len);
    }

#endif

    return ngx_kafka_inflate_gzip(in, data, len);
}


ngx_kafka_inflated_e
ngx_kafka_inflate_end(ngx_kafka_inflate_t *in, ngx_kafka_inflated_e rc)
{
    unsigned char  *p;

    if (in->begun) {
#if (NGX_HAVE_ZSTD)
        if (in->zstd) {
            (void) ZSTD_freeDCtx(in->zstd);

        } else
#endif
        {
            (void) inflateEnd(&in->gzip);
        }

        in->begun = 0;
    }

    if (rc == NGX_KAFKA_INFLATED && !in->complete) {
        rc = NGX_KAFKA_INFLATED_SHORT;
    }

    if (rc != NGX_KAFKA_INFLATED || in->len == 0) {
        free(in->out);
        in->out = NULL;
        in->len = 0;
        return rc;
    }

    p = realloc(in->out, in->len);
    if (p) {
        in->out = p;
        in->size = in->len;
    }

    return rc;
}


/* Makes room for a byte more than there is, up to one above the limit. */
static int
ngx_kafka_inflate_room(ngx_kafka_inflate_t *in)
{
    size_t          size;
    unsigned char  *p;

    if (in->len < in->size) {
        return 0;
    }

    size = in->size ? in->size * 2 : NGX_KAFKA_INFLATE_FIRST;

    if (size > in->limit) {
        size = in->limit + 1;
    }

    /* of large blocks pages move, not bytes: never both at once */
    p = realloc(in->out, size);
    if (p == NULL) {
        return -1;
    }

    in->out = p;
    in->size = size;

    return 0;
}


static ngx_kafka_inflated_e
ngx_kafka_inflate_gzip(ngx_kafka_inflate_t *in, const unsigned char *data,
    size_t len)
{
    int        rc;
    size_t     room;
    z_stream  *strm;

    strm = &in->gzip;
    strm->next_in = (unsigned char *) data;
    strm->avail_in = (uInt) len;

    for ( ;; ) {

        if (in->complete) {

            if (strm->avail_in == 0) {
                return NGX_KAFKA_INFLATED;
            }

            /* another member, or what does not belong here */
            (void) inflateReset(strm);
            in->complete = 0;
        }

        if (ngx_kafka_inflate_room(in) != 0) {
            return NGX_KAFKA_INFLATED_MEMORY;
        }

        room = in->size - in->len;
        if (room > NGX_KAFKA_INFLATE_ROOM) {
            room = NGX_KAFKA_INFLATE_ROOM;
        }

        strm->next_out = in->out + in->len;
        strm->avail_out = (uInt) room;

        rc = inflate(strm, Z_NO_FLUSH);

        in->len += room - strm->avail_out;

        if (in->len > in->limit) {
            return NGX_KAFKA_INFLATED_LARGE;
        }

        switch (rc) {

        case Z_STREAM_END:
            in->complete = 1;
            continue;

        case Z_OK:
        case Z_BUF_ERROR:

            if (strm->avail_out == 0) {
                continue;
            }

            return strm->avail_in == 0 ? NGX_KAFKA_INFLATED
                                       : NGX_KAFKA_INFLATED_DAMAGED;

        case Z_MEM_ERROR:
            return NGX_KAFKA_INFLATED_MEMORY;

        default:
            return NGX_KAFKA_INFLATED_DAMAGED;
        }
    }
}


#if (NGX_HAVE_ZSTD)

static ngx_kafka_inflated_e
ngx_kafka_inflate_zstd(ngx_kafka_inflate_t *in, const unsigned char *data,
    size_t len)
{
    size_t          rc;
    ZSTD_inBuffer   input;
    ZSTD_outBuffer  output;

    input.src = data;
    input.size = len;
    input.pos = 0;

    for ( ;; ) {

        if (ngx_kafka_inflate_room(in) != 0) {
            return NGX_KAFKA_INFLATED_MEMORY;
        }

        output.dst = in->out;
        output.size = in->size;
        output.pos = in->len;

        rc = ZSTD_decompressStream(in->zstd, &output, &input);

        in->len = output.pos;

        if (in->len > in->limit) {
            return NGX_KAFKA_INFLATED_LARGE;
        }

        if (ZSTD_isError(rc)) {
            return ZSTD_getErrorCode(rc) == ZSTD_error_memory_allocation
                   ? NGX_KAFKA_INFLATED_MEMORY : NGX_KAFKA_INFLATED_DAMAGED;
        }

        in->complete = (rc == 0);

        /* without a full output there is nothing left to come out */

        if (input.pos == input.size
            && (in->complete || output.pos < output.size))
        {
            return NGX_KAFKA_INFLATED;
        }
    }
}

#endif
