/* Fields out of what stands beside a record's value. */

#include "base/text.h"
#include "record/headers.h"
#include "row/beside.h"
#include "row/text.h"
#include "row/time.h"


int
row_from_bytes(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len)
{
    return s ? row_bytes(ctx, column, s, len)
             : row_absent(ctx, column, true);
}


int
row_from_header(row_ctx_t *ctx, const row_column_t *column)
{
    const record_header_t  *header;

    header = headers_find(ctx->record, column->conf->header);

    return header ? row_from_bytes(ctx, column, header->value, header->len)
                  : row_absent(ctx, column, false);
}


int
row_from_headers(row_ctx_t *ctx, const row_column_t *column)
{
    buf_t  *text = &ctx->whole;

    text->len = 0;

    if (headers_object(text, ctx->record->header, ctx->record->nheaders) == -1)
    {
        buf_free(text);
        return -1;
    }

    return ctx->writer->text(ctx, column, text->data, text->len);
}


int
row_from_number(row_ctx_t *ctx, const row_column_t *column, int64_t n)
{
    char    text[20];
    size_t  len;

    len = (size_t) (text_put_int(text, n) - text);

    return column->kind == TYPE_SMALLINT || column->kind == TYPE_INTEGER
           ? row_integer(ctx, column, text, len)
           : ctx->writer->number(ctx, column, n, text, len);
}


/* A column of numbers gets milliseconds. */

int
row_from_timestamp(row_ctx_t *ctx, const row_column_t *column)
{
    int64_t  ms = ctx->record->timestamp;

    if (ms < 0) {
        return row_absent(ctx, column, true);
    }

    if (column->kind == TYPE_BIGINT || column->kind == TYPE_NUMERIC) {
        return row_from_number(ctx, column, ms);
    }

    return ms > INT64_MAX / 1000
           ? row_fault(ctx, column, "22008", "the timestamp is out of range")
           : row_instant(ctx, column, ms * 1000, 3);
}
