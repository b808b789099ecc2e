/* Headers of a kept record, back from their JSON. */

#ifndef SLUICE_DEAD_HEADERS_H
#define SLUICE_DEAD_HEADERS_H


#include "base/buf.h"
#include "json/json.h"
#include "record/record.h"


/*
 * Appends to "list" the record_header_t of each, as source_conf.c wrote them:
 * [{"name":..., "value"|"value_hex":...}].  Their bytes are appended to
 * "bytes", which must be empty; "doc" is the caller's to free.  Returns -1
 * when memory is short.
 */
int dead_headers(json_doc_t *doc, const char *text, size_t size, buf_t *list,
    buf_t *bytes);


#endif
