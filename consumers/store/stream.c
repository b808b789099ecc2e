/* The rows of a span as the bytes of a COPY. */

#include <string.h>

#include "base/text.h"
#include "store/stream.h"


static int stream_staged_line(const batch_t *batch, const batch_row_t *row,
    size_t place, bool gone, buf_t *out);


/* Lines lie one behind the other; rows that are not stored part them. */

size_t
stream_lines(const batch_t *batch, const batch_span_t *span, size_t *row,
    const char **chunk)
{
    size_t              i, len;
    const batch_row_t  *r;

    len = 0;

    for (i = *row; i < span->end; i++) {
        r = &batch->rows[i];

        if (r->text_len == 0) {
            continue;
        }

        if (!batch_is_stored(r, span->target) || len >= STREAM_CHUNK) {
            if (len) {
                break;
            }
            continue;
        }

        if (len == 0) {
            *chunk = batch->text.data + r->text;
        }

        len += r->text_len;
    }

    *row = i;

    return len;
}


int
stream_rows(const batch_t *batch, const batch_span_t *span,
    const stream_form_t *form, size_t *row, buf_t *out)
{
    int                 rc;
    const char         *line;
    const batch_row_t  *r;

    if (form->binary && *row == span->first) {
        buf_add(out, TUPLES_HEADER, TUPLES_HEADER_LEN);
    }

    while (*row < span->end && !buf_failed(out) && out->len < STREAM_CHUNK) {
        r = &batch->rows[(*row)++];

        if (!batch_is_stored(r, span->target)) {
            continue;
        }

        line = batch->text.data + r->text;

        if (form->binary == NULL) {
            rc = stream_staged_line(batch, r, *row, form->gone, out);

        } else if (form->staged) {
            rc = tuples_add_staged(form->binary, (int32_t) *row,
                                   form->gone ? &r->tombstone : NULL,
                                   line, r->text_len, out);
        } else {
            rc = tuples_add(form->binary, line, r->text_len, out);
        }

        if (rc == -1) {
            return -1;
        }
    }

    return buf_failed(out) ? -1 : 0;
}


/* For a temporary table: behind a row's place and its kind. */

static int
stream_staged_line(const batch_t *batch, const batch_row_t *row, size_t place,
    bool gone, buf_t *out)
{
    char  *p;

    if (buf_reserve(out, 32 + row->text_len) == -1) {
        return -1;
    }

    p = text_put_int(out->data + out->len, (int64_t) place);
    *p++ = '\t';

    if (gone) {
        *p++ = row->tombstone ? 't' : 'f';
        *p++ = '\t';
    }

    memcpy(p, batch->text.data + row->text, row->text_len);
    out->len = (size_t) (p - out->data) + row->text_len;

    return 0;
}
