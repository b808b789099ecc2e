/*
 * A thread that asks for metadata: librdkafka gives it by a call that blocks.
 */

#include "kafka/ngx_kafka_impl.h"


#define NGX_KAFKA_LOOK_TIMEOUT  5000        /* ms, of one request */


static void *ngx_kafka_look_thread(void *arg);


void
ngx_kafka_look(ngx_kafka_client_t *client)
{
    int                  err;
    sigset_t             all, old;
    ngx_kafka_handle_t  *handle;

    handle = client->handle;
    handle->seen = 0;

    /* signals are the worker's own thread's */

    sigfillset(&all);
    (void) pthread_sigmask(SIG_SETMASK, &all, &old);

    err = pthread_create(&handle->thread, NULL, ngx_kafka_look_thread, handle);

    (void) pthread_sigmask(SIG_SETMASK, &old, NULL);

    if (err) {
        ngx_log_error(NGX_LOG_ERR, client->producer->log, err,
                      "pthread_create() failed");
        return;
    }

    handle->looking = 1;
}


/* Knows the handle, nothing of nginx. */
static void *
ngx_kafka_look_thread(void *arg)
{
    ngx_kafka_handle_t  *handle = arg;

    if (rd_kafka_metadata(handle->rk, 0, handle->receipts, &handle->metadata,
                          NGX_KAFKA_LOOK_TIMEOUT)
        != RD_KAFKA_RESP_ERR_NO_ERROR)
    {
        handle->metadata = NULL;
    }

    if (handle->receipts && handle->metadata && handle->cluster == NULL) {
        handle->cluster = rd_kafka_clusterid(handle->rk,
                                             NGX_KAFKA_LOOK_TIMEOUT);
    }

    __atomic_store_n(&handle->seen, 1, __ATOMIC_RELEASE);

    return NULL;
}


void
ngx_kafka_look_end(ngx_kafka_handle_t *handle)
{
    if (!handle->looking) {
        return;
    }

    (void) pthread_join(handle->thread, NULL);

    if (handle->metadata) {
        rd_kafka_metadata_destroy(handle->metadata);
        handle->metadata = NULL;
    }

    handle->looking = 0;
}
