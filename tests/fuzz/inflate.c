/*
 * libFuzzer target of the decoders of request bodies.  Input: the coding
 * (lowest bit of byte 0: gzip, zstd; bits 5 and 6 of byte 1: others), the bound
 * (the other bits of byte 0, in 64 bytes), the size of the pieces it is fed in
 * (the lowest 5 bits of byte 1), then the body.
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
decode(const inflate_step_t *step, size_t max, const uint8_t *data,
    size_t size, size_t length)
{
    size_t          at, n;
    inflate_t       in;
    outcome_t       got;
    inflate_rc_e    rc;
    unsigned char  *piece;

    rc = inflate_begin(&in, step, max);
    demand(rc == INFLATE_OK, "a decoder begins");

    for (at = 0; at < size && rc == INFLATE_OK; at += n) {
        n = size - at < length ? size - at : length;

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
    size_t          max, length;
    outcome_t       whole, pieces;
    inflate_step_t  step;

    static const inflate_coding_e  codings[][2] = {
        { INFLATE_GZIP, INFLATE_ZSTD },
        { INFLATE_DEFLATE, INFLATE_BROTLI },
        { INFLATE_BASE64, INFLATE_BASE64 },
        { INFLATE_FORM, INFLATE_FORM }
    };

    if (size < 2) {
        return 0;
    }

    memset(&step, 0, sizeof(step));

    step.coding = codings[data[1] >> 5 & 3][data[0] & 1];
    step.plus = data[0] & 1;
    step.name = "a b";
    step.len = 3;
    max = (size_t) (data[0] >> 1) * 64;
    length = (data[1] & 31) + 1U;

    whole = decode(&step, max, data + 2, size - 2, size);
    pieces = decode(&step, max, data + 2, size - 2, length);

    /*
     * libzstd decodes a frame that lies there whole in another way, which
     * refuses some damage that the other takes.
     */

    demand(step.coding == INFLATE_ZSTD
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
