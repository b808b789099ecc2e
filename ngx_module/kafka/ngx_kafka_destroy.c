/*
 * Helper threads that end clients: rd_kafka_destroy() may block for seconds
 * where a resolver hangs.
 */

#include "kafka/ngx_kafka_impl.h"


static void ngx_kafka_destroy_init(void);
static void *ngx_kafka_destroy_thread(void *arg);
static void ngx_kafka_destroy_leave(void);


/* shared by the helper threads and the worker's own */
static pthread_mutex_t  ngx_kafka_helpers_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t   ngx_kafka_helpers_once = PTHREAD_ONCE_INIT;
static pthread_cond_t   ngx_kafka_helpers_gone;
static ngx_uint_t       ngx_kafka_helpers;
static ngx_uint_t       ngx_kafka_helpers_lost;    /* a client nobody ends */


void
ngx_kafka_destroy(ngx_kafka_handle_t *handle, ngx_log_t *log)
{
    int             err;
    sigset_t        all, old;
    pthread_t       tid;
    pthread_attr_t  attr;

    (void) pthread_once(&ngx_kafka_helpers_once, ngx_kafka_destroy_init);

    /* signals are the worker's own thread's */

    sigfillset(&all);
    (void) pthread_sigmask(SIG_SETMASK, &all, &old);

    (void) pthread_attr_init(&attr);
    (void) pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);

    (void) pthread_mutex_lock(&ngx_kafka_helpers_lock);
    ngx_kafka_helpers++;
    (void) pthread_mutex_unlock(&ngx_kafka_helpers_lock);

    err = pthread_create(&tid, &attr, ngx_kafka_destroy_thread, handle);

    (void) pthread_attr_destroy(&attr);
    (void) pthread_sigmask(SIG_SETMASK, &old, NULL);

    if (err) {
        ngx_log_error(NGX_LOG_ERR, log, err, "pthread_create() failed");

        /* the client's threads run on, so the worker ends by _exit() */

        (void) pthread_mutex_lock(&ngx_kafka_helpers_lock);
        ngx_kafka_helpers--;
        ngx_kafka_helpers_lost = 1;
        (void) pthread_mutex_unlock(&ngx_kafka_helpers_lock);
    }
}


/* pthread_cond_clockwait() is glibc's alone. */
static void
ngx_kafka_destroy_init(void)
{
    pthread_condattr_t  attr;

    (void) pthread_condattr_init(&attr);
    (void) pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void) pthread_cond_init(&ngx_kafka_helpers_gone, &attr);
    (void) pthread_condattr_destroy(&attr);
}


/* Knows the handle and the count, nothing of nginx. */
static void *
ngx_kafka_destroy_thread(void *arg)
{
    ngx_kafka_handle_t  *handle = arg;

    int32_t  i;

    ngx_kafka_look_end(handle);

    for (i = 0; i < handle->reading; i++) {
        (void) rd_kafka_consume_stop(handle->receipts, i);
    }

    if (handle->receipts) {
        rd_kafka_topic_destroy(handle->receipts);
    }

    if (handle->starts) {
        rd_kafka_topic_partition_list_destroy(handle->starts);
    }

    if (handle->cluster) {
        rd_kafka_mem_free(handle->rk, handle->cluster);
    }

    rd_kafka_destroy(handle->rk);
    ngx_free(handle);

    (void) pthread_mutex_lock(&ngx_kafka_helpers_lock);
    ngx_kafka_helpers--;
    (void) pthread_cond_signal(&ngx_kafka_helpers_gone);
    (void) pthread_mutex_unlock(&ngx_kafka_helpers_lock);

    return NULL;
}


ngx_uint_t
ngx_kafka_destroying(void)
{
    ngx_uint_t  n;

    (void) pthread_mutex_lock(&ngx_kafka_helpers_lock);
    n = ngx_kafka_helpers;
    (void) pthread_mutex_unlock(&ngx_kafka_helpers_lock);

    return n;
}


void
ngx_kafka_destroy_wait(ngx_msec_t timeout)
{
    ngx_uint_t       n;
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);
    ts.tv_sec += timeout / 1000;
    ts.tv_nsec += (timeout % 1000) * 1000000;

    if (ts.tv_nsec >= 1000000000) {
        ts.tv_sec++;
        ts.tv_nsec -= 1000000000;
    }

    (void) pthread_once(&ngx_kafka_helpers_once, ngx_kafka_destroy_init);
    (void) pthread_mutex_lock(&ngx_kafka_helpers_lock);

    while (ngx_kafka_helpers
           && pthread_cond_timedwait(&ngx_kafka_helpers_gone,
                                     &ngx_kafka_helpers_lock, &ts)
              == 0)
    {
        /* void */
    }

    n = ngx_kafka_helpers + ngx_kafka_helpers_lost;

    (void) pthread_mutex_unlock(&ngx_kafka_helpers_lock);

    if (n) {
        /* exit() would tear OpenSSL down under a running thread */
        (void) atexit(ngx_kafka_destroy_leave);
    }
}


static void
ngx_kafka_destroy_leave(void)
{
    _exit(0);
}
