/* Counters and gauges in shared memory: made, found, counted. */

#include "status/ngx_http_kafka_status.h"
#include <signal.h>


/*
 * The zone's size stays the same over reloads, or its counters would start
 * anew; what is retired stays too, as old workers still count it.
 */
#define NGX_HTTP_KAFKA_ZONE        (4 * 1024 * 1024)  /* bytes, at least */
#define NGX_HTTP_KAFKA_ZONE_BASE   (256 * 1024)     /* a producer: workers */
#define NGX_HTTP_KAFKA_ZONE_TOPIC  1024             /* a topic */

/* a slot that is being made ready; above what a process id can be */
#define NGX_HTTP_KAFKA_CLAIMED     0x40000000


static ngx_int_t ngx_http_kafka_counters_init(ngx_shm_zone_t *zone,
    void *data);
static void ngx_http_kafka_counters_conf(ngx_slab_pool_t *shpool,
    ngx_http_kafka_shared_t *shared, ngx_kafka_conf_t *kcf, ngx_log_t *log);
static ngx_http_kafka_producer_counts_t *ngx_http_kafka_counters_producer(
    ngx_slab_pool_t *shpool, ngx_http_kafka_shared_t *shared,
    ngx_str_t *name);
static ngx_http_kafka_topic_counts_t *ngx_http_kafka_counters_topic(
    ngx_slab_pool_t *shpool, ngx_http_kafka_producer_counts_t *producer,
    ngx_str_t *name);
static ngx_int_t ngx_http_kafka_counters_name(ngx_slab_pool_t *shpool,
    ngx_str_t *dst, ngx_str_t *src);
static ngx_http_kafka_slot_t *ngx_http_kafka_slot_take(
    ngx_slab_pool_t *shpool, ngx_http_kafka_shared_t *shared, ngx_uint_t n);
static size_t ngx_http_kafka_slot_size(ngx_uint_t n);
static ngx_int_t ngx_http_kafka_process(pid_t pid, char *state,
    uint64_t *birth);


static ngx_str_t  ngx_http_kafka_zone_name = ngx_string("sluice_status");


ngx_int_t
ngx_http_kafka_counters_zone(ngx_conf_t *cf, ngx_http_kafka_main_conf_t *kmcf)
{
    size_t              size, need;
    ngx_uint_t          i;
    ngx_kafka_conf_t  **kcfp;

    kcfp = kmcf->producers.elts;
    need = 0;

    for (i = 0; i < kmcf->producers.nelts; i++) {
        need += NGX_HTTP_KAFKA_ZONE_BASE
                + kcfp[i]->topics.nelts * NGX_HTTP_KAFKA_ZONE_TOPIC;
    }

    /* as much again for what later configurations declare */

    for (size = NGX_HTTP_KAFKA_ZONE; size < 2 * need; size *= 2) {
        /* void */
    }

    kmcf->zone = ngx_shared_memory_add(cf, &ngx_http_kafka_zone_name, size,
                                       &ngx_http_kafka_module);
    if (kmcf->zone == NULL) {
        return NGX_ERROR;
    }

    kmcf->zone->init = ngx_http_kafka_counters_init;
    kmcf->zone->data = kmcf;

    return NGX_OK;
}


static ngx_int_t
ngx_http_kafka_counters_init(ngx_shm_zone_t *zone, void *data)
{
    ngx_uint_t                    i;
    ngx_slab_pool_t              *shpool;
    ngx_kafka_conf_t            **kcfp;
    ngx_http_kafka_shared_t      *shared;
    ngx_http_kafka_main_conf_t   *kmcf;

    kmcf = zone->data;
    kcfp = kmcf->producers.elts;
    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    /* after a reload the counters go on */

    if (data || zone->shm.exists) {
        shared = shpool->data;

    } else {
        shared = ngx_slab_calloc(shpool, sizeof(ngx_http_kafka_shared_t));
        if (shared == NULL) {
            return NGX_ERROR;
        }

        shared->started = ngx_time();
        shpool->data = shared;
        shpool->log_nomem = 0;
    }

    for (i = 0; i < kmcf->producers.nelts; i++) {
        ngx_http_kafka_counters_conf(shpool, shared, kcfp[i],
                                     zone->shm.log);

        if (kcfp[i]->metrics == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* Finds a producer's and its topics' counters by their names, or adds them. */
static void
ngx_http_kafka_counters_conf(ngx_slab_pool_t *shpool,
    ngx_http_kafka_shared_t *shared, ngx_kafka_conf_t *kcf, ngx_log_t *log)
{
    ngx_uint_t                         i, missing;
    ngx_kafka_topic_conf_t            *topic;
    ngx_http_kafka_topic_counts_t     *counts;
    ngx_http_kafka_producer_counts_t  *producer;

    producer = ngx_http_kafka_counters_producer(shpool, shared, &kcf->name);

    if (producer == NULL) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "no room in shared memory \"%V\" for kafka_producer "
                      "\"%V\": restart nginx, reloads never give room back",
                      &ngx_http_kafka_zone_name, &kcf->name);
        return;
    }

    kcf->metrics = &producer->kafka;
    topic = kcf->topics.elts;
    missing = 0;

    for (i = 0; i < kcf->topics.nelts; i++) {
        counts = ngx_http_kafka_counters_topic(shpool, producer,
                                               &topic[i].name);
        if (counts == NULL) {
            counts = &producer->other;
            missing++;
        }

        topic[i].counters = &counts->kafka;
    }

    if (missing) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "no room in shared memory \"%V\" for %ui topics of "
                      "kafka_producer \"%V\", they are counted as \"%V\" "
                      "until nginx is restarted",
                      &ngx_http_kafka_zone_name, missing, &kcf->name,
                      &producer->other.name);
    }
}


static ngx_http_kafka_producer_counts_t *
ngx_http_kafka_counters_producer(ngx_slab_pool_t *shpool,
    ngx_http_kafka_shared_t *shared, ngx_str_t *name)
{
    ngx_str_t                           other;
    ngx_http_kafka_producer_counts_t  **link, *producer;

    for (link = &shared->producers; *link; link = &(*link)->next) {
        if ((*link)->name.len == name->len
            && ngx_strncmp((*link)->name.data, name->data, name->len) == 0)
        {
            return *link;
        }
    }

    producer = ngx_slab_calloc(shpool,
                               sizeof(ngx_http_kafka_producer_counts_t));
    if (producer == NULL) {
        return NULL;
    }

    /* no topic can have this name */
    ngx_str_set(&other, "(other)");

    if (ngx_http_kafka_counters_name(shpool, &producer->name, name) != NGX_OK
        || ngx_http_kafka_counters_name(shpool, &producer->other.name, &other)
           != NGX_OK)
    {
        return NULL;
    }

    producer->kafka.lock = shpool;

    ngx_memory_barrier();
    *link = producer;

    return producer;
}


static ngx_http_kafka_topic_counts_t *
ngx_http_kafka_counters_topic(ngx_slab_pool_t *shpool,
    ngx_http_kafka_producer_counts_t *producer, ngx_str_t *name)
{
    ngx_http_kafka_topic_counts_t  **link, *topic;

    for (link = &producer->topics; *link; link = &(*link)->next) {
        if ((*link)->name.len == name->len
            && ngx_strncmp((*link)->name.data, name->data, name->len) == 0)
        {
            return *link;
        }
    }

    topic = ngx_slab_calloc(shpool, sizeof(ngx_http_kafka_topic_counts_t));

    if (topic == NULL
        || ngx_http_kafka_counters_name(shpool, &topic->name, name) != NGX_OK)
    {
        return NULL;
    }

    ngx_memory_barrier();
    *link = topic;

    return topic;
}


static ngx_int_t
ngx_http_kafka_counters_name(ngx_slab_pool_t *shpool, ngx_str_t *dst,
    ngx_str_t *src)
{
    dst->data = ngx_slab_alloc(shpool, src->len);
    if (dst->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(dst->data, src->data, src->len);
    dst->len = src->len;

    return NGX_OK;
}


void
ngx_http_kafka_count(ngx_http_kafka_ctx_t *ctx, ngx_uint_t code)
{
    ngx_http_kafka_loc_conf_t         *klcf;
    ngx_http_kafka_topic_counts_t     *counts;
    ngx_http_kafka_producer_counts_t  *producer;

    klcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_kafka_module);

    if (ctx->topic) {
        counts = (ngx_http_kafka_topic_counts_t *) ctx->topic->counters;

    } else {
        producer = (ngx_http_kafka_producer_counts_t *)
                       klcf->producer->metrics;
        counts = &producer->other;
    }

    (void) ngx_atomic_fetch_add(&counts->requests[code], 1);
}


void
ngx_http_kafka_count_waiting(ngx_http_kafka_ctx_t *ctx, ngx_int_t n)
{
    ngx_http_kafka_gauges_t  *gauges;

    gauges = (ngx_http_kafka_gauges_t *) ctx->gauges;

    /* this worker alone writes it */
    gauges->in_flight += n;
}


ngx_int_t
ngx_http_kafka_counters_enter(ngx_http_kafka_main_conf_t *kmcf)
{
    char                          state;
    ngx_uint_t                    i, n;
    ngx_slab_pool_t              *shpool;
    ngx_kafka_conf_t            **kcfp;
    ngx_http_kafka_slot_t        *slot;
    ngx_http_kafka_shared_t      *shared;

    shpool = (ngx_slab_pool_t *) kmcf->zone->shm.addr;
    shared = shpool->data;
    kcfp = kmcf->producers.elts;
    n = kmcf->producers.nelts;

    slot = ngx_http_kafka_slot_take(shpool, shared, n);

    if (slot == NULL) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "no room in shared memory \"%V\" for another worker, "
                      "its queue is not shown",
                      &ngx_http_kafka_zone_name);

        slot = ngx_calloc(ngx_http_kafka_slot_size(n), ngx_cycle->log);
        if (slot == NULL) {
            return NGX_ERROR;
        }
    }

    slot->started = ngx_time();

    if (ngx_http_kafka_process(ngx_pid, &state, &slot->birth) != NGX_OK) {
        slot->birth = 0;
    }

    for (i = 0; i < n; i++) {
        ngx_memzero(&slot->gauges[i], sizeof(ngx_http_kafka_gauges_t));

        slot->gauges[i].producer = (ngx_http_kafka_producer_counts_t *)
                                       kcfp[i]->metrics;
        kcfp[i]->gauges = &slot->gauges[i].kafka;
    }

    /* whoever is killed before leaves a slot of nothing */
    ngx_memory_barrier();
    slot->n = n;
    ngx_memory_barrier();
    slot->pid = ngx_pid;
    kmcf->slot = slot;

    return NGX_OK;
}


/* A slot of a worker that is no more, or a new one, claimed; or NULL. */
static ngx_http_kafka_slot_t *
ngx_http_kafka_slot_take(ngx_slab_pool_t *shpool,
    ngx_http_kafka_shared_t *shared, ngx_uint_t n)
{
    ngx_uint_t               i;
    ngx_atomic_uint_t        pid, claim;
    ngx_http_kafka_slot_t   *slot;

    claim = (ngx_atomic_uint_t) ngx_pid | NGX_HTTP_KAFKA_CLAIMED;

    for (slot = shared->slots; slot; slot = slot->next) {

        pid = slot->pid;

        if (slot->room < n || (pid && ngx_http_kafka_slot_alive(slot))
            || !ngx_atomic_cmp_set(&slot->pid, pid, claim))
        {
            continue;
        }

        /* nobody will ever say what became of these */

        for (i = 0; pid && i < slot->n; i++) {
            (void) ngx_atomic_fetch_add(
                       &slot->gauges[i].producer->kafka.unreported,
                       slot->gauges[i].kafka.records);
        }

        slot->n = 0;

        return slot;
    }

    slot = ngx_slab_calloc(shpool, ngx_http_kafka_slot_size(n));
    if (slot == NULL) {
        return NULL;
    }

    slot->room = n;
    slot->pid = claim;

    ngx_shmtx_lock(&shpool->mutex);

    slot->next = shared->slots;
    ngx_memory_barrier();
    shared->slots = slot;

    ngx_shmtx_unlock(&shpool->mutex);

    return slot;
}


static size_t
ngx_http_kafka_slot_size(ngx_uint_t n)
{
    return offsetof(ngx_http_kafka_slot_t, gauges)
           + n * sizeof(ngx_http_kafka_gauges_t);
}


void
ngx_http_kafka_counters_leave(ngx_http_kafka_main_conf_t *kmcf)
{
    if (kmcf->slot) {
        kmcf->slot->pid = 0;
    }
}


/* Whether its worker runs: a killed one cannot say that it has ended. */
ngx_uint_t
ngx_http_kafka_slot_alive(ngx_http_kafka_slot_t *slot)
{
    char      state;
    pid_t     pid;
    uint64_t  birth;

    pid = (pid_t) (slot->pid & ~NGX_HTTP_KAFKA_CLAIMED);

    if (pid == 0 || (kill(pid, 0) == -1 && ngx_errno == NGX_ESRCH)) {
        return 0;
    }

    if (slot->pid & NGX_HTTP_KAFKA_CLAIMED || slot->birth == 0
        || ngx_http_kafka_process(pid, &state, &birth) != NGX_OK)
    {
        return 1;
    }

    /* its parent may be late to ask, and ids are given again */

    return state != 'Z' && state != 'X' && birth == slot->birth;
}


/* proc(5): /proc/PID/stat, fields 3 and 22. */
static ngx_int_t
ngx_http_kafka_process(pid_t pid, char *state, uint64_t *birth)
{
    char        name[sizeof("/proc//stat") + NGX_INT64_LEN], buf[1024], *p;
    ssize_t     n;
    ngx_fd_t    fd;
    ngx_uint_t  field;

    (void) ngx_sprintf((u_char *) name, "/proc/%P/stat%Z", pid);

    fd = ngx_open_file(name, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);
    if (fd == NGX_INVALID_FILE) {
        return NGX_ERROR;
    }

    n = ngx_read_fd(fd, buf, sizeof(buf) - 1);

    (void) ngx_close_file(fd);

    if (n <= 0) {
        return NGX_ERROR;
    }

    buf[n] = '\0';

    /* the second field, a name, may hold anything */

    p = strrchr(buf, ')');

    if (p == NULL || p[1] != ' ') {
        return NGX_ERROR;
    }

    *state = p[2];

    for (field = 2; p && field < 22; field++) {
        p = strchr(p + 1, ' ');
    }

    if (p == NULL) {
        return NGX_ERROR;
    }

    *birth = strtoull(p + 1, NULL, 10);

    return NGX_OK;
}
