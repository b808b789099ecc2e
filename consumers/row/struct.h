/* Objects whose members are the parts of one value, as Debezium writes them. */

#ifndef SLUICE_ROW_STRUCT_H
#define SLUICE_ROW_STRUCT_H


#include "row/form.h"


/* The object at a token of ctx->doc.  Returns as row_form(). */
int row_struct(row_ctx_t *ctx, const row_column_t *column, uint32_t token);


#endif
