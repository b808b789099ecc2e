/* The decoders.  Their memory is the output, at most "max", and a window. */

#include "inflate.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#if (SLUICE_ZSTD)
#include <zstd.h>
#include <zstd_errors.h>
#endif


#define INFLATE_FIRST   4096    /* bytes of the first output */

/* bytes in and out at once; between them the turn may end */
#define INFLATE_PIECE      4096
#define INFLATE_PIECE_OUT  131072

/* steps: of each call, of a byte in, and bytes out for one step */
#define INFLATE_COST       100
#define INFLATE_COST_IN    16
#define INFLATE_OUT_STEP   4

/* bytes of zlib's state and window */
#define INFLATE_GZIP_MEMORY  (44 * 1024)

/* A zstd frame that wants a larger window is refused (RFC 9659: 8 MiB). */
#define INFLATE_WINDOW  23      /* log2 of bytes */


static int inflate_room(inflate_t *in);
static size_t inflate_piece(inflate_t *in);
static inflate_rc_e inflate_gzip(inflate_t *in, const unsigned char *data,
    size_t *left);
#if (SLUICE_ZSTD)
static inflate_rc_e inflate_zstd(inflate_t *in, const unsigned char *data,
    size_t *left);
#endif


#if (SLUICE_ZSTD)
const char  inflate_codings[] = "gzip, zstd";
#else
const char  inflate_codings[] = "gzip";
#endif


inflate_coding_e
inflate_coding(const char *name, size_t len)
{
    size_t  i;

    static const struct {
        const char        *name;
        size_t             len;
        inflate_coding_e   coding;
    } codings[] = {
        { "identity", 8, INFLATE_IDENTITY },
        { "gzip", 4, INFLATE_GZIP },
        { "x-gzip", 6, INFLATE_GZIP },
#if (SLUICE_ZSTD)
        { "zstd", 4, INFLATE_ZSTD },
#endif
    };

    for (i = 0; i < sizeof(codings) / sizeof(codings[0]); i++) {
        if (codings[i].len == len
            && strncasecmp(codings[i].name, name, len) == 0)
        {
            return codings[i].coding;
        }
    }

    return INFLATE_UNKNOWN;
}


inflate_rc_e
inflate_begin(inflate_t *in, inflate_coding_e coding, size_t max)
{
    memset(in, 0, sizeof(inflate_t));

    in->max = max;

#if (SLUICE_ZSTD)

    if (coding == INFLATE_ZSTD) {
        in->zstd = ZSTD_createDCtx();
        if (in->zstd == NULL) {
            return INFLATE_FAILED;
        }

        in->begun = 1;

        return ZSTD_isError(ZSTD_DCtx_setParameter(in->zstd,
                                                   ZSTD_d_windowLogMax,
                                                   INFLATE_WINDOW))
               ? INFLATE_FAILED : INFLATE_OK;
    }

#endif

    /* 16: gzip only, no zlib header */

    if (inflateInit2(&in->gzip, MAX_WBITS + 16) != Z_OK) {
        return INFLATE_FAILED;
    }

    in->begun = 1;

    return INFLATE_OK;
}


inflate_rc_e
inflate_feed(inflate_t *in, const unsigned char **data, size_t *len)
{
    size_t        n, left, before;
    inflate_rc_e  rc;

    rc = INFLATE_OK;

    while (rc == INFLATE_OK && (*len || in->held)) {

        if (in->turn <= 0) {
            return INFLATE_MORE;
        }

        if (inflate_room(in) != 0) {
            return INFLATE_FAILED;
        }

        n = *len < INFLATE_PIECE ? *len : INFLATE_PIECE;
        left = n;
        before = in->len;
#if (SLUICE_ZSTD)
        rc = in->zstd ? inflate_zstd(in, *data, &left)
                      : inflate_gzip(in, *data, &left);
#else
        rc = inflate_gzip(in, *data, &left);
#endif
        n -= left;
        *data += n;
        *len -= n;

        in->turn -= INFLATE_COST + INFLATE_COST_IN * (int64_t) n
                    + (int64_t) ((in->len - before) / INFLATE_OUT_STEP);
    }

    return rc;
}


inflate_rc_e
inflate_end(inflate_t *in, inflate_rc_e rc)
{
    unsigned char  *p;

    if (in->begun) {
#if (SLUICE_ZSTD)
        if (in->zstd) {
            (void) ZSTD_freeDCtx(in->zstd);

        } else
#endif
        {
            (void) inflateEnd(&in->gzip);
        }

        in->begun = 0;
    }

    if (rc == INFLATE_OK && !in->complete) {
        rc = INFLATE_SHORT;
    }

    if (rc != INFLATE_OK || in->len == 0) {
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


size_t
inflate_memory(const inflate_t *in)
{
    if (!in->begun) {
        return in->size;
    }

#if (SLUICE_ZSTD)
    if (in->zstd) {
        return in->size + ZSTD_sizeof_DCtx(in->zstd);
    }
#endif

    return in->size + INFLATE_GZIP_MEMORY;
}


/* Makes room for one byte more, up to one byte above "max". */
static int
inflate_room(inflate_t *in)
{
    size_t          size;
    unsigned char  *p;

    if (in->len < in->size) {
        return 0;
    }

    size = in->size ? in->size * 2 : INFLATE_FIRST;

    if (size > in->max) {
        size = in->max + 1;
    }

    /* realloc() moves the pages of a large block, it does not copy them */
    p = realloc(in->out, size);
    if (p == NULL) {
        return -1;
    }

    in->out = p;
    in->size = size;

    return 0;
}


static size_t
inflate_piece(inflate_t *in)
{
    size_t  room;

    room = in->size - in->len;

    return room < INFLATE_PIECE_OUT ? room : INFLATE_PIECE_OUT;
}


/*
 * Both decode once, as far as the piece of "left" bytes and INFLATE_PIECE_OUT
 * bytes of room reach.  in->held: there is more to come without more data.
 */

static inflate_rc_e
inflate_gzip(inflate_t *in, const unsigned char *data, size_t *left)
{
    int        rc;
    size_t     room;
    z_stream  *strm;

    strm = &in->gzip;

    if (in->complete) {
        /* another member follows, or damage */
        (void) inflateReset(strm);
        in->complete = 0;
    }

    room = inflate_piece(in);

    strm->next_in = (unsigned char *) data;
    strm->avail_in = (uInt) *left;
    strm->next_out = in->out + in->len;
    strm->avail_out = (uInt) room;

    rc = inflate(strm, Z_NO_FLUSH);

    in->len += room - strm->avail_out;
    *left = strm->avail_in;

    if (in->len > in->max) {
        return INFLATE_TOO_LARGE;
    }

    in->held = 0;

    switch (rc) {

    case Z_STREAM_END:
        in->complete = 1;
        return INFLATE_OK;

    case Z_OK:
    case Z_BUF_ERROR:
        in->held = strm->avail_out == 0;

        return in->held || strm->avail_in == 0 ? INFLATE_OK
                                               : INFLATE_DAMAGED;

    case Z_MEM_ERROR:
        return INFLATE_FAILED;

    default:
        return INFLATE_DAMAGED;
    }
}


#if (SLUICE_ZSTD)

static inflate_rc_e
inflate_zstd(inflate_t *in, const unsigned char *data, size_t *left)
{
    size_t          rc;
    ZSTD_inBuffer   input;
    ZSTD_outBuffer  output;

    input.src = data;
    input.size = *left;
    input.pos = 0;

    output.dst = in->out;
    output.size = in->len + inflate_piece(in);
    output.pos = in->len;

    rc = ZSTD_decompressStream(in->zstd, &output, &input);

    in->len = output.pos;
    *left = input.size - input.pos;

    if (in->len > in->max) {
        return INFLATE_TOO_LARGE;
    }

    if (ZSTD_isError(rc)) {
        return ZSTD_getErrorCode(rc) == ZSTD_error_memory_allocation
               ? INFLATE_FAILED : INFLATE_DAMAGED;
    }

    in->complete = (rc == 0);

    /* while there is room left, the decoder holds nothing back */
    in->held = !in->complete && output.pos == output.size;

    return INFLATE_OK;
}

#endif
