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

/* bytes in or out at once: zlib counts them in an unsigned int */
#define INFLATE_ONCE    (1024 * 1024 * 1024)

/* A zstd frame that wants a larger window is refused (RFC 9659: 8 MiB). */
#define INFLATE_WINDOW  23      /* log2 of bytes */


static int inflate_room(inflate_t *in);
static inflate_rc_e inflate_gzip(inflate_t *in, const unsigned char *data,
    size_t len);
#if (SLUICE_ZSTD)
static inflate_rc_e inflate_zstd(inflate_t *in, const unsigned char *data,
    size_t len);
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
inflate_feed(inflate_t *in, const unsigned char *data, size_t len)
{
    size_t        n;
    inflate_rc_e  rc;

    rc = INFLATE_OK;

    for ( /* void */ ; len && rc == INFLATE_OK; data += n, len -= n) {
        n = len < INFLATE_ONCE ? len : INFLATE_ONCE;
#if (SLUICE_ZSTD)
        rc = in->zstd ? inflate_zstd(in, data, n) : inflate_gzip(in, data, n);
#else
        rc = inflate_gzip(in, data, n);
#endif
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


static inflate_rc_e
inflate_gzip(inflate_t *in, const unsigned char *data, size_t len)
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
                return INFLATE_OK;
            }

            /* another member follows, or damage */
            (void) inflateReset(strm);
            in->complete = 0;
        }

        if (inflate_room(in) != 0) {
            return INFLATE_FAILED;
        }

        room = in->size - in->len;
        if (room > INFLATE_ONCE) {
            room = INFLATE_ONCE;
        }

        strm->next_out = in->out + in->len;
        strm->avail_out = (uInt) room;

        rc = inflate(strm, Z_NO_FLUSH);

        in->len += room - strm->avail_out;

        if (in->len > in->max) {
            return INFLATE_TOO_LARGE;
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

            return strm->avail_in == 0 ? INFLATE_OK
                                       : INFLATE_DAMAGED;

        case Z_MEM_ERROR:
            return INFLATE_FAILED;

        default:
            return INFLATE_DAMAGED;
        }
    }
}


#if (SLUICE_ZSTD)

static inflate_rc_e
inflate_zstd(inflate_t *in, const unsigned char *data, size_t len)
{
    size_t          rc;
    ZSTD_inBuffer   input;
    ZSTD_outBuffer  output;

    input.src = data;
    input.size = len;
    input.pos = 0;

    for ( ;; ) {

        if (inflate_room(in) != 0) {
            return INFLATE_FAILED;
        }

        output.dst = in->out;
        output.size = in->size;
        output.pos = in->len;

        rc = ZSTD_decompressStream(in->zstd, &output, &input);

        in->len = output.pos;

        if (in->len > in->max) {
            return INFLATE_TOO_LARGE;
        }

        if (ZSTD_isError(rc)) {
            return ZSTD_getErrorCode(rc) == ZSTD_error_memory_allocation
                   ? INFLATE_FAILED : INFLATE_DAMAGED;
        }

        in->complete = (rc == 0);

        /* while there is room left, the decoder holds nothing back */

        if (input.pos == input.size
            && (in->complete || output.pos < output.size))
        {
            return INFLATE_OK;
        }
    }
}

#endif
