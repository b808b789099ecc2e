/* JSON Schema 2020-12: saying what is wrong where. */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "schema/schema_impl.h"


#define SCHEMA_CUT       "/..."
#define SCHEMA_NAME_MAX  (6 * SCHEMA_POINTER_MAX)    /* \uXXXX is one byte */


const char  schema_too_costly[] = "too costly to check";


int
schema_violate(schema_checker_t *c, const char *keyword,
    const schema_path_t *path, const char *fmt, ...)
{
    va_list  args;

    if (c->quiet) {
        return SCHEMA_VIOLATES;
    }

    schema_pointer(c->doc, path, c->violation->pointer);
    c->violation->keyword = keyword;

    va_start(args, fmt);
    (void) vsnprintf(c->violation->reason, sizeof(c->violation->reason), fmt,
                     args);
    va_end(args);

    return SCHEMA_VIOLATES;
}


int
schema_stop(schema_checker_t *c, const char *keyword,
    const schema_path_t *path, const char *reason)
{
    c->quiet = 0;
    (void) schema_violate(c, keyword, path, "%s", reason);

    return SCHEMA_STOPS;
}


/*
 * The name of one step.  One that is too long for any pointer even decoded
 * is given as it is written.
 */

static const char *
schema_step(const json_doc_t *doc, const schema_path_t *path, char *buf,
    size_t *len)
{
    const json_token_t  *t;

    if (path->name != NULL) {
        *len = path->len;
        return path->name;
    }

    if (path->token == JSON_NONE) {
        *len = (size_t) snprintf(buf, SCHEMA_NAME_MAX, "%u", path->index);
        return buf;
    }

    t = &doc->tokens[path->token];

    if (!t->escaped || t->end - t->start > SCHEMA_NAME_MAX) {
        *len = t->end - t->start;
        return doc->text + t->start;
    }

    *len = json_unescape(doc, path->token, buf);

    return buf;
}


/* Bytes of a reference token with ~0 and ~1; writes them unless out is NULL. */

static size_t
schema_reference(const json_doc_t *doc, const schema_path_t *path, char *out)
{
    char         buf[SCHEMA_NAME_MAX];
    size_t       i, n, len;
    const char  *name;

    name = schema_step(doc, path, buf, &len);
    n = 1;

    if (out != NULL) {
        *out++ = '/';
    }

    for (i = 0; i < len; i++) {
        if (name[i] != '~' && name[i] != '/') {
            n++;

            if (out != NULL) {
                *out++ = name[i];
            }

            continue;
        }

        n += 2;

        if (out != NULL) {
            *out++ = '~';
            *out++ = name[i] == '~' ? '0' : '1';
        }
    }

    return n;
}


void
schema_pointer(const json_doc_t *doc, const schema_path_t *path, char *out)
{
    size_t                n, size, len, total;
    const schema_path_t  *at, *way[JSON_MAX_DEPTH + 1];

    total = 0;

    for (n = 0, at = path; at != NULL; at = at->up) {
        way[n++] = at;
        total += schema_reference(doc, at, NULL);
    }

    size = SCHEMA_POINTER_MAX - 1;

    if (total > size) {
        size -= sizeof(SCHEMA_CUT) - 1;
    }

    for (len = 0; n > 0; n--) {
        at = way[n - 1];

        if (len + schema_reference(doc, at, NULL) > size) {
            memcpy(out + len, SCHEMA_CUT, sizeof(SCHEMA_CUT) - 1);
            len += sizeof(SCHEMA_CUT) - 1;
            break;
        }

        len += schema_reference(doc, at, out + len);
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
    char           buf[SCHEMA_NAME_MAX];
    size_t         len;
    const char    *name;
    schema_path_t  step;

    memset(&step, 0, sizeof(schema_path_t));
    step.token = token;

    name = schema_step(doc, &step, buf, &len);

    return schema_printable(name, len, out, size);
}
