/* Text and bytes become a field, by the column's type. */

#include "base/text.h"
#include "row/text.h"
#include "row/time.h"
#include "row/transform.h"


#define ROW_SCALE  16383     /* decimals that a numeric can have */


static int row_bytea(row_ctx_t *ctx, const row_column_t *column,
    const char *s, size_t len);


/* RFC 4648, sections 4 and 5, from 1; 0: not of the alphabet. */
static const uint8_t  row_base64_digits[256] = {
    ['A'] = 1, ['B'] = 2, ['C'] = 3, ['D'] = 4, ['E'] = 5, ['F'] = 6,
    ['G'] = 7, ['H'] = 8, ['I'] = 9, ['J'] = 10, ['K'] = 11, ['L'] = 12,
    ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18,
    ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26,
    ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38,
    ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44,
    ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49, ['x'] = 50,
    ['y'] = 51, ['z'] = 52,
    ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56, ['4'] = 57, ['5'] = 58,
    ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62,
    ['+'] = 63, ['-'] = 63, ['/'] = 64, ['_'] = 64
};


int
row_text(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len)
{
    switch (column->kind) {

    case TYPE_SMALLINT:
    case TYPE_INTEGER:
    case TYPE_BIGINT:
        return row_integer(ctx, column, s, len);

    case TYPE_TIMESTAMPTZ:
    case TYPE_TIMESTAMP:
    case TYPE_DATE:
    case TYPE_TIME:
        return row_time(ctx, column, s, len);

    case TYPE_BYTEA:
        return row_bytea(ctx, column, s, len);

    default:
        return ctx->writer->text(ctx, column, s, len);
    }
}


int
row_bytes(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len)
{
    int  rc;

    if (column->kind == TYPE_BYTEA && column->ntransforms == 0) {
        return ctx->writer->bytes(ctx, column, s, len);
    }

    /* SHA-256 takes bytes, the other transforms take text */

    if (column->ntransforms == 0
        || column->conf->transforms[0].kind != CONF_SHA256)
    {
        rc = row_clean(ctx, &s, &len);
        if (rc != 0) {
            return rc == -1 ? -1
                   : row_fault(ctx, column, "22021",
                               "not UTF-8 text, or a zero byte in it");
        }
    }

    if (column->ntransforms) {
        rc = row_transform(ctx, column, &s, &len);
        if (rc != 0) {
            return rc;
        }
    }

    return column->kind == TYPE_BYTEA
           ? ctx->writer->bytes(ctx, column, s, len)
           : row_text(ctx, column, s, len);
}


int
row_formed(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len)
{
    int  rc;

    if (column->ntransforms) {
        rc = row_transform(ctx, column, &s, &len);
        if (rc != 0) {
            return rc;
        }
    }

    return column->digest ? ctx->writer->bytes(ctx, column, s, len)
                          : row_text(ctx, column, s, len);
}


/* Not for an "s" in ctx->decoded, which takes the bytes. */

static int
row_bytea(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len)
{
    int  rc;

    rc = row_base64(ctx, column, s, len);

    return rc ? rc : ctx->writer->bytes(ctx, column, ctx->decoded.data,
                                        ctx->decoded.len);
}


int
row_base64(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len)
{
    char      *p;
    size_t     i, padding;
    buf_t     *out = &ctx->decoded;
    uint8_t    digit;
    uint32_t   bits, n;

    padding = 0;

    while (padding < 2 && len && s[len - 1] == '=') {
        padding++;
        len--;
    }

    out->len = 0;

    if (buf_reserve(out, len / 4 * 3 + 3) == -1) {
        return -1;
    }

    p = out->data;
    bits = 0;
    n = 0;

    for (i = 0; i < len; i++) {
        digit = row_base64_digits[(unsigned char) s[i]];

        if (digit == 0) {
            break;
        }

        bits = bits << 6 | (uint32_t) (digit - 1);
        n += 6;

        if (n >= 8) {
            n -= 8;
            *p++ = (char) (bits >> n);
        }
    }

    out->len = (size_t) (p - out->data);

    return i < len || len % 4 == 1 || (padding && (len + padding) % 4)
           ? row_fault(ctx, column, "22P02", "not base64") : 0;
}


int
row_decimal(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len, int32_t scale)
{
    int  rc;

    rc = row_base64(ctx, column, s, len);
    if (rc != 0) {
        return rc;
    }

    if (ctx->decoded.len == 0 || ctx->decoded.len > TEXT_DECIMAL) {
        return row_fault(ctx, column, "22003", "a number of %zu bytes",
                         ctx->decoded.len);
    }

    if (scale < -ROW_SCALE || scale > ROW_SCALE) {
        return row_fault(ctx, column, "22003", "the scale is out of range");
    }

    ctx->formed.len = 0;

    return text_add_decimal(&ctx->formed, ctx->decoded.data, ctx->decoded.len,
                            scale)
           == -1
           ? -1 : row_formed(ctx, column, ctx->formed.data, ctx->formed.len);
}


int
row_integer(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len)
{
    int      rc;
    int64_t  n;

    rc = text_get_int(s, len, column->kind == TYPE_SMALLINT ? 2
                              : column->kind == TYPE_INTEGER ? 4 : 8, &n);

    return rc == 0 ? ctx->writer->number(ctx, column, n, s, len)
           : rc == 1 ? row_fault(ctx, column, "22003",
                                 "the number is out of range")
           : row_fault(ctx, column, "22P02", "not a whole number");
}


int
row_clean(row_ctx_t *ctx, const char **s, size_t *len)
{
    size_t   i;
    buf_t   *out;

    if (ctx->nul == CONF_NUL_REJECT || *len == 0
        || memchr(*s, '\0', *len) == NULL)
    {
        return text_is_utf8(*s, *len) ? 0 : 1;
    }

    out = &ctx->cleaned;
    out->len = 0;

    if (buf_reserve(out, *len * 3 + 1) == -1) {
        return -1;
    }

    for (i = 0; i < *len; i++) {
        if ((*s)[i]) {
            out->data[out->len++] = (*s)[i];

        } else if (ctx->nul == CONF_NUL_REPLACE) {
            memcpy(out->data + out->len, ROW_REPLACEMENT, 3);
            out->len += 3;
        }
    }

    *s = out->data;
    *len = out->len;

    return text_is_utf8(*s, *len) ? 0 : 1;
}
