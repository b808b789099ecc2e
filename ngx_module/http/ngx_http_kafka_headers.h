/*
 * Headers: of a request, found and split; of an answer, sent with its body; of
 * a record, added.  Knows nothing of what they mean.
 */

#ifndef NGX_HTTP_KAFKA_HEADERS_H
#define NGX_HTTP_KAFKA_HEADERS_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "http/ngx_http_kafka_error.h"
#include "kafka/ngx_kafka_producer.h"


/* A place in a request's headers; "i" and "part" begin at 0 and its first. */
typedef struct {
    ngx_list_part_t  *part;
    ngx_uint_t        i;
} ngx_http_kafka_walk_t;


#define ngx_http_kafka_equal(s, text, n)                                      \
    ((s)->len == (n)                                                          \
     && ngx_strncasecmp((s)->data, (u_char *) (text), n) == 0)

/* Whether a string is a literal, in any case. */
#define ngx_http_kafka_is(s, literal)                                         \
    ngx_http_kafka_equal(s, literal, sizeof(literal) - 1)


/* The request's next header with this name, or any with NULL; NULL: none. */
ngx_table_elt_t *ngx_http_kafka_next_header(ngx_http_kafka_walk_t *walk,
    ngx_str_t *name);

/* The first header with this name, or NULL. */
ngx_table_elt_t *ngx_http_kafka_find_header(ngx_http_request_t *r,
    ngx_str_t *name);

/*
 * Cuts the next element, trimmed and not empty, off a list (RFC 9110, section
 * 5.6.1); quoted strings with commas are not known.  0 at the end.
 */
ngx_uint_t ngx_http_kafka_next_element(ngx_str_t *list, ngx_str_t *element);

/* Cuts parameters off, from the first semicolon on, and trims. */
void ngx_http_kafka_cut_parameters(ngx_str_t *value);

/* Adds a header to the answer; "value" lives as long as the request. */
ngx_int_t ngx_http_kafka_header(ngx_http_request_t *r, char *name,
    ngx_str_t *value);

/* Sends an answer, whose body may be empty; returns what finalizes "r". */
ngx_int_t ngx_http_kafka_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_str_t *body);

/*
 * Adds a header to a record's, an array of ngx_kafka_header_t.  "checked" is
 * NULL where the value is known to be good, else the name that a problem
 * tells: the value has to be UTF-8 without control characters, of up to 4096
 * bytes.
 */
ngx_int_t ngx_http_kafka_push_header(ngx_array_t *headers, ngx_str_t *name,
    ngx_str_t *value, ngx_str_t *checked, ngx_http_kafka_problem_t *problem);

/* NGX_DECLINED, with the problem of a header that cannot be kept. */
ngx_int_t ngx_http_kafka_bad_header(ngx_str_t *name,
    ngx_http_kafka_problem_t *problem);

/*
 * Gives a message "n" more headers, for the caller to fill in from the one
 * that is returned.  NULL without memory.
 */
ngx_kafka_header_t *ngx_http_kafka_more_headers(ngx_pool_t *pool,
    ngx_kafka_message_t *msg, ngx_uint_t n);


#endif
