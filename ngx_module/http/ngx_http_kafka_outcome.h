/*
 * What clients are told of records that were not taken, or are not kept: from
 * what the producer says to an error of the catalogue.
 */

#ifndef NGX_HTTP_KAFKA_OUTCOME_H
#define NGX_HTTP_KAFKA_OUTCOME_H


#include "http/ngx_http_kafka_module.h"


/* The request's problem: its body is too large.  Returns NGX_DECLINED. */
ngx_int_t ngx_http_kafka_too_large(ngx_http_kafka_ctx_t *ctx);

/*
 * The request's problem: the producer took none of its records, "err" is
 * librdkafka's.  Returns NGX_DECLINED.
 */
ngx_int_t ngx_http_kafka_not_taken(ngx_http_kafka_ctx_t *ctx,
    ngx_kafka_take_e taken, rd_kafka_resp_err_t err);

/* The record's problem: by its report it is not kept, or maybe. */
void ngx_http_kafka_not_kept(ngx_http_kafka_item_t *item,
    ngx_kafka_report_t *report);

/* The record's problem: by its receipt it is a dead letter, no row. */
void ngx_http_kafka_not_a_row(ngx_http_kafka_item_t *item,
    ngx_kafka_receipt_t *receipt);

/* How answers and logs name what a receipt says. */
const char *ngx_http_kafka_stored(ngx_kafka_stored_e stored);

/* The record's problem; "detail" is a static text. */
void ngx_http_kafka_fail(ngx_http_kafka_item_t *item,
    ngx_http_kafka_error_e code, const char *detail);


#endif
