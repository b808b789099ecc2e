/* The answer to a request with a problem. */

#ifndef NGX_HTTP_KAFKA_PROBLEM_H
#define NGX_HTTP_KAFKA_PROBLEM_H


#include "http/ngx_http_kafka_module.h"


/*
 * Logs, counts and sends ctx->problem, or leaves it to an error_page;
 * "results" is one more member of the answer, or NULL.  Returns what finalizes
 * the request.
 */
ngx_int_t ngx_http_kafka_reply_problem(ngx_http_kafka_ctx_t *ctx,
    ngx_str_t *results);

/*
 * Takes what a problem left on the answer off again, where its error_page led
 * the request to this module once more.
 */
void ngx_http_kafka_forget_problem(ngx_http_request_t *r);

/* Adds the methods of the location to the answer. */
ngx_int_t ngx_http_kafka_allow(ngx_http_kafka_ctx_t *ctx);


#endif
