/*
 * Decodes HTTP's content codings, base64 and fields of forms within bounded
 * memory.  Knows neither nginx nor HTTP messages.
 */

#ifndef SLUICE_INFLATE_H
#define SLUICE_INFLATE_H


#include <stddef.h>
#include <stdint.h>
#include <zlib.h>


/* The first are content codings: RFC 9110, section 8.4.1. */
typedef enum {
    INFLATE_IDENTITY = 0,       /* not encoded */
    INFLATE_GZIP,               /* RFC 1952, any number of members */
    INFLATE_DEFLATE,            /* RFC 1950, or RFC 1951 without its wrapper */
    INFLATE_ZSTD,               /* RFC 8878, any number of frames; only where
                                   built with SLUICE_ZSTD */
    INFLATE_BROTLI,             /* RFC 7932; only with SLUICE_BROTLI */
    INFLATE_BASE64,             /* RFC 4648, sections 4 and 5 */
    INFLATE_FORM,               /* a field of a form, URL Standard, 5.1 */
    INFLATE_UNKNOWN
} inflate_coding_e;


typedef enum {
    INFLATE_OK = 0,
    INFLATE_TOO_LARGE,          /* decodes to more than "max" */
    INFLATE_DAMAGED,            /* or bytes follow the end */
    INFLATE_SHORT,              /* the data stops before its end; of a form:
                                   it has no such field */
    INFLATE_MORE,               /* the turn is over, data is left */
    INFLATE_FAILED              /* out of memory, or the caller gave up */
} inflate_rc_e;


/* What to decode, and how. */
typedef struct {
    inflate_coding_e     coding;
    const char          *name;          /* of a form's field */
    size_t               len;
    unsigned             plus:1;        /* base64: a space stands for "+" */
} inflate_step_t;


typedef struct inflate_s  inflate_t;

/*
 * Decodes once, as far as the piece of "left" bytes and the room reach, and
 * leaves in "left" what was not taken.
 */
typedef inflate_rc_e (*inflate_pt)(inflate_t *in, const unsigned char *data,
    size_t *left);


/* May not be moved between begin and end. */
struct inflate_s {
    size_t                             max;     /* bytes of "out" */
    unsigned char                     *out;     /* by malloc(), the caller's */
    size_t                             len;
    size_t                             size;    /* allocated, at most max + 1 */
    int64_t                            turn;    /* steps left, of 5 ns */
    inflate_pt                         decode;
    z_stream                           z;
    struct ZSTD_DCtx_s                *zstd;
    struct BrotliDecoderStateStruct   *brotli;
    size_t                             memory;  /* bytes of the decoder */
    const inflate_step_t              *step;
    size_t                             at;      /* bytes of a form's name */
    uint32_t                           bits;    /* of base64; of a byte "%xx" */
    uint8_t                            nbits;   /* of base64; digits due */
    uint8_t                            pads;    /* of base64 */
    uint8_t                            digits;  /* of base64, modulo 4 */
    uint8_t                            state;   /* of a form */
    unsigned                           begun:1; /* the decoder's memory is
                                                   held */
    unsigned                           known:1; /* which deflate it is, or the
                                                   window of brotli */
    unsigned                           complete:1;  /* at the end of a member
                                                       or frame */
    unsigned                           held:1;  /* output waits for room */
};


/* The content codings that are decoded, as a value of Accept-Encoding. */
extern const char  inflate_codings[];


/* The name of a coding, for people. */
const char *inflate_name(inflate_coding_e coding);

/* The content coding with this name of "len" bytes, in any case. */
inflate_coding_e inflate_coding(const char *name, size_t len);

/*
 * Begins to decode to at most "max" bytes; "step" lives until the end.
 * Whatever begin and feed return, the caller then calls inflate_end() once,
 * with the last return value.  inflate_end() frees the decoder and says
 * whether the data was whole.  It leaves the caller "out" to free: NULL after
 * a failure, or where the data decodes to nothing.
 *
 * inflate_feed() takes what it decodes off "data", and its cost off in->turn,
 * which the caller sets before.  Where no steps are left it returns
 * INFLATE_MORE, and goes on when called again.
 */
inflate_rc_e inflate_begin(inflate_t *in, const inflate_step_t *step,
    size_t max);
inflate_rc_e inflate_feed(inflate_t *in, const unsigned char **data,
    size_t *len);
inflate_rc_e inflate_end(inflate_t *in, inflate_rc_e rc);

/* Bytes that the output and the decoder take now. */
size_t inflate_memory(const inflate_t *in);


#endif
