/*
 * Decoders of HTTP's content codings gzip and zstd, whose memory is bounded;
 * knows neither nginx nor HTTP's messages.
 */

#ifndef SLUICE_INFLATE_H
#define SLUICE_INFLATE_H


#include <stddef.h>
#include <zlib.h>


/* Content codings, RFC 9110, section 8.4.1. */
typedef enum {
    INFLATE_IDENTITY = 0,       /* not encoded */
    INFLATE_GZIP,               /* RFC 1952, any number of members */
    INFLATE_ZSTD,               /* RFC 8878, any number of frames; only where
                                   built with SLUICE_ZSTD */
    INFLATE_UNKNOWN
} inflate_coding_e;


typedef enum {
    INFLATE_OK = 0,
    INFLATE_TOO_LARGE,          /* decodes to more than "max" */
    INFLATE_DAMAGED,            /* or something follows the end */
    INFLATE_SHORT,              /* stops before the end */
    INFLATE_FAILED              /* memory is short, or the caller gave up */
} inflate_rc_e;


/* May not be moved between begin and end. */
typedef struct {
    size_t               max;           /* bytes of "out" */
    unsigned char       *out;           /* by malloc(), the caller's */
    size_t               len;
    size_t               size;          /* allocated, at most max + 1 */
    z_stream             gzip;
    struct ZSTD_DCtx_s  *zstd;          /* NULL: gzip */
    unsigned             begun:1;       /* the decoder's memory is held */
    unsigned             complete:1;    /* at the end of a member or frame */
} inflate_t;


/* Those that are decoded, as a value of Accept-Encoding. */
extern const char  inflate_codings[];


/* The coding with this name of "len" bytes, in any case. */
inflate_coding_e inflate_coding(const char *name, size_t len);

/*
 * Begins to decode gzip or zstd to at most "max" bytes.  Whatever begin and
 * feed return, inflate_end() must follow once: it takes the last return
 * value, frees the decoder, says whether the data was whole, and leaves "out"
 * (NULL unless all went well, or where nothing came out), which the caller
 * frees.
 */
inflate_rc_e inflate_begin(inflate_t *in, inflate_coding_e coding,
    size_t max);
inflate_rc_e inflate_feed(inflate_t *in, const unsigned char *data,
    size_t len);
inflate_rc_e inflate_end(inflate_t *in, inflate_rc_e rc);


#endif
