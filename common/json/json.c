/* Strict JSON (RFC 8259): one pass, no recursion, tokens into the text. */

#include <stdlib.h>
#include <string.h>

#include "json/json_impl.h"


/* PostgreSQL's numeric keeps 16,383 digits behind the point */
_Static_assert(JSON_MAX_DIGITS + JSON_MAX_EXPONENT <= 16383,
               "numbers that pass fit PostgreSQL's numeric");


static const uint8_t *json_open(json_parser_t *ps, const uint8_t *p,
    json_type_t type);
static const uint8_t *json_close(json_parser_t *ps, const uint8_t *p);
static const uint8_t *json_name(json_parser_t *ps, const uint8_t *p);
static const uint8_t *json_number(json_parser_t *ps, const uint8_t *p);
static const uint8_t *json_literal(json_parser_t *ps, const uint8_t *p);


static inline const uint8_t *
json_space(const uint8_t *p, const uint8_t *end)
{
    while (p < end && *p <= ' '
           && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
    {
        p++;
    }

    return p;
}


static inline int
json_at_digit(const uint8_t *p, const uint8_t *end)
{
    return p < end && (uint8_t) (*p - '0') <= 9;
}


/* A value, or the beginning of an object or array; returns behind it. */

static inline const uint8_t *
json_value(json_parser_t *ps, const uint8_t *p)
{
    if (p == ps->end) {
        return json_unexpected(ps, p);
    }

    switch (*p) {

    case '"':
        return json_scan_string(ps, p + 1);

    case '{':
        return json_open(ps, p, JSON_OBJECT);

    case '[':
        return json_open(ps, p, JSON_ARRAY);

    case '-': case '0': case '1': case '2': case '3': case '4':
    case '5': case '6': case '7': case '8': case '9':
        return json_number(ps, p);

    default:
        return json_literal(ps, p);
    }
}


/*
 * Reads what separates values: ends of objects and arrays, commas, names.
 * Returns where the next value starts, or where the outermost one ended.
 */

static inline const uint8_t *
json_between(json_parser_t *ps, const uint8_t *p, uint32_t opened)
{
    json_type_t    type;
    json_frame_t  *frame;

    while (ps->depth > 0) {
        p = json_space(p, ps->end);
        if (p == ps->end) {
            return json_unexpected(ps, p);
        }

        frame = &ps->stack[ps->depth - 1];
        type = (json_type_t) ps->doc->tokens[frame->token].type;

        if (*p == (type == JSON_OBJECT ? '}' : ']')) {
            p = json_close(ps, p);
            opened = 0;
            continue;
        }

        if (!opened) {
            if (*p != ',') {
                return json_unexpected(ps, p);
            }

            p = json_space(p + 1, ps->end);
        }

        if (type == JSON_OBJECT) {
            return json_name(ps, p);
        }

        return p;
    }

    return p;
}


int
json_parse(json_doc_t *doc, const char *text, size_t len, json_error_t *err)
{
    json_parser_t  ps;

    json_begin(&ps, doc, text, len, 1);

    return json_read(&ps, doc, len, err);
}


void
json_begin(json_parser_t *ps, json_doc_t *doc, const char *text, size_t len,
    int alone)
{
    const uint8_t  *p;

    if (text == NULL) {
        text = "";
        len = 0;
    }

    ps->text = (const uint8_t *) text;
    ps->end = ps->text + len;
    ps->limit = false;
    ps->depth = 0;
    ps->zeros = 0;
    ps->alone = (uint32_t) alone;

    doc->text = text;
    doc->count = 0;

    if (doc->keys != NULL) {
        json_keys_next(doc->keys);
    }

    if (len > JSON_MAX_LEN) {
        p = json_limit(ps, ps->text, "text is too long");

    } else if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        p = json_fail(ps, ps->text, "byte order mark");

    } else {
        p = json_space(ps->text, ps->end);

        if (p == ps->end) {
            p = json_fail(ps, p, "empty text");
        }
    }

    ps->at = p;
}


int
json_read(json_parser_t *ps, json_doc_t *doc, size_t turn, json_error_t *err)
{
    uint32_t        depth;
    const uint8_t  *p, *stop;

    ps->doc = doc;
    p = ps->at;

    if (p == NULL) {
        goto failed;
    }

    stop = turn < (size_t) (ps->end - p) ? p + turn : ps->end;

    do {
        depth = ps->depth;

        p = json_value(ps, p);
        if (p == NULL) {
            goto failed;
        }

        p = json_between(ps, p, ps->depth > depth);
        if (p == NULL) {
            goto failed;
        }

    } while (ps->depth > 0 && p <= stop);

    ps->at = p;

    if (ps->depth > 0) {
        return JSON_MORE;
    }

    if (!ps->alone) {
        return JSON_READ;
    }

    p = json_space(p, ps->end);

    if (p == ps->end) {
        return JSON_READ;
    }

    (void) json_fail(ps, p, "bytes behind the value");

failed:

    doc->count = 0;
    ps->at = NULL;
    err->reason = ps->reason;
    err->offset = (size_t) (ps->bad - ps->text);
    err->limit = ps->limit;

    return -1;
}


static const uint8_t *
json_open(json_parser_t *ps, const uint8_t *p, json_type_t type)
{
    json_frame_t  *frame;

    if (ps->depth == JSON_MAX_DEPTH) {
        return json_limit(ps, p, "nested too deeply");
    }

    frame = &ps->stack[ps->depth++];

    frame->token = ps->doc->count;
    frame->members = 0;
    frame->stamp = 0;

    return json_push(ps, type, p, p) == NULL ? NULL : p + 1;
}


static const uint8_t *
json_close(json_parser_t *ps, const uint8_t *p)
{
    json_token_t  *token;

    token = &ps->doc->tokens[ps->stack[--ps->depth].token];

    token->end = (uint32_t) (p + 1 - ps->text);
    token->next = ps->doc->count;

    return p + 1;
}


static const uint8_t *
json_name(json_parser_t *ps, const uint8_t *p)
{
    uint32_t        token;
    const uint8_t  *name;

    if (p == ps->end || *p != '"') {
        return json_unexpected(ps, p);
    }

    name = p;
    token = ps->doc->count;

    if (ps->stack[ps->depth - 1].members == JSON_MAX_MEMBERS) {
        return json_limit(ps, name, "too many members in one object");
    }

    p = json_scan_string(ps, p + 1);
    if (p == NULL) {
        return NULL;
    }

    switch (json_unique_name(ps, token)) {

    case 0:
        return json_fail(ps, name, "duplicate member");

    case -1:
        return json_fail(ps, name, json_no_memory);
    }

    p = json_space(p, ps->end);

    if (p == ps->end || *p != ':') {
        return json_unexpected(ps, p);
    }

    return json_space(p + 1, ps->end);
}


static const uint8_t *
json_number(json_parser_t *ps, const uint8_t *p)
{
    size_t          digits;
    uint32_t        exponent;
    const uint8_t  *start, *from, *end;

    start = p;
    end = ps->end;

    p += *p == '-';
    from = p;

    while (json_at_digit(p, end)) {
        p++;
    }

    digits = (size_t) (p - from);

    if (digits == 0) {
        return json_unexpected(ps, p);
    }

    if (*from == '0' && digits > 1) {
        return json_fail(ps, from, "leading zero in a number");
    }

    if (p < end && *p == '.') {
        from = ++p;

        while (json_at_digit(p, end)) {
            p++;
        }

        if (p == from) {
            return json_unexpected(ps, p);
        }

        digits += (size_t) (p - from);
    }

    if (digits > JSON_MAX_DIGITS) {
        return json_limit(ps, start, "number has too many digits");
    }

    if (p < end && (*p | 0x20) == 'e') {
        p++;
        p += p < end && (*p == '-' || *p == '+');
        from = p;

        for (exponent = 0; json_at_digit(p, end); p++) {
            if (exponent <= JSON_MAX_EXPONENT) {
                exponent = exponent * 10 + (*p - '0');
            }
        }

        if (p == from) {
            return json_unexpected(ps, p);
        }

        if (exponent > JSON_MAX_EXPONENT || p - from > JSON_MAX_DIGITS) {
            return json_limit(ps, start, "exponent of a number is too large");
        }

        ps->zeros += exponent;

        if (ps->zeros > JSON_MAX_ZEROS) {
            return json_limit(ps, start, "too many large exponents");
        }
    }

    return json_push(ps, JSON_NUMBER, start, p) == NULL ? NULL : p;
}


static const uint8_t *
json_literal(json_parser_t *ps, const uint8_t *p)
{
    size_t       left;
    json_type_t  type;

    left = (size_t) (ps->end - p);

    if (left >= 4 && memcmp(p, "true", 4) == 0) {
        type = JSON_TRUE;

    } else if (left >= 4 && memcmp(p, "null", 4) == 0) {
        type = JSON_NULL;

    } else if (left >= 5 && memcmp(p, "false", 5) == 0) {
        type = JSON_FALSE;

    } else {
        return json_unexpected(ps, p);
    }

    left = type == JSON_FALSE ? 5 : 4;

    return json_push(ps, type, p, p + left) == NULL ? NULL : p + left;
}


void
json_doc_free(json_doc_t *doc)
{
    free(doc->tokens);
    json_keys_free(doc->keys);
    memset(doc, 0, sizeof(json_doc_t));
}
