/* Decimals as Kafka Connect writes them: base64 of a whole number's bytes. */

#include <stdlib.h>

#include "row/decimal.h"
#include "row/text.h"


#define DECIMAL_BYTES  1024     /* of a number; numeric(1000) has 416 */
#define DECIMAL_SCALE  16383    /* decimals that a numeric can have */


static int row_digits(row_ctx_t *ctx, int32_t scale);


int
row_decimal(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len, int32_t scale)
{
    int  rc;

    rc = row_base64(&ctx->decoded, s, len);

    if (rc != 0) {
        return rc == -1 ? -1 : row_fault(ctx, column, "22P02", "not base64");
    }

    if (ctx->decoded.len == 0 || ctx->decoded.len > DECIMAL_BYTES) {
        return row_fault(ctx, column, "22003", "a number of %zu bytes",
                         ctx->decoded.len);
    }

    if (scale < -DECIMAL_SCALE || scale > DECIMAL_SCALE) {
        return row_fault(ctx, column, "22003", "the scale is out of range");
    }

    return row_digits(ctx, scale) == -1
           ? -1 : row_formed(ctx, column, ctx->formed.data, ctx->formed.len);
}


/* Divides ctx->decoded by a thousand millions until nothing is left. */

static int
row_digits(row_ctx_t *ctx, int32_t scale)
{
    int       i, digits;
    bool      negative;
    char     *p, *end;
    size_t    at, first, n;
    uint64_t  rest;
    buf_t    *out = &ctx->formed;
    uint8_t  *bytes;

    bytes = (uint8_t *) ctx->decoded.data;
    n = ctx->decoded.len;
    negative = bytes[0] & 0x80;
    out->len = 0;

    /* three digits a byte, the decimals' zeros, sign and point */
    at = n * 3 + 9 + (size_t) abs(scale) + 3;

    if (buf_reserve(out, at) == -1) {
        return -1;
    }

    for (rest = 1, first = n; negative && first--; ) {
        rest += (uint8_t) ~bytes[first];
        bytes[first] = (uint8_t) rest;
        rest >>= 8;
    }

    end = out->data + at;
    p = end;

    for (i = scale; i < 0; i++) {
        *--p = '0';
    }

    digits = 0;
    first = 0;

    do {
        for (rest = 0, at = first; at < n; at++) {
            rest = rest << 8 | bytes[at];
            bytes[at] = (uint8_t) (rest / 1000000000);
            rest %= 1000000000;
        }

        while (first < n && bytes[first] == 0) {
            first++;
        }

        for (i = 0; i < 9 && (rest || first < n || digits <= scale); i++) {
            if (digits++ == scale && scale > 0) {
                *--p = '.';
            }
            *--p = (char) ('0' + rest % 10);
            rest /= 10;
        }

    } while (first < n || digits <= scale);

    if (negative) {
        *--p = '-';
    }

    out->len = (size_t) (end - p);
    memmove(out->data, p, out->len);

    return 0;
}
