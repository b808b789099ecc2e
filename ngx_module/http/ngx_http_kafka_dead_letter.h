/* Bad records that go to a dead-letter topic: "kafka_invalid". */

#ifndef NGX_HTTP_KAFKA_DEAD_LETTER_H
#define NGX_HTTP_KAFKA_DEAD_LETTER_H


#include "http/ngx_http_kafka_module.h"


/*
 * Turns bad records into messages to the dead-letter topic, where the
 * location has one and they fit; they are bad no more.
 */
ngx_int_t ngx_http_kafka_dead_letters(ngx_http_kafka_ctx_t *ctx);

/* The name of that topic, where there is one. */
ngx_str_t *ngx_http_kafka_dead_letter(ngx_http_kafka_ctx_t *ctx);


#endif
