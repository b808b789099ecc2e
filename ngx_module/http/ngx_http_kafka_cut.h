/*
 * Finds where records end in a body that comes in pieces: lines, or JSON texts
 * of objects and arrays one behind the other.  Reads no JSON: whether a record
 * is good is found elsewhere.
 */

#ifndef NGX_HTTP_KAFKA_CUT_H
#define NGX_HTTP_KAFKA_CUT_H


#include <ngx_config.h>
#include <ngx_core.h>


typedef enum {
    NGX_HTTP_KAFKA_CUT_MORE = 0,    /* within a record */
    NGX_HTTP_KAFKA_CUT_RECORD,      /* behind one */
    NGX_HTTP_KAFKA_CUT_BLANK,       /* behind what is none */
    NGX_HTTP_KAFKA_CUT_BROKEN       /* before what is no text: a record goes
                                       on to the end of the body */
} ngx_http_kafka_cut_e;


/* Where the last piece ended; zeroed before the first. */
typedef struct {
    ngx_uint_t  depth;              /* brackets open; of a line: its bytes, 2:
                                       or more */
    unsigned    texts:1;            /* not lines */
    unsigned    quoted:1;           /* within a string */
    unsigned    escaped:1;          /* behind a backslash */
    unsigned    cr:1;               /* the line's first byte */
} ngx_http_kafka_cut_t;


/* Takes bytes from *p on, one at least; "last" is behind the piece. */
ngx_http_kafka_cut_e ngx_http_kafka_cut(ngx_http_kafka_cut_t *cut,
    u_char **p, u_char *last);

/* Whether the last piece ended within a record. */
#define ngx_http_kafka_cut_open(cut)                                          \
    ((cut)->depth > 1 || ((cut)->depth == 1 && ((cut)->texts || !(cut)->cr)))


#endif
