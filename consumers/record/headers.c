/* Headers of a kept record, back from their JSON. */

#include <stdlib.h>
#include <string.h>

#include "record/headers.h"


/* A string token's bytes, of "value_hex" the bytes it stands for. */

static int
dead_put(buf_t *bytes, const json_doc_t *doc, uint32_t token, bool hex)
{
    size_t  i, len;
    char   *at, digits[3];

    len = doc->tokens[token].end - doc->tokens[token].start;

    if (buf_reserve(bytes, len + 1) == -1) {
        return -1;
    }

    at = bytes->data + bytes->len;

    if (!hex) {
        len = json_unescape(doc, token, at);

    } else {
        digits[2] = '\0';
        for (i = 0; i + 1 < len; i += 2) {
            memcpy(digits, doc->text + doc->tokens[token].start + i, 2);
            at[i / 2] = (char) strtoul(digits, NULL, 16);
        }
        len /= 2;
    }

    at[len] = '\0';
    bytes->len += len + 1;

    return (int) len;
}


int
dead_headers(json_doc_t *doc, const char *text, size_t size, buf_t *list,
    buf_t *bytes)
{
    int                  len;
    bool                 name;
    uint32_t             i, member;
    json_error_t         err;
    const json_token_t  *t;
    record_header_t       header;

    if (size == 0 || json_parse(doc, text, size, &err) == -1) {
        return 0;
    }

    /* at most as long as the text and a NUL each, so that it never moves */
    if (buf_reserve(bytes, size * 2 + 1) == -1) {
        return -1;
    }

    t = doc->tokens;

    for (i = 1; t[0].type == JSON_ARRAY && i < t[0].next; i = t[i].next) {
        memset(&header, 0, sizeof(record_header_t));
        header.name = "";

        for (member = i + 1; t[i].type == JSON_OBJECT && member < t[i].next;
             member = t[member + 1].next)
        {
            if (t[member + 1].type != JSON_STRING) {
                continue;
            }

            name = json_equals(doc, member, "name", 4);
            if (name) {
                header.name = bytes->data + bytes->len;
            } else {
                header.value = bytes->data + bytes->len;
            }

            len = dead_put(bytes, doc, member + 1, !name
                           && json_equals(doc, member, "value_hex", 9));
            if (len == -1) {
                return -1;
            }

            header.len = name ? header.len : (size_t) len;
        }

        buf_add(list, (const char *) &header, sizeof(record_header_t));
    }

    return buf_failed(list) ? -1 : 0;
}
