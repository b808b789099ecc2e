/* A record's key as a JSON document, and the columns that take its fields. */

#include "row/json.h"
#include "row/key.h"


void
row_key_free(row_key_t *key)
{
    json_doc_free(&key->doc);
    buf_free(&key->schema.text);
}


int
row_key_read(row_ctx_t *ctx, row_key_t *key, row_column_t *columns, size_t n)
{
    uint32_t         schema;
    json_error_t     err;
    const record_t  *record = ctx->record;

    key->root = JSON_NONE;

    if (record->key == NULL) {
        return 0;
    }

    if (json_parse(&key->doc, record->key, record->key_len, &err) == -1) {
        return err.reason == json_no_memory
               ? -1 : row_fault(ctx, NULL, "22032", "the key is not JSON: %s "
                                "at byte %zu", err.reason, err.offset);
    }

    key->root = 0;

    if (!key->change) {
        return 0;
    }

    key->root = change_payload(&key->doc, &schema);

    return change_forms(&key->schema, columns, n, CONF_FROM_KEY_FIELD,
                        &key->doc, schema);
}


/* The field is read as one of the value's: from ctx->doc. */

int
row_key_field(row_ctx_t *ctx, const row_key_t *key,
    const row_column_t *column)
{
    int         rc;
    uint32_t    token;
    json_doc_t  value;

    token = key->root == JSON_NONE
            ? JSON_NONE : json_find(&key->doc, key->root, column->conf->key);

    if (token == JSON_NONE || key->doc.tokens[token].type == JSON_NULL) {
        return row_absent(ctx, column, token != JSON_NONE);
    }

    value = ctx->doc;
    ctx->doc = key->doc;
    rc = row_value(ctx, column, token);
    ctx->doc = value;

    return rc;
}
