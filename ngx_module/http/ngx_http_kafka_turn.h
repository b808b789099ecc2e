/*
 * Turns of the worker's loop: how much work requests do in one, and which wait
 * for the next.  Knows no request.
 */

#ifndef NGX_HTTP_KAFKA_TURN_H
#define NGX_HTTP_KAFKA_TURN_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


/* Work that waits for its turn; zeroed before its first use. */
typedef struct {
    ngx_queue_t   queue;
    void        (*handler)(void *data);
    void         *data;
    ngx_uint_t    waiting;      /* unsigned  waiting:1; */
} ngx_http_kafka_job_t;


/* Steps (about 5 ns each) that are left in this turn: 0 or less, wait. */
extern ngx_int_t  ngx_http_kafka_turn_left;


/* Before the work of a request: it may be the first in this turn. */
void ngx_http_kafka_turn_begin(void);

/* Calls the job's handler once in a later turn; jobs keep their order. */
void ngx_http_kafka_turn_wait(ngx_http_kafka_job_t *job);

/* The handler will not be called. */
void ngx_http_kafka_turn_leave(ngx_http_kafka_job_t *job);


#endif
