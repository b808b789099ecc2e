/* Finds where records end in a body that comes in pieces. */

#include "http/ngx_http_kafka_cut.h"


#define ngx_http_kafka_cut_space(c)                                           \
    ((c) == ' ' || (c) == '\t' || (c) == '\n' || (c) == '\r')


static ngx_http_kafka_cut_e ngx_http_kafka_cut_line(
    ngx_http_kafka_cut_t *cut, u_char **p, u_char *last);
static ngx_http_kafka_cut_e ngx_http_kafka_cut_text(
    ngx_http_kafka_cut_t *cut, u_char **p, u_char *last);


ngx_http_kafka_cut_e
ngx_http_kafka_cut(ngx_http_kafka_cut_t *cut, u_char **p, u_char *last)
{
    if (!cut->texts) {
        return ngx_http_kafka_cut_line(cut, p, last);
    }

    if (cut->depth == 0 && ngx_http_kafka_cut_space(**p)) {

        while (*p < last && ngx_http_kafka_cut_space(**p)) {
            (*p)++;
        }

        return NGX_HTTP_KAFKA_CUT_BLANK;
    }

    return ngx_http_kafka_cut_text(cut, p, last);
}


/* An empty line is no record, nor is one of CR alone. */
static ngx_http_kafka_cut_e
ngx_http_kafka_cut_line(ngx_http_kafka_cut_t *cut, u_char **p, u_char *last)
{
    size_t      len;
    u_char     *end;
    ngx_uint_t  open;

    end = memchr(*p, '\n', last - *p);
    len = (end ? end : last) - *p;

    if (cut->depth == 0 && len) {
        cut->cr = **p == '\r';
    }

    cut->depth = ngx_min(cut->depth + len, 2);

    if (end == NULL) {
        *p = last;
        return NGX_HTTP_KAFKA_CUT_MORE;
    }

    open = ngx_http_kafka_cut_open(cut);

    *p = end + 1;
    cut->depth = 0;

    return open ? NGX_HTTP_KAFKA_CUT_RECORD : NGX_HTTP_KAFKA_CUT_BLANK;
}


static ngx_http_kafka_cut_e
ngx_http_kafka_cut_text(ngx_http_kafka_cut_t *cut, u_char **p, u_char *last)
{
    u_char  ch;

    if (cut->depth == 0 && **p != '{' && **p != '[') {
        return NGX_HTTP_KAFKA_CUT_BROKEN;
    }

    while (*p < last) {
        ch = *(*p)++;

        if (cut->escaped) {
            cut->escaped = 0;

        } else if (cut->quoted) {
            cut->escaped = ch == '\\';
            cut->quoted = ch != '"';

        } else if (ch == '"') {
            cut->quoted = 1;

        } else if (ch == '{' || ch == '[') {
            cut->depth++;

        } else if ((ch == '}' || ch == ']') && --cut->depth == 0) {
            return NGX_HTTP_KAFKA_CUT_RECORD;
        }
    }

    return NGX_HTTP_KAFKA_CUT_MORE;
}
