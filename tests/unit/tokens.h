/* What every accepted text's tokens must hold, for unit tests and fuzzing. */

#ifndef SLUICE_TOKENS_H
#define SLUICE_TOKENS_H


#include <stddef.h>

#include "json/json.h"


/*
 * NULL, or what is wrong.  Tokens are in document order, each within its
 * parent, "next" of the last child is the parent's, and the bytes at start
 * and end are the ones the type says.
 */
static inline const char *
tokens_fault(const json_doc_t *doc, size_t len)
{
    char                 first, last;
    uint32_t             i, up, depth, at;
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

        if (t->start > t->end || t->end > len) {
            return "offsets are outside the text";
        }

        if (t->next <= i || t->next > doc->count) {
            return "next is outside the tokens";
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

        first = t->start < len ? doc->text[t->start] : '\0';
        last = t->end > 0 ? doc->text[t->end - 1] : '\0';

        switch (t->type) {

        case JSON_OBJECT:
        case JSON_ARRAY:
            if (first != (t->type == JSON_OBJECT ? '{' : '[')
                || last != (t->type == JSON_OBJECT ? '}' : ']'))
            {
                return "brackets are not where they should be";
            }

            if (depth == JSON_MAX_DEPTH) {
                return "nested too deeply";
            }

            stack[depth].token = i;
            stack[depth].child = 0;
            stack[depth].end = t->start;
            depth++;
            continue;

        case JSON_STRING:
            if (t->start == 0 || doc->text[t->start - 1] != '"'
                || t->end == len || doc->text[t->end] != '"')
            {
                return "quotes are not where they should be";
            }
            break;

        case JSON_NUMBER:
            if ((first != '-' && (first < '0' || first > '9'))
                || last < '0' || last > '9')
            {
                return "a number does not begin and end as one";
            }
            break;

        case JSON_NULL:
        case JSON_TRUE:
            if (t->end - t->start != 4) {
                return "a literal has a wrong length";
            }
            break;

        case JSON_FALSE:
            if (t->end - t->start != 5) {
                return "a literal has a wrong length";
            }
            break;

        default:
            return "no such type";
        }

        if (t->next != i + 1) {
            return "next of a scalar is not the token behind it";
        }
    }

    return NULL;
}


#endif
