/* gzip and zstd through a bound; knows neither nginx's pools nor HTTP. */

#ifndef NGX_KAFKA_INFLATE_H
#define NGX_KAFKA_INFLATE_H


#ifndef NGX_KAFKA_INFLATE_ALONE
#include <ngx_config.h>
#endif

#include <stddef.h>
#include <zlib.h>

#if (NGX_HAVE_ZSTD)
#include <zstd.h>
#include <zstd_errors.h>
#endif


/* A zstd frame that wants a larger window is refused (RFC 9659: 8 MiB). */
#define NGX_KAFKA_ZSTD_WINDOW  23       /* log2 of bytes */

/* The most that may be fed at once, in bytes. */
#define NGX_KAFKA_INFLATE_MAX  (1024 * 1024)


typedef enum {
    NGX_KAFKA_GZIP = 0,                 /* RFC 1952, any number of members */
    NGX_KAFKA_ZSTD                      /* RFC 8878, any number of frames */
} ngx_kafka_coding_e;


typedef enum {
    NGX_KAFKA_INFLATED = 0,
    NGX_KAFKA_INFLATED_LARGE,           /* longer than the limit */
    NGX_KAFKA_INFLATED_DAMAGED,         /* also what follows the end */
    NGX_KAFKA_INFLATED_SHORT,           /* ends before its end */
    NGX_KAFKA_INFLATED_MEMORY
} ngx_kafka_inflated_e;


/* May not be moved between begin and end. */
typedef struct {
    ngx_kafka_coding_e  coding;
    size_t              limit;          /* bytes of "out" */
    unsigned char      *out;            /* by malloc(), the caller's */
    size_t              len;
    size_t              size;           /* allocated, at most limit + 1 */
    z_stream            gzip;
#if (NGX_HAVE_ZSTD)
    ZSTD_DCtx          *zstd;
#endif
    unsigned            begun:1;        /* the decoder's memory is held */
    unsigned            complete:1;     /* at the end of a member or frame */
} ngx_kafka_inflate_t;


/*
 * Whatever they return, ngx_kafka_inflate_end() must follow once: it frees
 * the decoder, says whether the data was whole, and leaves "out" (NULL
 * unless all went well), which the caller frees.
 */
ngx_kafka_inflated_e ngx_kafka_inflate_begin(ngx_kafka_inflate_t *in,
    ngx_kafka_coding_e coding, size_t limit);
ngx_kafka_inflated_e ngx_kafka_inflate_feed(ngx_kafka_inflate_t *in,
    const unsigned char *data, size_t len);
ngx_kafka_inflated_e ngx_kafka_inflate_end(ngx_kafka_inflate_t *in,
    ngx_kafka_inflated_e rc);


#endif
