/* The formats of "format": RFC 3339, 3986, 4122 and 5321. */

#include <arpa/inet.h>
#include <string.h>

#include "calendar.h"
#include "schema/schema_format.h"


#define SCHEMA_LOCAL_MAX   64     /* RFC 5321, section 4.5.3.1 */
#define SCHEMA_DOMAIN_MAX  255
#define SCHEMA_LABEL_MAX   63

/* What a character may be a part of. */
#define SCHEMA_DIGIT       0x01
#define SCHEMA_HEX         0x02
#define SCHEMA_ALPHA       0x04
#define SCHEMA_ATOM        0x08    /* atext of RFC 5321 */
#define SCHEMA_URI         0x10    /* unreserved and sub-delims of RFC 3986 */
#define SCHEMA_ALNUM       (SCHEMA_DIGIT | SCHEMA_ALPHA)


static int schema_date(const char *p, const char *end);
static int schema_date_time(const char *p, const char *end);
static int schema_uuid(const char *p, const char *end);
static int schema_email(const char *p, const char *end);
static int schema_uri(const char *p, const char *end);


static const uint8_t  schema_chars[256] = {
    ['0' ... '9'] = SCHEMA_DIGIT | SCHEMA_HEX | SCHEMA_ATOM | SCHEMA_URI,
    ['A' ... 'F'] = SCHEMA_ALPHA | SCHEMA_HEX | SCHEMA_ATOM | SCHEMA_URI,
    ['a' ... 'f'] = SCHEMA_ALPHA | SCHEMA_HEX | SCHEMA_ATOM | SCHEMA_URI,
    ['G' ... 'Z'] = SCHEMA_ALPHA | SCHEMA_ATOM | SCHEMA_URI,
    ['g' ... 'z'] = SCHEMA_ALPHA | SCHEMA_ATOM | SCHEMA_URI,
    ['!'] = SCHEMA_ATOM | SCHEMA_URI, ['#'] = SCHEMA_ATOM,
    ['$'] = SCHEMA_ATOM | SCHEMA_URI, ['%'] = SCHEMA_ATOM,
    ['&'] = SCHEMA_ATOM | SCHEMA_URI, ['('] = SCHEMA_URI,
    ['\''] = SCHEMA_ATOM | SCHEMA_URI, [')'] = SCHEMA_URI,
    ['*'] = SCHEMA_ATOM | SCHEMA_URI, ['/'] = SCHEMA_ATOM,
    ['+'] = SCHEMA_ATOM | SCHEMA_URI, [','] = SCHEMA_URI,
    ['-'] = SCHEMA_ATOM | SCHEMA_URI, ['.'] = SCHEMA_URI,
    ['='] = SCHEMA_ATOM | SCHEMA_URI, [';'] = SCHEMA_URI,
    ['?'] = SCHEMA_ATOM, ['^'] = SCHEMA_ATOM, ['`'] = SCHEMA_ATOM,
    ['_'] = SCHEMA_ATOM | SCHEMA_URI, ['{'] = SCHEMA_ATOM,
    ['|'] = SCHEMA_ATOM, ['}'] = SCHEMA_ATOM,
    ['~'] = SCHEMA_ATOM | SCHEMA_URI
};


static const struct {
    const char        *name;
    schema_format_t   *check;
} schema_formats[] = {
    { "date-time", schema_date_time },
    { "date",      schema_date      },
    { "uuid",      schema_uuid      },
    { "email",     schema_email     },
    { "uri",       schema_uri       },
    { NULL,        NULL             }
};


schema_format_t *
schema_format(const char *name, const char **kept)
{
    size_t  i;

    for (i = 0; schema_formats[i].name != NULL; i++) {
        if (strcmp(schema_formats[i].name, name) == 0) {
            break;
        }
    }

    *kept = schema_formats[i].name;

    return schema_formats[i].check;
}


static inline int
schema_is(char c, int kind)
{
    return schema_chars[(unsigned char) c] & kind;
}


static int
schema_date(const char *p, const char *end)
{
    int64_t  days;

    return end - p == 10 && calendar_date(p, end, &days) == 0;
}


/* A leap second ends a day of UTC. */

static int
schema_date_time(const char *p, const char *end)
{
    int64_t  ms;

    return end - p > 10 && p[10] != ' ' && calendar_time(p, end, &ms) != -1;
}


/* RFC 4122, section 3. */

static int
schema_uuid(const char *p, const char *end)
{
    int  i;

    if (end - p != 36) {
        return 0;
    }

    for (i = 0; i < 36; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (p[i] != '-') {
                return 0;
            }

        } else if (!schema_is(p[i], SCHEMA_HEX)) {
            return 0;
        }
    }

    return 1;
}


static int
schema_address(int family, const char *p, const char *end)
{
    char           text[INET6_ADDRSTRLEN];
    size_t         len;
    unsigned char  address[16];

    len = (size_t) (end - p);

    if (len >= sizeof(text)) {
        return 0;
    }

    memcpy(text, p, len);
    text[len] = '\0';

    return strlen(text) == len && inet_pton(family, text, address) == 1;
}


/* RFC 5321, section 4.1.2: the part before "@"; returns where "@" is. */

static const char *
schema_local(const char *p, const char *end)
{
    const char  *start = p;

    if (p < end && *p == '"') {
        for (p++; p < end && *p != '"'; p++) {
            if (*p == '\\' && ++p == end) {
                return NULL;
            }

            if (*p < 0x20 || *p == 0x7f) {
                return NULL;
            }
        }

        if (p == end) {
            return NULL;
        }

        p++;

    } else {
        for ( ; p < end && *p != '@'; p++) {
            if (*p == '.') {
                /* it stands between atoms */
                if (p == start || p[-1] == '.') {
                    return NULL;
                }

            } else if (!schema_is(*p, SCHEMA_ATOM)) {
                return NULL;
            }
        }

        if (p == start || p[-1] == '.') {
            return NULL;
        }
    }

    return p < end && *p == '@' && p - start <= SCHEMA_LOCAL_MAX ? p : NULL;
}


static int
schema_domain(const char *p, const char *end)
{
    const char  *label;

    if (p == end || end - p > SCHEMA_DOMAIN_MAX) {
        return 0;
    }

    for (label = p; ; p++) {
        if (p < end && schema_is(*p, SCHEMA_ALNUM)) {
            continue;
        }

        if (p < end && *p == '-' && p > label) {
            continue;
        }

        if ((p < end && *p != '.') || p == label || p[-1] == '-'
            || p - label > SCHEMA_LABEL_MAX)
        {
            return 0;
        }

        if (p == end) {
            return 1;
        }

        label = p + 1;
    }
}


static int
schema_email(const char *p, const char *end)
{
    p = schema_local(p, end);
    if (p == NULL) {
        return 0;
    }

    p++;

    if (p == end || *p != '[') {
        return schema_domain(p, end);
    }

    if (end[-1] != ']' || end - p < 3) {
        return 0;
    }

    p++;
    end--;

    if (end - p > 5 && strncasecmp(p, "IPv6:", 5) == 0) {
        return schema_address(AF_INET6, p + 5, end);
    }

    return schema_address(AF_INET, p, end);
}


/* Characters of one part of a URI: unreserved, sub-delims, %XX and "more". */

static const char *
schema_uri_part(const char *p, const char *end, const char *more)
{
    for ( ; p < end; p++) {
        if (*p == '%') {
            if (end - p < 3 || !schema_is(p[1], SCHEMA_HEX)
                || !schema_is(p[2], SCHEMA_HEX))
            {
                return p;
            }

            p += 2;

        } else if (!schema_is(*p, SCHEMA_URI)
                   && (*p == '\0' || strchr(more, *p) == NULL))
        {
            return p;
        }
    }

    return p;
}


/* The address in brackets: IPv6, or of a later version. */

static int
schema_uri_literal(const char *p, const char *end)
{
    const char  *start;

    if (p == end || (*p | 0x20) != 'v') {
        return schema_address(AF_INET6, p, end);
    }

    for (start = ++p; p < end && schema_is(*p, SCHEMA_HEX); p++) {
        /* void */
    }

    if (p == start || p == end || *p != '.') {
        return 0;
    }

    p++;

    return p < end && memchr(p, '%', (size_t) (end - p)) == NULL
           && schema_uri_part(p, end, ":") == end;
}


static const char *
schema_uri_authority(const char *p, const char *end)
{
    const char  *at, *last;

    for (last = p; last < end && (*last == '\0' || !strchr("/?#", *last));
         last++)
    {
        /* void */
    }

    at = schema_uri_part(p, last, ":");

    if (at < last && *at == '@') {
        p = at + 1;
    }

    if (p < last && *p == '[') {
        at = memchr(p, ']', (size_t) (last - p));

        if (at == NULL || !schema_uri_literal(p + 1, at)) {
            return NULL;
        }

        p = at + 1;

    } else {
        p = schema_uri_part(p, last, "");
    }

    if (p < last && *p == ':') {
        for (p++; p < last && schema_is(*p, SCHEMA_DIGIT); p++) {
            /* void */
        }
    }

    return p == last ? p : NULL;
}


/* RFC 3986, section 3: with a scheme. */

static int
schema_uri(const char *p, const char *end)
{
    if (p == end || !schema_is(*p, SCHEMA_ALPHA)) {
        return 0;
    }

    while (p < end && (schema_is(*p, SCHEMA_ALNUM) || *p == '+' || *p == '-'
                       || *p == '.'))
    {
        p++;
    }

    if (p == end || *p++ != ':') {
        return 0;
    }

    if (end - p >= 2 && p[0] == '/' && p[1] == '/') {
        p = schema_uri_authority(p + 2, end);
        if (p == NULL) {
            return 0;
        }
    }

    p = schema_uri_part(p, end, ":@/");

    if (p < end && *p == '?') {
        p = schema_uri_part(p + 1, end, ":@/?");
    }

    if (p < end && *p == '#') {
        p = schema_uri_part(p + 1, end, ":@/?");
    }

    return p == end;
}
