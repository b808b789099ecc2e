/*
 * The prompt client: it sends at once what it gets (linger.ms 0), so that few
 * clients do not wait for company.  While many records are under way all go
 * to the client that gathers them.
 *
 * Order: it takes no record that is answered before it is kept, and none while
 * such a one is under way elsewhere.  So what was answered before another was
 * sent comes before it.
 */

#include "kafka/ngx_kafka_impl.h"


#define NGX_KAFKA_PROMPT_MOST   64      /* records under way */
#define NGX_KAFKA_PROMPT_CALM   100     /* ms since there were more */
#define NGX_KAFKA_PROMPT_PAUSE  30000   /* ms since a broker was late */


ngx_kafka_client_t *
ngx_kafka_prompt(ngx_kafka_producer_t *kp, ngx_kafka_message_t *msg,
    ngx_uint_t n)
{
    ngx_kafka_client_t  *prompt;

    if (!kp->prompts) {
        return kp->client;
    }

    if (kp->records + n > NGX_KAFKA_PROMPT_MOST) {
        kp->calm = ngx_max(kp->calm, ngx_current_msec + NGX_KAFKA_PROMPT_CALM);
        return kp->client;
    }

    if (msg->handler == NULL || kp->answered || kp->stalled
        || (ngx_msec_int_t) (ngx_current_msec - kp->calm) < 0)
    {
        return kp->client;
    }

    prompt = ngx_kafka_prompt_client(kp);

    return prompt ? prompt : kp->client;
}


/*
 * A slow partition holds up all that share its connection.  With records in
 * both clients it would do so twice, so one of them pauses.
 */
ngx_kafka_client_t *
ngx_kafka_prompt_client(ngx_kafka_producer_t *kp)
{
    ngx_kafka_client_t  *prompt;

    prompt = kp->prompt.client;

    if (prompt == NULL || prompt->fatal || !prompt->ready) {
        return NULL;
    }

    if (!ngx_queue_empty(&prompt->stuck)
        || ngx_kafka_client_age(&prompt->records) > kp->conf->timeout / 10)
    {
        kp->calm = ngx_current_msec + NGX_KAFKA_PROMPT_PAUSE;
        return NULL;
    }

    return prompt;
}
