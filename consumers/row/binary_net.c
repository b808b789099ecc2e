/*
 * Addresses in binary: inet, cidr, macaddr, macaddr8.  The spellings that all
 * programs write are known; any other is left to PostgreSQL.
 */

#include <arpa/inet.h>

#include "base/text.h"
#include "row/binary_impl.h"


/* src/include/utils/inet.h */
#define NET_V4  2
#define NET_V6  3

#define NET_TEXT  46    /* INET6_ADDRSTRLEN */


static int net_bits(const char *p, const char *end, int most);
static bool net_is_plain(const char *s, size_t len, bool v6);


/*
 * network_recv(): the family, the bits of the mask, a byte that is ignored, the
 * length and the address.  A cidr has no bit behind its mask.
 */

int
binary_inet(const char *s, size_t len, bool cidr, buf_t *out)
{
    int          bits, most;
    char         text[NET_TEXT];
    bool         v6;
    size_t       i, size, end;
    const char  *slash;
    uint8_t      field[4 + 16];

    slash = memchr(s, '/', len);
    end = slash ? (size_t) (slash - s) : len;
    v6 = memchr(s, ':', end) != NULL;
    size = v6 ? 16 : 4;
    most = v6 ? 128 : 32;
    bits = slash ? net_bits(slash + 1, s + len, most) : most;

    if (bits == -1 || end >= sizeof(text) || !net_is_plain(s, end, v6)) {
        return 1;
    }

    memcpy(text, s, end);
    text[end] = '\0';

    if (inet_pton(v6 ? AF_INET6 : AF_INET, text, field + 4) != 1) {
        return 1;
    }

    for (i = (size_t) bits; cidr && i < (size_t) most; i++) {
        if (field[4 + i / 8] & (0x80 >> i % 8)) {
            return 1;
        }
    }

    field[0] = v6 ? NET_V6 : NET_V4;
    field[1] = (uint8_t) bits;
    field[2] = cidr;
    field[3] = (uint8_t) size;

    return buf_append(out, (char *) field, 4 + size);
}


/* Up to three digits without a leading zero, at most "most"; or -1. */

static int
net_bits(const char *p, const char *end, int most)
{
    int  n;

    if (p == end || end - p > 3 || (*p == '0' && end - p > 1)) {
        return -1;
    }

    for (n = 0; p < end; p++) {
        if (*p < '0' || *p > '9') {
            return -1;
        }

        n = n * 10 + (*p - '0');
    }

    return n <= most ? n : -1;
}


/* No zone, and no address of version 4 within one of version 6. */

static bool
net_is_plain(const char *s, size_t len, bool v6)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (strchr(v6 ? "0123456789abcdefABCDEF:" : "0123456789.", s[i])
            == NULL || s[i] == '\0')
        {
            return false;
        }
    }

    return true;
}


/* macaddr_recv(), macaddr8_recv(): two digits a byte, one kind of separator. */

int
binary_mac(const char *s, size_t len, size_t size, buf_t *out)
{
    size_t  i;
    char    digits[16];

    if (len != size * 3 - 1 || (s[2] != ':' && s[2] != '-')) {
        return 1;
    }

    for (i = 0; i < size; i++) {
        if (i && s[i * 3 - 1] != s[2]) {
            return 1;
        }

        memcpy(digits + i * 2, s + i * 3, 2);
    }

    if (buf_reserve(out, size + 1) == -1) {
        return -1;
    }

    if (text_get_hex(out->data + out->len, digits, size * 2) == NULL) {
        return 1;
    }

    out->len += size;

    return 0;
}
