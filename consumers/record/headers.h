/*
 * A record's headers: as a list, packed in a batch, and as the JSON text that
 * is stored with a dead letter.
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

/*
 * Packed are, header by header, the value's length (4 bytes of this machine,
 * UINT32_MAX: null), the name with its NUL, and the value.  headers_pack()
 * writes as many bytes as headers_packed() says and returns behind them.
 */
size_t headers_packed(const record_header_t *list, size_t n);
char *headers_pack(char *p, const record_header_t *list, size_t n);

/*
 * Replaces "list" by a record_header_t for each of the packed headers, which
 * it points into; NULL has none.  Returns -1 when memory is short.
 */
int headers_unpack(buf_t *list, const char *packed, size_t len);

/* Appends the JSON text of "n" headers.  Returns -1 when memory is short. */
int headers_write(buf_t *text, const record_header_t *list, size_t n);

/*
 * Appends them as one JSON object: of each name its value, or an array of its
 * values where there are several.  A value is a string, null, or an object with
 * its hex digits, where it is not UTF-8 text or has a zero byte.  A name that
 * is not UTF-8 is "?".  Returns -1 when memory is short.
 */
int headers_object(buf_t *text, const record_header_t *list, size_t n);

/*
 * Appends a record_header_t to "list" for each header that headers_write()
 * wrote into "text".  Their bytes go to "bytes", which must be empty; "doc"
 * is working memory.  Returns -1 when memory is short.
 */
int headers_read(json_doc_t *doc, const char *text, size_t len, buf_t *list,
    buf_t *bytes);


#endif
