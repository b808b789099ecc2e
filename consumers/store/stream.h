/* The rows of a span as the bytes of a COPY. */

#ifndef SLUICE_STREAM_H
#define SLUICE_STREAM_H


#include "store/batch.h"
#include "store/tuples.h"


#define STREAM_CHUNK  65536    /* bytes given to libpq at once */


/* How rows are sent. */
typedef struct {
    tuples_t  *binary;       /* as tuples; NULL: as lines */
    bool       staged;       /* behind their places, and */
    bool       gone;         /* behind whether they are tombstones */
} stream_form_t;


/*
 * Lines that go as they lie in the batch: sets "chunk" to the next ones, from
 * "row" on, and "row" behind them.  Returns their bytes, 0 at the end.
 */
size_t stream_lines(const batch_t *batch, const batch_span_t *span, size_t *row,
    const char **chunk);

/*
 * The same for rows of any other form, appended to "out", which must be empty.
 * Returns -1 when memory is short.
 */
int stream_rows(const batch_t *batch, const batch_span_t *span,
    const stream_form_t *form, size_t *row, buf_t *out);


#endif
