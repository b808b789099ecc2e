/*
 * Objects whose members are the parts of one value, as Debezium writes them:
 * decimals with their scale, points, geometries, maps of an hstore.
 */

#include <endian.h>

#include "base/text.h"
#include "row/struct.h"
#include "row/text.h"


/* EWKB, as PostGIS reads it: this bit of the type says that a SRID follows */
#define EWKB_SRID  0x20


static int row_geometry(row_ctx_t *ctx, const row_column_t *column,
    uint32_t wkb, uint32_t srid);
static int row_point(row_ctx_t *ctx, const row_column_t *column,
    uint32_t x, uint32_t y);
static int row_pairs(row_ctx_t *ctx, const row_column_t *column,
    uint32_t object);


int
row_struct(row_ctx_t *ctx, const row_column_t *column, uint32_t token)
{
    char                 number[12];
    size_t               len;
    int64_t              scale;
    uint32_t             a, b;
    const char          *s;
    const json_doc_t    *doc = &ctx->doc;
    const json_token_t  *t;

    a = json_member(doc, token, "scale", 5);
    b = json_member(doc, token, "value", 5);

    if (a != JSON_NONE && b != JSON_NONE
        && doc->tokens[a].type == JSON_NUMBER
        && doc->tokens[b].type == JSON_STRING)
    {
        t = &doc->tokens[a];
        len = t->end - t->start;

        if (len >= sizeof(number)
            || text_get_int(doc->text + t->start, len, 4, &scale) != 0)
        {
            return row_fault(ctx, column, "22003", "the scale is out of "
                             "range");
        }

        return row_unescape(ctx, b, &s, &len) == -1
               ? -1 : row_decimal(ctx, column, s, len, (int32_t) scale);
    }

    a = json_member(doc, token, "x", 1);
    b = json_member(doc, token, "y", 1);

    if (a != JSON_NONE && b != JSON_NONE
        && strcmp(column->type, "point") == 0)
    {
        return row_point(ctx, column, a, b);
    }

    a = json_member(doc, token, "wkb", 3);

    if (a != JSON_NONE && doc->tokens[a].type == JSON_STRING) {
        return row_geometry(ctx, column, a,
                                 json_member(doc, token, "srid", 4));
    }

    len = strlen(column->type);

    return len >= 6 && strcmp(column->type + len - 6, "hstore") == 0
           ? row_pairs(ctx, column, token) : FORM_AS_IS;
}


/*
 * A geometry's WKB with its SRID is hexadecimal EWKB, which PostGIS reads; a
 * bytea takes the WKB itself.
 */

static int
row_geometry(row_ctx_t *ctx, const row_column_t *column, uint32_t wkb,
    uint32_t srid)
{
    int                  rc;
    char                *p, head[9];
    size_t               len, type;
    int64_t              n;
    uint32_t             number;
    const char          *s;
    const json_token_t  *t;

    rc = row_unescape(ctx, wkb, &s, &len) == -1
         ? -1 : row_base64(ctx, column, s, len);
    if (rc != 0) {
        return rc;
    }

    s = ctx->decoded.data;
    len = ctx->decoded.len;

    if (column->kind == TYPE_BYTEA) {
        return ctx->writer->bytes(ctx, column, s, len);
    }

    if (len < 5) {
        return row_fault(ctx, column, "22P02", "not the WKB of a geometry");
    }

    memcpy(head, s, 5);
    type = head[0] ? 4 : 1;
    n = 0;
    t = srid == JSON_NONE ? NULL : &ctx->doc.tokens[srid];

    if (t == NULL || t->type != JSON_NUMBER || head[type] & EWKB_SRID
        || text_get_int(ctx->doc.text + t->start, t->end - t->start, 4, &n)
           != 0)
    {
        n = 0;
    }

    number = head[0] ? htole32((uint32_t) n) : htobe32((uint32_t) n);
    memcpy(head + 5, &number, 4);
    head[type] |= n ? EWKB_SRID : 0;

    ctx->formed.len = 0;

    if (buf_reserve(&ctx->formed, (len + 4) * 2) == -1) {
        return -1;
    }

    p = text_put_hex(ctx->formed.data, head, n ? 9 : 5);
    p = text_put_hex(p, s + 5, len - 5);

    return row_formed(ctx, column, ctx->formed.data,
                      (size_t) (p - ctx->formed.data));
}


static int
row_point(row_ctx_t *ctx, const row_column_t *column, uint32_t x,
    uint32_t y)
{
    buf_t               *out = &ctx->formed;
    const json_token_t  *t = ctx->doc.tokens;

    out->len = 0;
    buf_add(out, "(", 1);
    buf_add(out, ctx->doc.text + t[x].start, t[x].end - t[x].start);
    buf_add(out, ",", 1);
    buf_add(out, ctx->doc.text + t[y].start, t[y].end - t[y].start);
    buf_add(out, ")", 1);

    if (buf_failed(out)) {
        buf_free(out);
        return -1;
    }

    return row_formed(ctx, column, out->data, out->len);
}


/* PostgreSQL's manual, "hstore External Representation". */

static int
row_pairs(row_ctx_t *ctx, const row_column_t *column, uint32_t object)
{
    bool         name;
    char        *p;
    size_t       i, len;
    buf_t       *out = &ctx->formed;
    uint32_t     token, end;
    const char  *s;

    out->len = 0;
    name = true;
    end = ctx->doc.tokens[object].next;

    for (token = object + 1; token < end;
         token = name ? token + 1 : ctx->doc.tokens[token].next, name = !name)
    {
        if (row_unescape(ctx, token, &s, &len) == -1
            || buf_reserve(out, len * 2 + 8) == -1)
        {
            return -1;
        }

        p = out->data + out->len;

        if (ctx->doc.tokens[token].type == JSON_NULL) {
            memcpy(p, "NULL", 4);
            p += 4;

        } else {
            *p++ = '"';
            for (i = 0; i < len; i++) {
                if (s[i] == '"' || s[i] == '\\') {
                    *p++ = '\\';
                }
                *p++ = s[i];
            }
            *p++ = '"';
        }

        memcpy(p, name ? "=>" : ",", 2);
        out->len = (size_t) (p - out->data) + (name ? 2 : 1);
    }

    return row_formed(ctx, column, out->len ? out->data : "",
                      out->len ? out->len - 1 : 0);
}
