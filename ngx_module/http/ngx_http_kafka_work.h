/* The work on a request: steps in an order, in one turn of the loop or more. */

#ifndef NGX_HTTP_KAFKA_WORK_H
#define NGX_HTTP_KAFKA_WORK_H


#include "http/ngx_http_kafka_module.h"


/* Whether the request has waited: it can do so again without memory. */
#define ngx_http_kafka_work_waited(ctx)  ((ctx)->work.timer.data != NULL)


/*
 * Does the steps, up to a NULL, and answers: after the last one, unless it has
 * suspended the request, or with the problem of a step.  A step that returns
 * NGX_AGAIN is called again in a later turn, after others had theirs.
 *
 * Returns what finalizes the request.  NGX_AGAIN: whoever goes on with the
 * request finalizes it.
 */
ngx_int_t ngx_http_kafka_work(ngx_http_kafka_ctx_t *ctx,
    const ngx_http_kafka_step_pt *steps);

/*
 * Lets a request wait: "left" is called with the context when it ends.  "cln"
 * lives as long as the request.
 */
void ngx_http_kafka_work_may_wait(ngx_http_kafka_ctx_t *ctx,
    ngx_http_cleanup_t *cln, ngx_http_cleanup_pt left);

/*
 * Suspends a request until it is resumed.  "late" is called after
 * kafka_timeout, if it still is, and has to resume it; it is the same for all
 * requests.
 */
void ngx_http_kafka_work_suspend(ngx_http_kafka_ctx_t *ctx,
    ngx_http_kafka_late_pt late);
void ngx_http_kafka_work_resume(ngx_http_kafka_ctx_t *ctx);


#endif
