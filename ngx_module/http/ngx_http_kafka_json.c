/* Strings of JSON (RFC 8259, section 7), escaped. */

#include "http/ngx_http_kafka_json.h"


u_char *
ngx_http_kafka_escape(u_char *p, u_char *last, const u_char *text, size_t len)
{
    size_t         n;
    u_char        *s;
    uint32_t       c;
    const u_char  *end;

    end = text + len;

    while (text < end && last - p > 6) {

        if (*text == '"' || *text == '\\') {
            *p++ = '\\';
            *p++ = *text++;
            continue;
        }

        if (*text < 0x20 || *text == 0x7f) {
            p = ngx_slprintf(p, last, "\\u%04xd", (int) *text++);
            continue;
        }

        if (*text < 0x80) {
            *p++ = *text++;
            continue;
        }

        s = (u_char *) text;

        c = ngx_utf8_decode(&s, end - text);

        if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
            p = ngx_slprintf(p, last, "\\ufffd");
            text++;
            continue;
        }

        n = s - text;
        p = ngx_cpymem(p, text, n);
        text += n;
    }

    return p;
}


u_char *
ngx_http_kafka_member(u_char *p, u_char *last, const char *name,
    const u_char *value, size_t len)
{
    p = ngx_slprintf(p, last, ",\"%s\":\"", name);
    p = ngx_http_kafka_escape(p, last, value, len);

    return ngx_slprintf(p, last, "\"");
}
