/* Parses a record's value, or its CloudEvent, as one JSON document. */

#ifndef SLUICE_FORMAT_H
#define SLUICE_FORMAT_H


#include "row/change.h"
#include "row/path.h"


typedef struct {
    conf_format_t  format;
    uint32_t       event[4];    /* slots of what every CloudEvent has */
    buf_t          text;        /* of an event that came as headers */
    buf_t          cleaned;     /* the value without zero bytes */
    change_t       change;
} row_format_t;


/* Adds the paths that the format needs.  Returns -1: memory is short. */
int row_format_init(row_format_t *format, conf_format_t which,
    row_paths_t *paths);
void row_format_free(row_format_t *format);

/*
 * Parses the record's value, or its event, into ctx->doc, checked.  Returns
 * ROW_FILTERED for a change without a value: a tombstone.
 */
int row_document(row_ctx_t *ctx, row_format_t *format, row_paths_t *paths);

/*
 * What becomes of a record that is parsed, and "deletes" its row or says so
 * itself, in a table of that mode: 0: a row; 1 with a fault; ROW_FILTERED;
 * ROW_DELETES.
 */
int row_change(row_ctx_t *ctx, const row_format_t *format, bool deletes,
    conf_mode_t mode);


#endif
