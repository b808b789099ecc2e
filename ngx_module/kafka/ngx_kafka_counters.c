/* Counters and gauges in shared memory: made, found again, claimed. */

#include "kafka/ngx_kafka_conf.h"


/*
 * The zone's size stays the same over reloads, or its counters would start
 * from zero.  What is retired stays too, as old workers still count there.
 */
#define NGX_KAFKA_ZONE        (4 * 1024 * 1024)  /* bytes, at least */
#define NGX_KAFKA_ZONE_BASE   (256 * 1024)     /* a producer: workers */
#define NGX_KAFKA_ZONE_TOPIC  1024             /* a topic */


static ngx_int_t ngx_kafka_counters_init(ngx_shm_zone_t *zone, void *data);
static ngx_int_t ngx_kafka_counters_conf(ngx_slab_pool_t *shpool,
    ngx_kafka_conf_t *kcf, ngx_log_t *log);
static ngx_kafka_producer_counts_t *ngx_kafka_counters_producer(
    ngx_slab_pool_t *shpool, ngx_str_t *name);
static ngx_kafka_topic_counts_t *ngx_kafka_counters_topic(
    ngx_slab_pool_t *shpool, ngx_kafka_producer_counts_t *producer,
    ngx_str_t *name);
static u_char *ngx_kafka_counters_name(ngx_str_t *name, u_char *p,
    u_char *data, size_t len);
static ngx_uint_t ngx_kafka_counters_named(ngx_str_t *one, ngx_str_t *two);
static ngx_kafka_slot_t *ngx_kafka_slot_claim(ngx_slab_pool_t *shpool,
    ngx_uint_t n);
static ngx_kafka_slot_t *ngx_kafka_slot_new(ngx_slab_pool_t *shpool,
    ngx_uint_t n);
static ngx_int_t ngx_kafka_slot_take(ngx_kafka_slot_t *slot);
static size_t ngx_kafka_slot_size(ngx_uint_t n);
static ngx_uint_t ngx_kafka_bucket(ngx_msec_t ms);


const ngx_kafka_latency_t  ngx_kafka_latencies[NGX_KAFKA_BUCKETS - 1] = {
    { 1, "0.001" },
    { 2, "0.002" },
    { 5, "0.005" },
    { 10, "0.01" },
    { 20, "0.02" },
    { 50, "0.05" },
    { 100, "0.1" },
    { 200, "0.2" },
    { 500, "0.5" },
    { 1000, "1.0" },
    { 2000, "2.0" },
    { 5000, "5.0" },
    { 10000, "10.0" }
};


static ngx_str_t          ngx_kafka_zone_name = ngx_string("sluice_status");

/* of this worker, or NULL */
static ngx_kafka_slot_t  *ngx_kafka_slot;


ngx_shm_zone_t *
ngx_kafka_counters_zone(ngx_conf_t *cf, ngx_array_t *producers, void *tag)
{
    size_t              size, need;
    ngx_uint_t          i;
    ngx_shm_zone_t     *zone;
    ngx_kafka_conf_t  **kcfp;

    kcfp = producers->elts;
    need = 0;

    for (i = 0; i < producers->nelts; i++) {
        need += NGX_KAFKA_ZONE_BASE
                + kcfp[i]->topics.nelts * NGX_KAFKA_ZONE_TOPIC;
    }

    /* as much again for what later configurations declare */

    for (size = NGX_KAFKA_ZONE; size < 2 * need; size *= 2) {
        /* void */
    }

    zone = ngx_shared_memory_add(cf, &ngx_kafka_zone_name, size, tag);
    if (zone == NULL) {
        return NULL;
    }

    zone->init = ngx_kafka_counters_init;
    zone->data = producers;

    return zone;
}


static ngx_int_t
ngx_kafka_counters_init(ngx_shm_zone_t *zone, void *data)
{
    ngx_uint_t           i;
    ngx_array_t         *producers;
    ngx_slab_pool_t     *shpool;
    ngx_kafka_conf_t   **kcfp;
    ngx_kafka_shared_t  *shared;

    producers = zone->data;
    kcfp = producers->elts;
    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    /* after a reload the counters go on */

    if (data == NULL && !zone->shm.exists) {
        shared = ngx_slab_calloc(shpool, sizeof(ngx_kafka_shared_t));
        if (shared == NULL) {
            return NGX_ERROR;
        }

        shared->started = ngx_time();
        shpool->data = shared;
        shpool->log_nomem = 0;
    }

    for (i = 0; i < producers->nelts; i++) {
        if (ngx_kafka_counters_conf(shpool, kcfp[i], zone->shm.log) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_kafka_counters_conf(ngx_slab_pool_t *shpool, ngx_kafka_conf_t *kcf,
    ngx_log_t *log)
{
    ngx_uint_t               i, missing;
    ngx_kafka_topic_conf_t  *topic;

    kcf->counts = ngx_kafka_counters_producer(shpool, &kcf->name);

    if (kcf->counts == NULL) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "no room in shared memory \"%V\" for kafka_producer "
                      "\"%V\": restart nginx, reloads never give room back",
                      &ngx_kafka_zone_name, &kcf->name);
        return NGX_ERROR;
    }

    topic = kcf->topics.elts;
    missing = 0;

    for (i = 0; i < kcf->topics.nelts; i++) {
        topic[i].counts = ngx_kafka_counters_topic(shpool, kcf->counts,
                                                   &topic[i].name);
        if (topic[i].counts == NULL) {
            topic[i].counts = &kcf->counts->other;
            missing++;
        }
    }

    if (missing) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "no room in shared memory \"%V\" for %ui topics of "
                      "kafka_producer \"%V\", they are counted as \"%V\" "
                      "until nginx is restarted",
                      &ngx_kafka_zone_name, missing, &kcf->name,
                      &kcf->counts->other.name);
    }

    return NGX_OK;
}


static ngx_kafka_producer_counts_t *
ngx_kafka_counters_producer(ngx_slab_pool_t *shpool, ngx_str_t *name)
{
    u_char                        *p;
    ngx_kafka_shared_t            *shared;
    ngx_kafka_producer_counts_t  **link, *producer;

    shared = shpool->data;

    for (link = &shared->producers; *link; link = &(*link)->next) {
        if (ngx_kafka_counters_named(&(*link)->name, name)) {
            return *link;
        }
    }

    producer = ngx_slab_calloc(shpool, sizeof(ngx_kafka_producer_counts_t)
                                       + name->len + sizeof("(other)"));
    if (producer == NULL) {
        return NULL;
    }

    producer->lock = shpool;

    /* no topic can have the second name */
    p = (u_char *) &producer[1];
    p = ngx_kafka_counters_name(&producer->name, p, name->data, name->len);
    (void) ngx_kafka_counters_name(&producer->other.name, p,
                                   (u_char *) "(other)", sizeof("(other)") - 1);

    ngx_memory_barrier();
    *link = producer;

    return producer;
}


static ngx_kafka_topic_counts_t *
ngx_kafka_counters_topic(ngx_slab_pool_t *shpool,
    ngx_kafka_producer_counts_t *producer, ngx_str_t *name)
{
    ngx_kafka_topic_counts_t  **link, *topic;

    for (link = &producer->topics; *link; link = &(*link)->next) {
        if (ngx_kafka_counters_named(&(*link)->name, name)) {
            return *link;
        }
    }

    topic = ngx_slab_calloc(shpool, sizeof(ngx_kafka_topic_counts_t)
                                    + name->len);
    if (topic) {
        (void) ngx_kafka_counters_name(&topic->name, (u_char *) &topic[1],
                                       name->data, name->len);
        ngx_memory_barrier();
        *link = topic;
    }

    return topic;
}


static u_char *
ngx_kafka_counters_name(ngx_str_t *name, u_char *p, u_char *data, size_t len)
{
    name->data = p;
    name->len = len;

    return ngx_cpymem(p, data, len);
}


static ngx_uint_t
ngx_kafka_counters_named(ngx_str_t *one, ngx_str_t *two)
{
    return one->len == two->len
           && ngx_memcmp(one->data, two->data, one->len) == 0;
}


ngx_kafka_shared_t *
ngx_kafka_counters_shared(ngx_shm_zone_t *zone)
{
    return ((ngx_slab_pool_t *) zone->shm.addr)->data;
}


ngx_int_t
ngx_kafka_counters_enter(ngx_shm_zone_t *zone)
{
    ngx_uint_t          i, n;
    ngx_array_t        *producers;
    ngx_kafka_slot_t   *slot;
    ngx_kafka_conf_t  **kcfp;

    producers = zone->data;
    kcfp = producers->elts;
    n = producers->nelts;

    slot = ngx_kafka_slot_claim((ngx_slab_pool_t *) zone->shm.addr, n);

    if (slot == NULL) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "no room in shared memory \"%V\" for another worker, "
                      "its queue is not shown", &ngx_kafka_zone_name);

        slot = ngx_calloc(ngx_kafka_slot_size(n), ngx_cycle->log);
        if (slot == NULL) {
            return NGX_ERROR;
        }

    } else {
        ngx_kafka_slot = slot;
    }

    for (i = 0; i < n; i++) {
        ngx_memzero(&slot->gauges[i], sizeof(ngx_kafka_gauges_t));

        slot->gauges[i].producer = kcfp[i]->counts;
        kcfp[i]->gauges = &slot->gauges[i];
    }

    slot->n = n;
    slot->started = ngx_time();

    ngx_memory_barrier();
    slot->pid = ngx_pid;

    return NGX_OK;
}


void
ngx_kafka_counters_leave(void)
{
    if (ngx_kafka_slot) {
        ngx_kafka_slot->pid = 0;
        (void) pthread_mutex_unlock(&ngx_kafka_slot->worker);
        ngx_kafka_slot = NULL;
    }
}


/* The slot of a worker that is no more, or a new one; NULL: no room. */
static ngx_kafka_slot_t *
ngx_kafka_slot_claim(ngx_slab_pool_t *shpool, ngx_uint_t n)
{
    ngx_kafka_slot_t    *slot;
    ngx_kafka_shared_t  *shared;

    shared = shpool->data;

    for (slot = shared->slots; slot; slot = slot->next) {
        if (slot->room >= n && ngx_kafka_slot_take(slot) == NGX_OK) {
            return slot;
        }
    }

    slot = ngx_kafka_slot_new(shpool, n);

    if (slot) {
        ngx_shmtx_lock(&shpool->mutex);

        slot->next = shared->slots;
        ngx_memory_barrier();
        shared->slots = slot;

        ngx_shmtx_unlock(&shpool->mutex);
    }

    return slot;
}


/* A slot that is this worker's already. */
static ngx_kafka_slot_t *
ngx_kafka_slot_new(ngx_slab_pool_t *shpool, ngx_uint_t n)
{
    ngx_kafka_slot_t     *slot;
    pthread_mutexattr_t   attr;

    slot = ngx_slab_calloc(shpool, ngx_kafka_slot_size(n));
    if (slot == NULL) {
        return NULL;
    }

    slot->room = n;

    (void) pthread_mutexattr_init(&attr);
    (void) pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    (void) pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    (void) pthread_mutex_init(&slot->worker, &attr);
    (void) pthread_mutexattr_destroy(&attr);

    (void) pthread_mutex_lock(&slot->worker);

    return slot;
}


/* NGX_BUSY while its worker runs. */
static ngx_int_t
ngx_kafka_slot_take(ngx_kafka_slot_t *slot)
{
    int         rc;
    ngx_uint_t  i;

    rc = pthread_mutex_trylock(&slot->worker);

    if (rc == EOWNERDEAD) {
        (void) pthread_mutex_consistent(&slot->worker);

        /* nobody will ever say what became of these */

        for (i = 0; i < slot->n; i++) {
            (void) ngx_atomic_fetch_add(&slot->gauges[i].producer->unreported,
                                        slot->gauges[i].records);
        }

        slot->pid = 0;
        slot->n = 0;

    } else if (rc != 0) {
        return NGX_BUSY;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_kafka_slot_alive(ngx_kafka_slot_t *slot)
{
    if (slot->pid == 0) {
        return 0;
    }

    if (ngx_kafka_slot_take(slot) != NGX_OK) {
        return 1;
    }

    (void) pthread_mutex_unlock(&slot->worker);

    return 0;
}


static size_t
ngx_kafka_slot_size(ngx_uint_t n)
{
    return offsetof(ngx_kafka_slot_t, gauges) + n * sizeof(ngx_kafka_gauges_t);
}


static ngx_uint_t
ngx_kafka_bucket(ngx_msec_t ms)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_KAFKA_BUCKETS - 1; i++) {
        if (ms <= ngx_kafka_latencies[i].ms) {
            break;
        }
    }

    return i;
}


void
ngx_kafka_count_stored(ngx_kafka_topic_counts_t *counts,
    ngx_kafka_stored_e stored, ngx_msec_t ms)
{
    (void) ngx_atomic_fetch_add(&counts->stored[stored], 1);

    if (stored != NGX_KAFKA_STORED_PENDING) {
        (void) ngx_atomic_fetch_add(
                             &counts->stored_times[ngx_kafka_bucket(ms)], 1);
        (void) ngx_atomic_fetch_add(&counts->stored_latency, ms);
    }
}


void
ngx_kafka_count_kept(ngx_kafka_topic_counts_t *counts, size_t bytes,
    ngx_msec_t ms)
{
    (void) ngx_atomic_fetch_add(&counts->kept[ngx_kafka_bucket(ms)], 1);
    (void) ngx_atomic_fetch_add(&counts->bytes, bytes);

    if (ms) {
        (void) ngx_atomic_fetch_add(&counts->latency, ms);
    }
}
