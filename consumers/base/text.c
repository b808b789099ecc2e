/* Text: UTF-8, escapes, hexadecimal and decimal digits. */

#include "base/text.h"
#include "json/json.h"


#define TEXT_LIMB   1000000000                     /* nine digits */
#define TEXT_LIMBS  (TEXT_DECIMAL * 8 / 29 + 1)


static const char  text_hex[] = "0123456789abcdef";

/* From 1; 0: no digit. */
static const uint8_t  text_values[256] = {
    ['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6,
    ['6'] = 7, ['7'] = 8, ['8'] = 9, ['9'] = 10,
    ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16
};

static const char  text_json_escape[256] = {
    [0 ... 0x1f] = 1, ['"'] = 1, ['\\'] = 1, [0x7f] = 1
};


size_t
text_ascii(const char *s, size_t len)
{
    size_t    i;
    uint64_t  word;

    for (i = 0; len - i >= sizeof(word); i += sizeof(word)) {
        memcpy(&word, s + i, sizeof(word));

        if ((word | (word - 0x0101010101010101)) & 0x8080808080808080) {
            break;
        }
    }

    while (i < len && s[i] && !(s[i] & 0x80)) {
        i++;
    }

    return i;
}


bool
text_is_utf8(const char *s, size_t len)
{
    const uint8_t  *p, *end;

    end = (const uint8_t *) s + len;
    p = (const uint8_t *) s + text_ascii(s, len);

    while (p < end) {
        if (*p == 0) {
            return false;
        }

        if (*p < 0x80) {
            p++;
            continue;
        }

        p = json_utf8(p, end);

        if (p < end && *p >= 0x80) {
            return false;
        }
    }

    return true;
}


void
text_add_json(buf_t *buf, const char *s, size_t len)
{
    size_t  i, run;

    for (i = 0, run = 0; i < len; i++) {

        if (text_json_escape[(unsigned char) s[i]]) {
            buf_add(buf, s + run, i - run);
            buf_addf(buf, "\\u%04x", (unsigned char) s[i]);
            run = i + 1;
        }
    }

    buf_add(buf, s + run, len - run);
}


char *
text_put_hex(char *p, const void *bytes, size_t len)
{
    size_t                i;
    const unsigned char  *s = bytes;

    for (i = 0; i < len; i++) {
        *p++ = text_hex[s[i] >> 4];
        *p++ = text_hex[s[i] & 15];
    }

    return p;
}


char *
text_get_hex(char *p, const char *digits, size_t len)
{
    bool         bad;
    uint8_t      high, low;
    const char  *end;

    bad = false;

    for (end = digits + (len & ~(size_t) 1); digits < end; digits += 2) {
        high = text_values[(unsigned char) digits[0]];
        low = text_values[(unsigned char) digits[1]];
        bad |= high == 0 || low == 0;
        *p++ = (char) ((high - 1U) << 4 | (low - 1U));
    }

    return bad ? NULL : p;
}


char *
text_put_int(char *p, int64_t n)
{
    char      digits[20];
    int       i;
    uint64_t  u;

    u = n < 0 ? 0 - (uint64_t) n : (uint64_t) n;

    if (n < 0) {
        *p++ = '-';
    }

    i = 0;

    do {
        digits[i++] = (char) ('0' + u % 10);
        u /= 10;
    } while (u);

    while (i) {
        *p++ = digits[--i];
    }

    return p;
}


char *
text_put_digits(char *p, int64_t n, int digits)
{
    int  i;

    for (i = digits; i--; n /= 10) {
        p[i] = (char) ('0' + n % 10);
    }

    return p + digits;
}


int
text_add_decimal(buf_t *buf, const char *s, size_t len, int32_t scale)
{
    bool         negative;
    char         text[TEXT_LIMBS * 9], *p;
    size_t       i, j, n, whole, behind, before;
    unsigned     byte;
    uint32_t     limbs[TEXT_LIMBS];
    uint64_t     carry;
    const char  *digits;

    negative = len && s[0] < 0;
    n = 0;

    /* of a negative number the bits below it, then one more */

    for (i = 0; i < len; i++) {
        byte = (unsigned char) s[i];
        carry = negative ? 255 - byte : byte;

        for (j = 0; j < n; j++) {
            carry += (uint64_t) limbs[j] << 8;
            limbs[j] = (uint32_t) (carry % TEXT_LIMB);
            carry /= TEXT_LIMB;
        }

        if (carry) {
            limbs[n++] = (uint32_t) carry;
        }
    }

    for (j = 0, carry = negative; carry; j++) {
        carry += j < n ? limbs[j] : 0;
        n = j < n ? n : j + 1;
        limbs[j] = (uint32_t) (carry % TEXT_LIMB);
        carry /= TEXT_LIMB;
    }

    for (p = text; n--; ) {
        p = text_put_digits(p, limbs[n], 9);
    }

    for (digits = text; digits < p && *digits == '0'; digits++) { /* void */ }

    n = (size_t) (p - digits);
    behind = scale > 0 ? (size_t) scale : 0;
    before = scale < 0 ? (size_t) -scale : 0;
    whole = n > behind ? n - behind : 0;

    if (buf_reserve(buf, n + behind + before + 4) == -1) {
        return -1;
    }

    buf_add(buf, "-", negative);
    buf_add(buf, whole ? digits : "0", whole ? whole : 1);
    memset(buf->data + buf->len, '0', before);
    buf->len += before;

    if (behind) {
        buf_add(buf, ".", 1);

        for (i = n; i < behind; i++) {
            buf_add(buf, "0", 1);
        }

        buf_add(buf, digits + whole, n - whole);
    }

    return 0;
}


int
text_get_int(const char *s, size_t len, size_t size, int64_t *n)
{
    size_t    i;
    unsigned  digit;
    uint64_t  u, max;

    max = ((uint64_t) 1 << (size * 8 - 1)) - 1;
    i = len && s[0] == '-';
    max += i;

    if (i == len) {
        return -1;
    }

    for (u = 0; i < len; i++) {
        digit = (unsigned) (s[i] - '0');

        if (digit > 9) {
            return -1;
        }

        if (u > max / 10 || u * 10 > max - digit) {
            return 1;
        }

        u = u * 10 + digit;
    }

    *n = (int64_t) (s[0] == '-' ? 0 - u : u);

    return 0;
}
