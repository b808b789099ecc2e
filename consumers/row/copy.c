/* Fields of COPY's text format: row_line. */

#include "base/text.h"
#include "row/copy.h"
#include "row/field.h"


/* The letter behind the backslash; 0: the byte stands for itself. */
static const char  copy_escapes[256] = {
    ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\v'] = 'v', ['\f'] = 'f',
    ['\r'] = 'r', ['\\'] = '\\'
};


int
copy_add_text(buf_t *text, const char *s, size_t len)
{
    char        *out;
    size_t       run;
    const char  *end;

    if (buf_reserve(text, len * 2 + 1) == -1) {
        return -1;
    }

    out = text->data + text->len;
    end = s + len;

    while (s < end) {

        for (run = 0; s + run < end; run++) {
            if (copy_escapes[(unsigned char) s[run]]) {
                break;
            }
        }

        memcpy(out, s, run);
        out += run;
        s += run;

        if (s < end) {
            *out++ = '\\';
            *out++ = copy_escapes[(unsigned char) *s++];
        }
    }

    text->len = (size_t) (out - text->data);

    return 0;
}


int
copy_add_null(buf_t *text)
{
    return buf_append(text, "\\N", 2);
}


int
copy_add_bytea(buf_t *text, const char *s, size_t len, bool plain)
{
    char  *p;

    if (buf_reserve(text, len * 2 + 3) == -1) {
        return -1;
    }

    p = text->data + text->len;
    *p++ = '\\';

    if (!plain) {
        *p++ = '\\';
    }

    *p++ = 'x';
    text->len = (size_t) (text_put_hex(p, s, len) - text->data);

    return 0;
}


static int
line_null(row_ctx_t *ctx)
{
    return copy_add_null(ctx->text);
}


/* An element of an array is escaped with the array. */

static int
line_text(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len)
{
    return column->plain ? buf_append(ctx->text, s, len)
                         : copy_add_text(ctx->text, s, len);
}


static int
line_plain(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len)
{
    return buf_append(ctx->text, s, len);
}


static int
line_bytes(row_ctx_t *ctx, const row_column_t *column, const char *s,
    size_t len)
{
    return copy_add_bytea(ctx->text, s, len, column->plain);
}


static int
line_number(row_ctx_t *ctx, const row_column_t *column, int64_t n,
    const char *s, size_t len)
{
    return buf_append(ctx->text, s, len);
}


const row_writer_t  row_line = {
    false, line_null, line_text, line_plain, line_bytes, line_number, NULL
};
