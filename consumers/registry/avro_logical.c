/* Whole numbers and bytes of Avro as JSON, by their logical types. */

#include <stdarg.h>
#include <stdio.h>

#include <openssl/evp.h>

#include "base/clock.h"
#include "base/text.h"
#include "registry/avro_impl.h"


#define AVRO_DAY        86400LL
#define AVRO_YEAR_MOST  294276     /* PostgreSQL's last one of timestamptz */


static int avro_put_moment(avro_reader_t *r, int64_t n, int digits, bool zone);
static int avro_put_time(avro_reader_t *r, int64_t n, int digits);
static char *avro_date(char *p, int64_t days);
static char *avro_clock(char *p, int64_t seconds, int64_t part, int digits);
static int avro_put_string(avro_reader_t *r, const char *s, size_t len);
static int avro_put_base64(avro_reader_t *r, const char *s, size_t len);
static int avro_put_uuid(avro_reader_t *r, const char *s);
static int avro_put_duration(avro_reader_t *r, const char *s);
static int avro_put_decimal(avro_reader_t *r, const avro_node_t *node,
    const char *s, size_t len);


int
avro_bad(avro_reader_t *r, const char *fmt, ...)
{
    int      n;
    va_list  args;

    va_start(args, fmt);
    n = vsnprintf(r->reason, r->size, fmt, args);
    va_end(args);

    if (n > 0 && (size_t) n < r->size) {
        (void) snprintf(r->reason + n, r->size - (size_t) n, " at byte %zu",
                        (size_t) (r->p - r->start));
    }

    return 1;
}


int
avro_put_number(avro_reader_t *r, avro_logical_t logical, int64_t n)
{
    char   text[64];
    char  *p;

    switch (logical) {

    case AVRO_DATE:
        text[0] = '"';
        p = avro_date(text + 1, n);

        if (p == NULL) {
            return avro_bad(r, "the date is out of range");
        }

        *p++ = '"';
        return buf_append(r->out, text, (size_t) (p - text));

    case AVRO_TIME_MILLIS:
        return avro_put_time(r, n, 3);

    case AVRO_TIME_MICROS:
        return avro_put_time(r, n, 6);

    case AVRO_TIMESTAMP_MILLIS:
    case AVRO_LOCAL_MILLIS:
        return avro_put_moment(r, n, 3, logical == AVRO_TIMESTAMP_MILLIS);

    case AVRO_TIMESTAMP_MICROS:
    case AVRO_LOCAL_MICROS:
        return avro_put_moment(r, n, 6, logical == AVRO_TIMESTAMP_MICROS);

    case AVRO_TIMESTAMP_NANOS:
    case AVRO_LOCAL_NANOS:
        return avro_put_moment(r, n, 9, logical == AVRO_TIMESTAMP_NANOS);

    default:
        p = text_put_int(text, n);
        return buf_append(r->out, text, (size_t) (p - text));
    }
}


static int64_t
avro_power(int digits)
{
    return digits == 3 ? 1000 : digits == 6 ? 1000000 : 1000000000;
}


/* Since 1970, in thousandths, millionths, ... of a second. */

static int
avro_put_moment(avro_reader_t *r, int64_t n, int digits, bool zone)
{
    char           text[64];
    char          *p;
    int64_t        days, rest;
    const int64_t  power = avro_power(digits);

    days = n / (AVRO_DAY * power);
    rest = n % (AVRO_DAY * power);

    if (rest < 0) {
        days--;
        rest += AVRO_DAY * power;
    }

    text[0] = '"';
    p = avro_date(text + 1, days);

    if (p == NULL) {
        return avro_bad(r, "the timestamp is out of range");
    }

    *p++ = 'T';
    p = avro_clock(p, rest / power, rest % power, digits);

    if (zone) {
        *p++ = 'Z';
    }

    *p++ = '"';

    return buf_append(r->out, text, (size_t) (p - text));
}


static int
avro_put_time(avro_reader_t *r, int64_t n, int digits)
{
    char           text[40];
    char          *p;
    const int64_t  power = avro_power(digits);

    if (n < 0 || n >= AVRO_DAY * power) {
        return avro_bad(r, "the time of day is out of range");
    }

    text[0] = '"';
    p = avro_clock(text + 1, n / power, n % power, digits);
    *p++ = '"';

    return buf_append(r->out, text, (size_t) (p - text));
}


/* NULL: before the year 1, or too far ahead. */

static char *
avro_date(char *p, int64_t days)
{
    int      month, day;
    int64_t  year;

    clock_date(days, &year, &month, &day);

    if (year < 1 || year > AVRO_YEAR_MOST) {
        return NULL;
    }

    p = text_put_digits(p, year, year > 99999 ? 6 : year > 9999 ? 5 : 4);
    *p++ = '-';
    p = text_put_digits(p, month, 2);
    *p++ = '-';

    return text_put_digits(p, day, 2);
}


static char *
avro_clock(char *p, int64_t seconds, int64_t part, int digits)
{
    p = text_put_digits(p, seconds / 3600, 2);
    *p++ = ':';
    p = text_put_digits(p, seconds / 60 % 60, 2);
    *p++ = ':';
    p = text_put_digits(p, seconds % 60, 2);
    *p++ = '.';

    return text_put_digits(p, part, digits);
}


int
avro_put_bytes(avro_reader_t *r, const avro_node_t *node, const char *s,
    size_t len)
{
    if (node->type == AVRO_STRING) {
        return avro_put_string(r, s, len);
    }

    switch (node->logical) {

    case AVRO_DECIMAL:
        return avro_put_decimal(r, node, s, len);

    case AVRO_UUID:
        return avro_put_uuid(r, s);

    case AVRO_DURATION:
        return avro_put_duration(r, s);

    default:
        return avro_put_base64(r, s, len);
    }
}


/* A zero byte passes: the key "nul" decides about it. */

static int
avro_put_string(avro_reader_t *r, const char *s, size_t len)
{
    size_t       n;
    const char  *p, *end, *zero;

    end = s + len;

    for (p = s; p < end; p += n + (zero != NULL)) {
        zero = memchr(p, '\0', (size_t) (end - p));
        n = (size_t) ((zero ? zero : end) - p);

        if (!text_is_utf8(p, n)) {
            return avro_bad(r, "a string is not UTF-8");
        }
    }

    buf_add(r->out, "\"", 1);
    text_add_json(r->out, s, len);
    buf_add(r->out, "\"", 1);

    return buf_failed(r->out) ? -1 : 0;
}


static int
avro_put_base64(avro_reader_t *r, const char *s, size_t len)
{
    int    n;
    char  *p;

    if (len > AVRO_JSON) {
        return avro_bad(r, "bytes are longer than %d MiB", AVRO_JSON >> 20);
    }

    if (buf_reserve(r->out, (len + 2) / 3 * 4 + 3) == -1) {
        return -1;
    }

    p = r->out->data + r->out->len;
    *p++ = '"';
    n = EVP_EncodeBlock((unsigned char *) p, (const unsigned char *) s,
                        (int) len);
    p[n] = '"';
    r->out->len += (size_t) n + 2;

    return 0;
}


static int
avro_put_uuid(avro_reader_t *r, const char *s)
{
    char    text[38];
    char   *p;
    size_t  i;

    p = text;
    *p++ = '"';

    for (i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *p++ = '-';
        }
        p = text_put_hex(p, s + i, 1);
    }

    *p = '"';

    return buf_append(r->out, text, sizeof(text));
}


/* Months, days and milliseconds, each in 32 bits, the lowest byte first. */

static int
avro_put_duration(avro_reader_t *r, const char *s)
{
    int       i, n;
    char      text[64];
    uint32_t  parts[3] = { 0, 0, 0 };

    for (i = 0; i < 12; i++) {
        parts[i / 4] |= (uint32_t) (unsigned char) s[i] << i % 4 * 8;
    }

    n = snprintf(text, sizeof(text), "\"P%uM%uDT%u.%03uS\"", parts[0],
                 parts[1], parts[2] / 1000, parts[2] % 1000);

    return buf_append(r->out, text, (size_t) n);
}


static int
avro_put_decimal(avro_reader_t *r, const avro_node_t *node, const char *s,
    size_t len)
{
    return len > AVRO_DECIMAL_MAX
           ? avro_bad(r, "a decimal is longer than %d bytes", AVRO_DECIMAL_MAX)
           : text_add_decimal(r->out, s, len, (int32_t) node->scale);
}
