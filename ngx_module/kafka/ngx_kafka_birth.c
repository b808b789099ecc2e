/*
 * A thread that starts a client: rd_kafka_new() blocks while it reads CA
 * certificates.
 */

#include "kafka/ngx_kafka_impl.h"


struct ngx_kafka_birth_s {
    ngx_kafka_client_t  *client;
    rd_kafka_conf_t     *conf;
    rd_kafka_type_t      type;
    rd_kafka_t          *rk;            /* NULL: errstr says why */
    char                 errstr[NGX_KAFKA_ERRSTR];
    pthread_t            thread;
    ngx_uint_t           done;          /* by the thread, set last */
};


static void *ngx_kafka_birth_thread(void *arg);


ngx_kafka_birth_t *
ngx_kafka_birth_begin(ngx_kafka_producer_t *kp,
    const ngx_kafka_client_calls_t *calls, ngx_kafka_client_e kind,
    size_t batch)
{
    int                 err;
    sigset_t            all, old;
    ngx_kafka_birth_t  *birth;

    birth = ngx_calloc(sizeof(ngx_kafka_birth_t), kp->log);
    if (birth == NULL) {
        return NULL;
    }

    birth->type = kind == NGX_KAFKA_CLIENT_READER ? RD_KAFKA_CONSUMER
                                                  : RD_KAFKA_PRODUCER;

    birth->client = ngx_kafka_client_make(kp, calls, kind, batch,
                                          &birth->conf);
    if (birth->client == NULL) {
        ngx_free(birth);
        return NULL;
    }

    /* signals are the worker's own thread's */

    sigfillset(&all);
    (void) pthread_sigmask(SIG_SETMASK, &all, &old);

    err = pthread_create(&birth->thread, NULL, ngx_kafka_birth_thread, birth);

    (void) pthread_sigmask(SIG_SETMASK, &old, NULL);

    if (err) {
        (void) ngx_kafka_client_take(birth->client, birth->conf, NULL,
                                     "no thread for it");
        ngx_free(birth);
        return NULL;
    }

    return birth;
}


/* Knows the configuration, nothing of nginx. */
static void *
ngx_kafka_birth_thread(void *arg)
{
    ngx_kafka_birth_t  *birth = arg;

    birth->rk = ngx_kafka_client_threads(birth->conf, birth->type,
                                         birth->errstr,
                                         sizeof(birth->errstr));

    __atomic_store_n(&birth->done, 1, __ATOMIC_RELEASE);

    return NULL;
}


ngx_kafka_client_t *
ngx_kafka_birth_take(ngx_kafka_birth_t **one, ngx_uint_t wait)
{
    ngx_kafka_birth_t   *birth;
    ngx_kafka_client_t  *client;

    birth = *one;

    if (birth == NULL
        || (!wait && !__atomic_load_n(&birth->done, __ATOMIC_ACQUIRE)))
    {
        return NULL;
    }

    (void) pthread_join(birth->thread, NULL);

    *one = NULL;

    client = ngx_kafka_client_take(birth->client, birth->conf, birth->rk,
                                   birth->errstr);
    ngx_free(birth);

    return client;
}


ngx_kafka_client_t *
ngx_kafka_birth_extra(ngx_kafka_producer_t *kp, ngx_kafka_extra_t *extra,
    ngx_kafka_client_e kind, ngx_uint_t wait)
{
    if (extra->client == NULL && extra->birth == NULL && kp->client
        && (ngx_msec_int_t) (ngx_current_msec - extra->start) >= 0)
    {
        extra->start = ngx_current_msec + NGX_KAFKA_RESTART_WAIT;

        if (ngx_kafka_destroying() < NGX_KAFKA_LEAVING) {
            extra->birth = ngx_kafka_birth_begin(kp, kp->client->calls, kind,
                                          ngx_kafka_rules_smallest(kp->conf));
        }
    }

    if (extra->client == NULL) {
        extra->client = ngx_kafka_birth_take(&extra->birth, wait);
    }

    if (extra->client && ngx_kafka_client_idle(extra->client)) {
        /* silence counts from now on */
        extra->client->heard = ngx_current_msec;
    }

    return extra->client;
}
