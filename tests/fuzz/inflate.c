/*
 * libFuzzer target of the decoders of request bodies.  Input: the coding
 * (lowest bit of byte 0: gzip, zstd), the bound (its other bits, in 64
 * bytes), the size of the pieces it is fed in (byte 1), then the body.
 */

#include "fuzz.h"
#include "inflate.h"


typedef struct {
    inflate_rc_e    rc;
    unsigned char  *out;
    size_t          len;
} outcome_t;


/* In turns of all lengths, of one piece alone at the shortest. */

static inflate_rc_e
feed(inflate_t *in, const unsigned char *data, size_t len)
{
    inflate_rc_e  rc;

    static int64_t  turn;

    do {
        turn = (turn * 3 + 1) % 4096;
        in->turn = turn;
        rc = inflate_feed(in, &data, &len);
    } while (rc == INFLATE_MORE);

    demand(rc != INFLATE_OK || len == 0, "all is decoded");

    return rc;
}


static outcome_t
decode(inflate_coding_e coding, size_t max, const uint8_t *data,
    size_t size, size_t step)
{
    size_t          at, n;
    inflate_t       in;
    outcome_t       got;
    inflate_rc_e    rc;
    unsigned char  *piece;

    rc = inflate_begin(&in, coding, max);
    demand(rc == INFLATE_OK, "a decoder begins");

    for (at = 0; at < size && rc == INFLATE_OK; at += n) {
        n = size - at < step ? size - at : step;

        /* of its own, so that reading on is seen */
        piece = malloc(n);
        demand(piece != NULL, "there is memory");
        memcpy(piece, data + at, n);

        rc = feed(&in, piece, n);
        demand(in.size <= max + 1, "memory is bounded");
        free(piece);
    }

    got.rc = inflate_end(&in, rc);
    got.out = in.out;
    got.len = in.len;

    demand(got.rc == INFLATE_OK || got.out == NULL,
           "a failure leaves nothing");
    demand(got.len <= max, "the bound is kept");

    return got;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t            max, step;
    outcome_t         whole, pieces;
    inflate_coding_e  coding;

    if (size < 2) {
        return 0;
    }

    coding = INFLATE_GZIP;
#if (SLUICE_ZSTD)
    coding = data[0] & 1 ? INFLATE_ZSTD : INFLATE_GZIP;
#endif
    max = (size_t) (data[0] >> 1) * 64;
    step = data[1] ? data[1] : 1;

    whole = decode(coding, max, data + 2, size - 2, size);
    pieces = decode(coding, max, data + 2, size - 2, step);

    /*
     * libzstd decodes a frame that lies there whole in another way, which
     * refuses some damage that the other takes.
     */

    demand(coding == INFLATE_ZSTD
           || (whole.rc == INFLATE_OK) == (pieces.rc == INFLATE_OK),
           "pieces change nothing");

    if (whole.rc == INFLATE_OK && pieces.rc == INFLATE_OK) {
        demand(whole.len == pieces.len, "pieces change no length");
        demand(whole.len == 0
               || memcmp(whole.out, pieces.out, whole.len) == 0,
               "pieces change no byte");
    }

    free(whole.out);
    free(pieces.out);

    return 0;
}
