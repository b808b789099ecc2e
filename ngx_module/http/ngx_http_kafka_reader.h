/* Where the reading of a body's records is; reads one JSON text of it. */

#ifndef NGX_HTTP_KAFKA_READER_H
#define NGX_HTTP_KAFKA_READER_H


#include "http/ngx_http_kafka_module.h"


/* bytes behind the largest record that show that a value is larger */
#define NGX_HTTP_KAFKA_BEYOND  16


#define ngx_http_kafka_is_space(c)                                            \
    ((c) == ' ' || (c) == '\t' || (c) == '\n' || (c) == '\r')


/* What an array, and the objects around it, go on with. */
typedef enum {
    NGX_HTTP_KAFKA_OPEN = 0,              /* an array, or an object around */
    NGX_HTTP_KAFKA_FIRST_ELEMENT,         /* or the end */
    NGX_HTTP_KAFKA_ELEMENT,
    NGX_HTTP_KAFKA_COMMA,                 /* or the end */
    NGX_HTTP_KAFKA_FIRST_NAME,            /* or the end */
    NGX_HTTP_KAFKA_NAME,
    NGX_HTTP_KAFKA_COLON,
    NGX_HTTP_KAFKA_MEMBER,                /* beside the array */
    NGX_HTTP_KAFKA_NEXT_MEMBER,           /* or the end */
    NGX_HTTP_KAFKA_CLOSED
} ngx_http_kafka_expect_e;


/* Goes on in the loop's next turn; may be copied between two turns. */
struct ngx_http_kafka_reader_s {
    json_doc_t               doc;
    json_parser_t            parser;
    u_char                  *p;           /* where the body goes on */
    u_char                  *last;        /* its end */
    size_t                   max;         /* bytes of the largest record */
    int64_t                  steps;       /* left for the request */
    ngx_http_kafka_expect_e  expect;
    uint32_t                 at;          /* of a document with records: the
                                             next one's token */
    uint32_t                 level;       /* objects open around the array */
    uint64_t                 seen;        /* bits: "kafka_batch_field" has
                                             been named on this level */
    u_char                  *skip;        /* in a value too large, or NULL */
    ngx_uint_t               depth;       /* of it there */
    unsigned                 found:1;     /* the array was read */
    unsigned                 ours:1;      /* behind the name on its way */
    unsigned                 parsing:1;   /* a text is read in part */
    unsigned                 quoted:1;    /* of the skipped value: a string */
    unsigned                 escaped:1;   /* behind a backslash */
};


/*
 * Reads a JSON text of "len" bytes, or without "alone" the value at its
 * beginning, into rd->doc, and takes its cost off the turn.  NGX_OK;
 * NGX_DECLINED with the error; NGX_AGAIN: the turn is over.
 */
ngx_int_t ngx_http_kafka_parse(ngx_http_kafka_reader_t *rd, u_char *text,
    size_t len, int alone, json_error_t *err);

/* Steps over blanks, which may be as many as bytes; 0: the turn is over. */
ngx_uint_t ngx_http_kafka_blanks(ngx_http_kafka_reader_t *rd);


#endif
