/* The few transforms of a column: each makes text of text. */

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wctype.h>

#include <openssl/sha.h>

#include "base/text.h"
#include "row/row_impl.h"


static int row_case(row_plan_t *plan, bool upper, const char **s,
    size_t *len, buf_t *out);
static int row_mask(size_t keep, const char **s, size_t *len, buf_t *out);
static int row_sha256(bool digest, const char **s, size_t *len, buf_t *out);
static int row_cast(const row_column_t *column, const char **s, size_t *len,
    buf_t *out);
static void row_trim(const char **s, size_t *len);
static size_t row_code_point(const char *s, wint_t *c);
static char *row_utf8(char *p, wint_t c);


int
row_transform_ready(row_plan_t *plan, const row_column_t *column,
    char *reason, size_t size)
{
    size_t                 i;
    conf_transform_kind_t  kind;

    for (i = 0; i < column->ntransforms; i++) {
        kind = column->transforms[i].kind;

        if ((kind != CONF_LOWER && kind != CONF_UPPER) || plan->locale) {
            continue;
        }

        plan->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t) 0);

        if (plan->locale == NULL) {
            snprintf(reason, size, "column \"%s\": the system has no locale "
                     "C.UTF-8, which lower and upper need", column->name);
            return -1;
        }
    }

    return 0;
}


void
row_transform_free(row_plan_t *plan)
{
    if (plan->locale) {
        freelocale(plan->locale);
    }
}


static bool
row_lies_in(const buf_t *buf, const char *s)
{
    return (uintptr_t) s - (uintptr_t) buf->data < buf->size;
}


int
row_transform(row_plan_t *plan, const row_column_t *column, const char **s,
    size_t *len, record_fault_t *fault)
{
    int                      rc;
    size_t                   i;
    buf_t                   *out;
    const conf_transform_t  *t;

    for (i = 0, rc = 0; rc == 0 && i < column->ntransforms; i++) {
        t = &column->transforms[i];
        /* never the one that the text lies in: not every step moves it */
        out = &plan->work[row_lies_in(&plan->work[0], *s)];
        out->len = 0;

        switch (t->kind) {

        case CONF_TRIM:
            row_trim(s, len);
            break;

        case CONF_LOWER:
        case CONF_UPPER:
            rc = row_case(plan, t->kind == CONF_UPPER, s, len, out);
            break;

        case CONF_SHA256:
            rc = row_sha256(column->digest && i + 1 == column->ntransforms,
                            s, len, out);
            break;

        case CONF_MASK:
            rc = row_mask(t->keep, s, len, out);
            break;

        case CONF_CAST:
            rc = row_cast(column, s, len, out);
            break;
        }
    }

    return rc == 1 ? row_fault(fault, "22P02", column,
                               "the value cannot be cast")
                   : rc;
}


static void
row_trim(const char **s, size_t *len)
{
    while (*len && strchr(" \t\n\v\f\r", (*s)[0]) && (*s)[0]) {
        (*s)++;
        (*len)--;
    }

    while (*len && strchr(" \t\n\v\f\r", (*s)[*len - 1])
           && (*s)[*len - 1])
    {
        (*len)--;
    }
}


/* The text was checked: bytes that begin a code point hold its length. */

static size_t
row_code_point(const char *s, wint_t *c)
{
    size_t                i, n;
    const unsigned char  *p;

    p = (const unsigned char *) s;
    n = *p < 0x80 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
    *c = n == 1 ? *p : *p & (0x7fU >> n);

    for (i = 1; i < n; i++) {
        *c = *c << 6 | (p[i] & 0x3f);
    }

    return n;
}


static char *
row_utf8(char *p, wint_t c)
{
    if (c < 0x80) {
        *p++ = (char) c;

    } else if (c < 0x800) {
        *p++ = (char) (0xc0 | c >> 6);
        *p++ = (char) (0x80 | (c & 0x3f));

    } else if (c < 0x10000) {
        *p++ = (char) (0xe0 | c >> 12);
        *p++ = (char) (0x80 | (c >> 6 & 0x3f));
        *p++ = (char) (0x80 | (c & 0x3f));

    } else {
        *p++ = (char) (0xf0 | c >> 18);
        *p++ = (char) (0x80 | (c >> 12 & 0x3f));
        *p++ = (char) (0x80 | (c >> 6 & 0x3f));
        *p++ = (char) (0x80 | (c & 0x3f));
    }

    return p;
}


/* By Unicode's simple mappings: one code point for one. */

static int
row_case(row_plan_t *plan, bool upper, const char **s, size_t *len,
    buf_t *out)
{
    char    *p;
    size_t   i;
    wint_t   c;

    /* a mapping may take one byte in two, and two in three */

    if (buf_reserve(out, *len * 2 + 4) == -1) {
        return -1;
    }

    p = out->data;

    for (i = 0; i < *len; ) {
        i += row_code_point(*s + i, &c);
        c = upper ? towupper_l(c, plan->locale) : towlower_l(c, plan->locale);
        p = row_utf8(p, c);
    }

    *s = out->data;
    *len = out->len = (size_t) (p - out->data);

    return 0;
}


static int
row_mask(size_t keep, const char **s, size_t *len, buf_t *out)
{
    size_t  i, n, points;

    for (i = 0, points = 0; i < *len; i++) {
        points += ((*s)[i] & 0xc0) != 0x80;
    }

    /* of a short text nothing is left to see */

    n = points > keep ? points - keep : points;

    for (i = 0; i < *len && (n || ((*s)[i] & 0xc0) == 0x80); i++) {
        if (((*s)[i] & 0xc0) != 0x80) {
            buf_add(out, "*", 1);
            n--;
        }
    }

    buf_add(out, *s + i, *len - i);

    if (buf_failed(out)) {
        memset(out, 0, sizeof(buf_t));
        return -1;
    }

    *s = out->data;
    *len = out->len;

    return 0;
}


static int
row_sha256(bool digest, const char **s, size_t *len, buf_t *out)
{
    unsigned char  md[SHA256_DIGEST_LENGTH];

    if (buf_reserve(out, 2 * sizeof(md)) == -1) {
        return -1;
    }

    SHA256((const unsigned char *) *s, *len, md);

    if (digest) {
        memcpy(out->data, md, sizeof(md));

    } else {
        text_put_hex(out->data, md, sizeof(md));
    }

    *s = out->data;
    *len = out->len = digest ? sizeof(md) : 2 * sizeof(md);

    return 0;
}


/* Numbers and truths however they are written, where nothing is lost. */

static int
row_cast(const row_column_t *column, const char **s, size_t *len, buf_t *out)
{
    type_kind_t  kind;

    kind = column->kind == TYPE_ARRAY ? column->element : column->kind;

    if (kind >= TYPE_BOOLEAN && kind <= TYPE_FLOAT) {
        row_trim(s, len);
    }

    switch (kind) {

    case TYPE_SMALLINT:
    case TYPE_INTEGER:
    case TYPE_BIGINT:
        if (*len == 4 && memcmp(*s, "true", 4) == 0) {
            *s = "1";
            *len = 1;
            return 0;
        }

        if (*len == 5 && memcmp(*s, "false", 5) == 0) {
            *s = "0";
            *len = 1;
            return 0;
        }

        return row_exact(s, len, out);

    case TYPE_NUMERIC:
    case TYPE_FLOAT:
        if (*len > 1 && (*s)[0] == '+') {
            (*s)++;
            (*len)--;
        }
        return 0;

    case TYPE_BOOLEAN:
        if (row_exact(s, len, out) == 0) {
            if (*len == 1 && ((*s)[0] == '0' || (*s)[0] == '1')) {
                return 0;
            }
            return 1;
        }
        return 0;

    default:
        return 0;
    }
}
