/* The decoders.  Their memory is the output, at most "max", and a window. */

#include "inflate.h"
#include "inflate_text.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#if (SLUICE_ZSTD)
#include <zstd.h>
#include <zstd_errors.h>
#endif
#if (SLUICE_BROTLI)
#include <brotli/decode.h>
#endif


#define INFLATE_FIRST   4096    /* bytes of the first output */

/* bytes in and out at once; between them the turn may end */
#define INFLATE_PIECE      4096
#define INFLATE_PIECE_OUT  131072

/* steps: of each call, of a byte in (of text: one), and bytes out for one */
#define INFLATE_COST       100
#define INFLATE_COST_IN    16
#define INFLATE_OUT_STEP   4

/* bytes of zlib's state and window */
#define INFLATE_ZLIB_MEMORY  (44 * 1024)

/* A zstd frame that wants a larger window is refused (RFC 9659: 8 MiB). */
#define INFLATE_WINDOW  23      /* log2 of bytes */

/* RFC 7932, section 9.1: the first bits of a stream whose window is 16 MiB */
#define INFLATE_BROTLI_WIDE  0x0f


static inflate_rc_e inflate_begin_zlib(inflate_t *in, int bits);
static int inflate_room(inflate_t *in);
static inflate_rc_e inflate_gzip(inflate_t *in, const unsigned char *data,
    size_t *left);
static inflate_rc_e inflate_deflate(inflate_t *in, const unsigned char *data,
    size_t *left);
static inflate_rc_e inflate_zlib(inflate_t *in, const unsigned char *data,
    size_t *left);
static void inflate_free(inflate_t *in);
#if (SLUICE_ZSTD)
static inflate_rc_e inflate_begin_zstd(inflate_t *in);
static inflate_rc_e inflate_zstd(inflate_t *in, const unsigned char *data,
    size_t *left);
#endif
#if (SLUICE_BROTLI)
static inflate_rc_e inflate_begin_brotli(inflate_t *in);
static inflate_rc_e inflate_brotli(inflate_t *in, const unsigned char *data,
    size_t *left);
static void *inflate_brotli_alloc(void *opaque, size_t size);
static void inflate_brotli_free(void *opaque, void *address);
#endif


const char  inflate_codings[] = "gzip, deflate"
#if (SLUICE_ZSTD)
    ", zstd"
#endif
#if (SLUICE_BROTLI)
    ", br"
#endif
    ;


const char *
inflate_name(inflate_coding_e coding)
{
    static const char  *names[] = {
        [INFLATE_IDENTITY] = "identity",
        [INFLATE_GZIP] = "gzip",
        [INFLATE_DEFLATE] = "deflate",
        [INFLATE_ZSTD] = "zstd",
        [INFLATE_BROTLI] = "br",
        [INFLATE_BASE64] = "base64",
        [INFLATE_FORM] = "form"
    };

    return names[coding];
}


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
        { "deflate", 7, INFLATE_DEFLATE },
#if (SLUICE_ZSTD)
        { "zstd", 4, INFLATE_ZSTD },
#endif
#if (SLUICE_BROTLI)
        { "br", 2, INFLATE_BROTLI },
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
inflate_begin(inflate_t *in, const inflate_step_t *step, size_t max)
{
    memset(in, 0, sizeof(inflate_t));

    in->max = max;
    in->step = step;

    switch (step->coding) {

    case INFLATE_GZIP:
        in->decode = inflate_gzip;
        /* 16: gzip only, no zlib header */
        return inflate_begin_zlib(in, MAX_WBITS + 16);

    case INFLATE_DEFLATE:
        in->decode = inflate_deflate;
        return inflate_begin_zlib(in, MAX_WBITS);

#if (SLUICE_ZSTD)
    case INFLATE_ZSTD:
        in->decode = inflate_zstd;
        return inflate_begin_zstd(in);
#endif

#if (SLUICE_BROTLI)
    case INFLATE_BROTLI:
        in->decode = inflate_brotli;
        return inflate_begin_brotli(in);
#endif

    case INFLATE_BASE64:
        in->decode = inflate_base64;
        return INFLATE_OK;

    case INFLATE_FORM:
        in->decode = inflate_form;
        return INFLATE_OK;

    default:
        return INFLATE_FAILED;
    }
}


static inflate_rc_e
inflate_begin_zlib(inflate_t *in, int bits)
{
    if (inflateInit2(&in->z, bits) != Z_OK) {
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
        rc = in->decode(in, *data, &left);
        n -= left;
        *data += n;
        *len -= n;

        in->turn -= INFLATE_COST
                    + (in->begun ? INFLATE_COST_IN : 1) * (int64_t) n
                    + (int64_t) ((in->len - before) / INFLATE_OUT_STEP);
    }

    return rc;
}


inflate_rc_e
inflate_end(inflate_t *in, inflate_rc_e rc)
{
    unsigned char  *p;

    if (in->begun) {
        inflate_free(in);
        in->begun = 0;
    }

    if (rc == INFLATE_OK && in->step->coding == INFLATE_BASE64) {
        rc = inflate_base64_end(in);

    } else if (rc == INFLATE_OK && in->step->coding == INFLATE_FORM) {
        rc = inflate_form_end(in);
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


static void
inflate_free(inflate_t *in)
{
#if (SLUICE_ZSTD)
    if (in->zstd) {
        (void) ZSTD_freeDCtx(in->zstd);
        return;
    }
#endif
#if (SLUICE_BROTLI)
    if (in->brotli) {
        BrotliDecoderDestroyInstance(in->brotli);
        return;
    }
#endif

    (void) inflateEnd(&in->z);
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

    return in->size + (in->memory ? in->memory : INFLATE_ZLIB_MEMORY);
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


/* in->held: there is more to come without more data. */

static inflate_rc_e
inflate_gzip(inflate_t *in, const unsigned char *data, size_t *left)
{
    if (in->complete) {
        /* another member follows, or damage */
        (void) inflateReset(&in->z);
        in->complete = 0;
    }

    return inflate_zlib(in, data, left);
}


/*
 * RFC 9110, section 8.4.1.2, asks for zlib's wrapper.  What lacks it is taken
 * too, as by browsers: no encoder begins a bare block by the wrapper's 8,
 * which would be set bits of a stored block's padding.
 */
static inflate_rc_e
inflate_deflate(inflate_t *in, const unsigned char *data, size_t *left)
{
    if (in->complete) {
        return INFLATE_DAMAGED;
    }

    if (!in->known) {
        in->known = 1;

        if ((data[0] & 0x0f) != Z_DEFLATED) {
            (void) inflateReset2(&in->z, -MAX_WBITS);
        }
    }

    return inflate_zlib(in, data, left);
}


static inflate_rc_e
inflate_zlib(inflate_t *in, const unsigned char *data, size_t *left)
{
    int        rc;
    size_t     room;
    z_stream  *strm = &in->z;

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
inflate_begin_zstd(inflate_t *in)
{
    in->zstd = ZSTD_createDCtx();
    if (in->zstd == NULL) {
        return INFLATE_FAILED;
    }

    in->begun = 1;

    return ZSTD_isError(ZSTD_DCtx_setParameter(in->zstd, ZSTD_d_windowLogMax,
                                               INFLATE_WINDOW))
           ? INFLATE_FAILED : INFLATE_OK;
}


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


#if (SLUICE_BROTLI)

static inflate_rc_e
inflate_begin_brotli(inflate_t *in)
{
    in->brotli = BrotliDecoderCreateInstance(inflate_brotli_alloc,
                                             inflate_brotli_free, in);
    if (in->brotli == NULL) {
        return INFLATE_FAILED;
    }

    in->begun = 1;

    return INFLATE_OK;
}


static inflate_rc_e
inflate_brotli(inflate_t *in, const unsigned char *data, size_t *left)
{
    size_t                     room, before;
    uint8_t                   *out;
    const uint8_t             *next;
    BrotliDecoderResult        rc;
    BrotliDecoderErrorCode     error;

    if (in->complete) {
        return INFLATE_DAMAGED;
    }

    if (!in->known) {
        in->known = 1;

        if ((data[0] & 0x0f) == INFLATE_BROTLI_WIDE) {
            return INFLATE_DAMAGED;
        }
    }

    room = inflate_piece(in);
    before = room;
    out = in->out + in->len;
    next = data;

    rc = BrotliDecoderDecompressStream(in->brotli, left, &next, &room, &out,
                                       NULL);

    in->len += before - room;

    if (in->len > in->max) {
        return INFLATE_TOO_LARGE;
    }

    in->held = rc == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT;
    in->complete = rc == BROTLI_DECODER_RESULT_SUCCESS;

    if (rc != BROTLI_DECODER_RESULT_ERROR) {
        return INFLATE_OK;
    }

    error = BrotliDecoderGetErrorCode(in->brotli);

    return error <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES
           && error >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES
           ? INFLATE_FAILED : INFLATE_DAMAGED;
}


/* Each block has its size before it, for inflate_memory(). */

typedef union {
    size_t       size;
    max_align_t  align;
} inflate_block_t;


static void *
inflate_brotli_alloc(void *opaque, size_t size)
{
    inflate_t        *in = opaque;
    inflate_block_t  *block;

    block = malloc(sizeof(inflate_block_t) + size);
    if (block == NULL) {
        return NULL;
    }

    block->size = size;
    in->memory += size;

    return block + 1;
}


static void
inflate_brotli_free(void *opaque, void *address)
{
    inflate_t        *in;
    inflate_block_t  *block;

    if (address == NULL) {
        return;
    }

    in = opaque;
    block = (inflate_block_t *) address - 1;
    in->memory -= block->size;
    free(block);
}

#endif
