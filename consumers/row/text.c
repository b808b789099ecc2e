/* Text and bytes become a field, by the column's type. */

#include <string.h>

#include "base/text.h"
#include "row/copy.h"
#include "row/row_impl.h"


static int row_base64(const row_column_t *column, const char *s, size_t len,
    buf_t *text, record_fault_t *fault);


/* RFC 4648, sections 4 and 5, from 1; 0: not of the alphabet. */
static const uint8_t  row_base64_digits[256] = {
    ['A'] = 1, ['B'] = 2, ['C'] = 3, ['D'] = 4, ['E'] = 5, ['F'] = 6,
    ['G'] = 7, ['H'] = 8, ['I'] = 9, ['J'] = 10, ['K'] = 11, ['L'] = 12,
    ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18,
    ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26,
    ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38,
    ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44,
    ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49, ['x'] = 50,
    ['y'] = 51, ['z'] = 52,
    ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56, ['4'] = 57, ['5'] = 58,
    ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62,
    ['+'] = 63, ['-'] = 63, ['/'] = 64, ['_'] = 64
};


int
row_text(row_plan_t *plan, const row_column_t *column, const char *s,
    size_t len, buf_t *text, record_fault_t *fault)
{
    switch (column->kind) {

    case TYPE_SMALLINT:
    case TYPE_INTEGER:
    case TYPE_BIGINT:
        if (row_integer(column, s, len, fault)) {
            return 1;
        }
        break;

    case TYPE_TIMESTAMPTZ:
    case TYPE_TIMESTAMP:
    case TYPE_DATE:
    case TYPE_TIME:
        return row_time(plan, column, s, len, text, fault);

    case TYPE_BYTEA:
        return row_base64(column, s, len, text, fault);

    default:
        break;
    }

    return row_put(column, s, len, text);
}


int
row_integer(const row_column_t *column, const char *s, size_t len,
    record_fault_t *fault)
{
    int64_t  n;

    switch (text_get_int(s, len, column->kind == TYPE_SMALLINT ? 2
                                 : column->kind == TYPE_INTEGER ? 4 : 8, &n))
    {
    case 0:
        return 0;

    case 1:
        return row_fault(fault, "22003", column, "the number is out of range");

    default:
        return row_fault(fault, "22P02", column, "not a whole number");
    }
}


int
row_put_bytea(const row_column_t *column, const char *s, size_t len,
    buf_t *text)
{
    size_t  start;

    start = text->len;

    if (copy_add_bytea(text, s, len) == -1) {
        return -1;
    }

    if (column->plain) {
        /* without the backslash that escapes the other for COPY */
        text->len--;
        memmove(text->data + start, text->data + start + 1,
                text->len - start);
    }

    return 0;
}


static int
row_base64(const row_column_t *column, const char *s, size_t len, buf_t *text,
    record_fault_t *fault)
{
    char      *p;
    size_t     i, padding;
    uint8_t    digit;
    uint32_t   bits, n;

    static const char  hex[] = "0123456789abcdef";

    padding = 0;

    while (padding < 2 && len && s[len - 1] == '=') {
        padding++;
        len--;
    }

    if (len % 4 == 1 || (padding && (len + padding) % 4)) {
        return row_fault(fault, "22P02", column, "not base64");
    }

    if (buf_reserve(text, 3 + len / 4 * 6 + 6) == -1) {
        return -1;
    }

    p = text->data + text->len;
    memcpy(p, "\\\\x", 3);
    p += column->plain ? 2 : 3;

    if (column->plain) {
        p[-1] = 'x';
    }

    bits = 0;
    n = 0;

    for (i = 0; i < len; i++) {
        digit = row_base64_digits[(unsigned char) s[i]];

        if (digit == 0) {
            return row_fault(fault, "22P02", column, "not base64");
        }

        bits = bits << 6 | (uint32_t) (digit - 1);
        n += 6;

        if (n >= 8) {
            n -= 8;
            *p++ = hex[bits >> (n + 4) & 15];
            *p++ = hex[bits >> n & 15];
        }
    }

    text->len = (size_t) (p - text->data);

    return 0;
}


/* A key, a header, a whole value: bytes, unless the column wants text. */

int
row_bytes(row_plan_t *plan, const row_column_t *column, const char *s,
    size_t len, buf_t *text, record_fault_t *fault)
{
    int  rc;

    if (column->kind == TYPE_BYTEA && column->ntransforms == 0) {
        return row_put_bytea(column, s, len, text);
    }

    /* a digest is one of bytes */

    if (column->ntransforms == 0
        || column->transforms[0].kind != CONF_SHA256)
    {
        rc = row_clean(plan, &s, &len);
        if (rc == -1) {
            return -1;
        }
        if (!text_is_utf8(s, len)) {
            return row_fault(fault, "22021", column,
                             "not UTF-8 text, or a zero byte in it");
        }
    }

    if (column->ntransforms) {
        rc = row_transform(plan, column, &s, &len, fault);
        if (rc != 0) {
            return rc;
        }
    }

    return column->kind == TYPE_BYTEA
           ? row_put_bytea(column, s, len, text)
           : row_text(plan, column, s, len, text, fault);
}
