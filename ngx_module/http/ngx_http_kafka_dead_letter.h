/* Bad records that go to a dead-letter topic: "kafka_invalid". */

#ifndef NGX_HTTP_KAFKA_DEAD_LETTER_H
#define NGX_HTTP_KAFKA_DEAD_LETTER_H


#include "http/ngx_http_kafka_module.h"


/*
 * Turns bad records into messages to the location's dead-letter topic, if it
 * has one, and uncounts them from ctx->invalid.  A record that is too large
 * stays bad.
 */
ngx_int_t ngx_http_kafka_dead_letters(ngx_http_kafka_ctx_t *ctx);

/* The name of that topic; the location has one. */
ngx_str_t *ngx_http_kafka_dead_letter(ngx_http_kafka_ctx_t *ctx);


#endif
