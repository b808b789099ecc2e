/*
 * Fields of COPY's binary format: row_tuple.  Each is its length and the bytes
 * that the type's receive function reads; so are the elements of an array.
 */

#include <math.h>

#include "row/time.h"
#include "row/tuple.h"


#define TUPLE_EPOCH  10957    /* days from 1970-01-01 to 2000-01-01 */
#define TUPLE_US     1000000LL
#define TUPLE_DAY    (86400 * TUPLE_US)

/* PostgreSQL's src/include/datatype/timestamp.h: 4714-11-24 BC to 294277 */
#define TUPLE_FIRST  (-2451545)
#define TUPLE_END    9223371331200000000LL


/* A number of "size" bytes, at most 8, behind its length. */

static int
tuple_put(row_ctx_t *ctx, uint64_t n, size_t size)
{
    char   *p;
    buf_t  *out = ctx->text;

    if (buf_reserve(out, 12) == -1) {
        return -1;
    }

    p = out->data + out->len;
    binary_put_int(p, size, 4);
    binary_put_int(p + 4, n, size);
    out->len += 4 + size;

    return 0;
}


int
row_tuple_array(row_ctx_t *ctx, uint32_t element, const int32_t *sizes,
    int ndims)
{
    int      i;
    char    *p;
    size_t   len;
    buf_t   *out = ctx->text;

    len = 12 + (size_t) ndims * 8;

    if (buf_reserve(out, len + 8) == -1) {
        return -1;
    }

    p = out->data + out->len;
    binary_put_int(p, len, 4);
    binary_put_int(p + 4, (uint64_t) ndims, 4);
    binary_put_int(p + 8, 1, 4);
    binary_put_int(p + 12, element, 4);

    for (i = 0; i < ndims; i++) {
        binary_put_int(p + 16 + i * 8, (uint64_t) sizes[i], 4);
        binary_put_int(p + 20 + i * 8, 1, 4);
    }

    out->len += 4 + len;

    return 0;
}


static int
tuple_null(row_ctx_t *ctx)
{
    buf_t  *out = ctx->text;

    if (buf_reserve(out, 8) == -1) {
        return -1;
    }

    memset(out->data + out->len, 0xff, 4);
    out->len += 4;

    return 0;
}


static int
tuple_copy(row_ctx_t *ctx, const char *s, size_t len)
{
    char   *p;
    buf_t  *out = ctx->text;

    if (buf_reserve(out, len + 8) == -1) {
        return -1;
    }

    p = out->data + out->len;
    binary_put_int(p, len, 4);
    memcpy(p + 4, s, len);
    out->len += 4 + len;

    return 0;
}


/* ParseFractionalSecond(): "0.1234567" times a million, rounded to even. */

static int64_t
tuple_fraction(const row_moment_t *moment)
{
    size_t   i;
    int64_t  n;

    static const double  tens[] = { 1e7, 1e8, 1e9 };

    for (i = 0, n = 0; i < moment->nfraction || i < 6; i++) {
        n = n * 10 + (i < moment->nfraction ? moment->fraction[i] - '0' : 0);
    }

    return i == 6 ? n : (int64_t) rint((double) n / tens[i - 7] * 1000000);
}


static int
tuple_moment(row_ctx_t *ctx, const row_column_t *column,
    const row_moment_t *moment)
{
    int64_t  n, us, days;

    us = moment->seconds * TUPLE_US + tuple_fraction(moment);
    days = moment->days - TUPLE_EPOCH;

    switch (column->binary) {

    case BINARY_TIME:
        return us > TUPLE_DAY ? ROW_DOUBT : tuple_put(ctx, (uint64_t) us, 8);

    case BINARY_DATE:
        return days < TUPLE_FIRST ? ROW_DOUBT
                                  : tuple_put(ctx, (uint64_t) days, 4);

    default:
        return days < TUPLE_FIRST
               || __builtin_mul_overflow(days, TUPLE_DAY, &n)
               || __builtin_add_overflow(n, us, &n)
               || n < TUPLE_FIRST * TUPLE_DAY || n >= TUPLE_END
               ? ROW_DOUBT : tuple_put(ctx, (uint64_t) n, 8);
    }
}


/* A text in a column that the configuration calls no date or time. */

static int
tuple_time(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len)
{
    bool          negative;
    int64_t       n;
    row_moment_t  moment;

    static const type_kind_t  kinds[] = {
        [BINARY_TIMESTAMPTZ] = TYPE_TIMESTAMPTZ,
        [BINARY_TIMESTAMP] = TYPE_TIMESTAMP,
        [BINARY_DATE] = TYPE_DATE,
        [BINARY_TIME] = TYPE_TIME
    };

    negative = len && *s == '-';

    if (column->binary != BINARY_TIME && len == 8U + negative
        && memcmp(s + negative, "infinity", 8) == 0)
    {
        n = column->binary == BINARY_DATE
            ? (negative ? INT32_MIN : INT32_MAX)
            : (negative ? INT64_MIN : INT64_MAX);

        return tuple_put(ctx, (uint64_t) n,
                         column->binary == BINARY_DATE ? 4 : 8);
    }

    return row_time_read(kinds[column->binary], s, len, &moment)
           ? ROW_DOUBT : tuple_moment(ctx, column, &moment);
}


/* What is read from a text other than as it is. */

static int
tuple_written(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len)
{
    int      rc;
    size_t   start;
    buf_t   *out = ctx->text;

    if (buf_reserve(out, 12) == -1) {
        return -1;
    }

    start = out->len + 4;
    out->len = start;

    rc = binary_put(column->binary, s, len, out);
    if (rc != 0) {
        return rc == 1 ? ROW_DOUBT : -1;
    }

    binary_put_int(out->data + start - 4, out->len - start, 4);

    return 0;
}


static int
tuple_text(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len)
{
    /* of an array's own spelling just the empty one */

    if (column->array) {
        return len == 2 && memcmp(s, "{}", 2) == 0
               ? row_tuple_array(ctx, column->array, NULL, 0) : ROW_DOUBT;
    }

    switch (column->binary) {

    case BINARY_TEXT:
        return tuple_copy(ctx, s, len);

    case BINARY_TIMESTAMPTZ:
    case BINARY_TIMESTAMP:
    case BINARY_DATE:
    case BINARY_TIME:
        return tuple_time(ctx, column, s, len);

    default:
        return tuple_written(ctx, column, s, len);
    }
}


/* Hex digits where the table has another type. */

static int
tuple_bytes(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len)
{
    return column->binary == BINARY_BYTEA && column->array == 0
           ? tuple_copy(ctx, s, len) : ROW_DOUBT;
}


static int
tuple_number(row_ctx_t *ctx, const row_column_t *column, int64_t n,
    const char *s, size_t len)
{
    size_t  size;

    size = column->binary == BINARY_BIGINT ? 8
           : column->binary == BINARY_INTEGER ? 4
           : column->binary == BINARY_SMALLINT ? 2 : 0;

    if (size == 0 || column->array) {
        return tuple_text(ctx, column, s, len);
    }

    return size < 8 && n != (size == 4 ? (int32_t) n : (int16_t) n)
           ? ROW_DOUBT : tuple_put(ctx, (uint64_t) n, size);
}


const row_writer_t  row_tuple = {
    true, tuple_null, tuple_text, tuple_text, tuple_bytes, tuple_number,
    tuple_moment
};
