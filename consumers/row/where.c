/* The filter "where": which records are stored. */

#include <stdlib.h>
#include <string.h>

#include "record/headers.h"
#include "row/where.h"


static bool row_where_token(const conf_where_t *where, const json_doc_t *doc,
    uint32_t token);
static bool row_where_header(const conf_where_t *where,
    const record_header_t *header);


bool
row_where(const conf_where_t *where, const row_ctx_t *ctx,
    const row_paths_t *paths, const uint32_t *slots)
{
    bool                    exists;
    size_t                  i;
    uint32_t                token;
    const record_header_t  *header;

    for (i = 0; i < where->nparts; i++) {
        if (row_where(&where->parts[i], ctx, paths, slots) == where->any) {
            return where->any;
        }
    }

    if (where->nparts) {
        return !where->any;
    }

    header = NULL;
    token = JSON_NONE;

    if (where->pointer) {
        if (slots == NULL) {
            return true;
        }

        token = paths->found[slots[where->field]];
        exists = token != JSON_NONE;

    } else {
        header = headers_find(ctx->record, where->header);
        exists = header != NULL;
    }

    if (where->nvalues == 0) {
        return exists == where->exists;
    }

    return exists && (header ? row_where_header(where, header)
                             : row_where_token(where, &ctx->doc, token));
}


int
row_where_paths(const conf_where_t *where, row_paths_t *paths,
    uint32_t **slots)
{
    size_t     i;
    uint32_t  *more;

    if (where->pointer) {
        more = realloc(*slots, (where->field + 1) * sizeof(uint32_t));
        if (more == NULL) {
            return -1;
        }

        *slots = more;
        more[where->field] = row_path_add(paths, where->pointer);

        return more[where->field] == JSON_NONE ? -1 : 0;
    }

    for (i = 0; i < where->nparts; i++) {
        if (row_where_paths(&where->parts[i], paths, slots) == -1) {
            return -1;
        }
    }

    return 0;
}


static bool
row_where_token(const conf_where_t *where, const json_doc_t *doc,
    uint32_t token)
{
    size_t               i;
    json_number_t        number;
    const conf_value_t  *value;
    const json_token_t  *t = &doc->tokens[token];

    if (t->type == JSON_NUMBER) {
        json_number(doc->text + t->start, doc->text + t->end, &number);
    }

    for (i = 0; i < where->nvalues; i++) {
        value = &where->values[i];

        if (value->type == t->type
            && (t->type == JSON_STRING
                ? json_equals(doc, token, value->text, value->len)
                : t->type != JSON_NUMBER
                  || json_number_compare(&number, &value->number) == 0))
        {
            return true;
        }
    }

    return false;
}


static bool
row_where_header(const conf_where_t *where, const record_header_t *header)
{
    size_t               i;
    const conf_value_t  *value;

    for (i = 0; i < where->nvalues; i++) {
        value = &where->values[i];

        if (header->value == NULL ? value->type == JSON_NULL
            : value->type == JSON_STRING && value->len == header->len
              && memcmp(value->text, header->value, header->len) == 0)
        {
            return true;
        }
    }

    return false;
}
