/*
 * The text of a value becomes what its type's binary input reads: the format
 * of the type's receive function in PostgreSQL's src/backend/utils/adt.  It is
 * not a check: a text that is not surely understood is left to PostgreSQL.
 */

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

#include "base/text.h"
#include "row/binary_impl.h"
#include "row/number.h"


/* src/backend/utils/adt/numeric.c */
#define NUMERIC_MINUS   0x4000
#define NUMERIC_NAN     0xc000
#define NUMERIC_PINF    0xd000
#define NUMERIC_NINF    0xf000
#define NUMERIC_SCALE   16383     /* of digits behind the point, at most */
#define NUMERIC_WEIGHT  131071    /* power of ten of the first digit */

#define BINARY_EXACT    (1LL << 53)    /* up to here a double has all */


typedef struct {
    const char  *word;
    uint16_t     sign;        /* of a numeric */
    double       number;
} binary_word_t;


static int binary_bytea(const char *s, size_t len, buf_t *out);
static int binary_hex(const char *digits, size_t len, buf_t *out);
static int binary_boolean(const char *s, size_t len, buf_t *out);
static int binary_integer(const char *s, size_t len, size_t size,
    buf_t *out);
static int binary_float(const char *s, size_t len, size_t size, buf_t *out);
static bool binary_exact(const char *s, size_t len, double *d);
static int binary_numeric(const char *s, size_t len, buf_t *out);
static void binary_numeric_digits(const char *first, const char *last,
    long power, size_t scale, bool negative, buf_t *out);
static int binary_uuid(const char *s, size_t len, buf_t *out);
static int binary_bit(const char *s, size_t len, buf_t *out);


binary_kind_t
binary_kind(const char *receive)
{
    size_t  i;

    static const struct {
        const char     *name;
        binary_kind_t   kind;
    } receives[] = {
        { "textrecv",         BINARY_TEXT },
        { "varcharrecv",      BINARY_TEXT },
        { "bpcharrecv",       BINARY_TEXT },
        { "enum_recv",        BINARY_TEXT },
        { "json_recv",        BINARY_TEXT },
        { "jsonb_recv",       BINARY_JSONB },
        { "bytearecv",        BINARY_BYTEA },
        { "boolrecv",         BINARY_BOOLEAN },
        { "int2recv",         BINARY_SMALLINT },
        { "int4recv",         BINARY_INTEGER },
        { "int8recv",         BINARY_BIGINT },
        { "float4recv",       BINARY_REAL },
        { "float8recv",       BINARY_DOUBLE },
        { "numeric_recv",     BINARY_NUMERIC },
        { "uuid_recv",        BINARY_UUID },
        { "timestamptz_recv", BINARY_TIMESTAMPTZ },
        { "timestamp_recv",   BINARY_TIMESTAMP },
        { "date_recv",        BINARY_DATE },
        { "time_recv",        BINARY_TIME },
        { "interval_recv",    BINARY_INTERVAL },
        { "inet_recv",        BINARY_INET },
        { "cidr_recv",        BINARY_CIDR },
        { "macaddr_recv",     BINARY_MACADDR },
        { "macaddr8_recv",    BINARY_MACADDR8 },
        { "bit_recv",         BINARY_BIT },
        { "varbit_recv",      BINARY_BIT },
        { "xml_recv",         BINARY_XML }
    };

    for (i = 0; receive && i < sizeof(receives) / sizeof(receives[0]); i++) {
        if (strcmp(receive, receives[i].name) == 0) {
            return receives[i].kind;
        }
    }

    return BINARY_NONE;
}


static int
binary_add_int(uint64_t n, size_t size, buf_t *out)
{
    if (buf_reserve(out, 8) == -1) {
        return -1;
    }

    binary_put_int(out->data + out->len, n, size);
    out->len += size;

    return 0;
}


int
binary_put(binary_kind_t kind, const char *s, size_t len, buf_t *out)
{
    switch (kind) {

    case BINARY_JSONB:
        /* the format's version */
        return buf_append(out, "\1", 1) == -1 ? -1 : buf_append(out, s, len);

    case BINARY_BYTEA:
        return binary_bytea(s, len, out);

    case BINARY_BOOLEAN:
        return binary_boolean(s, len, out);

    case BINARY_SMALLINT:
        return binary_integer(s, len, 2, out);

    case BINARY_INTEGER:
        return binary_integer(s, len, 4, out);

    case BINARY_BIGINT:
        return binary_integer(s, len, 8, out);

    case BINARY_REAL:
        return binary_float(s, len, 4, out);

    case BINARY_DOUBLE:
        return binary_float(s, len, 8, out);

    case BINARY_NUMERIC:
        return binary_numeric(s, len, out);

    case BINARY_UUID:
        return binary_uuid(s, len, out);

    case BINARY_INTERVAL:
        return binary_interval(s, len, out);

    case BINARY_INET:
    case BINARY_CIDR:
        return binary_inet(s, len, kind == BINARY_CIDR, out);

    case BINARY_MACADDR:
    case BINARY_MACADDR8:
        return binary_mac(s, len, kind == BINARY_MACADDR ? 6 : 8, out);

    case BINARY_BIT:
        return binary_bit(s, len, out);

    case BINARY_XML:
        /* a declaration may name an encoding */
        return len && *s == '<' && len > 1 && s[1] == '?'
               ? 1 : buf_append(out, s, len);

    default:
        return 1;
    }
}


/* "\x" and two digits a byte; the escape form has no such beginning. */

static int
binary_bytea(const char *s, size_t len, buf_t *out)
{
    if (len < 2 || len % 2 || s[0] != '\\' || s[1] != 'x') {
        return 1;
    }

    return binary_hex(s + 2, len - 2, out);
}


static int
binary_hex(const char *digits, size_t len, buf_t *out)
{
    char  *end;

    if (buf_reserve(out, len / 2 + 1) == -1) {
        return -1;
    }

    end = text_get_hex(out->data + out->len, digits, len);
    out->len += end ? len / 2 : 0;

    return end == NULL;
}


/* parse_bool_with_len(): words may be cut where they stay one. */

static int
binary_boolean(const char *s, size_t len, buf_t *out)
{
    size_t  i;

    static const struct {
        const char  *word;
        size_t       least;
        char         value;
    } words[] = {
        { "true", 1, 1 }, { "false", 1, 0 }, { "yes", 1, 1 }, { "no", 1, 0 },
        { "on", 2, 1 }, { "off", 2, 0 }, { "1", 1, 1 }, { "0", 1, 0 }
    };

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (len >= words[i].least && len <= strlen(words[i].word)
            && strncasecmp(s, words[i].word, len) == 0)
        {
            return buf_append(out, &words[i].value, 1);
        }
    }

    return 1;
}


static int
binary_integer(const char *s, size_t len, size_t size, buf_t *out)
{
    int64_t  n;

    return text_get_int(s, len, size, &n)
           ? 1 : binary_add_int((uint64_t) n, size, out);
}


/* What is no number to the types of numbers, or NULL. */

static const binary_word_t *
binary_word(const char *s, size_t len)
{
    size_t  i;

    static const binary_word_t  words[] = {
        { "nan",       NUMERIC_NAN,  NAN },
        { "infinity",  NUMERIC_PINF, INFINITY },
        { "+infinity", NUMERIC_PINF, INFINITY },
        { "-infinity", NUMERIC_NINF, -INFINITY },
        { "inf",       NUMERIC_PINF, INFINITY },
        { "+inf",      NUMERIC_PINF, INFINITY },
        { "-inf",      NUMERIC_NINF, -INFINITY }
    };

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (len == strlen(words[i].word)
            && strncasecmp(s, words[i].word, len) == 0)
        {
            return &words[i];
        }
    }

    return NULL;
}


/*
 * The nearest number, as float8in() and float4in() read it by strtod() and
 * strtof(), and none where that is beyond the type.
 */

static int
binary_float(const char *s, size_t len, size_t size, buf_t *out)
{
    char                 *text, *end;
    bool                  bad;
    float                 f;
    double                d;
    size_t                i;
    uint32_t              bits;
    uint64_t              more;
    const binary_word_t  *word;

    if (size == 8 && binary_exact(s, len, &d)) {
        memcpy(&more, &d, 8);
        return binary_add_int(more, 8, out);
    }

    for (i = 0; i < len && strchr("0123456789.+-eE", s[i]); i++) { /* void */ }

    word = i < len ? binary_word(s, len) : NULL;

    if (word) {
        d = word->number;

    } else {
        text = strndup(s, len);
        if (text == NULL) {
            return -1;
        }

        errno = 0;
        d = size == 4 ? (double) strtof(text, &end) : strtod(text, &end);
        bad = i < len || len == 0 || *end || (errno && (d == 0 || isinf(d)));
        free(text);

        if (bad) {
            return 1;
        }
    }

    f = (float) d;
    memcpy(&bits, &f, 4);
    memcpy(&more, &d, 8);

    return binary_add_int(size == 4 ? bits : more, size, out);
}


/* Whole digits and a power of ten that a double has: one rounding is exact. */

static bool
binary_exact(const char *s, size_t len, double *d)
{
    bool         negative;
    long         exponent;
    int64_t      n;
    const char  *p, *end, *first, *point;

    static const double  tens[] = {
        1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12,
        1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22
    };

    end = s + len;
    negative = len && *s == '-';
    first = s + negative;
    point = NULL;
    n = 0;

    for (p = first; p < end && n < BINARY_EXACT / 10; p++) {
        if (*p >= '0' && *p <= '9') {
            n = n * 10 + (*p - '0');
        } else if (*p == '.' && point == NULL) {
            point = p + 1;
        } else {
            break;
        }
    }

    if (FLT_EVAL_METHOD != 0 || p - first == (point != NULL)
        || (p < end && *p != 'e' && *p != 'E')
        || row_exponent(p, end, &exponent) == -1)
    {
        return false;
    }

    exponent -= point ? p - point : 0;

    if (exponent < -22 || exponent > 22) {
        return false;
    }

    *d = (double) (negative ? -n : n);
    *d = exponent < 0 ? *d / tens[-exponent] : *d * tens[exponent];
    *d = negative && n == 0 ? -0.0 : *d;

    return true;
}


/*
 * numeric_recv(): the number of digits, the weight of the first, the sign and
 * the scale; then digits of base 10,000 without zeros at either end.
 */

static int
binary_numeric(const char *s, size_t len, buf_t *out)
{
    bool                  negative;
    long                  exponent, power, scale;
    const char           *p, *end, *first, *last, *point;
    const binary_word_t  *word;

    end = s + len;
    negative = len && *s == '-';
    first = s + (len && (*s == '-' || *s == '+'));
    point = NULL;

    for (p = first; p < end; p++) {
        if (*p == '.' && point == NULL) {
            point = p;
        } else if (*p < '0' || *p > '9') {
            break;
        }
    }

    last = p;

    if (last - first == (point != NULL)) {
        word = binary_word(s, len);

        return word ? binary_add_int((uint64_t) word->sign << 16, 8, out) : 1;
    }

    if (p < end && ((*p != 'e' && *p != 'E')
                    || row_exponent(p, end, &exponent) == -1))
    {
        return 1;
    }

    exponent = p < end ? exponent : 0;
    scale = (point ? last - point - 1 : 0) - exponent;
    scale = scale > 0 ? scale : 0;
    power = (point ? point : last) - first - 1 + exponent;

    while (first < last && (*first == '0' || *first == '.')) {
        power -= *first++ == '0';
    }

    while (last > first && (last[-1] == '0' || last[-1] == '.')) {
        last--;
    }

    if (power > NUMERIC_WEIGHT || scale > NUMERIC_SCALE) {
        return 1;
    }

    if (buf_reserve(out, (size_t) (last - first) / 2 + 16) == -1) {
        return -1;
    }

    binary_numeric_digits(first, last, power, (size_t) scale, negative, out);

    return 0;
}


/* "power" is the first digit's; the room is there. */

static void
binary_numeric_digits(const char *first, const char *last, long power,
    size_t scale, bool negative, buf_t *out)
{
    char        *head, *p;
    long         at, weight;
    unsigned     digit;
    const char  *s;

    head = out->data + out->len;
    p = head + 8;

    /* rounded down, of negative powers too */
    weight = power >= 0 ? power / 4 : -((3 - power) / 4);
    at = 3 - (power - weight * 4);
    digit = 0;

    for (s = first; s < last; s++) {
        if (*s == '.') {
            continue;
        }

        digit = digit * 10 + (unsigned) (*s - '0');

        if (++at == 4) {
            binary_put_int(p, digit, 2);
            p += 2;
            at = 0;
            digit = 0;
        }
    }

    if (digit) {
        for ( /* void */ ; at < 4; at++) {
            digit *= 10;
        }

        binary_put_int(p, digit, 2);
        p += 2;
    }

    binary_put_int(head, (uint64_t) (p - head - 8) / 2, 2);
    binary_put_int(head + 2, first < last ? (uint64_t) weight : 0, 2);
    binary_put_int(head + 4, negative && first < last ? NUMERIC_MINUS : 0, 2);
    binary_put_int(head + 6, scale, 2);
    out->len += (size_t) (p - head);
}


/* string_to_uuid(): braces, and a hyphen behind each four digits. */

static int
binary_uuid(const char *s, size_t len, buf_t *out)
{
    char    digits[32];
    bool    braces;
    size_t  i;

    braces = len > 2 && s[0] == '{' && s[len - 1] == '}';
    s += braces;
    len -= braces ? 2 : 0;

    for (i = 0; i < 32; i += 4, s += 4, len -= 4) {

        if (i && len && *s == '-') {
            s++;
            len--;
        }

        if (len < 4) {
            return 1;
        }

        memcpy(digits + i, s, 4);
    }

    return len ? 1 : binary_hex(digits, sizeof(digits), out);
}


/* bit_recv(), varbit_recv(): how many bits, and these from the left. */

static int
binary_bit(const char *s, size_t len, buf_t *out)
{
    char    *p;
    size_t   i, size;

    size = (len + 7) / 8;

    if (buf_reserve(out, 8 + size) == -1) {
        return -1;
    }

    p = out->data + out->len;
    binary_put_int(p, len, 4);
    p += 4;
    memset(p, 0, size);

    for (i = 0; i < len; i++) {
        if (s[i] != '0' && s[i] != '1') {
            return 1;
        }

        p[i / 8] |= (char) ((s[i] - '0') << (7 - i % 8));
    }

    out->len += 4 + size;

    return 0;
}
