/* A record's headers: as a list, packed, and as a dead letter's JSON text. */

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "record/headers.h"


static int headers_read_value(json_doc_t *doc, uint32_t token, bool hex,
    buf_t *bytes);


const record_header_t *
headers_find(const record_t *record, const char *name)
{
    size_t  i;

    for (i = record->nheaders; i--; ) {
        if (strcmp(record->header[i].name, name) == 0) {
            return &record->header[i];
        }
    }

    return NULL;
}


size_t
headers_packed(const record_header_t *list, size_t n)
{
    size_t  i, len;

    for (i = 0, len = 0; i < n; i++) {
        len += sizeof(uint32_t) + strlen(list[i].name) + 1
               + (list[i].value ? list[i].len : 0);
    }

    return len;
}


char *
headers_pack(char *p, const record_header_t *list, size_t n)
{
    size_t    i, name;
    uint32_t  len;

    for (i = 0; i < n; i++) {
        len = list[i].value ? (uint32_t) list[i].len : UINT32_MAX;
        name = strlen(list[i].name) + 1;

        memcpy(p, &len, sizeof(uint32_t));
        p += sizeof(uint32_t);
        memcpy(p, list[i].name, name);
        p += name;

        if (list[i].value) {
            memcpy(p, list[i].value, len);
            p += len;
        }
    }

    return p;
}


int
headers_unpack(buf_t *list, const char *packed, size_t len)
{
    uint32_t         n;
    const char      *p;
    record_header_t  header;

    list->len = 0;

    for (p = packed; p && p < packed + len; p += header.len) {
        memcpy(&n, p, sizeof(uint32_t));
        header.name = p + sizeof(uint32_t);
        p = header.name + strlen(header.name) + 1;
        header.value = n == UINT32_MAX ? NULL : p;
        header.len = n == UINT32_MAX ? 0 : n;

        if (buf_append(list, (const char *) &header, sizeof(record_header_t))
            == -1)
        {
            return -1;
        }
    }

    return 0;
}


static inline void
headers_add(buf_t *text, const char *s)
{
    buf_add(text, s, strlen(s));
}


int
headers_write(buf_t *text, const record_header_t *list, size_t n)
{
    size_t                  i, len;
    const record_header_t  *h;

    headers_add(text, "[");

    for (i = 0; i < n; i++) {
        h = &list[i];
        len = strlen(h->name);

        headers_add(text, i ? ",{\"name\":\"" : "{\"name\":\"");

        if (text_ascii(h->name, len) == len) {
            text_add_json(text, h->name, len);
        } else {
            headers_add(text, "?");
        }

        if (h->value == NULL) {
            headers_add(text, "\",\"value\":null}");
            continue;
        }

        if (text_ascii(h->value, h->len) == h->len) {
            headers_add(text, "\",\"value\":\"");
            text_add_json(text, h->value, h->len);

        } else {
            headers_add(text, "\",\"value_hex\":\"");
            if (buf_reserve(text, 2 * h->len) == -1) {
                return -1;
            }
            text_put_hex(text->data + text->len, h->value, h->len);
            text->len += 2 * h->len;
        }

        headers_add(text, "\"}");
    }

    headers_add(text, "]");

    return buf_failed(text) ? -1 : 0;
}


/* The name, which JSON can only have as UTF-8. */

static const char *
headers_name(const record_header_t *h)
{
    return text_is_utf8(h->name, strlen(h->name)) ? h->name : "?";
}


/* By name; those of one name are in their order. */

static int
headers_compare(const void *a, const void *b)
{
    int                            rc;
    const record_header_t *const  *p = a, *const *q = b;

    rc = strcmp(headers_name(*p), headers_name(*q));

    return rc ? rc : (*p > *q) - (*p < *q);
}


static void
headers_add_value(buf_t *text, const record_header_t *h)
{
    char    digits[256];
    size_t  i, n;

    if (h->value == NULL) {
        headers_add(text, "null");

    } else if (memchr(h->value, '\0', h->len) == NULL
               && text_is_utf8(h->value, h->len))
    {
        headers_add(text, "\"");
        text_add_json(text, h->value, h->len);
        headers_add(text, "\"");

    } else {
        headers_add(text, "{\"hex\":\"");

        for (i = 0; i < h->len; i += n) {
            n = h->len - i < sizeof(digits) / 2 ? h->len - i
                                                : sizeof(digits) / 2;
            text_put_hex(digits, h->value + i, n);
            buf_add(text, digits, 2 * n);
        }

        headers_add(text, "\"}");
    }
}


int
headers_object(buf_t *text, const record_header_t *list, size_t n)
{
    size_t                   i, k, same;
    const char              *name;
    const record_header_t  **sorted;

    sorted = malloc((n + 1) * sizeof(record_header_t *));
    if (sorted == NULL) {
        return -1;
    }

    for (i = 0; i < n; i++) {
        sorted[i] = &list[i];
    }

    qsort(sorted, n, sizeof(record_header_t *), headers_compare);
    headers_add(text, "{");

    for (i = 0; i < n; i += same) {
        name = headers_name(sorted[i]);
        same = 1;

        while (i + same < n
               && strcmp(headers_name(sorted[i + same]), name) == 0)
        {
            same++;
        }

        headers_add(text, i ? ",\"" : "\"");
        text_add_json(text, name, strlen(name));
        headers_add(text, same > 1 ? "\":[" : "\":");

        for (k = 0; k < same; k++) {
            headers_add(text, k ? "," : "");
            headers_add_value(text, sorted[i + k]);
        }

        headers_add(text, same > 1 ? "]" : "");
    }

    headers_add(text, "}");
    free(sorted);

    return buf_failed(text) ? -1 : 0;
}


int
headers_read(json_doc_t *doc, const char *text, size_t len, buf_t *list,
    buf_t *bytes)
{
    int                  n;
    bool                 name;
    uint32_t             i, member;
    json_error_t         err;
    record_header_t      header;
    const json_token_t  *t;

    if (len == 0 || json_parse(doc, text, len, &err) == -1) {
        return 0;
    }

    /* room for all at once: the list points into it */
    if (buf_reserve(bytes, len * 2 + 1) == -1) {
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

            n = headers_read_value(doc, member + 1, !name
                                   && json_equals(doc, member, "value_hex",
                                                  9), bytes);
            if (n == -1) {
                return -1;
            }

            header.len = name ? header.len : (size_t) n;
        }

        buf_add(list, (const char *) &header, sizeof(record_header_t));
    }

    return buf_failed(list) ? -1 : 0;
}


/* Appends the bytes of a string and a NUL.  Returns their number, or -1. */

static int
headers_read_value(json_doc_t *doc, uint32_t token, bool hex, buf_t *bytes)
{
    char                *at;
    size_t               len;
    const json_token_t  *t;

    t = &doc->tokens[token];
    len = t->end - t->start;

    if (buf_reserve(bytes, len + 1) == -1) {
        return -1;
    }

    at = bytes->data + bytes->len;

    if (hex) {
        (void) text_get_hex(at, doc->text + t->start, len);
        len /= 2;

    } else {
        len = json_unescape(doc, token, at);
    }

    at[len] = '\0';
    bytes->len += len + 1;

    return (int) len;
}
