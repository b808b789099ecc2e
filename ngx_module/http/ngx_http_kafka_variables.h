/* The variables $kafka_*. */

#ifndef NGX_HTTP_KAFKA_VARIABLES_H
#define NGX_HTTP_KAFKA_VARIABLES_H


#include "http/ngx_http_kafka_module.h"


/* Adds the variables. */
ngx_int_t ngx_http_kafka_add_variables(ngx_conf_t *cf);

/* Warns of an old name that the configuration uses; call it at its end. */
void ngx_http_kafka_warn_variables(ngx_conf_t *cf);

/* Lets the variables outlive a redirect to an error_page. */
ngx_int_t ngx_http_kafka_keep_ctx(ngx_http_kafka_ctx_t *ctx);

/* The context of a request, also behind such a redirect; or NULL. */
ngx_http_kafka_ctx_t *ngx_http_kafka_find_ctx(ngx_http_request_t *r);


#endif
