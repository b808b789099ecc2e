/*
 * Finds and splits headers of a request, adds headers to a record, sends an
 * answer.  Knows no meaning of theirs.
 */

#ifndef NGX_HTTP_KAFKA_HEADERS_H
#define NGX_HTTP_KAFKA_HEADERS_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "http/ngx_http_kafka_error.h"
#include "kafka/ngx_kafka_producer.h"


/* Headers of a request that the module reads. */
enum {
    NGX_HTTP_KAFKA_PREFER = 0,
    NGX_HTTP_KAFKA_TRACE,
    NGX_HTTP_KAFKA_EVENT,
    NGX_HTTP_KAFKA_IDEMPOTENCY,
    NGX_HTTP_KAFKA_CODING,
    NGX_HTTP_KAFKA_NAMES
};

/* Their names, lower case. */
extern ngx_str_t  ngx_http_kafka_names[NGX_HTTP_KAFKA_NAMES];


/* A place in a request's headers; begins at the first part, "i" 0. */
typedef struct {
    ngx_list_part_t  *part;
    ngx_uint_t        i;
} ngx_http_kafka_walk_t;


#define ngx_http_kafka_equal(s, text, n)                                      \
    ((s)->len == (n)                                                          \
     && ngx_strncasecmp((s)->data, (u_char *) (text), n) == 0)

/* Whether a string equals a literal, case ignored. */
#define ngx_http_kafka_is(s, literal)                                         \
    ngx_http_kafka_equal(s, literal, sizeof(literal) - 1)


/* The next header with this name, or any if NULL; NULL: no more. */
ngx_table_elt_t *ngx_http_kafka_next_header(ngx_http_kafka_walk_t *walk,
    ngx_str_t *name);

/* Begins a walk; where a request has no header of the name, at its end. */
#define ngx_http_kafka_walk_begin(walk, ctx, name)                            \
    (walk)->part = (ctx)->named[name]                                         \
                   ? &(ctx)->request->headers_in.headers.part : NULL;         \
    (walk)->i = 0

/* Sets the first header of each of ngx_http_kafka_names[]. */
void ngx_http_kafka_find_headers(ngx_http_request_t *r,
    ngx_table_elt_t **found);

/*
 * Takes the next element that is not empty off a list (RFC 9110, section
 * 5.6.1) and trims it; returns 0 at the end.  Commas in quotes also separate.
 */
ngx_uint_t ngx_http_kafka_next_element(ngx_str_t *list, ngx_str_t *element);

/* Cuts parameters off, from the first semicolon on, and trims. */
void ngx_http_kafka_cut_parameters(ngx_str_t *value);

/* Adds a header to the answer; "value" lives as long as the request. */
ngx_int_t ngx_http_kafka_header(ngx_http_request_t *r, char *name,
    ngx_str_t *value);

/*
 * Ends "Expect: 100-continue" by a final status alone (RFC 9110, section
 * 10.1.1).  Whether the body still comes is then not known, so the connection
 * takes no other request.  Does nothing once the body is read.
 */
void ngx_http_kafka_end_expect(ngx_http_request_t *r);

/*
 * Sends an answer, whose body may be empty, else lives as long as the request;
 * returns what finalizes "r".
 */
ngx_int_t ngx_http_kafka_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_str_t *body);

/*
 * Adds a header to a record's, an array of ngx_kafka_header_t.  If "checked"
 * is not NULL, the value has to be UTF-8 without control characters, up to
 * 4096 bytes, and the problem of another value names "checked".
 */
ngx_int_t ngx_http_kafka_push_header(ngx_array_t *headers, ngx_str_t *name,
    ngx_str_t *value, ngx_str_t *checked, ngx_http_kafka_problem_t *problem);

/*
 * Percent-decodes a value in place.  NGX_ERROR: a "%" lacks its two digits;
 * it is left as it is.
 */
ngx_int_t ngx_http_kafka_percent_decode(ngx_str_t *value);

/* Refuses a header that cannot be kept. */
ngx_int_t ngx_http_kafka_bad_header(ngx_str_t *name,
    ngx_http_kafka_problem_t *problem);

/*
 * Gives a message "n" more headers and returns the first of them, for the
 * caller to fill in.  NULL when out of memory.
 */
ngx_kafka_header_t *ngx_http_kafka_more_headers(ngx_pool_t *pool,
    ngx_kafka_message_t *msg, ngx_uint_t n);


#endif
