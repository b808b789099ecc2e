/* Shares the turns of the worker's loop among requests with long work. */

#include "http/ngx_http_kafka_turn.h"


#define NGX_HTTP_KAFKA_TURN  400000      /* steps of all requests in a turn */


static void ngx_http_kafka_turn(ngx_event_t *ev);


ngx_int_t  ngx_http_kafka_turn_left = NGX_HTTP_KAFKA_TURN;

/* of this worker; empty at first */
static ngx_queue_t  ngx_http_kafka_jobs = {
    &ngx_http_kafka_jobs, &ngx_http_kafka_jobs
};

static ngx_msec_t   ngx_http_kafka_turn_time;
static ngx_event_t  ngx_http_kafka_turn_event;


/* The loop takes the time once a turn. */
void
ngx_http_kafka_turn_begin(void)
{
    if (ngx_http_kafka_turn_time != ngx_current_msec) {
        ngx_http_kafka_turn_time = ngx_current_msec;
        ngx_http_kafka_turn_left = NGX_HTTP_KAFKA_TURN;
    }
}


void
ngx_http_kafka_turn_wait(ngx_http_kafka_job_t *job)
{
    ngx_event_t  *ev;

    job->waiting = 1;
    ngx_queue_insert_tail(&ngx_http_kafka_jobs, &job->queue);

    ev = &ngx_http_kafka_turn_event;
    ev->handler = ngx_http_kafka_turn;
    ev->log = ngx_cycle->log;

    ngx_post_event(ev, &ngx_posted_next_events);
}


void
ngx_http_kafka_turn_leave(ngx_http_kafka_job_t *job)
{
    if (job->waiting) {
        job->waiting = 0;
        ngx_queue_remove(&job->queue);
    }
}


static void
ngx_http_kafka_turn(ngx_event_t *ev)
{
    ngx_queue_t           *q;
    ngx_http_kafka_job_t  *job;

    ngx_http_kafka_turn_time = ngx_current_msec;
    ngx_http_kafka_turn_left = NGX_HTTP_KAFKA_TURN;

    while (!ngx_queue_empty(&ngx_http_kafka_jobs)
           && ngx_http_kafka_turn_left > 0)
    {
        q = ngx_queue_head(&ngx_http_kafka_jobs);
        job = ngx_queue_data(q, ngx_http_kafka_job_t, queue);

        ngx_http_kafka_turn_leave(job);
        job->handler(job->data);
    }

    if (!ngx_queue_empty(&ngx_http_kafka_jobs)) {
        ngx_post_event(ev, &ngx_posted_next_events);
    }
}
