/* A JSON value becomes a field, by the column's type. */

#ifndef SLUICE_ROW_JSON_H
#define SLUICE_ROW_JSON_H


#include "row/field.h"


/* What a value is, by json_type_t: "an array". */
extern const char *const  row_json_names[];

/*
 * The value at a token of ctx->doc, which is not null unless for jsonb; with
 * row_value() in the form that its column says.
 */
int row_value(row_ctx_t *ctx, const row_column_t *column, uint32_t token);
int row_token(row_ctx_t *ctx, const row_column_t *column, uint32_t token);


#endif
