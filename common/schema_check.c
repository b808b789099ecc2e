/* JSON Schema subset: checking tokens.  Nesting is bounded by the schema's. */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "schema_impl.h"


#define SCHEMA_NAME_MAX  80        /* bytes of a member name in a reason */
#define SCHEMA_CUT       "/..."


typedef struct {
    const json_doc_t    *doc;
    schema_violation_t  *violation;
} schema_checker_t;


static int schema_walk(const schema_checker_t *c, const schema_t *schema,
    uint32_t token, const schema_path_t *path);
static int schema_check_type(const schema_checker_t *c, const schema_t *schema,
    uint32_t token, const schema_path_t *path);
static int schema_check_required(const schema_checker_t *c,
    const schema_t *schema, uint32_t token, const schema_path_t *path);
static int schema_check_properties(const schema_checker_t *c,
    const schema_t *schema, uint32_t token, const schema_path_t *path);
static int schema_check_length(const schema_checker_t *c,
    const schema_t *schema, uint32_t token, const schema_path_t *path);
static int schema_violate(const schema_checker_t *c, const char *keyword,
    const schema_path_t *path, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static uint64_t schema_length(const json_doc_t *doc, uint32_t token);
static uint32_t schema_member(const json_doc_t *doc, uint32_t object,
    const schema_member_t *member, uint32_t *hint);


/* By json_type_t; of a number it depends on its digits. */

static const struct {
    const char  *name;
    uint8_t      bits;
} schema_kinds[] = {
    { "null",    SCHEMA_NULL    },
    { "boolean", SCHEMA_BOOLEAN },
    { "boolean", SCHEMA_BOOLEAN },
    { "number",  SCHEMA_NUMBER  },
    { "string",  SCHEMA_STRING  },
    { "array",   SCHEMA_ARRAY   },
    { "object",  SCHEMA_OBJECT  }
};


int
schema_check(const schema_t *schema, const json_doc_t *doc, uint32_t root,
    schema_violation_t *violation)
{
    schema_checker_t  c;

    c.doc = doc;
    c.violation = violation;

    return schema_walk(&c, schema, root, NULL);
}


static int
schema_walk(const schema_checker_t *c, const schema_t *schema, uint32_t token,
    const schema_path_t *path)
{
    int      rc;
    uint8_t  i, type;

    if (schema->never) {
        return schema_violate(c, "false", path, "no value is allowed here");
    }

    type = c->doc->tokens[token].type;

    for (i = 0; i < schema->keywords; i++) {
        rc = 0;

        switch (schema->order[i]) {

        case SCHEMA_TYPE:
            rc = schema_check_type(c, schema, token, path);
            break;

        case SCHEMA_REQUIRED:
            if (type == JSON_OBJECT) {
                rc = schema_check_required(c, schema, token, path);
            }
            break;

        case SCHEMA_PROPERTIES:
            if (type == JSON_OBJECT) {
                rc = schema_check_properties(c, schema, token, path);
            }
            break;

        case SCHEMA_MIN_LENGTH:
            if (type == JSON_STRING) {
                rc = schema_check_length(c, schema, token, path);
            }
            break;
        }

        if (rc != 0) {
            return rc;
        }
    }

    return 0;
}


static int
schema_check_type(const schema_checker_t *c, const schema_t *schema,
    uint32_t token, const schema_path_t *path)
{
    char                 wanted[80];
    size_t               i, len;
    uint8_t              bits;
    const char          *is;
    const json_token_t  *t;

    t = &c->doc->tokens[token];
    is = schema_kinds[t->type].name;
    bits = schema_kinds[t->type].bits;

    if (schema->types & bits) {
        return 0;
    }

    if (t->type == JSON_NUMBER && (schema->types & SCHEMA_INTEGER)) {

        if (schema_is_integer(c->doc->text + t->start,
                              c->doc->text + t->end))
        {
            return 0;
        }

        is = "number with a fraction";
    }

    len = 0;

    for (i = 0; schema_types[i].name != NULL; i++) {
        if (schema->types & schema_types[i].bit) {
            len += (size_t) snprintf(wanted + len, sizeof(wanted) - len,
                                     "%s%s", len ? " or " : "",
                                     schema_types[i].name);
        }
    }

    return schema_violate(c, "type", path, "is %s, must be %s", is, wanted);
}


static int
schema_check_required(const schema_checker_t *c, const schema_t *schema,
    uint32_t token, const schema_path_t *path)
{
    char                    name[SCHEMA_NAME_MAX];
    size_t                  i;
    uint32_t                hint;
    const schema_member_t  *member;

    hint = token + 1;

    for (i = 0; i < schema->nrequired; i++) {
        member = &schema->required[i];

        if (schema_member(c->doc, token, member, &hint) == JSON_NONE) {
            return schema_violate(c, "required", path,
                                  "member \"%s\" is missing",
                                  schema_printable(member->name, member->len,
                                                   name, sizeof(name)));
        }
    }

    return 0;
}


static int
schema_check_properties(const schema_checker_t *c, const schema_t *schema,
    uint32_t token, const schema_path_t *path)
{
    size_t                  i;
    uint32_t                value, hint;
    schema_path_t           here;
    const schema_member_t  *member;

    hint = token + 1;

    for (i = 0; i < schema->nproperties; i++) {
        member = &schema->properties[i];

        value = schema_member(c->doc, token, member, &hint);
        if (value == JSON_NONE) {
            continue;
        }

        here.up = path;
        here.name = member->name;
        here.len = member->len;

        if (schema_walk(c, member->schema, value, &here) != 0) {
            return -1;
        }
    }

    return 0;
}


/*
 * The value of a member, or JSON_NONE.  Clients mostly send members in one
 * order: the search starts behind the member found last.
 */

static uint32_t
schema_member(const json_doc_t *doc, uint32_t object,
    const schema_member_t *member, uint32_t *hint)
{
    uint32_t  i, first, end;

    first = object + 1;
    end = doc->tokens[object].next;

    for (i = *hint; i < end; i = doc->tokens[i + 1].next) {
        if (json_equals(doc, i, member->name, member->len)) {
            *hint = doc->tokens[i + 1].next;
            return i + 1;
        }
    }

    for (i = first; i < *hint; i = doc->tokens[i + 1].next) {
        if (json_equals(doc, i, member->name, member->len)) {
            *hint = doc->tokens[i + 1].next;
            return i + 1;
        }
    }

    return JSON_NONE;
}


static int
schema_check_length(const schema_checker_t *c, const schema_t *schema,
    uint32_t token, const schema_path_t *path)
{
    uint64_t             bytes, length;
    const json_token_t  *t;

    t = &c->doc->tokens[token];
    bytes = t->end - t->start;

    /* a code point takes one byte at least, four at most, unescaped */
    if (!t->escaped && bytes / 4 >= schema->min_length) {
        return 0;
    }

    length = schema_length(c->doc, token);

    if (length >= schema->min_length) {
        return 0;
    }

    return schema_violate(c, "minLength", path,
                          "has %llu character%s, at least %llu needed",
                          (unsigned long long) length, length == 1 ? "" : "s",
                          (unsigned long long) schema->min_length);
}


static uint64_t
schema_length(const json_doc_t *doc, uint32_t token)
{
    uint64_t             length;
    const char          *p, *end;
    const json_token_t  *t;

    t = &doc->tokens[token];
    p = doc->text + t->start;
    end = doc->text + t->end;
    length = 0;

    while (p < end) {

        if (*p != '\\') {
            /* continuation bytes are 10xxxxxx */
            length += (*p & 0xc0) != 0x80;
            p++;
            continue;
        }

        length++;

        if (p[1] != 'u') {
            p += 2;

        } else if ((p[2] | 0x20) == 'd' && strchr("89abAB", p[3]) != NULL) {
            p += 12;

        } else {
            p += 6;
        }
    }

    return length;
}


/* Integral if the last digit but zeros stands before the point. */

int
schema_is_integer(const char *p, const char *end)
{
    int    negative;
    long   point, last, digits, exponent;

    point = -1;
    last = 0;
    digits = 0;

    for ( ; p < end && *p != 'e' && *p != 'E'; p++) {

        if (*p == '.') {
            point = digits;

        } else if (*p != '-') {
            digits++;

            if (*p != '0') {
                last = digits;
            }
        }
    }

    if (last == 0) {
        return 1;
    }

    if (point == -1) {
        point = digits;
    }

    exponent = 0;

    if (p < end) {
        p++;
        negative = *p == '-';
        p += *p == '-' || *p == '+';

        for ( ; p < end; p++) {
            exponent = exponent * 10 + (*p - '0');
        }

        if (negative) {
            exponent = -exponent;
        }
    }

    return last <= point + exponent;
}


static int
schema_violate(const schema_checker_t *c, const char *keyword,
    const schema_path_t *path, const char *fmt, ...)
{
    va_list  args;

    schema_pointer(path, c->violation->pointer);
    c->violation->keyword = keyword;

    va_start(args, fmt);
    (void) vsnprintf(c->violation->reason, sizeof(c->violation->reason), fmt,
                     args);
    va_end(args);

    return -1;
}


/* Bytes of a reference token with ~0 and ~1; writes them unless out is NULL. */

static size_t
schema_reference(const schema_path_t *path, char *out)
{
    char    c;
    size_t  i, n;

    n = 1;

    if (out != NULL) {
        *out++ = '/';
    }

    for (i = 0; i < path->len; i++) {
        c = path->name[i];

        if (c != '~' && c != '/') {
            n++;

            if (out != NULL) {
                *out++ = c;
            }

            continue;
        }

        n += 2;

        if (out != NULL) {
            *out++ = '~';
            *out++ = c == '~' ? '0' : '1';
        }
    }

    return n;
}


void
schema_pointer(const schema_path_t *path, char *out)
{
    size_t                n, size, len, total;
    const schema_path_t  *at, *way[JSON_MAX_DEPTH + 1];

    total = 0;

    for (n = 0, at = path; at != NULL; at = at->up) {
        way[n++] = at;
        total += schema_reference(at, NULL);
    }

    size = SCHEMA_POINTER_MAX - 1;

    if (total > size) {
        size -= sizeof(SCHEMA_CUT) - 1;
    }

    for (len = 0; n > 0; n--) {
        at = way[n - 1];

        if (len + schema_reference(at, NULL) > size) {
            memcpy(out + len, SCHEMA_CUT, sizeof(SCHEMA_CUT) - 1);
            len += sizeof(SCHEMA_CUT) - 1;
            break;
        }

        len += schema_reference(at, out + len);
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
