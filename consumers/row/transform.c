/* The transforms of a column: each makes text of text. */

#include <stdio.h>
#include <wctype.h>

#include <openssl/sha.h>

#include "base/text.h"
#include "row/number.h"
#include "row/transform.h"


/* Each sets *s and *len, to bytes of "out" or to a part of the text. */
static void row_trim(const char **s, size_t *len);
static int row_case(locale_t locale, bool upper, const char **s, size_t *len,
    buf_t *out);
static int row_mask(size_t keep, const char **s, size_t *len, buf_t *out);
static int row_sha256(bool digest, const char **s, size_t *len, buf_t *out);
static int row_cast(const row_column_t *column, const char **s, size_t *len,
    buf_t *out);


int
row_transform_ready(row_ctx_t *ctx, const row_column_t *column, char *reason,
    size_t size)
{
    size_t                 i;
    conf_transform_kind_t  kind;

    for (i = 0; i < column->ntransforms; i++) {
        kind = column->conf->transforms[i].kind;

        if ((kind != CONF_LOWER && kind != CONF_UPPER) || ctx->locale) {
            continue;
        }

        ctx->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t) 0);

        if (ctx->locale == (locale_t) 0) {
            snprintf(reason, size, "column \"%s\": the system has no locale "
                     "C.UTF-8, which lower and upper need",
                     column->conf->name);
            return -1;
        }
    }

    return 0;
}


int
row_transform(row_ctx_t *ctx, const row_column_t *column, const char **s,
    size_t *len)
{
    int                      rc;
    size_t                   i;
    buf_t                   *out;
    const conf_transform_t  *t;

    for (i = 0, rc = 0; rc == 0 && i < column->ntransforms; i++) {
        t = &column->conf->transforms[i];

        /* the text may be in one of the two buffers: take the other one */
        out = &ctx->changed[(uintptr_t) *s - (uintptr_t) ctx->changed[0].data
                            < ctx->changed[0].size];
        out->len = 0;

        switch (t->kind) {

        case CONF_TRIM:
            row_trim(s, len);
            break;

        case CONF_LOWER:
        case CONF_UPPER:
            rc = row_case(ctx->locale, t->kind == CONF_UPPER, s, len, out);
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

    return rc == 1 ? row_fault(ctx, column, "22P02",
                               "the value cannot be cast")
                   : rc;
}


static bool
row_is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}


static void
row_trim(const char **s, size_t *len)
{
    while (*len && row_is_space((*s)[0])) {
        (*s)++;
        (*len)--;
    }

    while (*len && row_is_space((*s)[*len - 1])) {
        (*len)--;
    }
}


/* The length of a code point is in its first byte. */

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


/* By Unicode's simple mappings: one code point for one. */

static int
row_case(locale_t locale, bool upper, const char **s, size_t *len, buf_t *out)
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
        p = json_put_utf8(p, upper ? towupper_l(c, locale)
                                   : towlower_l(c, locale));
    }

    *s = out->data;
    *len = (size_t) (p - out->data);

    return 0;
}


/* Stars for all but the last "keep" characters, or for all of a short text. */

static int
row_mask(size_t keep, const char **s, size_t *len, buf_t *out)
{
    size_t  i, n, points;

    for (i = 0, points = 0; i < *len; i++) {
        points += ((*s)[i] & 0xc0) != 0x80;
    }

    n = points > keep ? points - keep : points;

    if (buf_reserve(out, *len + 1) == -1) {
        return -1;
    }

    memset(out->data, '*', n);
    out->len = n;

    for (i = 0; i < *len && (n || ((*s)[i] & 0xc0) == 0x80); i++) {
        n -= ((*s)[i] & 0xc0) != 0x80;
    }

    memcpy(out->data + out->len, *s + i, *len - i);

    *s = out->data;
    *len = out->len + *len - i;

    return 0;
}


static int
row_sha256(bool digest, const char **s, size_t *len, buf_t *out)
{
    unsigned char  md[SHA256_DIGEST_LENGTH];

    SHA256((const unsigned char *) *s, *len, md);

    if (buf_reserve(out, 2 * sizeof(md)) == -1) {
        return -1;
    }

    if (digest) {
        memcpy(out->data, md, sizeof(md));
    } else {
        text_put_hex(out->data, md, sizeof(md));
    }

    *s = out->data;
    *len = digest ? sizeof(md) : 2 * sizeof(md);

    return 0;
}


static bool
row_is(const char *s, size_t len, const char *word)
{
    return len == strlen(word) && memcmp(s, word, len) == 0;
}


/* Reads other spellings of numbers and booleans, if no digit is lost. */

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
        if (row_is(*s, *len, "true") || row_is(*s, *len, "false")) {
            *s = **s == 't' ? "1" : "0";
            *len = 1;
            return 0;
        }

        return row_whole(s, len, out);

    case TYPE_NUMERIC:
    case TYPE_FLOAT:
        if (*len > 1 && (*s)[0] == '+') {
            (*s)++;
            (*len)--;
        }
        return 0;

    case TYPE_BOOLEAN:
        return row_whole(s, len, out) == 0 && !row_is(*s, *len, "0")
               && !row_is(*s, *len, "1");

    default:
        return 0;
    }
}
