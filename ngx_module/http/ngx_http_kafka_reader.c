/* Reads one JSON text of a body, in as many turns as it takes. */

#include "http/ngx_http_kafka_reader.h"


/* steps of the turn for a token; bytes read for one step */
#define NGX_HTTP_KAFKA_COST_TOKEN   2
#define NGX_HTTP_KAFKA_COST_BYTES   8


ngx_int_t
ngx_http_kafka_parse(ngx_http_kafka_reader_t *rd, u_char *text, size_t len,
    int alone, json_error_t *err)
{
    int  rc;

    if (!rd->parsing) {
        json_begin(&rd->parser, &rd->doc, (char *) text, len, alone);
    }

    rc = json_read(&rd->parser, &rd->doc, ngx_http_kafka_turn_left, err);

    if (rc == JSON_MORE) {
        rd->parsing = 1;
        ngx_http_kafka_turn_left = 0;
        return NGX_AGAIN;
    }

    /* an element's text goes on behind it */
    len = rc == JSON_READ ? json_behind(&rd->parser) : err->offset;

    rd->parsing = 0;
    ngx_http_kafka_turn_left -= len / NGX_HTTP_KAFKA_COST_BYTES
                                + rd->doc.count * NGX_HTTP_KAFKA_COST_TOKEN;

    return rc == JSON_READ ? NGX_OK : NGX_DECLINED;
}


ngx_uint_t
ngx_http_kafka_blanks(ngx_http_kafka_reader_t *rd)
{
    u_char  *stop;

    stop = rd->p + ngx_min(rd->last - rd->p, ngx_http_kafka_turn_left);

    while (rd->p < stop && ngx_http_kafka_is_space(*rd->p)) {
        ngx_http_kafka_turn_left--;
        rd->p++;
    }

    return rd->p < stop || stop == rd->last;
}
