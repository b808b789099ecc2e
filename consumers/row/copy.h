/*
 * Fields of COPY's text format (PostgreSQL's manual, COPY, File Formats).
 *
 * All append to "text"; they return -1, with "text" as it was, when memory is
 * short, else 0.
 */

#ifndef SLUICE_COPY_H
#define SLUICE_COPY_H


#include "base/buf.h"


/* Text: control characters and backslashes are escaped. */
int copy_add_text(buf_t *text, const char *s, size_t len);

int copy_add_null(buf_t *text);

/* A bytea in its hex form; "plain": its backslash is not escaped yet. */
int copy_add_bytea(buf_t *text, const char *s, size_t len, bool plain);


#endif
