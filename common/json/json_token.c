/* Memory of the parser's tokens; the bottom of the JSON reader. */

#include <stdlib.h>

#include "json/json_impl.h"


#define JSON_FIRST_TOKENS  64


const char  json_no_memory[] = "out of memory";


int
json_grow(json_parser_t *ps)
{
    size_t         size;
    json_doc_t    *doc = ps->doc;
    json_token_t  *tokens;

    size = doc->size ? (size_t) doc->size * 2 : JSON_FIRST_TOKENS;

    if (size > UINT32_MAX) {
        size = UINT32_MAX;
    }

    tokens = realloc(doc->tokens, size * sizeof(json_token_t));
    if (tokens == NULL) {
        (void) json_fail(ps, ps->text, json_no_memory);
        return -1;
    }

    doc->tokens = tokens;
    doc->size = (uint32_t) size;

    return 0;
}
