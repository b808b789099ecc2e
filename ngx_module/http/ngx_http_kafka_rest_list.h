/* What REST Proxy's clients read before they produce. */

#ifndef NGX_HTTP_KAFKA_REST_LIST_H
#define NGX_HTTP_KAFKA_REST_LIST_H


#include "http/ngx_http_kafka_rest.h"


/*
 * Answers a call that reads: the cluster, or topics that are declared, with
 * what this worker knows of them.  Returns what finalizes the request.
 */
ngx_int_t ngx_http_kafka_rest_list(ngx_http_kafka_ctx_t *ctx);


#endif
