/*
 * Values that JSON holds in a form of their own: numbers and bits in base64, a
 * struct's members, the text of another JSON value.  A column's configuration
 * names the form, or the schema that Kafka Connect's JsonConverter writes.
 */

#ifndef SLUICE_FORM_H
#define SLUICE_FORM_H


#include "row/field.h"


#define FORM_AS_IS  4    /* json.c reads the value */


/*
 * Takes the form and the unit that the configuration states.  "change": what
 * is not stated follows from the type, as far as a type leaves no choice.
 * Returns -1 with a text in "reason" ("size" bytes) where they do not fit.
 */
int row_form_state(row_column_t *column, bool change, char *reason,
    size_t size);

/*
 * Takes those that a schema names, which is at a token of "doc" (JSON_NONE:
 * the field has none), and what it leaves open as the configuration states.
 */
void row_form_name(row_column_t *column, const json_doc_t *doc,
    uint32_t schema);

/*
 * The value at a token of ctx->doc, of a column with a form.  Returns as
 * field.h says, or FORM_AS_IS.
 */
int row_form(row_ctx_t *ctx, const row_column_t *column, uint32_t token);


#endif
