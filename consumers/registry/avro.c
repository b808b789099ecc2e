/* Reads Avro's binary encoding by a compiled schema and writes JSON. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "registry/avro_impl.h"


static int avro_value(avro_reader_t *r, uint32_t node);
static int avro_whole(avro_reader_t *r, const avro_node_t *node);
static int avro_real(avro_reader_t *r, const avro_node_t *node);
static int avro_run(avro_reader_t *r, const avro_node_t *node);
static int avro_record(avro_reader_t *r, const avro_node_t *node);
static int avro_items(avro_reader_t *r, const avro_node_t *node);
static int avro_item(avro_reader_t *r, const avro_node_t *node);
static int avro_choice(avro_reader_t *r, const avro_node_t *node,
    const avro_part_t **part);


int
avro_read(const avro_schema_t *schema, const char *s, size_t len, buf_t *out,
    char *reason, size_t size)
{
    int            rc;
    avro_reader_t  r = { 0 };

    r.schema = schema;
    r.start = r.p = s;
    r.end = s + len;
    r.out = out;
    r.reason = reason;
    r.size = size;

    rc = avro_value(&r, schema->root);

    return rc == 0 && r.p != r.end ? avro_bad(&r, "bytes behind the value")
                                   : rc;
}


static int
avro_put(avro_reader_t *r, const char *s, size_t len)
{
    return buf_append(r->out, s, len);
}


/* Zigzag, seven bits a byte, the lowest first. */

static int
avro_long(avro_reader_t *r, int64_t *n)
{
    unsigned  shift;
    uint64_t  u, byte;

    u = 0;

    for (shift = 0; shift < 70; shift += 7) {

        if (r->p == r->end) {
            return avro_bad(r, "the value ends too early");
        }

        byte = (unsigned char) *r->p++;

        if (shift == 63 && byte > 1) {
            break;
        }

        u |= (byte & 0x7f) << shift;

        if (byte < 0x80) {
            *n = (int64_t) (u >> 1 ^ (0 - (u & 1)));
            return 0;
        }
    }

    return avro_bad(r, "a number has more than 64 bits");
}


static int
avro_value(avro_reader_t *r, uint32_t at)
{
    int                 rc;
    char                byte;
    const avro_part_t  *part;
    const avro_node_t  *node;

    node = avro_node(r->schema, at);

    if (node->type == AVRO_NAMED) {
        node = avro_node(r->schema, node->first);
    }

    if (r->depth == AVRO_DEPTH) {
        return avro_bad(r, "more than %d values within each other",
                        AVRO_DEPTH);
    }

    if (r->out->len > AVRO_JSON) {
        return avro_bad(r, "the value is longer than %d MiB as JSON",
                        AVRO_JSON >> 20);
    }

    r->depth++;

    switch (node->type) {

    case AVRO_NULL:
        rc = avro_put(r, "null", 4);
        break;

    case AVRO_BOOLEAN:
        byte = r->p < r->end ? *r->p++ : 2;
        rc = byte == 0 ? avro_put(r, "false", 5)
             : byte == 1 ? avro_put(r, "true", 4)
             : avro_bad(r, "a boolean is neither 0 nor 1");
        break;

    case AVRO_INT:
    case AVRO_LONG:
        rc = avro_whole(r, node);
        break;

    case AVRO_FLOAT:
    case AVRO_DOUBLE:
        rc = avro_real(r, node);
        break;

    case AVRO_RECORD:
        rc = avro_record(r, node);
        break;

    case AVRO_ENUM:
        rc = avro_choice(r, node, &part);
        rc = rc ? rc : avro_put(r, r->schema->text.data + part->text,
                                part->len);
        break;

    case AVRO_UNION:
        rc = avro_choice(r, node, &part);
        rc = rc ? rc : avro_value(r, part->node);
        break;

    case AVRO_ARRAY:
    case AVRO_MAP:
        rc = avro_items(r, node);
        break;

    default:    /* AVRO_BYTES, AVRO_STRING, AVRO_FIXED */
        rc = avro_run(r, node);
        break;
    }

    r->depth--;

    return rc;
}


static int
avro_whole(avro_reader_t *r, const avro_node_t *node)
{
    int      rc;
    int64_t  n;

    rc = avro_long(r, &n);

    if (rc == 0 && node->type == AVRO_INT
        && (n < INT32_MIN || n > INT32_MAX))
    {
        rc = avro_bad(r, "an int has more than 32 bits");
    }

    return rc ? rc : avro_put_number(r, (avro_logical_t) node->logical, n);
}


/* With as few digits as read the same; JSON has no number for the others. */

static int
avro_real(avro_reader_t *r, const avro_node_t *node)
{
    int             digits, n;
    char            text[40];
    float           f;
    double          d;
    size_t          i, len;
    uint64_t        bits;
    const bool      single = node->type == AVRO_FLOAT;
    const uint32_t  one = 1;

    len = single ? 4 : 8;

    if ((size_t) (r->end - r->p) < len) {
        return avro_bad(r, "the value ends too early");
    }

    for (i = 0, bits = 0; i < len; i++) {
        bits |= (uint64_t) (unsigned char) r->p[i] << 8 * i;
    }

    r->p += len;

    if (single) {
        memcpy(&f, (char *) &bits + (*(const char *) &one ? 0 : 4), 4);
        d = (double) f;
    } else {
        memcpy(&d, &bits, 8);
    }

    if (!isfinite(d)) {
        return isnan(d) ? avro_put(r, "\"NaN\"", 5)
               : d > 0 ? avro_put(r, "\"Infinity\"", 10)
               : avro_put(r, "\"-Infinity\"", 11);
    }

    for (digits = single ? 6 : 15; ; digits++) {
        n = snprintf(text, sizeof(text), "%.*g", digits, d);

        if (digits == (single ? 9 : 17)
            || (single ? (double) strtof(text, NULL) == d
                       : strtod(text, NULL) == d))
        {
            break;
        }
    }

    return avro_put(r, text, (size_t) n);
}


/* Bytes, a string, or a fixed. */

static int
avro_run(avro_reader_t *r, const avro_node_t *node)
{
    int          rc;
    int64_t      len = node->size;
    const char  *s;

    rc = node->type == AVRO_FIXED ? 0 : avro_long(r, &len);

    if (rc == 0 && (len < 0 || len > r->end - r->p)) {
        rc = avro_bad(r, "a string or bytes are longer than the value");
    }

    if (rc) {
        return rc;
    }

    s = r->p;
    r->p += len;

    return avro_put_bytes(r, node, s, (size_t) len);
}


static int
avro_record(avro_reader_t *r, const avro_node_t *node)
{
    int                 rc;
    uint32_t            i;
    const avro_part_t  *part;

    rc = avro_put(r, "{", 1);

    for (i = 0; rc == 0 && i < node->n; i++) {
        part = avro_part(r->schema, node->first + i);

        if ((i && avro_put(r, ",", 1) == -1)
            || avro_put(r, r->schema->text.data + part->text, part->len)
               == -1)
        {
            return -1;
        }

        rc = avro_value(r, part->node);
    }

    return rc ? rc : avro_put(r, "}", 1);
}


/* Blocks, each with a count, and with its bytes if that is negative. */

static int
avro_items(avro_reader_t *r, const avro_node_t *node)
{
    int         rc;
    int64_t     count, bytes;
    const bool  map = node->type == AVRO_MAP;

    if (avro_put(r, map ? "{" : "[", 1) == -1) {
        return -1;
    }

    for ( ;; ) {
        rc = avro_long(r, &count);

        if (rc == 0 && count < 0) {
            count = count == INT64_MIN ? INT64_MAX : -count;
            rc = avro_long(r, &bytes);
        }

        if (rc == 0 && count > AVRO_ITEMS - r->items) {
            rc = avro_bad(r, "arrays and maps have more than %d items",
                          AVRO_ITEMS);
        }

        if (rc || count == 0) {
            break;
        }

        r->items += (uint32_t) count;

        for ( ; rc == 0 && count; count--) {
            rc = avro_item(r, node);
        }

        if (rc) {
            break;
        }
    }

    if (rc) {
        return rc;
    }

    if (r->out->data[r->out->len - 1] == ',') {
        r->out->len--;
    }

    return avro_put(r, map ? "}" : "]", 1);
}


/* With a comma behind it. */

static int
avro_item(avro_reader_t *r, const avro_node_t *node)
{
    int                 rc;
    const avro_part_t  *part = avro_part(r->schema, node->first);

    static const avro_node_t  key = { .type = AVRO_STRING };

    if (node->type == AVRO_MAP) {
        rc = avro_run(r, &key);
        if (rc || avro_put(r, ":", 1) == -1) {
            return rc ? rc : -1;
        }
    }

    rc = avro_value(r, part->node);

    return rc ? rc : avro_put(r, ",", 1);
}


/* Which of a union's branches or of an enum's symbols. */

static int
avro_choice(avro_reader_t *r, const avro_node_t *node,
    const avro_part_t **part)
{
    int      rc;
    int64_t  n;

    rc = avro_long(r, &n);

    if (rc == 0 && (n < 0 || n >= node->n)) {
        rc = avro_bad(r, "there is no such branch of a union or symbol of an "
                      "enum");
    }

    if (rc == 0) {
        *part = avro_part(r->schema, node->first + (uint32_t) n);
    }

    return rc;
}
