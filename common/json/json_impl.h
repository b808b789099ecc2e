/* Inside the JSON reader: the parser's state, its errors, its tokens. */

#ifndef SLUICE_JSON_IMPL_H
#define SLUICE_JSON_IMPL_H


#include "json/json.h"


#pragma GCC visibility push(hidden)


int json_grow(json_parser_t *ps);

/* From behind the opening quote; returns behind the closing one, or NULL. */
const uint8_t *json_scan_string(json_parser_t *ps, const uint8_t *p);

/*
 * Adds the name to those of the innermost open object.  Returns 1 if it is
 * new there, 0 if not, -1 when memory is short.
 */
int json_unique_name(json_parser_t *ps, uint32_t token);

void json_keys_next(json_keys_t *keys);
void json_keys_free(json_keys_t *keys);


static inline const uint8_t *
json_fail(json_parser_t *ps, const uint8_t *bad, const char *reason)
{
    ps->bad = bad;
    ps->reason = reason;

    return NULL;
}


static inline const uint8_t *
json_limit(json_parser_t *ps, const uint8_t *bad, const char *reason)
{
    ps->limit = true;

    return json_fail(ps, bad, reason);
}


static inline const uint8_t *
json_unexpected(json_parser_t *ps, const uint8_t *p)
{
    return json_fail(ps, p, p == ps->end ? "unexpected end of the text"
                                         : "unexpected character");
}


static inline json_token_t *
json_push(json_parser_t *ps, json_type_t type, const uint8_t *start,
    const uint8_t *end)
{
    json_doc_t    *doc;
    json_token_t  *token;

    doc = ps->doc;

    if (doc->count == doc->size && json_grow(ps) != 0) {
        return NULL;
    }

    token = &doc->tokens[doc->count++];

    token->start = (uint32_t) (start - ps->text);
    token->end = (uint32_t) (end - ps->text);
    token->next = doc->count;
    token->type = (uint8_t) type;
    token->escaped = 0;

    return token;
}


#pragma GCC visibility pop


#endif
