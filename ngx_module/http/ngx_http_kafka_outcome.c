/* What clients are told of records that were not taken, or are not kept. */

#include "http/ngx_http_kafka_outcome.h"
#include "http/ngx_http_kafka_body.h"
#include "http/ngx_http_kafka_rest.h"


static ngx_http_kafka_error_e ngx_http_kafka_outcome(
    ngx_http_kafka_ctx_t *ctx, ngx_kafka_report_t *report);
static ngx_http_kafka_error_e ngx_http_kafka_no_partition(
    ngx_http_kafka_ctx_t *ctx);


ngx_int_t
ngx_http_kafka_too_large(ngx_http_kafka_ctx_t *ctx)
{
    return ngx_http_kafka_detail(&ctx->problem, NGX_HTTP_KAFKA_LARGE,
                                 "The body does not fit into the %uz bytes "
                                 "that are taken.",
                                 ngx_http_kafka_body_max(ctx));
}


ngx_int_t
ngx_http_kafka_not_taken(ngx_http_kafka_ctx_t *ctx, ngx_kafka_take_e taken,
    rd_kafka_resp_err_t err)
{
    ngx_http_kafka_error_e  code;

    static const ngx_http_kafka_error_e  codes[] = {
        [NGX_KAFKA_QUEUE_FULL] = NGX_HTTP_KAFKA_QUEUE_FULL,
        [NGX_KAFKA_OVERLOADED] = NGX_HTTP_KAFKA_OVERLOADED,
        [NGX_KAFKA_BROKERS_DOWN] = NGX_HTTP_KAFKA_BROKERS_DOWN,
        [NGX_KAFKA_PARTITION_DOWN] = NGX_HTTP_KAFKA_PARTITION_DOWN,
        [NGX_KAFKA_TOPIC_MISSING] = NGX_HTTP_KAFKA_TOPIC_MISSING,
        [NGX_KAFKA_NOT_STARTED] = NGX_HTTP_KAFKA_NOT_STARTED
    };

    switch (taken) {

    case NGX_KAFKA_TOO_LARGE:
        return ngx_http_kafka_too_large(ctx);

    case NGX_KAFKA_REFUSED:
        return ngx_http_kafka_detail(&ctx->problem,
                                     NGX_HTTP_KAFKA_NOT_DELIVERED, "%s",
                                     rd_kafka_err2str(err));

    case NGX_KAFKA_PARTITION_MISSING:
        code = ngx_http_kafka_no_partition(ctx);
        break;

    default:
        code = codes[taken];
        break;
    }

    (void) ngx_http_kafka_refuse(&ctx->problem, code);

    if (taken == NGX_KAFKA_QUEUE_FULL || taken == NGX_KAFKA_OVERLOADED) {
        ctx->problem.retry =
            ngx_kafka_retry_after(ctx->conf->producer->producer);
    }

    return NGX_DECLINED;
}


void
ngx_http_kafka_not_kept(ngx_http_kafka_item_t *item,
    ngx_kafka_report_t *report)
{
    ngx_http_kafka_fail(item, ngx_http_kafka_outcome(item->ctx, report),
                        rd_kafka_err2str(report->error));
}


static ngx_http_kafka_error_e
ngx_http_kafka_outcome(ngx_http_kafka_ctx_t *ctx, ngx_kafka_report_t *report)
{
    static const ngx_http_kafka_error_e  faults[] = {
        [NGX_KAFKA_FAULT_SIZE] = NGX_HTTP_KAFKA_LARGE,
        [NGX_KAFKA_FAULT_KEY] = NGX_HTTP_KAFKA_NO_KEY,
        [NGX_KAFKA_FAULT_TIME] = NGX_HTTP_KAFKA_BAD_TIMESTAMP,
        [NGX_KAFKA_FAULT_OTHER] = NGX_HTTP_KAFKA_RECORD_REFUSED
    };

    if (report->outcome == NGX_KAFKA_MAYBE_KEPT) {
        return NGX_HTTP_KAFKA_MAYBE_DELIVERED;
    }

    if (report->fault) {
        return faults[report->fault];
    }

    switch (report->error) {

    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        return NGX_HTTP_KAFKA_TOPIC_MISSING;

    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        return ngx_http_kafka_no_partition(ctx);

    default:
        return NGX_HTTP_KAFKA_NOT_DELIVERED;
    }
}


/*
 * librdkafka 2.8 also calls the partition unknown where the topic was
 * deleted; a client that chose no partition cannot have chosen a wrong one.
 */
static ngx_http_kafka_error_e
ngx_http_kafka_no_partition(ngx_http_kafka_ctx_t *ctx)
{
    return ctx->common.partition == RD_KAFKA_PARTITION_UA
           && !(ctx->rest && ctx->rest->chosen)
           ? NGX_HTTP_KAFKA_TOPIC_MISSING
           : NGX_HTTP_KAFKA_BAD_PARTITION;
}


void
ngx_http_kafka_not_a_row(ngx_http_kafka_item_t *item,
    ngx_kafka_receipt_t *receipt)
{
    u_char                    *p;
    ngx_http_kafka_letter_t   *letter;
    ngx_http_kafka_problem_t  *problem;

    letter = ngx_palloc(item->ctx->pool,
                        sizeof(ngx_http_kafka_letter_t)
                        + receipt->sqlstate.len + receipt->reason.len);
    problem = ngx_pcalloc(item->ctx->pool, sizeof(ngx_http_kafka_problem_t));

    if (letter == NULL || problem == NULL) {
        /* what it is not told of, it will see in the table */
        item->stored = NGX_KAFKA_STORED_PENDING;
        return;
    }

    letter->topic = &item->ctx->topic->name;
    letter->partition = item->partition;
    letter->offset = item->offset;
    letter->timestamp = item->timestamp;

    p = (u_char *) &letter[1];

    letter->sqlstate.data = p;
    letter->sqlstate.len = receipt->sqlstate.len;
    p = ngx_cpymem(p, receipt->sqlstate.data, receipt->sqlstate.len);

    letter->reason.data = p;
    letter->reason.len = receipt->reason.len;
    ngx_memcpy(p, receipt->reason.data, receipt->reason.len);

    problem->code = NGX_HTTP_KAFKA_NOT_A_ROW;
    problem->letter = letter;

    item->problem = problem;
    item->state = NGX_HTTP_KAFKA_FAILED;
}


const char *
ngx_http_kafka_stored(ngx_kafka_stored_e stored)
{
    static const char  *names[] = {
        [NGX_KAFKA_STORED_PENDING] = "pending",
        [NGX_KAFKA_STORED_ROW] = "row",
        [NGX_KAFKA_STORED_FILTERED] = "filtered",
        [NGX_KAFKA_STORED_DUPLICATE] = "duplicate",
        [NGX_KAFKA_STORED_DEAD] = "dead-letter"
    };

    return names[stored];
}


void
ngx_http_kafka_fail(ngx_http_kafka_item_t *item, ngx_http_kafka_error_e code,
    const char *detail)
{
    static ngx_http_kafka_problem_t  without_memory = {
        NULL, NGX_HTTP_KAFKA_MAYBE_DELIVERED, ngx_null_string, NULL, NULL,
        NULL, 0
    };

    ngx_http_kafka_problem_t  *problem;

    item->state = NGX_HTTP_KAFKA_FAILED;

    problem = ngx_pcalloc(item->ctx->pool, sizeof(ngx_http_kafka_problem_t));
    if (problem == NULL) {
        item->problem = &without_memory;
        return;
    }

    problem->code = code;
    problem->detail.data = (u_char *) detail;
    problem->detail.len = ngx_strlen(detail);

    item->problem = problem;
}
