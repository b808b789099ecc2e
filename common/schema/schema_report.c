/* A value's place in its text as a JSON Pointer, and names for people. */

#include <stdio.h>
#include <string.h>

#include "schema/schema_report.h"


#define SCHEMA_CUT       "/..."
#define SCHEMA_NAME_MAX  (6 * SCHEMA_POINTER_MAX)    /* \uXXXX is one byte */


/*
 * A name's decoded bytes.  A name that is too long for any pointer is not
 * decoded.
 */

static const char *
schema_name(const json_doc_t *doc, uint32_t token, char *buf, size_t *len)
{
    const json_token_t  *t = &doc->tokens[token];

    if (!t->escaped || t->end - t->start > SCHEMA_NAME_MAX) {
        *len = t->end - t->start;
        return doc->text + t->start;
    }

    *len = json_unescape(doc, token, buf);

    return buf;
}


/* Appends a step; returns its bytes, 0 where "room" is too little. */

static size_t
schema_step(const json_doc_t *doc, const schema_path_t *path, char *out,
    size_t room)
{
    char         buf[SCHEMA_NAME_MAX], step[2 * SCHEMA_POINTER_MAX];
    size_t       len;
    const char  *name;

    if (path->name != NULL) {
        name = path->name;
        len = path->len;

    } else if (path->token == JSON_NONE) {
        name = buf;
        len = (size_t) snprintf(buf, sizeof(buf), "%u", path->index);

    } else {
        name = schema_name(doc, path->token, buf, &len);
    }

    if (len >= room) {
        return 0;
    }

    step[0] = '/';
    len = (size_t) (json_pointer_escape(step + 1, name, len) - step);

    if (len > room) {
        return 0;
    }

    memcpy(out, step, len);

    return len;
}


/* A pointer that is too long ends behind a step, with "/...". */

void
schema_pointer(const json_doc_t *doc, const schema_path_t *path, char *out)
{
    size_t                n, len, added, cut;
    const schema_path_t  *at, *way[JSON_MAX_DEPTH + 1];

    for (n = 0, at = path; at != NULL; at = at->up) {
        way[n++] = at;
    }

    for (len = 0, cut = 0; n > 0; n--) {
        added = schema_step(doc, way[n - 1], out + len,
                            SCHEMA_POINTER_MAX - 1 - len);

        if (added == 0) {
            memcpy(out + cut, SCHEMA_CUT, sizeof(SCHEMA_CUT) - 1);
            len = cut + sizeof(SCHEMA_CUT) - 1;
            break;
        }

        len += added;

        if (len <= SCHEMA_POINTER_MAX - sizeof(SCHEMA_CUT)) {
            cut = len;
        }
    }

    out[len] = '\0';
}


const char *
schema_printable(const char *s, size_t len, char *out, size_t size)
{
    size_t  i;

    if (len >= size) {
        len = size - 1;

        while (len > 0 && (s[len] & 0xc0) == 0x80) {
            len--;
        }
    }

    for (i = 0; i < len; i++) {
        out[i] = (unsigned char) s[i] < 0x20 || s[i] == 0x7f ? '?' : s[i];
    }

    out[len] = '\0';

    return out;
}


const char *
schema_printable_token(const json_doc_t *doc, uint32_t token, char *out,
    size_t size)
{
    char         buf[SCHEMA_NAME_MAX];
    size_t       len;
    const char  *name;

    name = schema_name(doc, token, buf, &len);

    return schema_printable(name, len, out, size);
}
