/* A text that grows in a request's pool, and what is escaped in it. */

#include "status/ngx_http_kafka_status.h"


#define NGX_HTTP_KAFKA_TEXT        8192     /* bytes at first */
#define NGX_HTTP_KAFKA_PRINT       1024     /* bytes at once */


static ngx_int_t ngx_http_kafka_text_room(ngx_http_kafka_text_t *text,
    size_t size);


void
ngx_http_kafka_text_init(ngx_http_kafka_text_t *text, ngx_pool_t *pool)
{
    text->pool = pool;
    text->start = ngx_pnalloc(pool, NGX_HTTP_KAFKA_TEXT);
    text->last = text->start;
    text->end = text->start + (text->start ? NGX_HTTP_KAFKA_TEXT : 0);
}


static ngx_int_t
ngx_http_kafka_text_room(ngx_http_kafka_text_t *text, size_t size)
{
    u_char  *p;
    size_t   len;

    if (text->start == NULL) {
        return NGX_ERROR;
    }

    if ((size_t) (text->end - text->last) >= size) {
        return NGX_OK;
    }

    len = 2 * (text->end - text->start) + size;

    p = ngx_pnalloc(text->pool, len);
    if (p == NULL) {
        text->start = NULL;
        return NGX_ERROR;
    }

    text->last = ngx_cpymem(p, text->start, text->last - text->start);
    (void) ngx_pfree(text->pool, text->start);
    text->start = p;
    text->end = p + len;

    return NGX_OK;
}


void
ngx_http_kafka_print(ngx_http_kafka_text_t *text, const char *fmt, ...)
{
    va_list  args;

    if (ngx_http_kafka_text_room(text, NGX_HTTP_KAFKA_PRINT) != NGX_OK) {
        return;
    }

    va_start(args, fmt);
    text->last = ngx_vslprintf(text->last, text->end, fmt, args);
    va_end(args);
}


void
ngx_http_kafka_print_json(ngx_http_kafka_text_t *text, ngx_str_t *value)
{
    /* six bytes for one, and as many left over */

    if (ngx_http_kafka_text_room(text, 6 * value->len + 16) == NGX_OK) {
        text->last = ngx_http_kafka_escape(text->last, text->end, value->data,
                                           value->len);
    }
}


/* Prometheus text format 0.0.4: UTF-8, where \ " and line feed are escaped. */
void
ngx_http_kafka_print_label(ngx_http_kafka_text_t *text, ngx_str_t *value)
{
    u_char    *p, *last, *start;
    uint32_t   c;

    if (ngx_http_kafka_text_room(text, 3 * value->len + 16) != NGX_OK) {
        return;
    }

    p = value->data;
    last = p + value->len;

    while (p < last) {

        start = p;
        c = *p < 0x80 ? *p++ : ngx_utf8_decode(&p, last - p);

        if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
            p = start + 1;
            text->last = ngx_cpymem(text->last, "\xef\xbf\xbd", 3);

        } else if (c == '\n') {
            text->last = ngx_cpymem(text->last, "\\n", 2);

        } else {
            if (c == '"' || c == '\\') {
                *text->last++ = '\\';
            }

            text->last = ngx_cpymem(text->last, start, p - start);
        }
    }
}
