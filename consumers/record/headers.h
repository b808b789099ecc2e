/*
 * A record's headers: as a list, and as the JSON text that is stored.
 *
 * The text is an array with an object for each header, as names may repeat:
 * {"name":"a","value":"b"}.  A null value is null; bytes that are no ASCII
 * text stand in "value_hex" instead of "value".
 */

#ifndef SLUICE_HEADERS_H
#define SLUICE_HEADERS_H


#include "base/buf.h"
#include "json/json.h"
#include "record/record.h"


/* The header of that name, the last if there are several; NULL: none. */
const record_header_t *headers_find(const record_t *record, const char *name);

/* Appends the JSON text of "n" headers.  Returns -1 when memory is short. */
int headers_write(buf_t *text, const record_header_t *list, size_t n);

/*
 * Appends a record_header_t to "list" for each header that headers_write()
 * wrote into "text".  Their bytes go to "bytes", which must be empty; "doc"
 * is working memory.  Returns -1 when memory is short.
 */
int headers_read(json_doc_t *doc, const char *text, size_t len, buf_t *list,
    buf_t *bytes);


#endif
