/*
 * Decodes HTTP's content codings gzip and zstd within bounded memory.  Knows
 * neither nginx nor HTTP messages.
 */

#ifndef SLUICE_INFLATE_H
#define SLUICE_INFLATE_H


#include <stddef.h>
#include <stdint.h>
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
    INFLATE_DAMAGED,            /* or bytes follow the end */
    INFLATE_SHORT,              /* the data stops before its end */
    INFLATE_MORE,               /* the turn is over, data is left */
    INFLATE_FAILED              /* out of memory, or the caller gave up */
} inflate_rc_e;


/* May not be moved between begin and end. */
typedef struct {
    size_t               max;           /* bytes of "out" */
    unsigned char       *out;           /* by malloc(), the caller's */
    size_t               len;
    size_t               size;          /* allocated, at most max + 1 */
    int64_t              turn;          /* steps left, about 5 ns each */
    z_stream             gzip;
    struct ZSTD_DCtx_s  *zstd;          /* NULL: gzip */
    unsigned             begun:1;       /* the decoder's memory is held */
    unsigned             complete:1;    /* at the end of a member or frame */
    unsigned             held:1;        /* output waits for room */
} inflate_t;


/* The codings that are decoded, as a value of Accept-Encoding. */
extern const char  inflate_codings[];


/* The coding with this name of "len" bytes, in any case. */
inflate_coding_e inflate_coding(const char *name, size_t len);

/*
 * Begins to decode gzip or zstd to at most "max" bytes.  Whatever begin and
 * feed return, the caller then calls inflate_end() once, with the last return
 * value.  inflate_end() frees the decoder and says whether the data was
 * whole.  It leaves the caller "out" to free: NULL after a failure, or where
 * the data decodes to nothing.
 *
 * inflate_feed() takes what it decodes off "data", and its cost off in->turn,
 * which the caller sets before.  Where no steps are left it returns
 * INFLATE_MORE, and goes on when called again.
 */
inflate_rc_e inflate_begin(inflate_t *in, inflate_coding_e coding,
    size_t max);
inflate_rc_e inflate_feed(inflate_t *in, const unsigned char **data,
    size_t *len);
inflate_rc_e inflate_end(inflate_t *in, inflate_rc_e rc);

/* Bytes that the output and the decoder take now. */
size_t inflate_memory(const inflate_t *in);


#endif
