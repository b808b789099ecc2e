/* A field of a row: its bytes, its default or null, or a fault. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "row/field.h"


int
row_fault(row_ctx_t *ctx, const row_column_t *column, const char *sqlstate,
    const char *fmt, ...)
{
    char     what[RECORD_REASON];
    va_list  ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);

    return column ? record_fault(ctx->fault, sqlstate, "column \"%s\": %s",
                                 column->conf->name, what)
                  : record_fault(ctx->fault, sqlstate, "%s", what);
}


int
row_absent(row_ctx_t *ctx, const row_column_t *column, bool is_null)
{
    switch (is_null ? column->null : column->missing) {

    case CONF_ON_REJECT:
        return row_fault(ctx, column, "23502", is_null
                         ? "the value is null" : "the value is missing");

    case CONF_ON_DEFAULT:
        return row_fallback(ctx, column);

    case CONF_ON_KEEP:
        return row_keep(ctx, column);

    default:
        return ctx->writer->null(ctx);
    }
}


int
row_keep(row_ctx_t *ctx, const row_column_t *column)
{
    uint32_t  bit;

    if (column->bit) {
        bit = column->bit - 1;
        ctx->mentions[bit / 8] &= (uint8_t) ~(1U << bit % 8);
    }

    return ctx->writer->null(ctx);
}


int
row_fallback(row_ctx_t *ctx, const row_column_t *column)
{
    const buf_t  *field;

    field = &column->fallback[ctx->writer->tuple];

    /* even a null has a length in a tuple */

    return ctx->writer->tuple && field->len == 0
           ? ROW_DOUBT : buf_append(ctx->text, field->data, field->len);
}


int
row_unescape(row_ctx_t *ctx, uint32_t token, const char **s, size_t *len)
{
    const json_token_t  *t = &ctx->doc.tokens[token];

    *s = ctx->doc.text + t->start;
    *len = t->end - t->start;

    if (t->escaped) {
        ctx->unescaped.len = 0;
        if (buf_reserve(&ctx->unescaped, *len + 1) == -1) {
            return -1;
        }
        *len = json_unescape(&ctx->doc, token, ctx->unescaped.data);
        *s = ctx->unescaped.data;
    }

    return 0;
}


void
row_ctx_free(row_ctx_t *ctx)
{
    if (ctx->locale) {
        freelocale(ctx->locale);
    }

    free(ctx->mentions);
    json_doc_free(&ctx->doc);
    buf_free(&ctx->cleaned);
    buf_free(&ctx->decoded);
    buf_free(&ctx->unescaped);
    buf_free(&ctx->whole);
    buf_free(&ctx->element);
    buf_free(&ctx->formed);
    buf_free(&ctx->changed[0]);
    buf_free(&ctx->changed[1]);
}
