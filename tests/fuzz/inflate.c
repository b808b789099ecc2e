/*
 * libFuzzer target of the decoders of request bodies.  Input: the coding
 * (lowest bit of byte 0: gzip, zstd), the limit (its other bits, in 64
 * bytes), the size of the pieces it is fed in (byte 1), then the body.
 */

#include "fuzz.h"
#include "http/ngx_kafka_inflate.h"


typedef struct {
    ngx_kafka_inflated_e   rc;
    unsigned char         *out;
    size_t                 len;
} outcome_t;


static outcome_t
decode(ngx_kafka_coding_e coding, size_t limit, const uint8_t *data,
    size_t size, size_t step)
{
    size_t                at, n;
    outcome_t             got;
    unsigned char        *piece;
    ngx_kafka_inflate_t   in;
    ngx_kafka_inflated_e  rc;

    rc = ngx_kafka_inflate_begin(&in, coding, limit);
    demand(rc == NGX_KAFKA_INFLATED, "a decoder begins");

    for (at = 0; at < size && rc == NGX_KAFKA_INFLATED; at += n) {
        n = size - at < step ? size - at : step;

        /* of its own, so that reading on is seen */
        piece = malloc(n);
        demand(piece != NULL, "there is memory");
        memcpy(piece, data + at, n);

        rc = ngx_kafka_inflate_feed(&in, piece, n);
        demand(in.size <= limit + 1, "memory is bounded");
        free(piece);
    }

    got.rc = ngx_kafka_inflate_end(&in, rc);
    got.out = in.out;
    got.len = in.len;

    demand(got.rc == NGX_KAFKA_INFLATED || got.out == NULL,
           "a failure leaves nothing");
    demand(got.len <= limit, "the limit is kept");

    return got;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t              limit, step;
    outcome_t           whole, pieces;
    ngx_kafka_coding_e  coding;

    if (size < 2) {
        return 0;
    }

    coding = NGX_KAFKA_GZIP;
#if (NGX_HAVE_ZSTD)
    coding = data[0] & 1 ? NGX_KAFKA_ZSTD : NGX_KAFKA_GZIP;
#endif
    limit = (size_t) (data[0] >> 1) * 64;
    step = data[1] ? data[1] : 1;

    whole = decode(coding, limit, data + 2, size - 2, size);
    pieces = decode(coding, limit, data + 2, size - 2, step);

    /*
     * libzstd decodes a frame that lies there whole in another way, which
     * refuses some damage that the other takes.
     */

    demand(coding == NGX_KAFKA_ZSTD
           || (whole.rc == NGX_KAFKA_INFLATED)
              == (pieces.rc == NGX_KAFKA_INFLATED), "pieces change nothing");

    if (whole.rc == NGX_KAFKA_INFLATED && pieces.rc == NGX_KAFKA_INFLATED) {
        demand(whole.len == pieces.len, "pieces change no length");
        demand(whole.len == 0
               || memcmp(whole.out, pieces.out, whole.len) == 0,
               "pieces change no byte");
    }

    free(whole.out);
    free(pieces.out);

    return 0;
}
