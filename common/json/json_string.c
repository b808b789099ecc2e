/* JSON strings: checking UTF-8 and escapes, decoding, comparing. */

#include <string.h>

#include "json/json_impl.h"


/* GCC's and Clang's: one register, where the machine has such ones */
typedef int8_t  json_bytes_t __attribute__((vector_size(16)));


static const uint8_t *json_escape(json_parser_t *ps, const uint8_t *p);


static const uint8_t  json_plain[256] = {
    [0x20 ... 0x21] = 1, [0x23 ... 0x5b] = 1, [0x5d ... 0x7f] = 1
};

static const char  json_escapes[256] = {
    ['"'] = '"', ['\\'] = '\\', ['/'] = '/', ['b'] = '\b', ['f'] = '\f',
    ['n'] = '\n', ['r'] = '\r', ['t'] = '\t'
};


const uint8_t *
json_scan_string(json_parser_t *ps, const uint8_t *p)
{
    uint8_t         escaped;
    uint64_t        hits[2];
    json_bytes_t    bytes;
    json_token_t   *token;
    const uint8_t  *start, *end;

    start = p;
    end = ps->end;
    escaped = 0;

    for ( ;; ) {
        /*
         * Sixteen bytes at a time: each that is below 0x20 or above 0x7f (as
         * a signed one: negative), '"' or '\\' becomes 0xff, others 0.
         */
        while (end - p >= 16) {
            memcpy(&bytes, p, 16);
            bytes = (bytes < 0x20) | (bytes == '"') | (bytes == '\\');
            memcpy(hits, &bytes, 16);

            if (hits[0] | hits[1]) {
#if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
                p += hits[0] ? __builtin_ctzll(hits[0]) / 8
                             : 8 + __builtin_ctzll(hits[1]) / 8;
#endif
                break;
            }

            p += 16;
        }

        while (p < end && json_plain[*p]) {
            p++;
        }

        if (p == end) {
            return json_unexpected(ps, p);
        }

        if (*p == '"') {
            break;
        }

        if (*p >= 0x80) {
            p = json_utf8(p, end);

            if (p < end && *p >= 0x80) {
                return json_fail(ps, p, "invalid UTF-8");
            }

        } else if (*p == '\\') {
            escaped = 1;
            p = json_escape(ps, p);

        } else {
            p = json_fail(ps, p, "control character in a string");
        }

        if (p == NULL) {
            return NULL;
        }
    }

    token = json_push(ps, JSON_STRING, start, p);
    if (token == NULL) {
        return NULL;
    }

    token->escaped = escaped;

    return p + 1;
}


/* Four hexadecimal digits, or -1. */

static int
json_hex4(const uint8_t *p, const uint8_t *end)
{
    int  value, n, digit;

    if (end - p < 4) {
        return -1;
    }

    for (value = 0, n = 0; n < 4; n++) {
        digit = json_hex(p[n]);
        if (digit == -1) {
            return -1;
        }

        value = value * 16 + digit;
    }

    return value;
}


static const uint8_t *
json_escape(json_parser_t *ps, const uint8_t *p)
{
    int  unit, low;

    if (ps->end - p < 2) {
        return json_unexpected(ps, ps->end);
    }

    if (json_escapes[p[1]]) {
        return p + 2;
    }

    unit = p[1] == 'u' ? json_hex4(p + 2, ps->end) : -1;

    if (unit == -1) {
        return json_fail(ps, p, "invalid escape in a string");
    }

    if (unit == 0) {
        return json_fail(ps, p, "NUL in a string");
    }

    if (unit < 0xd800 || unit > 0xdfff) {
        return p + 6;
    }

    if (unit > 0xdbff || ps->end - p < 12 || p[6] != '\\' || p[7] != 'u') {
        return json_fail(ps, p, "lone surrogate in a string");
    }

    low = json_hex4(p + 8, ps->end);

    if (low < 0xdc00 || low > 0xdfff) {
        return json_fail(ps, p, "lone surrogate in a string");
    }

    return p + 12;
}


const uint8_t *
json_utf8(const uint8_t *p, const uint8_t *end)
{
    uint8_t  c;
    size_t   left;

    while (p < end && *p >= 0x80) {
        c = *p;
        left = (size_t) (end - p);

        if (c >= 0xc2 && c <= 0xdf) {
            if (left < 2 || (p[1] & 0xc0) != 0x80) {
                break;
            }

            p += 2;

        } else if (c >= 0xe0 && c <= 0xef) {
            if (left < 3 || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80
                || (c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f))
            {
                break;
            }

            p += 3;

        } else if (c >= 0xf0 && c <= 0xf4) {
            if (left < 4 || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80
                || (p[3] & 0xc0) != 0x80 || (c == 0xf0 && p[1] < 0x90)
                || (c == 0xf4 && p[1] > 0x8f))
            {
                break;
            }

            p += 4;

        } else {
            break;
        }
    }

    return p;
}


char *
json_put_utf8(char *p, uint32_t c)
{
    size_t  i, n;

    n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

    for (i = n - 1; i; i--) {
        p[i] = (char) (0x80 | (c & 0x3f));
        c >>= 6;
    }

    p[0] = (char) (n == 1 ? c : (0xf00U >> n & 0xff) | c);

    return p + n;
}


void
json_one_line(char *s, size_t len)
{
    uint8_t        *p, *end;
    const uint8_t  *next;

    end = (uint8_t *) s + len;

    for (p = (uint8_t *) s; p < end; p++) {

        if (*p < 0x80) {
            *p = *p == '\n' || *p == '\r' ? ' '
                 : *p < 0x20 || *p == 0x7f ? '?' : *p;
            continue;
        }

        next = json_utf8(p, end);

        for ( /* void */ ; p < next; p++) {
            /* U+0080 to U+009f */
            if (*p == 0xc2 && p[1] < 0xa0) {
                *p++ = '?';
                *p = '?';
            }
        }

        if (p < end && *p >= 0x80) {
            *p = '?';

        } else {
            p--;
        }
    }
}


/* Decodes the escape at *pp, which was checked, and steps over it. */

static size_t
json_decode(const uint8_t **pp, char *out)
{
    uint32_t        c;
    const uint8_t  *p;

    p = *pp;

    if (p[1] != 'u') {
        *out = json_escapes[p[1]];
        *pp = p + 2;
        return 1;
    }

    c = (uint32_t) json_hex4(p + 2, p + 6);
    *pp = p + 6;

    if (c >= 0xd800 && c <= 0xdfff) {
        c = 0x10000 + ((c - 0xd800) << 10)
            + ((uint32_t) json_hex4(p + 8, p + 12) - 0xdc00);
        *pp = p + 12;
    }

    return (size_t) (json_put_utf8(out, c) - out);
}


size_t
json_unescape(const json_doc_t *doc, uint32_t token, char *out)
{
    char                *to;
    const uint8_t       *p, *end, *escape;
    const json_token_t  *t = &doc->tokens[token];

    p = (const uint8_t *) doc->text + t->start;
    end = (const uint8_t *) doc->text + t->end;
    to = out;

    while (p < end) {
        escape = NULL;

        if (t->escaped) {
            escape = memchr(p, '\\', (size_t) (end - p));
        }

        if (escape == NULL) {
            escape = end;
        }

        memcpy(to, p, (size_t) (escape - p));
        to += escape - p;
        p = escape;

        if (p < end) {
            to += json_decode(&p, to);
        }
    }

    return (size_t) (to - out);
}


int
json_equals(const json_doc_t *doc, uint32_t token, const char *s, size_t len)
{
    char                 out[4];
    size_t               n;
    const char          *last;
    const uint8_t       *p, *end;
    const json_token_t  *t = &doc->tokens[token];

    p = (const uint8_t *) doc->text + t->start;

    if (!t->escaped) {
        return t->end - t->start == len && memcmp(p, s, len) == 0;
    }

    end = (const uint8_t *) doc->text + t->end;
    last = s + len;

    while (p < end) {
        if (*p != '\\') {
            out[0] = (char) *p++;
            n = 1;

        } else {
            n = json_decode(&p, out);
        }

        if ((size_t) (last - s) < n || memcmp(s, out, n) != 0) {
            return 0;
        }

        s += n;
    }

    return s == last;
}
