/* What every accepted text's tokens must hold, for unit tests and fuzzing. */

#ifndef SLUICE_TOKENS_H
#define SLUICE_TOKENS_H


#include <stddef.h>

#include "json/json.h"


/* NULL, or what is wrong with a token's place or its first and last byte. */
static inline const char *
tokens_edges(const json_doc_t *doc, uint32_t i, size_t len)
{
    char                 first, last;
    const json_token_t  *t;

    t = &doc->tokens[i];

    if (t->start > t->end || t->end > len) {
        return "offsets are outside the text";
    }

    if (t->next <= i || t->next > doc->count) {
        return "next is outside the tokens";
    }

    if (t->type != JSON_OBJECT && t->type != JSON_ARRAY && t->next != i + 1) {
        return "next of a scalar is not the token behind it";
    }

    first = t->start < len ? doc->text[t->start] : '\0';
    last = t->end > 0 ? doc->text[t->end - 1] : '\0';

    switch (t->type) {

    case JSON_OBJECT:
    case JSON_ARRAY:
        return first == (t->type == JSON_OBJECT ? '{' : '[')
               && last == (t->type == JSON_OBJECT ? '}' : ']')
               ? NULL : "brackets are not where they should be";

    case JSON_STRING:
        return t->start > 0 && doc->text[t->start - 1] == '"'
               && t->end < len && doc->text[t->end] == '"'
               ? NULL : "quotes are not where they should be";

    case JSON_NUMBER:
        return (first == '-' || (first >= '0' && first <= '9'))
               && last >= '0' && last <= '9'
               ? NULL : "a number does not begin and end as one";

    case JSON_NULL:
    case JSON_TRUE:
        return t->end - t->start == 4 ? NULL
                                      : "a literal has a wrong length";

    case JSON_FALSE:
        return t->end - t->start == 5 ? NULL
                                      : "a literal has a wrong length";

    default:
        return "no such type";
    }
}


/*
 * NULL, or what is wrong.  Tokens are in document order, each within its
 * parent, "next" of the last child is the parent's, and the bytes at start
 * and end are the ones the type says.
 */
static inline const char *
tokens_fault(const json_doc_t *doc, size_t len)
{
    uint32_t             i, up, depth, at;
    const char          *fault;
    const json_token_t  *t, *parent;
    struct {
        uint32_t  token;
        uint32_t  child;    /* number of the next child, names counted */
        uint32_t  end;      /* offset behind the child before */
    } stack[JSON_MAX_DEPTH];

    if (doc->count == 0 || doc->tokens[0].next != doc->count) {
        return "the first token is not the whole";
    }

    depth = 0;

    for (i = 0; i < doc->count; i++) {
        t = &doc->tokens[i];

        while (depth > 0 && doc->tokens[stack[depth - 1].token].next == i) {
            up = stack[--depth].token;

            if (doc->tokens[up].type == JSON_OBJECT
                && stack[depth].child % 2 != 0)
            {
                return "a name without a value";
            }
        }

        fault = tokens_edges(doc, i, len);
        if (fault) {
            return fault;
        }

        if (depth > 0) {
            parent = &doc->tokens[stack[depth - 1].token];
            at = stack[depth - 1].child++;

            if (t->next > parent->next || t->end >= parent->end) {
                return "a child is outside its parent";
            }

            if (t->start <= stack[depth - 1].end) {
                return "a child starts within the one before";
            }

            if (parent->type == JSON_OBJECT && at % 2 == 0
                && (t->type != JSON_STRING || t->next != i + 1))
            {
                return "a name is not a string";
            }

            stack[depth - 1].end = t->end;

        } else if (i != 0) {
            return "a second root";
        }

        if (t->type == JSON_OBJECT || t->type == JSON_ARRAY) {
            if (depth == JSON_MAX_DEPTH) {
                return "nested too deeply";
            }

            stack[depth].token = i;
            stack[depth].child = 0;
            stack[depth].end = t->start;
            depth++;
        }
    }

    return NULL;
}


#endif
