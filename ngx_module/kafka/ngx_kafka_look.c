/*
 * A thread that asks for metadata: librdkafka gives it by a call that blocks.
 */

#include "kafka/ngx_kafka_impl.h"


#define NGX_KAFKA_LOOK_TIMEOUT  5000        /* ms, of one request */


static void *ngx_kafka_look_thread(void *arg);
static void ngx_kafka_look_starts(ngx_kafka_handle_t *handle, int32_t n);


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

    if (handle->receipts && handle->metadata) {

        if (handle->cluster == NULL) {
            handle->cluster = rd_kafka_clusterid(handle->rk,
                                                 NGX_KAFKA_LOOK_TIMEOUT);
        }

        if (handle->starts == NULL && handle->metadata->topic_cnt == 1) {
            ngx_kafka_look_starts(handle,
                                  handle->metadata->topics[0].partition_cnt);
        }
    }

    __atomic_store_n(&handle->seen, 1, __ATOMIC_RELEASE);

    return NULL;
}


/*
 * Where nothing came since that time, it is the end.  The ends are asked for
 * first: what comes meanwhile is then behind them.
 */
static void
ngx_kafka_look_starts(ngx_kafka_handle_t *handle, int32_t n)
{
    int32_t                           i;
    int64_t                           low, high;
    const char                       *topic;
    rd_kafka_topic_partition_list_t  *ends, *starts;

    topic = rd_kafka_topic_name(handle->receipts);

    ends = rd_kafka_topic_partition_list_new(n);
    starts = rd_kafka_topic_partition_list_new(n);

    for (i = 0; i < n; i++) {

        if (rd_kafka_query_watermark_offsets(handle->rk, topic, i, &low, &high,
                                             NGX_KAFKA_LOOK_TIMEOUT)
            != RD_KAFKA_RESP_ERR_NO_ERROR)
        {
            goto failed;
        }

        rd_kafka_topic_partition_list_add(ends, topic, i)->offset = high;
        rd_kafka_topic_partition_list_add(starts, topic, i)->offset
                                                          = handle->since;
    }

    if (n == 0
        || rd_kafka_offsets_for_times(handle->rk, starts,
                                      NGX_KAFKA_LOOK_TIMEOUT)
           != RD_KAFKA_RESP_ERR_NO_ERROR)
    {
        goto failed;
    }

    for (i = 0; i < n; i++) {
        if (starts->elems[i].err || starts->elems[i].offset < 0) {
            starts->elems[i].offset = ends->elems[i].offset;
        }
    }

    handle->starts = starts;
    rd_kafka_topic_partition_list_destroy(ends);

    return;

failed:

    rd_kafka_topic_partition_list_destroy(ends);
    rd_kafka_topic_partition_list_destroy(starts);
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
