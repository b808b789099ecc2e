/* Values in REST Proxy's JSON: bytes, strings, times, keys. */

#include "http/ngx_http_kafka_rest_values.h"
#include "calendar.h"


/* 9999-12-31T23:59:59.999Z, as for "kafka_timestamp" */
#define NGX_HTTP_KAFKA_REST_TIME_MAX  253402300799999


static u_char *ngx_http_kafka_rest_escape(u_char *p, u_char **src);


const char *const  ngx_http_kafka_rest_types[] = {
    NULL, "BINARY", "JSON", "STRING"
};


ngx_str_t
ngx_http_kafka_rest_text(json_doc_t *doc, uint32_t token)
{
    ngx_str_t      text;
    json_token_t  *t;

    t = &doc->tokens[token];

    text.data = (u_char *) doc->text + t->start;
    text.len = t->end - t->start;

    if (t->type == JSON_STRING) {
        text.data--;
        text.len += 2;
    }

    return text;
}


ngx_int_t
ngx_http_kafka_rest_string(ngx_pool_t *pool, json_doc_t *doc, uint32_t token,
    ngx_str_t *out)
{
    json_token_t  *t;

    t = &doc->tokens[token];

    if (t->type != JSON_STRING) {
        return NGX_DECLINED;
    }

    out->data = ngx_pnalloc(pool, t->end - t->start + 1);
    if (out->data == NULL) {
        return NGX_ERROR;
    }

    out->len = json_unescape(doc, token, (char *) out->data);
    out->data[out->len] = '\0';

    return NGX_OK;
}


ngx_int_t
ngx_http_kafka_rest_binary(ngx_pool_t *pool, json_doc_t *doc, uint32_t token,
    ngx_str_t *out)
{
    size_t         padding;
    ngx_int_t      rc;
    ngx_str_t      text;
    json_token_t  *t;

    t = &doc->tokens[token];

    if (t->type == JSON_STRING && !t->escaped) {
        text.data = (u_char *) doc->text + t->start;
        text.len = t->end - t->start;

    } else {
        rc = ngx_http_kafka_rest_string(pool, doc, token, &text);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    for (padding = 0;
         padding < 2 && text.len && text.data[text.len - 1] == '=';
         padding++)
    {
        text.len--;
    }

    if ((padding && (text.len + padding) % 4)
        || ngx_strlchr(text.data, text.data + text.len, '='))
    {
        return NGX_DECLINED;
    }

    out->data = ngx_pnalloc(pool, ngx_base64_decoded_length(text.len) + 1);
    if (out->data == NULL) {
        return NGX_ERROR;
    }

    return ngx_decode_base64(out, &text) == NGX_OK ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_kafka_rest_time(json_doc_t *doc, uint32_t token, int64_t *time)
{
    int64_t        ms;
    json_token_t  *t;

    t = &doc->tokens[token];

    if (t->type != JSON_STRING || t->escaped
        || calendar_time(doc->text + t->start, doc->text + t->end, &ms) != 0
        || ms < 1 || ms > NGX_HTTP_KAFKA_REST_TIME_MAX)
    {
        return NGX_DECLINED;
    }

    *time = ms;

    return NGX_OK;
}


ngx_int_t
ngx_http_kafka_rest_compact(ngx_pool_t *pool, ngx_str_t *text)
{
    u_char      *p, *out, *src, *last;
    ngx_uint_t   quoted;

    src = text->data;
    last = src + text->len;

    /* no escape is longer afterwards */

    out = ngx_pnalloc(pool, text->len + 1);
    if (out == NULL) {
        return NGX_ERROR;
    }

    p = out;
    quoted = 0;

    while (src < last) {

        if (quoted && *src == '\\') {
            p = ngx_http_kafka_rest_escape(p, &src);
            continue;
        }

        if (!quoted && (*src == ' ' || *src == '\t' || *src == '\n'
                        || *src == '\r'))
        {
            src++;
            continue;
        }

        quoted ^= *src == '"';
        *p++ = *src++;
    }

    text->data = out;
    text->len = p - out;

    return NGX_OK;
}


/* One escape, or two that are one character. */
static u_char *
ngx_http_kafka_rest_escape(u_char *p, u_char **src)
{
    u_char      *s;
    uint32_t     c;
    const char  *found;

    static const char  raw[] = "\"\\\b\f\n\r\t";
    static const char  letters[] = "\"\\bfnrt";
    static const char  hex[] = "0123456789ABCDEF";

    s = *src + 1;

    if (*s == 'u') {
        c = (uint32_t) ngx_hextoi(s + 1, 4);
        s += 5;

        if (c >= 0xd800 && c <= 0xdbff) {
            c = 0x10000 + ((c - 0xd800) << 10)
                + ((uint32_t) ngx_hextoi(s + 2, 4) - 0xdc00);
            s += 6;
        }

    } else {
        found = strchr(letters, *s);
        c = found ? (uint32_t) raw[found - letters] : *s;
        s++;
    }

    *src = s;

    found = c && c < 0x80 ? strchr(raw, (int) c) : NULL;

    if (found) {
        *p++ = '\\';
        *p++ = (u_char) letters[found - raw];
        return p;
    }

    if (c >= 0x20) {
        return (u_char *) json_put_utf8((char *) p, c);
    }

    p = ngx_cpymem(p, "\\u00", 4);
    *p++ = hex[c >> 4];
    *p++ = hex[c & 0xf];

    return p;
}
